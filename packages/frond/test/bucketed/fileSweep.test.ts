// Files that nobody names go, and no others: with cells that live, that were deleted, that are large; in a directory and in a real S3 store.

import fs from "node:fs";
import path from "node:path";
import { describe, expect, test } from "vitest";
import { need } from "../../../../test-support/need.ts";
import type { Bucket } from "../../src/bucket/bucket.ts";
import { openMemoryBucket } from "../../src/bucket/memory.ts";
import { leaseKey } from "../../src/bucket/objectKeys.ts";
import { openBucket } from "../../src/bucket/open.ts";
import { Cell } from "../../src/cell/cell.ts";
import { FILE_KEEP_MS, FILE_SWEEP_MS, FILE_SWEEP_SHARE, LARGE_CELL_BYTES } from "../../src/limits.ts";
import type { BucketSpec } from "../../src/server/persist/bucketTalk.ts";
import { FileSide } from "../../src/server/files/fileSide.ts";
import { FileSweep } from "../../src/server/files/fileSweep.ts";
import { pauseAfter } from "../../src/server/files/fileSweeps.ts";
import type { RunId } from "../../src/types.ts";
import { makeS3Place } from "../bucket/s3Store.ts";
import { type Opened, openIn, temporaryDirectory } from "../cell/nodes.ts";

const DAY_MS = 24 * 3600_000;
const TTL = 3_000;
const WEEK_MS = 7 * DAY_MS;

class Box extends Cell {
  static override migrations = ["CREATE TABLE filling (bytes BLOB) STRICT"];
  async put(text: string) {
    return (await this.files.put(text)).hash;
  }
  drop(hash: string) {
    this.files.delete(hash);
  }
  fill(bytes: number) {
    for (let left = bytes; left > 0; left -= 1_000_000)
      this.sql`INSERT INTO filling (bytes) VALUES (randomblob(1000000))`;
  }
  async text(hash: string) {
    return (await this.files.get(hash))?.text();
  }
}

const cells = { box: Box };

/** What cells did with files a month ago. */
interface Old {
  readonly kept: string;
  readonly dropped: string;
  readonly ofDeleted: string;
  readonly inLarge: string;
  readonly ofNobody: string;
}

async function aMonthAgo(directory: string, bucket: BucketSpec): Promise<Old> {
  const { now } = Date;
  Date.now = () => now() - 30 * DAY_MS;
  try {
    const { get, node } = await openIn(directory, cells, { bucket, ttlMs: TTL });
    const old = {
      kept: await get(Box, "a").put("kept"),
      dropped: await get(Box, "a").put("dropped"),
      ofDeleted: await get(Box, "b").put("of a cell that is deleted"),
      inLarge: await get(Box, "large").put("in a large cell"),
      ofNobody: (await node.files.put(pieces("of nobody"))).hash,
    };
    await get(Box, "large").fill(LARGE_CELL_BYTES);
    await node.stop();
    return old;
  } finally {
    Date.now = now;
  }
}

async function* pieces(text: string): AsyncGenerator<Uint8Array, void, void> {
  yield Buffer.from(text);
}

/** This week, part of it is let go. */
async function thisWeek({ get, node }: Opened, { dropped }: Old): Promise<void> {
  await get(Box, "a").drop(dropped);
  await node.control.delete("box/b");
  await new Promise<void>((done) => node.commitLog.waitConfirmed(node.commitLog.appended, done));
}

describe("in a directory", () => {
  const place = (): { folder: string; spec: BucketSpec } => {
    const folder = path.join(temporaryDirectory(), "bucket");
    return { folder, spec: { url: `dir:${folder}` } };
  };
  const age = (folder: string): void => {
    const then = new Date(Date.now() - 30 * DAY_MS);
    for (const name of fs.readdirSync(path.join(folder, "files")))
      fs.utimesSync(path.join(folder, "files", name), then, then);
  };
  const there = (folder: string): string[] => fs.readdirSync(path.join(folder, "files")).toSorted();

  test("what nobody names goes; what a moment within the retention names stays, also of cells that are deleted since", async () => {
    const { folder, spec } = place();
    const directory = temporaryDirectory();
    const old = await aMonthAgo(directory, spec);
    age(folder);
    const opened = await openIn(directory, cells, { bucket: spec, ttlMs: TTL, retentionMs: WEEK_MS });
    await thisWeek(opened, old);
    const { node, lines } = opened;
    await node.fileSweeps.look();
    const { ofNobody, kept, inLarge, dropped, ofDeleted } = old;
    expect(there(folder)).toEqual([kept, inLarge, dropped, ofDeleted].toSorted());
    expect(node.control.status()).toMatchObject({ files: { old: 5, removed: 1, bytes: "of nobody".length } });
    expect(lines).toContain("info files that nobody names were removed");
    expect(there(folder)).not.toContain(ofNobody);
    await node.control.restoreInto("box/b", { atMs: Date.now() - DAY_MS });
    expect(await opened.get(Box, "b").text(ofDeleted)).toBe("of a cell that is deleted");
    await node.control.delete("box/b");
    await new Promise<void>((done) => node.commitLog.waitConfirmed(node.commitLog.appended, done));

    // Nothing can be restored any more.
    age(folder);
    while (there(folder).length > 2) {
      // The time is that of the lease, which is renewed now and then.
      await new Promise((resolve) => setTimeout(resolve, 50));
      await node.files.sweep(1);
    }
    expect(there(folder)).toEqual([kept, inLarge].toSorted());
    expect(await opened.get(Box, "a").text(kept)).toBe("kept");
  });

  test("a file that a database from outside names is stored again before the cell names it, and so is one of a deleted cell", async () => {
    const { folder, spec } = place();
    const directory = temporaryDirectory();
    const { kept, ofDeleted, dropped } = await aMonthAgo(directory, spec);
    const opened = await openIn(directory, cells, { bucket: spec, ttlMs: TTL, retentionMs: WEEK_MS });
    const { node } = opened;
    const file = path.join(opened.directory, "a.db");
    await node.control.exportTo("box/a", file);
    await node.control.delete("box/b");
    await new Promise<void>((done) => node.commitLog.waitConfirmed(node.commitLog.appended, done));
    age(folder);
    const isYoung = (hash: string): boolean =>
      Date.now() - fs.statSync(path.join(folder, "files", hash)).mtimeMs < DAY_MS;
    expect(await node.control.importFrom("box/other", file, false)).toMatchObject({ files: 2, missingFiles: 0 });
    await node.control.restoreInto("box/b", { atMs: Date.now() - DAY_MS });
    expect([kept, dropped, ofDeleted].map(isYoung)).toEqual([true, true, true]);
    age(folder);
    // What the cell names by itself nobody is about to remove.
    await node.control.importFrom("box/a", file, true);
    expect(isYoung(kept)).toBe(false);
    fs.rmSync(path.join(folder, "files", kept));
    expect(await node.control.importFrom("box/again", file, false)).toMatchObject({ files: 2, missingFiles: 1 });
  });

  test("a lease that came late, of a run whose log is sealed, is no other node", async () => {
    const { folder, spec } = place();
    const directory = temporaryDirectory();
    await aMonthAgo(directory, spec);
    age(folder);
    const runs = fs.readdirSync(path.join(folder, "log"));
    const { node } = await openIn(directory, cells, { bucket: spec, ttlMs: TTL, retentionMs: WEEK_MS });
    const all = there(folder);
    for (const run of runs) fs.writeFileSync(path.join(folder, leaseKey(run as RunId)), "{}");
    await node.fileSweeps.look();
    expect(there(folder)).toHaveLength(all.length - 1);
  });

  test("nothing goes while a slot cannot be read, or another node lives", async () => {
    const { folder, spec } = place();
    const directory = temporaryDirectory();
    await aMonthAgo(directory, spec);
    age(folder);
    const { node, lines } = await openIn(directory, cells, { bucket: spec, ttlMs: TTL, retentionMs: WEEK_MS });
    const all = there(folder);
    const lease = path.join(folder, leaseKey("0".repeat(32) as RunId));
    fs.writeFileSync(lease, "{}");
    await node.fileSweeps.look();
    expect(lines).toContain("warn files that nobody names were not looked for");
    fs.rmSync(lease);
    const run = fs
      .readdirSync(path.join(folder, "log"))
      .find((its) => fs.existsSync(path.join(folder, "log", its, "0000000002")));
    const segment = path.join(folder, "log", run as string, "0000000001");
    const bytes = fs.readFileSync(segment);
    fs.rmSync(segment);
    await node.fileSweeps.look();
    expect(node.control.status().files).toMatchObject({ removed: 0, refused: expect.stringContaining(`log/${run}/`) });
    expect(there(folder)).toEqual(all);
    fs.writeFileSync(segment, bytes);
    await node.fileSweeps.look();
    expect(there(folder)).toHaveLength(all.length - 1);
  });
});

describe.skipIf(need("radosgw") === undefined)("with radosgw", () => {
  test("files that nobody names go from the store, and no others", async () => {
    const { url, options } = await makeS3Place();
    const directory = temporaryDirectory();
    const old = await aMonthAgo(directory, { url, ...options });
    const opened = await openIn(directory, cells, { bucket: { url, ...options }, ttlMs: TTL, retentionMs: WEEK_MS });
    await thisWeek(opened, old);
    const bucket = await openBucket(url, options);
    // As the store would tell it of files that were put a month ago.
    const { list } = bucket;
    bucket.list = async (...args: Parameters<Bucket["list"]>) =>
      (await list.apply(bucket, args)).map((listed) =>
        listed.key.startsWith("files/") ? { ...listed, modifiedMs: listed.modifiedMs - 30 * DAY_MS } : listed,
      );
    const side = new FileSide(async () => bucket, temporaryDirectory());
    expect(await side.sweep({ retentionMs: WEEK_MS })).toMatchObject({ old: 5, removed: 1 });
    const { kept, inLarge, dropped, ofDeleted } = old;
    const hashes = [kept, inLarge, dropped, ofDeleted];
    expect((await bucket.list("files/")).map(({ key }) => key)).toEqual(
      hashes.map((hash) => `files/${hash}`).toSorted(),
    );
    await bucket.close();
  });
});

describe("one look", () => {
  const stage = async (files: number) => {
    const bucket = openMemoryBucket();
    await bucket.put(leaseKey("1".repeat(32) as RunId), Buffer.from("{}"));
    for (let i = 0; i < files; i++) await bucket.put(`files/${String(i).padStart(64, "0")}`, Buffer.from("x"));
    const collected: number[] = [];
    const collect = async (hash: string) => collected.push(Number(hash)) > 0;
    return { bucket, collected, collect };
  };

  test("asks after so many files at once, and the next goes on behind them", async () => {
    const { bucket, collect, collected } = await stage(5);
    const sweep = new FileSweep(bucket, path.join(temporaryDirectory(), "names"), collect, 2);
    // A retention that ends in two days: what was stored just now is old enough.
    for (const count of [2, 2, 1, 2]) {
      expect(await sweep.run(-FILE_KEEP_MS - DAY_MS)).toMatchObject({ old: count, removed: count });
    }
    expect(collected).toEqual([0, 1, 2, 3, 4, 0, 1]);
  });

  test("takes a small part of the time", () => {
    expect(pauseAfter(1000)).toBe(FILE_SWEEP_MS);
    expect(pauseAfter(FILE_SWEEP_MS)).toBe(FILE_SWEEP_SHARE * FILE_SWEEP_MS);
  });
});
