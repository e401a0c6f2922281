// What the bucket knows of the cells of a slot: read out of the footers of its sources, without any block.
//
// Rule: objects are applied in the order of the slot's history. Positions are compared per cell, for the records of a pack are
// sorted by address: what is not newer than what the cell stands at was met already. Of a merged record the further parts
// stand behind it in the same object, at the same position. What comes out is what the directory of the last owner would
// know, and for each cell where its pages lie.

import type { DecodedCell, DecodedCommit } from "../../codec/record.ts";
import type { Footer } from "../../codec/objectReader.ts";
import type { RecordPlace } from "../../store/fetch.ts";
import type { CellEntry } from "../../store/catalog.ts";
import {
  type Address,
  comparePositions,
  type Epoch,
  type Position,
  type Slot,
  type SnapshotPosition,
  type Txid,
} from "../../types.ts";
import { entryAfter, factsOf } from "../cells/applier.ts";

/** What is known of one cell. */
export interface IndexedCell {
  readonly entry: CellEntry;
  /** Where its pages lie, the oldest record first; empty for one that was deleted. */
  readonly places: RecordPlace[];
  /** The snapshot that lies below them; undefined: none does. */
  readonly base: SnapshotPosition | undefined;
}

/** Up to where a history is read: the records up to this time of day, or up to this position. */
export type HistoryLimit = { readonly time: number } | { readonly position: Position };

/** True for what stands behind the limit. */
export function isBehind(limit: HistoryLimit | undefined, record: Position & { readonly time: number }): boolean {
  if (limit === undefined) return false;
  return "time" in limit ? record.time > limit.time : comparePositions(record, limit.position) > 0;
}

/** The cells of one slot, as of a position. */
export class SlotIndex {
  readonly slot: Slot;
  readonly cells = new Map<Address, IndexedCell>();
  /** The last record that was applied. */
  at: Position = { epoch: 0 as Epoch, txid: 0 as Txid };
  /** Time of the latest record that was applied, in ms since 1970. */
  lastMs = 0;
  /** Places that it holds. Count. */
  places = 0;
  /** The object with a commit that was not the next one of the slot: something lay in between. Merged records have gaps by nature. */
  gapBefore: string | undefined;
  /** The first record behind the limit was met: nothing of what follows counts, for a history is cut once. */
  ended = false;

  constructor(slot: Slot) {
    this.slot = slot;
  }

  /**
   * Applies what the object at `key` holds of the slot, up to the epoch `through`: a pack may reach into a later one of the
   * same run, and what another run did in between comes first. Ends before the first record behind `limit`.
   */
  apply(key: string, footer: Footer, through = Infinity, limit?: HistoryLimit): void {
    for (const item of footer.entries.of(this.slot)) {
      const head = item.head();
      if (head.epoch > through) continue;
      if (head.txid !== this.at.txid + (head.type === "claim" ? 0 : 1)) this.gapBefore ??= key;
      this.ended ||= isBehind(limit, head);
      if (this.ended) return;
      this.lastMs = Math.max(this.lastMs, head.time);
      if (comparePositions(head, this.at) > 0) this.at = { epoch: head.epoch, txid: head.txid };
      if (head.type === "claim") continue;
      const block = footer.blocks[item.block];
      if (block === undefined) continue;
      const place: RecordPlace = { key, block, at: item.at, length: item.length };
      for (const cell of head.cells) this.#apply(head, cell, place);
    }
  }

  #apply(record: DecodedCommit, cell: DecodedCell, place: RecordPlace): void {
    const { address } = cell;
    const before = this.cells.get(address);
    const order = before === undefined ? 1 : comparePositions(record, before.entry);
    if (order === 0 && before !== undefined && isFurtherPart(before.places.at(-1), place)) {
      before.places.push(place);
      this.places += 1;
    }
    if (order <= 0) return;
    const entry = entryAfter(before?.entry, record, factsOf(cell));
    // A WAL of another disk, which is not here.
    Object.assign(entry, { walSalt1: 0, walSalt2: 0, walEnd: 0 });
    const created = record.changes.some((change) => change.what === "created" && change.address === address);
    const had = before?.places.length ?? 0;
    const anew = created || entry.deleted || cell.base !== undefined;
    const places = anew ? [] : (before?.places ?? []);
    if (!entry.deleted) places.push(place);
    this.places += places.length - had;
    this.cells.set(address, { entry, places, base: cell.base ?? (anew ? undefined : before?.base) });
  }
}

function isFurtherPart(last: RecordPlace | undefined, place: RecordPlace): boolean {
  if (last?.key !== place.key) return false;
  return place.block.offset > last.block.offset || (place.block.offset === last.block.offset && place.at > last.at);
}
