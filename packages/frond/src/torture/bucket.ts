// Torture of a node with a bucket: it is killed, it loses power, its disk is taken away or is full, its bucket goes away, is slow, full or
// does not say what it did, its machine sleeps until another has taken over; and after each start everything that it ever
// promised, at each level, is compared with what it shows.
//
// Rule: as in torture.ts, the harness believes nothing that the node says about itself. A clean stop must keep everything, also
// where the disk goes; a kill and a loss of power what was acknowledged at `disk` and `bucket`; the loss of the disk what was
// acknowledged at `bucket`, and of the rest all that is older than the bound (bucketLosses.ts). What is lost is counted. A disk that
// comes back must name what is lost of it (bucketDisks.ts). Where a machine wakes up whose slots another one has taken,
// nobody is answered.

import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import {
  acknowledgedSurvive,
  type Fault,
  recordsAreWhole,
  restoredIsPrefix,
  type Shown,
  type Write,
} from "../core/invariants.ts";
import type { Durability } from "../types.ts";
import { Acks, readAcks, readTimes } from "./acks.ts";
import type { Breakage } from "./breakage.ts";
import { Disks } from "./bucketDisks.ts";
import { type Loss, Losses } from "./bucketLosses.ts";
import { Outages } from "./bucketOutage.ts";
import { type BucketPlace, FolderPlace } from "./bucketPlace.ts";
import { type BucketRound, planBucketRound } from "./bucketPlan.ts";
import { Positions } from "./bucketPositions.ts";
import { type Answer, Child, type End, type Ready } from "./child.ts";
import { Random } from "./random.ts";
import { canMakeSmallDisks } from "./smallDisk.ts";
import { oldestUnconfirmed } from "./uploadTimes.ts";
import { type BookName, Workload } from "./workload.ts";

/** What a run is made of. */
export interface BucketTortureOptions {
  readonly rounds: number;
  readonly seed: number;
  readonly broken?: Breakage;
  /** Where the bucket is; default: in a folder. It is closed at the end. */
  readonly place?: BucketPlace;
  /** Only rounds that this allows are made. */
  readonly only?: (round: BucketRound) => boolean;
  /** Changes a round that was drawn. */
  readonly change?: (round: BucketRound) => BucketRound;
  /** One line for each round. */
  readonly log?: (line: string) => void;
  /** Longest time of work in a usual round, in ms. */
  readonly workMs?: number;
}

/** What came of it. */
export interface BucketTortureResult {
  /** Sentences, empty when every promise was kept. */
  readonly violations: readonly string[];
  readonly rounds: number;
  /** Acknowledged writes by level, and those of them that were lost. */
  readonly acknowledged: Readonly<Record<Durability, number>>;
  readonly losses: readonly Loss[];
  /** Commits that disks which came back have named as lost. Count. */
  readonly named: number;
  /** Rounds by their end and the disk of the next, and by what was out. Counts. */
  readonly ends: Readonly<Record<string, number>>;
  /** Questions that a node answered with OVERLOADED while its bucket was away. Count. */
  readonly overloaded: number;
  /** Where everything lies, kept when something was violated. */
  readonly directory: string | undefined;
}

const KINDS = ["safe", "disk", "safe", "memory", "disk", "wide"];
const WORKERS = 12;
/** A process that does not get ready, and a node that does not serve again, in this time hangs. */
const READY_MS = 120_000;
/** How long a machine that woke up is asked, in ms. */
const HAUNT_MS = 500;
/** How long an outage goes on that the start of a process meets, in ms. */
const OUTLASTS_MS = 1_500;
/** What may be answered while the bucket is in trouble, and for a moment behind it. */
const PASSES = new Set(["OVERLOADED", "BUCKET_FAILED", "DISK_FULL"]);
/** What a start says that finds no bucket, an empty one, or no room. */
const REFUSALS = /BUCKET_FAILED|DATA_FOREIGN|DISK_FULL/;
const NOTHING: Answer = { heard: "nothing" };
const GRAVITY: readonly Fault[] = ["stop", "kill", "power", "disk-lost"];

/** Runs the rounds; stops at the first one that shows a violation. */
export async function tortureBucket(options: BucketTortureOptions): Promise<BucketTortureResult> {
  const harness = new Harness(options);
  try {
    return await harness.run();
  } finally {
    harness.clean();
  }
}

class Harness {
  readonly #o: BucketTortureOptions;
  readonly #random: Random;
  readonly #folder = fs.mkdtempSync(path.join(os.tmpdir(), "frond-torture-bucket-"));
  readonly #place: BucketPlace;
  readonly #positions: Positions;
  readonly #disks: Disks;
  readonly #outages: Outages;
  readonly #books: BookName[];
  readonly #violations: string[] = [];
  readonly #acknowledged: Record<Durability, number> = { memory: 0, disk: 0, bucket: 0 };
  readonly #losses = new Losses();
  readonly #ends: Record<string, number> = {};
  #boot = 1;
  #shown: Shown[] = [];
  #writes: Write[] = [];
  #times = new Map<string, number>();
  #started = 0;
  /** The gravest thing that happened since the last work, when it began, and how old what it takes may be. */
  #fault: Fault = "stop";
  #faultAt = 0;
  #boundMs: number | undefined;
  #child: Child | undefined;
  /** A process that is held while another one takes over. */
  #ghost: Child | undefined;

  constructor(options: BucketTortureOptions) {
    this.#o = options;
    const random = new Random(options.seed);
    this.#random = random;
    const small = canMakeSmallDisks();
    this.#place = options.place ?? new FolderPlace(path.join(this.#folder, "store"), small && random.chance(0.5));
    const place = this.#place;
    this.#positions = new Positions(() => place.open());
    this.#disks = new Disks(this.#folder, () => small && random.chance(0.5));
    this.#outages = new Outages({ place, random: random.fork(), disks: this.#disks });
    const count = random.between(12, 36);
    this.#books = Array.from({ length: count }, (_, i) => ({ kind: KINDS[i % KINDS.length] as string, name: `b${i}` }));
  }

  async run(): Promise<BucketTortureResult> {
    let rounds = 0;
    while (rounds < this.#o.rounds && this.#violations.length === 0) {
      rounds += 1;
      const round = this.#plan();
      const what = await this.#round(round, rounds);
      const name = `${round.end}, ${round.next} disk`;
      const out = round.outage === undefined || round.end === "kill in start" ? undefined : round.outage.what;
      for (const key of [name, out ?? ""]) if (key !== "") this.#ends[key] = (this.#ends[key] ?? 0) + 1;
      const hasty = round.hastyMs === undefined ? "     " : "hasty";
      this.#o.log?.(
        `round ${rounds}/${this.#o.rounds}  ${name.padEnd(24)} ${round.trouble.padEnd(8)} ${hasty} ${what}`,
      );
    }
    if (this.#violations.length === 0) await this.#finish();
    for (const violation of this.#violations) this.#o.log?.(`  ${violation}`);
    return {
      violations: this.#violations,
      rounds,
      acknowledged: this.#acknowledged,
      losses: this.#losses.all,
      named: [...this.#disks.named.values()].flat().length,
      ends: this.#ends,
      overloaded: this.#outages.overloaded,
      directory: this.#violations.length > 0 && this.#o.broken === undefined ? this.#folder : undefined,
    };
  }

  /** Ends what still runs; keeps the files when they show something. */
  clean(): void {
    this.#ghost?.kill();
    this.#child?.kill();
    if (this.#violations.length > 0 && this.#o.broken === undefined) return;
    this.#place.close();
    this.#disks.clear();
    fs.rmSync(this.#folder, { recursive: true, force: true });
  }

  #plan(): BucketRound {
    const { only, change, workMs = 800 } = this.#o;
    for (;;) {
      const round = planBucketRound(this.#random.fork(), workMs, this.#outages.kinds);
      if (only === undefined || only(round)) return change === undefined ? round : change(round);
    }
  }

  /** Of the last process; one that was held may write into its own still. */
  get #timesFile(): string {
    return path.join(this.#folder, `uploads-${this.#started}`);
  }

  #start(round: BucketRound): Child {
    const { ttlMs, faults, hastyMs, logFileBytes, localLogBytes, maxOpenCells, power, dieAt, outage } = round;
    const { broken } = this.#o;
    this.#started += 1;
    // The real thread is under torture too: in rounds of which nothing else is asked.
    const isReal = broken === undefined && faults === undefined && hastyMs === undefined && outage !== undefined;
    const child = new Child({
      directory: this.#disks.directory,
      boot: `boot-${this.#boot}`,
      seed: this.#random.between(1, 2 ** 31),
      power,
      dieAt,
      logFileBytes,
      ...(localLogBytes !== undefined && { localLogBytes }),
      maxOpenCells,
      broken,
      bucket: {
        spec: this.#place.spec,
        ttlMs,
        ...(faults && { faults }),
        ...(hastyMs && { hastyMs }),
        ...(!isReal && { times: this.#timesFile }),
      },
    });
    this.#child = child;
    return child;
  }

  /** Starts a process where an outage goes on: it may say so and end, or wait, or serve. */
  async #startInOutage(round: BucketRound): Promise<Child> {
    const child = this.#start(round);
    if (this.#outages.now === undefined) return child;
    await Promise.race([sleep(this.#random.between(0, OUTLASTS_MS)), child.ended]);
    this.#violations.push(...this.#outages.end());
    if (!child.over) return child;
    const end = await child.ended;
    if (!REFUSALS.test(end.output)) this.#violations.push(`start in an outage: ${endText(end)}`);
    return this.#start(round);
  }

  async #round(round: BucketRound, number: number): Promise<string> {
    const child = await this.#startInOutage(round);
    if (round.end === "kill in start") {
      await Promise.race([sleep(this.#random.between(50, 1_500)), child.ended]);
      child.kill();
      await this.#ended(child, true);
      this.#bury();
      this.#over("kill", round, Date.now());
      return "not served";
    }
    const ready = await this.#ready(child, round);
    if (ready === undefined) {
      this.#bury();
      this.#over("kill", round, Date.now());
      return "did not start";
    }
    const seen = await this.#check(child, ready);
    if (this.#violations.length > 0) return seen;
    const acks = new Acks(path.join(this.#folder, "acks"));
    const books = round.quiet ? this.#books.filter(({ kind }) => kind !== "safe") : this.#books;
    const { heavy, raised } = round;
    const random = this.#random.fork();
    const workload = new Workload({ child, acks, books, random, label: `r${number}`, heavy, raised });
    const running = workload.run(WORKERS);
    this.#disks.work();
    child.order("work");
    const haunted = this.#haunt(number);
    await this.#work(child, round, workload, books);
    await haunted;
    if (this.#violations.length === 0) await this.#end(child, round, workload);
    child.hangUp();
    workload.stop();
    await running;
    await acks.close();
    this.#writes = readAcks(acks.file);
    this.#times = readTimes(acks.file);
    this.#violations.push(...workload.unexpected.map((text) => `answer: ${text}`));
    const told = this.#writes.filter((write) => write.outcome === "acknowledged");
    for (const { level } of told) this.#acknowledged[level] += 1;
    const out = round.outage === undefined ? "" : `, ${round.outage.what} for ${round.outage.ms} ms`;
    return `${seen}; ${told.length} of ${this.#writes.length} writes acknowledged, ${workload.refused} refused${out}`;
  }

  /** Waits until the process serves. One that ends before, or hangs, is a violation, unless it says that its bucket failed. */
  async #ready(child: Child, { faults }: BucketRound): Promise<Ready | undefined> {
    const timeout = new AbortController();
    const hangs = sleep(READY_MS, undefined, { signal: timeout.signal }).catch(() => undefined);
    const ready = await Promise.race([child.ready, child.ended, hangs]);
    timeout.abort();
    if (ready !== undefined && "what" in ready) return ready;
    if (faults?.from === "start" && ready?.output.includes("BUCKET_FAILED")) return undefined;
    const how = ready === undefined ? `the process hangs: ${child.output.trim()}` : endText(ready);
    this.#violations.push(`start: ${how}`);
    return undefined;
  }

  async #check(child: Child, ready: Ready): Promise<string> {
    for (const { kind, file, offset, text } of ready.reports) {
      const lost = text.includes("kept in lost+found");
      if (kind === "damage" && !lost) this.#violations.push(`start: ${file} at ${offset}: ${text}`);
    }
    const shown = await this.#look(child);
    if (shown === undefined) return "";
    const [before, writes, fault] = [this.#shown, this.#writes, this.#fault];
    const [times, faultAt, boundMs] = [this.#times, this.#faultAt, this.#boundMs];
    this.#disks.shown(writes, shown);
    this.#violations.push(
      ...acknowledgedSurvive(writes, shown, fault),
      ...restoredIsPrefix(before, writes, shown),
      ...recordsAreWhole(writes, shown),
      ...this.#disks.check(),
      ...(await this.#positions.check([...this.#disks.named.values()].flat())),
      ...this.#losses.count({ writes, shown, fault, times, faultAt, boundMs }),
    );
    const entries = shown.reduce((sum, cell) => sum + cell.counter, 0);
    this.#shown = shown;
    this.#writes = [];
    this.#fault = "stop";
    this.#faultAt = 0;
    return `run ${ready.run} after ${fault}: ${entries} entries, ${this.#losses.all.length} lost so far`;
  }

  /** What every book shows. One that cannot be read is a violation. */
  async #look(child: Child): Promise<Shown[] | undefined> {
    const shown: Shown[] = [];
    const calls = [...this.#books];
    const reader = async (): Promise<void> => {
      for (let book = calls.pop(); book !== undefined; book = calls.pop()) {
        const value = await this.#patiently(child, { ...book, verb: "show", args: [] });
        if (value !== undefined) shown.push(value as Shown);
      }
    };
    await Promise.all([reader(), reader(), reader(), reader()]);
    if (shown.length === this.#books.length) return shown;
    if (this.#violations.length === 0) this.#violations.push("check: not every cell could be read");
    return undefined;
  }

  /** Calls until it is answered; with a bucket in trouble that may take a while. Undefined, and a violation: never. */
  async #patiently(child: Child, call: Parameters<Child["call"]>[0]): Promise<unknown> {
    const until = Date.now() + READY_MS;
    let said = "nothing";
    for (;;) {
      const late = sleep(Math.max(1, until - Date.now()), undefined, { ref: false });
      const answer = (await Promise.race([child.call(call), late])) ?? NOTHING;
      if (answer.heard === "value") return answer.value;
      if (answer.heard === "error") said = `${answer.code}: ${answer.message}`;
      const waits = answer.heard === "nothing" || PASSES.has(answer.code);
      if (child.over || Date.now() > until || !waits) {
        const end = child.over ? `; ${endText(await child.ended)}` : "";
        this.#violations.push(`${JSON.stringify(call)} is answered with ${said}${end}`);
        return undefined;
      }
      await sleep(20);
    }
  }

  /** The time of work, with an outage in the middle of it. */
  async #work(child: Child, round: BucketRound, workload: Workload, books: readonly BookName[]): Promise<void> {
    const { workMs, outage, end, ttlMs } = round;
    await Promise.race([sleep(workMs), child.ended]);
    if (outage === undefined || end === "kill in outage" || child.over) return;
    const watched = { child, workload, books, ttlMs };
    this.#violations.push(...(await this.#outages.meet(outage.what, outage.ms, watched, READY_MS)));
    if (!child.over) await Promise.race([sleep(workMs / 2), child.ended]);
  }

  /** The machine that slept wakes up beside the one that took over: it may answer nobody. */
  async #haunt(number: number): Promise<void> {
    const ghost = this.#ghost;
    // However often it is asked, the rounds behind it are drawn as the seed says.
    const random = this.#random.fork();
    if (ghost === undefined) return;
    ghost.hold(false);
    const until = Date.now() + HAUNT_MS;
    for (let i = 0; Date.now() < until && !ghost.over; i++) {
      const book = random.pick(this.#books);
      const call = i % 2 === 0 ? { verb: "newest", args: [] } : { verb: "add", args: [`ghost-${number}-${i}`, 1] };
      const timer = setTimeout(() => ghost.hangUp(), HAUNT_MS);
      const answer = await ghost.call({ ...book, ...call });
      clearTimeout(timer);
      if (answer.heard === "value") {
        const told = `${call.verb} of ${book.kind}/${book.name} by a node of which another had taken over`;
        this.#violations.push(`I9: ${told} was answered with ${JSON.stringify(answer.value)}`);
        break;
      }
      await sleep(5);
    }
    this.#bury();
  }

  #bury(): void {
    this.#ghost?.kill();
    this.#ghost = undefined;
  }

  async #end(child: Child, round: BucketRound, workload: Workload): Promise<void> {
    const { end, outage } = round;
    if (end === "power") {
      // It may have gone by itself.
      const at = child.over ? child.overAt : Date.now();
      child.order("die");
      await this.#ended(child, true);
      this.#boot += 1;
      this.#disks.losePower(this.#random);
      return this.#over("power", round, at);
    }
    if (child.over) return this.#ended(child, false);
    if (end === "hold") {
      const at = Date.now();
      child.hold(true);
      this.#ghost = child;
      return this.#over("kill", { ...round, next: "new" }, at);
    }
    if (end === "stop") {
      if (this.#random.chance(0.5)) workload.stop();
      const at = Date.now();
      child.order("stop");
      await this.#ended(child, false);
      // Where the bucket answers, its end is in there: another disk has everything too.
      return this.#over(round.trouble === "none" ? "stop" : "kill", round, at);
    }
    if (end === "kill in outage" && outage !== undefined) {
      this.#outages.begin(outage.what);
      await Promise.race([sleep(this.#random.between(0, outage.ms)), child.ended]);
    }
    const at = Date.now();
    child.kill();
    await this.#ended(child, true);
    // The full disk is this one; and one that is empty takes a folder that is not there for a bucket to be made.
    const isOfDisk = this.#outages.now === "full disk" || this.#outages.now === "gone";
    const outlasts = round.outlasts && (!isOfDisk || round.next === "same");
    if (!outlasts) this.#violations.push(...this.#outages.end());
    this.#over("kill", round, at);
  }

  /** A life is over: what it ended by, and on which disk the next one begins. */
  #over(by: Fault, { next, trouble, outage }: BucketRound, at: number): void {
    const changes = next === "new" || (next === "old" && this.#disks.hasOld);
    const fault = changes && by !== "stop" ? "disk-lost" : by;
    if (GRAVITY.indexOf(fault) > GRAVITY.indexOf(this.#fault)) this.#fault = fault;
    // What was not lost by an earlier fault is as old as that one.
    if (this.#faultAt === 0) {
      this.#faultAt = at;
      const isCalm = outage === undefined && (trouble === "none" || trouble === "latency");
      this.#boundMs = isCalm ? oldestUnconfirmed(this.#timesFile, at) : undefined;
    }
    if (changes) this.#disks.change(next, this.#random);
  }

  async #ended(child: Child, killed: boolean): Promise<void> {
    const end = await child.ended;
    const asked = (killed && end.signal === "SIGKILL") || (end.code === 0 && end.signal === null);
    if (!asked) this.#violations.push(`end: ${endText(end)}`);
  }

  /** The last words: everything is there on an empty disk, after a clean stop. */
  async #finish(): Promise<void> {
    const quiet = { end: "stop", next: "new", trouble: "none", faults: undefined, outage: undefined } as const;
    for (let i = 0; i < 2 && this.#violations.length === 0; i++) {
      const round: BucketRound = { ...this.#plan(), ...quiet, power: false, dieAt: undefined, ttlMs: 900 };
      const child = await this.#startInOutage(round);
      const ready = await this.#ready(child, round);
      if (ready === undefined) return;
      this.#o.log?.(`at the end  ${await this.#check(child, ready)}`);
      this.#bury();
      child.order("stop");
      await this.#ended(child, false);
      this.#over("stop", round, Date.now());
    }
  }
}

function endText(end: End): string {
  return `the process ended by itself, code ${end.code}, signal ${end.signal}: ${end.output.trim()}`;
}
