// Reading SQLite's write-ahead log (https://sqlite.org/fileformat2.html#the_write_ahead_log): what one COMMIT changed.
//
// Rule: read up to the first commit frame and never beyond. After a transaction that was larger than the page cache and
// was rolled back, its frames still stand behind the newest commit, with the same salts; the checksum that runs through
// all frames since the header, and nothing else, tells them from valid ones.
// This runs once per commit of every cell, so a scan allocates nothing and its result is a number.
// Rejected: the session extension (changes of rows, not pages: no schema, no vacuum), reading the wal-index (shared
// memory that an exclusive connection keeps in its heap).

import { endianness } from "node:os";
import { assert } from "../assert.ts";
import { FrondError } from "../errors.ts";
import type { PageSet } from "./pages.ts";

export const WAL_HEADER_BYTES = 32;
export const WAL_FRAME_HEADER_BYTES = 24;

/** Where the fields of the WAL header start, in bytes. All are big-endian u32. */
export const WAL_HEADER = {
  magic: 0,
  version: 4,
  "page size": 8,
  "checkpoint sequence": 12,
  "salt 1": 16,
  "salt 2": 20,
  "checksum 1": 24,
  "checksum 2": 28,
} as const;

/** Where the fields of a frame header start, in bytes. All are big-endian u32. */
export const WAL_FRAME = {
  "page number": 0,
  "page count after the commit": 4,
  "salt 1": 8,
  "salt 2": 12,
  "checksum 1": 16,
  "checksum 2": 20,
} as const;

const MAGIC_LITTLE = 0x377f0682;
const MAGIC_BIG = 0x377f0683;
const VERSION = 3_007_000;
const MIN_PAGE_SIZE = 512;
const MAX_PAGE_SIZE = 65_536;
const HOST_IS_LITTLE = endianness() === "LE";

/** {@link scanCommit}: one commit was read whole. */
export const COMMIT = 1;
/** {@link scanCommit}: the bytes end before a commit frame. */
export const MORE = 2;
/** {@link scanCommit}: the next frame is not part of the log: its salts or its checksum are others. */
export const STALE = 3;
export type ScanStatus = typeof COMMIT | typeof MORE | typeof STALE;

/** A place in a WAL file right behind a commit, and what is needed to read on from there. Mutable; owned by its reader. */
export interface WalState {
  readonly pageSize: number;
  readonly salt1: number;
  readonly salt2: number;
  /** True when the checksum counts in big-endian words (the WAL was begun on such a machine). */
  readonly bigEnd: boolean;
  /** The running checksum at `end`, as signed 32-bit numbers. */
  sum1: number;
  sum2: number;
  /** Offset in the WAL file of the frame after the last commit that was read. Moves only on COMMIT. */
  end: number;
  /** Pages of the database after the last commit that was read; 0 before the first. */
  pageCount: number;
  /** Bytes of frames behind `end` that were read without meeting a commit yet, and the checksum behind them. */
  scanned: number;
  scanSum1: number;
  scanSum2: number;
}

/** True for a page size that SQLite has: a power of two from 512 to 65,536. */
export function isPageSize(size: number): boolean {
  return size >= MIN_PAGE_SIZE && size <= MAX_PAGE_SIZE && (size & (size - 1)) === 0;
}

/** Reads the header at the start of a WAL file. Throws WAL_DAMAGED, naming `file`, when it is not a whole, sound one. */
export function readWalHeader(bytes: Uint8Array, file: string): WalState {
  if (bytes.length < WAL_HEADER_BYTES) {
    throw damaged(file, bytes.length, `the header ends after ${bytes.length} of its ${WAL_HEADER_BYTES} bytes`);
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const magic = view.getUint32(WAL_HEADER.magic);
  if (magic !== MAGIC_LITTLE && magic !== MAGIC_BIG) {
    throw damaged(file, WAL_HEADER.magic, `the magic number is 0x${magic.toString(16)}`);
  }
  const version = view.getUint32(WAL_HEADER.version);
  if (version !== VERSION) throw damaged(file, WAL_HEADER.version, `the format is ${version}, not ${VERSION}`);
  const pageSize = view.getUint32(WAL_HEADER["page size"]);
  if (!isPageSize(pageSize)) throw damaged(file, WAL_HEADER["page size"], `the page size is ${pageSize}`);
  const state: WalState = {
    pageSize,
    salt1: view.getUint32(WAL_HEADER["salt 1"]),
    salt2: view.getUint32(WAL_HEADER["salt 2"]),
    bigEnd: magic === MAGIC_BIG,
    sum1: view.getInt32(WAL_HEADER["checksum 1"]),
    sum2: view.getInt32(WAL_HEADER["checksum 2"]),
    end: WAL_HEADER_BYTES,
    pageCount: 0,
    scanned: 0,
    scanSum1: 0,
    scanSum2: 0,
  };
  addSlow(state, view, 0, WAL_HEADER["checksum 1"]);
  if (state.scanSum1 !== state.sum1 || state.scanSum2 !== state.sum2) {
    throw damaged(file, WAL_HEADER["checksum 1"], "the checksum of the header does not match");
  }
  return state;
}

/**
 * Reads frames up to and including the first commit frame and puts the last version of each page into `pages`, which
 * point into `bytes`. `bytes[at]` is the byte at `state.end` of the file; bytes from `length` on are not looked at.
 * Pages behind the end of the database that a shrinking commit leaves in the log are dropped: nothing ever reads them.
 *
 * COMMIT: `state` stands behind the commit. MORE: append what follows (in a larger buffer, if need be, but with the
 * same bytes at the same offsets) and call again with the same `at` and `pages`; nothing is read twice. STALE: no
 * further valid frame; `state` is as it was before the first call. Never throws for what stands in the bytes.
 */
export function scanCommit(state: WalState, bytes: Buffer, length: number, at: number, pages: PageSet): ScanStatus {
  assert(length <= bytes.length && at >= 0, "a WAL scan stays inside its buffer");
  if (state.scanned === 0) {
    state.scanSum1 = state.sum1;
    state.scanSum2 = state.sum2;
    pages.reset(bytes, state.pageSize);
  } else {
    pages.source = bytes;
  }
  const frameBytes = WAL_FRAME_HEADER_BYTES + state.pageSize;
  for (let frame = at + state.scanned; frame + frameBytes <= length; frame += frameBytes) {
    const page = bytes.readUInt32BE(frame + WAL_FRAME["page number"]);
    if (page === 0 || !isNextFrame(state, bytes, frame)) {
      restartScan(state);
      return STALE;
    }
    pages.put(page, frame + WAL_FRAME_HEADER_BYTES);
    state.scanned += frameBytes;
    const pageCount = bytes.readUInt32BE(frame + WAL_FRAME["page count after the commit"]);
    if (pageCount === 0) continue;
    pages.dropAbove(pageCount);
    state.pageCount = pageCount;
    state.end += state.scanned;
    state.sum1 = state.scanSum1;
    state.sum2 = state.scanSum2;
    state.scanned = 0;
    return COMMIT;
  }
  return MORE;
}

/** Forgets what was read since the last commit: the next scan starts again at `state.end`. */
export function restartScan(state: WalState): void {
  state.scanned = 0;
}

/** True when the frame carries the salts of this log and continues its checksum, which then stands behind the frame. */
function isNextFrame(state: WalState, bytes: Buffer, frame: number): boolean {
  if (bytes.readUInt32BE(frame + WAL_FRAME["salt 1"]) !== state.salt1) return false;
  if (bytes.readUInt32BE(frame + WAL_FRAME["salt 2"]) !== state.salt2) return false;
  const start = bytes.byteOffset + frame;
  // What is summed: page number and page count, then the page. Salts and checksum between them are left out.
  if (HOST_IS_LITTLE && !state.bigEnd && (start & 3) === 0) {
    const words = wordsOf(bytes.buffer);
    addFast(state, words, start >> 2, 2);
    addFast(state, words, (start + WAL_FRAME_HEADER_BYTES) >> 2, state.pageSize >> 2);
  } else {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    addSlow(state, view, frame, 8);
    addSlow(state, view, frame + WAL_FRAME_HEADER_BYTES, state.pageSize);
  }
  return (
    bytes.readInt32BE(frame + WAL_FRAME["checksum 1"]) === state.scanSum1 &&
    bytes.readInt32BE(frame + WAL_FRAME["checksum 2"]) === state.scanSum2
  );
}

let lastBuffer: ArrayBufferLike | undefined;
let lastWords: Int32Array = new Int32Array(0);

// Cells share one buffer to read their logs into: a new view for each commit would cost as much as the checksum.
function wordsOf(buffer: ArrayBufferLike): Int32Array {
  if (buffer !== lastBuffer) {
    lastWords = new Int32Array(buffer, 0, buffer.byteLength >> 2);
    lastBuffer = buffer;
  }
  return lastWords;
}

/** Adds `count` (even) words of this machine's order to the running checksum. */
function addFast(state: WalState, words: Int32Array, from: number, count: number): void {
  let s1 = state.scanSum1;
  let s2 = state.scanSum2;
  for (let i = from; i < from + count; i += 2) {
    s1 = (s1 + (words[i] as number) + s2) | 0;
    s2 = (s2 + (words[i + 1] as number) + s1) | 0;
  }
  state.scanSum1 = s1;
  state.scanSum2 = s2;
}

/** The same for bytes of any alignment and either order; `bytes` is a multiple of 8. */
function addSlow(state: WalState, view: DataView, from: number, bytes: number): void {
  const little = !state.bigEnd;
  let s1 = state.scanSum1;
  let s2 = state.scanSum2;
  for (let i = from; i < from + bytes; i += 8) {
    s1 = (s1 + view.getInt32(i, little) + s2) | 0;
    s2 = (s2 + view.getInt32(i + 4, little) + s1) | 0;
  }
  state.scanSum1 = s1;
  state.scanSum2 = s2;
}

function damaged(file: string, at: number, what: string): FrondError {
  return new FrondError(
    "WAL_DAMAGED",
    `${file}, byte ${at}: ${what}; the file is no write-ahead log of SQLite or is damaged: delete it and rebuild the cell from the log`,
  );
}
