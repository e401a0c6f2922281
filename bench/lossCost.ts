// What a level costs: increments over 1,000 cells by 64 connections, and what the bucket is asked for meanwhile.
//
// Rule: requests are those that the node counts itself, before and after; money is that at the list prices of S3. The bucket is
// a folder, so the time of an upload is that of a disk: an object store adds its own to each answer at `bucket`.

import { mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { connectControl } from "../packages/frond/src/server/operator/controlClient.ts";
import { CELLS, prime } from "./counters.ts";
import { drive } from "./driver.ts";
import { type Level, nodeOptions } from "./lossKill.ts";
import { startNode } from "./nodeProcess.ts";

/** What a level costs. Latencies in ms, the others each second. */
export interface Cost {
  readonly level: Level;
  readonly rate: number;
  readonly p50: number;
  readonly p99: number;
  /** Requests to the bucket and bytes into it. */
  readonly requests: number;
  readonly bytesUp: number;
  /** A day like this, at the list prices of S3. */
  readonly dollarsADay: number;
}

/** List prices of S3 Standard: dollars for 1,000 writes or listings, and for 1,000 reads. */
const WRITE_PRICE = 0.005;
const READ_PRICE = 0.0004;
const DAY_SECONDS = 86_400;

interface Spent {
  readonly at: number;
  readonly writes: number;
  readonly reads: number;
  readonly bytesUp: number;
}

/** Measures one level for whole seconds. */
export async function costOf(parent: string, level: Level, seconds: number): Promise<Cost> {
  const folder = mkdtempSync(join(parent, "frond-bench-cost-"));
  const data = join(folder, "data");
  const more = nodeOptions(level, join(folder, "bucket"));
  const node = await startNode(data, "/cells/first", { app: "lossApp.ts", more });
  try {
    await prime(node.port, { acknowledged: 0, sent: 0 }, CELLS);
    // The counts of a node may be a moment behind.
    await sleep(1_500);
    const before = await spent(data);
    const { rate, p50, p99 } = await drive(node.port, "writes100", seconds, 1);
    await sleep(1_500);
    const after = await spent(data);
    const passed = (after.at - before.at) / 1000;
    const [writes, reads] = [(after.writes - before.writes) / passed, (after.reads - before.reads) / passed];
    const dollars = (writes * WRITE_PRICE + reads * READ_PRICE) / 1000;
    const bytesUp = (after.bytesUp - before.bytesUp) / passed;
    return { level, rate, p50, p99, requests: writes + reads, bytesUp, dollarsADay: dollars * DAY_SECONDS };
  } finally {
    await node.kill("SIGTERM");
    rmSync(folder, { recursive: true, force: true });
  }
}

async function spent(data: string): Promise<Spent> {
  const control = await connectControl(data);
  const bucket = (await control?.status())?.bucket;
  await control?.close();
  if (bucket === undefined) throw new Error(`the node on ${data} does not tell what its bucket was asked for`);
  const { create, put, list, get } = bucket.requests;
  return { at: performance.now(), writes: create + put + list, reads: get, bytesUp: bucket.bytesUp };
}
