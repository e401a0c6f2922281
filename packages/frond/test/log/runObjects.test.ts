// The end of a run's log in the bucket: found in a few listings, wherever it is.

import { expect, test } from "vitest";
import { openMemoryBucket } from "../../src/bucket/memory.ts";
import type { Bucket } from "../../src/bucket/bucket.ts";
import { baseKey, logKey } from "../../src/bucket/objectKeys.ts";
import { firstMissing } from "../../src/core/runLog.ts";
import { endOfRunLog, listRunLog } from "../../src/log/runObjects.ts";
import type { RunId, Seq } from "../../src/types.ts";

const RUN = "a".repeat(32) as RunId;

/** A log of numbers `from` to `to`, with these bases; and how many listings were asked for. */
async function logOf(
  from: number,
  to: number,
  bases: readonly number[],
): Promise<{ bucket: Bucket; lists: () => number }> {
  const bucket = openMemoryBucket();
  for (let seq = from; seq <= to; seq++) await bucket.create(logKey(RUN, seq as Seq), Buffer.of(1));
  for (const base of bases) await bucket.create(baseKey(RUN, base as Seq), Buffer.of(1));
  // What stands beside it is not its own.
  await bucket.create(logKey("b".repeat(32) as RunId, 1 as Seq), Buffer.of(1));
  let lists = 0;
  const list = bucket.list.bind(bucket);
  bucket.list = (...call) => {
    lists += 1;
    return list(...call);
  };
  return { bucket, lists: () => lists };
}

test.each([
  [1, 0, []],
  [1, 1, []],
  [1, 999, []],
  [1, 1_000, []],
  [1, 1_001, []],
  [1, 2_000, []],
  [1, 12_345, []],
  [5_001, 6_000, [5_001]],
  [5_001, 19_000, [4_000, 5_001]],
  // What is left of an earlier clean-up, which ended in the middle.
  [900, 1_950, [1_900, 1_950]],
  [1, 0, [77]],
])("the end of a log from %i to %i with the bases %j", async (from, to, bases) => {
  const { bucket } = await logOf(from, to, bases);
  const whole = await listRunLog(bucket, RUN);
  const end = await endOfRunLog(bucket, RUN);
  expect(end.seqs.at(-1)).toBe(whole.seqs.at(-1));
  expect(firstMissing({ base: end.base, numbers: end.seqs })).toBe(
    firstMissing({ base: whole.base, numbers: whole.seqs }),
  );
  if (to < 1_000) expect(end).toEqual(whole);
});

test("a log of a day is no hundred listings, and a short one is one", async () => {
  const long = await logOf(1, 86_400, []);
  expect((await endOfRunLog(long.bucket, RUN)).seqs.at(-1)).toBe(86_400);
  expect(long.lists()).toBeLessThanOrEqual(15);
  const short = await logOf(1, 999, []);
  await endOfRunLog(short.bucket, RUN);
  expect(short.lists()).toBe(1);
});
