// A cell's history, read backwards: the newest version of each page, no further back than needed, and every way in which
// the chain can have a hole.

import fs from "node:fs";
import { describe, expect, test } from "vitest";
import { claimLength, commitLength, encodeClaim, encodeCommit } from "../../src/codec/record.ts";
import { lockPage } from "../../src/codec/pages.ts";
import { isFrondError } from "../../src/errors.ts";
import { readChain } from "../../src/log/chain.ts";
import { logFilePath } from "../../src/log/files.ts";
import type { CommitLog } from "../../src/log/log.ts";
import { type Address, type LogPlace, placeFile, placeOffset, type RunNumber, type Txid } from "../../src/types.ts";
import { cellOf, sampleClaim, sampleCommit } from "../codec/samples.ts";
import { openLog } from "./hands.ts";

interface Chain {
  readonly log: CommitLog;
  readonly folder: string;
  txid: number;
}

function open(fileBytes = 64 * 1024): Chain {
  return { ...openLog({ fileBytes }), txid: 0 };
}

/** Writes a commit of `address` that changes the pages `numbers`, filled with `byte`. */
function write(
  chain: Chain,
  address: string,
  pageCount: number,
  numbers: number[],
  previous: LogPlace,
  byte: number,
): LogPlace {
  chain.txid += 1;
  const cell = { ...cellOf(address, 512, pageCount, numbers), previous };
  cell.pages.source.fill(byte);
  const record = { ...sampleCommit(), txid: chain.txid as Txid, cells: [cell], changes: [] };
  const at = chain.log.begin(commitLength(record));
  return chain.log.end(at, encodeCommit(record, chain.log.target, at));
}

const NONE = 0 as LogPlace;

function read(chain: Chain, address: string, last: LogPlace) {
  return readChain((file) => existing(logFilePath(chain.folder, 1 as RunNumber, file)), address as Address, last);
}

/** Descriptors of this process on log files. Count. */
function openLogFiles(): number {
  const paths = fs.readdirSync("/proc/self/fd").map((fd) => {
    try {
      return fs.readlinkSync(`/proc/self/fd/${fd}`);
    } catch {
      return "";
    }
  });
  return paths.filter((target) => target.endsWith(".log")).length;
}

function existing(file: string): string | undefined {
  return fs.existsSync(file) ? file : undefined;
}

function bytesOf(pages: Map<number, Uint8Array>): Record<number, number> {
  return Object.fromEntries([...pages].map(([number, bytes]) => [number, bytes[100] as number]));
}

describe("a whole chain", () => {
  test("gives the newest version of each page, over several files and between other cells' records", async () => {
    const chain = open(4096);
    const one = write(chain, "book/a", 3, [1, 2, 3], NONE, 1);
    let noise = NONE;
    for (let i = 0; i < 20; i++) noise = write(chain, "book/b", 1, [1], noise, 99);
    const two = write(chain, "book/a", 4, [2, 4], one, 2);
    const three = write(chain, "book/a", 4, [2], two, 3);
    await chain.log.close();
    expect(placeFile(one)).toBeLessThan(placeFile(three));
    const content = read(chain, "book/a", three);
    expect(bytesOf(content.pages)).toEqual({ 1: 1, 2: 3, 3: 1, 4: 2 });
    expect(content).toMatchObject({ pageSize: 512, pageCount: 4, records: 3 });
  });

  test("pages that were cut off do not come back, and a page that came back later is the later one", async () => {
    const chain = open();
    const one = write(chain, "book/a", 4, [1, 2, 3, 4], NONE, 1);
    const two = write(chain, "book/a", 2, [1], one, 2);
    const three = write(chain, "book/a", 3, [3], two, 3);
    await chain.log.close();
    expect(bytesOf(read(chain, "book/a", two).pages)).toEqual({ 1: 2, 2: 1 });
    expect(bytesOf(read(chain, "book/a", three).pages)).toEqual({ 1: 2, 2: 1, 3: 3 });
  });

  test("is read no further back than to the last page: what lies before may be gone", async () => {
    const chain = open(2048);
    const one = write(chain, "book/a", 2, [1, 2], NONE, 1);
    let other = NONE;
    for (let i = 0; i < 10; i++) other = write(chain, "book/b", 1, [1], other, 9);
    const two = write(chain, "book/a", 2, [1, 2], one, 2);
    await chain.log.close();
    fs.rmSync(logFilePath(chain.folder, 1 as RunNumber, placeFile(one)));
    expect(read(chain, "book/a", two).records).toBe(1);
  });
});

describe("a hole is CELL_DAMAGED, with the place where it is", () => {
  /** The sentence that a read fails with. */
  function hole(chain: Chain, address: string, last: LogPlace): string {
    try {
      read(chain, address, last);
    } catch (error) {
      if (isFrondError(error, "CELL_DAMAGED")) return error.message;
      throw error;
    }
    throw new Error("the chain was read");
  }

  test("a file that is gone", async () => {
    const chain = open(2048);
    const one = write(chain, "book/a", 2, [1, 2], NONE, 1);
    let other = NONE;
    for (let i = 0; i < 10; i++) other = write(chain, "book/b", 1, [1], other, 9);
    const two = write(chain, "book/a", 2, [1], one, 2);
    await chain.log.close();
    fs.rmSync(logFilePath(chain.folder, 1 as RunNumber, placeFile(one)));
    expect(hole(chain, "book/a", two)).toMatch(/log file 1, offset \d+: log file 1 does not exist/);
  });

  test("a damaged record, and one that is cut off", async () => {
    const chain = open();
    const one = write(chain, "book/a", 2, [1, 2], NONE, 1);
    const two = write(chain, "book/a", 2, [1], one, 2);
    await chain.log.close();
    const file = logFilePath(chain.folder, 1 as RunNumber, 1);
    const bytes = fs.readFileSync(file);
    const damaged = Buffer.from(bytes);
    damaged[placeOffset(one) + 200] = 0x77;
    fs.writeFileSync(file, damaged);
    expect(hole(chain, "book/a", two)).toMatch(`offset ${placeOffset(one)}`);
    fs.writeFileSync(file, bytes.subarray(0, placeOffset(two) + 100));
    expect(hole(chain, "book/a", two)).toMatch(/cut off|only \d+ bytes are there/);
    fs.writeFileSync(file, bytes.subarray(0, placeOffset(two)));
    expect(hole(chain, "book/a", two)).toMatch(`offset ${placeOffset(two)}`);
  });

  test("a place that holds another cell, or a claim", async () => {
    const chain = open();
    const other = write(chain, "book/b", 1, [1], NONE, 9);
    const at = chain.log.begin(claimLength());
    const claim = chain.log.end(at, encodeClaim(sampleClaim(), chain.log.target, at));
    await chain.log.close();
    expect(hole(chain, "book/a", other)).toContain("the record there is of another cell");
    expect(hole(chain, "book/a", claim)).toContain("the record there is of another cell");
  });

  test("a chain that turns back on itself", async () => {
    const chain = open();
    const one = write(chain, "book/a", 2, [1], (2 ** 40) as LogPlace, 1);
    await chain.log.close();
    expect(hole(chain, "book/a", one)).toContain("it names a later record as the one before it");
  });

  test("a page that no record holds", async () => {
    const chain = open();
    const one = write(chain, "book/a", 3, [1, 3], NONE, 1);
    await chain.log.close();
    expect(hole(chain, "book/a", one)).toContain("1 of 3 pages are in none of its 1 records");
    expect(hole(chain, "book/a", NONE)).toContain("0 records");
  });
});

test("one file is open at a time, however many a chain goes through", async () => {
  const chain = open(1024);
  let last = NONE;
  for (let number = 1; number <= 20; number++) last = write(chain, "book/a", 20, [number], last, number);
  await chain.log.flushed();
  expect(placeFile(last)).toBeGreaterThan(10);
  let most = 0;
  const pathOf = (file: number) => {
    most = Math.max(most, openLogFiles());
    return existing(logFilePath(chain.folder, 1 as RunNumber, file));
  };
  const before = openLogFiles();
  const content = readChain(pathOf, "book/a" as Address, last);
  expect(content.pages.size).toBe(20);
  expect(most - before).toBe(1);
  expect(openLogFiles()).toBe(before);
});

test("the page around the byte at 1 GiB is the one that no record has to hold", () => {
  expect([512, 1024, 4096, 65_536].map(lockPage)).toEqual([2_097_153, 1_048_577, 262_145, 16_385]);
});

test("an absent log file is asked for by its number", () => {
  const asked: number[] = [];
  const pathOf = (file: number): string | undefined => {
    asked.push(file);
    return undefined;
  };
  expect(() => readChain(pathOf, "book/a" as Address, (7 * 2 ** 32 + 64) as LogPlace)).toThrow(/log file 7/);
  expect(asked).toEqual([7]);
});
