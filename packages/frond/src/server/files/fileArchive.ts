// A cell as one file: its database and the files that it names, as a tar archive (codec/tar.ts).
//
// Rule: an archive is written whole or not at all, and each file in it is what its name says: it is compared on the way,
// here and where the archive is read.

import { createHash } from "node:crypto";
import fs from "node:fs";
import { decodeTarHeader, encodeTarHeader, TAR_BLOCK, TAR_END, type TarEntry, tarPadding } from "../../codec/tar.ts";
import { FrondError } from "../../errors.ts";
import { FILE_PIECE_BYTES } from "../../limits.ts";
import { fullDisk, syncFile } from "../durably.ts";
import { chunksOfFile } from "./fileChunks.ts";
import type { Archive } from "./fileTalk.ts";

/** The name of the database in an archive, and what stands before the hash of a file. */
export const ARCHIVED_DATABASE = "cell.db";
export const ARCHIVED_FILES = "files/";

type Read = (hash: string, from: number, bytes: number) => Promise<Uint8Array | undefined>;

/** Writes the archive, durably. Throws FILE_MISSING, OBJECT_DAMAGED, DISK_FULL and what the bucket throws; then nothing is left. */
export async function writeArchive({ database, files, target }: Archive, read: Read): Promise<{ bytes: number }> {
  const fd = fs.openSync(target, "wx", 0o600);
  let bytes = 0;
  const write = (chunk: Uint8Array): void => {
    for (let at = 0; at < chunk.length;) at += fs.writeSync(fd, chunk, at);
    bytes += chunk.length;
  };
  const add = async (entry: TarEntry, content: AsyncIterable<Uint8Array>): Promise<void> => {
    write(encodeTarHeader(entry, Date.now()));
    for await (const chunk of content) write(chunk);
    write(Buffer.alloc(tarPadding(entry.size)));
  };
  try {
    await add({ name: ARCHIVED_DATABASE, size: fs.statSync(database).size }, chunksOfFile(database));
    for (const { hash, size } of files) {
      await add({ name: ARCHIVED_FILES + hash, size }, checked(hash, size, stored(hash, size, read)));
    }
    write(TAR_END);
    syncFile(target);
    return { bytes };
  } catch (error) {
    fs.rmSync(target, { force: true });
    throw fullDisk(error, target);
  } finally {
    fs.closeSync(fd);
  }
}

/** What an archive holds, in its order: first the database, then files. */
export interface ArchiveEntry extends TarEntry {
  /** The hash of a file; undefined: it is the database. */
  readonly hash: string | undefined;
  /** The bytes, which must be read before the next entry is asked for. Those of a file are compared with its hash. */
  readonly content: AsyncIterable<Uint8Array>;
}

/** Reads an archive. Throws OBJECT_DAMAGED for what is none, or is not whole. */
export async function* readArchive(archive: string): AsyncGenerator<ArchiveEntry> {
  const fd = fs.openSync(archive, "r");
  const damaged = (why: string): FrondError =>
    new FrondError("OBJECT_DAMAGED", `${archive} is no archive of a cell: ${why}`);
  try {
    for (let at = 0, first = true; ; first = false) {
      const entry = decodeTarHeader(part(fd, at, TAR_BLOCK), archive);
      if (entry === undefined && first) throw damaged("it is empty");
      if (entry === undefined) return;
      at += TAR_BLOCK;
      const { name, size } = entry;
      const hash = /^files\/([0-9a-f]{64})$/.exec(name)?.[1];
      if (first ? name !== ARCHIVED_DATABASE : hash === undefined) throw damaged(`it holds ${JSON.stringify(name)}`);
      const content = contentAt(fd, at, size, () => damaged(`it ends in the middle of ${name}`));
      yield { name, size, hash, content: hash === undefined ? content : checked(hash, size, content) };
      at += size + tarPadding(size);
    }
  } finally {
    fs.closeSync(fd);
  }
}

async function* contentAt(fd: number, from: number, size: number, short: () => Error): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < size;) {
    const wanted = Math.min(FILE_PIECE_BYTES, size - at);
    const chunk = part(fd, from + at, wanted);
    if (chunk.length < wanted) throw short();
    yield chunk;
    at += wanted;
  }
}

function part(fd: number, from: number, bytes: number): Buffer {
  const chunk = Buffer.alloc(bytes);
  let filled = 0;
  while (filled < bytes) {
    const read = fs.readSync(fd, chunk, filled, bytes - filled, from + filled);
    if (read === 0) break;
    filled += read;
  }
  return chunk.subarray(0, filled);
}

async function* stored(hash: string, size: number, read: Read): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < size;) {
    const piece = await read(hash, at, Math.min(FILE_PIECE_BYTES, size - at));
    if (piece === undefined)
      throw new FrondError("FILE_MISSING", `the bucket has no files/${hash}, which the cell names`);
    if (piece.length === 0)
      throw new FrondError("OBJECT_DAMAGED", `files/${hash} in the bucket ends after ${at} bytes`);
    yield piece;
    at += piece.length;
  }
}

async function* checked(hash: string, size: number, content: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const sum = createHash("sha256");
  for await (const chunk of content) {
    sum.update(chunk);
    yield chunk;
  }
  const found = sum.digest("hex");
  if (found === hash) return;
  throw new FrondError(
    "OBJECT_DAMAGED",
    `files/${hash} of ${size} bytes is not what its name says: its SHA-256 is ${found}`,
  );
}
