// What the writers of other cells notice of the snapshot of a large one: their latency while it is written, and before and after.
//
// Rule: writes are paced, so that a node has time to spare: one that is asked for all it can give answers as late as its queue is
// long. A snapshot is under way from the first look that sees its temporary file, which has no name and is found by the
// descriptor that holds it, to the last. What the snapshot of one cell is compared with are the seconds on both sides of it.

import { mkdirSync, readdirSync, readlinkSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { connectControl } from "../packages/frond/src/server/operator/controlClient.ts";
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
/** A snapshot begins within so long, in ms: 10 s after the start, or five minutes later if the cell was still growing then. */
const WAIT_MS = 400_000;
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
  #ended = false;

  constructor(port: number) {
    this.#client = new Client(port, WRITERS);
    this.#done = Promise.all(Array.from({ length: WRITERS }, (_, i) => this.#write(i)));
  }

  async end(): Promise<void> {
    this.#ended = true;
    await this.#done;
    this.#client.close();
  }

  async #write(writer: number): Promise<void> {
    const every = (1_000 * WRITERS) / WRITES_PER_SECOND;
    for (let n = writer; !this.#ended; n += WRITERS) {
      const at = performance.now();
      await this.#client.count("POST", `/cells/cell-${n % CELLS}/incr`);
      const ms = performance.now() - at;
      this.samples.push({ at, ms });
      // Timers are a millisecond late: what is measured is the time of an answer, not how many there are.
      if (ms < every) await sleep(every - ms);
    }
  }
}

interface Row {
  readonly p99: number;
  readonly quiet: number;
  readonly p50: number;
  readonly quietP50: number;
  readonly seconds: number;
}

/** Measures as many snapshots as a run has. */
export async function measureBesideSnapshot({ quick, directory, progress }: PartOptions): Promise<Found> {
  const [snapshots, megabytes] = quick ? [1, 40] : [5, MEGABYTES];
  const rows: Row[] = [];
  for (let n = 1; n <= snapshots; n++) {
    const row = await oneSnapshot(join(directory, `node-${n}`), megabytes);
    rows.push(row);
    const both = `p99 ${row.p99.toFixed(1)} ms beside ${row.quiet.toFixed(1)} ms without`;
    progress(`snapshot  ${n} of ${snapshots}: ${row.seconds.toFixed(1)} s, ${both}`);
  }
  const column = (pick: (row: Row) => number) => spread(rows.map(pick));
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

/** A node whose one large cell is whole before it has its first snapshot. */
async function oneSnapshot(folder: string, megabytes: number): Promise<Row> {
  const data = join(folder, "data");
  mkdirSync(folder);
  const more = [`--bucket=dir:${join(folder, "bucket")}`, "--durability=disk"];
  const node = await startNode(data, "/", { app: "bucketApp.ts", more });
  try {
    await prime(node.port, { acknowledged: 0, sent: 0 }, CELLS);
    const client = new Client(node.port, 1);
    for (let i = 0; i < megabytes; i++) await client.send("POST", "/large/one");
    client.close();
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
    return {
      p99: quantile(during, 0.99),
      quiet: quantile(beside, 0.99),
      p50: quantile(during, 0.5),
      quietP50: quantile(beside, 0.5),
      seconds: (to - from) / 1_000,
    };
  } finally {
    await node.kill("SIGTERM");
    rmSync(folder, { recursive: true, force: true });
  }
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

function quantile(sorted: readonly number[], part: number): number {
  return sorted[Math.floor((sorted.length - 1) * part)] ?? Number.NaN;
}
