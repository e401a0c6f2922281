// The side of the files against a bucket in the hand of the test: what is stored when, and what collection may take.

import { createHash } from "node:crypto";
import fs from "node:fs";
import path from "node:path";
import { expect, test } from "vitest";
import type { BucketCounts } from "../../src/bucket/counted.ts";
import { type FaultyBucket, faultyBucket } from "../../src/bucket/faulty.ts";
import { MemoryStore, openMemoryBucket } from "../../src/bucket/memory.ts";
import {
  BUCKET_PART_BYTES,
  FILE_FRESH_MS,
  FILE_KEEP_MS,
  FILE_PIECE_BYTES,
  FILE_READS_AT_ONCE,
  FILE_UNSURE_MS,
  FILE_UPLOAD_BYTES_PER_S,
  FILE_UPLOADS_AT_ONCE,
} from "../../src/limits.ts";
import { FileSide } from "../../src/server/files/fileSide.ts";
import { codeOf, temporaryDirectory } from "../cell/nodes.ts";

const HOUR_MS = 3600_000;

interface Stage {
  readonly side: FileSide;
  readonly bucket: FaultyBucket;
  readonly store: MemoryStore;
  readonly folder: string;
  counts(): BucketCounts | undefined;
  put(text: string | Uint8Array): Promise<string>;
  /** Objects are from here on written so long ago, in ms. */
  ago: number;
}

function stage(): Stage {
  const folder = temporaryDirectory();
  const state = { ago: 0 };
  const store = new MemoryStore(() => Date.now() - state.ago);
  const bucket = faultyBucket(openMemoryBucket(store));
  let last: BucketCounts | undefined;
  const side = new FileSide(
    async () => bucket,
    folder,
    (counts) => (last = counts),
  );
  const put = async (content: string | Uint8Array): Promise<string> => {
    const file = side.begin();
    side.piece({ file, bytes: Buffer.from(content) });
    return (await side.end(file)).hash;
  };
  return Object.assign(state, { counts: () => last, side, bucket, store, folder, put });
}

function hashOf(content: string | Uint8Array): string {
  return createHash("sha256").update(content).digest("hex");
}

test("a file that was stored lately is not stored again, an older one is: that makes it young", async () => {
  const s = stage();
  await s.put("x");
  await s.put("x");
  expect(s.counts()?.put).toBe(1);
  s.store.objects.clear();
  s.store.keys.length = 0;
  s.ago = FILE_FRESH_MS - HOUR_MS;
  await s.put("x");
  await s.put("x");
  expect(s.counts()?.put).toBe(2);
  s.ago = FILE_FRESH_MS + HOUR_MS;
  await s.put("y");
  s.ago = 0;
  await s.put("y");
  expect(s.counts()?.put).toBe(4);
  await s.put("y");
  expect(s.counts()?.put).toBe(4);
});

test("an object of another size is not taken for the file", async () => {
  const s = stage();
  const hash = await s.put("whole");
  s.store.objects.set(`files/${hash}`, { bytes: Buffer.from("who"), modifiedMs: Date.now() });
  await s.put("whole");
  expect(s.store.objects.get(`files/${hash}`)?.bytes.toString()).toBe("whole");
});

test("only what was stored before the retention and longer ago than FILE_KEEP_MS is collected", async () => {
  const s = stage();
  s.ago = FILE_KEEP_MS + HOUR_MS;
  const old = await s.put("old");
  s.ago = FILE_KEEP_MS - HOUR_MS;
  const young = await s.put("young");
  const now = Date.now();
  expect(await s.side.collect({ hash: old, before: now - FILE_KEEP_MS - 2 * HOUR_MS })).toBe(false);
  expect(await s.side.collect({ hash: young, before: now })).toBe(false);
  expect(s.store.keys).toHaveLength(2);
  expect(await s.side.collect({ hash: old, before: now })).toBe(true);
  expect(s.store.keys).toEqual([`files/${young}`]);
  expect(await s.side.collect({ hash: old, before: now })).toBe(true);
});

test("a put that comes while its file is collected stores it again", async () => {
  const s = stage();
  s.ago = FILE_KEEP_MS + HOUR_MS;
  const hash = await s.put("x");
  s.ago = 0;
  // The put finds the file while it is there, were it not to wait for the deletion.
  s.bucket.plan = { latencyMs: [20, 20] };
  const [collected] = await Promise.all([s.side.collect({ hash, before: Date.now() }), s.put("x")]);
  expect(collected).toBe(true);
  expect(s.store.keys).toEqual([`files/${hash}`]);
  // And the other way round.
  s.ago = FILE_KEEP_MS + HOUR_MS;
  const other = await s.put("y");
  s.ago = 0;
  const [, kept] = await Promise.all([s.put("y"), s.side.collect({ hash: other, before: Date.now() })]);
  expect(kept).toBe(false);
  expect(s.store.keys).toContain(`files/${other}`);
});

test("a file whose deletion was not answered is not put before that has certainly happened", async () => {
  const s = stage();
  s.ago = FILE_KEEP_MS + HOUR_MS;
  const hash = await s.put("x");
  s.ago = 0;
  const heal = s.bucket.fail(({ operation }) => (operation === "delete" ? "late" : undefined));
  expect(await codeOf(s.side.collect({ hash, before: Date.now() }))).toBe("BUCKET_FAILED");
  heal();
  expect(await codeOf(s.put("x"))).toBe("BUCKET_FAILED");
  await s.bucket.settle();
  expect(s.store.keys).toEqual([]);
  const { now } = Date;
  try {
    Date.now = () => now() + FILE_UNSURE_MS + 1;
    await s.put("x");
  } finally {
    Date.now = now;
  }
  expect(s.store.keys).toEqual([`files/${hash}`]);
});

test("a file that is given up, or that the bucket does not take, leaves nothing on this disk", async () => {
  const s = stage();
  const file = s.side.begin();
  s.side.piece({ file, bytes: Buffer.from("some") });
  expect(fs.readdirSync(s.folder)).toHaveLength(1);
  s.side.drop(file);
  s.side.drop(file);
  expect(fs.readdirSync(s.folder)).toEqual([]);
  s.bucket.away = true;
  expect(await codeOf(s.put("x"))).toBe("BUCKET_FAILED");
  expect(fs.readdirSync(s.folder)).toEqual([]);
  s.bucket.away = false;
  await s.put("x");
});

test("a full disk is told as such", () => {
  const s = stage();
  const file = s.side.begin();
  const [spool] = fs.readdirSync(s.folder);
  const write = fs.writeSync;
  fs.writeSync = () => {
    throw Object.assign(new Error("ENOSPC: no space left on device"), { code: "ENOSPC" });
  };
  try {
    expect(() => s.side.piece({ file, bytes: Buffer.from("x") })).toThrow(
      expect.objectContaining({ code: "DISK_FULL" }),
    );
  } finally {
    fs.writeSync = write;
  }
  s.side.drop(file);
  expect(fs.existsSync(path.join(s.folder, spool as string))).toBe(false);
});

test("a large file is handed over piece by piece, and has time by its size", async () => {
  const s = stage();
  const content = Buffer.alloc(BUCKET_PART_BYTES + 5, "abc");
  const deadlines: (number | undefined)[] = [];
  const whole: boolean[] = [];
  const put = s.bucket.put.bind(s.bucket);
  s.bucket.put = (key, given, call) => {
    deadlines.push(call?.deadlineMs);
    whole.push(given instanceof Uint8Array);
    return put(key, given, call);
  };
  expect(await s.put(content)).toBe(hashOf(content));
  await s.put(content.subarray(5));
  expect(whole).toEqual([false, true]);
  expect(deadlines[0]).toBeGreaterThan((1000 * content.length) / FILE_UPLOAD_BYTES_PER_S);
  expect(s.store.objects.get(`files/${hashOf(content)}`)?.bytes.equals(content)).toBe(true);
});

test("a few files are uploaded at once, and a few pieces read; the others wait", async () => {
  const s = stage();
  const most = { put: 0, get: 0 };
  const now = { put: 0, get: 0 };
  const counted = <T>(what: "put" | "get", work: () => Promise<T>): Promise<T> => {
    most[what] = Math.max(most[what], ++now[what]);
    return work().finally(() => (now[what] -= 1));
  };
  const [put, get] = [s.bucket.put.bind(s.bucket), s.bucket.get.bind(s.bucket)];
  s.bucket.put = (...args) => counted("put", () => put(...args));
  s.bucket.get = (...args) => counted("get", () => get(...args));
  s.bucket.plan = { latencyMs: [5, 10] };
  const hashes = await Promise.all(Array.from({ length: 20 }, (_, i) => s.put(`file ${i}`)));
  await Promise.all(hashes.map((hash) => s.side.read({ hash, from: 0, bytes: FILE_PIECE_BYTES })));
  expect(most).toEqual({ put: FILE_UPLOADS_AT_ONCE, get: FILE_READS_AT_ONCE });
});

test("a bucket that could not be opened is tried again", async () => {
  let tries = 0;
  const bucket = openMemoryBucket();
  const side = new FileSide(async () => {
    if (tries++ === 0) throw new Error("not now");
    return bucket;
  }, temporaryDirectory());
  await expect(side.read({ hash: hashOf("x"), from: 0, bytes: 1 })).rejects.toThrow("not now");
  expect(await side.read({ hash: hashOf("x"), from: 0, bytes: 1 })).toBeUndefined();
});
