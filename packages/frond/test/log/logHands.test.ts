// How the log of a run asks the bucket: again sooner than what nobody waits for, and as long as a segment needs.

import { expect, test } from "vitest";
import type { Bucket } from "../../src/bucket/bucket.ts";
import { openMemoryBucket } from "../../src/bucket/memory.ts";
import { BUCKET_DEADLINE_MS, BUCKET_RETRY_MS, LOG_RETRY_MAX_MS, MAX_COMMIT_BYTES } from "../../src/limits.ts";
import { LogHands } from "../../src/log/logHands.ts";
import type { RunId, Seq } from "../../src/types.ts";

test("pauses of a run's log double, and stay short: until the log is in the bucket, the disk is all there is", async () => {
  const pauses: number[] = [];
  const hands = new LogHands({
    bucket: openMemoryBucket(),
    runId: "0".repeat(32) as RunId,
    sleep: async (ms) => void pauses.push(ms),
    signal: new AbortController().signal,
    failed: () => undefined,
  });
  for (let tries = 1; tries <= 20; tries++) await hands.pause(tries);
  expect(pauses[0]).toBeGreaterThanOrEqual(BUCKET_RETRY_MS / 2);
  expect(pauses[0]).toBeLessThanOrEqual(BUCKET_RETRY_MS);
  expect(pauses[3]).toBeGreaterThanOrEqual((BUCKET_RETRY_MS * 8) / 2);
  expect(Math.max(...pauses)).toBeLessThanOrEqual(LOG_RETRY_MAX_MS);
  expect(pauses.at(-1)).toBeGreaterThanOrEqual(LOG_RETRY_MAX_MS / 2);
});

test("a large segment gets through a slow line", async () => {
  const memory = openMemoryBucket();
  const bytesPerSecond = 512 * 1024;
  const bucket: Bucket = {
    url: memory.url,
    close: () => memory.close(),
    get: (...call) => memory.get(...call),
    put: (...call) => memory.put(...call),
    list: (...call) => memory.list(...call),
    delete: (...call) => memory.delete(...call),
    async create(key, bytes, call) {
      const takesMs = (1000 * bytes.length) / bytesPerSecond;
      return takesMs > (call?.deadlineMs ?? BUCKET_DEADLINE_MS) ? "unknown" : memory.create(key, bytes);
    },
  };
  const signal = new AbortController().signal;
  const runId = "0".repeat(32) as RunId;
  const hands = new LogHands({ bucket, runId, sleep: async () => {}, signal, failed: () => undefined });
  expect(await hands.create(1 as Seq, Buffer.alloc(MAX_COMMIT_BYTES))).toEqual({ saw: "created" });
});
