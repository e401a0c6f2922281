// What a node asks of its bucket, and what that costs in a day at the list prices of S3: with nothing to do, and under a constant
// load of small writes that do not wait for `bucket`.
//
// Rule: requests are those that the node counts itself, over some minutes; a day is that many times them. What happens more
// seldom than a run lasts is not measured but taken at the most that the limits allow, and said to be: a checkpoint every
// CHECKPOINT_PACE_MS, CLEAN_UP_REQUESTS_PER_DAY of clean-up. What is stored is not in the dollars of requests, but told beside.

import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { listAll } from "../packages/frond/src/bucket/listAll.ts";
import { openBucket } from "../packages/frond/src/bucket/open.ts";
import { CHECKPOINT_PACE_MS, CLEAN_UP_REQUESTS_PER_DAY } from "../packages/frond/src/limits.ts";
import { connectControl } from "../packages/frond/src/server/operator/controlClient.ts";
import type { Found, Line, PartOptions } from "./bucketPart.ts";
import { Client } from "./client.ts";
import { CELLS, CONNECTIONS, prime } from "./counters.ts";
import { type NodeProcess, startNode } from "./nodeProcess.ts";

/** List prices of S3 Standard in dollars: 1,000 writes or listings, 1,000 reads, a gigabyte for a month. Deletions are free. */
const WRITE_PRICE = 0.005;
const READ_PRICE = 0.0004;
const STORE_PRICE = 0.023;
const DAY_S = 86_400;
const RETENTION_DAYS = 7;
const GOAL = 2;
const WRITES_PER_SECOND = 1_000;

interface Asked {
  readonly at: number;
  readonly writes: number;
  readonly lists: number;
  readonly reads: number;
  readonly deletes: number;
  readonly bytesUp: number;
}

/** Measures an idle node, then one with work. */
export async function measureRequests({ quick, directory, progress }: PartOptions): Promise<Found> {
  const [idleS, loadS] = quick ? [15, 45] : [120, 600];
  const data = join(directory, "data");
  const url = `dir:${join(directory, "bucket")}`;
  const node = await startNode(data, "/", { app: "bucketApp.ts", more: [`--bucket=${url}`] });
  try {
    progress(`requests  idle for ${idleS} s`);
    // The start itself, and its first clean-up, are not what is measured.
    await sleep(15_000);
    const idle = await during(data, () => sleep(idleS * 1_000));
    await prime(node.port, { acknowledged: 0, sent: 0 }, CELLS);
    progress(`requests  ${WRITES_PER_SECOND} writes a second for ${loadS} s`);
    const objects = await objectsIn(url);
    let written = 0;
    const busy = await during(data, async () => {
      written = await load(node, loadS, (line) => progress(`requests  ${line}`));
    });
    const added = difference(objects, await objectsIn(url));
    const lines = [...linesOf("idle", idle), ...linesOf(`${Math.round(written / loadS)} writes/s`, busy)];
    const kinds = Object.entries(added).map(([kind, count]) => `${kind} ${count}`);
    lines.push({ what: "objects that the load has left, by kind", measured: kinds.join(", ") });
    lines.push(...atMost(busy, added));
    const how = `Increments over ${CELLS} cells at a steady pace, \`disk\`, into a folder: ${idleS} s idle, ${loadS} s of load.`;
    return { how, lines, raw: { idle, busy, added, written } };
  } finally {
    await node.kill("SIGTERM");
  }
}

/** What a day like this would ask for, while `work` goes on. */
async function during(data: string, work: () => Promise<void>): Promise<Omit<Asked, "at">> {
  const before = await asked(data);
  await work();
  // The counts of a node may be a moment behind.
  await sleep(1_500);
  const after = await asked(data);
  const days = (after.at - before.at) / 1_000 / DAY_S;
  const aDay = (name: keyof Asked): number => (after[name] - before[name]) / days;
  return {
    writes: aDay("writes"),
    lists: aDay("lists"),
    reads: aDay("reads"),
    deletes: aDay("deletes"),
    bytesUp: aDay("bytesUp"),
  };
}

async function asked(data: string): Promise<Asked> {
  const control = await connectControl(data);
  const bucket = (await control?.status())?.bucket;
  await control?.close();
  if (bucket === undefined) throw new Error(`the node on ${data} does not tell what its bucket was asked for`);
  const { create, put, list, get, delete: deletes } = bucket.requests;
  return { at: performance.now(), writes: create + put, lists: list, reads: get, deletes, bytesUp: bucket.bytesUp };
}

/** Writes at a steady pace; how many there were. */
async function load(node: NodeProcess, seconds: number, tell: (line: string) => void): Promise<number> {
  const client = new Client(node.port, CONNECTIONS);
  const end = performance.now() + seconds * 1_000;
  const every = (1_000 * CONNECTIONS) / WRITES_PER_SECOND;
  let written = 0;
  const telling = setInterval(() => tell(`${written} writes`), 30_000);
  const writer = async (first: number): Promise<void> => {
    for (let n = first, due = performance.now(); performance.now() < end; n += CONNECTIONS, due += every) {
      await client.count("POST", `/cells/cell-${n % CELLS}/incr`);
      written += 1;
      await sleep(Math.max(0, due + every - performance.now()));
    }
  };
  try {
    await Promise.all(Array.from({ length: CONNECTIONS }, (_, i) => writer(i)));
  } finally {
    clearInterval(telling);
    client.close();
  }
  return written;
}

function dollars({ writes, lists, reads }: Omit<Asked, "at">): number {
  return ((writes + lists) * WRITE_PRICE + reads * READ_PRICE) / 1_000;
}

function linesOf(what: string, day: Omit<Asked, "at">): Line[] {
  const count = (n: number): string => `${(n / 1_000).toFixed(1)} k`;
  const { writes, lists, reads, bytesUp } = day;
  const kept = (bytesUp * RETENTION_DAYS) / 1e9;
  const stored = `${(bytesUp / 1e9).toFixed(2)} GB up a day; if all of it is kept for ${RETENTION_DAYS} days, $${((kept * STORE_PRICE) / 30).toFixed(2)} a day more`;
  return [
    {
      what: `requests in a day, ${what}`,
      measured: `$${dollars(day).toFixed(2)}: ${count(writes)} writes, ${count(lists)} listings, ${count(reads)} reads`,
      goal: `about $${GOAL}`,
      met: dollars(day) <= GOAL,
    },
    { what: `bytes, ${what}`, measured: stored },
  ];
}

/** The same with what is too seldom to be measured, at the most that the limits allow. */
function atMost(busy: Omit<Asked, "at">, added: Readonly<Record<string, number>>): Line[] {
  // A checkpoint asks for its slot's packs and segments, and is one put; two listings and eight reads are more than it takes.
  const checkpoints = DAY_S / (CHECKPOINT_PACE_MS / 1_000);
  const each = WRITE_PRICE * 3 + READ_PRICE * 8;
  const cleanUp = (CLEAN_UP_REQUESTS_PER_DAY * WRITE_PRICE) / 1_000;
  const more = (checkpoints * each) / 1_000 + cleanUp;
  const total = dollars(busy) + more;
  return [
    {
      what: "the same and all checkpoints and clean-up that the limits allow (computed)",
      measured: `$${total.toFixed(2)}, of which $${more.toFixed(2)} computed; ${added["checkpoint"] ?? 0} checkpoints were measured`,
      goal: `about $${GOAL}`,
      met: total <= GOAL,
    },
  ];
}

type Objects = Readonly<Record<string, number>>;

async function objectsIn(url: string): Promise<Objects> {
  const bucket = await openBucket(url);
  const counts: Record<string, number> = {};
  for await (const { key } of listAll(bucket, "")) {
    const [first = ""] = key.split("/");
    const kind = key.includes("/@checkpoint/") ? "checkpoint" : first;
    counts[kind] = (counts[kind] ?? 0) + 1;
  }
  await bucket.close();
  return counts;
}

function difference(before: Objects, after: Objects): Objects {
  return Object.fromEntries(Object.entries(after).map(([kind, count]) => [kind, count - (before[kind] ?? 0)]));
}
