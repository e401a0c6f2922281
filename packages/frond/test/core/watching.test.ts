// When a run is dead: never one that renews in time, whatever the reads of its watcher do, and surely one that does not.

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type LeaseSeen, Watching } from "../../src/core/watching.ts";
import { WATCH_MARGIN } from "../../src/limits.ts";

const TTL = 6_000;
const DEAD_MS = TTL * (1 + WATCH_MARGIN);

/** Reads every second from `from` until `to`, each of 10 ms; when the run was found dead, or undefined. */
function watch(watching: Watching, from: number, to: number, seen: LeaseSeen): number | undefined {
  for (let now = from; now < to; now += 1_000) if (watching.read(now, now + 10, seen)) return now;
  return undefined;
}

describe("a run is dead", () => {
  test.for([
    ["does not change", { mark: "a" }],
    ["is absent", "absent"],
  ] as [string, LeaseSeen][])("when its record %s for a TTL and the margin, and not before", ([, seen]) => {
    const found = watch(new Watching(TTL), 0, 60_000, seen);
    expect(found).toBeGreaterThanOrEqual(DEAD_MS);
    expect(found).toBeLessThan(DEAD_MS + 2_000);
  });

  test("not while it changes, and a change begins the time anew", () => {
    const watching = new Watching(TTL);
    for (let n = 0; n < 50; n++) expect(watching.read(n * 1_000, n * 1_000 + 10, { mark: String(n >> 1) })).toBe(false);
    expect(watch(watching, 50_000, 56_000, { mark: "x" })).toBeUndefined();
    expect(watch(watching, 56_000, 57_500, "absent")).toBeUndefined();
    expect(watch(watching, 58_000, 64_000, { mark: "x" })).toBeUndefined();
  });

  test("not by time in which the watcher could not read", () => {
    const watching = new Watching(TTL);
    watch(watching, 0, 4_000, { mark: "a" });
    expect(watch(watching, 4_000, 60_000, "failed")).toBeUndefined();
    // What had been counted stays, for the record is the same; the gap adds nothing.
    expect(watch(watching, 60_000, 63_000, { mark: "a" })).toBeUndefined();
    expect(watch(watching, 63_000, 70_000, { mark: "a" })).toBeDefined();
  });

  test("by the time between the answer to the first read and the sending of the last, slow as they may be", () => {
    const watching = new Watching(TTL);
    const found = [0, 1_900, 3_800, 5_700, 7_600, 9_500].map((at) => watching.read(at, at + 1_900, { mark: "a" }));
    expect(found).toEqual([false, false, false, false, false, true]);
  });

  test("not by reads that took long, nor by time in which none was made", () => {
    const slow = new Watching(TTL);
    for (let n = 0; n < 20; n++) expect(slow.read(n * 3_000, n * 3_000 + TTL / 3 + 1, { mark: "a" })).toBe(false);
    const rare = new Watching(TTL);
    for (let n = 0; n < 20; n++) expect(rare.read(n * 3_000, n * 3_000 + 10, { mark: "a" })).toBe(false);
  });
});

test("never of a run that renews in time, however the reads go", () => {
  const reads = fc.array(
    fc.record({
      gap: fc.integer({ min: 0, max: 8_000 }),
      took: fc.integer({ min: 0, max: 4_000 }),
      failed: fc.boolean(),
      // Where in the read the record was looked at.
      share: fc.double({ min: 0, max: 1, noNaN: true }),
    }),
    { maxLength: 60 },
  );
  fc.assert(
    fc.property(reads, fc.integer({ min: 500, max: DEAD_MS - 1 }), (list, everyMs) => {
      const watching = new Watching(TTL);
      let now = 0;
      for (const { gap, took, failed, share } of list) {
        now += gap;
        const mark = String(Math.floor((now + took * share) / everyMs));
        expect(watching.read(now, now + took, failed ? "failed" : { mark })).toBe(false);
        now += took;
      }
    }),
    { numRuns: 1_000 },
  );
});
