// Headers of log files and of batches, changed.
//
// Rule: as for records: only what was written is believed, and under a forged checksum what was read, written again, is
// the bytes that it came from.

import fc from "fast-check";
import { crc32 } from "node:zlib";
import {
  BATCH_HEADER_BYTES,
  decodeBatchHeader,
  decodeFileHeader,
  encodeBatchHeader,
  encodeFileHeader,
  FILE_HEADER_BYTES,
} from "../../src/codec/logfile.ts";
import { MAX_LOG_FILE_NUMBER } from "../../src/limits.ts";
import type { Lsn, RunNumber } from "../../src/types.ts";
import { mutate, mutations } from "./mutate.ts";
import { attempt, type Entrance, target, type Target } from "./target.ts";

export interface HeaderDecoders {
  readonly file: typeof decodeFileHeader;
  readonly batch: typeof decodeBatchHeader;
}

interface HeaderCase {
  readonly kind: "file" | "batch";
  readonly header: Uint8Array;
  readonly changes: Parameters<typeof mutate>[1];
  readonly forged: boolean;
  readonly before: number;
}

const CODES = ["LOG_DAMAGED", "DATA_NEWER"] as const;
/** Where the checksum of each kind stands. */
const CHECKSUM = { file: 60, batch: 36 } as const;
const BYTES = { file: FILE_HEADER_BYTES, batch: BATCH_HEADER_BYTES } as const;

const run = fc.maxSafeNat().map((n) => Math.max(1, n) as RunNumber);
const lsn = fc.maxSafeNat().map((n) => n as Lsn);

const fileHeader = fc
  .record({ file: fc.integer({ min: 1, max: MAX_LOG_FILE_NUMBER }), run, lsn, createdMs: fc.maxSafeNat() })
  .map((header) => {
    const bytes = Buffer.alloc(FILE_HEADER_BYTES, 0xee);
    encodeFileHeader(bytes, 0, header);
    return { kind: "file" as const, header: bytes };
  });

const batchHeader = fc
  .record({ records: fc.nat(1000), more: fc.nat(100_000), lsn, back: fc.maxSafeNat(), run })
  .map(({ records, more, back, ...rest }) => {
    const bytes = Buffer.alloc(BATCH_HEADER_BYTES, 0xee);
    const payloadBytes = records === 0 ? 0 : records * 52 + more * 4;
    encodeBatchHeader(bytes, 0, { ...rest, records, payloadBytes, durable: Math.max(0, rest.lsn - back) as Lsn });
    return { kind: "batch" as const, header: bytes };
  });

export function headersTarget(decoders: HeaderDecoders = { file: decodeFileHeader, batch: decodeBatchHeader }): Target {
  return target("headers", 6000, (): Entrance<HeaderCase> => ({
    input: fc
      .record({
        base: fc.oneof(fileHeader, batchHeader),
        changes: mutations,
        forged: fc.boolean(),
        before: fc.nat(9),
      })
      .map(({ base, ...rest }) => ({ ...base, ...rest })),
    check: (input) => judge(input, decoders),
  }));
}

function judge({ kind, header, changes, forged, before }: HeaderCase, decoders: HeaderDecoders): void {
  const bytes = mutate(header, changes);
  const at = CHECKSUM[kind];
  if (forged && bytes.length >= at + 4) bytes.writeUInt32LE(crc32(bytes.subarray(0, at)), at);
  const all = kind === "file" ? bytes : Buffer.concat([Buffer.alloc(before, 0xee), bytes]);
  const read = bytes.subarray(0, BYTES[kind]);
  const again = Buffer.alloc(BYTES[kind], 0xdd);
  const got = attempt(CODES, () => {
    if (kind === "file") encodeFileHeader(again, 0, decoders.file(all, "f"));
    else encodeBatchHeader(again, 0, decoders.batch(all, before, "f"));
  });
  if ("code" in got) {
    if (read.equals(header)) throw new Error(`a right header is ${got.code}`);
    return;
  }
  if (!forged && !read.equals(header)) throw new Error("bytes that were never written are believed");
  if (!again.equals(read)) throw new Error(`it is read as ${again.toString("hex")}`);
}
