// Bringing the catalog up to the log: what a scan at the start does with the records that it meets.
//
// Rule: rows are written in the order of the log, and the catalog itself refuses to go back; so records may be applied
// again after a start that was interrupted. Nothing that waits to be written holds on to the bytes of a log file.

import { newEntry } from "../../cell/commit.ts";
import type { DecodedCell, DecodedCommit, DecodedRecord, IndexChange } from "../../codec/record.ts";
import type { Catalog, CellEntry } from "../../store/catalog.ts";
import type { LogPlace, RunNumber } from "../../types.ts";

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
    for (const cell of record.cells) {
      const facts = factsOf(cell);
      this.#later(() => {
        const before = this.#catalog.find(facts.address);
        this.#catalog.put({ ...entryAfter(before, record, facts), place, fileRun });
      });
    }
  }

  #later(write: () => void): void {
    this.#pending.push(write);
    if (this.#pending.length >= PIECE) this.flush();
  }
}

/** What an entry takes over from a cell of a record: no bytes of it. */
export type CellFacts = Pick<CellEntry, "address" | "pageSize" | "pageCount" | "walSalt1" | "walSalt2" | "walEnd">;

export function factsOf({ address, pageSize, pageCount, walSalt1, walSalt2, walEnd }: DecodedCell): CellFacts {
  return { address, pageSize, pageCount, walSalt1, walSalt2, walEnd };
}

/**
 * What is known of a cell after a record, given what was known before. Where its record and its file are is not in it. A record
 * that stands for several commits can say both created and deleted: the last one decides.
 */
export function entryAfter(before: CellEntry | undefined, record: DecodedCommit, facts: CellFacts): CellEntry {
  const { slot, epoch, txid, time, changes } = record;
  const last = (...what: IndexChange["what"][]): IndexChange | undefined =>
    changes.findLast((change) => change.address === facts.address && what.includes(change.what));
  const created = last("created");
  const known = created === undefined ? before : undefined;
  const entry = {
    ...(known ?? newEntry(facts.address, slot, facts.pageSize)),
    ...facts,
    epoch,
    txid,
    changedMs: time,
    dirty: false,
    deleted: last("created", "deleted")?.what === "deleted",
  };
  if (known === undefined) entry.createdMs = created === undefined || created.value === 0 ? time : created.value;
  if (before !== undefined) entry.lastId = before.lastId;
  applyAlarms(entry, record);
  return entry;
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
