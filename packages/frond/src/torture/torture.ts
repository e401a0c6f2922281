// Torture: a real node with real cells is killed again and again, and after each start everything that it ever promised
// is compared with what it shows.
//
// Rule: the harness believes nothing that the node says about itself. It holds what clients were told (acks.ts) against what
// the cells list, and reads the log with a scan of its own. There are two loads: books (workload.ts), and actors that run
// random scripts (stage.ts). A broken build, made through the seams of the node, must be
// caught by this same harness: that is how the harness itself is tested.
// How: a round is start, check, work, end. Ends: a kill in the middle of work, of a start, of a check or of a stop; a loss
// of power, after which files that were not synced hold anything; a clean stop.

import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import {
  acknowledgedSurvive,
  type Fault,
  recordsAreWhole,
  restoredIsPrefix,
  sequencesRise,
  shownIsLogged,
  type Shown,
  type Write,
} from "../core/invariants.ts";
import { Acks, readAcks } from "./acks.ts";
import type { ActorCall } from "./app.ts";
import type { BookCall } from "./books.ts";
import { Child, type End, type Ready } from "./child.ts";
import type { Breakage } from "./breakage.ts";
import { Logbook } from "./logbook.ts";
import { type FaultKind, planRound, type RoundPlan } from "./plan.ts";
import { Random } from "./random.ts";
import type { ActorShown } from "./script.ts";
import { keepCopy, vandalise } from "./vandal.ts";
import { Stage } from "./stage.ts";
import { type BookName, Workload } from "./workload.ts";

/** What a run of the torture is made of. */
export interface TortureOptions {
  readonly rounds: number;
  readonly seed: number;
  /** `kill`: the machine stays up. `power`: it does not. `both`: as the seed says, round by round. */
  readonly fault: FaultKind;
  readonly broken?: Breakage;
  /** Which cells are worked on; default: both. */
  readonly load?: LoadKind;
  /** One line for each round. */
  readonly log?: (line: string) => void;
  /** Longest time of work in a round, in ms. */
  readonly workMs?: number;
}

/** The cells of a run of the torture. */
export type LoadKind = "books" | "actors" | "both";

/** What came of it. */
export interface TortureResult {
  /** Sentences, empty when every promise was kept. */
  readonly violations: readonly string[];
  /** Rounds until the first violation, or all. */
  readonly rounds: number;
  readonly acknowledged: number;
  /** Writes that answers of actors named, each time. Count. */
  readonly told: number;
  readonly records: number;
  readonly logFiles: number;
  /** Files of cells that were broken on purpose. */
  readonly vandalised: number;
  /** Rounds by the way they ended. */
  readonly ends: Readonly<Record<string, number>>;
  /** The data directory, kept when something was violated. */
  readonly directory: string | undefined;
}

/** Calls at once, by load. Count. */
const WORKERS: Readonly<Record<LoadKind, { readonly books: number; readonly actors: number }>> = {
  books: { books: 12, actors: 0 },
  actors: { books: 0, actors: 12 },
  both: { books: 8, actors: 8 },
};
const KINDS = ["disk", "disk", "memory", "wide"];
/** A process that does not get ready in this time hangs. */
const READY_MS = 60_000;

/** Runs the rounds; stops at the first one that shows a violation. */
export async function torture(options: TortureOptions): Promise<TortureResult> {
  const harness = new Harness(options);
  try {
    return await harness.run();
  } finally {
    harness.clean();
  }
}

class Harness {
  readonly #o: TortureOptions;
  readonly #random: Random;
  readonly #folder = fs.mkdtempSync(path.join(os.tmpdir(), "frond-torture-"));
  readonly #directory = path.join(this.#folder, "data");
  readonly #older = path.join(this.#folder, "older");
  readonly #books: BookName[];
  readonly #stage: Stage;
  readonly #logbook = new Logbook(this.#directory);
  readonly #violations: string[] = [];
  readonly #ends: Record<string, number> = {};
  #boot = 1;
  #acknowledged = 0;
  #vandalised = 0;
  /** What the last check saw, and what was sent since: by one round of work, which `#fault` ended. */
  #shown: Shown[] = [];
  #writes: Write[] = [];
  #fault: Fault = "stop";
  #child: Child | undefined;

  constructor(options: TortureOptions) {
    this.#o = options;
    this.#random = new Random(options.seed);
    const count = this.#random.between(20, 60);
    this.#books = Array.from({ length: count }, (_, i) => ({ kind: KINDS[i % KINDS.length] as string, name: `b${i}` }));
    this.#stage = new Stage(this.#folder, this.#random.fork());
  }

  get #load(): LoadKind {
    return this.#o.load ?? "both";
  }

  async run(): Promise<TortureResult> {
    let rounds = 0;
    while (rounds < this.#o.rounds && this.#violations.length === 0) {
      rounds += 1;
      const plan = this.#plan();
      this.#ends[plan.end] = (this.#ends[plan.end] ?? 0) + 1;
      const what = await this.#round(plan, rounds);
      this.#o.log?.(`round ${rounds}/${this.#o.rounds}  ${plan.end.padEnd(13)}  ${what}`);
    }
    if (this.#violations.length === 0) await this.#finish();
    for (const violation of this.#violations) this.#o.log?.(`  ${violation}`);
    return {
      violations: this.#violations,
      rounds,
      acknowledged: this.#acknowledged,
      told: this.#stage.told,
      records: this.#logbook.records.length,
      logFiles: this.#logbook.files,
      vandalised: this.#vandalised,
      ends: this.#ends,
      directory: this.#violations.length > 0 ? this.#directory : undefined,
    };
  }

  /** Ends what still runs; keeps the files when they show something. */
  clean(): void {
    this.#child?.kill();
    if (this.#violations.length === 0 || this.#o.broken !== undefined)
      fs.rmSync(this.#folder, { recursive: true, force: true });
  }

  #plan(): RoundPlan {
    const { fault, broken, workMs = 600 } = this.#o;
    return planRound(this.#random, { directory: this.#directory, boot: `boot-${this.#boot}`, fault, broken, workMs });
  }

  async #round(plan: RoundPlan, number: number): Promise<string> {
    const child = new Child(plan.config);
    this.#child = child;
    if (plan.end === "kill in start") {
      await Promise.race([child.opening, child.ended]);
      await sleep(this.#random.between(0, 30));
      return this.#kill(child, "not served");
    }
    const ready = await this.#ready(child);
    if (ready === undefined) return "did not start";
    if (plan.end === "kill in check") {
      const check = this.#show(child);
      await sleep(this.#random.between(0, 30));
      child.kill();
      await check;
      return this.#kill(child, "not checked");
    }
    const problems = await this.#check(child, ready);
    if (this.#violations.length > 0) return problems;
    return `${problems}; ${await this.#work(child, plan, number)}`;
  }

  /** Waits until the process serves. One that ends before, or hangs, is a violation. */
  async #ready(child: Child): Promise<Ready | undefined> {
    const timeout = new AbortController();
    const hangs = sleep(READY_MS, undefined, { signal: timeout.signal }).catch(() => undefined);
    const ready = await Promise.race([child.ready, child.ended, hangs]);
    timeout.abort();
    if (ready !== undefined && "what" in ready) return ready;
    this.#violations.push(ready === undefined ? "start: the process hangs" : `start: ${endText(ready)}`);
    return undefined;
  }

  async #check(child: Child, ready: Ready): Promise<string> {
    for (const report of ready.reports) {
      if (report.kind === "damage") this.#violations.push(`start: ${report.file} at ${report.offset}: ${report.text}`);
    }
    const actors = await this.#showActors(child);
    const shown = actors && (await this.#show(child));
    if (actors === undefined || shown === undefined) {
      this.#violations.push("check: not every cell could be read");
      return "";
    }
    const [before, writes, fault] = [this.#shown, this.#writes, this.#fault];
    this.#violations.push(
      ...acknowledgedSurvive(writes, shown, fault),
      ...restoredIsPrefix(before, writes, shown),
      ...recordsAreWhole(writes, shown),
      ...this.#logbook.readBefore(ready.run),
      ...sequencesRise(this.#logbook.records),
      ...shownIsLogged(shown, this.#logbook.records),
      ...this.#stage.judge(actors, fault, this.#logbook.records),
    );
    this.#shown = shown;
    this.#writes = [];
    this.#fault = "stop";
    const entries = [...shown.map((cell) => cell.counter), ...actors.map((cell) => cell.rows.length)].reduce(
      (sum, count) => sum + count,
      0,
    );
    const torn = ready.reports.length > 0 ? `, ${ready.reports.length} torn` : "";
    return `run ${ready.run}: ${entries} entries, ${this.#logbook.records.length} records${torn}`;
  }

  #show(child: Child): Promise<Shown[] | undefined> {
    const calls = this.#load === "actors" ? [] : this.#books.map((book) => ({ ...book, verb: "show", args: [] }));
    return this.#look(child, calls);
  }

  #showActors(child: Child): Promise<ActorShown[] | undefined> {
    const cast = this.#load === "books" ? [] : this.#stage.cast;
    return this.#look(
      child,
      cast.map((show) => ({ show })),
    );
  }

  /** What every cell shows; undefined when the process ended meanwhile. A cell that cannot be read is a violation. */
  async #look<T>(child: Child, calls: (BookCall | ActorCall)[]): Promise<T[] | undefined> {
    const shown: T[] = [];
    let whole = true;
    const reader = async (): Promise<void> => {
      for (let call = calls.pop(); call !== undefined; call = calls.pop()) {
        const answer = await child.call(call);
        if (answer.heard === "value") shown.push(answer.value as T);
        else whole = false;
        if (answer.heard === "error") {
          this.#violations.push(`${JSON.stringify(call)} is answered with ${answer.code}: ${answer.message}`);
        }
      }
    };
    await Promise.all([reader(), reader(), reader(), reader()]);
    return whole ? shown : undefined;
  }

  async #work(child: Child, plan: RoundPlan, number: number): Promise<string> {
    const acks = new Acks(path.join(this.#folder, "acks"));
    const random = this.#random.fork();
    const label = `r${number}`;
    const workload = new Workload({ child, acks, books: this.#books, random, label, heavy: plan.heavy });
    const scripts = this.#stage.load(child, this.#random.fork(), label);
    const { books, actors } = WORKERS[this.#load];
    const running = Promise.all([workload.run(books), scripts.run(actors)]);
    const stop = (): void => {
      workload.stop();
      scripts.stop();
    };
    if (plan.end === "power") await Promise.race([sleep(plan.workMs * 3), child.ended]);
    else await sleep(plan.workMs);
    await this.#end(child, plan, stop);
    await running;
    await acks.close();
    this.#writes = readAcks(acks.file);
    const unexpected = workload.unexpected.map((text) => `answer: ${text}`);
    this.#violations.push(...unexpected, ...(await this.#stage.over(scripts)));
    const acknowledged = this.#writes.filter((write) => write.outcome === "acknowledged").length;
    this.#acknowledged += acknowledged;
    return `${acknowledged} of ${this.#writes.length} writes acknowledged, ${scripts.answered} scripts answered`;
  }

  async #end(child: Child, plan: RoundPlan, stop: () => void): Promise<void> {
    this.#fault = plan.end === "power" ? "power" : plan.end === "stop" ? "stop" : "kill";
    if (plan.end === "power") {
      child.order("die");
      await this.#ended(child, true);
      return this.#afterPower();
    }
    if (plan.end === "kill") {
      child.kill();
      await this.#ended(child, true);
      return;
    }
    if (this.#random.chance(0.5)) stop();
    child.order("stop");
    if (plan.end === "kill in stop") {
      await Promise.race([sleep(this.#random.between(0, 40)), child.ended]);
      child.kill();
    }
    await this.#ended(child, plan.end === "kill in stop");
    // A stopped machine may be switched off.
    if (plan.end === "stop" && this.#random.chance(0.5)) this.#boot += 1;
  }

  async #kill(child: Child, what: string): Promise<string> {
    child.kill();
    await this.#ended(child, true);
    return what;
  }

  async #ended(child: Child, killed: boolean): Promise<void> {
    const end = await child.ended;
    const asked = (killed && end.signal === "SIGKILL") || (end.code === 0 && end.signal === null);
    if (!asked) this.#violations.push(`end: ${endText(end)}`);
  }

  #afterPower(): void {
    this.#boot += 1;
    if (this.#random.chance(0.3)) keepCopy(this.#directory, this.#older);
    this.#vandalised += vandalise(this.#directory, this.#older, this.#random.fork());
  }

  /** The last words: everything is there after a clean stop too, and on another boot of the machine. */
  async #finish(): Promise<void> {
    for (let i = 0; i < 2; i++) {
      const child = new Child({ ...this.#plan().config, power: false, dieAt: undefined, broken: undefined });
      this.#child = child;
      const ready = await this.#ready(child);
      if (ready === undefined) return;
      this.#o.log?.(`at the end  ${await this.#check(child, ready)}`);
      child.order("stop");
      await this.#ended(child, false);
      this.#boot += 1;
    }
  }
}

function endText(end: End): string {
  return `the process ended by itself, code ${end.code}, signal ${end.signal}: ${end.output.trim()}`;
}
