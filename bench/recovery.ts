// How long a node takes to answer again after kill -9, with 100 MB of log behind it, beside a start on an empty directory.
//
// Rule: the answer counts that needs what was written: the cell is asked for its number of rows, and it must be right.

import { mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import { Client } from "./client.ts";
import { readArguments } from "./inprocess.ts";
import { spread } from "./method.ts";
import { startNode } from "./nodeProcess.ts";
import type { Figure } from "./report.ts";

const { directory, quick } = readArguments();
const RUNS = quick ? 1 : 5;
/** Writes of 64 KiB each. Count. */
const WRITES = quick ? 40 : 1600;
const CELLS = 16;

const empty: number[] = [];
const full: number[] = [];
for (let run = 0; run < RUNS; run++) {
  const data = mkdtempSync(join(directory, "frond-bench-recovery-"));
  try {
    const first = await startNode(join(data, "data"), "/heavy/0");
    empty.push(first.startMs);
    const client = new Client(first.port, 8);
    await client.each([...Array(WRITES).keys()], (i) => client.count("POST", `/heavy/${i % CELLS}`));
    client.close();
    await first.kill("SIGKILL");
    const second = await startNode(join(data, "data"), "/heavy/0");
    full.push(second.startMs);
    const reader = new Client(second.port, 1);
    const counts = await reader.each([...Array(CELLS).keys()], (i) => reader.count("GET", `/heavy/${i}`));
    reader.close();
    await second.kill("SIGKILL");
    const sum = counts.reduce((a, b) => a + b, 0);
    if (sum !== WRITES) throw new Error(`${WRITES} writes were acknowledged, ${sum} are there after the kill`);
  } finally {
    rmSync(data, { recursive: true, force: true });
  }
}

const mb = Math.round((WRITES * 64 * 1024) / 1e6);
const figures: Figure[] = [
  { title: "process start to first answer, empty directory", unit: "ms", value: spread(empty), runs: RUNS },
  { title: `the same after kill -9 with ${mb} MB of log`, unit: "ms", value: spread(full), runs: RUNS },
];
console.log(JSON.stringify(figures));
