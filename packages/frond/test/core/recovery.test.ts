// The decisions of a start: which files are believed, and what becomes of the end of the log.

import { describe, expect, test } from "vitest";
import { doubtfulThrough, isMissing, planTail, type RunEnd, type TailFile } from "../../src/core/recovery.ts";
import type { RunNumber } from "../../src/types.ts";

function ended(run: number, boot: string, how: RunEnd["ended"], synced = false): RunEnd {
  return { run: run as RunNumber, boot, ended: how, synced };
}

describe("files of cells are believed", () => {
  test("on the same boot, however the run ended", () => {
    expect(doubtfulThrough([ended(1, "a", "clean"), ended(2, "a", "unclean"), ended(3, "a", null)], "a")).toBe(0);
  });

  test("on another boot only if a clean stop had brought them to the disk", () => {
    expect(doubtfulThrough([ended(1, "a", "clean", true)], "b")).toBe(0);
    expect(doubtfulThrough([ended(1, "a", "clean", false)], "b")).toBe(1);
    expect(doubtfulThrough([ended(1, "a", "unclean", true)], "b")).toBe(1);
    expect(doubtfulThrough([ended(1, "a", null)], "b")).toBe(1);
  });

  test("not where the boot is unknown, which is never the same as another", () => {
    expect(doubtfulThrough([ended(1, "", "unclean")], "")).toBe(1);
    expect(doubtfulThrough([ended(1, "", "clean", true)], "")).toBe(0);
  });

  test("up to the last doubtful run, sound ones before it included", () => {
    const runs = [ended(1, "b", "clean", true), ended(2, "a", "unclean"), ended(3, "b", "unclean")];
    expect(doubtfulThrough(runs, "b")).toBe(2);
  });
});

const UNCLEAN = { clean: false, missing: false };

function file(size: number, validBytes: number, over: Partial<TailFile> = {}): TailFile {
  return { size, validBytes, damage: undefined, durable: 0, ...over };
}

describe("the end of the log", () => {
  test("untouched space is trimmed, a file without a record goes, a full one stays", () => {
    const plan = planTail([file(100, 100), file(100, 60), file(100, 0)], UNCLEAN);
    expect(plan.steps).toEqual([{ do: "keep" }, { do: "trim", bytes: 60 }, { do: "trim", bytes: 0 }]);
    expect(plan).toMatchObject({ damaged: -1, acknowledgedLost: false });
  });

  test("it ends at the first damage, sound files behind it included", () => {
    const plan = planTail(
      [file(100, 100), file(100, 40, { damage: { lsn: 140 }, durable: 140 }), file(100, 90)],
      UNCLEAN,
    );
    expect(plan.steps).toEqual([{ do: "keep" }, { do: "cut", bytes: 40 }, { do: "cut", bytes: 0 }]);
    expect(plan).toMatchObject({ damaged: 1, acknowledgedLost: false });
  });

  test("acknowledged commits are lost if a witness, a clean stop or the catalog says so", () => {
    const torn = file(100, 40, { damage: { lsn: 140 } });
    expect(planTail([torn, file(100, 90, { durable: 141 })], UNCLEAN).acknowledgedLost).toBe(true);
    expect(planTail([torn], { clean: true, missing: false }).acknowledgedLost).toBe(true);
    expect(planTail([torn], { clean: false, missing: true }).acknowledgedLost).toBe(true);
    expect(planTail([torn], UNCLEAN).acknowledgedLost).toBe(false);
    expect(planTail([file(100, 60)], { clean: true, missing: false }).acknowledgedLost).toBe(false);
  });
});

test("a known record is missing behind the end, behind damage, and in a file that is gone", () => {
  const files = [
    { file: 4, validBytes: 100, damaged: false },
    { file: 5, validBytes: 80, damaged: true },
    { file: 6, validBytes: 100, damaged: false },
  ];
  expect(isMissing(4, 99, files)).toBe(false);
  expect(isMissing(4, 100, files)).toBe(true);
  expect(isMissing(5, 60, files)).toBe(false);
  expect(isMissing(5, 80, files)).toBe(true);
  expect(isMissing(6, 10, files)).toBe(true);
  expect(isMissing(7, 10, files.slice(0, 1))).toBe(true);
});
