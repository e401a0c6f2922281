// What a cell that holds the event loop for 10 ms costs those beside it: the latency of other cells' reads, with one such
// call at a time and without.
//
// Rule: cells share one thread, so this is the honest price of a slow verb: whoever comes while it runs waits for it.

import { mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { Client } from "./client.ts";
import { readArguments } from "./inprocess.ts";
import { spread } from "./method.ts";
import { startNode } from "./nodeProcess.ts";
import type { Figure } from "./report.ts";

const { directory, quick } = readArguments();
const RUNS = quick ? 1 : 5;
const READS = quick ? 200 : 3000;
/** Pause between two slow calls, in ms: the slow cell has the thread for a sixth of the time. */
const PAUSE_MS = 50;

async function latencies(port: number): Promise<number[]> {
  const client = new Client(port, 8);
  const times = await client.each([...Array(READS).keys()], async (i) => {
    const began = performance.now();
    await client.count("GET", `/counter/fast-${i % 100}`);
    return performance.now() - began;
  });
  client.close();
  return times.sort((a, b) => a - b);
}

const data = mkdtempSync(join(directory, "frond-bench-neighbours-"));
const node = await startNode(join(data, "data"), "/counter/x");
const quiet = { p50: [] as number[], p99: [] as number[] };
const beside = { p50: [] as number[], p99: [] as number[] };
try {
  const note = (times: readonly number[], into: typeof quiet): void => {
    into.p50.push(times[Math.floor(times.length * 0.5)] as number);
    into.p99.push(times[Math.floor(times.length * 0.99)] as number);
  };
  await latencies(node.port);
  for (let run = 0; run < RUNS; run++) {
    note(await latencies(node.port), quiet);
    const slow = new Client(node.port, 1);
    const loop = { going: true };
    const slowly = (async () => {
      while (loop.going) {
        await slow.send("GET", "/slow/one");
        await sleep(PAUSE_MS);
      }
    })();
    note(await latencies(node.port), beside);
    loop.going = false;
    await slowly;
    slow.close();
  }
} finally {
  await node.kill("SIGTERM");
  rmSync(data, { recursive: true, force: true });
}

const figure = (title: string, values: readonly number[]): Figure => ({
  title,
  unit: "ms",
  value: spread(values),
  runs: RUNS,
});
console.log(
  JSON.stringify([
    figure("reads beside no slow cell, p50", quiet.p50),
    figure("reads beside no slow cell, p99", quiet.p99),
    figure("reads beside a cell that takes 10 ms, p50", beside.p50),
    figure("reads beside a cell that takes 10 ms, p99", beside.p99),
  ]),
);
