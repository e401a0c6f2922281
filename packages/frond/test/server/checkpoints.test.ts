// Checkpoints of owned slots on a bucket in memory: when one is written, what happens when it fails, what is in it.

import { beforeEach, expect, test } from "vitest";
import { type CountedBucket, countedBucket } from "../../src/bucket/counted.ts";
import { MemoryStore, openMemoryBucket } from "../../src/bucket/memory.ts";
import { checkpointKey, logKey } from "../../src/bucket/objectKeys.ts";
import { encodeSegment } from "../../src/codec/objectWriter.ts";
import type { IndexChange } from "../../src/codec/record.ts";
import { newEntry } from "../../src/cell/commit.ts";
import { FrondError } from "../../src/errors.ts";
import { bringSlot } from "../../src/server/runs/bringSlot.ts";
import {
  CHECKPOINT_BYTES_CHANGED,
  CHECKPOINT_PACE_MS,
  CHECKPOINT_PAUSE_MS,
  CHECKPOINT_RETRY_MAX_MS,
  CHECKPOINT_RETRY_MS,
} from "../../src/limits.ts";
import { Checkpoints } from "../../src/server/upkeep/checkpoints.ts";
import { erasureHash, putErasure } from "../../src/server/upkeep/erasureRecords.ts";
import { SlotClaims } from "../../src/server/slots/slotClaims.ts";
import type { Address, Epoch, Lsn, RunId, RunNumber, Seq, Slot, Txid } from "../../src/types.ts";
import { temporaryDirectory } from "../cell/nodes.ts";
import { cellOf, commitBytes } from "../codec/samples.ts";

const RUN = { run: 1 as RunNumber, runId: "a".repeat(32) as RunId };
const RETENTION = 3600_000;
const [ONE, TWO] = [3 as Slot, 700 as Slot];
const MUCH = CHECKPOINT_BYTES_CHANGED;

let bucket: CountedBucket;
let now: number;
let seq: number;
let confirmed: boolean;
let failing: boolean;
let failures: string[];
let claims: SlotClaims;
let checkpoints: Checkpoints;
const txids = new Map<Slot, number>();

beforeEach(async () => {
  [now, seq, confirmed, failing, failures] = [1_700_000_000_000, 1, true, false, []];
  txids.clear();
  const memory = openMemoryBucket(new MemoryStore(() => now));
  bucket = countedBucket({
    url: memory.url,
    close: () => memory.close(),
    create: (...call) => memory.create(...call),
    get: (...call) => memory.get(...call),
    list: (...call) => memory.list(...call),
    delete: (...call) => memory.delete(...call),
    async put(...call) {
      if (failing) throw new FrondError("BUCKET_FAILED", "no");
      await memory.put(...call);
    },
  });
  const hands = { sleep: async () => {}, signal: new AbortController().signal, failed: () => {} };
  claims = new SlotClaims({ bucket, appVersion: "0", adopted: [], retentionMs: RETENTION, ...hands });
  checkpoints = new Checkpoints({
    bucket,
    claims,
    folder: temporaryDirectory(),
    retentionMs: RETENTION,
    now: () => now,
    failed: (what) => failures.push(what),
  });
  checkpoints.follow({ ...RUN, confirmedSeq: () => (confirmed ? (seq as Seq) : undefined) });
  const knows = { run: undefined, epoch: 0 as Epoch, txid: 0 as Txid };
  for (const slot of [ONE, TWO]) await claims.open({ slot, knows }, { runId: RUN.runId, nextSeq: seq as Seq });
});

/** A segment with one commit, of which so many bytes are told. */
async function log(slot: Slot, changes: IndexChange["what"][], bytes = MUCH, lastId = 0, epoch = 1): Promise<void> {
  const txid = (txids.get(slot) ?? 0) + 1;
  txids.set(slot, txid);
  const address = "n/a" as Address;
  const isGone = changes.includes("deleted");
  const record = commitBytes({
    slot,
    epoch: epoch as Epoch,
    txid: txid as Txid,
    time: now,
    cells: [cellOf(address, 512, isGone ? 0 : 2, isGone ? [] : [1, 2])],
    changes: changes.map((what) => ({ what, address, value: what === "deleted" ? lastId : 0 })),
  });
  const start = { runId: RUN.runId, number: seq, intent: new Uint8Array(16), createdMs: 1 };
  const lsn = { fromLsn: seq as Lsn, toLsn: (seq + 1) as Lsn };
  await bucket.create(logKey(RUN.runId, seq as Seq), encodeSegment({ ...start, ...lsn }, [{ bytes: record, slot }]));
  seq += 1;
  checkpoints.changed(new Map([[slot, bytes]]));
}

const keys = async (): Promise<string[]> => (await bucket.list("cell/")).map(({ key }) => key);
const keyOf = (slot: Slot, at = seq): string => checkpointKey(slot, 1 as Epoch, at as Seq);

test("one after the other, with pauses in between, and each slot not again so soon", async () => {
  await log(ONE, ["created"], 2 * MUCH);
  await log(TWO, ["created"], 3 * MUCH);
  expect(await checkpoints.look()).toBe(true);
  expect(await keys()).toEqual([keyOf(TWO)]);
  expect(await checkpoints.look()).toBe(false);
  now += CHECKPOINT_PACE_MS;
  expect(await checkpoints.look()).toBe(true);
  expect(await keys()).toEqual([keyOf(ONE), keyOf(TWO)]);
  await log(ONE, []);
  now += CHECKPOINT_PAUSE_MS - 1;
  expect(await checkpoints.look()).toBe(false);
  now += CHECKPOINT_PACE_MS;
  expect(await checkpoints.look()).toBe(true);
  expect(await keys()).toContain(keyOf(ONE));
});

test("a clock that is set back holds nothing up: neither pauses, nor what was written in a time to come", async () => {
  await log(ONE, ["created"]);
  await log(TWO, ["created"]);
  failing = true;
  expect(await checkpoints.look()).toBe(false);
  failing = false;
  now -= 365 * 24 * 3600_000;
  expect(await checkpoints.look()).toBe(true);
  now += CHECKPOINT_PACE_MS;
  expect(await checkpoints.look()).toBe(true);
  expect(await keys()).toHaveLength(2);
  now -= 365 * 24 * 3600_000;
  await log(ONE, []);
  expect(await checkpoints.look()).toBe(true);
});

test("nothing is written while something that was uploaded is not confirmed", async () => {
  await log(ONE, ["created"]);
  confirmed = false;
  expect(await checkpoints.look()).toBe(false);
  expect(await keys()).toEqual([]);
  confirmed = true;
  now += CHECKPOINT_PACE_MS;
  expect(await checkpoints.look()).toBe(true);
});

test("what fails is tried again, later and later, and what was counted is not forgotten", async () => {
  await log(ONE, ["created"]);
  failing = true;
  for (let pause = CHECKPOINT_RETRY_MS; pause < CHECKPOINT_RETRY_MAX_MS; pause *= 2) {
    expect(await checkpoints.look()).toBe(false);
    const told = failures.length;
    now += Math.max(CHECKPOINT_PACE_MS, pause) - 1;
    await checkpoints.look();
    expect(failures).toHaveLength(told);
    now += 1;
  }
  failing = false;
  now += CHECKPOINT_RETRY_MAX_MS;
  expect(await checkpoints.look()).toBe(true);
  expect(await keys()).toEqual([keyOf(ONE)]);
  // It is in the checkpoint now, and counts no more.
  now += CHECKPOINT_RETRY_MAX_MS;
  expect(await checkpoints.look()).toBe(false);
});

test("tombstones stay for the retention, and those that have given ids for ever", async () => {
  const own = (): { runId: RunId; nextSeq: Seq } => ({ runId: RUN.runId, nextSeq: seq as Seq });
  await log(ONE, ["created"]);
  await log(ONE, ["deleted"]);
  await log(TWO, ["created"]);
  await log(TWO, ["deleted"], MUCH, 5);
  for (const slot of [ONE, TWO]) await checkpoints.write(slot);
  expect((await claims.indexOf(ONE, own())).cells.get("n/a" as Address)?.entry).toMatchObject({ deleted: true });
  now += RETENTION + 1;
  for (const slot of [ONE, TWO]) await checkpoints.write(slot);
  const [one, two] = [await claims.indexOf(ONE, own()), await claims.indexOf(TWO, own())];
  expect([one.cells.size, one.at]).toEqual([0, { epoch: 1, txid: 2 }]);
  expect(two.cells.get("n/a" as Address)?.entry).toMatchObject({
    deleted: true,
    lastId: 5,
    createdMs: now - RETENTION - 1,
  });
});

test("of a cell that had given ids and was erased, the name goes as well", async () => {
  await log(TWO, ["created"]);
  await log(TWO, ["deleted"], MUCH, 5);
  const erasure = { hash: erasureHash("n/a"), address: "n/a", epoch: 1 as Epoch, txid: 2 as Txid };
  await putErasure(bucket, { ...erasure, erasedMs: now, files: [], goneMs: 0 });
  await checkpoints.write(TWO);
  const held = async (): Promise<number> =>
    (await claims.indexOf(TWO, { runId: RUN.runId, nextSeq: seq as Seq })).cells.size;
  expect(await held()).toBe(1);
  now += RETENTION + 1;
  await checkpoints.write(TWO);
  expect(await held()).toBe(0);
  // Another one of that name is another one.
  await log(TWO, ["created"]);
  await log(TWO, ["deleted"], MUCH, 6);
  now += RETENTION + 1;
  await checkpoints.write(TWO);
  expect(await held()).toBe(1);
});

test("a slot in which there is nothing has no checkpoint", async () => {
  expect(await checkpoints.write(ONE)).toBe(false);
  expect(await keys()).toEqual([]);
});

test("a cell that was brought into the bucket without its pages stays as it is, and keeps back neither its slot nor the log", async () => {
  const slot = 5 as Slot;
  const at = { epoch: 1 as Epoch, txid: 1 as Txid };
  const broken = { ...newEntry("n/broken" as Address, slot, 512), ...at, pageCount: 2 };
  const cells = [{ entry: broken, file: undefined }];
  await bringSlot(bucket, { slot, ...at, cells }, { ...RUN, signal: new AbortController().signal });
  await claims.open({ slot, knows: { run: undefined, ...at } }, { runId: RUN.runId, nextSeq: seq as Seq });
  txids.set(slot, 1);
  for (let times = 1; times <= 2; times++) {
    await log(slot, times === 1 ? ["created"] : [], 2 * MUCH, 0, 2);
    now += 24 * 3600_000;
    expect(await checkpoints.look()).toBe(true);
    expect(await keys()).toHaveLength(1 + times);
  }
  expect(failures).toEqual([]);
  const index = await claims.indexOf(slot, { runId: RUN.runId, nextSeq: seq as Seq });
  expect(index.cells.get("n/broken" as Address)?.entry).toMatchObject({ ...at, pageCount: 2, deleted: false });
  expect(index.cells.get("n/a" as Address)?.entry).toMatchObject({ epoch: 2, txid: 3, pageCount: 2 });
});
