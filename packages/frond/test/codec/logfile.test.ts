// Log file and batch headers: what was written comes back, and whatever was changed or cut is damage.

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { crc32 } from "node:zlib";
import { LOG_BATCH_HEADER, LOG_FILE_HEADER } from "../../src/codec/layout.ts";
import {
  BATCH_HEADER_BYTES,
  type BatchHeader,
  decodeBatchHeader,
  decodeFileHeader,
  encodeBatchHeader,
  encodeFileHeader,
  FILE_HEADER_BYTES,
  type FileHeader,
  isZero,
} from "../../src/codec/logfile.ts";
import { FrondError } from "../../src/errors.ts";
import { MAX_LOG_FILE_NUMBER } from "../../src/limits.ts";
import type { Lsn, RunNumber } from "../../src/types.ts";

const file: FileHeader = { file: 3, run: 7 as RunNumber, lsn: 0x1_2345_6789 as Lsn, createdMs: 1_767_225_600_000 };
const batch: BatchHeader = {
  payloadBytes: 1248,
  lsn: 123_456 as Lsn,
  durable: 120_000 as Lsn,
  records: 2,
  run: 7 as RunNumber,
};

function fileBytes(header: FileHeader): Buffer {
  const bytes = Buffer.alloc(FILE_HEADER_BYTES, 0xee);
  expect(encodeFileHeader(bytes, 0, header)).toBe(FILE_HEADER_BYTES);
  return bytes;
}

function batchBytes(header: BatchHeader): Buffer {
  const bytes = Buffer.alloc(BATCH_HEADER_BYTES, 0xee);
  expect(encodeBatchHeader(bytes, 0, header)).toBe(BATCH_HEADER_BYTES);
  return bytes;
}

function failure(run: () => unknown): FrondError {
  try {
    run();
  } catch (error) {
    if (error instanceof FrondError) return error;
    throw error;
  }
  throw new Error("nothing was thrown");
}

function forged(bytes: Buffer, checksum: number, change: (copy: Buffer) => void): Buffer {
  const copy = Buffer.from(bytes);
  change(copy);
  copy.writeUInt32LE(crc32(copy.subarray(0, checksum)), checksum);
  return copy;
}

const safe = fc.maxSafeNat();
const run = safe.map((n) => Math.max(1, n) as RunNumber);

describe("file header", () => {
  test("comes back as it was written, at any place", () => {
    const any = fc.record({
      file: fc.integer({ min: 1, max: MAX_LOG_FILE_NUMBER }),
      run,
      lsn: safe.map((n) => n as Lsn),
      createdMs: safe,
    });
    fc.assert(
      fc.property(any, fc.nat(9), (header, at) => {
        const bytes = Buffer.alloc(at + FILE_HEADER_BYTES + 3, 0xee);
        expect(encodeFileHeader(bytes, at, header)).toBe(at + FILE_HEADER_BYTES);
        expect(decodeFileHeader(bytes.subarray(at), "log/3")).toEqual(header);
        expect(bytes[at + FILE_HEADER_BYTES]).toBe(0xee);
      }),
    );
  });

  test("every flipped byte and every truncation is damage", () => {
    const bytes = fileBytes(file);
    for (let at = 0; at < bytes.length; at++) {
      const copy = Buffer.from(bytes);
      copy[at] = (copy[at] as number) ^ 0x40;
      const error = failure(() => decodeFileHeader(copy, "log/3"));
      expect(error.code).toBe("LOG_DAMAGED");
      expect(error.message).toMatch(/^log\/3, byte \d+: /);
      expect(failure(() => decodeFileHeader(bytes.subarray(0, at), "log/3")).code).toBe("LOG_DAMAGED");
    }
  });

  const at = LOG_FILE_HEADER;
  test.each([
    ["version 0", (b: Buffer) => b.writeUInt16LE(0, at.version), /version/, "LOG_DAMAGED"],
    ["version 2", (b: Buffer) => b.writeUInt16LE(2, at.version), /version .*is 2/, "DATA_NEWER"],
    ["size", (b: Buffer) => b.writeUInt16LE(128, at["header bytes"]), /size/, "LOG_DAMAGED"],
    ["first reserved field", (b: Buffer) => b.writeUInt8(1, at.file - 1), /reserved/, "DATA_NEWER"],
    ["second reserved field", (b: Buffer) => b.writeUInt8(1, at.checksum - 1), /reserved/, "DATA_NEWER"],
    ["file 0", (b: Buffer) => b.writeUInt8(0, at.file), /file number/, "LOG_DAMAGED"],
    ["file too high", (b: Buffer) => b.writeUInt32LE(MAX_LOG_FILE_NUMBER + 1, at.file), /file number/, "LOG_DAMAGED"],
    ["run 0", (b: Buffer) => b.writeUInt8(0, at.run), /run number/, "LOG_DAMAGED"],
    ["lsn unsafe", (b: Buffer) => b.writeUInt32LE(2 ** 21, at.lsn + 4), /lsn/, "LOG_DAMAGED"],
    ["time unsafe", (b: Buffer) => b.writeUInt32LE(2 ** 21, at.created + 4), /time/, "LOG_DAMAGED"],
  ])("%s under a right checksum", (_, change, message, code) => {
    const error = failure(() => decodeFileHeader(forged(fileBytes(file), at.checksum, change), "x"));
    expect(error.message).toMatch(message);
    expect(error.code).toBe(code);
  });
});

describe("batch header", () => {
  test("comes back as it was written, at any place", () => {
    const any = fc
      .record({ records: fc.integer({ min: 1, max: 1000 }), more: fc.nat(100_000), lsn: safe, back: safe, run })
      .map(({ records, more, lsn, back, run: r }): BatchHeader => {
        const durable = Math.max(0, lsn - back) as Lsn;
        return { payloadBytes: records * 52 + more * 4, records, lsn: lsn as Lsn, durable, run: r };
      });
    fc.assert(
      fc.property(any, fc.nat(9), (header, at) => {
        const bytes = Buffer.alloc(at + BATCH_HEADER_BYTES + 3, 0xee);
        expect(encodeBatchHeader(bytes, at, header)).toBe(at + BATCH_HEADER_BYTES);
        expect(decodeBatchHeader(bytes, at, "log/3")).toEqual(header);
        expect(bytes[at + BATCH_HEADER_BYTES]).toBe(0xee);
      }),
    );
    const empty = { ...batch, payloadBytes: 0, records: 0 };
    expect(decodeBatchHeader(batchBytes(empty), 0, "x")).toEqual(empty);
  });

  test("every flipped byte and every truncation is damage", () => {
    const bytes = batchBytes(batch);
    for (let at = 0; at < bytes.length; at++) {
      const copy = Buffer.from(bytes);
      copy[at] = (copy[at] as number) ^ 0x40;
      const error = failure(() => decodeBatchHeader(copy, 0, "log/3"));
      expect(error.code).toBe("LOG_DAMAGED");
      expect(error.message).toMatch(/^log\/3, byte \d+: /);
      expect(failure(() => decodeBatchHeader(bytes.subarray(0, at), 0, "log/3")).code).toBe("LOG_DAMAGED");
    }
  });

  const at = LOG_BATCH_HEADER;
  test.each([
    ["payload not in words", (b: Buffer) => b.writeUInt32LE(1247, at.payload), /records/],
    ["more records than fit", (b: Buffer) => b.writeUInt32LE(25, at.records), /records/],
    ["endless records", (b: Buffer) => b.writeUInt32LE(0xffff_ffff, at.records), /records/],
    ["no records in some bytes", (b: Buffer) => b.writeUInt32LE(0, at.records), /records/],
    ["durable ahead", (b: Buffer) => b.writeUInt32LE(123_457, at.durable), /durable/],
    ["lsn unsafe", (b: Buffer) => b.writeUInt32LE(2 ** 21, at.lsn + 4), /lsn/],
    ["run 0", (b: Buffer) => b.writeUInt8(0, at.run), /run number/],
  ])("%s under a right checksum", (_, change, message) => {
    const error = failure(() => decodeBatchHeader(forged(batchBytes(batch), at.checksum, change), 0, "x"));
    expect(error.message).toMatch(message);
    expect(error.code).toBe("LOG_DAMAGED");
  });

  test("any bytes give a FrondError", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 100 }), fc.boolean(), (bytes, magic) => {
        if (magic) bytes.set(Buffer.from("FBAT").subarray(0, bytes.length));
        expect(failure(() => decodeBatchHeader(bytes, 0, "x")).code).toBe("LOG_DAMAGED");
        if (magic) bytes.set(Buffer.from("FRONDLOG").subarray(0, bytes.length));
        expect(failure(() => decodeFileHeader(bytes, "x")).code).toBe("LOG_DAMAGED");
      }),
    );
  });
});

test("isZero sees a single byte anywhere in its range, and nothing outside", () => {
  const bytes = Buffer.alloc(200_000);
  expect(isZero(bytes, 0, bytes.length)).toBe(true);
  expect(isZero(bytes, 5, 5)).toBe(true);
  for (const at of [10, 11, 63, 65_545, 65_546, 131_081, 199_989]) {
    bytes[at] = 1;
    expect(isZero(bytes, 10, 199_990)).toBe(false);
    expect(isZero(bytes, at + 1, bytes.length)).toBe(true);
    expect(isZero(bytes, 0, at)).toBe(true);
    bytes[at] = 0;
  }
  bytes[9] = 1;
  bytes[199_990] = 1;
  expect(isZero(bytes, 10, 199_990)).toBe(true);
});
