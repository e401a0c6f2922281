// What the writers of other cells notice of the snapshot of a large one: their latency while it is written, and before and after.
//
// Rule: writes are paced, so that a node has time to spare: one that is asked for all it can give answers as late as its queue is
// long. A snapshot is under way from the first look that sees its temporary file, which has no name and is found by the
// descriptor that holds it, to the last. What the snapshot of one cell is compared with are the seconds on both sides of it.

import { readdirSync, readlinkSync, statSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { connectControl } from "../packages/frond/src/server/controlClient.ts";
import { type Found, type PartOptions, shown } from "./bucketPart.ts";
import { Client } from "./client.ts";
import { prime } from "./counters.ts";
import { median, spread } from "./method.ts";
import { startNode } from "./nodeProcess.ts";

const MEGABYTES = 100;
const WRITERS = 16;
const WRITES_PER_SECOND = 1_600;
const CELLS = 200;
const LOOK_MS = 10;
/** What is looked at on each side of a snapshot, in ms. */
const SIDE_MS = 3_000;
/** A snapshot begins within so long, in ms: the first of a node waits for its first clean-up. */
const WAIT_MS = 120_000;
const GOAL = 2;

interface Sample {
  readonly at: number;
  readonly ms: number;
}

interface Span {
  readonly from: number;
  readonly to: number;
}

/** Writes to other cells at a steady pace, until it is ended. */
class Writers {
  readonly samples: Sample[] = [];
  readonly #client: Client;
  readonly #done: Promise<unknown>;
  #going = true;

  constructor(port: number) {
    this.#client = new Client(port, WRITERS);
    this.#done = Promise.all(Array.from({ length: WRITERS }, (_, i) => this.#write(i)));
  }

  async end(): Promise<void> {
    this.#going = false;
    await this.#done;
    this.#client.close();
  }

  async #write(writer: number): Promise<void> {
    const every = (1_000 * WRITERS) / WRITES_PER_SECOND;
    for (let n = writer; this.#going; n += WRITERS) {
      const at = performance.now();
      await this.#client.count("POST", `/cells/cell-${n % CELLS}/incr`);
      const ms = performance.now() - at;
      this.samples.push({ at, ms });
      // Timers are a millisecond late: what is measured is the time of an answer, not how many there are.
      if (ms < every) await sleep(every - ms);
    }
  }
}

/** Measures as many snapshots as a run has. */
export async function measureBesideSnapshot({ quick, directory, progress }: PartOptions): Promise<Found> {
  const [snapshots, megabytes] = quick ? [1, 40] : [5, MEGABYTES];
  const data = join(directory, "data");
  const more = [`--bucket=dir:${join(directory, "bucket")}`, "--durability=disk"];
  const node = await startNode(data, "/", { app: "bucketApp.ts", more });
  const rows: { p99: number; quiet: number; p50: number; quietP50: number; seconds: number }[] = [];
  try {
    await prime(node.port, { acknowledged: 0, sent: 0 }, CELLS);
    const client = new Client(node.port, 1);
    for (let n = 0; n < snapshots; n++) {
      for (let i = 0; i < megabytes; i++) await client.send("POST", `/large/large-${n}`);
      const writers = new Writers(node.port);
      const span = await snapshotOf(node.pid, data, (megabytes * 1e6) / 2);
      await sleep(SIDE_MS + 200);
      await writers.end();
      const { from, to } = span;
      const during = latencies(writers.samples, [span]);
      const beside = latencies(writers.samples, [
        { from: from - SIDE_MS, to: from - 100 },
        { from: to + 100, to: to + SIDE_MS },
      ]);
      const row = { p99: at(during, 0.99), quiet: at(beside, 0.99), p50: at(during, 0.5), quietP50: at(beside, 0.5) };
      rows.push({ ...row, seconds: (to - from) / 1_000 });
      const seconds = ((to - from) / 1_000).toFixed(1);
      progress(
        `snapshot  ${n + 1}: ${seconds} s, p99 ${row.p99.toFixed(1)} ms beside ${row.quiet.toFixed(1)} ms without`,
      );
    }
    client.close();
  } finally {
    await node.kill("SIGTERM");
  }
  const column = (pick: (row: (typeof rows)[number]) => number) => spread(rows.map(pick));
  const ratio = column(({ p99, quiet }) => p99 / quiet);
  return {
    how:
      `${rows.length} cells of ${megabytes} MB, each snapshotted once into a folder; ${WRITERS} connections ask for ` +
      `${WRITES_PER_SECOND} increments a second at most. Medians.`,
    lines: [
      {
        what: "p99 of `disk` writes while a large cell is snapshotted, of that without",
        measured: shown(ratio, 2),
        goal: `at most ${GOAL}`,
        met: ratio.median <= GOAL,
      },
      {
        what: "p99 while",
        measured: shown(
          column(({ p99 }) => p99),
          1,
          " ms",
        ),
      },
      {
        what: "p99 without",
        measured: shown(
          column(({ quiet }) => quiet),
          1,
          " ms",
        ),
      },
      {
        what: "p50 while",
        measured: shown(
          column(({ p50 }) => p50),
          2,
          " ms",
        ),
      },
      {
        what: "p50 without",
        measured: shown(
          column(({ quietP50 }) => quietP50),
          2,
          " ms",
        ),
      },
      {
        what: "a snapshot takes",
        measured: shown(
          column(({ seconds }) => seconds),
          1,
          " s",
        ),
      },
    ],
    raw: { rows, medianRatio: median(rows.map(({ p99, quiet }) => p99 / quiet)) },
  };
}

/** Waits for the snapshot of a cell of more than `bytes`; when it was under way. */
async function snapshotOf(pid: number, data: string, bytes: number): Promise<Span> {
  const deadline = performance.now() + WAIT_MS;
  let [from, isLarge] = [0, false];
  for (;;) {
    await sleep(LOOK_MS);
    const now = performance.now();
    const size = temporaryBytes(pid, data);
    if (size === undefined) {
      if (isLarge) return { from, to: now };
      from = 0;
      if (now > deadline)
        throw new Error(`no large cell was snapshotted within ${WAIT_MS / 1_000} s; ${await told(data)}`);
      continue;
    }
    if (from === 0) from = now;
    isLarge ||= size > bytes;
  }
}

async function told(data: string): Promise<string> {
  const control = await connectControl(data);
  const bucket = (await control?.status())?.bucket;
  await control?.close();
  return JSON.stringify(bucket);
}

/** Bytes of the file through which pages pass; undefined: nothing is written. */
function temporaryBytes(pid: number, data: string): number | undefined {
  for (const fd of readdirSync(`/proc/${pid}/fd`)) {
    const path = `/proc/${pid}/fd/${fd}`;
    try {
      if (readlinkSync(path).startsWith(join(data, "tmp", "pages-"))) return statSync(path).size;
    } catch {
      // Closed meanwhile.
    }
  }
  return undefined;
}

function latencies(samples: readonly Sample[], spans: readonly Span[]): number[] {
  const within = samples.filter(({ at }) => spans.some(({ from, to }) => at >= from && at < to));
  if (within.length < 50) throw new Error(`only ${within.length} writes were measured`);
  return within.map(({ ms }) => ms).sort((a, b) => a - b);
}

function at(sorted: readonly number[], part: number): number {
  return sorted[Math.floor((sorted.length - 1) * part)] ?? Number.NaN;
}
