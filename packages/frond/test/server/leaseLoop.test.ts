// The lease of a run, kept in a bucket: what becomes of a start that was held up.

import { expect, test } from "vitest";
import { openMemoryBucket } from "../../src/bucket/memory.ts";
import { leaseKey, logKey } from "../../src/bucket/objectKeys.ts";
import { encodeSeal } from "../../src/codec/objectWriter.ts";
import { LogHands } from "../../src/log/logHands.ts";
import { monotonicMs } from "../../src/server/monotonic.ts";
import { LeaseLoop } from "../../src/server/runs/leaseLoop.ts";
import type { Lsn, RunId, Seq } from "../../src/types.ts";
import { codeOf } from "../cell/nodes.ts";

const RUN = "1".repeat(32) as RunId;

test("a start that was held up until somebody had ended its log says so, and does not wait for ever", async () => {
  const bucket = openMemoryBucket();
  const { signal } = new AbortController();
  const intent = Buffer.alloc(16, 7);
  const seal = encodeSeal({ intent, runId: RUN, number: 1, toLsn: 0 as Lsn, createdMs: 1 });
  await bucket.create(logKey(RUN, 1 as Seq), seal);
  const told: string[] = [];
  const lease = new LeaseLoop({
    bucket,
    hands: new LogHands({ bucket, runId: RUN, sleep: async () => {}, signal, failed: () => {} }),
    runId: RUN,
    ttlMs: 300,
    maxSyncMs: 0,
    nextSeq: () => 1 as Seq,
    mainSeen: monotonicMs,
    publish: () => {},
    lapsed: (why) => told.push(why),
    failed: () => {},
    signal,
  });
  expect(await codeOf(lease.start())).toBe("BUCKET_IN_USE");
  expect(told).toEqual(["sealed"]);
  expect(lease.believed).toBe(false);
  // Nor is it taken for a second node.
  expect(await bucket.get(leaseKey(RUN))).toBeUndefined();
});
