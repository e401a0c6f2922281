// Clean-up on a bucket in memory: in which order it goes about it, and what it leaves alone.

import { beforeEach, expect, test } from "vitest";
import { type CountedBucket, countedBucket } from "../../src/bucket/counted.ts";
import { MemoryStore, openMemoryBucket } from "../../src/bucket/memory.ts";
import { baseKey, checkpointKey, leaseKey, logKey, packKey } from "../../src/bucket/objectKeys.ts";
import { encodeSeal, encodeSegment, ObjectWriter } from "../../src/codec/objectWriter.ts";
import { CLEAN_UP_MS, CLEAN_UP_REQUESTS_PER_DAY, FIRST_CLEAN_UP_MS } from "../../src/limits.ts";
import { makePack } from "../../src/log/pack.ts";
import { listRunLog } from "../../src/log/runObjects.ts";
import { CleanUp } from "../../src/server/upkeep/cleanUp.ts";
import { SlotIndexes } from "../../src/server/slots/slotIndexes.ts";
import { intentOf } from "../../src/store/snapshot.ts";
import type { Epoch, Lsn, RunId, Seq, Slot, Txid } from "../../src/types.ts";
import { cellOf, claimBytes, commitBytes, sampleClaim } from "../codec/samples.ts";

const RUN = "5".repeat(32) as RunId;
const OTHER = "6".repeat(32) as RunId;
const [ONE, TWO] = [3 as Slot, 700 as Slot];
const RETENTION = 3600_000;

let store: MemoryStore;
let bucket: CountedBucket;
let now: number;
let calls: string[];
let failures: string[];
let clock: number;

beforeEach(() => {
  now = 1_700_000_000_000;
  clock = 0;
  calls = [];
  failures = [];
  store = new MemoryStore(() => now);
  bucket = countedBucket(openMemoryBucket(store));
});

function record(slot: Slot, txid: number): { bytes: Buffer; slot: Slot } {
  const cells = [cellOf(`n/${slot}`, 512, 1, [1])];
  const facts = { slot, epoch: 1 as Epoch, txid: txid as Txid, time: now };
  return { bytes: commitBytes({ ...facts, cells, changes: [] }), slot };
}

/** Segments with a record of each of these slots. */
async function segments(run: RunId, slots: readonly (readonly Slot[])[]): Promise<void> {
  for (const [i, some] of slots.entries()) {
    const start = { runId: run, number: i + 1, intent: new Uint8Array(16), createdMs: 1 };
    const lsn = { fromLsn: i as Lsn, toLsn: (i + 1) as Lsn };
    const records = some.map((slot) => record(slot, i + 1));
    await bucket.create(logKey(run, (i + 1) as Seq), encodeSegment({ ...start, ...lsn }, records));
  }
}

async function seal(run: RunId, seq: number): Promise<void> {
  const facts = { runId: run, number: seq, intent: new Uint8Array(16), createdMs: 1, toLsn: seq as Lsn };
  await bucket.create(logKey(run, seq as Seq), encodeSeal(facts));
}

async function checkpoint(slot: Slot, seq: number): Promise<string> {
  const key = checkpointKey(slot, 1 as Epoch, seq as Seq);
  const start = { runId: RUN, number: seq, intent: intentOf(key), createdMs: 1 };
  const writer = new ObjectWriter({ ...start, kind: "checkpoint" });
  writer.add(claimBytes({ ...sampleClaim(), slot, epoch: 1 as Epoch, previousEpoch: 0 as Epoch }));
  await bucket.put(key, Buffer.concat(writer.finish()));
  return key;
}

function cleanUp(): CleanUp {
  const watched: CountedBucket = {
    url: bucket.url,
    close: () => bucket.close(),
    counts: () => bucket.counts(),
    get: (...call) => bucket.get(...call),
    put: (...call) => bucket.put(...call),
    list: (...call) => bucket.list(...call),
    create(key, bytes) {
      calls.push(`create ${key}`);
      return bucket.create(key, bytes);
    },
    delete(keys) {
      calls.push(...keys.map((key) => `delete ${key}`));
      return bucket.delete(keys);
    },
  };
  return new CleanUp({
    bucket: watched,
    indexes: new SlotIndexes(bucket),
    retentionMs: RETENTION,
    runId: () => RUN,
    now: () => clock,
    listed: () => {},
    failed: (what, error) => failures.push(`${what}: ${(error as Error).message}`),
  });
}

async function clean(): Promise<Awaited<ReturnType<CleanUp["run"]>>> {
  await bucket.put(leaseKey(RUN), Buffer.from("{}"));
  return cleanUp().run();
}

const numbers = async (of: RunId): Promise<{ base: number; seqs: readonly number[] }> => listRunLog(bucket, of);

test("a clock that is set wrong for a while removes nothing", async () => {
  await segments(RUN, [[ONE], [ONE], [ONE]]);
  await seal(RUN, 4);
  await checkpoint(ONE, 4);
  const cleaning = cleanUp();
  const run = async (): Promise<unknown> => {
    await bucket.put(leaseKey(RUN), Buffer.from("{}"));
    return cleaning.run();
  };
  const nothing = { logObjects: 0, checkpoints: 0, snapshots: 0, records: 0 };
  expect(await run()).toEqual(nothing);
  now += 100 * RETENTION;
  clock += CLEAN_UP_MS;
  expect(await run()).toEqual(nothing);
  now -= 100 * RETENTION - CLEAN_UP_MS;
  expect(await run()).toEqual(nothing);
  now += RETENTION - CLEAN_UP_MS;
  clock += RETENTION - CLEAN_UP_MS;
  expect(await run()).toEqual({ ...nothing, logObjects: 3 });
});

test("a log is cut behind its raised base, as far as the bases of all slots reach, and the seal stays", async () => {
  await segments(RUN, [[ONE], [ONE, TWO], [ONE], [TWO], [ONE]]);
  await seal(RUN, 6);
  await checkpoint(ONE, 6);
  await checkpoint(TWO, 4);
  now += RETENTION;
  expect(await clean()).toMatchObject({ logObjects: 3 });
  expect(await numbers(RUN)).toEqual({ base: 4, seqs: [4, 5, 6] });
  expect(calls).toEqual([
    `create ${baseKey(RUN, 4 as Seq)}`,
    ...[1, 2, 3].map((n) => `delete ${logKey(RUN, n as Seq)}`),
  ]);
  // Nothing more, until the other slot has another base.
  calls = [];
  expect(await clean()).toMatchObject({ logObjects: 0 });
  await checkpoint(TWO, 6);
  now += RETENTION;
  await clean();
  expect(await numbers(RUN)).toEqual({ base: 6, seqs: [6] });
  expect(calls).toContain(`delete ${baseKey(RUN, 4 as Seq)}`);
});

test("what is young stays, and so does the last segment of a log that goes on", async () => {
  await segments(RUN, [[ONE], [ONE], [ONE]]);
  await checkpoint(ONE, 4);
  now += RETENTION - 1;
  await clean();
  expect(await numbers(RUN)).toEqual({ base: 1, seqs: [1, 2, 3] });
  now += 1;
  await clean();
  expect(await numbers(RUN)).toEqual({ base: 3, seqs: [3] });
});

test("a pack tells of all its segments, and goes with them", async () => {
  await segments(RUN, [[ONE], [ONE], [ONE], [TWO], [ONE]]);
  const range = { from: 1 as Seq, to: 4 as Seq };
  const parts = [1, 2, 3].map((n) => ({
    kind: "segment" as const,
    key: logKey(RUN, n as Seq),
    run: RUN,
    from: n as Seq,
    to: (n + 1) as Seq,
  }));
  await bucket.create(packKey(RUN, range.from, range.to), (await makePack(bucket, parts)) as Buffer);
  await checkpoint(ONE, 6);
  now += RETENTION;
  const before = bucket.counts().get;
  await clean();
  // The base checkpoint, the pack, and the segment that is needed.
  expect(bucket.counts().get - before).toBe(3);
  expect(await numbers(RUN)).toEqual({ base: 4, seqs: [4, 5] });
  expect(await bucket.get(packKey(RUN, range.from, range.to))).toBeUndefined();
});

test("a base checkpoint that cannot be read covers nothing; other slots and logs are cleaned up all the same", async () => {
  await segments(RUN, [[ONE], [ONE]]);
  await segments(OTHER, [[TWO], [TWO]]);
  const key = await checkpoint(ONE, 3);
  await bucket.put(key, Buffer.from("no checkpoint"));
  await checkpoint(TWO, 3);
  now += RETENTION;
  await clean();
  expect(await numbers(RUN)).toEqual({ base: 1, seqs: [1, 2] });
  expect(await numbers(OTHER)).toEqual({ base: 2, seqs: [2] });
  expect(failures.join()).toContain(key);
});

test("a damaged segment ends the cutting of its log, and of no other", async () => {
  await segments(RUN, [[ONE], [ONE], [ONE]]);
  await segments(OTHER, [[ONE], [ONE]]);
  await bucket.put(logKey(RUN, 1 as Seq), Buffer.from("no segment"));
  await checkpoint(ONE, 4);
  now += RETENTION;
  await clean();
  expect(await numbers(RUN)).toEqual({ base: 1, seqs: [1, 2, 3] });
  expect(await numbers(OTHER)).toEqual({ base: 2, seqs: [2] });
  expect(failures.join()).toContain(logKey(RUN, 1 as Seq));
});

test("what a clean-up left below a base that it had raised goes with the next", async () => {
  await segments(RUN, [[ONE], [ONE], [ONE]]);
  await bucket.create(baseKey(RUN, 3 as Seq), Buffer.from("x"));
  await clean();
  expect(calls).toEqual([1, 2].map((n) => `delete ${logKey(RUN, n as Seq)}`));
});

test("of a long log the beginning is listed, and those behind it are not forgotten", async () => {
  const long = Array.from({ length: 2_500 }, () => [ONE]);
  await segments(RUN, long);
  await segments(OTHER, [[ONE], [ONE]]);
  await checkpoint(ONE, 3_000);
  now += RETENTION;
  const before = bucket.counts().list;
  await clean();
  expect(await numbers(RUN)).toMatchObject({ base: 1000 });
  expect(await numbers(OTHER)).toEqual({ base: 2, seqs: [2] });
  expect(bucket.counts().list - before).toBeLessThan(10);
});

test("without a lease there is no time, and nothing goes", async () => {
  await segments(RUN, [[ONE], [ONE]]);
  await checkpoint(ONE, 3);
  now += RETENTION;
  expect(await cleanUp().run()).toBeUndefined();
  expect(calls).toEqual([]);
});

test("it looks at the bucket seldom, and more seldom the more there is to list", async () => {
  const cleaner = cleanUp();
  await cleaner.look();
  expect(bucket.counts().list).toBe(0);
  await bucket.put(leaseKey(RUN), Buffer.from("{}"));
  clock += FIRST_CLEAN_UP_MS;
  await cleaner.look();
  const first = bucket.counts().list;
  expect(first).toBeGreaterThan(3);
  clock += CLEAN_UP_MS - 1;
  await cleaner.look();
  expect(bucket.counts().list).toBe(first);
  clock += 1;
  await cleaner.look();
  expect(bucket.counts().list).toBeGreaterThan(first);
  // Two hundred listings are a hundredth of what a day may cost.
  for (let i = 0; i < 100_000; i++) store.keys.push(`cell/0009/@checkpoint/${String(i).padStart(10, "0")}-0000000001`);
  const one = { bytes: Buffer.alloc(1), modifiedMs: now };
  for (const key of store.keys) if (!store.objects.has(key)) store.objects.set(key, one);
  store.keys.sort();
  clock += CLEAN_UP_MS;
  const before = bucket.counts();
  await cleaner.look();
  const after = bucket.counts();
  const requests = after.list - before.list + after.get - before.get + after.create - before.create;
  expect(requests).toBeGreaterThan(100);
  const pause = (24 * 3600_000 * requests) / CLEAN_UP_REQUESTS_PER_DAY;
  clock += Math.max(CLEAN_UP_MS, pause) - 1;
  await cleaner.look();
  expect(bucket.counts().list).toBe(after.list);
});
