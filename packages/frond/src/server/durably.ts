// Writing what must not be lost, at the few places outside of the log that do.
//
// Rule: when one of these returns, what it wrote survives a loss of power. They wait for the disk, so they are for starts and
// stops only.

import fs from "node:fs";
import path from "node:path";
import { FrondError, isFrondError } from "../errors.ts";
import { wrapSqlError } from "../store/sqlerror.ts";

/** Makes the entries of a folder durable. */
export function syncFolder(folder: string): void {
  syncPath(folder, "r");
}

/** Makes durable what is in a file, whoever wrote it. */
export function syncFile(file: string): void {
  syncPath(file, "r+");
}

/** Writes a whole file: it is there with all its bytes, or as it was before. Throws DISK_FULL. */
export function writeDurably(file: string, bytes: Uint8Array): void {
  const temporary = `${file}.new`;
  try {
    fs.writeFileSync(temporary, bytes, { mode: 0o600, flush: true });
    fs.renameSync(temporary, file);
    syncFolder(path.dirname(file));
  } catch (error) {
    fs.rmSync(temporary, { force: true });
    throw fullDisk(error, file);
  }
}

/** DISK_FULL for what the system or SQLite throws on a full disk, naming `what` found no space; else the error itself. */
export function fullDisk(error: unknown, what: string): unknown {
  const full =
    (error as NodeJS.ErrnoException).code === "ENOSPC" || isFrondError(wrapSqlError(error, what), "DISK_FULL");
  if (!full || error instanceof FrondError) return error;
  return new FrondError("DISK_FULL", `there is no space for ${what}; make some and try again`, { cause: error });
}

function syncPath(what: string, flags: string): void {
  const fd = fs.openSync(what, flags);
  try {
    fs.fsyncSync(fd);
  } finally {
    fs.closeSync(fd);
  }
}
