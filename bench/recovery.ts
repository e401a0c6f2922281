// How long a node takes to answer: on an empty directory, after kill -9 with 100 MB of log behind it, after a clean stop, and
// with a bucket outside of its directory, also when the directory is gone.
//
// Rule: the answer counts that needs what was written: a cell is asked for its number of rows, and all must be right. Without
// --bucket there is one, too: a folder inside of the directory.

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
const stopped: number[] = [];
const named: number[] = [];
const gone: number[] = [];

/** Throws unless all that was acknowledged is there. */
async function check(port: number, when: string): Promise<void> {
  const reader = new Client(port, 1);
  const counts = await reader.each([...Array(CELLS).keys()], (i) => reader.count("GET", `/heavy/${i}`));
  reader.close();
  const sum = counts.reduce((a, b) => a + b, 0);
  if (sum !== WRITES) throw new Error(`${WRITES} writes were acknowledged, ${sum} are there after ${when}`);
}

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
    await check(second.port, "the kill");
    await second.kill("SIGTERM");
    const third = await startNode(join(data, "data"), "/heavy/0");
    stopped.push(third.startMs);
    await check(third.port, "a clean stop");
    await third.kill("SIGTERM");
    const more = [`--bucket=dir:${join(data, "bucket")}`];
    const fourth = await startNode(join(data, "other"), "/heavy/0", { more });
    named.push(fourth.startMs);
    const writer = new Client(fourth.port, 8);
    await writer.each([...Array(WRITES).keys()], (i) => writer.count("POST", `/heavy/${i % CELLS}`));
    writer.close();
    await fourth.kill("SIGTERM");
    rmSync(join(data, "other"), { recursive: true });
    const fifth = await startNode(join(data, "other"), "/heavy/0", { more });
    gone.push(fifth.startMs);
    await check(fifth.port, "the loss of the directory");
    await fifth.kill("SIGTERM");
  } finally {
    rmSync(data, { recursive: true, force: true });
  }
}

const mb = Math.round((WRITES * 64 * 1024) / 1e6);
const figures: Figure[] = [
  { title: "process start to first answer, empty directory", unit: "ms", value: spread(empty), runs: RUNS },
  { title: `the same after kill -9 with ${mb} MB of log`, unit: "ms", value: spread(full), runs: RUNS },
  { title: "the same after a clean stop", unit: "ms", value: spread(stopped), runs: RUNS },
  { title: "the same, empty directory and a folder elsewhere as bucket", unit: "ms", value: spread(named), runs: RUNS },
  {
    title: `the same with ${mb} MB in that bucket, and the directory gone`,
    unit: "ms",
    value: spread(gone),
    runs: RUNS,
  },
];
console.log(JSON.stringify(figures));
