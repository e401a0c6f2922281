// What an upload does with a log that grew faster than a segment holds.

import { expect, onTestFinished, test } from "vitest";
import { openMemoryBucket } from "../../src/bucket/memory.ts";
import { FLUSH_MS } from "../../src/limits.ts";
import { LogHands } from "../../src/log/logHands.ts";
import { Upload } from "../../src/log/upload.ts";
import type { Lsn, RunNumber, Seq } from "../../src/types.ts";
import { START } from "../codec/objects.ts";
import { commit, openLog } from "./hands.ts";

const NOBODY_WAITS = 0 as Lsn;

test("what does not fit into a segment does not wait for another flush interval", async () => {
  const { log, folder } = openLog({ fileBytes: 1024 * 1024 });
  const bucket = openMemoryBucket();
  const { signal } = new AbortController();
  const { runId } = START;
  const hands = new LogHands({ bucket, runId, sleep: async () => {}, signal, failed: () => {} });
  const clock = { ms: 1_000 };
  const start = { seq: 1 as Seq, lsn: 0 as Lsn, ttlMs: 6_000, adopted: false };
  const now = (): number => clock.ms;
  const more = { believed: () => true, onConfirmed: () => {}, wallNow: now, now };
  const upload = new Upload({ hands, logFolder: folder, run: 1 as RunNumber, runId, start, ...more });
  onTestFinished(() => upload.close());
  commit(log, 1, 1);
  await log.flushed();
  expect(await upload.step(log.durable, NOBODY_WAITS)).toBe(FLUSH_MS);
  // Six megabytes come while nobody looks.
  for (let i = 2; i <= 13; i++) commit(log, i, 1_000);
  await log.flushed();
  clock.ms += FLUSH_MS;
  expect(await upload.step(log.durable, NOBODY_WAITS)).toBe(Infinity);
  expect(upload.uploaded).toBe(log.durable);
  expect(upload.segments).toBe(2);
  await log.close();
});
