// The document of the formats against the code: its tables, and its examples.

import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import {
  BASE_PAYLOAD,
  BASE_SECTION,
  CELL_SECTION,
  CHANGE_SECTION,
  CLAIM_PAYLOAD,
  CLAIM_SECTION,
  LOG_BATCH_HEADER,
  LOG_FILE_HEADER,
  OBJECT_BLOCK,
  OBJECT_BLOCK_BYTES,
  OBJECT_FOOTER,
  OBJECT_FOOTER_BYTES,
  OBJECT_HEADER,
  OBJECT_RECORD,
  OBJECT_TRAILER,
  RECORD_HEADER,
  RECORD_HEADER_BYTES,
  RECORD_MAGIC,
  SECTION_HEADER,
  SECTION_HEADER_BYTES,
} from "../../src/codec/layout.ts";
import {
  BATCH_HEADER_BYTES,
  decodeBatchHeader,
  decodeFileHeader,
  encodeBatchHeader,
  encodeFileHeader,
  FILE_HEADER_BYTES,
  LOG_BATCH_MAGIC,
  LOG_FILE_MAGIC,
} from "../../src/codec/logfile.ts";
import {
  decodeObjectHeader,
  encodeObjectHeader,
  OBJECT_HEADER_BYTES,
  OBJECT_MAGIC,
  TRAILER_BYTES,
  TRAILER_MAGIC,
} from "../../src/codec/object.ts";
import { decodeFooter, footerIn, locateFooter } from "../../src/codec/objectReader.ts";
import { decodeRecord } from "../../src/codec/record.ts";
import { WAL_FRAME, WAL_FRAME_HEADER_BYTES, WAL_HEADER, WAL_HEADER_BYTES } from "../../src/codec/wal.ts";
import { claimBytes, commitBytes } from "./samples.ts";

const text = readFileSync(new URL("../../../../docs/formats.md", import.meta.url), "utf8");

/** The text under a heading, up to the next one. */
function under(heading: string): string {
  const start = text.indexOf(`\n### ${heading}\n`);
  expect(start, `docs/formats.md has a heading "${heading}"`).toBeGreaterThan(0);
  const end = text.indexOf("\n##", start + 1);
  return text.slice(start, end === -1 ? undefined : end);
}

function tableUnder(heading: string): { offset: number; size: number | undefined; field: string }[] {
  const rows = under(heading).matchAll(/^\| (\d+) \| ?(\d*) \| ([^|]+) \|/gm);
  return [...rows].map(([, offset, size, field]) => ({
    offset: Number(offset),
    size: size === "" ? undefined : Number(size),
    field: (field as string).trim(),
  }));
}

function exampleUnder(heading: string): Buffer {
  const block = /```hex\n([\s\S]*?)```/.exec(under(heading))?.[1];
  expect(block, `an example under "${heading}"`).toBeDefined();
  const chunks: Buffer[] = [];
  let length = 0;
  let last = Buffer.alloc(0);
  for (const line of (block as string).trim().split("\n")) {
    if (line === "*") continue;
    const [offset, hex] = line.split("  ") as [string, string];
    for (; length < Number.parseInt(offset, 16); length += last.length) chunks.push(last);
    expect(length).toBe(Number.parseInt(offset, 16));
    last = Buffer.from(hex.replaceAll(" ", ""), "hex");
    chunks.push(last);
    length += last.length;
  }
  return Buffer.concat(chunks);
}

describe("tables", () => {
  test.each([
    ["Record header", RECORD_HEADER, RECORD_HEADER_BYTES],
    ["Section header", SECTION_HEADER, SECTION_HEADER_BYTES],
    ["CELL section", CELL_SECTION, undefined],
    ["CHANGE section", CHANGE_SECTION, undefined],
    ["CLAIM section", CLAIM_SECTION, CLAIM_PAYLOAD],
    ["BASE section", BASE_SECTION, BASE_PAYLOAD],
    ["Log file header", LOG_FILE_HEADER, FILE_HEADER_BYTES],
    ["Batch header", LOG_BATCH_HEADER, BATCH_HEADER_BYTES],
    ["Object header", OBJECT_HEADER, OBJECT_HEADER_BYTES],
    ["Object footer", OBJECT_FOOTER, OBJECT_FOOTER_BYTES],
    ["Block entry", OBJECT_BLOCK, OBJECT_BLOCK_BYTES],
    ["Record entry", OBJECT_RECORD, undefined],
    ["Object trailer", OBJECT_TRAILER, TRAILER_BYTES],
    ["WAL header", WAL_HEADER, WAL_HEADER_BYTES],
    ["WAL frame header", WAL_FRAME, WAL_FRAME_HEADER_BYTES],
  ])("%s: the document has the offsets of the code, and no gap", (heading, layout, total) => {
    const rows = tableUnder(heading);
    expect(Object.fromEntries(rows.map(({ field, offset }) => [field, offset]))).toEqual({ ...layout });
    for (const [i, { offset, size }] of rows.entries()) {
      const next = rows[i + 1]?.offset ?? total;
      expect(size === undefined ? undefined : offset + size).toBe(next);
    }
    if (total !== undefined && heading.includes("header")) expect(under(heading)).toContain(`\n${total} bytes`);
  });

  test("the magic numbers are the letters that the document names", () => {
    for (const [letters, magic] of [
      ["FREC", RECORD_MAGIC],
      ["FBAT", LOG_BATCH_MAGIC],
      ["FEND", TRAILER_MAGIC],
    ] as const) {
      expect(Buffer.from(letters).readUInt32LE()).toBe(magic);
      expect(text).toContain(`\`${letters}\`: 0x${magic.toString(16)}`);
    }
    for (const letters of [LOG_FILE_MAGIC, OBJECT_MAGIC]) expect(text).toContain(`\`${letters}\``);
  });
});

describe("examples", () => {
  test("log file header", () => {
    const bytes = exampleUnder("Example: log file header");
    const header = decodeFileHeader(bytes, "example");
    expect(header).toEqual({ file: 3, run: 7, lsn: 4_886_718_345, createdMs: 1_767_225_600_000 });
    const written = Buffer.alloc(bytes.length, 0xee);
    encodeFileHeader(written, 0, header);
    expect(written).toEqual(bytes);
  });

  test("batch header", () => {
    const bytes = exampleUnder("Example: batch header");
    const header = decodeBatchHeader(bytes, 0, "example");
    expect(header).toEqual({ payloadBytes: 1248, records: 2, run: 7, lsn: 123_456, durable: 120_000 });
    const written = Buffer.alloc(bytes.length, 0xee);
    encodeBatchHeader(written, 0, header);
    expect(written).toEqual(bytes);
  });

  test("claim", () => {
    const bytes = exampleUnder("Example: claim");
    const record = decodeRecord(bytes, 0, bytes.length, "example");
    if (record.type !== "claim") throw new Error("not a claim");
    expect(record).toMatchObject({ slot: 1023, epoch: 2, txid: 41, time: 1_767_225_600_000, previousEpoch: 1, run: 7 });
    expect([...record.runId]).toEqual(Array.from({ length: 16 }, (_, i) => i));
    expect(claimBytes(record)).toEqual(bytes);
  });

  test("commit", () => {
    const bytes = exampleUnder("Example: commit");
    const record = decodeRecord(bytes, 0, bytes.length, "example");
    if (record.type !== "commit") throw new Error("not a commit");
    expect(record).toMatchObject({ slot: 5, epoch: 2, txid: 42, time: 1_767_225_600_123 });
    expect(record.changes).toEqual([{ what: "alarm-set", address: "mailbox/alice", value: 1_767_229_200_000 }]);
    expect(record.cells).toHaveLength(1);
    const cell = record.cells[0];
    expect(cell).toMatchObject({
      address: "mailbox/alice",
      pageSize: 512,
      pageCount: 3,
      walSalt1: 0x11223344,
      walSalt2: 0x55667788,
      walEnd: 1640,
      previous: 3 * 2 ** 32 + 104,
    });
    const from = cell?.pages.offsets[0] ?? 0;
    expect([cell?.pages.count, cell?.pages.numbers[0]]).toEqual([1, 2]);
    expect(bytes.subarray(from, from + 512)).toEqual(Buffer.alloc(512, 0xab));
    expect(commitBytes(record)).toEqual(bytes);
  });

  // What zstd writes may change with its version; what it reads may not, so the example is read and not written again.
  test("seal", () => {
    const bytes = exampleUnder("Example: seal");
    const header = decodeObjectHeader(bytes, "example");
    const runId = "000102030405060708090a0b0c0d0e0f";
    const intent = Uint8Array.from({ length: 16 }, (_, i) => 0xf0 + i);
    expect(header).toEqual({ kind: "seal", intent, runId, number: 12 });
    expect(encodeObjectHeader(header)).toEqual(bytes.subarray(0, OBJECT_HEADER_BYTES));
    const trailer = locateFooter(bytes, bytes.length, "example");
    const { entries, ...footer } = decodeFooter(
      footerIn(bytes, bytes.length, trailer) as Uint8Array,
      trailer,
      "example",
    );
    expect([...entries]).toEqual([]);
    expect(footer).toEqual({
      ...header,
      fromLsn: 0,
      toLsn: 0,
      createdMs: 1_767_225_600_000,
      firstMs: 0,
      lastMs: 0,
      blocks: [],
    });
  });
});
