// A small deterministic world for the decisions of the bucket side: a bucket in memory whose requests are lost, late or
// answered with an error, machines whose clocks stop, and an observer who sees everything and notes what must not be.
//
// Rule: one seed decides one history. The observer knows the truth (what really stands in the bucket, what really was
// acknowledged, which clocks stood) and asks no machine for its opinion.

import type { Covered, SlotRecord, Source } from "../../src/core/claiming.ts";
import { uncovered } from "../../src/core/claiming.ts";
import type { Clocks } from "../../src/core/lease.ts";
import type { LogListing } from "../../src/core/runLog.ts";
import { LEASE_TTL_MS } from "../../src/limits.ts";
import { Random } from "../../src/torture/random.ts";
import type { Epoch, Lsn, RunId, Seq } from "../../src/types.ts";

export const TTL = LEASE_TTL_MS;
/** Faults happen up to here, then the world is left alone up to its end; in ms. */
export const FAULTS_MS = 100_000;
export const QUIET_MS = 90_000;

/** One deliberate mistake in what drives the machines, or in a machine. */
export type Broken =
  | "no seal"
  | "seal behind the highest"
  | "seal removed by clean-up"
  | "deletes before the base is raised"
  | "exists after unknown is a defeat"
  | "unknown is created"
  | "a lapsed run renews"
  | "lease removed before the tail is uploaded"
  | "nobody renews for a tail"
  | "serves while the claim is open"
  | "newer owners are not listed";

export interface Segment {
  readonly is: "segment";
  readonly intent: number;
  readonly from: Lsn;
  readonly to: Lsn;
  readonly ids: readonly number[];
}
export interface Seal {
  readonly is: "seal";
  readonly intent: number;
}
export interface Ownership extends SlotRecord {
  readonly is: "slot";
  readonly intent: number;
}
export interface Checkpoint {
  readonly is: "checkpoint";
  readonly covered: Covered;
  readonly ids: readonly number[];
}
export type Stored = Segment | Seal | Ownership | Checkpoint | { readonly is: "mark"; readonly mark: string };

const digits = (n: number): string => String(n).padStart(10, "0");
export const keys = {
  log: (run: RunId, seq: number) => `log/${run}/${digits(seq)}`,
  base: (run: RunId, seq: number) => `log/${run}/base-${digits(seq)}`,
  lease: (run: RunId) => `node/${run}`,
  slot: (epoch: number) => `slot/${digits(epoch)}`,
  checkpoint: (epoch: number, n: number) => `checkpoint/${digits(epoch)}-${digits(n)}`,
};

/** How often requests fail while faults last. */
export interface Faults {
  readonly lost: number;
  readonly late: number;
  readonly error: number;
  /** The longest that a request takes when nothing goes wrong, in ms. */
  readonly slowMs: number;
}

/** Time, chance and the bucket. */
export class World {
  now = 0;
  readonly random: Random;
  readonly broken: Broken | undefined;
  readonly observer: Observer;
  readonly bucket = new Map<string, Stored>();
  /** Only latency, crashes with the disk and quick restarts: then no tail may be lost. */
  readonly calm: boolean;
  /** How likely a machine stands still at any mishap. */
  readonly freezes: number;
  readonly #faults: Faults;
  readonly #queue: { at: number; n: number; run: () => void }[] = [];
  #n = 0;

  constructor(seed: number, broken: Broken | undefined) {
    this.random = new Random(seed);
    this.broken = broken;
    this.calm = this.random.chance(0.25);
    this.freezes = this.random.pick([0.01, 0.03, 0.08]);
    const much = this.random.pick([0.02, 0.1, 0.25]);
    this.#faults = this.calm
      ? { lost: 0, late: 0, error: 0, slowMs: 200 }
      : { lost: much, late: much / 2, error: much, slowMs: this.random.pick([50, 300, 2_500]) };
    this.observer = new Observer(this);
  }

  get isFaulty(): boolean {
    return this.now < FAULTS_MS;
  }

  unique(): number {
    this.#n += 1;
    return this.#n;
  }

  after(ms: number, run: () => void): void {
    const entry = { at: this.now + Math.max(0, ms), n: this.unique(), run };
    let low = 0;
    let high = this.#queue.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      const other = this.#queue[middle] as typeof entry;
      if (other.at > entry.at || (other.at === entry.at && other.n > entry.n)) low = middle + 1;
      else high = middle;
    }
    this.#queue.splice(low, 0, entry);
  }

  runUntil(end: number): void {
    for (let next = this.#queue.at(-1); next !== undefined && next.at <= end; next = this.#queue.at(-1)) {
      this.#queue.pop();
      this.now = next.at;
      next.run();
      if (this.observer.problems.length > 0) return;
    }
    this.now = end;
  }

  /** Sends a request; its effect and its reply happen when they happen, `failed` for a reply that tells nothing. */
  request<T>(reachable: boolean, slowMs: number, effect: () => T, reply: (answer: T | "failed") => void): void {
    const { random } = this;
    const { lost, late, error, slowMs: usual } = this.#faults;
    const took = slowMs + random.between(5, this.isFaulty ? usual : 50);
    const deadline = TTL / 3;
    const fail = (ms: number): void => this.after(ms, () => reply("failed"));
    if (!reachable) return fail(deadline);
    if (!this.isFaulty || random.chance(1 - lost - late - error)) {
      if (took > deadline) {
        this.after(took, effect);
        return fail(deadline);
      }
      return this.after(took / 2, () => {
        const answer = effect();
        this.after(took / 2, () => reply(answer));
      });
    }
    const share = random.next() * (lost + late + error);
    if (share < lost) {
      // The request or its answer is lost.
      if (random.chance(0.5)) this.after(took / 2, effect);
      fail(deadline);
    } else if (share < lost + late) {
      this.after(random.between(deadline, FAULTS_MS / 2), effect);
      fail(random.chance(0.5) ? deadline : took);
    } else {
      if (random.chance(0.3)) this.after(took / 2, effect);
      fail(took);
    }
  }

  create(key: string, stored: Stored): "created" | "exists" {
    if (this.bucket.has(key)) return "exists";
    this.bucket.set(key, stored);
    this.observer.landed(key, stored);
    return "created";
  }

  listLog(run: RunId): LogListing {
    const prefix = `log/${run}/`;
    let base = 1;
    const numbers: Seq[] = [];
    for (const key of this.bucket.keys()) {
      if (!key.startsWith(prefix)) continue;
      const name = key.slice(prefix.length);
      if (name.startsWith("base-")) base = Math.max(base, Number(name.slice(5)));
      else numbers.push(Number(name) as Seq);
    }
    return { base: base as Seq, numbers: numbers.toSorted((a, b) => a - b) };
  }

  newestSlot(): Ownership | undefined {
    return this.#highest("slot/") as Ownership | undefined;
  }

  /** The newest of this epoch or an earlier one. */
  newestCheckpoint(epoch = 1e9): Checkpoint | undefined {
    return this.#highest("checkpoint/", keys.checkpoint(epoch + 1, 0)) as Checkpoint | undefined;
  }

  #highest(prefix: string, below = "~"): Stored | undefined {
    let last = "";
    for (const key of this.bucket.keys()) if (key.startsWith(prefix) && key > last && key < below) last = key;
    return this.bucket.get(last);
  }

  /** What a reader of the slot sees at this moment: checkpoint, sources, and the log of the owner. */
  view(): Set<number> {
    const slot = this.newestSlot();
    return slot === undefined ? new Set() : this.viewOf(slot, (what) => this.observer.wrong(what));
  }

  /** The same through a record that need not be the newest: what its owner restores. */
  viewOf(slot: SlotRecord, wrong: (what: string) => void): Set<number> {
    const checkpoint = this.newestCheckpoint(slot.epoch);
    const ids = new Set(checkpoint?.ids);
    const own = { epoch: slot.epoch, run: slot.run, from: slot.from, to: Infinity as Seq };
    for (const source of uncovered([...slot.sources, own], checkpoint?.covered)) this.#read(source, ids, wrong);
    return ids;
  }

  #read(source: Source, ids: Set<number>, wrong: (what: string) => void): void {
    for (let seq: number = source.from; seq < source.to; seq++) {
      const object = this.bucket.get(keys.log(source.run, seq));
      if (object?.is !== "segment") {
        if (source.to !== Infinity) wrong(`a source lacks ${source.run} ${seq}: ${object?.is}`);
        return;
      }
      for (const id of object.ids) {
        if (ids.has(id)) wrong(`record ${id} stands twice, again in ${source.run} ${seq}`);
        ids.add(id);
      }
    }
  }
}

/** What is known of a run from outside. */
interface RunStory {
  /** The belief that its answered renewals give it, by its own clock. */
  until: number;
  /** It was seen beyond that. */
  lapsed: boolean;
}

/** Sees everything, and notes what breaks an invariant. */
export class Observer {
  readonly problems: string[] = [];
  readonly acked = new Set<number>();
  /** Records that were acknowledged at `disk` and whose disk is there. */
  readonly onDisk = new Set<number>();
  lastAckAt = 0;
  readonly #world: World;
  readonly #runs = new Map<RunId, RunStory>();
  readonly #numbers = new Map<RunId, number>();
  readonly #owners = new Map<number, RunId>();
  #epoch = 0;
  #served = 0;

  constructor(world: World) {
    this.#world = world;
  }

  wrong(what: string): void {
    this.problems.push(`${Math.round(this.#world.now)} ms: ${what}`);
  }

  /** An object was created. I3, as far as it can be seen in the bucket: numbers and epochs rise without gaps. */
  landed(key: string, stored: Stored): void {
    if (stored.is === "slot") {
      if (stored.epoch > this.#epoch + 1) this.wrong(`I3: epoch ${stored.epoch} after ${this.#epoch}`);
      this.#epoch = Math.max(this.#epoch, stored.epoch);
    }
    if (stored.is === "segment" || stored.is === "seal") {
      const [, run, name] = key.split("/") as [string, RunId, string];
      const last = this.#numbers.get(run) ?? 0;
      if (Number(name) > last + 1) this.wrong(`I3: ${key} after ${last}`);
      this.#numbers.set(run, Math.max(last, Number(name)));
    }
  }

  #story(run: RunId): RunStory {
    const story = this.#runs.get(run) ?? { until: -Infinity, lapsed: false };
    this.#runs.set(run, story);
    return story;
  }

  /** A renewal was answered well; both by the run's own clocks. */
  renewed(run: RunId, sent: Clocks, answered: Clocks): void {
    const story = this.#story(run);
    const clock = answered.monotonic;
    if (story.until > -Infinity && clock >= story.until) story.lapsed = true;
    const until = sent.monotonic + TTL - TTL / 6;
    const slept = Math.max(answered.wall - sent.wall, answered.boot - sent.boot) - (clock - sent.monotonic);
    // One that took longer than it is worth is none.
    if (clock < until && slept <= TTL / 3) story.until = Math.max(story.until, until);
  }

  /** A run begins to serve an epoch. I1: one owner. */
  owns(run: RunId, epoch: Epoch): void {
    const owner = this.#owners.get(epoch);
    if (owner !== undefined && owner !== run) this.wrong(`I1: ${run} serves epoch ${epoch} of ${owner}`);
    this.#owners.set(epoch, run);
  }

  /** A run writes. With clocks that run, nobody writes on an epoch when a later one is served. */
  serves(run: RunId, epoch: Epoch, clock: number, clocksRan: boolean): void {
    if (epoch < this.#served && clocksRan) this.wrong(`${run} serves epoch ${epoch} beside ${this.#served}`);
    this.#served = Math.max(this.#served, epoch);
    this.#believing(run, clock, "serves");
    const stored = this.#world.bucket.get(keys.slot(epoch)) as Ownership | undefined;
    if (stored !== undefined && stored.run !== run) this.wrong(`I1: ${run} serves epoch ${epoch} of ${stored.run}`);
    if (stored === undefined && epoch >= this.#epoch) this.wrong(`I1: ${run} serves epoch ${epoch}, which is nobody's`);
  }

  #believing(run: RunId, clock: number, what: string): void {
    const story = this.#story(run);
    if (clock >= story.until || story.lapsed) this.wrong(`I4: ${run} ${what} without its lease`);
  }

  /** A run acknowledges records at `bucket`. */
  acks(run: RunId, ids: readonly number[], clock: number): void {
    this.#believing(run, clock, "acknowledges");
    for (const id of ids) this.acked.add(id);
    this.lastAckAt = this.#world.now;
    this.look();
  }

  /** I4 and I5: what was acknowledged at `bucket` stands in what a reader sees, now and for ever. */
  look(): void {
    const view = this.#world.view();
    const gone = [...this.acked].filter((id) => !view.has(id));
    if (gone.length > 0) this.wrong(`I4: acknowledged and not to be seen: ${gone.join(" ")}`);
  }

  /** Faults have stopped long ago. I10: the slot is served; and in a calm world nothing of a disk was lost. */
  end(): void {
    this.look();
    const { now, calm } = this.#world;
    if (now - this.lastAckAt > QUIET_MS / 3) this.wrong(`I10: the last commit was at ${Math.round(this.lastAckAt)}`);
    if (!calm) return;
    const view = this.#world.view();
    // The owner is at work: what it has not uploaded yet is no loss.
    const newest = Math.max(...view, 0);
    const gone = [...this.onDisk].filter((id) => id < newest && !view.has(id));
    if (gone.length > 0) this.wrong(`a tail was lost though its holder was at work: ${gone.join(" ")}`);
  }
}
