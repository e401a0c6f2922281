// What the maintenance of a large cell costs those beside it: the latency of other cells' reads and durable writes while a cell of
// 100 MB is migrated and vacuumed, and without.
//
// Rule: the node has one core, as a node of a fleet has, and the process that works on the cell has the same: what is measured is
// what the others lose to it, not what a second core hides. The clients have another.

import { mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import { Client } from "./client.ts";
import { readArguments } from "./inprocess.ts";
import { spread } from "./method.ts";
import { type NodeProcess, startNode } from "./nodeProcess.ts";
import type { Figure } from "./report.ts";

const { directory, quick } = readArguments();
/** Of some 4 MB each. */
const PARTS = quick ? 6 : 25;
const MEGABYTES = PARTS * 4;
const QUIET_REQUESTS = quick ? 500 : 6_000;
const CONNECTIONS = 8;

const figures: Figure[] = [];
const data = join(mkdtempSync(join(directory, "frond-bench-work-")), "data");

async function start(migrations: number): Promise<NodeProcess> {
  process.env["BENCH_MIGRATIONS"] = String(migrations);
  return startNode(data, "/counter/x", { app: "largeWorkApp.ts" });
}

/** Every fourth a durable write, on a hundred cells. */
async function request(client: Client, i: number, into: Record<"reads" | "writes", number[]>): Promise<void> {
  const began = performance.now();
  const writes = i % 4 === 0;
  await client.count(writes ? "POST" : "GET", `/counter/c${i % 100}${writes ? "/incr" : ""}`);
  into[writes ? "writes" : "reads"].push(performance.now() - began);
}

/** Requests of other cells until `until` is over; the latencies. */
async function beside(port: number, what: string, until?: Promise<unknown>): Promise<void> {
  const client = new Client(port, CONNECTIONS);
  const times = { reads: [] as number[], writes: [] as number[] };
  const began = performance.now();
  const state = { over: false };
  void until?.finally(() => (state.over = true));
  let next = 0;
  const worker = async (): Promise<void> => {
    while (until === undefined ? next < QUIET_REQUESTS : !state.over) await request(client, next++, times);
  };
  await Promise.all(Array.from({ length: CONNECTIONS }, worker));
  client.close();
  await until;
  if (until !== undefined) note(`${what}: the time of it`, "s", (performance.now() - began) / 1000);
  for (const [kind, list] of Object.entries(times)) {
    list.sort((a, b) => a - b);
    const at = (share: number): number => list[Math.min(list.length - 1, Math.floor(list.length * share))] ?? NaN;
    note(`${what}: ${kind} of other cells, p50`, "ms", at(0.5));
    note(`${what}: ${kind} of other cells, p99`, "ms", at(0.99));
    note(`${what}: ${kind} of other cells, the longest`, "ms", at(1));
  }
}

/** All counters are open, their slots taken, the code compiled. */
async function warmUp(port: number): Promise<void> {
  const before = figures.length;
  await beside(port, "warming up");
  figures.length = before;
}

function note(title: string, unit: string, value: number): void {
  figures.push({ title, unit, value: spread([value]), runs: 1 });
}

/** Answers when the large cell has: whatever is done to it before. */
async function ask(port: number, verb = ""): Promise<void> {
  const client = new Client(port, 1);
  await client.count(verb === "" ? "GET" : "POST", `/archive/a${verb}`);
  client.close();
}

try {
  let node = await start(1);
  for (let i = 0; i < PARTS; i++) await ask(node.port, "/fill");
  await warmUp(node.port);
  await beside(node.port, "nothing beside");
  for (const [migrations, what] of [
    [2, `an index over ${MEGABYTES} MB beside`],
    [3, `every row of ${MEGABYTES} MB changed beside`],
  ] as const) {
    await node.kill("SIGTERM");
    node = await start(migrations);
    await warmUp(node.port);
    await beside(node.port, what, ask(node.port));
  }
  await ask(node.port, "/drop");
  await ask(node.port, "/shrink");
  await new Promise((resolve) => setTimeout(resolve, 100));
  await beside(node.port, `a vacuum of ${MEGABYTES} MB beside`, ask(node.port));
  await node.kill("SIGTERM");
  console.log(JSON.stringify(figures));
} finally {
  rmSync(join(data, ".."), { recursive: true, force: true });
}
