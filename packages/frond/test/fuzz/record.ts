// Records, changed: the decoder refuses them with its own codes, or gives exactly what the bytes say.
//
// Rule: without a forged checksum only the bytes as they were written are believed. With one, what was decoded is encoded
// again and must be the bytes that it came from (sections put in order and unknown ones left out): a field that the
// decoder misreads or does not look at comes out different.

import fc from "fast-check";
import { crc32 } from "node:zlib";
import {
  claimLength,
  commitLength,
  type DecodedRecord,
  decodeRecord,
  encodeClaim,
  encodeCommit,
  peekLength,
} from "../../src/codec/record.ts";
import { MAX_RECORD_BYTES } from "../../src/limits.ts";
import { anyClaim, anyCommit, claimBytes, commitBytes } from "../codec/samples.ts";
import { mutate, mutations } from "./mutate.ts";
import { attempt, type Entrance, target, type Target } from "./target.ts";

export type DecodeRecord = typeof decodeRecord;

interface RecordCase {
  readonly record: Uint8Array;
  readonly changes: Parameters<typeof mutate>[1];
  /** Length and checksum are made right again. */
  readonly forged: boolean;
  readonly before: number;
  readonly behind: Uint8Array;
}

const HEADER = 48;
const CRC = 4;

export function recordTarget(decode: DecodeRecord = decodeRecord): Target {
  return target("record", 2000, (): Entrance<RecordCase> => ({
    input: fc.record({
      record: fc.oneof(
        { weight: 3, arbitrary: anyCommit.map(commitBytes) },
        { weight: 1, arbitrary: anyClaim.map(claimBytes) },
        { weight: 1, arbitrary: fc.uint8Array({ maxLength: 200 }) },
      ),
      changes: mutations,
      forged: fc.boolean(),
      before: fc.nat(9),
      behind: fc.uint8Array({ maxLength: 12 }),
    }),
    check: (input) => judge(input, decode),
  }));
}

function judge({ record, changes, forged, before, behind }: RecordCase, decode: DecodeRecord): void {
  const changed = mutate(record, changes);
  const bytes = forged ? repaired(changed) : changed;
  const all = Buffer.concat([Buffer.alloc(before, 0xee), bytes, behind]);
  const limit = all.length;
  const length = attempt(["RECORD_DAMAGED"], () => peekLength(all.subarray(0, before + 48), before, "f"));
  if ("value" in length && length.value > MAX_RECORD_BYTES) throw new Error(`a length of ${length.value} is believed`);
  const kept = Buffer.from(all);
  const got = attempt(["RECORD_DAMAGED", "RECORD_NEWER"], () => decode(all, before, limit, "f"));
  if (!all.equals(kept)) throw new Error("the decoder wrote into the bytes");
  if ("code" in got) {
    if (Buffer.from(record).equals(bytes) && isRecord(record)) throw new Error(`a right record is ${got.code}`);
    return;
  }
  const end = before + got.value.length;
  if (end > limit) throw new Error(`a record of ${got.value.length} bytes where ${limit - before} are`);
  const read = all.subarray(before, end);
  if (!forged && !read.equals(record)) throw new Error("bytes that were never written are believed");
  const again = encoded(got.value);
  const wanted = inOrder(read, got.value.type === "claim" ? [3] : [1, 2, 4]);
  if (!again.equals(wanted)) throw new Error(`it is read as ${again.toString("hex")}`);
}

function isRecord(record: Uint8Array): boolean {
  return record.length >= HEADER + CRC && Buffer.from(record).readUInt32LE(0) === 0x43455246;
}

/** The record with a length and a checksum that fit it. */
function repaired(bytes: Buffer): Buffer {
  const copy = Buffer.from(bytes.subarray(0, bytes.length & ~3));
  if (copy.length < HEADER + CRC) return copy;
  copy.writeUInt32LE(copy.length, 4);
  copy.writeUInt32LE(crc32(copy.subarray(0, copy.length - CRC)), copy.length - CRC);
  return copy;
}

function encoded(record: DecodedRecord): Buffer {
  const bytes = Buffer.alloc(record.type === "claim" ? claimLength() : commitLength(record), 0xdd);
  if (record.type === "claim") encodeClaim(record, bytes, 0);
  else encodeCommit(record, bytes, 0);
  return bytes;
}

/** The record with its known sections in the order in which they are written, and without the others. */
function inOrder(read: Buffer, types: readonly number[]): Buffer {
  const sections: { type: number; bytes: Buffer }[] = [];
  for (let at = HEADER; at < read.length - CRC;) {
    const size = 8 + Math.ceil(read.readUInt32LE(at + 4) / 4) * 4;
    sections.push({ type: read.readUInt16LE(at), bytes: read.subarray(at, at + size) });
    at += size;
  }
  // Bases stand in the order of their cells.
  const cellOf = ({ type, bytes }: { type: number; bytes: Buffer }) => (type === 4 ? bytes.readUInt32LE(8) : 0);
  const known = sections
    .filter(({ type }) => types.includes(type))
    .sort((a, b) => a.type - b.type || cellOf(a) - cellOf(b));
  const bytes = Buffer.concat([read.subarray(0, HEADER), ...known.map((one) => one.bytes), Buffer.alloc(CRC)]);
  bytes.writeUInt32LE(known.length, 12);
  return repaired(bytes);
}
