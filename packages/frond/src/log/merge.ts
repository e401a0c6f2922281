// Merging the records of a slot: per cell the last version of each page, and what its index changes come to.
//
// Rules.
// - Records are fed from the oldest to the newest; what comes out says the same as all of them, for a reader who stands
//   anywhere between their beginning and their end. So what was merged may be merged again, with what came behind it.
// - `created` voids everything before it in its cell; `deleted` leaves a tombstone without pages. Of both in one merged record
//   the last one decides, and each keeps its value: when the cell was created, the ids that it has used up.
// - A merged record stands at the position of the cell's last one. Of a cell with many pages there are several at one
//   position; the first of them carries the index changes and the base.
// - Of a record at or before the position that its cell stands at, nothing is taken but pages of that same position.
// Memory: the pages of one slot. Pages are copied: blocks that they came in would keep their neighbours alive.
// Pages that a cell was cut off at and grew over again are not forgotten in between: whoever grows a database writes every
// page of it, and an older one that is overwritten costs nothing.

import { PageSet } from "../codec/pages.ts";
import {
  claimLength,
  type ClaimRecord,
  commitLength,
  type CommitRecord,
  type DecodedCell,
  type DecodedCommit,
  type DecodedRecord,
  encodeClaim,
  encodeCommit,
  type IndexChange,
} from "../codec/record.ts";
import { MERGED_RECORD_BYTES } from "../limits.ts";
import {
  type Address,
  comparePositions,
  type Epoch,
  type LogPlace,
  type Position,
  type Slot,
  type SnapshotPosition,
  type Txid,
} from "../types.ts";

/** See the head of the file. One for each slot (in a pack: for each epoch of a slot). */
export class SlotMerge {
  readonly slot: Slot;
  readonly cells = new Map<Address, MergedCell>();
  /** The claim of the highest epoch that was met. */
  claim: ClaimRecord | undefined;
  readonly #recordBytes: number;
  /** Bytes of the pages that are held, of all cells. */
  pageBytes = 0;

  /** `recordBytes`: most bytes of pages in one merged record. */
  constructor(slot: Slot, recordBytes = MERGED_RECORD_BYTES) {
    this.slot = slot;
    this.#recordBytes = recordBytes;
  }

  /** Takes over the next record of the slot; its bytes are not held on to. */
  add(record: DecodedRecord): void {
    if (record.type === "claim") {
      if (this.claim === undefined || record.epoch > this.claim.epoch) this.claim = record;
      return;
    }
    for (const cell of record.cells) {
      let merged = this.cells.get(cell.address);
      if (merged === undefined) {
        merged = new MergedCell(this.slot, cell);
        this.cells.set(cell.address, merged);
      }
      const before = merged.pageBytes;
      merged.add(record, cell);
      this.pageBytes += merged.pageBytes - before;
    }
  }

  /** The cells, sorted by the bytes of their addresses. */
  sorted(): MergedCell[] {
    return [...this.cells.values()].sort((a, b) => Buffer.compare(a.addressBytes, b.addressBytes));
  }

  /** The merged records, encoded: the claim, then the cells in their order. */
  *records(): Generator<Buffer, void, void> {
    if (this.claim !== undefined) yield claimRecord(this.claim);
    for (const cell of this.sorted()) yield* cell.records(this.#recordBytes);
  }
}

/** What one cell's records come to. */
export class MergedCell {
  readonly slot: Slot;
  readonly address: Address;
  readonly addressBytes: Buffer;
  /** Position and time of its last record. */
  at: Position = { epoch: 0 as Epoch, txid: 0 as Txid };
  time = 0;
  pageSize: number;
  pageCount = 0;
  /** The snapshot over which the pages are to be laid; undefined: over what was before all of this, or nothing. */
  base: SnapshotPosition | undefined;
  /** Pages by number, in bytes that nobody else holds. Some may lie behind `pageCount`: they count no more. */
  readonly pages = new Map<number, Buffer>();
  #last: "created" | "deleted" | undefined;
  #createdMs = 0;
  #lastId: number | undefined;
  #alarm: IndexChange | undefined;
  #failed: IndexChange | undefined;

  constructor(slot: Slot, cell: DecodedCell) {
    this.slot = slot;
    this.address = cell.address;
    this.addressBytes = Buffer.from(cell.addressBytes);
    this.pageSize = cell.pageSize;
  }

  /** The cell does not exist: its record is a tombstone. */
  get deleted(): boolean {
    return this.#last === "deleted";
  }

  /** Bytes of the pages that are held. */
  get pageBytes(): number {
    return this.pages.size * this.pageSize;
  }

  add(record: DecodedCommit, cell: DecodedCell): void {
    const order = comparePositions(record, this.at);
    if (order < 0) return;
    if (order > 0) this.#advance(record, cell);
    const { numbers, offsets, count, source, pageSize } = cell.pages;
    if (pageSize !== this.pageSize) return;
    for (let i = 0; i < count; i++) {
      const number = numbers[i] as number;
      const page = source.subarray(offsets[i] as number, (offsets[i] as number) + pageSize);
      const known = this.pages.get(number);
      if (known === undefined) this.pages.set(number, Buffer.from(page));
      else known.set(page);
    }
  }

  /** Nothing of what was before counts for its content. */
  #void(): void {
    this.pages.clear();
    this.base = undefined;
  }

  #advance(record: DecodedCommit, cell: DecodedCell): void {
    this.at = { epoch: record.epoch, txid: record.txid };
    this.time = record.time;
    this.pageCount = cell.pageCount;
    for (const change of record.changes) if (change.address === this.address) this.#change(change, record.time);
    // Of a cell that goes on with other pages than it had, nothing can be made; who reads it finds pages missing.
    if (cell.base !== undefined || cell.pageSize !== this.pageSize) this.#void();
    if (cell.base !== undefined) this.base = cell.base;
    this.pageSize = cell.pageSize;
  }

  #change(change: IndexChange, time: number): void {
    const { what, value } = change;
    if (what === "alarms-failed") this.#failed = change;
    else if (what === "alarm-set" || what === "alarm-cleared") this.#alarm = change;
    else {
      this.#void();
      this.#last = what;
      if (what === "deleted") this.#lastId = value;
      else this.#createdMs = value === 0 ? time : value;
      this.#alarm = undefined;
      this.#failed = undefined;
    }
  }

  /** What its index changes come to. */
  get changes(): IndexChange[] {
    const { address } = this;
    const changes: (IndexChange | undefined)[] = [this.#alarm, this.#failed];
    const created: IndexChange = { what: "created", address, value: this.#createdMs };
    const deleted: IndexChange = { what: "deleted", address, value: this.#lastId ?? 0 };
    if (this.#last === "created") changes.unshift(this.#lastId === undefined ? undefined : deleted, created);
    // A tombstone tells, where it is known, when what it was had begun.
    if (this.#last === "deleted") changes.unshift(this.#createdMs === 0 ? undefined : created, deleted);
    return changes.filter((change) => change !== undefined);
  }

  /** Its records, encoded: one, or several at one position where it has more bytes of pages than a record is to hold. */
  *records(recordBytes = MERGED_RECORD_BYTES): Generator<Buffer, void, void> {
    const numbers = [...this.pages.keys()].filter((number) => number <= this.pageCount).sort((a, b) => a - b);
    const most = Math.max(1, Math.floor(recordBytes / this.pageSize));
    for (let from = 0; from === 0 || from < numbers.length; from += most) {
      yield this.#record(numbers.slice(from, from + most), from === 0);
    }
  }

  #record(numbers: readonly number[], first: boolean): Buffer {
    const { slot, address, addressBytes, pageSize, pageCount, at, time } = this;
    const pages = new PageSet();
    const source = Buffer.allocUnsafe(numbers.length * pageSize);
    pages.reset(source, pageSize);
    for (const [i, number] of numbers.entries()) {
      source.set(this.pages.get(number) as Buffer, i * pageSize);
      pages.put(number, i * pageSize);
    }
    // Where its WAL stood, and where its record before, means something on one disk only.
    const image = { walSalt1: 0, walSalt2: 0, walEnd: 0, previous: 0 as LogPlace };
    const base = first ? this.base : undefined;
    const cells = [{ ...image, address, addressBytes, pageCount, pages, base }];
    const record: CommitRecord = { slot, ...at, time, cells, changes: first ? this.changes : [] };
    const bytes = Buffer.allocUnsafe(commitLength(record));
    encodeCommit(record, bytes, 0);
    return bytes;
  }
}

/** A claim, encoded. */
function claimRecord(claim: ClaimRecord): Buffer {
  const bytes = Buffer.allocUnsafe(claimLength());
  encodeClaim(claim, bytes, 0);
  return bytes;
}
