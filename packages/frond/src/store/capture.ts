// Capture: what a COMMIT wrote, read back from the cell's WAL right after it.
//
// Rule: one capture per COMMIT, up to that commit's frame and no further. Nothing else writes the file (the database is
// opened EXCLUSIVE), so the offset kept here and the running checksum are all the state there is.
// Why from the file: node:sqlite has no WAL hook, and the page cache holds what was just written, so the read is a copy.
// All cells share one buffer: a capture is encoded into the log before the next one begins.

import fs from "node:fs";
import { PageSet } from "../codec/pages.ts";
import {
  COMMIT,
  MORE,
  readWalHeader,
  restartScan,
  scanCommit,
  WAL_FRAME_HEADER_BYTES,
  WAL_HEADER_BYTES,
  type WalState,
} from "../codec/wal.ts";
import { FrondError } from "../errors.ts";
import { MAX_COMMIT_BYTES } from "../limits.ts";

/** Frames that the first read of a capture fetches: most commits change one or two pages. */
const FIRST_FRAMES = 4;
const SHARED_BYTES = 256 * 1024;

// A commit above this many bytes of frames cannot pass, even where every page was written twice.
const LARGEST_READ = MAX_COMMIT_BYTES * 2 + 1024 * 1024;

const shared = Buffer.allocUnsafeSlow(SHARED_BYTES);
const sharedPages = new PageSet();

/** Reads the WAL of one open cell. Owned by its CellDatabase. */
export class Capture {
  readonly #wal: string;
  readonly #pageSize: number;
  #fd = -1;
  #state: WalState | undefined;

  constructor(file: string, pageSize: number) {
    this.#wal = `${file}-wal`;
    this.#pageSize = pageSize;
  }

  /** Offset behind the last captured commit, in bytes; 0 while the WAL is empty. */
  get end(): number {
    return this.#state?.end ?? 0;
  }
  get salt1(): number {
    return this.#state?.salt1 ?? 0;
  }
  get salt2(): number {
    return this.#state?.salt2 ?? 0;
  }
  /** Pages of the database after the last captured commit. */
  get pageCount(): number {
    return this.#state?.pageCount ?? 0;
  }

  /**
   * The pages of the COMMIT that just returned, or undefined when it changed none. They are valid until the next
   * capture of any cell. Throws RECORD_TOO_LARGE for a commit above MAX_COMMIT_BYTES: the WAL then holds a commit that
   * the log will not have, so the caller must discard the file.
   */
  read(): PageSet | undefined {
    this.#state ??= this.#begin();
    if (this.#state === undefined) return undefined;
    const pages = this.#readFrom(this.#state);
    if (pages !== undefined) return pages;
    // Nothing behind the last commit: nothing changed, or SQLite began the file anew (it may, once all of it was
    // checkpointed). Only the header tells, and a commit that is overlooked would be lost.
    const present = this.#begin();
    if (present === undefined || (present.salt1 === this.#state.salt1 && present.salt2 === this.#state.salt2))
      return undefined;
    this.#state = present;
    return this.#readFrom(present);
  }

  #readFrom(state: WalState): PageSet | undefined {
    const frame = WAL_FRAME_HEADER_BYTES + this.#pageSize;
    let buffer = shared;
    let have = 0;
    let want = Math.min(buffer.length, FIRST_FRAMES * frame);
    for (;;) {
      const got = fs.readSync(this.#fd, buffer, have, want - have, state.end + have);
      have += got;
      const status = scanCommit(state, buffer, have, 0, sharedPages);
      if (status === COMMIT) return this.#checked(sharedPages);
      if (status !== MORE || got === 0) {
        // Frames without a commit behind them are left over from a rollback.
        restartScan(state);
        return undefined;
      }
      if (have >= LARGEST_READ) throw tooLarge(this.#wal, have);
      want = have * 2;
      if (want > buffer.length) {
        const larger = Buffer.allocUnsafeSlow(want);
        buffer.copy(larger, 0, 0, have);
        buffer = larger;
      }
    }
  }

  /** Moves behind the commits that are in the WAL of a file that was just opened. */
  skipToEnd(): void {
    while (this.read() !== undefined);
  }

  /** After a TRUNCATE checkpoint: the next commit begins a new WAL. */
  restart(): void {
    this.#state = undefined;
  }

  close(): void {
    if (this.#fd !== -1) fs.closeSync(this.#fd);
    this.#fd = -1;
  }

  /** The state at the start of the WAL, or undefined while it holds nothing. */
  #begin(): WalState | undefined {
    if (this.#fd === -1) {
      try {
        this.#fd = fs.openSync(this.#wal, "r");
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
        throw error;
      }
    }
    if (fs.readSync(this.#fd, shared, 0, WAL_HEADER_BYTES, 0) < WAL_HEADER_BYTES) return undefined;
    const state = readWalHeader(shared.subarray(0, WAL_HEADER_BYTES), this.#wal);
    if (state.pageSize !== this.#pageSize) {
      // One of the two files is damaged; SQLite itself goes on with either size.
      const sizes = `has pages of ${state.pageSize} bytes, its database of ${this.#pageSize}`;
      throw new FrondError("WAL_DAMAGED", `${this.#wal} ${sizes}: delete both files and rebuild the cell from the log`);
    }
    return state;
  }

  #checked(pages: PageSet): PageSet {
    if (pages.byteLength > MAX_COMMIT_BYTES) throw tooLarge(this.#wal, pages.byteLength);
    return pages;
  }
}

function tooLarge(wal: string, bytes: number): FrondError {
  return new FrondError(
    "RECORD_TOO_LARGE",
    `the transaction behind ${wal} changed more than ${MAX_COMMIT_BYTES} bytes of pages (${bytes} so far); split it into smaller ones`,
  );
}
