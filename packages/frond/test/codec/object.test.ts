// Binary objects: what was written comes back from behind; every flipped byte and every truncation is damage that names
// the key; under right checksums no size is believed that its place does not allow.

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { crc32, zstdCompressSync } from "node:zlib";
import { AssertionError } from "../../src/assert.ts";
import { PageSet } from "../../src/codec/pages.ts";
import { decodeObjectHeader, encodeObjectHeader } from "../../src/codec/object.ts";
import { decodeFooter, footerIn, locateFooter, readBlock } from "../../src/codec/objectReader.ts";
import { encodeSeal, encodeSegment, type ObjectStart, ObjectWriter } from "../../src/codec/objectWriter.ts";
import type { CommitRecord, DecodedRecord } from "../../src/codec/record.ts";
import { FrondError } from "../../src/errors.ts";
import { MAX_COMMIT_BYTES, MAX_FOOTER_BYTES, MAX_RECORD_BYTES, OBJECT_BLOCK_RAW_BYTES } from "../../src/limits.ts";
import type { Address, Lsn, Slot, Txid } from "../../src/types.ts";
import { KEY, rawFooter, readWhole, START, summedTrailer, withFooter } from "./objects.ts";
import { anyClaim, anyCommit, cellOf, claimBytes, commitBytes, sampleClaim, sampleCommit } from "./samples.ts";

const { fromLsn: _from, toLsn, ...UNNAMED } = START;
const SEAL = { ...UNNAMED, toLsn: toLsn as Lsn };
const PACK: ObjectStart = { ...UNNAMED, kind: "pack" };

interface Given {
  readonly bytes: Buffer;
  readonly slot: Slot;
  readonly time: number;
  /** The record without its pages, encoded and not copied. */
  readonly head: Buffer;
}

function given(commit: CommitRecord): Given {
  const cells = commit.cells.map((cell) => {
    const pages = new PageSet();
    pages.reset(Buffer.alloc(0), cell.pages.pageSize);
    return { ...cell, pages };
  });
  return { bytes: commitBytes(commit), slot: commit.slot, time: commit.time, head: commitBytes({ ...commit, cells }) };
}

const anyRecord: fc.Arbitrary<Given> = fc.oneof(
  { weight: 4, arbitrary: anyCommit.map(given) },
  {
    weight: 1,
    arbitrary: anyClaim.map((claim) => {
      const bytes = claimBytes(claim);
      return { bytes, slot: claim.slot, time: claim.time, head: bytes };
    }),
  },
);
const anyRecords = fc.array(anyRecord, { minLength: 1, maxLength: 12 });

/** A record of a cell with so many pages of 4,096 bytes. */
function record(slot: number, txid: number, pages: number): Given {
  const numbers = Array.from({ length: pages }, (_, i) => i + 1);
  const cells = [cellOf("book/a", 4096, pages, numbers)];
  return given({ ...sampleCommit(), slot: slot as Slot, txid: txid as Txid, cells, changes: [] });
}

const SMALL = encodeSegment(START, [given(sampleCommit()), record(4, 1, 1)]);

function failure(run: () => unknown): FrondError {
  try {
    run();
  } catch (error) {
    if (error instanceof FrondError) return error;
    throw error;
  }
  throw new Error("nothing was thrown");
}

/** What a reader says of the object with a footer, changed under right checksums. */
function forged(change: (raw: Buffer) => Buffer | void, object = SMALL): FrondError {
  const raw = rawFooter(object);
  return failure(() => readWhole(withFooter(object, change(raw) ?? raw)));
}

function forgedTrailer(change: (trailer: Buffer) => void): FrondError {
  const copy = Buffer.from(SMALL);
  const trailer = copy.subarray(-32);
  change(trailer);
  summedTrailer(trailer);
  return failure(() => readWhole(copy));
}

describe("what was written comes back", () => {
  test("records, sorted by slot and in their order, with their heads, times and places", () => {
    fc.assert(
      fc.property(anyRecords, fc.integer({ min: 32, max: 4000 }), (records, tail) => {
        const object = encodeSegment(START, records);
        const { header, footer, heads, bytes } = readWhole(object, tail);
        const sorted = records.toSorted((a, b) => a.slot - b.slot);
        expect(bytes).toEqual(sorted.map((one) => one.bytes));
        expect([...footer.entries].map((entry) => entry.headBytes)).toEqual(sorted.map(({ head }) => head));
        expect([...footer.entries].map((entry) => entry.slot)).toEqual(sorted.map(({ slot }) => slot));
        expect(heads.every(pageless)).toBe(true);
        const { kind, intent, runId, number, ...rest } = START;
        expect(header).toEqual({ kind, intent, runId, number });
        expect(footer).toMatchObject({ ...header, ...rest });
        const times = records.map(({ time }) => time);
        expect([footer.firstMs, footer.lastMs]).toEqual([Math.min(...times), Math.max(...times)]);
      }),
    );
  });

  function pageless(head: DecodedRecord): boolean {
    return head.type === "claim" || head.cells.every(({ pages }) => pages.count === 0);
  }

  test("a writer that streams gives the same bytes, each chunk once", () => {
    fc.assert(
      fc.property(anyRecords, fc.infiniteStream(fc.boolean()), (records, takes) => {
        const sorted = records.toSorted((a, b) => a.slot - b.slot);
        const writer = new ObjectWriter(START);
        const chunks: Buffer[] = [];
        for (const { bytes } of sorted) {
          writer.add(bytes);
          if (!takes.next().value) continue;
          chunks.push(...writer.take());
          expect(Buffer.concat(chunks).length).toBe(writer.bytes);
        }
        chunks.push(...writer.finish());
        expect(Buffer.concat(chunks).equals(encodeSegment(START, records))).toBe(true);
      }),
    );
  });

  test("small records share a block up to its limit; a larger one has its own", () => {
    const sizes = [1, 1, 40, 31, 32, 1, 3, 1];
    const writer = new ObjectWriter(PACK);
    const records = sizes.map((pages, i) => record(1, i + 1, pages));
    for (const { bytes } of records) writer.add(bytes);
    const { footer, bytes } = readWhole(Buffer.concat(writer.finish()));
    expect([...footer.entries].map(({ block }) => block)).toEqual([0, 0, 1, 2, 3, 4, 4, 4]);
    expect(bytes).toEqual(records.map((one) => one.bytes));
    for (const [i, { raw }] of footer.blocks.entries()) {
      if (i !== 1 && i !== 3) expect(raw).toBeLessThanOrEqual(OBJECT_BLOCK_RAW_BYTES);
    }
  });

  test("a block is filled to the last byte that the limit allows", () => {
    const half = OBJECT_BLOCK_RAW_BYTES / 2;
    const writer = new ObjectWriter(PACK);
    for (let txid = 1; txid <= 2; txid++) {
      const numbers = Array.from({ length: 126 }, (_, i) => i + 1);
      const cells = [cellOf("book/a", 512, 126, numbers)];
      const whole = { ...sampleCommit(), txid: txid as Txid, cells, changes: [] };
      // One index change takes what is missing.
      const address = `book/${"a".repeat(half - commitBytes(whole).length - 25)}` as Address;
      const bytes = commitBytes({ ...whole, changes: [{ what: "created", address, value: 0 }] });
      expect(bytes.length).toBe(half);
      writer.add(bytes);
    }
    const { footer } = readWhole(Buffer.concat(writer.finish()));
    expect(footer.blocks.map(({ raw }) => raw)).toEqual([OBJECT_BLOCK_RAW_BYTES]);
  });

  test("the largest record", () => {
    const largest = record(3, 1, MAX_COMMIT_BYTES / 4096);
    const { bytes, footer } = readWhole(encodeSegment(START, [record(3, 2, 1), largest]));
    expect(bytes[1]?.equals(largest.bytes)).toBe(true);
    expect(footer.entries.at(1)?.headBytes).toEqual(largest.head);
  });

  test("a seal", () => {
    const { header, footer } = readWhole(encodeSeal(SEAL));
    expect(header.kind).toBe("seal");
    expect(footer).toMatchObject({ ...header, createdMs: START.createdMs, blocks: [] });
    expect([...footer.entries]).toEqual([]);
    expect(footer).toMatchObject({ fromLsn: 0, toLsn, firstMs: 0, lastMs: 0 });
  });

  test("a section that is not known stays in the head", () => {
    const bytes = claimBytes(sampleClaim());
    const unknown = Buffer.from([0x77, 0, 0, 0, 5, 0, 0, 0, 1, 2, 3, 4, 5, 0, 0, 0]);
    const longer = Buffer.concat([bytes.subarray(0, -4), unknown, Buffer.alloc(4)]);
    longer.writeUInt32LE(longer.length, 4);
    longer.writeUInt32LE(2, 12);
    longer.writeUInt32LE(crc32(longer.subarray(0, -4)), longer.length - 4);
    const { footer, records } = readWhole(encodeSegment(START, [{ bytes: longer, slot: 1023 }]));
    expect(footer.entries.at(0)?.headBytes).toEqual(longer);
    expect(records[0]).toMatchObject({ type: "claim", run: 7 });
  });
});

test("a writer refuses what no reader would take", () => {
  const sealing = { ...SEAL, kind: "seal" as const };
  expect(() => new ObjectWriter(PACK).finish()).toThrow(AssertionError);
  expect(() => new ObjectWriter(sealing).add(record(1, 1, 1).bytes)).toThrow(AssertionError);
  expect(() => new ObjectWriter({ ...START, toLsn: START.fromLsn as never })).toThrow(AssertionError);
  expect(() => new ObjectWriter({ ...START, kind: "snapshot" })).toThrow(AssertionError);
  expect(() => new ObjectWriter({ ...START, kind: "seal" })).toThrow(AssertionError);
  expect(() => new ObjectWriter({ ...UNNAMED, kind: "seal" })).toThrow(AssertionError);
  const writer = new ObjectWriter(PACK);
  writer.add(record(2, 1, 1).bytes);
  expect(() => writer.add(record(1, 1, 1).bytes)).toThrow("sorted by slot");
  expect(() => writer.add(record(3, 1, 1).bytes.subarray(4))).toThrow(AssertionError);
  writer.finish();
  expect(() => writer.finish()).toThrow(AssertionError);
  expect(() => encodeObjectHeader({ ...UNNAMED, runId: "AB".repeat(16) as never })).toThrow(AssertionError);
});

test("the footer ends at MAX_FOOTER_BYTES", () => {
  const writer = new ObjectWriter(PACK);
  const address = ["a", "b", "c"].map((letter) => `book/${letter.repeat(500)}`).join("/") as Address;
  const changes = Array.from({ length: 4096 }, () => ({ what: "created" as const, address, value: 0 }));
  const { bytes, head } = given({ ...sampleCommit(), cells: [], changes });
  let added = 0;
  for (; writer.footerBytes + 36 + head.length <= MAX_FOOTER_BYTES; added++) {
    writer.add(bytes);
    writer.take();
  }
  expect(added).toBeGreaterThan(5);
  expect(() => writer.add(bytes)).toThrow(AssertionError);
});

describe("bytes that are not what was written", () => {
  test.each([
    ["a segment", SMALL],
    ["a seal", encodeSeal(SEAL)],
  ])("%s: every flipped byte and every truncation is damage that names the key", (_, object) => {
    for (let at = 0; at < object.length; at++) {
      const copy = Buffer.from(object);
      copy[at] = (copy[at] as number) ^ (1 << (at % 8));
      for (const broken of [copy, object.subarray(0, at)]) {
        const error = failure(() => readWhole(broken));
        expect(error.code).toBe("OBJECT_DAMAGED");
        expect(error.message).toContain(KEY);
      }
    }
  });

  test("the end of another object, and bytes behind the end", () => {
    const longer = encodeSegment(START, [record(1, 1, 40)]);
    for (const broken of [Buffer.concat([SMALL.subarray(0, 200), longer.subarray(-40)]), Buffer.concat([SMALL, SMALL])])
      expect(failure(() => readWhole(broken)).code).toBe("OBJECT_DAMAGED");
    const trailer = locateFooter(SMALL, SMALL.length, KEY);
    expect(footerIn(SMALL.subarray(-40), SMALL.length, trailer)).toBeUndefined();
    expect(failure(() => locateFooter(SMALL.subarray(-31), SMALL.length, KEY)).code).toBe("OBJECT_DAMAGED");
    expect(failure(() => locateFooter(SMALL, SMALL.length - 1, KEY)).message).toContain("the end of the object");
  });

  test.each([
    ["version 0", 8, 0, "OBJECT_DAMAGED", /version/],
    ["version 2", 8, 2, "OBJECT_NEWER", /version/],
    ["kind 0", 10, 0, "OBJECT_DAMAGED", /kind/],
    ["kind 6", 10, 6, "OBJECT_NEWER", /kind/],
    ["the first reserved field", 11, 1, "OBJECT_NEWER", /reserved/],
    ["another size", 12, 65, "OBJECT_DAMAGED", /size/],
    ["a number above 2^53", 55, 1, "OBJECT_DAMAGED", /number/],
    ["the second reserved field", 58, 1, "OBJECT_NEWER", /reserved/],
  ] as const)("a header under a right checksum: %s", (_, at, to, code, message) => {
    const header = encodeObjectHeader(START);
    header[at] = to;
    header.writeUInt32LE(crc32(header.subarray(0, 60)), 60);
    const error = failure(() => decodeObjectHeader(header, KEY));
    expect([error.code, error.message]).toEqual([code, expect.stringMatching(message)]);
    const inFooter = forged((raw) => void header.copy(raw));
    expect([inFooter.code, inFooter.message]).toEqual([code, expect.stringMatching(message)]);
  });

  test.each([
    ["a footer before the blocks", (t: Buffer) => t.writeUInt32LE(63, 0), "the place of the footer"],
    ["a footer elsewhere", (t: Buffer) => t.writeUInt32LE(t.readUInt32LE(0) - 1, 0), "does not end where"],
    ["a longer footer", (t: Buffer) => t.writeUInt32LE(t.readUInt32LE(8) + 1, 8), "does not end where"],
    ["a footer that inflates to nothing", (t: Buffer) => t.writeUInt32LE(0, 12), "size of the inflated footer"],
    ["a footer that inflates to less", (t: Buffer) => t.writeUInt32LE(t.readUInt32LE(12) - 1, 12), "the compression"],
    ["a footer that inflates to more", (t: Buffer) => t.writeUInt32LE(t.readUInt32LE(12) + 1, 12), "the inflated size"],
    [
      "a footer above the limit",
      (t: Buffer) => t.writeUInt32LE(MAX_FOOTER_BYTES + 1, 12),
      "size of the inflated footer",
    ],
    ["a footer of 4 GiB", (t: Buffer) => t.writeUInt32LE(2 ** 32 - 1, 12), "size of the inflated footer"],
  ])("a trailer under a right checksum: %s", (_, change, message) => {
    const error = forgedTrailer(change);
    expect([error.code, error.message]).toEqual(["OBJECT_DAMAGED", expect.stringContaining(message)]);
  });

  test("a trailer's reserved field is from a newer version", () => {
    expect(forgedTrailer((trailer) => trailer.writeUInt32LE(1, 20)).code).toBe("OBJECT_NEWER");
  });

  const entry = 112 + 20;
  test.each([
    ["an empty part of the log", (raw: Buffer) => void raw.copy(raw, 64, 72, 80), "the part of the log"],
    ["more blocks than fit", (raw: Buffer) => void raw.writeUInt32LE(2 ** 32 - 1, 88), "the number of blocks"],
    ["a block too few", (raw: Buffer) => void raw.writeUInt32LE(0, 88), "the blocks"],
    ["no records", (raw: Buffer) => void raw.writeUInt32LE(0, 92), "the number of records"],
    ["a record too few", (raw: Buffer) => void raw.writeUInt32LE(1, 92), "the entries"],
    ["a record too many", (raw: Buffer) => void raw.writeUInt32LE(3, 92), "a record's entry"],
    ["4 billion records", (raw: Buffer) => void raw.writeUInt32LE(2 ** 32 - 1, 92), "the number of records"],
    ["an end before the beginning", (raw: Buffer) => void raw.fill(0, 104, 112), "the time of the last commit"],
    ["a block elsewhere", (raw: Buffer) => void raw.writeUInt32LE(65, 112), "the place of a block"],
    [
      "a block of another length",
      (raw: Buffer) => void raw.writeUInt32LE(raw.readUInt32LE(120) + 1, 120),
      "the blocks",
    ],
    [
      "a block that inflates to less",
      (raw: Buffer) => void raw.writeUInt32LE(raw.readUInt32LE(124) - 4, 124),
      "the place of a record",
    ],
    [
      "a block that inflates to more",
      (raw: Buffer) => void raw.writeUInt32LE(raw.readUInt32LE(124) + 4, 124),
      "the records of the object fill",
    ],
    [
      "a block larger than any record",
      (raw: Buffer) => void raw.writeUInt32LE(MAX_RECORD_BYTES + 4, 124),
      "the size of a block",
    ],
    ["a record in another block", (raw: Buffer) => void raw.writeUInt32LE(1, entry), "the place of a record"],
    ["a record elsewhere", (raw: Buffer) => void raw.writeUInt32LE(4, entry + 4), "the place of a record"],
    [
      "a shorter record",
      (raw: Buffer) => void raw.writeUInt32LE(raw.readUInt32LE(entry + 8) - 4, entry + 8),
      "the place of a record",
    ],
    [
      "a record longer than its block",
      (raw: Buffer) => void raw.writeUInt32LE(2 ** 31, entry + 8),
      "the place of a record",
    ],
    [
      "a record shorter than its head",
      (raw: Buffer) => void raw.writeUInt32LE(48, second(raw) + 8),
      "the place of a record",
    ],
    ["a head and four bytes", longerHead, "the length of a record"],
    ["a head of no bytes", (raw: Buffer) => void raw.writeUInt32LE(0, entry + 12), "the size of a head"],
    [
      "a head longer than the footer",
      (raw: Buffer) => void raw.writeUInt32LE(2 ** 32 - 4, entry + 12),
      "the size of a head",
    ],
    ["a head that is damaged", (raw: Buffer) => void raw.writeUInt32LE(7, entry + 16 + 24), "the head of a record in"],
    ["a slot out of order", (raw: Buffer) => void raw.writeUInt16LE(6, entry + 16 + 10), "the slot of a record"],
    [
      "a slot that is none",
      (raw: Buffer) => void raw.writeUInt16LE(1024, second(raw) + 16 + 10),
      "the slot of a record",
    ],
    ["bytes behind the entries", (raw: Buffer) => Buffer.concat([raw, Buffer.alloc(4)]), "the entries"],
    ["entries that end too soon", (raw: Buffer) => raw.subarray(0, -4), "the size of a head"],
  ])("a footer under right checksums: %s", (_, change, message) => {
    const error = forged(change);
    expect([error.code, error.message]).toEqual(["OBJECT_DAMAGED", expect.stringContaining(message)]);
    expect(error.message).toContain(KEY);
  });

  /** Where the entry of the second record begins. */
  function second(raw: Buffer): number {
    return entry + 16 + raw.readUInt32LE(entry + 12);
  }

  function longerHead(raw: Buffer): Buffer {
    const bytes = raw.readUInt32LE(entry + 12);
    raw.writeUInt32LE(bytes + 4, entry + 12);
    return Buffer.concat([raw.subarray(0, entry + 16 + bytes), Buffer.alloc(4), raw.subarray(entry + 16 + bytes)]);
  }

  test("a block without records", () => {
    const two = encodeSegment(START, [record(4, 1, 20), record(4, 2, 20)]);
    const first = 112 + 2 * 20;
    const error = forged((raw) => {
      raw.writeUInt32LE(1, 92);
      return raw.subarray(0, first + 16 + raw.readUInt32LE(first + 12));
    }, two);
    expect([error.code, error.message]).toEqual(["OBJECT_DAMAGED", expect.stringContaining("only up to block 0")]);
  });

  test("records or a part of the log in a seal", () => {
    const seal = encodeSeal(SEAL);
    expect(forged((raw) => void raw.writeUInt32LE(1, 64), seal).message).toContain("the part of the log");
    expect(forged((raw) => void raw.writeUInt32LE(1, 92), seal).message).toContain("the number of records");
    expect(forged((raw) => Buffer.concat([raw, Buffer.alloc(20)]), seal).code).toBe("OBJECT_DAMAGED");
  });

  test("a footer and a block under another checksum, and of another length", () => {
    const trailer = locateFooter(SMALL, SMALL.length, KEY);
    const footer = footerIn(SMALL, SMALL.length, trailer) as Uint8Array;
    const unsummed = { ...trailer, checksum: (trailer.checksum ^ 1) >>> 0 };
    expect(failure(() => decodeFooter(footer, unsummed, KEY)).message).toContain("the checksum");
    expect(failure(() => decodeFooter(footer.subarray(1), trailer, KEY)).message).toContain("the length");
    const [block] = readWhole(SMALL).footer.blocks;
    if (block === undefined) throw new Error("no block");
    const stored = SMALL.subarray(64, 64 + block.stored);
    expect(readBlock(stored, block, KEY)).toHaveLength(block.raw);
    const other = { ...block, checksum: (block.checksum ^ 1) >>> 0 };
    expect(failure(() => readBlock(stored, other, KEY)).message).toMatch(/log\/0123\/0000000012, byte 0: the checksum/);
    expect(failure(() => readBlock(SMALL.subarray(64, 63 + block.stored), block, KEY)).message).toContain("the length");
  });

  test("a record of a newer version, in its block and as a head", () => {
    const bytes = claimBytes(sampleClaim());
    bytes[8] = 2;
    bytes.writeUInt32LE(crc32(bytes.subarray(0, -4)), bytes.length - 4);
    const error = failure(() => readWhole(encodeSegment(START, [{ bytes, slot: 1023 }])));
    expect(error.code).toBe("OBJECT_NEWER");
    expect(error.message).toContain(KEY);
  });

  test("bytes that inflate to far more than was stated cost no more than that", () => {
    const stored = zstdCompressSync(Buffer.alloc(256 * 1024 * 1024));
    const block = { offset: 64, stored: stored.length, raw: 1000, checksum: crc32(stored) };
    const before = process.memoryUsage().arrayBuffers;
    expect(failure(() => readBlock(stored, block, KEY)).code).toBe("OBJECT_DAMAGED");
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(16 * 1024 * 1024);
    // The start of a frame that asks for a window of 128 MiB.
    const greedy = Buffer.from("28b52ffd0088010000", "hex");
    const wide = { offset: 64, stored: greedy.length, raw: 0, checksum: crc32(greedy) };
    expect(failure(() => readBlock(greedy, wide, KEY)).message).toContain("compression");
  });
});
