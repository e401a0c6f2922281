// A machine that was thrown away: nodes that start on an empty disk with many cells in the bucket, and the first request to a
// cell that nobody has asked for since.
//
// Rule: a start ends with the first answer that needs no cell; every answer of a cell is compared with what was written. A
// slot counts as closed when the node has just started and works off the others from below, as open when the bucket has been
// quiet since. Round trips are counted by a proxy before the S3 server, one request to the node at a time.

import { mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { rootAddress, slotOf } from "../packages/frond/src/address.ts";
import { connectControl } from "../packages/frond/src/server/operator/controlClient.ts";
import type { Found, Line, PartOptions } from "./bucketPart.ts";
import { Client } from "./client.ts";
import { type NodeProcess, startNode } from "./nodeProcess.ts";
import { startS3Server } from "./s3Server.ts";
import { inARow, startWatchingProxy, waitedFor, type Watched } from "./watchingProxy.ts";

const PAGE_BYTES = "61440";
const TTL_MS = 6_000;
const START_MS = 2_000;
const COLD_FOLDER_MS = 15;
const ROUND_TRIPS = 3;
/** What the proxy adds to each round trip while they are counted, in ms. */
const HOLD_MS = 30;

interface Place {
  readonly title: string;
  readonly url: string;
  readonly endpoint: string | undefined;
}

interface Scene {
  readonly options: PartOptions;
  readonly place: Place;
  readonly data: string;
  /** Names of pages by slot, the highest slot first: nodes open slots from below. */
  readonly slots: readonly (readonly string[])[];
}

/** Measures a directory, and with `s3` a real S3 server. */
export async function measureEmptyDisk(options: PartOptions): Promise<Found> {
  const cells = options.quick ? 400 : 10_000;
  const places: Place[] = [{ title: "folder", url: `dir:${join(options.directory, "bucket")}`, endpoint: undefined }];
  const server = options.s3 ? await startS3Server() : undefined;
  try {
    if (server !== undefined)
      places.push({ title: "radosgw", url: await server.bucket("empty"), endpoint: server.endpoint });
    const bySlot = Map.groupBy(namesOf(cells, options.quick ? 16 : 1), (name) => slotOf(rootAddress("page", name)));
    const slots = [...bySlot]
      .sort(([a], [b]) => b - a)
      .map(([, names]) => names)
      .filter((names) => names.length >= 3);
    const lines: Line[] = [];
    const raw: Record<string, unknown> = {};
    for (const place of places) {
      const scene = { options, place, data: join(options.directory, `data-${place.title}`), slots };
      await populate(scene, [...bySlot.values()].flat());
      raw[place.title] = await starts(scene, lines);
      if (server !== undefined && place.endpoint !== undefined) raw["round trips"] = await roundTrips(scene, lines);
    }
    const how = `${cells} cells of 64 KB, half of which compression takes away. One request to a cold cell at a time.`;
    return { how, lines, raw };
  } finally {
    await server?.stop();
  }
}

/** So many names of pages, in one slot of each `every`: few cells in many slots would be one in each. */
function namesOf(cells: number, every: number): string[] {
  const names: string[] = [];
  for (let i = 0; names.length < cells; i++) {
    const name = `page-${i}`;
    if (slotOf(rootAddress("page", name)) % every === 0) names.push(name);
  }
  return names;
}

function start({ place, data }: Scene, endpoint = place.endpoint): Promise<NodeProcess> {
  mkdirSync(data, { recursive: true });
  const more = [`--bucket=${place.url}`, `--ttl-ms=${TTL_MS}`];
  if (endpoint !== undefined) more.push(`--s3-endpoint=${endpoint}`);
  return startNode(data, "/", { app: "bucketApp.ts", more });
}

async function populate(scene: Scene, names: readonly string[]): Promise<void> {
  const node = await start(scene);
  const client = new Client(node.port, 16);
  let done = 0;
  await client.each(names, async (name) => {
    await client.count("POST", `/page/${name}`);
    if (++done % 2_000 === 0) scene.options.progress(`empty     ${scene.place.title}: ${done} cells written`);
  });
  client.close();
  const settled = (waiting: number): boolean => waiting === 0;
  while (!settled((await bucketOf(scene)).waitingBytes)) await sleep(200);
  await node.kill("SIGTERM");
  rmSync(scene.data, { recursive: true });
}

async function bucketOf({ data }: Scene) {
  const control = await connectControl(data);
  const bucket = (await control?.status())?.bucket;
  await control?.close();
  if (bucket === undefined) throw new Error(`the node on ${data} does not tell about its bucket`);
  return bucket;
}

/** Waits until the node has asked the bucket for nothing but its lease for a while. */
async function quiet(scene: Scene): Promise<void> {
  for (let before = -1; ;) {
    const { create, list, get, put } = (await bucketOf(scene)).requests;
    // Of the lease: one get for each put.
    const asked = create + list + get - put;
    if (Math.abs(asked - before) <= 1) return;
    before = asked;
    await sleep(1_000);
  }
}

async function cold(client: Client, name: string): Promise<number> {
  const began = performance.now();
  const size = await client.send("GET", `/page/${name}`);
  if (size !== PAGE_BYTES) throw new Error(`${name} has ${size} bytes, not ${PAGE_BYTES}`);
  return performance.now() - began;
}

/** The starts, and cold cells behind the first. */
async function starts(scene: Scene, lines: Line[]): Promise<unknown> {
  const { place, data, slots, options } = scene;
  const asked = slots.slice(0, options.quick ? 20 : 200);
  const told = (what: string, ms: number, goal: number, words: string): void => {
    options.progress(`empty     ${place.title}: ${what} ${ms.toFixed(0)} ms`);
    lines.push({ what: `${place.title}: ${what}`, measured: `${ms.toFixed(0)} ms`, goal: words, met: ms < goal });
  };
  const first = await start(scene);
  told("start on an empty disk, after a clean stop", first.startMs, START_MS, "under 2 s");
  const client = new Client(first.port, 1);
  const closed: number[] = [];
  for (const [name = ""] of asked.slice(0, 40)) closed.push(await cold(client, name));
  await quiet(scene);
  const open: number[] = [];
  for (const [, name = ""] of asked) open.push(await cold(client, name));
  client.close();
  const p = (times: number[], part: number): number =>
    times.toSorted((a, b) => a - b)[Math.floor(times.length * part)] ?? Number.NaN;
  const goal = place.endpoint === undefined ? { goal: "p50 under 15 ms", met: p(open, 0.5) < COLD_FOLDER_MS } : {};
  const both = (times: number[]): string => `p50 ${p(times, 0.5).toFixed(1)} ms, p99 ${p(times, 0.99).toFixed(1)} ms`;
  lines.push({ what: `${place.title}: first request to a cold cell, slot open`, measured: both(open), ...goal });
  lines.push({ what: `${place.title}: the same, slot not open yet`, measured: both(closed) });
  options.progress(`empty     ${place.title}: cold cells, slot open: ${both(open)}; closed: ${both(closed)}`);
  await first.kill("SIGKILL");
  const kept = await start(scene);
  told("start after kill -9, the disk kept", kept.startMs, START_MS, "no wait, under 2 s");
  await kept.kill("SIGKILL");
  rmSync(data, { recursive: true });
  const gone = await start(scene);
  const lease = TTL_MS * (1 + 1 / 6);
  told("start after kill -9, the disk gone", gone.startMs, START_MS + lease, "the lease (7 s) and under 2 s");
  await gone.kill("SIGTERM");
  rmSync(data, { recursive: true });
  return { closed, open, startMs: first.startMs, keptMs: kept.startMs, goneMs: gone.startMs };
}

/** What a cold cell asks of the bucket, one request after the other. */
async function roundTrips(scene: Scene, lines: Line[]): Promise<unknown> {
  const { place, slots, options } = scene;
  const proxy = await startWatchingProxy(place.endpoint as string);
  const node = await start(scene, proxy.endpoint);
  const client = new Client(node.port, 1);
  const ask = async (name: string): Promise<{ row: number; requests: string[] }> => {
    const from = performance.now();
    proxy.holdMs = HOLD_MS;
    await cold(client, name).finally(() => (proxy.holdMs = 0));
    // The bucket thread's own work that happens to fall into it counts too: nobody can tell it apart.
    const requests = waitedFor(proxy.seen, from);
    return { row: inARow(requests), requests: requests.map((watched) => describe(watched, from)) };
  };
  const told = (what: string, all: readonly { row: number; requests: readonly string[] }[]): void => {
    const rows = all.map(({ row }) => row).sort((a, b) => a - b);
    const most = rows.at(-1) ?? Number.NaN;
    const measured = `${rows[rows.length >> 1]} (at most ${most}), ${rows.length} cells`;
    lines.push({ what, measured, goal: `at most ${ROUND_TRIPS}`, met: most <= ROUND_TRIPS });
    options.progress(`empty     ${what}: ${measured}`);
    const tooMany = all.find(({ row }) => row > ROUND_TRIPS);
    if (tooMany !== undefined) options.progress(tooMany.requests.map((request) => `            ${request}`).join("\n"));
  };
  try {
    await quiet(scene);
    const open: Awaited<ReturnType<typeof ask>>[] = [];
    for (const [name = ""] of slots.slice(0, 20)) open.push(await ask(name));
    told("round trips in a row for a cold cell, slot open", open);
    // A checkpoint is a reason to forget what was known of the slot: its footer is read again, and what came behind it.
    const after: Awaited<ReturnType<typeof ask>>[] = [];
    const behind: Awaited<ReturnType<typeof ask>>[] = [];
    const deadline = performance.now() + (options.quick ? 50_000 : 180_000);
    const done = new Set<number>();
    while (after.length + behind.length < (options.quick ? 4 : 20) && performance.now() < deadline) {
      await sleep(100);
      const slot = checkpointed(proxy.seen.map(({ method, path }) => `${method} ${path}`)).find((p) => !done.has(p));
      if (slot === undefined) continue;
      done.add(slot);
      const names = slots.find(([name = ""]) => slotOf(rootAddress("page", name)) === slot);
      const [first = "", , third] = names ?? [];
      if (third === undefined) continue;
      if (after.length <= behind.length) {
        after.push(await ask(third));
        continue;
      }
      await client.count("POST", `/page/${first}`);
      while ((await bucketOf(scene)).waitingBytes > 0) await sleep(50);
      behind.push(await ask(third));
    }
    if (after.length > 0) told("the same, right after a checkpoint of its slot", after);
    if (behind.length > 0) told("the same, and a write to its slot behind that", behind);
    return { open, after, behind };
  } finally {
    client.close();
    await node.kill("SIGKILL");
    await proxy.close();
  }
}

function describe({ method, path, status, began, ended }: Watched, from: number): string {
  return `${method} ${path} ${status}, ${(began - from).toFixed(1)} to ${(ended - from).toFixed(1)} ms`;
}

/** Slots whose checkpoint was written, as the requests say. */
function checkpointed(requests: readonly string[]): number[] {
  return requests.flatMap((request) => {
    const found = /^PUT .*\/cell\/(\d{4})\/@checkpoint\//.exec(request);
    return found === null ? [] : [Number(found[1])];
  });
}
