// Bringing a cell's file back to exactly what the log says, before it is opened.
//
// Rule: the file is a cache of the log (law 3). After a crash of the process the WAL may hold commits that never reached
// the log: `cutWal` takes them away. After a reboot nothing in the file is believed: `writeCell` writes it anew.
// A WAL with other salts than the last record names was begun after a checkpoint that needed the log to hold everything,
// so the main file alone is the logged state and the whole WAL goes.

import fs from "node:fs";
import path from "node:path";
import { lockPage } from "../codec/pages.ts";
import { FrondError } from "../errors.ts";

const WAL_HEADER_BYTES = 32;

/** Where the last record of a cell ended in its WAL. */
export interface WalEnd {
  readonly walSalt1: number;
  readonly walSalt2: number;
  readonly walEnd: number;
}

/** What `cutWal` found. "short": the WAL misses bytes that the log says were there, so the file is not to be used. */
export type WalCut = "none" | "kept" | "cut" | "short";

/** Cuts the WAL beside `file` back to `end`. Never opens the database file itself. */
export function cutWal(file: string, end: WalEnd): WalCut {
  const wal = `${file}-wal`;
  let fd: number;
  try {
    fd = fs.openSync(wal, "r+");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return "none";
    throw error;
  }
  try {
    const size = fs.fstatSync(fd).size;
    const header = Buffer.alloc(WAL_HEADER_BYTES);
    const known =
      size >= WAL_HEADER_BYTES &&
      fs.readSync(fd, header, 0, WAL_HEADER_BYTES, 0) === WAL_HEADER_BYTES &&
      header.readUInt32BE(16) === end.walSalt1 &&
      header.readUInt32BE(20) === end.walSalt2;
    const keep = known ? end.walEnd : 0;
    if (size < keep) return "short";
    if (size === keep) return "kept";
    fs.ftruncateSync(fd, keep);
    return "cut";
  } finally {
    fs.closeSync(fd);
  }
}

/**
 * Writes a cell's file from its pages (every page from 1 to `pageCount`, but for the one that SQLite never writes),
 * replacing what was there. Throws CELL_DAMAGED when a page is missing, and DISK_FULL.
 */
export function writeCell(
  file: string,
  pageSize: number,
  pageCount: number,
  page: (number: number) => Uint8Array | undefined,
): void {
  removeCell(file);
  fs.mkdirSync(path.dirname(file), { recursive: true, mode: 0o700 });
  const temporary = `${file}.new`;
  const fd = fs.openSync(temporary, "w", 0o600);
  try {
    const perWrite = Math.max(1, Math.floor((1024 * 1024) / pageSize));
    const buffer = Buffer.allocUnsafe(perWrite * pageSize);
    for (let first = 1; first <= pageCount; first += perWrite) {
      const count = Math.min(perWrite, pageCount - first + 1);
      for (let i = 0; i < count; i++) {
        const bytes = first + i === lockPage(pageSize) ? new Uint8Array(pageSize) : page(first + i);
        if (bytes === undefined) throw new FrondError("CELL_DAMAGED", `page ${first + i} of ${file} is missing`);
        buffer.set(bytes, i * pageSize);
      }
      writeAll(fd, buffer, count * pageSize, (first - 1) * pageSize);
    }
  } catch (error) {
    fs.rmSync(temporary, { force: true });
    throw (error as NodeJS.ErrnoException).code === "ENOSPC"
      ? new FrondError("DISK_FULL", `no space to rebuild ${file}`, { cause: error })
      : error;
  } finally {
    fs.closeSync(fd);
  }
  fs.renameSync(temporary, file);
}

/** Writes the file of a cell that begins with `image`. Throws DISK_FULL. */
export function writeNew(file: string, image: Uint8Array): void {
  try {
    fs.writeFileSync(file, image, { mode: 0o600 });
  } catch (error) {
    fs.rmSync(file, { force: true });
    throw (error as NodeJS.ErrnoException).code === "ENOSPC"
      ? new FrondError("DISK_FULL", `no space for ${file}`, { cause: error })
      : error;
  }
}

/** Removes a cell's file and what SQLite keeps beside it. */
export function removeCell(file: string): void {
  for (const suffix of ["", "-wal", "-shm", "-journal"]) fs.rmSync(file + suffix, { force: true });
}

function writeAll(fd: number, buffer: Buffer, length: number, position: number): void {
  for (let at = 0; at < length;) at += fs.writeSync(fd, buffer, at, length - at, position + at);
}
