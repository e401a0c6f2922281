// How long the log of a run waits before it asks the bucket again: not as long as what nobody waits for.

import { expect, test } from "vitest";
import { openMemoryBucket } from "../../src/bucket/memory.ts";
import { BUCKET_RETRY_MS, LOG_RETRY_MAX_MS } from "../../src/limits.ts";
import { LogHands } from "../../src/log/logHands.ts";
import type { RunId } from "../../src/types.ts";

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
