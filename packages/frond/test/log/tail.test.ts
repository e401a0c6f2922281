// Following a log: everything that is durable, once, in order, and nothing beyond; the same again from any lsn; damage is
// said and never handed out.

import fc from "fast-check";
import fs from "node:fs";
import { Worker } from "node:worker_threads";
import { describe, expect, onTestFinished, test } from "vitest";
import { BATCH_HEADER_BYTES, encodeBatchHeader, FILE_HEADER_BYTES } from "../../src/codec/logfile.ts";
import { decodeRecord } from "../../src/codec/record.ts";
import { isFrondError } from "../../src/errors.ts";
import { listLogFiles, logFilePath } from "../../src/log/files.ts";
import type { CommitLog } from "../../src/log/log.ts";
import { LogTail } from "../../src/log/tail.ts";
import type { TailRecord } from "../../src/log/tailRecords.ts";
import { type LogPlace, type Lsn, placeFile, placeOffset, type RunNumber } from "../../src/types.ts";
import { claimBytes, sampleClaim } from "../codec/samples.ts";
import { commit, HandIo, openLog, recordsIn, turn } from "./hands.ts";

const RUN = 1 as RunNumber;
const ZERO = 0 as Lsn;
/** Small enough for many files. */
const FILE_BYTES = 8 * 1024;

function tailOf(folder: string, from = ZERO): LogTail {
  const tail = new LogTail(folder, RUN, from);
  onTestFinished(() => tail.close());
  return tail;
}

function txids(records: readonly TailRecord[]): number[] {
  return records.map(({ bytes }) => decodeRecord(bytes, 0, bytes.length, "test").txid);
}

/** What was handed out is valid until the next read. */
function kept(record: TailRecord): TailRecord {
  return { ...record, bytes: Buffer.from(record.bytes) };
}

function upTo(last: number, first = 1): number[] {
  return Array.from({ length: last - first + 1 }, (_, i) => first + i);
}

/** Writes commits of so many pages each, a batch for each list; what the log was at its end. */
async function written(batches: readonly (readonly number[])[]) {
  const { log, folder } = openLog({ fileBytes: FILE_BYTES });
  const commits: { place: LogPlace; lsn: Lsn }[] = [];
  for (const batch of batches) {
    for (const pages of batch) commits.push(commit(log, commits.length + 1, pages));
    await log.flushed();
  }
  const end = log.durable;
  await log.close();
  return { folder, commits, end };
}

describe("a log that is being written", () => {
  test("gives what is durable and nothing else", async () => {
    const io = new HandIo();
    const { log, folder } = openLog({ io });
    const tail = tailOf(folder);
    expect(tail.read(log.durable, 1e9).list()).toEqual([]);
    commit(log, 1);
    commit(log, 2);
    await turn();
    expect(tail.read(log.durable, 1e9).list()).toEqual([]);
    io.syncs[0]?.();
    expect(txids(tail.read(log.durable, 1e9).list())).toEqual([1, 2]);
    expect(tail.lsn).toBe(log.durable);
    commit(log, 3);
    expect(tail.read(log.durable, 1e9).list()).toEqual([]);
    await turn();
    io.syncs[1]?.();
    const [third] = tail.read(log.durable, 1e9).list();
    expect(third).toMatchObject({ slot: 5, lsn: log.durable });
    expect(tail.read(log.durable, 1e9).list()).toEqual([]);
  });

  test("a batch counts when all of it is durable", async () => {
    const { log, folder } = openLog();
    const first = commit(log, 1);
    const second = commit(log, 2);
    await log.flushed();
    const tail = tailOf(folder);
    for (const through of [1, 39, 40, first.lsn - 1, first.lsn, second.lsn - 1]) {
      expect(tail.read(through as Lsn, 1e9).list()).toEqual([]);
    }
    expect(txids(tail.read(second.lsn, 1e9).list())).toEqual([1, 2]);
    await log.close();
  });

  test("by another thread, over many files, in reads of any size", async () => {
    const { log, folder } = openLog();
    await log.close();
    const durable = new BigInt64Array(new SharedArrayBuffer(16));
    const records = 2000;
    const worker = new Worker(new URL("./tailWriter.ts", import.meta.url), {
      workerData: { folder, records, fileBytes: FILE_BYTES, durable },
    });
    onTestFinished(async () => void (await worker.terminate()));
    const failed = new Promise<never>((_, reject) => void worker.once("error", reject));
    const tail = tailOf(folder);
    const got: TailRecord[] = [];
    for (let round = 0, ended = false; !ended; round++) {
      ended = Atomics.load(durable, 1) === 1n;
      const through = Number(Atomics.load(durable, 0)) as Lsn;
      const read = tail.read(through, round % 3 === 0 ? 1 : 20_000).list();
      expect(tail.lsn).toBeLessThanOrEqual(through);
      got.push(...read.map(kept));
      if (ended && read.length > 0) ended = false;
      else await Promise.race([turn(), failed]);
    }
    expect(txids(got)).toEqual(upTo(records));
    expect(listLogFiles(folder).length).toBeGreaterThan(100);
    expect(tail.file).toBe(listLogFiles(folder).at(-1)?.number);
  });

  test("what one read hands out stays as it is until the next, however much it is", async () => {
    const { log, folder } = openLog();
    for (let n = 1; n <= 60; n++) commit(log, n, 30 + (n % 40));
    await log.flushed();
    const tail = tailOf(folder);
    const whole = recordsIn(folder).map(({ record }) => record.txid);
    const some = tail.read(log.durable, 1_500_000).list();
    const sizes = some.reduce((sum, { bytes }) => sum + bytes.length, 0);
    expect(sizes).toBeGreaterThan(1_000_000);
    const first = txids(some);
    const others = tail.read(log.durable, 1e9).list();
    expect([...first, ...txids(others)]).toEqual(whole);
    await log.close();
  });

  test("a file that was begun, and of which nothing is durable yet, does not matter", async () => {
    const { log, folder } = openLog({ fileBytes: FILE_BYTES });
    commit(log, 1, 10);
    await log.flushed();
    const { durable } = log;
    await log.close();
    fs.writeFileSync(logFilePath(folder, RUN, 2), Buffer.alloc(FILE_BYTES));
    const tail = tailOf(folder);
    expect(txids(tail.read(durable, 1e9).list())).toEqual([1]);
    expect(tail.read(durable, 1e9).list()).toEqual([]);
    const behind = tailOf(folder, durable);
    expect(behind.read((durable + 10) as Lsn, 1e9).list()).toEqual([]);
  });
});

describe("any history", () => {
  const batches = fc.array(fc.array(fc.integer({ min: 0, max: 24 }), { minLength: 1, maxLength: 6 }), {
    minLength: 1,
    maxLength: 10,
  });

  test("comes in pieces of any size, begun anew at any record", async () => {
    await fc.assert(
      fc.asyncProperty(batches, fc.nat(30_000), fc.nat(), async (history, maxBytes, restart) => {
        const { folder, commits, end } = await written(history);
        const whole = recordsIn(folder).map(({ record }) => record.txid);
        let tail = tailOf(folder);
        const got: TailRecord[] = [];
        for (let read = tail.read(end, maxBytes).list(); read.length > 0; read = tail.read(end, maxBytes).list()) {
          const size = read.reduce((sum, { bytes }) => sum + bytes.length, 0);
          expect(read.length === 1 || size <= maxBytes).toBe(true);
          got.push(...read.map(kept));
          if (got.length > restart % whole.length) tail = tailOf(folder, tail.lsn);
        }
        expect(txids(got)).toEqual(whole);
        expect(got.map(({ lsn }) => lsn)).toEqual(commits.map(({ lsn }) => lsn));
        const at = commits[restart % commits.length];
        expect(txids(tailOf(folder, at?.lsn).read(end, 1e9).list())).toEqual(
          upTo(whole.length, (restart % whole.length) + 2),
        );
      }),
      { numRuns: 60 },
    );
  });

  test("a claim in between, and a batch without records", async () => {
    const { log, folder } = openLog();
    commit(log, 41);
    const claim = claimBytes({ ...sampleClaim(), slot: 5 as never });
    const at = log.begin(claim.length);
    log.end(at, at + claim.copy(log.target, at));
    commit(log, 42);
    await log.flushed();
    const { durable } = log;
    await log.close();
    const path = logFilePath(folder, RUN, 1);
    const bytes = fs.readFileSync(path);
    const header = { payloadBytes: 0, lsn: durable, durable, records: 0, run: RUN };
    encodeBatchHeader(bytes, FILE_HEADER_BYTES + durable, header);
    fs.writeFileSync(path, bytes);
    const tail = tailOf(folder);
    expect(txids(tail.read((durable + BATCH_HEADER_BYTES) as Lsn, 1e9).list())).toEqual([41, 41, 42]);
    expect(tail.lsn).toBe(durable);
  });
});

describe("damage below the durable lsn", () => {
  /** Four commits in two batches in the first file, one in the second, two in the third; changed; what a tail says and gives. */
  async function said(change: (folder: string, places: LogPlace[]) => void, from = ZERO) {
    const { folder, commits, end } = await written([[3, 3], [3, 1], [8], [8, 3]]);
    expect(commits.map(({ place }) => placeFile(place))).toEqual([1, 1, 1, 1, 2, 3, 3]);
    change(
      folder,
      commits.map(({ place }) => place),
    );
    const tail = tailOf(folder, from);
    const got: TailRecord[] = [];
    for (let tries = 0; ; tries++) {
      try {
        const read = tail.read(end, 1).list();
        if (read.length === 0) return { got: txids(got), message: undefined };
        got.push(...read.map(kept));
      } catch (error) {
        if (!isFrondError(error, "LOG_DAMAGED")) throw error;
        // It is said again, and no record comes twice.
        expect(() => tail.read(end, 1).list()).toThrow(error.message);
        return { got: txids(got), message: error.message };
      }
    }
  }

  function edit(folder: string, place: LogPlace, change: (bytes: Buffer, at: number) => void): void {
    const path = logFilePath(folder, RUN, placeFile(place));
    const bytes = fs.readFileSync(path);
    change(bytes, placeOffset(place));
    fs.writeFileSync(path, bytes);
  }

  test("none", async () => {
    expect(await said(() => {})).toEqual({ got: upTo(7), message: undefined });
  });

  test.each([
    ["a flipped bit in a page", 3, (bytes: Buffer, at: number) => bytes.fill(0x5a, at + 300, at + 301), "checksum"],
    ["a record's magic", 3, (bytes: Buffer, at: number) => bytes.fill(0, at, at + 4), "magic"],
    ["a record's length", 3, (bytes: Buffer, at: number) => bytes.writeUInt32LE(2 ** 24, at + 4), "in the last"],
    ["a batch's header", 3, (bytes: Buffer, at: number) => bytes.fill(1, at - 20, at - 19), "checksum"],
    ["zeros instead of a batch", 3, (bytes: Buffer, at: number) => bytes.fill(0, at - 40), "the next file begins at"],
    ["a batch of another run", 3, (bytes: Buffer, at: number) => restate(bytes, at, 7, 0), "the batch says run 7"],
    ["a batch of another place", 3, (bytes: Buffer, at: number) => restate(bytes, at, 1, 4), "the batch says run 1"],
    ["an older record in its place", 2, (bytes: Buffer, at: number) => older(bytes, at), "the record is number"],
  ])("%s", async (_, txid, change, message) => {
    const found = await said((folder, places) => edit(folder, places[txid - 1] as LogPlace, change));
    expect(found.got).toEqual(upTo(txid - 1));
    expect(found.message).toContain(message);
    expect(found.message).toContain(logFilePath("", RUN, 1));
  });

  /** The header of the batch before `at` says another run, or an lsn that is so much higher. */
  function restate(bytes: Buffer, at: number, run: number, higher: number): void {
    const payloadBytes = bytes.readUInt32LE(at - 36);
    const lsn = (at - 40 - FILE_HEADER_BYTES + higher) as Lsn;
    encodeBatchHeader(bytes, at - 40, { payloadBytes, lsn, durable: lsn, records: 2, run: run as RunNumber });
  }

  /** The record before it, of the same length. */
  function older(bytes: Buffer, at: number): void {
    bytes.copy(bytes, at, at - bytes.readUInt32LE(at + 4), at);
  }

  test("a missing file, in the middle, at the beginning and where one begins", async () => {
    const remove = (file: number) => (folder: string) => fs.rmSync(logFilePath(folder, RUN, file));
    const middle = await said(remove(2));
    expect(middle.got).toEqual(upTo(4));
    expect(middle.message).toContain("is missing");
    expect((await said(remove(1))).message).toContain("holds the log at lsn 0");
    expect((await said(remove(3))).got).toEqual(upTo(5));
  });

  test("a file without a header, and one of another number", async () => {
    const blank = await said((folder) => fs.writeFileSync(logFilePath(folder, RUN, 2), Buffer.alloc(FILE_BYTES)));
    expect(blank.got).toEqual(upTo(4));
    expect(blank.message).toContain("magic");
    const other = await said((folder) => fs.copyFileSync(logFilePath(folder, RUN, 1), logFilePath(folder, RUN, 2)));
    expect(other.message).toContain("the header names file 1");
  });

  test("a file that ends too soon", async () => {
    const short = await said((folder, places) =>
      fs.truncateSync(logFilePath(folder, RUN, 1), placeOffset(places[3] as LogPlace) + 100),
    );
    expect(short.got).toEqual(upTo(3));
    expect(short.message).toContain("the file ends inside a record");
  });

  test("damage before the place where a tail begins", async () => {
    const { folder, commits, end } = await written([[3], [3], [3]]);
    edit(folder, commits[0]?.place as LogPlace, (bytes, at) => bytes.fill(0, at - 40, at));
    const tail = tailOf(folder, commits[1]?.lsn);
    const message = `no batch is there, though lsn ${commits[1]?.lsn} is behind`;
    for (let tries = 0; tries < 2; tries++) expect(() => tail.read(end, 1).list()).toThrow(message);
  });

  test("a beginning that no record has", async () => {
    const { folder, commits, end } = await written([[3, 3]]);
    for (const from of [4, 44, (commits[0]?.lsn as number) + 4]) {
      expect(() =>
        tailOf(folder, from as Lsn)
          .read(end, 1)
          .list(),
      ).toThrow(/the magic number of the record/);
    }
  });
});

test("a log of another run in the same folder is not read", async () => {
  const { log, folder } = openLog();
  await commitAll(log);
  const other = new LogTail(folder, 2 as RunNumber, ZERO);
  expect(() => other.read(100 as Lsn, 1).list()).toThrow(/no file of run 2/);
});

async function commitAll(log: CommitLog): Promise<void> {
  commit(log, 1);
  await log.close();
}
