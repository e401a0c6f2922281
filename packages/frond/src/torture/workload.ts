// The client: many calls at once, over a few hot and many quiet books, each noted before it is sent and when it is heard.
//
// Rule: what may be concluded from an answer is written down and nothing else. An answer that tells of a commit, of the
// called book or of another one, acknowledges that commit; a call without an answer says nothing.

import { setTimeout as sleep } from "node:timers/promises";
import type { Write } from "../core/invariants.ts";
import type { Acks } from "./acks.ts";
import { type BookCall, BOOKS, type Heard } from "./books.ts";
import type { Child } from "./child.ts";
import type { Random } from "./random.ts";
import type { Durability } from "../types.ts";

/** One book of the workload. */
export interface BookName {
  readonly kind: string;
  readonly name: string;
}

/** How often each kind of call is made. */
const MIX = { add: 40, nest: 6, refuse: 5, late: 10, relay: 10, whisper: 5, borrow: 6, heap: 4, newest: 10, rumour: 8 };
/** The same where the WALs are to grow until they are checkpointed: on a few books only. */
const HEAVY = { ...MIX, add: 10, heap: 60 };
const HEAVY_BOOKS = 3;

/** Verbs whose answer tells of their own book alone: their level can be raised for one call. */
const RAISABLE = new Set(["add", "nest", "late", "heap", "newest"]);
/** Who is refused comes again a little later, in ms. */
const REFUSED_PAUSE_MS = 10;

/** Codes that a node in trouble may answer with; any other error is a finding. */
const EXCUSED = new Set([
  "STOPPING",
  "OVERLOADED",
  "DISK_FULL",
  "COMMIT_FAILED",
  "TX_ABORTED",
  "LOG_FAILED",
  "BUCKET_FAILED",
]);

interface Plan {
  readonly call: BookCall;
  readonly writes: Write[];
  /** The second book that the call reaches. */
  readonly other?: BookName;
}

export interface WorkloadOptions {
  readonly child: Child;
  readonly acks: Acks;
  readonly books: readonly BookName[];
  readonly random: Random;
  /** Stands at the head of every token: different in every round. */
  readonly label: string;
  readonly heavy: boolean;
  /** Share of the calls whose level is raised to `bucket`. Default: none. */
  readonly raised?: number;
}

/** See the head of the file. */
export class Workload {
  /** Calls that were answered with a value, and calls that a node in trouble has refused. Counts. */
  answered = 0;
  refused = 0;
  /** Writes that were acknowledged, by what that promises. Counts. */
  readonly told: Record<Durability, number> = { memory: 0, disk: 0, bucket: 0 };
  /** Answers that no node should give. */
  readonly unexpected: string[] = [];
  readonly #o: WorkloadOptions;
  #tokens = 0;
  #stopped = false;

  constructor(options: WorkloadOptions) {
    this.#o = options;
  }

  /** Calls with `workers` calls at once until the process ends or `stop` is called. */
  async run(workers: number): Promise<void> {
    const one = async (random: Random): Promise<void> => {
      while (!this.#stopped && !this.#o.child.over) await this.#step(random);
    };
    await Promise.all(Array.from({ length: workers }, () => one(this.#o.random.fork())));
  }

  stop(): void {
    this.#stopped = true;
  }

  async #step(random: Random): Promise<void> {
    const verb = random.weighted(this.#o.heavy ? HEAVY : MIX);
    const { call: planned, writes, other } = this.#plan(verb, random);
    const { raised = 0 } = this.#o;
    const raises = raised > 0 && RAISABLE.has(verb) && random.chance(raised);
    const call: BookCall = raises ? { ...planned, durability: "bucket" } : planned;
    if (writes.length > 0) this.#o.acks.sent(writes);
    const calling = this.#o.child.call(call);
    if (other !== undefined) await this.#askMeanwhile(other, calling);
    const answer = await calling;
    if (answer.heard === "value") {
      this.answered += 1;
      this.#note(verb, writes, answer.value, call.durability);
    } else if (answer.heard === "error" && !EXCUSED.has(answer.code) && verb !== "refuse") {
      this.unexpected.push(`${call.kind}/${call.name}.${verb} was answered with ${answer.code}: ${answer.message}`);
    } else if (
      answer.heard === "error" &&
      verb === "refuse" &&
      !EXCUSED.has(answer.code) &&
      answer.code !== "RangeError"
    ) {
      this.unexpected.push(`what refuse threw arrived as ${answer.code}: ${answer.message}`);
    } else if (answer.heard === "error" && EXCUSED.has(answer.code)) {
      this.refused += 1;
      await sleep(REFUSED_PAUSE_MS);
    }
  }

  #note(verb: string, writes: readonly Write[], value: unknown, level?: Durability): void {
    if (verb === "newest" || verb === "rumour") {
      const heard = value as Heard;
      for (const token of [heard.token, heard.cause])
        if (token !== undefined) this.#o.acks.heard(token, undefined, level);
      return;
    }
    if (verb === "refuse") this.unexpected.push("a verb that throws was answered with a value");
    const seqs = Array.isArray(value) ? (value as number[]) : [value as number];
    const told = writes.filter((write) => write.outcome !== "refused");
    for (const [i, seq] of seqs.entries()) {
      const write = told[i] as Write;
      this.#o.acks.heard(write.token, seq, level);
      this.told[level ?? write.level] += 1;
    }
  }

  #plan(verb: keyof typeof MIX, random: Random): Plan {
    const book = this.#book(random);
    const other = this.#book(random);
    const rows = random.between(1, 6);
    const [one, two] = [this.#token(), this.#token()];
    const call = (args: unknown[], more: Partial<BookCall> = {}): BookCall => ({ ...book, verb, args, ...more });
    switch (verb) {
      case "add":
        return { call: call([one, rows]), writes: [sends(book, one, rows)] };
      case "heap":
        return {
          call: call([one, random.between(0, 5)], { bytes: random.between(1, this.#o.heavy ? 300 : 40) * 4096 }),
          writes: [sends(book, one, 1)],
        };
      case "refuse":
        return { call: call([one, rows]), writes: [{ ...sends(book, one, rows), outcome: "refused" }] };
      case "nest": {
        const dropped: Write = { ...sends(book, one, rows), outcome: "refused" };
        return { call: call([one, two, rows]), writes: [dropped, sends(book, two, rows)] };
      }
      case "late":
        return {
          call: call([one, two, rows]),
          writes: [sends(book, one, rows), { ...sends(book, two, rows), after: one }],
        };
      case "relay":
        return {
          other,
          call: call([one, rows, other.kind, other.name, two]),
          writes: [sends(book, one, rows), { ...sends(other, two, rows), after: one }],
        };
      case "whisper":
        return { other, call: call([one, rows, other.kind, other.name]), writes: [sends(book, one, rows)] };
      case "borrow":
        return { other, call: call([one, rows, other.kind, other.name]), writes: [sends(other, one, rows)] };
      default:
        return { call: call([]), writes: [] };
    }
  }

  /** While a call to two books is under way, asks the second one what it knows: it may not tell of what can be lost. */
  async #askMeanwhile(other: BookName, calling: Promise<unknown>): Promise<void> {
    const state = { over: false };
    void calling.then(() => (state.over = true));
    while (!state.over) {
      for (const verb of ["rumour", "newest"]) {
        const answer = await this.#o.child.call({ ...other, verb, args: [] });
        if (answer.heard === "value") this.#note(verb, [], answer.value);
      }
    }
  }

  // A few books are hot: several calls work on them at once.
  #book(random: Random): BookName {
    const { books, heavy } = this.#o;
    return books[Math.floor(random.next() ** 2 * (heavy ? HEAVY_BOOKS : books.length))] as BookName;
  }

  #token(): string {
    this.#tokens += 1;
    return `${this.#o.label}-${this.#tokens}`;
  }
}

function sends(book: BookName, token: string, rows: number): Write {
  const level = BOOKS[book.kind] ?? "disk";
  return {
    cell: `${book.kind}/${book.name}`,
    token,
    rows,
    level,
    outcome: "unknown",
    seq: undefined,
    after: undefined,
  };
}
