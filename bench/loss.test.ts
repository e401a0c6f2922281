// The loss bench, tiny: one real kill, and the tables and the picture of kills that were made up. It asserts that losses are
// counted and judged, never how old one was.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { type Killed, killOnce } from "./lossKill.ts";
import { lossPicture } from "./lossPicture.ts";
import { broken, groupsOf, lossReport, type LossResults } from "./lossReport.ts";

const killed = (level: Killed["level"], gone: Killed["gone"], agesMs: readonly number[]): Killed => ({
  level,
  gone,
  told: 1_000,
  agesMs,
  backMs: 700,
});

function results(kills: readonly Killed[]): LossResults {
  const conditions = {
    date: "2026-01-01 00:00 UTC",
    commit: "abc <1>",
    processor: "one",
    cores: 2,
    memoryGiB: 4,
    kernel: "6",
    fileSystem: "ext4",
    syncMs: 0.1,
    loadBefore: 0,
    versions: { node: "24" },
  };
  const cost = { level: "disk", rate: 12_345, p50: 2, p99: 20, requests: 3, bytesUp: 2e6, dollarsADay: 1.1 } as const;
  return { name: "loss-test", conditions, kills, costs: [cost] };
}

test("a node that is killed under load loses nothing at disk", { timeout: 60_000 }, async () => {
  const directory = mkdtempSync(join(tmpdir(), "frond-bench-loss-test-"));
  try {
    const { told, agesMs } = await killOnce(directory, "disk", "process");
    expect(told).toBeGreaterThan(100);
    expect(agesMs).toEqual([]);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
});

test("each level is judged by its own promise", () => {
  const allowed = [killed("memory", "process", [1]), killed("memory", "disk", [2]), killed("disk", "disk", [3])];
  expect(broken({ kills: [...allowed, killed("bucket", "disk", []), killed("disk", "process", [])] })).toEqual([]);
  expect(broken({ kills: [killed("disk", "process", [1]), killed("bucket", "disk", [1, 2])] })).toEqual([
    "`disk` lost 1 writes by kill -9",
    "`bucket` lost 2 writes by kill -9, and the disk is gone",
  ]);
});

test("kills of one kind are taken together, their losses in order of age", () => {
  const [group, ...others] = groupsOf({ kills: [killed("disk", "disk", [30, 10]), killed("disk", "disk", [200])] });
  expect(others).toEqual([]);
  expect(group).toMatchObject({ kills: 2, told: 2_000, agesMs: [10, 30, 200], backMs: 700 });
});

test("the report tells counts, ages and costs, and what was not kept", () => {
  const text = lossReport(results([killed("disk", "disk", [30, 10, 200]), killed("bucket", "process", [7])]));
  expect(text).toMatch(/`disk` +\| kill -9, and the disk is gone +\| 1 +\| 1000 +\| 3 +\| 30 ms +\| 200 ms +\| 0\.7 s/);
  expect(text).toMatch(/`disk` +\| 12\.3 k +\| 2\.00 +\| 20\.0 +\| 3\.00 +\| 2\.00 MB +\| \$1\.10/);
  expect(text).toContain("**`bucket` lost 1 writes by kill -9.**");
});

test("the picture has a dot for each lost write, thinned out where there are too many, and the oldest always", () => {
  const few = lossPicture(results([killed("disk", "disk", [30, 10, 200])]));
  expect(few.match(/<circle/g)).toHaveLength(3);
  expect(few).toContain("commit abc &lt;1>");
  expect(few).toContain("prefers-color-scheme: dark");
  const many = lossPicture(results([killed("memory", "disk", [...Array(10_000).keys()])]));
  const dots = many.match(/<circle/g)?.length ?? 0;
  expect(dots).toBeGreaterThan(500);
  expect(dots).toBeLessThan(700);
  expect(many.match(/cx="(\d+\.?\d*)"/)?.[1]).toBe(String(Number((290 + (9_999 / 10_000) * 530).toFixed(1))));
});
