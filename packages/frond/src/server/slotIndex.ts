// What the bucket knows of the cells of a slot: read out of the footers of its sources, without any block.
//
// Rule: heads are applied in the order of the slot's history, and a position that was met is never met again: ranges of two
// runs may hold the same record where a run was finished by its successor. What comes out is what the directory of the
// last owner would know, and for each cell where its pages lie.

import type { Footer } from "../codec/objectReader.ts";
import type { RecordPlace } from "../store/fetch.ts";
import type { CellEntry } from "../store/catalog.ts";
import { type Address, comparePositions, type Epoch, type Position, type Slot, type Txid } from "../types.ts";
import { entryAfter, factsOf } from "./applier.ts";

/** What is known of one cell. */
export interface IndexedCell {
  readonly entry: CellEntry;
  /** Where its pages lie, the oldest record first; empty for one that was deleted. */
  readonly places: RecordPlace[];
}

/** The cells of one slot, as of a position. */
export class SlotIndex {
  readonly slot: Slot;
  readonly cells = new Map<Address, IndexedCell>();
  /** The last record that was applied. */
  at: Position = { epoch: 0 as Epoch, txid: 0 as Txid };
  /** Places that it holds. Count. */
  places = 0;

  constructor(slot: Slot) {
    this.slot = slot;
  }

  /** Applies what the object at `key` holds of the slot. */
  apply(key: string, footer: Footer): void {
    for (const item of footer.entries) {
      if (item.slot !== this.slot) continue;
      const head = item.head();
      if (head.type === "claim") {
        if (head.epoch > this.at.epoch) this.at = { epoch: head.epoch, txid: head.txid };
        continue;
      }
      if (comparePositions(head, this.at) <= 0) continue;
      this.at = { epoch: head.epoch, txid: head.txid };
      const block = footer.blocks[item.block];
      if (block === undefined) continue;
      const place: RecordPlace = { key, block, at: item.at, length: item.length };
      for (const cell of head.cells) this.#apply(head, cell, place);
    }
  }

  #apply(record: Parameters<typeof entryAfter>[1], cell: Parameters<typeof factsOf>[0], place: RecordPlace): void {
    const { address } = cell;
    const before = this.cells.get(address);
    const entry = entryAfter(before?.entry, record, factsOf(cell));
    // A WAL of another disk, which is not here.
    Object.assign(entry, { walSalt1: 0, walSalt2: 0, walEnd: 0 });
    const created = record.changes.some((change) => change.what === "created" && change.address === address);
    const had = before?.places.length ?? 0;
    const places = created || entry.deleted ? [] : (before?.places ?? []);
    if (!entry.deleted) places.push(place);
    this.places += places.length - had;
    this.cells.set(address, { entry, places });
  }
}
