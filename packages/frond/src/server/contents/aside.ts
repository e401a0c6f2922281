// Large cells that are set aside: closed, worked on as whole files by a process of their own, and opened again.
//
// Rule: until the log has what came of it, the cell is what it was, and its file too; a failure or a crash at any moment leaves that.
// What differs goes into one ordinary commit, as if it had been done here; where that is much, all of it goes into the bucket
// first, as a snapshot that the record names. Then the new file takes the place of the old one, which is gone
// before the record is written: a file that is not what the log says is never there.
// Meanwhile calls, alarms and operators wait as for any cell that is being opened; all other cells run on.
// Rejected: statements one by one between the events of others (one CREATE INDEX takes as long as the cell is large).

import { randomUUID } from "node:crypto";
import { rm } from "node:fs/promises";
import path from "node:path";
import type { CellKind } from "../../cell/app.ts";
import { type Committer, NO_WAL } from "../../cell/commit.ts";
import type { LiveCell } from "../../cell/live.ts";
import { isBehind } from "../../cell/migrate.ts";
import { PageSet } from "../../codec/pages.ts";
import { FrondError, isFrondError } from "../../errors.ts";
import {
  ASIDE_AT_ONCE,
  ASIDE_CELL_BYTES,
  ASIDE_COMMIT_BYTES,
  ASIDE_LOOK_MS,
  ASIDE_RETRY_MS,
  MAX_COMMIT_BYTES,
} from "../../limits.ts";
import type { CellEntry } from "../../store/catalog.ts";
import type { CellDatabase } from "../../store/database.ts";
import { type Address, comparePositions, type Slot, type SnapshotPosition } from "../../types.ts";
import { CellWorkers } from "./askCellWork.ts";
import type { CellFiles } from "../cells/cellFiles.ts";
import type { CellMade } from "./cellWork.ts";
import { ContentFile } from "./contentFile.ts";
import type { Ledger } from "../cells/ledger.ts";
import { Places } from "../places.ts";
import type { Waits } from "../cells/waits.ts";

/** What is to be done with a cell. */
export type AsideWork = "migrations" | "vacuum";

/** What it needs of the host of cells. */
export interface AsideHost {
  readonly committer: Committer;
  readonly ledger: Pick<Ledger, "find">;
  readonly files: CellFiles;
  readonly waits: Waits;
  /** The data directory. */
  readonly directory: string;
  /** The bucket takes the content of a file at the position of the entry; undefined: there is none. */
  readonly putContent: ((entry: CellEntry, file: string) => Promise<void>) | undefined;
  /** Nothing is opened or written now. */
  isResting(): boolean;
  openCell(address: Address): LiveCell | undefined;
  /** Gives up an instance in which nothing runs; its file stays open until everything is in the log. */
  leave(cell: LiveCell): void;
  closeFile(cell: LiveCell): void;
  /** Resolves when the slot is served, by whichever run. */
  serve(slot: Slot): Promise<void>;
  /** Throws where no write may be begun. */
  admit(): void;
  /** Moves the file of the cell, which is not open, out of the way, and has `write` log what the cell holds from then on. */
  swap(kind: CellKind, address: Address, write: () => void, to: string): void;
  warn(fields: object, message: string): void;
}

/** See the head of the file. One per node. */
export class Aside {
  readonly #host: AsideHost;
  readonly #places = new Places(ASIDE_AT_ONCE);
  readonly #workers = new CellWorkers();
  /** Cells that are to be vacuumed when nothing runs in them. */
  readonly #toVacuum = new Set<Address>();
  /** Cells whose migrations have failed lately. */
  readonly #failures = new Map<Address, { readonly error: unknown; readonly until: number }>();

  constructor(host: AsideHost) {
    this.#host = host;
  }

  /**
   * The missing migrations of a large cell that is being opened, and whose file is closed for them; undefined: there are none to be done
   * here. Throws what keeps the cell from being opened at all.
   */
  migrate(kind: CellKind, entry: CellEntry, db: CellDatabase): Promise<void> | undefined {
    if (entry.pageCount * entry.pageSize <= ASIDE_CELL_BYTES) return undefined;
    let behind = true;
    try {
      behind = isBehind(kind, entry.address, db);
      if (behind) this.#checkLately(entry.address);
    } finally {
      if (behind) db.close();
    }
    return behind ? this.#setAside("migrations", kind, entry.address) : undefined;
  }

  /**
   * Closes a cell as soon as nothing runs in it, and vacuums it. Throws RECORD_TOO_LARGE where what is left of it could not be kept,
   * for want of a bucket.
   */
  vacuumSoon({ kind, address, db }: LiveCell): void {
    if (this.#host.putContent === undefined) checkFits(address, db);
    if (this.#toVacuum.has(address)) return;
    this.#toVacuum.add(address);
    const look = (): void => {
      if (this.#host.isResting()) return void this.#toVacuum.delete(address);
      const cell = this.#host.openCell(address);
      if (cell === undefined ? this.#isBusy(address) : !cell.atRest) return again();
      this.#toVacuum.delete(address);
      void this.#setAside("vacuum", kind, address, cell);
    };
    const again = (): void => void setTimeout(look, ASIDE_LOOK_MS).unref();
    again();
  }

  /** Ends what is under way: the cells are as they were. */
  stop(): void {
    this.#workers.stop();
  }

  #isBusy(address: Address): boolean {
    const { waits, files } = this.#host;
    return waits.of(address) !== undefined || files.coming(address) !== undefined;
  }

  /** Whoever asks again and again is not to keep a disk busy. */
  #checkLately(address: Address): void {
    const now = performance.now();
    for (const [known, { until }] of this.#failures) if (until <= now) this.#failures.delete(known);
    const failure = this.#failures.get(address);
    if (failure !== undefined) throw failure.error;
  }

  /** Nobody opens the cell until this is done; `cell` is it, where it is open. */
  #setAside(work: AsideWork, kind: CellKind, address: Address, cell?: LiveCell): Promise<void> {
    if (cell !== undefined) this.#host.leave(cell);
    const done = this.#close(address, cell)
      .then(() => this.#do(work, kind, address))
      .catch((error: unknown) => this.#failed(work, address, error));
    this.#host.waits.forWork(address, done);
    return done;
  }

  /** What the log has of the cell is in its file, and nobody has that open. */
  async #close(address: Address, cell: LiveCell | undefined): Promise<void> {
    const { committer, ledger, files } = this.#host;
    if (cell !== undefined) {
      await committer.log.flushed();
      this.#host.closeFile(cell);
    }
    for (;;) {
      const entry = ledger.find(address);
      if (entry === undefined || entry.deleted) return;
      const db = files.open(entry);
      if (!(db instanceof Promise)) return db.close();
      await db;
    }
  }

  /** Who waits for migrations is told; a vacuum concerns nobody who waits. */
  #failed(work: AsideWork, address: Address, error: unknown): void {
    if (isFrondError(error, "STOPPING")) {
      if (work === "migrations") throw error;
      return;
    }
    this.#host.warn({ address, err: error }, `the ${work} of a large cell failed; the cell is as it was`);
    if (work === "vacuum") return;
    if (!(error as Partial<FrondError>).retryable)
      this.#failures.set(address, { error, until: performance.now() + ASIDE_RETRY_MS });
    throw error;
  }

  async #do(work: AsideWork, kind: CellKind, address: Address): Promise<void> {
    const { committer, files, directory } = this.#host;
    const { epoch, txid, pageSize, slot } = this.#known(address);
    const copy = path.join(directory, "tmp", `aside-${randomUUID()}.db`);
    const migrations = work === "vacuum" ? undefined : { className: kind.type.name, list: kind.migrations };
    try {
      const task = { address, file: files.fileOf(slot, address), copy, pageSize, migrations };
      const made = await this.#places.take(() => this.#workers.ask(task));
      if (made.changed?.length === 0) return;
      const base = this.#isMuch(made, pageSize) ? await this.#stage(work, address, slot, made, copy) : undefined;
      // The run may be another one by now.
      await this.#host.serve(slot);
      this.#host.admit();
      if (comparePositions(this.#known(address), { epoch, txid }) !== 0)
        throw new FrondError("CELL_CHANGED", `${address} has changed while its ${work} was done`);
      // Before the file goes: what can fail has not failed then.
      const numbers = base === undefined ? made.changed : undefined;
      const pages = pagesOf(copy, { pageSize, pageCount: made.pageCount }, numbers ?? []);
      this.#host.swap(kind, address, () => this.#log(address, slot, made, base, pages), `${copy}-old`);
      await committer.log.flushed();
      files.place(slot, address, copy);
    } finally {
      // Not here: to remove a large file takes its time.
      const left = ["", "-wal", "-journal", "-old"].map((suffix) => rm(copy + suffix, { force: true }));
      await Promise.allSettled(left);
    }
  }

  /** It is not to be a commit: that would hold up everybody while it is put into the log. */
  #isMuch({ changed }: CellMade, pageSize: number): boolean {
    if (changed === undefined) return true;
    return this.#host.putContent !== undefined && changed.length * pageSize > ASIDE_COMMIT_BYTES;
  }

  #known(address: Address): CellEntry {
    const entry = this.#host.ledger.find(address);
    if (entry !== undefined && !entry.deleted) return entry;
    throw new FrondError("CELL_CHANGED", `${address} was deleted`);
  }

  /** What is not to be a commit goes into the bucket first. Where it stands there. */
  async #stage(work: AsideWork, address: Address, slot: Slot, made: CellMade, copy: string): Promise<SnapshotPosition> {
    const { putContent, committer } = this.#host;
    if (putContent === undefined) {
      const what = `the ${work} of ${address} changes more than ${MAX_COMMIT_BYTES} bytes`;
      throw new FrondError("RECORD_TOO_LARGE", `${what}, as many as a commit may hold where there is no bucket`);
    }
    const base = committer.nextPosition(slot);
    const { pageCount, alarms } = made;
    await putContent({ ...this.#known(address), ...base, ...alarms, pageCount, changedMs: Date.now() }, copy);
    return base;
  }

  #log(address: Address, slot: Slot, made: CellMade, base: SnapshotPosition | undefined, pages: PageSet): void {
    const { committer } = this.#host;
    const entry = this.#known(address);
    const { pageSize, lastId } = entry;
    const { pageCount, alarms } = made;
    if (base === undefined) {
      const source = { pageSize, capture: { ...NO_WAL.capture, pageCount } };
      committer.emit(address, Buffer.from(address), slot, entry, source, pages, undefined);
    } else {
      const content = { pageSize, pageCount, pages, base, alarms, lastId: Math.max(lastId, made.lastId) };
      committer.replace(address, slot, entry, content);
    }
  }
}

/** Vacuum writes all that is left: at least the pages that are in use. */
function checkFits(address: Address, db: CellDatabase): void {
  const { freelist_count: free } = db.prepare("PRAGMA freelist_count").get() as { freelist_count: number };
  const bytes = (db.pageCount - free) * db.pageSize;
  if (bytes <= MAX_COMMIT_BYTES) return;
  const what = `${address} has ${bytes} bytes in use, all of which vacuum writes; without a bucket`;
  throw new FrondError("RECORD_TOO_LARGE", `${what} that is one commit, which holds at most ${MAX_COMMIT_BYTES}`);
}

function pagesOf(file: string, cell: Pick<CellEntry, "pageSize" | "pageCount">, numbers: readonly number[]): PageSet {
  const content = new ContentFile(file, cell);
  try {
    const pages = new PageSet();
    pages.reset(content.read(numbers), cell.pageSize);
    for (const [i, number] of numbers.entries()) pages.put(number, i * cell.pageSize);
    return pages;
  } finally {
    content.close();
  }
}
