// The calls to the file system of a directory bucket, all synchronous, and their failures as errors of a bucket.
//
// Rule: a missing file is an answer, not a failure; of the failures, who may not do it (BUCKET_DENIED) is told apart from what may go by itself (BUCKET_FAILED), and the message holds
// the system's own, which names the call and the path.

import fs from "node:fs";
import { AssertionError } from "../assert.ts";
import { FrondError } from "../errors.ts";
import type { ByteRange } from "./bucket.ts";
import { cut } from "./range.ts";

const DENIED = new Set(["EACCES", "EPERM", "EROFS"]);

/** The code of a system error, if it is one. */
export function codeOf(error: unknown): string | undefined {
  return error instanceof Error ? (error as NodeJS.ErrnoException).code : undefined;
}

/** `error` as what a bucket rejects with; `what` says what was tried. */
export function failureOf(error: unknown, what: string): unknown {
  if (error instanceof FrondError || error instanceof AssertionError) return error;
  const code = codeOf(error);
  const told = error instanceof Error ? error.message : String(error);
  if (code !== undefined && DENIED.has(code)) {
    const advice = "give the user that frond runs as the right to read, write, link and remove files there";
    return new FrondError("BUCKET_DENIED", `${what} is not allowed: ${told}; ${advice}`, { cause: error });
  }
  return new FrondError("BUCKET_FAILED", `${what} failed: ${told}`, { cause: error });
}

/** Writes a new file whole, and syncs it unless told otherwise. */
export function writeFile(file: string, bytes: Uint8Array, synced = true): void {
  const fd = fs.openSync(file, "wx", 0o600);
  try {
    writeAll(fd, bytes);
    if (synced) fs.fsyncSync(fd);
  } finally {
    fs.closeSync(fd);
  }
}

/** Writes all bytes, where a file system takes a part of them too. */
export function writeAll(fd: number, bytes: Uint8Array): void {
  for (let at = 0; at < bytes.length;) at += fs.writeSync(fd, bytes, at);
}

/** Opens a file; undefined when there is none. */
export function openToRead(file: string): number | undefined {
  try {
    return fs.openSync(file, "r");
  } catch (error) {
    if (codeOf(error) === "ENOENT" || codeOf(error) === "ENOTDIR") return undefined;
    throw error;
  }
}

/** Reads a part of an open file of `size` bytes. */
export function readRange(fd: number, size: number, range: ByteRange | undefined): Buffer {
  const { from, end } = cut(size, range);
  const bytes = Buffer.allocUnsafe(Math.max(0, end - from));
  let at = 0;
  while (at < bytes.length) {
    const read = fs.readSync(fd, bytes, at, bytes.length - at, from + at);
    if (read === 0) break;
    at += read;
  }
  return bytes.subarray(0, at);
}

/** Makes the entries of a folder durable. */
export function syncFolder(folder: string): void {
  const fd = fs.openSync(folder, "r");
  try {
    fs.fsyncSync(fd);
  } finally {
    fs.closeSync(fd);
  }
}

/** The same of a folder that another process may remove meanwhile, with what was in it: then it has synced what is above. */
export function syncIfThere(folder: string): void {
  try {
    syncFolder(folder);
  } catch (error) {
    if (!["ENOENT", "ENOTDIR"].includes(codeOf(error) ?? "")) throw error;
  }
}

/** Whether a folder stands there. */
export function isFolder(file: string): boolean {
  return fs.statSync(file, { throwIfNoEntry: false })?.isDirectory() === true;
}

/** Whether a file stands there. */
export function isFile(file: string): boolean {
  return fs.statSync(file, { throwIfNoEntry: false })?.isFile() === true;
}

/** Removes a folder if it is empty; false: it is not, or no folder. */
export function removedEmpty(folder: string): boolean {
  try {
    fs.rmdirSync(folder);
    return true;
  } catch (error) {
    const code = codeOf(error);
    if (code === "ENOENT") return true;
    if (code === "ENOTEMPTY" || code === "EEXIST" || code === "ENOTDIR") return false;
    throw error;
  }
}

/** Removes a file; one that is not there is no error. */
export function removeFile(file: string): void {
  try {
    fs.unlinkSync(file);
  } catch (error) {
    const code = codeOf(error) ?? "";
    if (!["ENOENT", "ENOTDIR", "EISDIR"].includes(code)) throw error;
  }
}
