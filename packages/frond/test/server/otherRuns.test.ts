// Which of several nodes goes on that have begun at the same time: each order in which they may see each other.

import { expect, test } from "vitest";
import { openMemoryBucket } from "../../src/bucket/memory.ts";
import type { Bucket } from "../../src/bucket/bucket.ts";
import { leaseKey, logKey } from "../../src/bucket/objectKeys.ts";
import { encodeDocument } from "../../src/codec/documents.ts";
import { encodeSeal } from "../../src/codec/objectWriter.ts";
import { FrondError } from "../../src/errors.ts";
import { LogHands } from "../../src/log/logHands.ts";
import { checkAlone, finishOthers, listLeases, type OtherRunsOptions } from "../../src/server/runs/otherRuns.ts";
import type { Lsn, RunId, Seq } from "../../src/types.ts";
import { codeOf } from "../cell/nodes.ts";

const [LOW, HIGH] = ["1".repeat(32), "2".repeat(32)] as [RunId, RunId];
const TTL = 300;

async function putLease(bucket: Bucket, run: RunId, counter: number, ttlMs = TTL): Promise<void> {
  const facts = { startedMs: 1, writtenMs: 1, host: "elsewhere", pid: 7, version: "1" };
  await bucket.put(leaseKey(run), encodeDocument({ run, counter, ttlMs, ...facts }));
}

function optionsOf(bucket: Bucket, own: RunId): OtherRunsOptions & { readonly told: string[] } {
  const { signal } = new AbortController();
  const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
  const handsOf = (runId: RunId): LogHands => new LogHands({ bucket, runId, sleep, signal, failed: () => {} });
  const told: string[] = [];
  return { bucket, own, ttlMs: TTL, signal, handsOf, warn: (_fields, message) => told.push(message), told };
}

test("who sees a lower run leaves at once", async () => {
  const bucket = openMemoryBucket();
  await putLease(bucket, LOW, 1);
  await putLease(bucket, HIGH, 1);
  const { told, ...options } = optionsOf(bucket, HIGH);
  expect(await codeOf(checkAlone(options, new Set()))).toBe("BUCKET_IN_USE");
  expect(told).toEqual([]);
});

test("who sees a higher run goes on when that one leaves", async () => {
  const bucket = openMemoryBucket();
  await putLease(bucket, HIGH, 1);
  const checked = checkAlone(optionsOf(bucket, LOW), new Set());
  setTimeout(() => void bucket.delete([leaseKey(HIGH)]), TTL / 3);
  await checked;
  // It had written nothing: there is no log to be ended.
  expect(await bucket.list(`log/${HIGH}/`)).toEqual([]);
});

test("who sees a higher run leaves when that one lives on", async () => {
  const bucket = openMemoryBucket();
  let counter = 1;
  await putLease(bucket, HIGH, counter);
  const renewing = setInterval(() => void putLease(bucket, HIGH, (counter += 1)), TTL / 6);
  expect(await codeOf(checkAlone(optionsOf(bucket, LOW), new Set()))).toBe("BUCKET_IN_USE");
  clearInterval(renewing);
});

test("a run counts as dead by the time that it states itself, also where its lease cannot be read at first", async () => {
  const memory = openMemoryBucket();
  let counter = 1;
  const renew = (): Promise<void> => putLease(memory, HIGH, counter++, 5 * TTL);
  await renew();
  const renewing = setInterval(() => void renew(), (5 * TTL) / 3);
  let gets = 0;
  const get: Bucket["get"] = async (...call) => {
    gets += 1;
    if (gets === 1) throw new FrondError("BUCKET_FAILED", "not now");
    return memory.get(...call);
  };
  const bucket = { ...methodsOf(memory), get };
  expect(await codeOf(finishOthers(optionsOf(bucket, LOW), [HIGH]))).toBe("BUCKET_IN_USE");
  clearInterval(renewing);
  expect(await memory.list(`log/${HIGH}/`)).toEqual([]);
});

test("a higher run that has died meanwhile is ended like any other", async () => {
  const bucket = openMemoryBucket();
  await putLease(bucket, HIGH, 1);
  await checkAlone(optionsOf(bucket, LOW), new Set());
  expect((await bucket.list(`log/${HIGH}/`)).map(({ key }) => key)).toEqual([logKey(HIGH, 1 as Seq)]);
  expect(await listLeases(bucket)).toEqual([]);
});

test("runs that are over are not looked at, whatever leases are left of them", async () => {
  const bucket = openMemoryBucket();
  await putLease(bucket, LOW, 1);
  await checkAlone(optionsOf(bucket, HIGH), new Set([LOW]));
});

test("a lease that is left of a run whose log is sealed is no sign of another node, and goes", async () => {
  for (const [own, other] of [
    [LOW, HIGH],
    [HIGH, LOW],
  ] as const) {
    const bucket = openMemoryBucket();
    await putLease(bucket, own, 1);
    await putLease(bucket, other, 1);
    await bucket.create(logKey(other, 1 as Seq), sealOf(other));
    const { told, ...options } = optionsOf(bucket, own);
    await checkAlone(options, new Set());
    expect(await listLeases(bucket)).toEqual([own]);
    expect(told).toEqual([]);
  }
});

test("all leases are found and those of sealed runs go, however many there are, with no wait and one listing for each run", async () => {
  const bucket = openMemoryBucket();
  const runs = Array.from({ length: 1_200 }, (_, i) => i.toString(16).padStart(32, "0") as RunId);
  for (const runId of runs) {
    await putLease(bucket, runId, 1);
    await bucket.create(logKey(runId, 1 as Seq), sealOf(runId));
  }
  expect(await listLeases(bucket)).toEqual(runs);
  let lists = 0;
  const list: Bucket["list"] = (...call) => {
    lists += 1;
    return bucket.list(...call);
  };
  const { told, ...options } = optionsOf({ ...methodsOf(bucket), list }, HIGH);
  await finishOthers(options, runs);
  expect(lists).toBe(runs.length);
  expect(await listLeases(bucket)).toEqual([]);
  expect(told).toEqual([]);
});

function sealOf(runId: RunId): Buffer {
  return encodeSeal({ runId, number: 1 as Seq, toLsn: 0 as Lsn, intent: Buffer.alloc(16), createdMs: 1 });
}

function methodsOf(bucket: Bucket): Bucket {
  return {
    url: bucket.url,
    create: (...call) => bucket.create(...call),
    get: (...call) => bucket.get(...call),
    put: (...call) => bucket.put(...call),
    list: (...call) => bucket.list(...call),
    delete: (...call) => bucket.delete(...call),
    close: () => bucket.close(),
  };
}
