// The benches of the bucket, as far as they judge: round trips in a row, threads of a process, what a report says. It never asserts
// how fast anything was; that the parts run is seen with `npm run bench:bucket -- PART --quick`.

import { expect, test } from "vitest";
import { partReport } from "./bucketPart.ts";
import { between, threadTimes } from "./threads.ts";
import { inARow, waitedFor, type Watched } from "./watchingProxy.ts";

function watched(path: string, began: number, ended: number, status = 200): Watched {
  return { method: "GET", path, began, ended, status };
}

test("requests count as one after the other when none began before the one before it had ended", () => {
  const beside = [watched("a", 0, 10), watched("b", 1, 9), watched("c", 2, 12)];
  expect(inARow([])).toBe(0);
  expect(inARow(beside)).toBe(1);
  expect(inARow([...beside, watched("d", 12, 20), watched("e", 13, 21), watched("f", 20, 30)])).toBe(3);
});

test("what the lease asks for is nobody's wait", () => {
  const [cell, lease, look] = [
    watched("/b/cell/1", 5, 6),
    watched("/b/node/1", 5, 6),
    watched("/b/log/1/9", 5, 6, 404),
  ];
  expect(waitedFor([cell, lease, look, watched("/b/cell/0", 1, 2)], 5)).toEqual([cell]);
});

test("the time of the own main thread is found, and none of a bucket thread", () => {
  const before = threadTimes(process.pid);
  const end = performance.now() + 200;
  while (performance.now() < end);
  const { main, bucket } = between(before, threadTimes(process.pid));
  expect(main).toBeGreaterThan(0);
  expect(bucket).toBe(0);
});

test("a report tells what was missed", () => {
  const conditions = {
    date: "2026-01-01 00:00 UTC",
    commit: "abc",
    processor: "one",
    cores: 2,
    memoryGiB: 4,
    kernel: "6",
    fileSystem: "ext4",
    syncMs: 0.1,
    loadBefore: 0,
    versions: { node: "24" },
  };
  const lines = [
    { what: "first", measured: "1 ms", goal: "under 2 ms", met: true },
    { what: "second", measured: "3 ms", goal: "under 2 ms", met: false },
    { what: "third", measured: "4 ms" },
  ];
  const text = partReport("bucket-test", conditions, { how: "By hand.", lines, raw: {} });
  expect(text).toMatch(/\| first +\| 1 ms +\| under 2 ms \| met +\|/);
  expect(text).toMatch(/\| second \| 3 ms +\| under 2 ms \| \*\*missed\*\* \|/);
  expect(text).toMatch(/\| third +\| 4 ms +\| +\| +\|/);
});
