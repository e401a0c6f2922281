// A scan believes a sound record only where it belongs.

import fs from "node:fs";
import { describe, expect, test } from "vitest";
import { BATCH_HEADER_BYTES, FILE_HEADER_BYTES } from "../../src/codec/logfile.ts";
import { logFilePath } from "../../src/log/files.ts";
import type { CommitLog } from "../../src/log/log.ts";
import { scanLogFile } from "../../src/log/scan.ts";
import { placeOffset, type RunNumber } from "../../src/types.ts";
import { commit, openLog } from "./hands.ts";

const RUN = 1 as RunNumber;

/** Three commits, each a batch of its own; `change` then breaks the file. Gives what a scan finds. */
async function scanned(change: (bytes: Buffer, places: number[]) => void, lsn?: number, behind?: "go on") {
  const { log, folder } = openLog();
  const places: number[] = [];
  for (let txid = 1; txid <= 3; txid++) places.push(await written(log, txid));
  await log.close();
  const path = logFilePath(folder, RUN, 1);
  const bytes = fs.readFileSync(path);
  change(bytes, places);
  fs.writeFileSync(path, bytes);
  const found: number[] = [];
  const scan = scanLogFile({ number: 1, run: RUN, path }, lsn, (record) => found.push(record.txid), behind);
  return { found, damage: scan.damage, places };
}

async function written(log: CommitLog, txid: number): Promise<number> {
  const { place } = commit(log, txid);
  await log.flushed();
  return placeOffset(place);
}

describe("a record in the place of another", () => {
  test("an older one, as a disk leaves it that wrote to the wrong place, is damage", async () => {
    const { found, damage, places } = await scanned((bytes, [first, second, third]) => {
      const length = (second as number) - (first as number) - BATCH_HEADER_BYTES;
      bytes.copy(bytes, third, first, (first as number) + length);
    });
    expect(found).toEqual([1, 2]);
    expect(damage?.offset).toBe((places[2] as number) - BATCH_HEADER_BYTES);
    expect(damage?.reason).toContain("the record is number 1 of slot 5; expected 3");
  });
});

describe("a file without its header", () => {
  /** Moves everything from the first batch on, so that no record stands where it was written. */
  const shift = (bytes: Buffer): void => {
    bytes.copyWithin(FILE_HEADER_BYTES + 4, FILE_HEADER_BYTES, bytes.length - 4);
    bytes.fill(0, 0, FILE_HEADER_BYTES);
  };

  test("is read at the places that the file before it gives", async () => {
    const whole = await scanned((bytes) => bytes.fill(0, 0, 8), 0, "go on");
    expect(whole.found).toEqual([1, 2, 3]);
    expect(whole.damage?.offset).toBe(0);
    expect((await scanned(shift, 0, "go on")).found).toEqual([]);
  });

  test("is taken at the word of its first batch where nothing else is known", async () => {
    expect((await scanned(shift, undefined, "go on")).found).toEqual([1, 2, 3]);
  });
});
