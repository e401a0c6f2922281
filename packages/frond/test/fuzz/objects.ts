// Binary objects of the bucket, changed: readers refuse them with their own codes, or give what was written.
//
// Rule: without a forged checksum only the bytes as they were written are believed. With one, what was read of a footer,
// written again by the table, must be the footer that it came from, and the records must be the bytes of the blocks: a
// field that a reader misreads or does not look at comes out different.

import fc from "fast-check";
import { crc32, zstdCompressSync, zstdDecompressSync } from "node:zlib";
import { encodeObjectHeader } from "../../src/codec/object.ts";
import type { Footer } from "../../src/codec/objectReader.ts";
import { encodeSegment } from "../../src/codec/objectWriter.ts";
import { rawFooter, READERS, readWhole, START, summedTrailer, type WholeObject, withFooter } from "../codec/objects.ts";
import { anyClaim, anyCommit, claimBytes, commitBytes } from "../codec/samples.ts";
import { mutate, mutations } from "./mutate.ts";
import { attempt, type Entrance, target, type Target } from "./target.ts";

export type ObjectReaders = typeof READERS;

interface ObjectCase {
  readonly records: readonly { readonly bytes: Buffer; readonly slot: number }[];
  readonly changes: Parameters<typeof mutate>[1];
  /** Where the object is changed. */
  readonly where: "anywhere" | Plain | Forged;
  readonly tail: number;
}

/** What is changed and nothing made right: "start" the header, "tail" from the footer on, "end" the trailer. */
type Plain = "start" | "tail" | "end";
/** What is changed under checksums that are made right again: "stored" the compressed bytes of a block, "raw" its records. */
type Forged = "header" | "trailer" | "footer" | "stored" | "raw";

const CODES = ["OBJECT_DAMAGED", "OBJECT_NEWER"] as const;
const HEADER = 64;
const TRAILER = 32;
/** Where the entries of the blocks begin in a footer, and the bytes of one. */
const BLOCKS = 112;
const BLOCK = 20;

const record = fc.oneof(
  { weight: 3, arbitrary: anyCommit.map((one) => ({ bytes: commitBytes(one), slot: one.slot })) },
  { weight: 1, arbitrary: anyClaim.map((one) => ({ bytes: claimBytes(one), slot: one.slot })) },
);

export function objectsTarget(readers: ObjectReaders = READERS): Target {
  return target("objects", 2000, (): Entrance<ObjectCase> => ({
    input: fc.record({
      records: fc.array(record, { minLength: 1, maxLength: 5, size: "small" }),
      changes: mutations,
      where: fc.constantFrom(
        "anywhere",
        "start",
        "tail",
        "end",
        "header",
        "trailer",
        "footer",
        "footer",
        "stored",
        "raw",
      ),
      tail: fc.constantFrom(TRAILER, 100, 100_000),
    }),
    check: (input) => judge(input, readers),
  }));
}

function judge({ records, changes, where, tail }: ObjectCase, readers: ObjectReaders): void {
  const sound = encodeSegment(START, records);
  const object = change(sound, changes, where);
  const forged = !["anywhere", "start", "tail", "end"].includes(where);
  const kept = Buffer.from(object);
  const got = attempt(CODES, () => readWhole(object, tail, readers));
  if (!object.equals(kept)) throw new Error("a reader wrote into the bytes");
  if ("code" in got) {
    if (object.equals(sound)) throw new Error(`a right object is ${got.code}`);
    if (!forged && got.code === "OBJECT_NEWER") throw new Error("damage looks like a newer version");
    return;
  }
  if (!forged && !object.equals(sound)) throw new Error("bytes that were never written are believed");
  const header = encodeObjectHeader(got.value.header);
  if (!header.equals(object.subarray(0, HEADER))) throw new Error(`its header is read as ${header.toString("hex")}`);
  const again = footerOf(got.value.footer);
  if (!again.equals(rawFooter(object))) throw new Error(`its footer is read as ${again.toString("hex")}`);
  judgeRecords(object, got.value);
}

function judgeRecords(object: Buffer, { footer, bytes, records }: WholeObject): void {
  const raw = footer.blocks.map(({ offset, stored }) => zstdDecompressSync(object.subarray(offset, offset + stored)));
  if (!Buffer.concat(bytes).equals(Buffer.concat(raw))) throw new Error("the records are not what the blocks hold");
  for (const [i, one] of records.entries()) {
    if (one.length !== bytes[i]?.length) throw new Error(`record ${i} is read with ${one.length} bytes`);
  }
}

/** A footer as its table has it. */
function footerOf(footer: Footer): Buffer {
  const bytes = Buffer.alloc(BLOCKS + footer.blocks.length * BLOCK);
  encodeObjectHeader(footer).copy(bytes);
  const { fromLsn, toLsn, createdMs, firstMs, lastMs } = footer;
  for (const [at, value] of [
    [64, fromLsn],
    [72, toLsn],
    [80, createdMs],
    [96, firstMs],
    [104, lastMs],
  ] as const) {
    bytes.writeBigUInt64LE(BigInt(value), at);
  }
  bytes.writeUInt32LE(footer.blocks.length, 88);
  bytes.writeUInt32LE(footer.entries.length, 92);
  for (const [i, { offset, stored, raw, checksum }] of footer.blocks.entries()) {
    bytes.writeBigUInt64LE(BigInt(offset), BLOCKS + i * BLOCK);
    for (const [j, value] of [stored, raw, checksum].entries()) {
      bytes.writeUInt32LE(value, BLOCKS + i * BLOCK + 8 + 4 * j);
    }
  }
  const entries = [...footer.entries].map(({ block, at, length, headBytes }) =>
    Buffer.concat([Buffer.from(Uint32Array.of(block, at, length, headBytes.length).buffer), headBytes]),
  );
  return Buffer.concat([bytes, ...entries]);
}

function change(sound: Buffer, changes: ObjectCase["changes"], where: ObjectCase["where"]): Buffer {
  if (where === "anywhere") return mutate(sound, changes);
  if (where === "footer") return withFooter(sound, mutate(rawFooter(sound), changes));
  if (where === "stored" || where === "raw") return withBlock(sound, changes, where);
  if (where === "start" || where === "header") {
    const changed = mutate(sound.subarray(0, HEADER), changes);
    if (where === "header" && changed.length >= HEADER) {
      changed.writeUInt32LE(crc32(changed.subarray(0, HEADER - 4)), HEADER - 4);
    }
    return Buffer.concat([changed.subarray(0, HEADER), sound.subarray(HEADER)]);
  }
  const from = where === "tail" ? sound.readUInt32LE(sound.length - TRAILER) : sound.length - TRAILER;
  const changed = mutate(sound.subarray(from), changes);
  const end = where === "trailer" && changed.length >= TRAILER ? summedTrailer(changed) : changed;
  return Buffer.concat([sound.subarray(0, from), end]);
}

/** The object with its first block changed, and everything that is said of it made right. */
function withBlock(sound: Buffer, changes: ObjectCase["changes"], forged: "stored" | "raw"): Buffer {
  const footer = rawFooter(sound);
  const length = footer.readUInt32LE(BLOCKS + 8);
  const block = sound.subarray(HEADER, HEADER + length);
  const stored =
    forged === "stored" ? mutate(block, changes) : zstdCompressSync(mutate(zstdDecompressSync(block), changes));
  footer.writeUInt32LE(stored.length, BLOCKS + 8);
  footer.writeUInt32LE(crc32(stored), BLOCKS + 16);
  for (let i = 1; i < footer.readUInt32LE(88); i++) {
    const at = BLOCKS + i * BLOCK;
    footer.writeUInt32LE(footer.readUInt32LE(at) + stored.length - length, at);
  }
  const object = Buffer.concat([sound.subarray(0, HEADER), stored, sound.subarray(HEADER + length)]);
  const place = object.length - TRAILER;
  object.writeUInt32LE(object.readUInt32LE(place) + stored.length - length, place);
  return withFooter(object, footer);
}
