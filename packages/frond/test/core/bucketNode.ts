// The executor of the bucket world: one machine (a computer with a disk) that runs one process at a time. It does what the
// machines of core/ ask for, in the order in which they ask, and decides nothing that they decide.

import { type ClaimEvent, Claiming, type ClaimStep, planSlotClaim, type SlotRecord } from "../../src/core/claiming.ts";
import { type Clocks, Lease, type LeaseEffect } from "../../src/core/lease.ts";
import {
  resumeBehind,
  resumeLog,
  type ResumeStep,
  RunLog,
  type RunLogEvent,
  type RunLogStep,
} from "../../src/core/runLog.ts";
import { Watching } from "../../src/core/watching.ts";
import type { Epoch, Lsn, RunId, Seq, Txid } from "../../src/types.ts";
import { asLogObject, Hands } from "./bucketHands.ts";
import { type Checkpoint, keys, type Stored, TTL, type World } from "./bucketWorld.ts";

/** What a disk keeps of a run whose log it has not seen to its end. */
interface Kept {
  readonly run: RunId;
  readonly ids: number[];
  known: { seq: Seq; lsn: Lsn };
  lease: Lease;
  log: RunLog | undefined;
  sealed: Seq | undefined;
  isTail: boolean;
  /** What is being created: the same at every repetition. */
  pending: Stored | undefined;
}

/** A slot that is served, or about to be. */
interface Served {
  readonly run: Kept;
  readonly epoch: Epoch;
  /** What the slot held when it was restored. */
  readonly before: readonly number[];
}

export class Machine {
  readonly #world: World;
  readonly #name: string;
  readonly #hands: Hands;
  #life = 0;
  #disk: Kept[] = [];
  #current: Kept | undefined;
  #served: Served | undefined;
  #claiming = false;
  #suspect: { run: RunId; watching: Watching } | undefined;
  #checkpoints = 0;

  constructor(world: World, name: string) {
    this.#world = world;
    this.#name = name;
    this.#hands = new Hands(world);
  }

  start(): void {
    this.#life = this.#hands.nextLife();
    for (const kept of this.#disk) this.#adopt(kept);
    this.#newRun();
    const every = (ms: number, run: () => void): void => {
      const again = (): void => {
        run();
        this.#hands.after(ms * (0.7 + this.#world.random.next() * 0.6), again);
      };
      this.#hands.after(ms * this.#world.random.next(), again);
    };
    every(250, () => this.#look());
    every(180, () => this.#write());
    every(300, () => this.#upload());
    every(TTL / 6, () => this.#own());
    every(2_500, () => this.#clean());
    every(600, () => this.#mishap());
  }

  // --- time and chance

  #mishap(): void {
    const { random, isFaulty, calm } = this.#world;
    if (!isFaulty) return;
    if (random.chance(calm ? 0.03 : 0.012)) this.#crash();
    else if (!calm && random.chance(this.#world.freezes)) this.#hands.freeze();
    else if (!calm && random.chance(0.02)) {
      this.#hands.reachable = false;
      this.#world.after(random.between(500, 3 * TTL), () => (this.#hands.reachable = true));
    }
  }

  #crash(loses = 0.4): void {
    const { random, calm } = this.#world;
    this.#hands.nextLife();
    this.#current = this.#served = this.#suspect = undefined;
    this.#claiming = false;
    if (!calm && random.chance(loses)) {
      for (const { ids } of this.#disk) for (const id of ids) this.#world.observer.onDisk.delete(id);
      this.#disk = [];
    }
    this.#world.after(calm ? random.between(50, TTL / 6) : random.between(50, 3 * TTL), () => this.start());
  }

  get #dropsTails(): boolean {
    const { broken } = this.#world;
    return broken === "lease removed before the tail is uploaded" || broken === "nobody renews for a tail";
  }

  // --- the run and its lease

  #newRun(): void {
    const run = `${this.#name}-${this.#world.unique()}` as RunId;
    const known = { seq: 1 as Seq, lsn: 0 as Lsn };
    const log = new RunLog({ ...known, ttlMs: TTL, adopted: false });
    const kept: Kept = {
      run,
      ids: [],
      known,
      lease: this.#newLease(0),
      log,
      sealed: undefined,
      isTail: false,
      pending: undefined,
    };
    this.#current = kept;
    this.#disk.push(kept);
  }

  #newLease(counter: number): Lease {
    return new Lease({ ttlMs: TTL, maxSyncMs: TTL, counter });
  }

  #believes(kept: Kept): boolean {
    return !kept.isTail && this.#hands.clocks.monotonic < kept.lease.believedUntil;
  }

  #look(): void {
    for (const kept of this.#disk) {
      if (kept.sealed !== undefined) continue;
      if (kept.isTail && this.#dropsTails) continue;
      this.#lease(kept, kept.lease, kept.lease.look(this.#hands.clocks, this.#hands.clocks.monotonic));
    }
  }

  #lease(kept: Kept, lease: Lease, effects: readonly LeaseEffect[], renewedAt = this.#hands.clocks): void {
    for (const effect of effects) {
      if (effect.do === "lapsed") this.#lapsed(kept, lease);
      else if (effect.do === "read on") this.#readOwn(kept, lease, effect.counter, 1, renewedAt);
      else {
        const sentAt = this.#hands.clocks;
        const mark = `${this.#name} ${this.#life} ${effect.counter}`;
        this.#hands.ask(
          () => void this.#world.bucket.set(keys.lease(kept.run), { is: "mark", mark }),
          (answer) => {
            if (answer !== "failed") this.#readOwn(kept, lease, effect.counter, 0, sentAt);
            else this.#lease(kept, lease, lease.answered(effect.counter, "failed", this.#hands.clocks));
          },
        );
      }
    }
  }

  #readOwn(kept: Kept, lease: Lease, counter: number, ahead: number, sentAt: Clocks): void {
    const seq = (kept.log?.seq ?? kept.known.seq) + ahead;
    this.#hands.ask(
      () => this.#world.bucket.get(keys.log(kept.run, seq)),
      (found) => {
        const saw =
          found === "failed" ? "failed" : found?.is === "segment" || found?.is === "seal" ? found.is : "nothing";
        const { clocks } = this.#hands;
        const counts = saw === "nothing" || (saw === "segment" && ahead > 0);
        if (counts && !kept.isTail) this.#world.observer.renewed(kept.run, sentAt, clocks);
        this.#lease(kept, lease, lease.answered(counter, saw, this.#hands.clocks), sentAt);
      },
    );
  }

  /** A lapse is final: the process goes on as a new run, and ends the log of this one. */
  #lapsed(kept: Kept, lease: Lease): void {
    if (lease !== kept.lease || kept.isTail) return;
    if (this.#world.broken === "a lapsed run renews") {
      kept.lease = this.#newLease(this.#world.unique() * 1_000);
      return;
    }
    kept.isTail = true;
    kept.lease = this.#newLease(this.#world.unique() * 1_000);
    this.#served = undefined;
    this.#newRun();
  }

  // --- the log

  #write(): void {
    const served = this.#served;
    if (served === undefined) return;
    this.#look();
    if (this.#served !== served || !this.#believes(served.run)) return;
    const { observer } = this.#world;
    observer.serves(served.run.run, served.epoch, this.#hands.clocks.monotonic, this.#hands.clocksRan);
    const id = this.#world.unique();
    served.run.ids.push(id);
    observer.onDisk.add(id);
  }

  #upload(): void {
    for (const kept of this.#disk) {
      const { log } = kept;
      if (log === undefined || !log.isResting) continue;
      const left = kept.ids.length - log.uploaded;
      const { monotonic } = this.#hands.clocks;
      if (left > 0) {
        const from = log.uploaded;
        const to = (from + this.#world.random.between(1, Math.min(left, 3))) as Lsn;
        kept.pending = { is: "segment", intent: this.#world.unique(), from, to, ids: kept.ids.slice(from, to) };
        this.#onLog(kept, log, log.append(from, to, monotonic));
      } else if (kept.isTail) {
        kept.pending = { is: "seal", intent: this.#world.unique() };
        this.#onLog(kept, log, log.seal(monotonic));
      }
    }
  }

  #onLog(kept: Kept, log: RunLog, step: RunLogStep): void {
    const world = this.#world;
    const tell = (event: RunLogEvent): void => {
      const before = log.confirmed;
      const next = log.on(event, { now: this.#hands.clocks.monotonic, believed: this.#believes(kept) });
      if (log.confirmed > before) {
        const ids = kept.ids.slice(before, log.confirmed);
        world.observer.acks(kept.run, ids, this.#hands.clocks.monotonic);
      }
      this.#onLog(kept, log, next);
    };
    switch (step.do) {
      case "create": {
        // A log that fails to keep up leaves a long tail: what calm worlds are about.
        const slow = world.calm && world.isFaulty && step.what === "segment" ? world.random.between(300, 1_500) : 0;
        this.#hands.create(keys.log(kept.run, step.seq), kept.pending as Stored, tell, slow);
        return;
      }
      case "read back":
        return this.#hands.readBack(keys.log(kept.run, step.seq), kept.pending as Stored, asLogObject, tell);
      case "pause":
        return this.#hands.pause(step.tries, () => tell({ saw: "waited" }));
      case "read base":
        return this.#hands.readBase(kept.run, tell);
      case "rest":
        kept.pending = undefined;
        if (world.random.chance(0.7)) kept.known = { seq: log.seq, lsn: step.uploaded };
        return;
      case "ended":
        kept.pending = undefined;
        if (step.seal === undefined) this.#end(kept);
        else this.#ended(kept, step.seal);
        return;
      case "stop":
        world.observer.wrong(`${kept.run} stops at ${step.seq}: ${step.why}`);
    }
  }

  // --- the end of a log

  /** A disk of an earlier life: its runs are dead, and their rest is uploaded before anybody seals. */
  #adopt(kept: Kept): void {
    if (kept.sealed !== undefined) return;
    kept.isTail = true;
    kept.log = undefined;
    kept.pending = undefined;
    kept.lease = this.#newLease(this.#world.unique() * 1_000);
    if (this.#world.broken === "lease removed before the tail is uploaded") this.#hands.removeLease(kept.run);
    this.#resume(kept);
  }

  #resume(kept: Kept): void {
    this.#hands.list(kept.run, "numbers first", (listing) => {
      this.#onResume(kept, listing === "failed" ? { do: "list" } : resumeLog(listing, kept.known));
    });
  }

  #onResume(kept: Kept, step: ResumeStep): void {
    switch (step.do) {
      case "list":
        return this.#hands.pause(1, () => this.#resume(kept));
      case "read":
        return this.#hands.ask(
          () => this.#world.bucket.get(keys.log(kept.run, step.seq)),
          (found) => {
            if (found === "failed") this.#hands.pause(1, () => this.#resume(kept));
            else this.#onResume(kept, resumeBehind(step, found && asLogObject(found)));
          },
        );
      case "begin":
        kept.known = { seq: step.seq, lsn: step.lsn };
        kept.log = new RunLog({ ...kept.known, ttlMs: TTL, adopted: true });
        return;
      case "ended":
        return this.#ended(kept, step.seal);
      case "stop":
        this.#world.observer.wrong(`${kept.run} cannot go on at ${step.seq}: ${step.why}`);
    }
  }

  #end(kept: Kept): void {
    this.#hands.seal(kept.run, (seal) => this.#ended(kept, seal));
  }

  #ended(kept: Kept, seal: Seq): void {
    kept.sealed = seal;
    kept.isTail = true;
    this.#hands.removeLease(kept.run);
    this.#disk = this.#disk.filter((other) => other !== kept);
    if (kept !== this.#current) return;
    // Somebody sealed the log of a run that believed to be alive.
    this.#served = undefined;
    this.#newRun();
  }

  // --- the slot

  /** Looks who owns the slot, watches an owner, and claims when it is dead. */
  #own(): void {
    const { broken } = this.#world;
    const run = this.#current;
    if (run === undefined || this.#claiming || this.#served !== undefined || !this.#believes(run)) return;
    this.#hands.ask(
      () => this.#world.newestSlot(),
      (newest) => {
        if (newest === "failed" || this.#claiming || this.#served !== undefined || this.#current !== run) return;
        if (newest === undefined) return this.#claim(run, undefined, undefined);
        if (newest.run === run.run)
          return this.#world.observer.wrong(`I10: ${run.run} owns the slot and does not know`);
        if (this.#disk.some((kept) => kept.run === newest.run)) return;
        if (this.#suspect?.run !== newest.run) {
          this.#suspect = { run: newest.run, watching: new Watching(TTL) };
        }
        const { watching } = this.#suspect;
        const sentAt = this.#hands.clocks.monotonic;
        this.#hands.ask(
          () => this.#world.bucket.get(keys.lease(newest.run)),
          (found) => {
            const seen = found === "failed" ? found : found?.is === "mark" ? { mark: found.mark } : "absent";
            if (!watching.read(sentAt, this.#hands.clocks.monotonic, seen) || this.#claiming) return;
            this.#claiming = true;
            this.#hands.seal(newest.run, (seal) => {
              this.#claiming = false;
              if (broken !== "no seal") this.#hands.removeLease(newest.run);
              if (this.#current === run && this.#served === undefined) this.#claim(run, newest, seal);
            });
          },
        );
      },
    );
  }

  #claim(run: Kept, newest: SlotRecord | undefined, seal: Seq | undefined): void {
    this.#claiming = true;
    this.#hands.ask(
      () => this.#world.newestCheckpoint(),
      (checkpoint) => {
        const log = run.log;
        if (checkpoint === "failed" || log === undefined) {
          this.#claiming = false;
          return;
        }
        const txid = (newest?.before.txid ?? 0) as Txid;
        const facts = { newest, seal, covered: checkpoint?.covered, txid, run: run.run, from: log.seq };
        this.#onClaim(run, new Claiming(planSlotClaim(facts)));
      },
    );
  }

  #onClaim(run: Kept, claiming: Claiming): void {
    const { record } = claiming;
    const key = keys.slot(record.epoch);
    const stored: Stored = { ...record, is: "slot", intent: this.#world.unique() };
    const tell = (event: ClaimEvent): void => on(claiming.on(event));
    const on = (step: ClaimStep): void => {
      switch (step.do) {
        case "create":
          if (this.#world.broken === "serves while the claim is open") this.#serve(run, record);
          if (this.#hands.stands(4)) return this.#hands.after(1, () => on(step));
          return this.#hands.create(key, stored, tell);
        case "read back":
          return this.#hands.readBack(key, stored, (found) => found as unknown as SlotRecord, tell);
        case "pause":
          return this.#hands.pause(step.tries, () => tell({ saw: "waited" }));
        case "list newer":
          return this.#hands.ask(
            () => this.#world.newestSlot()?.epoch,
            (epoch) => {
              if (epoch === "failed" || epoch === undefined) tell({ saw: "failed" });
              else if (this.#world.broken === "newer owners are not listed")
                tell({ saw: "newest", epoch: record.epoch });
              else tell({ saw: "newest", epoch });
            },
          );
        case "owned":
          this.#claiming = false;
          return this.#serve(run, record);
        default:
          this.#claiming = false;
      }
    };
    on(claiming.start());
  }

  #serve(run: Kept, record: SlotRecord): void {
    if (this.#current !== run || this.#served !== undefined || !this.#believes(run)) return;
    this.#world.observer.look();
    this.#world.observer.owns(run.run, record.epoch);
    const own = new Set(run.ids);
    const before = [...this.#world.viewOf(record, () => undefined)].filter((id) => !own.has(id));
    this.#served = { run, epoch: record.epoch, before };
    this.#checkpoints = 0;
  }

  // --- clean-up

  /** Writes a checkpoint of what is confirmed, raises the bases below it, and deletes what stands below them. */
  #clean(): void {
    const served = this.#served;
    if (served === undefined || !this.#believes(served.run) || this.#world.random.chance(0.3)) return;
    const { run, epoch } = served;
    const log = run.log;
    if (log === undefined || log.uploaded !== log.confirmed) return;
    // Before a base is raised, the disk knows what is uploaded: nothing may be left there to tell it.
    run.known = { seq: log.seq, lsn: log.uploaded };
    this.#checkpoints += 1;
    const covered = { epoch, seq: log.seq };
    const ids = [...served.before, ...run.ids.slice(0, log.confirmed)];
    const checkpoint: Checkpoint = { is: "checkpoint", covered, ids };
    const key = keys.checkpoint(epoch, this.#checkpoints);
    this.#hands.ask(
      () => this.#world.create(key, checkpoint),
      (answer) => {
        if (answer === "failed") return;
        const slot = this.#world.newestSlot();
        if (slot?.epoch !== epoch) return;
        for (const source of slot.sources) this.#hands.cleanLog(source.run, source.to, (then) => this.#amidst(then));
        this.#hands.cleanLog(run.run, covered.seq, (then) => this.#amidst(then));
        this.#hands.deleteBelow("slot/", keys.slot(epoch));
        this.#hands.deleteBelow("checkpoint/", key);
      },
    );
  }

  /** Clean-up is where a machine is most often in the middle of something. */
  #amidst(then: () => void): void {
    if (this.#world.isFaulty && this.#world.random.chance(0.06)) this.#crash(0.8);
    else then();
  }
}
