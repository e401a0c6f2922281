// The files of cells: found, believed or made anew from the log, and opened.
//
// Rule: a file is a cache of the log. It is used when the run that made it cannot have left something in it that the log
// has not, and after its WAL was cut back to what the log says; any other is made anew: from the log of this disk, which
// is at hand, where that holds all of it and the cell is not large, else from the bucket.

import fs from "node:fs";
import path from "node:path";
import { assert } from "../../assert.ts";
import type { CellKind } from "../../cell/app.ts";
import { FrondError, isFrondError } from "../../errors.ts";
import { ASIDE_CELL_BYTES } from "../../limits.ts";
import { readChain } from "../../log/chain.ts";
import type { CellEntry } from "../../store/catalog.ts";
import { CellDatabase } from "../../store/database.ts";
import { cellPath, slotFolder } from "../../store/paths.ts";
import { cutWal, removeCell, writeCell, writeNew } from "../../store/restore.ts";
import type { Address, RunNumber, Slot } from "../../types.ts";

/** What the files are found by. */
export interface FilesOptions {
  readonly directory: string;
  readonly run: RunNumber;
  readonly doubtfulThrough: RunNumber;
  readonly pathOfLogFile: (file: number) => string | undefined;
  /** A file was made anew: its row of the catalog has changed. */
  readonly rebuilt: (entry: CellEntry) => void;
  readonly warn: (fields: object, message: string) => void;
  /** Makes a file anew from the bucket; undefined: there is none. */
  readonly fetch: ((entry: CellEntry, file: string) => Promise<void>) | undefined;
}

/** See the head of the file. One per node. */
export class CellFiles {
  readonly #o: FilesOptions;
  /** Slots whose folder is there. */
  readonly #folders = new Set<Slot>();
  readonly #fetching = new Map<Address, Promise<void>>();

  constructor(options: FilesOptions) {
    this.#o = options;
  }

  /** A file for a cell that does not exist. What is left of one that never happened goes. */
  create(kind: CellKind, slot: Slot, address: Address, template: Uint8Array | undefined): CellDatabase {
    const file = this.fileOf(slot, address);
    // Left by a process that ended before the first record: it never happened. A WAL alone would be replayed into the new file.
    if (fs.existsSync(file) || fs.existsSync(`${file}-wal`)) removeCell(file);
    if (template !== undefined) writeNew(file, template);
    return CellDatabase.open(file, kind.pageSize);
  }

  /** The file of a cell that exists, as the log has it; or when to ask again, while it comes from the bucket. */
  open(entry: CellEntry): CellDatabase | Promise<void> {
    const { address, slot } = entry;
    const file = this.fileOf(slot, address);
    if (this.#usable(entry, file)) {
      try {
        return openAsLogged(entry, file);
      } catch (error) {
        if (!isFrondError(error, "CELL_DAMAGED") && !isFrondError(error, "WAL_DAMAGED")) throw error;
        this.#o.warn({ address, file, err: error }, "a cell's file was damaged; it is made anew from the log");
      }
    }
    return this.#rebuild(entry, file) ?? CellDatabase.open(file, entry.pageSize);
  }

  /** A file that is being made for the cell just now: to be waited for by who removes it. */
  coming(address: Address): Promise<void> | undefined {
    return this.#fetching.get(address);
  }

  /**
   * Removes the file of a cell that is not open. The next one who opens the cell has it made anew from the log. `to`: where the
   * file goes instead, which takes no time however large it is.
   */
  remove(slot: Slot, address: Address, to?: string): void {
    assert(!this.#fetching.has(address), "a file that is being made is not removed");
    const file = this.fileOf(slot, address);
    if (to !== undefined) fs.renameSync(file, to);
    removeCell(file);
  }

  /** Puts a file in the place of the cell's, which was removed: what the log says now. */
  place(slot: Slot, address: Address, made: string): void {
    assert(!this.#fetching.has(address), "a file that is being made is not put in");
    fs.renameSync(made, this.fileOf(slot, address));
  }

  /** Where the file of a cell lies, or is to lie. */
  fileOf(slot: Slot, address: Address): string {
    const cells = path.join(this.#o.directory, "cells");
    if (!this.#folders.has(slot)) {
      fs.mkdirSync(slotFolder(cells, slot), { recursive: true, mode: 0o700 });
      this.#folders.add(slot);
    }
    return cellPath(cells, slot, address);
  }

  /** The file can be used as a cache of the log, after its WAL was cut back to it. */
  #usable(entry: CellEntry, file: string): boolean {
    if (entry.fileRun <= this.#o.doubtfulThrough || !fs.existsSync(file)) return false;
    return cutWal(file, entry) !== "short";
  }

  #rebuild(entry: CellEntry, file: string): Promise<void> | undefined {
    const fetching = this.#fetching.get(entry.address);
    if (fetching !== undefined) return fetching;
    const { fetch } = this.#o;
    try {
      // A cell that came from the bucket has nothing in the log of this disk. A large one comes from there whatever this disk
      // has: from the log it is gathered here, in memory, and everybody else waits.
      const away = entry.place === 0 || entry.pageCount * entry.pageSize > ASIDE_CELL_BYTES;
      if (away && fetch !== undefined) return this.#fetch(fetch, entry, file);
      const content = readChain(this.#o.pathOfLogFile, entry.address, entry.place);
      writeCell(file, content.pageSize, content.pageCount, (number) => content.pages.get(number));
      this.#made(entry);
      return undefined;
    } catch (error) {
      if (fetch === undefined || !isFrondError(error, "CELL_DAMAGED")) throw error;
      return this.#fetch(fetch, entry, file);
    }
  }

  #fetch(fetch: (entry: CellEntry, file: string) => Promise<void>, entry: CellEntry, file: string): Promise<void> {
    const fetched = fetch(entry, file)
      .then(() => this.#made(entry))
      .finally(() => this.#fetching.delete(entry.address));
    this.#fetching.set(entry.address, fetched);
    return fetched;
  }

  #made(entry: CellEntry): void {
    entry.fileRun = this.#o.run;
    this.#o.rebuilt(entry);
  }
}

/** Opens a file that should be what the log says. SQLite takes an empty or a shortened one for a smaller database. */
function openAsLogged(entry: CellEntry, file: string): CellDatabase {
  const db = CellDatabase.open(file, entry.pageSize);
  const pages = db.pageCount;
  if (pages === entry.pageCount && db.pageSize === entry.pageSize) return db;
  db.discard();
  throw new FrondError("CELL_DAMAGED", `${file} has ${pages} pages, its last record says ${entry.pageCount}`);
}
