// Binary objects to try their codec with: whole reads, and forgeries that every checksum holds for.

import { crc32, zstdCompressSync, zstdDecompressSync } from "node:zlib";
import { decodeObjectHeader, OBJECT_HEADER_BYTES, type ObjectHeader, TRAILER_BYTES } from "../../src/codec/object.ts";
import {
  decodeFooter,
  type Footer,
  footerIn,
  locateFooter,
  readBlock,
  readRecord,
} from "../../src/codec/objectReader.ts";
import type { ObjectStart } from "../../src/codec/objectWriter.ts";
import type { DecodedRecord } from "../../src/codec/record.ts";
import type { Lsn, RunId } from "../../src/types.ts";

export const KEY = "log/0123/0000000012";

/** What a segment of one's own begins with. */
export const START: ObjectStart = {
  kind: "segment",
  intent: Uint8Array.from({ length: 16 }, (_, i) => 0xf0 + i),
  runId: "000102030405060708090a0b0c0d0e0f" as RunId,
  number: 12,
  fromLsn: 1000 as Lsn,
  toLsn: 99_000 as Lsn,
  createdMs: 1_767_225_600_000,
};

/** Everything that can be read of an object. */
export interface WholeObject {
  readonly header: ObjectHeader;
  readonly footer: Footer;
  readonly heads: readonly DecodedRecord[];
  readonly records: readonly DecodedRecord[];
  /** The bytes of each record. */
  readonly bytes: readonly Buffer[];
}

/** The functions that read objects, so that broken ones can stand in for them. */
export const READERS = { decodeObjectHeader, locateFooter, decodeFooter, readBlock, readRecord };

/** Reads an object as its readers do: from behind, `tail` bytes first, then what they need of the rest. */
export function readWhole(object: Buffer, tail = 64, readers = READERS): WholeObject {
  const end = object.subarray(Math.max(0, object.length - tail));
  const trailer = readers.locateFooter(end, object.length, KEY);
  const stored = footerIn(end, object.length, trailer) ?? object.subarray(trailer.from, trailer.from + trailer.bytes);
  const footer = readers.decodeFooter(stored, trailer, KEY);
  const heads = [...footer.entries].map((entry) => entry.head());
  const blocks = footer.blocks.map((block) =>
    readers.readBlock(object.subarray(block.offset, block.offset + block.stored), block, KEY),
  );
  const records = [...footer.entries].map((entry) => readers.readRecord(blocks[entry.block] as Buffer, entry, KEY));
  const bytes = [...footer.entries].map(({ block, at, length }) => (blocks[block] as Buffer).subarray(at, at + length));
  const header = readers.decodeObjectHeader(object.subarray(0, OBJECT_HEADER_BYTES), KEY);
  return { header, footer, heads, records, bytes };
}

/** The inflated footer of a sound object. */
export function rawFooter(object: Buffer): Buffer {
  const base = object.length - TRAILER_BYTES;
  const from = object.readUInt32LE(base);
  return zstdDecompressSync(object.subarray(from, from + object.readUInt32LE(base + 8)));
}

/** The object with another footer, and a trailer that fits it. */
export function withFooter(object: Buffer, raw: Buffer): Buffer {
  const from = object.readUInt32LE(object.length - TRAILER_BYTES);
  const stored = zstdCompressSync(raw);
  const trailer = Buffer.from(object.subarray(-TRAILER_BYTES));
  trailer.writeUInt32LE(stored.length, 8);
  trailer.writeUInt32LE(raw.length, 12);
  trailer.writeUInt32LE(crc32(stored), 16);
  return Buffer.concat([object.subarray(0, from), stored, summedTrailer(trailer)]);
}

/** The trailer with a checksum that fits it. */
export function summedTrailer(trailer: Buffer): Buffer {
  trailer.writeUInt32LE(crc32(trailer.subarray(0, 24)), 24);
  return trailer;
}
