// Checkpoints of the slots that this run owns, carried out: core/checkpointing with a bucket, beside everything else that the
// bucket thread does.
//
// Rules.
// - A checkpoint covers the segments below the number that is open or next, while all that was uploaded is confirmed; it is made
//   of what these segments hold, whatever this node has in memory or in its files by now.
// - A snapshot stands before the checkpoint that names it is begun.
// - One slot at a time, and pauses in between. What fails is tried again, after longer and longer pauses: the slot is read
//   through what is behind its last checkpoint, and nothing goes that this one would have covered.

import path from "node:path";
import type { Bucket } from "../../bucket/bucket.ts";
import { checkpointKey, parseCheckpointKey } from "../../bucket/objectKeys.ts";
import { howToWrite, type LargeSizes, mostUrgent, type SlotChange } from "../../core/checkpointing.ts";
import { uncovered } from "../../core/claiming.ts";
import { CHECKPOINT_PACE_MS, CHECKPOINT_RETRY_MAX_MS, CHECKPOINT_RETRY_MS } from "../../limits.ts";
import { Turns } from "../../log/turns.ts";
import { NO_PAGES } from "../../store/cellRecords.ts";
import { type CheckpointCell, writeCheckpoint } from "../../store/checkpoint.ts";
import { writeSnapshot, type WriteOptions } from "../../store/snapshot.ts";
import { comparePositions, type Position, type RunId, type RunNumber, type Seq, type Slot } from "../../types.ts";
import { allErased, erasureHash } from "./erasureRecords.ts";
import { monotonicMs } from "../monotonic.ts";
import type { SlotClaims } from "../slots/slotClaims.ts";
import type { IndexedCell } from "../slots/slotIndex.ts";
import type { ListedCheckpoint } from "../slots/slotIndexes.ts";

/** The run that owns the slots. */
export interface CheckpointedRun {
  readonly run: RunNumber;
  readonly runId: RunId;
  /** Segments below this number are in the bucket; undefined: not all of them are confirmed. */
  readonly confirmedSeq: () => Seq | undefined;
}

/** What checkpoints are written with. */
export interface CheckpointsOptions {
  readonly bucket: Bucket;
  readonly claims: SlotClaims;
  /** A folder for temporary files. */
  readonly folder: string;
  readonly retentionMs: number;
  /** Which cells have snapshots; default: as core/checkpointing has it. */
  readonly large?: LargeSizes;
  /** The time of day, in ms. */
  readonly now: () => number;
  /** Hears of what failed, and is tried again. */
  readonly failed: (what: string, error: unknown) => void;
}

/** What was logged of a slot behind its newest checkpoint. */
interface Counted {
  bytes: number;
  sinceMs: number;
}

/** See the head of the file. One per bucket thread. */
export class Checkpoints {
  readonly #o: CheckpointsOptions;
  readonly #ending = new AbortController();
  #run: CheckpointedRun | undefined;
  readonly #counted = new Map<Slot, Counted>();
  readonly #newest = new Map<Slot, ListedCheckpoint>();
  readonly #failures = new Map<Slot, { readonly times: number; readonly after: number }>();
  #notBefore = 0;
  #files = 0;
  readonly #turns = new Turns(monotonicMs);

  constructor(options: CheckpointsOptions) {
    this.#o = options;
  }

  /** From here on the slots of this run are looked after. */
  follow(run: CheckpointedRun): void {
    this.#run = run;
    this.#counted.clear();
  }

  /** The newest checkpoint of a slot, as it was listed. */
  listed(slot: Slot, newest: ListedCheckpoint): void {
    const known = this.#newest.get(slot);
    if (known === undefined || known.modifiedMs <= newest.modifiedMs) this.#newest.set(slot, newest);
  }

  /** So many bytes of these slots were logged, and are in the bucket. */
  changed(slots: ReadonlyMap<Slot, number>): void {
    for (const [slot, bytes] of slots) this.#count(slot, bytes, this.#o.now());
  }

  /** Writes the checkpoint that is most needed, if one is. True: one was written. Never rejects. */
  async look(): Promise<boolean> {
    const now = this.#o.now();
    const run = this.#run;
    if (run === undefined || this.#ending.signal.aborted) return false;
    // Not longer than was meant, should the clock have been set back.
    if (now < this.#notBefore && now >= this.#notBefore - CHECKPOINT_PACE_MS) return false;
    const slot = mostUrgent(this.#changes(run, now), now);
    if (slot === undefined) return false;
    this.#notBefore = now + CHECKPOINT_PACE_MS;
    try {
      const written = await this.write(slot);
      this.#failures.delete(slot);
      return written;
    } catch (error) {
      if (this.#ending.signal.aborted) return false;
      const times = (this.#failures.get(slot)?.times ?? 0) + 1;
      const pause = Math.min(CHECKPOINT_RETRY_MAX_MS, CHECKPOINT_RETRY_MS * 2 ** (times - 1));
      this.#failures.set(slot, { times, after: this.#o.now() + pause });
      this.#o.failed(`the checkpoint of slot ${slot}`, error);
      return false;
    }
  }

  /** Ends what is under way. */
  stop(): void {
    this.#ending.abort();
  }

  /** Writes a checkpoint of a slot that the run owns; false: not everything is confirmed, or there is nothing to write. */
  async write(slot: Slot): Promise<boolean> {
    const { bucket, claims, retentionMs, now } = this.#o;
    const run = this.#run;
    const seq = run?.confirmedSeq();
    const record = run && claims.owned(run.runId).find(([its]) => its === slot)?.[1];
    if (run === undefined || seq === undefined || record === undefined) return false;
    const counted = this.#counted.get(slot);
    this.#counted.delete(slot);
    try {
      const index = await claims.indexOf(slot, { runId: run.runId, nextSeq: seq });
      if (index.at.epoch === 0) return false;
      const cells: CheckpointCell[] = [];
      let erased: ReadonlyMap<string, Position> | undefined;
      for (const cell of index.cells.values()) {
        const { address, deleted, lastId, changedMs } = cell.entry;
        if (deleted && changedMs < now() - retentionMs) {
          // One that has given ids is remembered for ever, for they name nothing new; but not one that was erased.
          if (lastId > 0) erased ??= await allErased(bucket);
          const through = erased?.get(erasureHash(address));
          if (lastId === 0 || (through !== undefined && comparePositions(cell.entry, through) <= 0)) continue;
        }
        cells.push(await this.#prepare(cell, run.runId));
      }
      const { at, lastMs } = index;
      const plan = { slot, epoch: record.epoch, seq, at, lastMs, run: run.run, cells };
      const bytes = await writeCheckpoint(bucket, plan, this.#writing(run.runId));
      const { epoch } = record;
      const written = { key: checkpointKey(slot, epoch, seq), epoch, seq, bytes, modifiedMs: now() };
      this.#newest.set(slot, written);
      claims.checkpointed(slot, written);
      return true;
    } catch (error) {
      if (counted !== undefined) this.#count(slot, counted.bytes, counted.sinceMs);
      throw error;
    }
  }

  /** A cell as it goes into the checkpoint; its snapshot is written if it needs one. */
  async #prepare(cell: IndexedCell, runId: RunId): Promise<CheckpointCell> {
    const { entry, places, base } = cell;
    if (entry.deleted) return { entry, places: [], base: undefined };
    // It keeps neither the others nor the log.
    if (isLost(cell)) return { entry, places: [], base: undefined, open: () => ({ ...NO_PAGES, close: () => {} }) };
    const deltaBytes = base && places.reduce((sum, { length }) => sum + length, 0);
    const how = howToWrite({ bytes: entry.pageSize * entry.pageCount, deltaBytes }, this.#o.large);
    if (how === "delta") return { entry, places, base };
    const { bucket, claims } = this.#o;
    const all = await claims.indexes.placesOf(cell);
    if (how === "whole") return { entry, places: all, base: undefined };
    await writeSnapshot(bucket, { entry, places: all }, this.#writing(runId));
    return { entry, places: [], base: { epoch: entry.epoch, txid: entry.txid } };
  }

  #writing(runId: RunId): WriteOptions {
    this.#files += 1;
    const temporary = path.join(this.#o.folder, `pages-${this.#files}`);
    return { runId, temporary, breathe: () => this.#breathe(), signal: this.#ending.signal };
  }

  *#changes(run: CheckpointedRun, now: number): Generator<readonly [Slot, SlotChange], void, void> {
    for (const [slot, record] of this.#o.claims.owned(run.runId)) {
      const failure = this.#failures.get(slot);
      if (failure !== undefined && now < failure.after && now >= failure.after - CHECKPOINT_RETRY_MAX_MS) continue;
      const counted = this.#counted.get(slot);
      const newest = this.#newest.get(slot);
      const earlier = uncovered(record.sources, newest).length;
      const ranges = earlier + (counted === undefined ? 0 : 1);
      const sinceMs = earlier > 0 ? (newest?.modifiedMs ?? 0) : counted?.sinceMs;
      yield [slot, { changedBytes: counted?.bytes ?? 0, sinceMs, ranges, checkpoint: newest }];
    }
  }

  #count(slot: Slot, bytes: number, sinceMs: number): void {
    const counted = this.#counted.get(slot);
    if (counted === undefined) this.#counted.set(slot, { bytes, sinceMs });
    else Object.assign(counted, { bytes: counted.bytes + bytes, sinceMs: Math.min(counted.sinceMs, sinceMs) });
  }

  /** Gives the thread back, when this has had it for long enough. */
  async #breathe(): Promise<void> {
    this.#ending.signal.throwIfAborted();
    await this.#turns.breathe();
  }
}

/** Nobody could read it any more when its slot was brought into the bucket (bringSlot.ts): no page of it is anywhere. */
function isLost({ entry, places, base }: IndexedCell): boolean {
  const [only] = places;
  if (only === undefined || places.length > 1 || base !== undefined || entry.pageCount === 0) return false;
  return parseCheckpointKey(only.key) !== undefined && only.length < entry.pageSize;
}
