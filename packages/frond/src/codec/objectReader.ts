// Reading a binary object from behind: see object.ts for what it is.
//
// Rule: what stands in the bucket may be anything. Everything wrong is OBJECT_DAMAGED (OBJECT_NEWER where only newer
// software knows better) and names the object's key. No size is believed that its place does not allow: blocks, footer and
// trailer fill the object, records fill their blocks, and nothing is inflated beyond what was stated and is allowed.
// Heads are decoded when they are asked for: a footer of thousands of records is read for the sake of a few.

import { constants, crc32, zstdDecompressSync } from "node:zlib";
import { assert } from "../assert.ts";
import { MAX_FOOTER_BYTES, MAX_RECORD_BYTES } from "../limits.ts";
import type { Lsn } from "../types.ts";
import { Fields } from "./fields.ts";
import { OBJECT_BLOCK, OBJECT_BLOCK_BYTES, OBJECT_FOOTER, OBJECT_FOOTER_BYTES, OBJECT_TRAILER } from "./layout.ts";
import {
  decodeObjectHeader,
  OBJECT_FORMAT,
  OBJECT_HEADER_BYTES,
  type ObjectHeader,
  TRAILER_BYTES,
  TRAILER_MAGIC,
} from "./object.ts";
import type { Block } from "./objectWriter.ts";
import { decodeWhole, type Entries, type Entry, readEntries } from "./objectEntries.ts";
import type { DecodedRecord } from "./record.ts";

/** What the trailer says of the footer. */
export interface Trailer {
  /** Where the footer begins in the object, in bytes: the blocks end there. */
  readonly from: number;
  /** Its compressed bytes. */
  readonly bytes: number;
  readonly rawBytes: number;
  /** CRC-32 of the compressed bytes. */
  readonly checksum: number;
}

/** What the footer says of the object. */
export interface Footer extends ObjectHeader {
  /** Of a segment: the part of its run's log that it holds. Of a seal `toLsn`: where the log ends. Of others 0. */
  readonly fromLsn: Lsn;
  readonly toLsn: Lsn;
  readonly createdMs: number;
  /** Times of the earliest and of the latest commit in it, in ms since 1970; 0 when there is none. */
  readonly firstMs: number;
  readonly lastMs: number;
  readonly blocks: readonly Block[];
  /** In the order of the records: by slot, then as they were written. */
  readonly entries: Entries;
}

/** Windows of 8 MiB at most: what writers use is far below, and a reader must not be made to take more memory. */
const MAX_WINDOW_LOG = 23;
const SMALLEST_CHUNK = 64;

/**
 * Reads the trailer out of `tail`, the last bytes of an object of `size` bytes whose key is `where`. Throws OBJECT_DAMAGED
 * when no sound trailer is there.
 */
export function locateFooter(tail: Uint8Array, size: number, where: string): Trailer {
  const end = new Fields(tail.subarray(Math.max(0, tail.length - TRAILER_BYTES)), where, OBJECT_FORMAT);
  if (size < OBJECT_HEADER_BYTES + TRAILER_BYTES || tail.length > size || end.bytes.length < TRAILER_BYTES) {
    throw end.damaged(size, "the end", `is missing: it has ${size} bytes, of which ${tail.length} were read`);
  }
  const base = size - TRAILER_BYTES;
  const magic = end.u32(OBJECT_TRAILER.magic);
  if (magic !== TRAILER_MAGIC) {
    throw end.damaged(base + OBJECT_TRAILER.magic, "the magic number at the end", `is 0x${magic.toString(16)}`);
  }
  if (end.u32(OBJECT_TRAILER.checksum) !== crc32(end.bytes.subarray(0, OBJECT_TRAILER.checksum))) {
    throw end.damaged(base + OBJECT_TRAILER.checksum, "the checksum of the trailer", "does not match");
  }
  end.reserved(OBJECT_TRAILER.reserved, 4);
  const from = end.u64(OBJECT_TRAILER.footer, "the place of the footer", OBJECT_HEADER_BYTES);
  const bytes = end.u32(OBJECT_TRAILER.stored);
  const rawBytes = end.u32(OBJECT_TRAILER.raw);
  if (from + bytes !== base) {
    throw end.damaged(base, "the footer", `of ${bytes} bytes at ${from} does not end where the trailer begins`);
  }
  if (rawBytes < OBJECT_FOOTER_BYTES || rawBytes > MAX_FOOTER_BYTES) {
    throw end.damaged(base + OBJECT_TRAILER.raw, "the size of the inflated footer", `is ${rawBytes}`);
  }
  return { from, bytes, rawBytes, checksum: end.u32(OBJECT_TRAILER["footer checksum"]) };
}

/** The footer's compressed bytes, if `tail`, the last bytes of an object of `size` bytes, holds all of them. */
export function footerIn(tail: Uint8Array, size: number, trailer: Trailer): Uint8Array | undefined {
  const at = trailer.from - (size - tail.length);
  return at < 0 ? undefined : tail.subarray(at, at + trailer.bytes);
}

/** Reads a footer from its compressed bytes. Throws OBJECT_DAMAGED or OBJECT_NEWER, naming `where`, the object's key. */
export function decodeFooter(stored: Uint8Array, trailer: Trailer, where: string): Footer {
  const raw = inflate(stored, { ...trailer, stored: trailer.bytes, raw: trailer.rawBytes }, `the footer of ${where}`);
  const fields = new Fields(raw, `the footer of ${where}`, OBJECT_FORMAT);
  const header = decodeObjectHeader(raw, fields.where);
  const fromLsn = fields.u64(OBJECT_FOOTER["from lsn"], "the first lsn") as Lsn;
  const toLsn = fields.u64(OBJECT_FOOTER["to lsn"], "the lsn behind") as Lsn;
  const none = header.kind === "seal" ? fromLsn === 0 : fromLsn + toLsn === 0;
  if (header.kind === "segment" ? toLsn <= fromLsn : !none) {
    throw fields.damaged(OBJECT_FOOTER["from lsn"], "the part of the log", `is ${fromLsn} to ${toLsn}`);
  }
  const count = fields.u32(OBJECT_FOOTER.records);
  if ((count === 0) !== (header.kind === "seal")) {
    throw fields.damaged(OBJECT_FOOTER.records, "the number of records", `is ${count} in a ${header.kind}`);
  }
  const firstMs = fields.u64(OBJECT_FOOTER.first, "the time of the first commit");
  const lastMs = fields.u64(OBJECT_FOOTER.last, "the time of the last commit", firstMs);
  const blocks = readBlocks(fields, trailer);
  const entries = readEntries(fields, blocks, count, where);
  const createdMs = fields.u64(OBJECT_FOOTER.created, "the time");
  return { ...header, fromLsn, toLsn, createdMs, firstMs, lastMs, blocks, entries };
}

/** The blocks, which fill the object from its header to its footer. */
function readBlocks(fields: Fields, trailer: Trailer): Block[] {
  const count = fields.u32(OBJECT_FOOTER.blocks);
  const room = Math.floor((fields.bytes.length - OBJECT_FOOTER_BYTES) / OBJECT_BLOCK_BYTES);
  if (count > room) throw fields.damaged(OBJECT_FOOTER.blocks, "the number of blocks", `is ${count}; ${room} can fit`);
  const blocks: Block[] = [];
  let end = OBJECT_HEADER_BYTES;
  for (let i = 0; i < count; i++) {
    const at = OBJECT_FOOTER_BYTES + i * OBJECT_BLOCK_BYTES;
    const offset = fields.u64(at + OBJECT_BLOCK.offset, "the place of a block");
    const stored = fields.u32(at + OBJECT_BLOCK.stored);
    const raw = fields.u32(at + OBJECT_BLOCK.raw);
    if (offset !== end) throw fields.damaged(at, "the place of a block", `is ${offset}; the one before ends at ${end}`);
    if (raw > MAX_RECORD_BYTES) throw fields.damaged(at + OBJECT_BLOCK.raw, "the size of a block", `is ${raw}`);
    blocks.push({ offset, stored, raw, checksum: fields.u32(at + OBJECT_BLOCK.checksum) });
    end += stored;
  }
  if (end !== trailer.from) {
    throw fields.damaged(OBJECT_FOOTER.blocks, "the blocks", `end at ${end}; the footer begins at ${trailer.from}`);
  }
  return blocks;
}

/** Inflates a block from its stored bytes. Throws OBJECT_DAMAGED, naming `where`, unless they are exactly the block. */
export function readBlock(stored: Uint8Array, block: Block, where: string): Buffer {
  assert(block.raw <= MAX_RECORD_BYTES, "a block comes from a footer that was read");
  return inflate(stored, block, `the block at ${block.offset} of ${where}`);
}

/** The record of `entry` out of its inflated block, into which its pages point. Throws OBJECT_DAMAGED or OBJECT_NEWER. */
export function readRecord(block: Buffer, entry: Entry, where: string): DecodedRecord {
  return decodeWhole(block, entry.at, entry.length, `block ${entry.block} of ${where}`);
}

function inflate(stored: Uint8Array, stated: Omit<Block, "offset">, where: string): Buffer {
  const fields = new Fields(stored, where, OBJECT_FORMAT);
  if (stored.length !== stated.stored) {
    throw fields.damaged(0, "the length", `is ${stored.length} bytes, not ${stated.stored}`);
  }
  if (crc32(stored) !== stated.checksum) throw fields.damaged(0, "the checksum", "does not match");
  let raw: Buffer;
  try {
    raw = zstdDecompressSync(stored, {
      maxOutputLength: Math.max(1, stated.raw),
      chunkSize: Math.max(SMALLEST_CHUNK, stated.raw),
      params: { [constants.ZSTD_d_windowLogMax]: MAX_WINDOW_LOG },
    });
  } catch (error) {
    throw fields.damaged(0, "the compression", `cannot be read (${(error as Error).message})`);
  }
  if (raw.length !== stated.raw) throw fields.damaged(0, "the inflated size", `is ${raw.length}, not ${stated.raw}`);
  return raw;
}
