// The files of cells: found, believed or made anew from the log, and opened.
//
// Rule: a file is a cache of the log. It is used when the run that made it cannot have left something in it that the log
// has not, and after its WAL was cut back to what the log says; any other is rebuilt.

import fs from "node:fs";
import path from "node:path";
import type { CellKind } from "../cell/app.ts";
import { FrondError, isFrondError } from "../errors.ts";
import { readChain } from "../log/chain.ts";
import type { CellEntry } from "../store/catalog.ts";
import { CellDatabase } from "../store/database.ts";
import { cellPath, slotFolder } from "../store/paths.ts";
import { cutWal, removeCell, writeCell, writeNew } from "../store/restore.ts";
import type { Address, RunNumber, Slot } from "../types.ts";

/** What the files are found by. */
export interface FilesOptions {
  readonly directory: string;
  readonly run: RunNumber;
  readonly doubtfulThrough: RunNumber;
  readonly pathOfLogFile: (file: number) => string | undefined;
  /** A file was made anew: its row of the catalog has changed. */
  readonly rebuilt: (entry: CellEntry) => void;
  readonly warn: (fields: object, message: string) => void;
}

/** See the head of the file. One per node. */
export class CellFiles {
  readonly #o: FilesOptions;
  /** Slots whose folder is there. */
  readonly #folders = new Set<Slot>();

  constructor(options: FilesOptions) {
    this.#o = options;
  }

  /** A file for a cell that does not exist. What is left of one that never happened goes. */
  create(kind: CellKind, slot: Slot, address: Address, template: Uint8Array | undefined): CellDatabase {
    const file = this.#fileOf(slot, address);
    // Left by a process that ended before the first record: it never happened. A WAL alone would be replayed into the new file.
    if (fs.existsSync(file) || fs.existsSync(`${file}-wal`)) removeCell(file);
    if (template !== undefined) writeNew(file, template);
    return CellDatabase.open(file, kind.pageSize);
  }

  /** The file of a cell that exists, as the log has it. */
  open(entry: CellEntry): CellDatabase {
    const { address, slot } = entry;
    const file = this.#fileOf(slot, address);
    if (this.#usable(entry, file)) {
      try {
        return openAsLogged(entry, file);
      } catch (error) {
        if (!isFrondError(error, "CELL_DAMAGED") && !isFrondError(error, "WAL_DAMAGED")) throw error;
        this.#o.warn({ address, file, err: error }, "a cell's file was damaged; it is made anew from the log");
      }
    }
    this.#rebuild(entry, file);
    return CellDatabase.open(file, entry.pageSize);
  }

  #fileOf(slot: Slot, address: Address): string {
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

  #rebuild(entry: CellEntry, file: string): void {
    const content = readChain(this.#o.pathOfLogFile, entry.address, entry.place);
    writeCell(file, content.pageSize, content.pageCount, (number) => content.pages.get(number));
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
