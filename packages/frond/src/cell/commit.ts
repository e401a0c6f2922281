// The way of a commit into the log: COMMIT, capture, record.
//
// Rule (law 3): what is not in the log never happened. A commit that SQLite took and the log did not is taken back by
// throwing the file away and making it anew from the log, so no later statement can have seen it.
// A cell begins to exist with its first record: what migrations and the constructor wrote before is held in memory and
// rides in it, so a cell that was only looked at leaves nothing.

import { randomInt } from "node:crypto";
import { assert } from "../assert.ts";
import { PageSet } from "../codec/pages.ts";
import {
  claimLength,
  commitLength,
  encodeClaim,
  encodeCommit,
  type CellImage,
  type IndexChange,
} from "../codec/record.ts";
import type { SlotTable } from "../core/slots.ts";
import type { CommitLog } from "../log/log.ts";
import type { CellEntry } from "../store/catalog.ts";
import type { CellDatabase } from "../store/database.ts";
import type { Address, Epoch, LogPlace, Lsn, RunNumber, Slot, SnapshotPosition, Txid } from "../types.ts";

const NO_PAGES = new PageSet();
const NO_BYTES = new Uint8Array(0);

/** Writes records of cells into the run's log. One per node. */
export class Committer {
  readonly log: CommitLog;
  readonly #slots: SlotTable;
  /** The name of the run that writes. */
  runId: Uint8Array;
  readonly #onDirty: (entry: CellEntry) => void;
  /** Told of each entry whose next alarm is another one now. */
  onAlarm: (entry: CellEntry) => void = () => {};
  /** Behind the last commit that waits for the bucket, of whichever cell: for who may have heard of any. */
  bucketLsn = 0 as Lsn;
  readonly #image: Writable<CellImage>;
  readonly #record: { slot: Slot; epoch: Epoch; txid: Txid; time: number; cells: CellImage[]; changes: IndexChange[] };

  constructor(log: CommitLog, slots: SlotTable, runId: Uint8Array, onDirty: (entry: CellEntry) => void) {
    this.log = log;
    this.#slots = slots;
    this.runId = runId;
    this.#onDirty = onDirty;
    // One record object for all commits: they are encoded one after the other.
    const image = { address: "" as Address, addressBytes: new Uint8Array(0), pages: new PageSet(), pageCount: 0 };
    this.#image = { ...image, walSalt1: 0, walSalt2: 0, walEnd: 0, previous: 0 as LogPlace, base: undefined };
    const place = { slot: 0 as Slot, epoch: 0 as Epoch, txid: 0 as Txid, time: 0 };
    this.#record = { ...place, cells: [this.#image], changes: [] };
  }

  /**
   * Logs the commit whose pages were just captured from `db`. Returns the cell's catalog entry, a new one at its first
   * record, and leaves it marked dirty. `alarms`: what the commit may have made of its alarms. Throws DISK_FULL or RECORD_TOO_LARGE when the log did not take it.
   */
  emit(
    address: Address,
    addressBytes: Uint8Array,
    slot: Slot,
    entry: CellEntry | undefined,
    db: Captured,
    pages: PageSet,
    alarms: AlarmState | undefined,
  ): CellEntry {
    const created = entry === undefined || entry.deleted;
    const image = this.#image;
    image.address = address;
    image.addressBytes = addressBytes;
    image.pageCount = db.capture.pageCount;
    image.previous = created ? (0 as LogPlace) : entry.place;
    image.pages = pages;
    const changes: IndexChange[] = created ? [{ what: "created", address, value: 0 }] : [];
    if (alarms !== undefined) addAlarmChanges(changes, address, entry, alarms);
    const place = this.#write(slot, db, changes);
    const target = entry ?? newEntry(address, slot, db.pageSize);
    if (created) {
      target.createdMs = this.#record.time;
      // A cell that was deleted begins anew, with the page size that its class has now.
      target.pageSize = db.pageSize;
    }
    target.deleted = false;
    this.#update(target, image, this.#record, place);
    if (alarms !== undefined) this.#setAlarms(target, alarms);
    return target;
  }

  /**
   * Logs that the cell is deleted: a tombstone, which holds no pages. `lastId`: the highest id of its scheduled calls, which
   * must not name one of those that it makes anew. Throws as `emit` does.
   */
  bury(
    address: Address,
    addressBytes: Uint8Array,
    slot: Slot,
    entry: CellEntry,
    db: CellDatabase,
    lastId: number,
  ): CellEntry {
    assert(!entry.deleted, "only a cell that exists can be deleted");
    const image = this.#image;
    image.address = address;
    image.addressBytes = addressBytes;
    image.pageCount = 0;
    image.previous = entry.place;
    image.pages = NO_PAGES;
    image.pages.reset(NO_BYTES, db.pageSize);
    const place = this.#write(slot, db, [{ what: "deleted", address, value: lastId }]);
    entry.deleted = true;
    entry.lastId = lastId;
    this.#update(entry, image, this.#record, place);
    this.#setAlarms(entry, NO_ALARMS);
    return entry;
  }

  /**
   * Logs that the cell has another content from here on, whatever it had: one record with every page, or with a base that holds
   * them. Its file must be gone, for the log alone says what is in it. Returns the cell's catalog entry, a new one where there
   * was none. Throws as `emit` does.
   */
  replace(address: Address, slot: Slot, entry: CellEntry | undefined, content: Content): CellEntry {
    const { pageSize, pageCount, pages, base, alarms, lastId } = content;
    const image = this.#image;
    image.address = address;
    image.addressBytes = Buffer.from(address);
    image.pageCount = pageCount;
    image.previous = 0 as LogPlace;
    image.pages = pages;
    image.base = base;
    const existed = entry !== undefined && !entry.deleted;
    const changes: IndexChange[] = [{ what: "created", address, value: existed ? entry.createdMs : 0 }];
    // What both contents have given must not be given again.
    if (existed) changes.unshift({ what: "deleted", address, value: lastId });
    addAlarmChanges(changes, address, undefined, alarms);
    let place: LogPlace;
    try {
      place = this.#write(slot, NO_WAL, changes);
    } finally {
      image.base = undefined;
    }
    const target = entry ?? newEntry(address, slot, pageSize);
    target.pageSize = pageSize;
    target.deleted = false;
    if (existed) target.lastId = lastId;
    else target.createdMs = this.#record.time;
    this.#update(target, image, this.#record, place);
    this.#setAlarms(target, alarms);
    return target;
  }

  /** Where the next record of a slot will stand at the least, whatever comes in between; and an attempt that nobody else has. */
  nextPosition(slot: Slot): SnapshotPosition {
    const epoch = this.#slots.isClaimed(slot) ? this.#slots.epoch(slot) : this.#slots.planClaim(slot).epoch;
    return { epoch, txid: (this.#slots.txid(slot) + 1) as Txid, attempt: randomInt(1, 2 ** 32) };
  }

  /** Logs one record with the image that was prepared. */
  #write(slot: Slot, { capture }: { readonly capture: WalPlace }, changes: IndexChange[]): LogPlace {
    const now = Date.now();
    if (!this.#slots.isClaimed(slot)) this.#claim(slot, now);
    const image = this.#image;
    image.walSalt1 = capture.salt1;
    image.walSalt2 = capture.salt2;
    image.walEnd = capture.end;
    const record = this.#record;
    record.slot = slot;
    record.epoch = this.#slots.epoch(slot);
    record.txid = (this.#slots.txid(slot) + 1) as Txid;
    record.time = now;
    record.changes = changes;
    const at = this.log.begin(commitLength(record));
    const place = this.log.end(at, encodeCommit(record, this.log.target, at));
    this.#slots.advanced(slot, record.txid);
    return place;
  }

  #update(entry: CellEntry, image: CellImage, at: { epoch: Epoch; txid: Txid; time: number }, place: LogPlace): void {
    assert(place > entry.place, "the records of a cell follow each other in the log");
    entry.epoch = at.epoch;
    entry.txid = at.txid;
    entry.changedMs = at.time;
    entry.pageCount = image.pageCount;
    entry.place = place;
    entry.walSalt1 = image.walSalt1;
    entry.walSalt2 = image.walSalt2;
    entry.walEnd = image.walEnd;
    entry.fileRun = this.log.run;
    if (entry.dirty) return;
    entry.dirty = true;
    this.#onDirty(entry);
  }

  #setAlarms(entry: CellEntry, { alarm, failedAlarms }: AlarmState): void {
    const changed = entry.alarm !== alarm;
    entry.alarm = alarm;
    entry.failedAlarms = failedAlarms;
    if (changed) this.onAlarm(entry);
  }

  #claim(slot: Slot, now: number): void {
    const claim = this.#slots.planClaim(slot);
    const at = this.log.begin(claimLength());
    const record = { ...claim, time: now, run: this.log.run, runId: this.runId };
    this.log.end(at, encodeClaim(record, this.log.target, at));
    this.#slots.claimed(claim);
  }
}

/** What a cell is to hold instead of what it holds. */
export interface Content {
  readonly pageSize: number;
  readonly pageCount: number;
  /** All of its pages; none where `base` has them. */
  readonly pages: PageSet;
  /** The cell's snapshot in the bucket that holds the pages. */
  readonly base: SnapshotPosition | undefined;
  readonly alarms: AlarmState;
  /** The highest id of a scheduled call that the cell has given, before or in this content. */
  readonly lastId: number;
}

/** Where a WAL ends. */
type WalPlace = Pick<CellDatabase["capture"], "salt1" | "salt2" | "end">;
/** Of a file that has no WAL: all of it is in the main file. */
export const NO_WAL: { readonly capture: WalPlace } = { capture: { salt1: 0, salt2: 0, end: 0 } };

/** Where a commit was captured: an open database, or a file that was made beside. */
export interface Captured {
  readonly pageSize: number;
  readonly capture: WalPlace & Pick<CellDatabase["capture"], "pageCount">;
}

type Writable<T> = { -readonly [K in keyof T]: T[K] };

/** What the index knows of the alarms of a cell. */
export type AlarmState = Pick<CellEntry, "alarm" | "failedAlarms">;

const NO_ALARMS: AlarmState = { alarm: 0, failedAlarms: 0 };

function addAlarmChanges(
  changes: IndexChange[],
  address: Address,
  before: CellEntry | undefined,
  { alarm, failedAlarms }: AlarmState,
): void {
  const was = before ?? NO_ALARMS;
  if (alarm !== was.alarm) changes.push({ what: alarm === 0 ? "alarm-cleared" : "alarm-set", address, value: alarm });
  if (failedAlarms !== was.failedAlarms) changes.push({ what: "alarms-failed", address, value: failedAlarms });
}

/** A cell that has no record yet. */
export function newEntry(address: Address, slot: Slot, pageSize: number): CellEntry {
  return {
    address,
    slot,
    pageSize,
    epoch: 0 as Epoch,
    txid: 0 as Txid,
    createdMs: 0,
    changedMs: 0,
    pageCount: 0,
    place: 0 as LogPlace,
    walSalt1: 0,
    walSalt2: 0,
    walEnd: 0,
    fileRun: 0 as RunNumber,
    deleted: false,
    alarm: 0,
    failedAlarms: 0,
    lastId: 0,
    dirty: false,
  };
}

/** Pages of several commits that ride in one record: copied, because captures share their buffer. */
export class PendingPages {
  readonly #pages = new Map<number, Uint8Array>();

  add(pages: PageSet): void {
    for (let i = 0; i < pages.count; i++) {
      const offset = pages.offsets[i] as number;
      // Buffer.from copies; the `slice` of a Buffer would be a view of what the next capture overwrites.
      this.#pages.set(pages.numbers[i] as number, Buffer.from(pages.source.subarray(offset, offset + pages.pageSize)));
    }
  }

  /** Begins with a whole file: what a template made. The bytes are kept, not copied. */
  seed(image: Uint8Array, pageSize: number): void {
    for (let at = 0; at < image.length; at += pageSize) {
      this.#pages.set(at / pageSize + 1, image.subarray(at, at + pageSize));
    }
  }

  /** All pages, as one set for a database of `pageCount` pages. */
  take(pageSize: number, pageCount: number): PageSet {
    const set = new PageSet();
    const numbers = [...this.#pages.keys()].filter((number) => number <= pageCount);
    const bytes = Buffer.allocUnsafeSlow(numbers.length * pageSize);
    set.reset(bytes, pageSize);
    for (const [i, number] of numbers.entries()) {
      bytes.set(this.#pages.get(number) as Uint8Array, i * pageSize);
      set.put(number, i * pageSize);
    }
    this.#pages.clear();
    return set;
  }
}
