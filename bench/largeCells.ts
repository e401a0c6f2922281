// What a large cell costs in memory while its snapshot is written and while its file is made anew: both stream, so it must not
// depend on how large the cell is.
//
// Rule: the cell lies in a directory bucket before anything is measured, and the garbage of making it is collected. What counts is the
// highest memory of the process while the work is done, above what it had before.

import { mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fetchCell } from "../packages/frond/src/store/fetch.ts";
import { LargeCell, PAGE } from "../packages/frond/test/store/largeCell.ts";
import { readArguments } from "./inprocess.ts";
import { spread } from "./method.ts";
import type { Figure } from "./report.ts";

const MIB = 1024 * 1024;
const { directory, quick } = readArguments();
const MEGABYTES = quick ? 40 : 300;
const LOOK_MS = 10;

/** Memory at its highest while `work` runs, above what it was before, in MiB; and how long it took, in s. */
async function during(work: () => Promise<void>): Promise<{ memory: number; seconds: number }> {
  for (let i = 0; i < 3; i++) {
    globalThis.gc?.();
    await sleep(50);
  }
  const before = process.memoryUsage.rss();
  let highest = before;
  const look = setInterval(() => (highest = Math.max(highest, process.memoryUsage.rss())), LOOK_MS);
  const began = performance.now();
  try {
    await work();
  } finally {
    clearInterval(look);
  }
  highest = Math.max(highest, process.memoryUsage.rss());
  return { memory: (highest - before) / MIB, seconds: (performance.now() - began) / 1000 };
}

const folder = mkdtempSync(join(directory, "frond-bench-large-"));
try {
  const cell = await LargeCell.open(folder, (MEGABYTES * MIB) / PAGE, (bucket) => bucket);
  const snapshot = await during(() => cell.write({ snapshot: true }));
  await cell.change(1_000);
  const delta = await during(() => cell.write({ snapshot: false }));
  const found = await cell.indexed();
  const { address, pageSize, pageCount } = found.entry;
  const fetched = await during(async () => {
    const places = await cell.indexes.placesOf(found);
    await fetchCell(cell.bucket, { address, pageSize, pageCount, places }, join(folder, "made", "cell.db"));
  });
  const one = (title: string, unit: string, value: number): Figure => ({
    title,
    unit,
    runs: 1,
    value: spread([value]),
  });
  const figures: Figure[] = [
    one(`memory that the snapshot of a cell of ${MEGABYTES} MB takes at most`, "MiB", snapshot.memory),
    one("the time of it, from a directory bucket into it", "s", snapshot.seconds),
    one("memory that the checkpoint takes at most that holds what has changed of it since", "MiB", delta.memory),
    one("memory that making its file anew takes at most", "MiB", fetched.memory),
    one("the time of it", "s", fetched.seconds),
  ];
  console.log(JSON.stringify(figures));
} finally {
  rmSync(folder, { recursive: true, force: true });
}
