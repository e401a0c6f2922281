// Records: what was written comes back; every flipped byte and every truncation is damage; under a right checksum each
// field is refused or means exactly what it says.

import { crc32 } from "node:zlib";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  BASE_SECTION,
  CELL_SECTION,
  CHANGE_SECTION,
  CLAIM_SECTION,
  RECORD_HEADER,
  SECTION_HEADER,
} from "../../src/codec/layout.ts";
import {
  type CommitRecord,
  commitLength,
  type DecodedCell,
  type DecodedRecord,
  decodeRecord,
  encodeCommit,
  peekLength,
  RECORD_HEADER_BYTES,
} from "../../src/codec/record.ts";
import { FrondError } from "../../src/errors.ts";
import { MAX_RECORD_BYTES, MAX_RECORD_CELLS, MAX_RECORD_CHANGES } from "../../src/limits.ts";
import type { Epoch, Txid } from "../../src/types.ts";
import { anyClaim, anyCommit, cellOf, claimBytes, commitBytes, sampleClaim, sampleCommit } from "./samples.ts";

const FIRST_SECTION = RECORD_HEADER_BYTES;
const FIRST_PAYLOAD = FIRST_SECTION + 8;

/** Everything a cell says, with the pages by number. */
function cellContent(cell: CommitRecord["cells"][number] | DecodedCell) {
  const { pages } = cell;
  const content = new Map<number, string>();
  for (let i = 0; i < pages.count; i++) {
    const from = pages.offsets[i] as number;
    content.set(
      pages.numbers[i] as number,
      Buffer.from(pages.source.subarray(from, from + pages.pageSize)).toString("latin1"),
    );
  }
  const { address, walSalt1, walSalt2, walEnd, pageCount, previous, base } = cell;
  const text = Buffer.from(cell.addressBytes).toString();
  return { address, text, walSalt1, walSalt2, walEnd, pageCount, previous, base, pageSize: pages.pageSize, content };
}

function commitContent(record: CommitRecord) {
  const { slot, epoch, txid, time, changes } = record;
  return { slot, epoch, txid, time, changes, cells: record.cells.map(cellContent) };
}

function decodeAll(bytes: Uint8Array): DecodedRecord {
  return decodeRecord(bytes, 0, bytes.length, "test.log");
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

/** The sample with a base for its second cell, whose payload begins at `baseAt`. */
const sample = sampleCommit();
const base = { epoch: 2 as Epoch, txid: 42 as Txid };
const based = commitBytes({ ...sample, cells: sample.cells.map((cell, i) => (i === 1 ? { ...cell, base } : cell)) });
const baseAt = based.length - 4 - 24;

/** A copy with `change` made and the checksum right again: what only a reader that looks at the fields can refuse. */
function forged(bytes: Buffer, change: (copy: Buffer) => void): Buffer {
  const copy = Buffer.from(bytes);
  change(copy);
  copy.writeUInt32LE(crc32(copy.subarray(0, -4)), copy.length - 4);
  return copy;
}

describe("round trip", () => {
  test("a commit comes back as it was written, wherever it stands", () => {
    fc.assert(
      fc.property(anyCommit, fc.nat(20), fc.nat(20), (record, before, after) => {
        const length = commitLength(record);
        const bytes = Buffer.alloc(before + length + after, 0xee);
        expect(encodeCommit(record, bytes, before)).toBe(before + length);
        expect(bytes.subarray(0, before).every((b) => b === 0xee)).toBe(true);
        expect(bytes.subarray(before + length).every((b) => b === 0xee)).toBe(true);
        expect(peekLength(bytes, before, "test.log")).toBe(length);
        const decoded = decodeRecord(bytes, before, before + length, "test.log");
        if (decoded.type !== "commit") throw new Error("not a commit");
        expect(decoded.length).toBe(length);
        expect(commitContent(decoded)).toEqual(commitContent(record));
        expect(commitBytes(decoded)).toEqual(bytes.subarray(before, before + length));
      }),
    );
  });

  test("a claim comes back as it was written", () => {
    fc.assert(
      fc.property(anyClaim, (record) => {
        const bytes = claimBytes(record);
        expect(decodeAll(bytes)).toEqual({ type: "claim", length: bytes.length, ...record });
      }),
    );
  });

  test("decoded pages are not copies", () => {
    const bytes = commitBytes(sampleCommit());
    const decoded = decodeAll(bytes);
    if (decoded.type !== "commit") throw new Error("not a commit");
    expect(decoded.cells[0]?.pages.source).toBe(bytes);
  });
});

describe("bytes that are not what was written", () => {
  const samples = [
    ["commit", commitBytes(sampleCommit())],
    ["claim", claimBytes(sampleClaim())],
  ] as const;

  test.each(samples)("%s: every flipped byte is damage", (_, bytes) => {
    for (let at = 0; at < bytes.length; at++) {
      for (const mask of [0x01, 0x80, 0xff]) {
        const copy = Buffer.from(bytes);
        copy[at] = (copy[at] as number) ^ mask;
        const error = failure(() => decodeAll(copy));
        expect(error.code).toBe("RECORD_DAMAGED");
        expect(error.message).toMatch(/^test\.log, byte \d+: /);
      }
    }
  });

  test.each(samples)("%s: every truncation is damage", (_, bytes) => {
    for (let length = 0; length < bytes.length; length++) {
      expect(failure(() => decodeAll(bytes.subarray(0, length))).code).toBe("RECORD_DAMAGED");
      expect(failure(() => decodeRecord(bytes, 0, length, "x")).code).toBe("RECORD_DAMAGED");
    }
  });

  test("any bytes give a FrondError", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 400 }), fc.boolean(), (bytes, magic) => {
        if (magic) bytes.set(Buffer.from("FREC").subarray(0, bytes.length));
        expect(failure(() => decodeAll(bytes)).code).toBe("RECORD_DAMAGED");
      }),
    );
  });

  test("fields changed at random under a right checksum are refused or mean exactly what they say", () => {
    const edit = fc.record({ at: fc.nat(), value: fc.constantFrom(0, 1, 2, 3, 4, 8, 0x7f, 0x80, 0xfe, 0xff) });
    let refused = 0;
    let read = 0;
    fc.assert(
      fc.property(
        anyCommit,
        fc.array(edit, { minLength: 1, maxLength: 3 }),
        fc.boolean(),
        (record, edits, nearStart) => {
          const original = commitBytes(record);
          const bytes = forged(original, (copy) => {
            for (const { at, value } of edits)
              copy[at % (nearStart ? Math.min(120, copy.length - 4) : copy.length - 4)] = value;
          });
          let decoded: DecodedRecord;
          try {
            decoded = decodeAll(bytes);
          } catch (error) {
            expect(error).toBeInstanceOf(FrondError);
            expect((error as FrondError).code).toMatch(/^RECORD_(DAMAGED|NEWER)$/);
            refused += 1;
            return;
          }
          read += 1;
          // A section may have become one of an unknown type that a reader passes over.
          if (decoded.type !== "commit") throw new Error("a commit became a claim");
          if (decoded.cells.length + decoded.changes.length === bytes.readUInt32LE(RECORD_HEADER.sections)) {
            expect(commitBytes(decoded)).toEqual(bytes);
          }
        },
      ),
      { numRuns: 1500 },
    );
    expect(refused).toBeGreaterThan(100);
    expect(read).toBeGreaterThan(100);
  });
});

describe("what each field may hold", () => {
  const commit = commitBytes(sampleCommit());
  const claim = claimBytes(sampleClaim());
  const changeOnly = commitBytes({ ...sampleCommit(), cells: [], changes: sampleCommit().changes.slice(1) });
  const cell = (field: keyof typeof CELL_SECTION) => FIRST_PAYLOAD + CELL_SECTION[field];
  const numbersAt = FIRST_PAYLOAD + CELL_SECTION.address + 16;
  const big = (at: number) => (b: Buffer) => b.writeUInt32LE(0xffff_ffff, at);
  const cases: readonly [string, Buffer, (b: Buffer) => void, RegExp, string?][] = [
    ["length too large", commit, big(RECORD_HEADER.length), /length/],
    ["length not in words", commit, (b) => b.writeUInt32LE(commit.length - 1, RECORD_HEADER.length), /length/],
    ["length above the limit", commit, (b) => b.writeUInt32LE(MAX_RECORD_BYTES + 4, RECORD_HEADER.length), /length/],
    ["length below the smallest", commit, (b) => b.writeUInt32LE(48, RECORD_HEADER.length), /length/],
    ["version 0", commit, (b) => b.writeUInt8(0, RECORD_HEADER.version), /version/],
    ["version 2", commit, (b) => b.writeUInt8(2, RECORD_HEADER.version), /version.*newer version/, "RECORD_NEWER"],
    ["type 0", commit, (b) => b.writeUInt8(0, RECORD_HEADER.type), /type/],
    ["type 3", commit, (b) => b.writeUInt8(3, RECORD_HEADER.type), /type/, "RECORD_NEWER"],
    ["slot out of range", commit, (b) => b.writeUInt16LE(1024, RECORD_HEADER.slot), /slot/],
    ["too many sections", commit, big(RECORD_HEADER.sections), /sections/],
    ["one section more", commit, (b) => b.writeUInt32LE(5, RECORD_HEADER.sections), /section/],
    ["one section less", commit, (b) => b.writeUInt32LE(3, RECORD_HEADER.sections), /leave/],
    ["epoch 0", commit, (b) => b.writeUInt8(0, RECORD_HEADER.epoch), /epoch/],
    ["epoch unsafe", commit, big(RECORD_HEADER.epoch + 4), /epoch .*above/],
    ["txid 0", commit, (b) => b.writeUInt8(0, RECORD_HEADER.txid), /txid/],
    ["txid unsafe", commit, big(RECORD_HEADER.txid + 4), /txid .*above/],
    ["time unsafe", commit, big(RECORD_HEADER.time + 4), /time .*above/],
    ["reserved in use", commit, (b) => b.writeUInt8(1, RECORD_HEADER.reserved + 7), /reserved/, "RECORD_NEWER"],
    ["section of type 0", commit, (b) => b.writeUInt16LE(0, FIRST_SECTION), /type/],
    ["a section that must be understood", commit, (b) => b.writeUInt16LE(9, FIRST_SECTION), /type 9/, "RECORD_NEWER"],
    [
      "a known section with other flags",
      commit,
      (b) => b.writeUInt16LE(3, FIRST_SECTION + 2),
      /flags 3/,
      "RECORD_NEWER",
    ],
    ["payload too long", commit, big(FIRST_SECTION + SECTION_HEADER.length), /payload/],
    ["a cell in a claim", claim, (b) => b.writeUInt16LE(1, FIRST_SECTION), /claim/],
    ["a claim in a commit", commit, (b) => b.writeUInt16LE(3, FIRST_SECTION), /commit/],
    ["address too long", commit, (b) => b.writeUInt16LE(0xffff, cell("address bytes")), /address/],
    ["address empty", commit, (b) => b.writeUInt16LE(0, cell("address bytes")), /address/],
    ["address without name", commit, (b) => b.write("mailbox_alice", cell("address")), /address/],
    ["address not UTF-8", commit, (b) => b.writeUInt8(0xff, cell("address") + 9), /address/],
    ["address half a character", commit, (b) => b.writeUInt8(0xc3, cell("address") + 12), /address/],
    ["address with a raw control character", commit, (b) => b.writeUInt8(7, cell("address") + 9), /spelled/],
    ["address with another spelling", commit, (b) => b.write("mailbox/%61ce", cell("address")), /spelled/],
    ["padding of the address", commit, (b) => b.writeUInt8(1, cell("address") + 13), /padding/],
    ["cell's reserved field", commit, (b) => b.writeUInt8(1, cell("reserved")), /reserved/, "RECORD_NEWER"],
    ["page size 0", commit, (b) => b.writeUInt32LE(0, cell("page size")), /page size/],
    ["page size 768", commit, (b) => b.writeUInt32LE(768, cell("page size")), /page size/],
    ["page size 131072", commit, (b) => b.writeUInt32LE(131_072, cell("page size")), /page size/],
    ["page size twice as large", commit, (b) => b.writeUInt32LE(1024, cell("page size")), /number of pages/],
    ["page count 2^32 - 1", commit, big(cell("page count")), /page count/],
    ["page count below a page", commit, (b) => b.writeUInt32LE(6, cell("page count")), /page number/],
    ["endless pages", commit, big(cell("pages")), /number of pages/],
    ["page 0", commit, (b) => b.writeUInt32LE(0, numbersAt), /page number/],
    ["page twice", commit, (b) => b.writeUInt32LE(7, numbersAt), /second time/],
    ["WAL end unsafe", commit, big(cell("WAL end") + 4), /WAL .*above/],
    ["previous unsafe", commit, big(cell("previous") + 4), /previous place .*above/],
    ["change 0", changeOnly, (b) => b.writeUInt8(0, FIRST_PAYLOAD), /kind 0/],
    ["change 6", changeOnly, (b) => b.writeUInt8(6, FIRST_PAYLOAD), /kind 6/, "RECORD_NEWER"],
    ["change's reserved field", changeOnly, (b) => b.writeUInt8(1, FIRST_PAYLOAD + 1), /reserved/, "RECORD_NEWER"],
    ["change with a long address", changeOnly, (b) => b.writeUInt16LE(17, FIRST_PAYLOAD + 2), /address of 17/],
    ["change with a short address", changeOnly, (b) => b.writeUInt16LE(12, FIRST_PAYLOAD + 2), /address of 12/],
    ["change value unsafe", changeOnly, big(FIRST_PAYLOAD + CHANGE_SECTION.value + 4), /value/],
    ["value for a cleared alarm", changeOnly, (b) => b.writeUInt8(4, FIRST_PAYLOAD), /value/],
    ["base of no cell", based, (b) => b.writeUInt32LE(2, baseAt + BASE_SECTION.cell), /cell 2 of 2/],
    ["base of epoch 0", based, (b) => b.writeUInt8(0, baseAt + BASE_SECTION.epoch), /epoch of a base/],
    ["base of txid 0", based, (b) => b.writeUInt8(0, baseAt + BASE_SECTION.txid), /txid of a base/],
    ["base behind the record", based, (b) => b.writeUInt8(43, baseAt + BASE_SECTION.txid), /2-43, behind 2-42/],
    ["base that may be skipped", based, (b) => b.writeUInt16LE(0, baseAt - 6), /flags 0/, "RECORD_NEWER"],
    ["base too short", based, (b) => b.writeUInt32LE(20, baseAt - 4), /BASE section .*20 bytes/],
    ["claim of the same epoch", claim, (b) => b.writeUInt8(2, FIRST_PAYLOAD), /previous epoch/],
    ["claim with another txid", claim, (b) => b.writeUInt8(1, FIRST_PAYLOAD + CLAIM_SECTION["last txid"]), /last txid/],
    ["claim by run 0", claim, (b) => b.writeUInt8(0, FIRST_PAYLOAD + CLAIM_SECTION.run), /run number/],
    ["claim too short", claim, (b) => b.writeUInt32LE(36, FIRST_SECTION + SECTION_HEADER.length), /section|sections/],
  ];
  test.each(cases)("%s", (_, bytes, change, message, code = "RECORD_DAMAGED") => {
    const error = failure(() => decodeAll(forged(bytes, change)));
    expect(error.message).toMatch(message);
    expect(error.code).toBe(code);
  });

  test("a change shorter than its fields, and a cell shorter than its fields", () => {
    for (const type of [1, 2]) {
      const bytes = Buffer.alloc(RECORD_HEADER_BYTES + 8 + 8 + 4);
      commit.copy(bytes, 0, 0, RECORD_HEADER_BYTES);
      bytes.writeUInt32LE(bytes.length, RECORD_HEADER.length);
      bytes.writeUInt32LE(1, RECORD_HEADER.sections);
      bytes.writeUInt16LE(type, FIRST_SECTION);
      bytes.writeUInt16LE(type === 1 ? 1 : 0, FIRST_SECTION + 2);
      bytes.writeUInt32LE(8, FIRST_SECTION + 4);
      expect(failure(() => decodeAll(forged(bytes, () => {}))).message).toMatch(/too short/);
    }
  });

  test("the same cell twice", () => {
    const twice = { ...sampleCommit(), cells: [cellOf("a/b", 512, 3, [1]), cellOf("a/b", 512, 3, [2])] };
    expect(failure(() => decodeAll(commitBytes(twice))).message).toMatch(/a\/b stands in it twice/);
  });

  test("unknown sections that may be skipped are skipped, with their odd lengths", () => {
    const plain = commitBytes(sampleCommit());
    const extra = Buffer.from([200, 0, 0, 0, 5, 0, 0, 0, 1, 2, 3, 4, 5, 0, 0, 0]);
    const bytes = Buffer.concat([plain.subarray(0, FIRST_SECTION), extra, plain.subarray(FIRST_SECTION)]);
    bytes.writeUInt32LE(bytes.length, RECORD_HEADER.length);
    bytes.writeUInt32LE(5, RECORD_HEADER.sections);
    const decoded = decodeAll(forged(bytes, () => {}));
    if (decoded.type !== "commit") throw new Error("not a commit");
    expect(commitContent(decoded)).toEqual(commitContent(sampleCommit()));
    expect(failure(() => decodeAll(forged(bytes, (b) => b.writeUInt8(1, FIRST_SECTION + 15)))).message).toMatch(
      /padding/,
    );
  });

  test("a claim without its section, or with two", () => {
    const none = Buffer.alloc(52);
    claim.copy(none, 0, 0, 48);
    none.writeUInt32LE(52, RECORD_HEADER.length);
    none.writeUInt32LE(0, RECORD_HEADER.sections);
    expect(failure(() => decodeAll(forged(none, () => {}))).message).toMatch(/missing/);
    const two = Buffer.concat([claim.subarray(0, -4), claim.subarray(FIRST_SECTION, -4), Buffer.alloc(4)]);
    two.writeUInt32LE(two.length, RECORD_HEADER.length);
    two.writeUInt32LE(2, RECORD_HEADER.sections);
    expect(failure(() => decodeAll(forged(two, () => {}))).message).toMatch(/twice/);
  });
});

test("a base of a content from outside says which attempt it was", () => {
  const cell = sample.cells[1] as (typeof sample.cells)[number];
  const attempted = { ...base, attempt: 0xfedc_ba98 };
  const bytes = commitBytes({ ...sample, cells: [sample.cells[0] as typeof cell, { ...cell, base: attempted }] });
  const record = decodeAll(bytes);
  expect(record.type === "commit" && record.cells.map((its) => its.base)).toEqual([undefined, attempted]);
});

test("two bases of one cell, and a base in a claim", () => {
  const sections = based.subarray(baseAt - 8, -4);
  const twice = Buffer.concat([based.subarray(0, -4), sections, Buffer.alloc(4)]);
  twice.writeUInt32LE(twice.length, RECORD_HEADER.length);
  twice.writeUInt32LE(6, RECORD_HEADER.sections);
  expect(failure(() => decodeAll(forged(twice, () => {}))).message).toMatch(/cell 1 is the second/);
  const claim = claimBytes(sampleClaim());
  const mixed = Buffer.concat([claim.subarray(0, -4), sections, Buffer.alloc(4)]);
  mixed.writeUInt32LE(mixed.length, RECORD_HEADER.length);
  mixed.writeUInt32LE(2, RECORD_HEADER.sections);
  expect(failure(() => decodeAll(forged(mixed, () => {}))).message).toMatch(/section of type 4/);
});

describe("limits", () => {
  test("a commit that is too large for a record is refused before anything is written", () => {
    const record = sampleCommit();
    const pages = Math.floor(MAX_RECORD_BYTES / 65_536) + 1;
    const huge = cellOf("a/b", 65_536, pages, [1]);
    // The pages may all lie in the same bytes: what counts is the sum.
    for (let i = 2; i <= pages; i++) huge.pages.put(i, 0);
    const small = Buffer.alloc(16, 0xee);
    const error = failure(() => encodeCommit({ ...record, cells: [huge] }, small, 0));
    expect(error.code).toBe("RECORD_TOO_LARGE");
    expect(error.message).toMatch(/a\/b/);
    expect(small).toEqual(Buffer.alloc(16, 0xee));
  });

  test("the most cells and changes fit, one more is refused", () => {
    const cells = Array.from({ length: MAX_RECORD_CELLS }, (_, i) => cellOf(`a/${i}`, 512, 1, []));
    const change = { what: "created", address: "a/b", value: 0 } as CommitRecord["changes"][number];
    const changes = Array.from({ length: MAX_RECORD_CHANGES }, () => change);
    const full = { ...sampleCommit(), cells, changes };
    const decoded = decodeAll(commitBytes(full));
    expect(decoded.type === "commit" && [decoded.cells.length, decoded.changes.length]).toEqual([
      MAX_RECORD_CELLS,
      MAX_RECORD_CHANGES,
    ]);
    const moreCells = { ...full, cells: [...cells, cellOf("a/more", 512, 1, [])] };
    expect(failure(() => commitLength(moreCells)).code).toBe("RECORD_TOO_LARGE");
    expect(failure(() => commitLength({ ...full, changes: [...changes, change] })).code).toBe("RECORD_TOO_LARGE");
  });

  test("writing outside the buffer is a broken invariant", () => {
    const record = sampleCommit();
    const pool = Buffer.alloc(4096);
    const target = pool.subarray(0, commitLength(record) - 1);
    expect(() => encodeCommit(record, target, 0)).toThrow(/invariant/);
    expect(pool.every((b) => b === 0)).toBe(true);
  });
});
