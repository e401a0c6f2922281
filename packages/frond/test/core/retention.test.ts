// What may leave the bucket: at each limit, and just before it.

import { describe, expect, test } from "vitest";
import { highestBase, isSpent, oldCheckpoints, oldRecords, oldSnapshots, slotBase } from "../../src/core/retention.ts";
import { SLOT_RECORD_KEEP_MS, SNAPSHOT_KEEP_MS } from "../../src/limits.ts";
import type { Epoch, Seq, Slot } from "../../src/types.ts";

const NOW = 1e12;
const MOMENT = { now: NOW, retentionMs: 1_000 };
const at = (epoch: number, seq: number, modifiedMs: number) => ({
  key: `${epoch}-${seq}`,
  epoch: epoch as Epoch,
  seq: seq as Seq,
  modifiedMs,
});
const aged = (key: string, modifiedMs: number) => ({ key, modifiedMs });

test("the base of a slot is the newest checkpoint that is older than the retention; those before it go", () => {
  const all = [at(1, 5, NOW - 3_000), at(1, 9, NOW - 1_000), at(2, 1, NOW - 999)];
  const base = slotBase(all, MOMENT);
  expect(base).toBe(all[1]);
  expect(oldCheckpoints(all, base)).toEqual([all[0]]);
  expect(slotBase(all.slice(2), MOMENT)).toBeUndefined();
  expect(oldCheckpoints(all.slice(2), undefined)).toEqual([]);
});

describe("a part of a log is spent", () => {
  const [one, two] = [1 as Slot, 2 as Slot];
  const bases = new Map([
    [one, { epoch: 3 as Epoch, seq: 10 as Seq }],
    [two, { epoch: 7 as Epoch, seq: 4 as Seq }],
  ]);
  const spent = (to: number, epochs: readonly (readonly [Slot, number])[], lastMs = NOW - 1_000): boolean =>
    isSpent({ to: to as Seq, epochs: new Map(epochs as readonly (readonly [Slot, Epoch])[]), lastMs }, bases, MOMENT);

  test("when the bases of all its slots cover it", () => {
    expect(spent(10, [[one, 3]])).toBe(true);
    expect(spent(11, [[one, 3]])).toBe(false);
    expect(spent(99, [[one, 2]])).toBe(true);
    expect(spent(1, [[one, 4]])).toBe(false);
    expect(
      spent(10, [
        [one, 3],
        [two, 6],
      ]),
    ).toBe(true);
    expect(
      spent(10, [
        [one, 3],
        [two, 7],
      ]),
    ).toBe(false);
  });

  test("not when a slot has no base, nor when it is young", () => {
    expect(
      spent(10, [
        [one, 3],
        [3 as Slot, 1],
      ]),
    ).toBe(false);
    expect(spent(10, [[one, 3]], NOW - 999)).toBe(false);
  });
});

test("the last number that is there stays: the seal, or the end of what goes on", () => {
  const numbers = [3, 4, 5] as Seq[];
  expect(highestBase(5 as Seq, numbers)).toBe(5);
  expect(highestBase(6 as Seq, numbers)).toBe(5);
  expect(highestBase(4 as Seq, numbers)).toBe(4);
  expect(highestBase(4 as Seq, [])).toBe(1);
});

test("snapshots go that no checkpoint names, when the base is much younger", () => {
  const base = aged("base", NOW - 5_000);
  const old = base.modifiedMs - SNAPSHOT_KEEP_MS;
  const all = [aged("named", old - 9), aged("old", old), aged("young", old + 1)];
  expect(oldSnapshots(all, new Set(["named"]), base)).toEqual([all[1]]);
  expect(oldSnapshots(all, new Set(), undefined)).toEqual([]);
});

test("records of a slot go some time after they were replaced, and never the newest", () => {
  const replaced = NOW - SLOT_RECORD_KEEP_MS;
  const all = [aged("1", 0), aged("2", replaced), aged("3", replaced + 1), aged("4", replaced + 2)];
  expect(oldRecords(all, MOMENT)).toEqual([all[0]]);
  expect(oldRecords([aged("1", 0)], MOMENT)).toEqual([]);
});
