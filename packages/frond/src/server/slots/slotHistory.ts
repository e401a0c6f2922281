// Where the history of a slot lies in the bucket, and what it says: now, or at a moment within the retention.
//
// Rule: the newest record of a slot says who owns it and where all of its history lies that can be gone back to; the newest
// checkpoint leaves out what it covers. A record that says its history begins with a checkpoint is believed: if none that
// covers as much is there, the slot is damaged, and not empty.
// Nothing here writes.

import type { Bucket } from "../../bucket/bucket.ts";
import {
  cellPrefix,
  checkpointPrefix,
  logKey,
  parseCheckpointKey,
  parseSlotKey,
  slotKey,
  slotPrefix,
} from "../../bucket/objectKeys.ts";
import { decodeSlot, type LogRange, type SlotDocument } from "../../codec/documents.ts";
import { type Covered, coversAsMuch, uncovered } from "../../core/claiming.ts";
import { FrondError } from "../../errors.ts";
import { endOfRunLog, readHeader } from "../../log/runObjects.ts";
import { comparePositions, type Epoch, type RunId, type Seq, type Slot } from "../../types.ts";
import type { HistoryLimit, SlotIndex } from "./slotIndex.ts";
import { type ListedCheckpoint, SlotIndexes } from "./slotIndexes.ts";

/** Objects in one answer of a listing. Count. */
const PAGE = 1000;

/** See the head of the file. */
export class SlotHistories {
  readonly indexes: SlotIndexes;
  readonly #bucket: Bucket;
  /** Runs of this directory from before it had a bucket, the oldest first: theirs is what no slot record tells of. */
  readonly #adopted: readonly RunId[];
  readonly #seals = new Map<RunId, Promise<Seq>>();

  constructor(bucket: Bucket, adopted: readonly RunId[] = []) {
    this.#bucket = bucket;
    this.#adopted = adopted;
    this.indexes = new SlotIndexes(bucket);
  }

  /** The newest record of a slot; undefined: nobody has ever owned it. */
  async newest(slot: Slot): Promise<SlotDocument | undefined> {
    for (;;) {
      const epoch = await this.newestEpoch(slot, undefined);
      if (epoch === undefined) return undefined;
      const found = await this.record(slot, epoch);
      // Else it was cleaned up since, for there is a newer one.
      if (found !== undefined) return found;
    }
  }

  async record(slot: Slot, epoch: Epoch): Promise<SlotDocument | undefined> {
    const key = slotKey(slot, epoch);
    const found = await this.#bucket.get(key);
    return found && decodeSlot(found.bytes, key);
  }

  /** The highest epoch behind `after` of which a record is listed. */
  async newestEpoch(slot: Slot, after: Epoch | undefined): Promise<Epoch | undefined> {
    let newest: Epoch | undefined;
    for (let from = after && slotKey(slot, after); ;) {
      const page = await this.#bucket.list(slotPrefix(slot), from);
      for (const { key } of page) newest = parseSlotKey(key)?.epoch ?? newest;
      if (page.length < PAGE) return newest;
      from = page.at(-1)?.key;
    }
  }

  /** The checkpoints of a slot, the oldest first. */
  async checkpoints(slot: Slot): Promise<ListedCheckpoint[]> {
    const found: ListedCheckpoint[] = [];
    for (let after: string | undefined; ;) {
      const page = await this.#bucket.list(checkpointPrefix(slot), after, PAGE);
      for (const { key, size, modifiedMs } of page) {
        const is = parseCheckpointKey(key);
        if (is !== undefined) found.push({ key, epoch: is.epoch, seq: is.seq, bytes: size, modifiedMs });
      }
      if (page.length < PAGE) return found;
      after = page.at(-1)?.key;
    }
  }

  /** Where a run's log ended is known. */
  noteSeal(run: RunId, seal: Seq): void {
    this.#seals.set(run, Promise.resolve(seal));
  }

  /** Where a run's log ended for ever. Throws SLOT_OWNED while it has not. */
  sealOf(run: RunId): Promise<Seq> {
    const known = this.#seals.get(run) ?? this.#findSeal(run);
    this.#seals.set(run, known);
    known.catch(() => this.#seals.delete(run));
    return known;
  }

  async #findSeal(run: RunId): Promise<Seq> {
    const { seqs } = await endOfRunLog(this.#bucket, run);
    let seal: Seq | undefined;
    for (const seq of seqs.toReversed()) {
      const key = logKey(run, seq);
      const header = await readHeader(this.#bucket, key);
      if (header !== undefined && (header.runId !== run || header.number !== seq)) {
        const what = `${key} in ${this.#bucket.url} is ${header.kind} ${header.number} of run ${header.runId}`;
        throw new FrondError("OBJECT_DAMAGED", what);
      }
      // Behind a seal nothing counts; in front of it are segments.
      if (header?.kind === "segment") break;
      if (header?.kind === "seal") seal = seq;
    }
    if (seal === undefined) throw slotOwned(`run ${run} is alive, or was not seen to be dead yet`);
    return seal;
  }

  /** Where the history of slots lies that were never owned by a run with a bucket; `epoch`: the highest that there was. */
  async adopted(epoch: Epoch): Promise<LogRange[]> {
    const ranges: LogRange[] = [];
    for (const run of this.#adopted) {
      const to = await this.sealOf(run);
      if (to > 1) ranges.push({ epoch, run, from: 1 as Seq, to });
    }
    return ranges;
  }

  /**
   * The newest checkpoint of a slot, whose newest record is of the epoch `owned`; undefined: there is none, and none is needed. Throws
   * OBJECT_DAMAGED.
   */
  async newestCheckpoint(
    slot: Slot,
    begins: Covered | undefined,
    owned?: Epoch,
  ): Promise<ListedCheckpoint | undefined> {
    const checkpoint = (await this.checkpoints(slot)).at(-1);
    this.#checkBegin(slot, checkpoint, begins);
    // Its owner had a record of that epoch, and the newest is never removed.
    if (owned !== undefined && checkpoint !== undefined && checkpoint.epoch > owned) {
      const what = `${slotKey(slot, checkpoint.epoch)} or a later one is gone from ${this.#bucket.url}`;
      throw new FrondError("OBJECT_DAMAGED", `${what}: ${checkpoint.key} was made by its owner`);
    }
    return checkpoint;
  }

  /** Throws OBJECT_DAMAGED where there is something of the cells of a slot that has no record. */
  async checkNeverOwned(slot: Slot): Promise<void> {
    const [found] = await this.#bucket.list(cellPrefix(slot), undefined, 1);
    if (found === undefined) return;
    const what = `the record of slot ${slot}, ${slotPrefix(slot)}, is gone from ${this.#bucket.url}`;
    throw new FrondError("OBJECT_DAMAGED", `${what}: ${found.key} was made by an owner`);
  }

  /** Reads a slot: `ranges` are the sources of its record, and what its owner wrote. */
  read(slot: Slot, ranges: readonly LogRange[], checkpoint: ListedCheckpoint | undefined): Promise<SlotIndex> {
    return this.indexes.read(slot, { checkpoint, sources: uncovered(ranges, checkpoint) });
  }

  /** The same as of a moment. Throws HISTORY_GONE when the bucket does not go back that far. */
  async readAt(
    slot: Slot,
    ranges: readonly LogRange[],
    begins: Covered | undefined,
    limit: HistoryLimit,
  ): Promise<SlotIndex> {
    const all = await this.checkpoints(slot);
    this.#checkBegin(slot, all.at(-1), begins);
    const usable = all.filter((checkpoint) => begins === undefined || coversAsMuch(checkpoint, begins));
    const checkpoint = await this.#lastBefore(usable, limit);
    if (checkpoint === undefined && begins !== undefined) throw gone(slot);
    const next = usable[checkpoint === undefined ? 0 : usable.indexOf(checkpoint) + 1];
    const history = { checkpoint, sources: uncovered(ranges, checkpoint), isNewest: next === undefined };
    const index = await this.indexes.readUpTo(slot, history, limit);
    // What the next checkpoint holds behind the limit was not met: it is not kept any more, and nobody knows what else is not.
    const last = ranges.at(-1);
    if (next !== undefined && last !== undefined && !index.ended && coversAsMuch({ ...last, seq: last.to }, next))
      throw gone(slot);
    return index;
  }

  /** The newest checkpoint that holds nothing behind the limit. */
  async #lastBefore(
    checkpoints: readonly ListedCheckpoint[],
    limit: HistoryLimit,
  ): Promise<ListedCheckpoint | undefined> {
    let [low, high] = [0, checkpoints.length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (await this.#isBefore(checkpoints[middle] as ListedCheckpoint, limit)) low = middle + 1;
      else high = middle;
    }
    return checkpoints[low - 1];
  }

  async #isBefore(checkpoint: ListedCheckpoint, limit: HistoryLimit): Promise<boolean> {
    const footer = await this.indexes.checkpoint(checkpoint);
    // Cleaned up since it was listed: it was the oldest.
    if (footer === undefined) return true;
    if ("time" in limit) return footer.lastMs <= limit.time;
    const head = footer.entries.at(0)?.head();
    return head === undefined || comparePositions(head, limit.position) <= 0;
  }

  #checkBegin(slot: Slot, newest: Covered | undefined, begins: Covered | undefined): void {
    if (begins === undefined || (newest !== undefined && coversAsMuch(newest, begins))) return;
    const what = `the history of slot ${slot} in ${this.#bucket.url} begins with a checkpoint that is gone`;
    throw new FrondError("OBJECT_DAMAGED", `${what}: ${checkpointPrefix(slot)}, epoch ${begins.epoch} or later`);
  }
}

function gone(slot: Slot): FrondError {
  return new FrondError("HISTORY_GONE", `what slot ${slot} was at that moment is not kept any more`);
}

/** Somebody else serves the slot. */
export function slotOwned(why: string): FrondError {
  return new FrondError("SLOT_OWNED", `the slot belongs to another node: ${why}`);
}
