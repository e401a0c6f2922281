// Writing what must not be lost, at the few places outside of the log that do.
//
// Rule: when one of these returns, what it wrote survives a loss of power. They wait for the disk, so they are for starts and
// stops only.

import fs from "node:fs";
import path from "node:path";
import { FrondError } from "../errors.ts";

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
    if ((error as NodeJS.ErrnoException).code !== "ENOSPC") throw error;
    throw new FrondError("DISK_FULL", `no space for ${file}`, { cause: error });
  }
}

function syncPath(what: string, flags: string): void {
  const fd = fs.openSync(what, flags);
  try {
    fs.fsyncSync(fd);
  } finally {
    fs.closeSync(fd);
  }
}
