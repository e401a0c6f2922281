// The ledger: rows of the catalog that changed since they were last written, and when they are written.
//
// Rule: a row reaches the catalog only when the record it speaks of is durable; rows are written in small pieces, so no
// request waits for thousands of them. After that, log files before the present one need not be scanned at a start.
// What is held in memory is bounded by what fits into one log file, not by the number of cells.

import { compareAddresses } from "../../address.ts";
import { type Armed, compareArmed } from "../../core/alarm.ts";
import type { SlotTable } from "../../core/slots.ts";
import { SLOTS } from "../../limits.ts";
import type { CommitLog } from "../../log/log.ts";
import type { Catalog, CellEntry, SlotRow } from "../../store/catalog.ts";
import type { Address, LogPlace, Slot } from "../../types.ts";

/** A part of the alarms of all cells. */
export interface AlarmPage {
  readonly list: Armed[];
  /** The list has all up to here. */
  readonly through: Armed;
  /** There is nothing behind it. */
  readonly complete: boolean;
}

/** Rows written in one piece, between other work. Count. */
const PIECE = 200;

/** See the head of the file. One per node. */
export class Ledger {
  readonly #catalog: Catalog;
  readonly #log: CommitLog;
  readonly #slots: SlotTable;
  readonly #warn: (fields: object, message: string) => void;
  #dirty = new Map<Address, CellEntry>();
  #writing: Map<Address, CellEntry> | undefined;
  #work: Promise<void> = Promise.resolve();

  constructor(catalog: Catalog, log: CommitLog, slots: SlotTable, warn: (fields: object, message: string) => void) {
    this.#catalog = catalog;
    this.#log = log;
    this.#slots = slots;
    this.#warn = warn;
  }

  /** The present row of a cell, written or not. */
  find(address: Address): CellEntry | undefined {
    return this.#dirty.get(address) ?? this.#writing?.get(address) ?? this.#catalog.find(address);
  }

  /** Rows behind the address `after`, in order of address: cells that exist. */
  list(after: string, limit: number): CellEntry[] {
    const rows = new Map(this.#catalog.list(after, limit).map((entry) => [entry.address, entry]));
    for (const [address, entry] of this.#unwritten())
      if (compareAddresses(address, after) > 0) rows.set(address, entry);
    const ordered = [...rows.values()]
      .filter((entry) => !entry.deleted)
      .sort((a, b) => compareAddresses(a.address, b.address));
    return ordered.slice(0, limit);
  }

  /** Cells with an alarm behind `after`, in order of time and address: all of them up to `through`. */
  alarms(after: Armed, limit: number): AlarmPage {
    const written = this.#catalog.alarms(after, limit);
    const complete = written.length < limit;
    const end = complete ? undefined : (written.at(-1) as Armed);
    const unwritten = this.#unwritten();
    const list = written.filter(({ address }) => !unwritten.has(address));
    for (const { address, alarm } of unwritten.values()) {
      const armed = { address, due: alarm };
      if (alarm === 0 || compareArmed(armed, after) <= 0) continue;
      if (end === undefined || compareArmed(armed, end) <= 0) list.push(armed);
    }
    list.sort(compareArmed);
    if (list.length <= limit) return { list, complete, through: end ?? list.at(-1) ?? after };
    const part = list.slice(0, limit);
    return { list: part, complete: false, through: part.at(-1) as Armed };
  }

  /** Cells behind the address `after` in which alarms have failed, in order of address. */
  withFailedAlarms(after: string, limit: number): CellEntry[] {
    const unwritten = this.#unwritten();
    // Those that have none any more are left out, so some more are read.
    const written = this.#catalog.withFailedAlarms(after, limit + unwritten.size);
    const rows = written.filter(({ address }) => !unwritten.has(address));
    for (const entry of unwritten.values()) {
      if (entry.failedAlarms > 0 && compareAddresses(entry.address, after) > 0) rows.push(entry);
    }
    return rows.sort((a, b) => compareAddresses(a.address, b.address)).slice(0, limit);
  }

  /** Alarms that have failed, of all cells. Count. */
  countFailedAlarms(): number {
    let count = this.#catalog.countFailedAlarms();
    for (const [address, entry] of this.#unwritten()) {
      count += entry.failedAlarms - (this.#catalog.find(address)?.failedAlarms ?? 0);
    }
    return count;
  }

  /** Cells that exist. Count. */
  count(): number {
    let count = this.#catalog.count();
    for (const [address, entry] of this.#unwritten()) {
      const known = this.#catalog.find(address);
      const was = known !== undefined && !known.deleted;
      count += Number(!entry.deleted) - Number(was);
    }
    return count;
  }

  /** A commit changed the row (and marked it dirty). */
  changed(entry: CellEntry): void {
    this.#dirty.set(entry.address, entry);
  }

  /** Something else about the row changed. */
  touch(entry: CellEntry): void {
    entry.dirty = true;
    this.#dirty.set(entry.address, entry);
  }

  /** Writes what has changed so far. Failures are reported and tried again with the next call. */
  flush(): Promise<void> {
    this.#work = this.#work.then(() => this.#flush());
    return this.#work;
  }

  #unwritten(): Map<Address, CellEntry> {
    return new Map([...(this.#writing ?? []), ...this.#dirty]);
  }

  async #flush(): Promise<void> {
    const rows = [...this.#dirty.values()].map((entry) => {
      entry.dirty = false;
      return { ...entry };
    });
    const writing = this.#dirty;
    this.#writing = writing;
    this.#dirty = new Map();
    const current = this.#log.current?.number;
    const slots = this.#slotRows();
    const highest = rows.reduce((place, row) => Math.max(place, row.place), 0) as LogPlace;
    await this.#log.flushed();
    try {
      for (let at = 0; at < rows.length; at += PIECE) {
        this.#catalog.batch(() => {
          for (const row of rows.slice(at, at + PIECE)) this.#catalog.put(row);
        });
        await new Promise((resolve) => setImmediate(resolve));
      }
      this.#catalog.batch(() => {
        for (const row of slots) this.#catalog.putSlot(row);
        if (current !== undefined) this.#catalog.cover(current, highest);
      });
    } catch (error) {
      // The log has it all: without the catalog a start only reads more of it.
      this.#warn({ err: error }, "the catalog could not be written; it will be tried again");
      for (const [address, entry] of writing) if (!this.#dirty.has(address)) this.touch(entry);
    }
    this.#writing = undefined;
  }

  /** As of now: a slot that goes on while this is written must not be noted ahead of its log. */
  #slotRows(): SlotRow[] {
    const rows: SlotRow[] = [];
    for (let i = 0; i < SLOTS; i++) {
      const slot = i as Slot;
      if (this.#slots.isClaimed(slot))
        rows.push({ slot, epoch: this.#slots.epoch(slot), txid: this.#slots.txid(slot) });
    }
    return rows;
  }
}
