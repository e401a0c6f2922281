// Bringing the catalog up to the log: what a scan at the start does with the records that it meets.
//
// Rule: rows are written in the order of the log, and the catalog itself refuses to go back; so records may be applied
// again after a start that was interrupted. Nothing that waits to be written holds on to the bytes of a log file.

import { newEntry } from "../cell/commit.ts";
import type { DecodedCommit, DecodedRecord } from "../codec/record.ts";
import type { Catalog, CellEntry } from "../store/catalog.ts";
import type { Address, LogPlace, RunNumber } from "../types.ts";

/** Rows written as one transaction. Count. */
const PIECE = 10_000;

/** Applies records to a catalog. */
export class Applier {
  /** Records that were applied. Count. */
  records = 0;
  readonly #catalog: Catalog;
  #pending: (() => void)[] = [];

  constructor(catalog: Catalog) {
    this.#catalog = catalog;
  }

  apply(record: DecodedRecord, place: LogPlace, run: RunNumber): void {
    this.records += 1;
    const { slot, epoch, txid } = record;
    this.#later(() => this.#catalog.putSlot({ slot, epoch, txid }));
    if (record.type === "commit") this.#applyCells(record, place, run);
  }

  /** Writes what waits. */
  flush(): void {
    const pending = this.#pending;
    this.#pending = [];
    this.#catalog.batch(() => {
      for (const write of pending) write();
    });
  }

  #applyCells(record: DecodedCommit, place: LogPlace, fileRun: RunNumber): void {
    const { slot, epoch, txid, time } = record;
    const created = changed(record, "created");
    const deleted = changed(record, "deleted");
    for (const cell of record.cells) {
      const { address, pageSize, pageCount, walSalt1, walSalt2, walEnd } = cell;
      const at = { epoch, txid, changedMs: time, pageSize, pageCount, place, walSalt1, walSalt2, walEnd, fileRun };
      this.#later(() => {
        const before = this.#catalog.find(address);
        const known = created.has(address) ? undefined : before;
        const entry = { ...(known ?? newEntry(address, slot, pageSize)), ...at, deleted: deleted.has(address) };
        if (known === undefined) entry.createdMs = time;
        if (before !== undefined) entry.lastId = before.lastId;
        applyAlarms(entry, record);
        this.#catalog.put(entry);
      });
    }
  }

  #later(write: () => void): void {
    this.#pending.push(write);
    if (this.#pending.length >= PIECE) this.flush();
  }
}

/** What the record says of the alarms of a cell; one that is created or deleted in it has none before. */
function applyAlarms(entry: CellEntry, record: DecodedCommit): void {
  if (entry.deleted) {
    entry.alarm = 0;
    entry.failedAlarms = 0;
  }
  for (const { what, address, value } of record.changes) {
    if (address !== entry.address) continue;
    if (what === "alarm-set" || what === "alarm-cleared") entry.alarm = value;
    else if (what === "alarms-failed") entry.failedAlarms = value;
    else if (what === "deleted") entry.lastId = value;
  }
}

function changed(record: DecodedCommit, what: "created" | "deleted"): Set<Address> {
  return new Set(record.changes.filter((change) => change.what === what).map((change) => change.address));
}
