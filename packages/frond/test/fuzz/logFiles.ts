// Whole log files on a disk, changed: what a scan believes, and what a cell is rebuilt from.
//
// Rule: what is believed is a prefix of what was written, each record at its own place; in a run that was settled long
// ago, where the scan goes on behind damage, it is some of what was written, in order. A cell is rebuilt as it was, or not
// at all. No checksum is forged here: that software wrote nonsense is for the records' own target.

import fc from "fast-check";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { BATCH_HEADER_BYTES, encodeBatchHeader, encodeFileHeader, FILE_HEADER_BYTES } from "../../src/codec/logfile.ts";
import { commitLength, encodeCommit } from "../../src/codec/record.ts";
import { slotOf } from "../../src/address.ts";
import { readChain } from "../../src/log/chain.ts";
import { logFilePath, runFolder } from "../../src/log/files.ts";
import { scanLogFile } from "../../src/log/scan.ts";
import { type Address, logPlace, type LogPlace, type Lsn, type RunNumber, type Txid } from "../../src/types.ts";
import { cellOf, sampleCommit } from "../codec/samples.ts";
import { mutate, mutations } from "./mutate.ts";
import { attempt, type Entrance, target, type Target } from "./target.ts";

export interface LogReaders {
  readonly scan: typeof scanLogFile;
  readonly chain: typeof readChain;
}

/** One record to write: which cell, its pages after it, and which of them it changes. */
interface Write {
  readonly cell: number;
  readonly pageCount: number;
  readonly pages: readonly number[];
}

export interface LogCase {
  readonly batches: readonly (readonly Write[])[];
  readonly tail: number;
  readonly changes: Parameters<typeof mutate>[1];
  readonly known: boolean;
  /** A record over another of the same length, as a disk that writes to the wrong place does it. */
  readonly misplaced: boolean;
}

/** What was written: the bytes, and where each record lies. */
export interface Written {
  readonly bytes: Buffer;
  readonly records: { readonly at: number; readonly bytes: Buffer }[];
  /** Highest durable lsn in a batch. */
  readonly durable: number;
  /** By address, the place of its last record and the pages that it then has. */
  readonly cells: Map<Address, { last: LogPlace; txid: number; pages: Map<number, number> }>;
}

/** The run and the number of the file, and its lsn. */
export const RUN = 7 as RunNumber;
export const FILE = 3;
export const LSN = 5000;
const PAGE = 512;

const write: fc.Arbitrary<Write> = fc
  .record({ cell: fc.nat(2), pageCount: fc.integer({ min: 1, max: 4 }), pages: fc.subarray([1, 2, 3, 4]) })
  .map(({ pages, ...rest }) => ({ ...rest, pages: pages.filter((page) => page <= rest.pageCount) }));

export const anyLog: fc.Arbitrary<LogCase> = fc.record({
  batches: fc.array(fc.array(write, { minLength: 1, maxLength: 4 }), { maxLength: 5 }),
  tail: fc.constantFrom(0, 1, 40, 5000),
  changes: mutations,
  known: fc.boolean(),
  misplaced: fc.boolean(),
});

/** What became of the file. */
export function changed({ misplaced, changes }: LogCase, written: Written): Buffer {
  return misplaced ? misplace(written) : mutate(written.bytes, changes);
}

export function logTarget(readers: LogReaders = { scan: scanLogFile, chain: readChain }): Target {
  return target("log", 600, (): Entrance<LogCase> => {
    const folder = fs.mkdtempSync(path.join(os.tmpdir(), "frond-fuzz-"));
    fs.mkdirSync(runFolder(folder, RUN));
    const file = logFilePath(folder, RUN, FILE);
    return {
      input: anyLog,
      check(input) {
        const written = writeLog(input);
        const bytes = changed(input, written);
        fs.writeFileSync(file, bytes);
        judgeScan(file, bytes, written, input.known, readers);
        // A place in the log says nothing of the txid that lies there: only a scan sees that a record is not its own.
        if (!input.misplaced) judgeChains(file, written, readers);
      },
      close: () => fs.rmSync(folder, { recursive: true, force: true }),
    };
  });
}

function judgeScan(file: string, bytes: Buffer, written: Written, known: boolean, { scan }: LogReaders): void {
  for (const behind of ["stop", "go on"] as const) {
    const entry = { number: FILE, run: RUN, path: file };
    const believed: { at: number; bytes: Buffer }[] = [];
    const result = attempt([], () =>
      scan(
        entry,
        known ? LSN : undefined,
        (record, place) => {
          const at = place - logPlace(FILE, 0);
          believed.push({ at, bytes: bytes.subarray(at, at + record.length) });
        },
        behind,
      ),
    );
    if ("code" in result) throw new Error("unreachable");
    const found = result.value;
    // A file whose header is gone, and that no file before it places, is read where its first batch says that it is.
    const placed = known || behind === "stop" || found.validBytes > 0;
    let next = 0;
    for (const one of believed) {
      const index = written.records.findIndex(
        (record) => (record.at === one.at || !placed) && record.bytes.equals(one.bytes),
      );
      if (index === -1) throw new Error(`${behind}: a record at ${one.at} is believed that was never written there`);
      if (index < next) throw new Error(`${behind}: the record at ${one.at} is believed twice or out of order`);
      if (behind === "stop" && index !== next) throw new Error(`${behind}: a record before ${one.at} was passed over`);
      next = index + 1;
    }
    if (found.durable > written.durable) throw new Error(`${behind}: ${found.durable} is said to be durable`);
    const whole = written.bytes.subarray(0, endOf(written)).equals(bytes.subarray(0, endOf(written)));
    if (whole && believed.length !== written.records.length)
      throw new Error(`${behind}: right records are not believed`);
    if (found.validBytes > bytes.length) throw new Error(`${behind}: ${found.validBytes} valid bytes`);
    const cut = bytes.subarray(0, found.validBytes);
    if (behind === "stop" && !cut.equals(written.bytes.subarray(0, cut.length)) && believed.length > 0) {
      throw new Error(`${found.validBytes} bytes are called valid that were not written`);
    }
  }
}

function judgeChains(file: string, written: Written, { chain }: LogReaders): void {
  for (const [address, { last, pages }] of written.cells) {
    const got = attempt(["CELL_DAMAGED"], () => chain((number) => (number === FILE ? file : undefined), address, last));
    if ("code" in got) continue;
    const { value } = got;
    if (value.pageCount !== pages.size || value.pages.size !== pages.size) {
      throw new Error(
        `${address} is rebuilt with ${value.pages.size} pages of ${value.pageCount}; it had ${pages.size}`,
      );
    }
    for (const [number, fill] of pages) {
      const page = value.pages.get(number);
      if (page?.length !== PAGE || !page.every((byte) => byte === fill)) {
        throw new Error(`page ${number} of ${address} is rebuilt as something that it was not at last`);
      }
    }
  }
}

/** Where the last record ends. */
function endOf(written: Written): number {
  const last = written.records.at(-1);
  return last === undefined ? 0 : last.at + last.bytes.length;
}

export function writeLog({ batches, tail }: LogCase): Written {
  const parts: Buffer[] = [];
  const records: { at: number; bytes: Buffer }[] = [];
  const cells: Written["cells"] = new Map();
  let at = FILE_HEADER_BYTES;
  let lsn = LSN;
  let durable = 0;
  const header = Buffer.alloc(FILE_HEADER_BYTES);
  encodeFileHeader(header, 0, { file: FILE, run: RUN, lsn: lsn as Lsn, createdMs: 1 });
  for (const batch of batches) {
    const first = at + BATCH_HEADER_BYTES;
    const encoded: Buffer[] = [];
    let place = first;
    for (const one of batch) {
      const bytes = writeRecord(one, records.length + 1, place, cells);
      encoded.push(bytes);
      records.push({ at: place, bytes });
      place += bytes.length;
    }
    const head = Buffer.alloc(BATCH_HEADER_BYTES);
    durable = lsn;
    const payloadBytes = place - first;
    encodeBatchHeader(head, 0, {
      payloadBytes,
      lsn: lsn as Lsn,
      durable: durable as Lsn,
      records: batch.length,
      run: RUN,
    });
    parts.push(head, ...encoded);
    lsn += BATCH_HEADER_BYTES + payloadBytes;
    at = place;
  }
  const bytes = batches.length === 0 ? Buffer.alloc(tail) : Buffer.concat([header, ...parts, Buffer.alloc(tail)]);
  return { bytes, records, durable, cells };
}

/** Encodes a record of one cell and keeps in `cells` what the cell then is. Every page of it is full of `fill`. */
function writeRecord({ cell, pageCount, pages }: Write, fill: number, at: number, cells: Written["cells"]): Buffer {
  const address = `book/${"abc"[cell]}` as Address;
  const before = cells.get(address);
  const after = new Map([...(before?.pages ?? [])].filter(([number]) => number <= pageCount));
  // What the cell has not had yet must be in this record: pages come into being by being written.
  const numbers = [1, 2, 3, 4].filter((page) => page <= pageCount && (pages.includes(page) || !after.has(page)));
  for (const number of numbers) after.set(number, fill);
  const image = { ...cellOf(address, PAGE, pageCount, numbers), previous: before?.last ?? (0 as LogPlace) };
  image.pages.source.fill(fill);
  const slot = slotOf(address);
  const txid = (before?.txid ?? 0) + 1;
  const record = { ...sampleCommit(), slot, txid: txid as Txid, cells: [image], changes: [] };
  const bytes = Buffer.alloc(commitLength(record));
  encodeCommit(record, bytes, 0);
  cells.set(address, { last: logPlace(FILE, at), txid, pages: after });
  return bytes;
}

/** The file with an older record where a newer one of the same length was written. */
function misplace({ bytes, records }: Written): Buffer {
  const copy = Buffer.from(bytes);
  for (const [i, older] of records.entries()) {
    const newer = records.findLast((candidate, j) => j > i && candidate.bytes.length === older.bytes.length);
    if (newer === undefined) continue;
    older.bytes.copy(copy, newer.at);
    break;
  }
  return copy;
}
