// A start on an empty disk with many cells in the bucket, and the first request to a cell that nobody has asked for since.
//
// Rule: the node begins with nothing but the bucket, a directory, and opens slots only as they are asked for: first cells in
// slots that nobody has opened, then cells in slots that are open. Every answer is compared with what was written.

import { mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import { Cell, frond, type Get } from "frond";
import { openNode } from "../packages/frond/src/server/openNode.ts";
import { Session } from "../packages/frond/src/server/session.ts";
import { readArguments } from "./inprocess.ts";
import { spread } from "./method.ts";
import type { Figure } from "./report.ts";

const { directory, quick } = readArguments();
const CELLS = quick ? 200 : 10_000;
const ASKED = quick ? 20 : 400;
const AT_ONCE = 50;
/** With its table a cell of 64 KiB. */
const BYTES = 60 * 1024;

class Page extends Cell {
  static override migrations = ["CREATE TABLE page (id INTEGER PRIMARY KEY, bytes BLOB NOT NULL) STRICT"];
  put(): void {
    this.sql`INSERT INTO page VALUES (1, ${new Uint8Array(BYTES).fill(7)})`;
  }
  size(): number {
    return this.sql.one<{ n: number }>`SELECT length(bytes) AS n FROM page`.n;
  }
}

interface Started {
  readonly get: Get;
  readonly startMs: number;
  readonly openAll: () => Promise<void>;
  readonly flushed: () => Promise<void>;
}

const parent = mkdtempSync(join(directory, "frond-bench-empty-"));
const bucket = { url: `dir:${join(parent, "bucket")}` };
const quiet = { info: () => undefined, warn: console.warn, error: console.error };

async function onEmptyDisk<T>(work: (started: Started) => Promise<T>): Promise<T> {
  const data = mkdtempSync(join(parent, "data-"));
  const app = frond({ cells: { page: Page } });
  const began = performance.now();
  const node = await openNode({ app, dataDirectory: data, durability: "disk", log: quiet, bucket });
  const startMs = performance.now() - began;
  try {
    const get = node.host.stubs.getFor(new Session());
    const [openAll, flushed] = [async () => node.keeper?.openAll(), () => node.commitLog.flushed()];
    return await work({ get, startMs, openAll, flushed });
  } finally {
    await node.stop();
    rmSync(data, { recursive: true, force: true });
  }
}

async function firstRequests(get: Get, from: number): Promise<number[]> {
  const times: number[] = [];
  for (let i = 0; i < ASKED; i++) {
    // Spread over all cells, none twice.
    const name = `page-${(from + i * 23) % CELLS}`;
    const began = performance.now();
    const size = await get(Page, name).size();
    times.push(performance.now() - began);
    if (size !== BYTES) throw new Error(`${name} has ${size} bytes, not ${BYTES}`);
  }
  return times.sort((a, b) => a - b);
}

/** The value below which so many of all are. */
function quantile(sorted: readonly number[], part: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? Number.NaN;
}

try {
  await onEmptyDisk(async ({ get, flushed }) => {
    for (let at = 0; at < CELLS; at += AT_ONCE) {
      await Promise.all(Array.from({ length: AT_ONCE }, (_, i) => get(Page, `page-${at + i}`).put()));
      await flushed();
    }
  });
  const { startMs, closed, open } = await onEmptyDisk(async (started) => {
    const first = await firstRequests(started.get, 0);
    await started.openAll();
    return { startMs: started.startMs, closed: first, open: await firstRequests(started.get, 11) };
  });
  const one = (title: string, unit: string, value: number): Figure => ({
    title,
    unit,
    runs: 1,
    value: spread([value]),
  });
  const figures: Figure[] = [
    one(`a node opens on an empty disk, with ${CELLS} cells of 64 KiB in a directory bucket`, "ms", startMs),
    one("first request to a cold cell there, in a slot that nobody has opened: p50", "ms", quantile(closed, 0.5)),
    one("the same: p99", "ms", quantile(closed, 0.99)),
    one("first request to a cold cell there, in a slot that is open: p50", "ms", quantile(open, 0.5)),
    one("the same: p99", "ms", quantile(open, 0.99)),
  ];
  console.log(JSON.stringify(figures));
} finally {
  rmSync(parent, { recursive: true, force: true });
}
