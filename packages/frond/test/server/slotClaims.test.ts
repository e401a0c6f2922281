// Taking slots on a bucket in memory: how many requests it takes, whose a slot is, and what a record carries on.

import { beforeEach, expect, test } from "vitest";
import { type CountedBucket, countedBucket } from "../../src/bucket/counted.ts";
import { MemoryStore, openMemoryBucket } from "../../src/bucket/memory.ts";
import { checkpointKey, logKey, slotKey } from "../../src/bucket/objectKeys.ts";
import { decodeSlot, encodeDocument, type LogRange, type SlotDocument } from "../../src/codec/documents.ts";
import { encodeSeal, encodeSegment, ObjectWriter } from "../../src/codec/objectWriter.ts";
import { CLOCK_MARGIN_MS, MAX_SLOT_SOURCES } from "../../src/limits.ts";
import { SlotClaims } from "../../src/server/slots/slotClaims.ts";
import { intentOf } from "../../src/store/snapshot.ts";
import type { Epoch, Lsn, RunId, Seq, Slot, Txid } from "../../src/types.ts";
import { cellOf, claimBytes, commitBytes, sampleClaim } from "../codec/samples.ts";

const SLOT = 3 as Slot;
const RETENTION = 3600_000;
const OWN = { runId: "a".repeat(32) as RunId, nextSeq: 5 as Seq };
const NOTHING = { run: undefined, epoch: 0 as Epoch, txid: 0 as Txid };

let bucket: CountedBucket;
let now: number;

beforeEach(() => {
  now = 1_700_000_000_000;
  bucket = countedBucket(openMemoryBucket(new MemoryStore(() => now)));
});

function claims(over: CountedBucket = bucket): SlotClaims {
  const hands = { sleep: async () => {}, signal: new AbortController().signal, failed: () => {} };
  const facts = { bucket: over, appVersion: "0", adopted: [], retentionMs: RETENTION, now: () => now };
  return new SlotClaims({ ...facts, ...hands });
}

const runOf = (n: number): RunId => n.toString(16).padStart(32, "0") as RunId;
const source = (epoch: number, from = 1, to = 2): LogRange => ({
  epoch: epoch as Epoch,
  run: runOf(epoch),
  from: from as Seq,
  to: to as Seq,
});

/** A record of this epoch by the run of that number, whose log has one segment with a commit of the slot, and a seal. */
async function owned(epoch: number, more: Partial<SlotDocument> = {}): Promise<SlotDocument> {
  const facts = { intent: "f".repeat(32), slot: SLOT, epoch: epoch as Epoch, run: runOf(epoch), from: 1 as Seq };
  const before = { epoch: (epoch - 1) as Epoch, txid: (epoch - 1) as Txid };
  const document = { ...facts, appVersion: "0", before, sources: [], covered: undefined, ...more };
  await bucket.create(slotKey(SLOT, document.epoch), encodeDocument(document));
  return document;
}

async function log(epoch: number): Promise<void> {
  const cells = [cellOf("n/a", 512, 1, [1])];
  const position = { slot: SLOT, epoch: epoch as Epoch, txid: epoch as Txid, time: now };
  const commit = commitBytes({ ...position, cells, changes: [] });
  const claim = claimBytes({
    ...sampleClaim(),
    ...position,
    txid: (epoch - 1) as Txid,
    previousEpoch: (epoch - 1) as Epoch,
  });
  const start = { runId: runOf(epoch), number: 1, intent: new Uint8Array(16), createdMs: 1 };
  const records = [
    { bytes: claim, slot: SLOT },
    { bytes: commit, slot: SLOT },
  ];
  const segment = encodeSegment({ ...start, fromLsn: 0 as Lsn, toLsn: 9 as Lsn }, records);
  await bucket.create(logKey(runOf(epoch), 1 as Seq), segment);
  await bucket.create(logKey(runOf(epoch), 2 as Seq), encodeSeal({ ...start, number: 2, toLsn: 9 as Lsn }));
}

async function checkpoint(epoch: number, seq: number): Promise<void> {
  const key = checkpointKey(SLOT, epoch as Epoch, seq as Seq);
  const start = { runId: runOf(epoch), number: seq, intent: intentOf(key), createdMs: 1 };
  const writer = new ObjectWriter({ ...start, kind: "checkpoint" });
  const position = { slot: SLOT, epoch: epoch as Epoch, txid: epoch as Txid, previousEpoch: (epoch - 1) as Epoch };
  writer.add(claimBytes({ ...sampleClaim(), ...position }));
  await bucket.put(key, Buffer.concat(writer.finish()));
}

async function record(epoch: number): Promise<SlotDocument> {
  const key = slotKey(SLOT, epoch as Epoch);
  return decodeSlot((await bucket.get(key))?.bytes as Buffer, key);
}

test("where the directory is up to date it takes a create and a listing, and the record that the directory knows", async () => {
  await owned(4, { sources: [source(3)] });
  await log(4);
  const taking = claims();
  taking.histories.noteSeal(runOf(4), 2 as Seq);
  const before = bucket.counts();
  const opened = await taking.open({ slot: SLOT, knows: { run: runOf(4), epoch: 4 as Epoch, txid: 4 as Txid } }, OWN);
  const { create, list, get, put } = bucket.counts();
  expect([create - before.create, list - before.list, get - before.get, put]).toEqual([1, 1, 1, 0]);
  expect(opened).toEqual({ epoch: 5, txid: 4, cells: undefined });
  expect(await record(5)).toMatchObject({ run: OWN.runId, from: 5, sources: [source(3), source(4)] });
});

test("a slot that nobody has owned", async () => {
  expect(await claims().open({ slot: SLOT, knows: NOTHING }, OWN)).toEqual({ epoch: 1, txid: 0, cells: undefined });
});

test("another disk reads what the bucket has", async () => {
  await owned(1);
  await log(1);
  const opened = await claims().open({ slot: SLOT, knows: NOTHING }, OWN);
  expect(opened).toMatchObject({ epoch: 2, txid: 1, cells: [{ address: "n/a", epoch: 1, txid: 1 }] });
});

test("a directory that is behind claims in vain, and learns what came since", async () => {
  for (const epoch of [1, 2]) {
    await owned(epoch, { sources: epoch === 2 ? [source(1)] : [] });
    await log(epoch);
  }
  const knows = { run: runOf(1), epoch: 1 as Epoch, txid: 1 as Txid };
  expect(await claims().open({ slot: SLOT, knows }, OWN)).toMatchObject({ epoch: 3, txid: 2, cells: [{ txid: 2 }] });
  expect(await record(3)).toMatchObject({ sources: [source(1), source(2)] });
});

test("a record that was there and was cleaned up is void when it is created again", async () => {
  await owned(1);
  await log(1);
  await owned(3, { sources: [source(1), source(2)] });
  for (const epoch of [2, 3]) await log(epoch);
  const knows = { run: runOf(1), epoch: 1 as Epoch, txid: 1 as Txid };
  // The epoch 2 is free again: the create succeeds, and counts for nothing.
  expect(await claims().open({ slot: SLOT, knows }, OWN)).toMatchObject({ epoch: 4, txid: 3 });
  expect((await record(2)).run).toBe(OWN.runId);
  expect((await record(4)).run).toBe(OWN.runId);
});

test("the slot of a run whose log goes on is not taken", async () => {
  await owned(1);
  const start = { runId: runOf(1), number: 1, intent: new Uint8Array(16), createdMs: 1 };
  const cells = [cellOf("n/a", 512, 1, [1])];
  const bytes = commitBytes({ slot: SLOT, epoch: 1 as Epoch, txid: 1 as Txid, time: now, cells, changes: [] });
  const segment = encodeSegment({ ...start, fromLsn: 0 as Lsn, toLsn: 9 as Lsn }, [{ bytes, slot: SLOT }]);
  await bucket.create(logKey(runOf(1), 1 as Seq), segment);
  const opening = claims().open({ slot: SLOT, knows: NOTHING }, OWN);
  await expect(opening).rejects.toMatchObject({ code: "SLOT_OWNED", retryable: true });
});

test("an answer that was lost on its way: the run has the slot already", async () => {
  await owned(1);
  await log(1);
  const knows = { run: runOf(1), epoch: 1 as Epoch, txid: 1 as Txid };
  const first = await claims().open({ slot: SLOT, knows }, OWN);
  expect(await claims().open({ slot: SLOT, knows }, OWN)).toEqual(first);
  await expect(record(3)).rejects.toThrow();
});

test("a create whose answer is lost is known by reading it back", async () => {
  let lost = 0;
  const unsure: CountedBucket = {
    url: bucket.url,
    close: () => bucket.close(),
    counts: () => bucket.counts(),
    get: (...call) => bucket.get(...call),
    put: (...call) => bucket.put(...call),
    list: (...call) => bucket.list(...call),
    delete: (...call) => bucket.delete(...call),
    async create(...call) {
      const outcome = await bucket.create(...call);
      return lost++ === 0 ? "unknown" : outcome;
    },
  };
  expect(await claims(unsure).open({ slot: SLOT, knows: NOTHING }, OWN)).toMatchObject({ epoch: 1 });
  expect(lost).toBe(1);
});

test("what nobody wants to go back to is left out of a long record, which says so", async () => {
  const sources = Array.from({ length: 20 }, (_, i) => source(i + 1));
  await owned(21, { sources });
  await log(21);
  await checkpoint(11, 2);
  now += RETENTION + CLOCK_MARGIN_MS + 1;
  await checkpoint(15, 2);
  const knows = { run: runOf(21), epoch: 21 as Epoch, txid: 21 as Txid };
  await claims().open({ slot: SLOT, knows }, OWN);
  const { sources: kept, covered } = await record(22);
  expect(covered).toEqual({ epoch: 11, seq: 2 });
  expect(kept.map(({ epoch }) => epoch)).toEqual([12, 13, 14, 15, 16, 17, 18, 19, 20, 21]);
});

test("a record that is far too long leaves out all that is in a checkpoint", async () => {
  await owned(300, { sources: Array.from({ length: MAX_SLOT_SOURCES }, (_, i) => source(i + 1)) });
  await log(300);
  await checkpoint(250, 1);
  const knows = { run: runOf(300), epoch: 300 as Epoch, txid: 300 as Txid };
  await claims().open({ slot: SLOT, knows }, OWN);
  const { sources: kept, covered } = await record(301);
  expect(covered).toEqual({ epoch: 250, seq: 1 });
  expect(kept).toHaveLength(8);
});

test("a history that begins with a checkpoint which is gone is damaged, and not empty", async () => {
  await owned(2, { covered: { epoch: 1 as Epoch, seq: 2 as Seq } });
  await log(2);
  const opening = claims().open({ slot: SLOT, knows: NOTHING }, OWN);
  await expect(opening).rejects.toMatchObject({
    code: "OBJECT_DAMAGED",
    message: expect.stringContaining("cell/0003/@checkpoint/"),
  });
  await checkpoint(1, 1);
  await expect(claims().open({ slot: SLOT, knows: NOTHING }, OWN)).rejects.toMatchObject({ code: "OBJECT_DAMAGED" });
  await checkpoint(1, 2);
  expect(await claims().open({ slot: SLOT, knows: NOTHING }, OWN)).toMatchObject({ epoch: 3, txid: 2 });
});
