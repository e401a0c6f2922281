// Outages in a round of the torture with a bucket: something goes away or is full while the node is at work, and comes back.
//
// Rule: what must be true meanwhile is asked by clients. Behind its lease a node whose bucket is away answers nobody; on a full disk, or
// with a full bucket, it says so. When the outage is over, writes are acknowledged again by themselves, at every level
// that is asked for.

import { setTimeout as sleep } from "node:timers/promises";
import type { Durability } from "../types.ts";
import type { Disks } from "./bucketDisks.ts";
import { ABSENCES, type BucketPlace, type Outage } from "./bucketPlace.ts";
import type { Child } from "./child.ts";
import type { Random } from "./random.ts";
import type { BookName, Workload } from "./workload.ts";

/** Between two questions, in ms. */
const ASK_EVERY_MS = 20;

/** What an outage is made with. */
export interface OutageOptions {
  readonly place: BucketPlace;
  readonly disks: Disks;
  readonly random: Random;
}

/** What a node at work is watched by. */
export interface Watched {
  readonly child: Child;
  readonly workload: Workload;
  readonly books: readonly BookName[];
  readonly ttlMs: number;
}

/** See the head of the file. One per run of the torture. */
export class Outages {
  readonly #o: OutageOptions;
  #now: Outage | undefined;
  /** Questions that were answered with OVERLOADED behind the lease. Count. */
  overloaded = 0;

  constructor(options: OutageOptions) {
    this.#o = options;
  }

  /** What can happen now. */
  get kinds(): readonly Outage[] {
    const { place, disks } = this.#o;
    return [...place.outages, ...disks.outages];
  }

  /** What goes on. */
  get now(): Outage | undefined {
    return this.#now;
  }

  begin(what: Outage): void {
    const { place, disks, random } = this.#o;
    this.#now = what;
    if (what === "full disk") disks.fill(random);
    else place.begin(what, random);
  }

  /** Ends what goes on. Returns what is wrong with that. */
  end(): string[] {
    const { place, disks, random } = this.#o;
    const what = this.#now;
    this.#now = undefined;
    if (what === undefined) return [];
    if (what === "full disk") disks.makeRoom();
    const wrong = what === "full disk" ? undefined : place.end(random);
    return wrong === undefined ? [] : [wrong];
  }

  /** A node at work meets an outage and its end. Returns what it did wrong. */
  async meet(what: Outage, ms: number, watched: Watched, readyMs: number): Promise<string[]> {
    const { child, workload, ttlMs } = watched;
    this.begin(what);
    const over = Promise.race([sleep(ms), child.ended]);
    const wrong = ABSENCES.has(what) && ms > ttlMs ? this.#ask(watched) : Promise.resolve([]);
    await over;
    const all = this.end();
    all.push(...(await wrong));
    const before = { ...workload.told };
    const latest = Date.now() + readyMs;
    const levels: Durability[] = watched.books.some(({ kind }) => kind === "safe") ? ["disk", "bucket"] : ["disk"];
    for (const level of levels) {
      while (workload.told[level] === before[level] && !child.over) {
        if (Date.now() > latest) return [...all, `nothing is acknowledged at ${level} behind an outage: ${what}`];
        await sleep(ASK_EVERY_MS);
      }
    }
    return all;
  }

  /** Behind the lease nobody is answered, until the outage is over. */
  async #ask({ child, books, ttlMs }: Watched): Promise<string[]> {
    const { random } = this.#o;
    const what = this.#now;
    await Promise.race([sleep(ttlMs), child.ended]);
    const goesOn = (): boolean => this.#now === what && !child.over;
    while (goesOn()) {
      const book = random.pick(books);
      const answer = await Promise.race([child.call({ ...book, verb: "newest", args: [] }), once(() => !goesOn())]);
      if (answer === undefined || !goesOn()) break;
      if (answer.heard === "value") return [`I4: ${book.kind}/${book.name} was read behind the lease, bucket: ${what}`];
      if (answer.heard === "error" && answer.code === "OVERLOADED") this.overloaded += 1;
      await sleep(ASK_EVERY_MS);
    }
    return [];
  }
}

async function once(holds: () => boolean): Promise<undefined> {
  while (!holds()) await sleep(ASK_EVERY_MS);
}
