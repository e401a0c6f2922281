// What uploading costs the requests: writes at `disk` to a node that has a bucket and to one that has none, in turns.
//
// Rule: each node is stopped (SIGSTOP) while another one has its slice, so what it does behind its answers (compressing,
// packs, checkpoints) falls into its own slices and not into those of its baseline. All threads of a node share one core:
// what its bucket thread takes is missing for requests, as on a machine with a node on every core.
// What a slice leaves to be packed and checkpointed is done in the next slice of the same node.

import { join } from "node:path";
import { type Found, type Line, type PartOptions, shown } from "./bucketPart.ts";
import { Client } from "./client.ts";
import { CELLS, cellPath, prime } from "./counters.ts";
import { drive } from "./driver.ts";
import { pinned, SERVER_CORE } from "./machine.ts";
import { measure, type Slice } from "./method.ts";
import { freePort, type Server, startServer } from "./processes.ts";
import { startS3Server } from "./s3Server.ts";
import { between, type ThreadTimes, threadTimes } from "./threads.ts";

const WITHOUT = "no bucket";
const GOAL = 0.9;

interface Running extends Server {
  readonly port: number;
  /** What was had in its slices, and the requests that were answered in them. */
  readonly used: { main: number; bucket: number; others: number };
  requests: number;
}

/** Code is compiled meanwhile that a short run would be full of, in s. */
const FIRST_LOAD_S = 8;

/** Starts a node on an empty directory, loads it for a while, and stops its process until its first slice. */
async function start(directory: string, name: string, bucket: readonly string[]): Promise<Running> {
  const port = await freePort();
  const node = join(import.meta.dirname, "bucketNode.ts");
  const data = join(directory, name.replaceAll(" ", "-"));
  const args = ["--conditions=frond-source", node, "app.ts", data, String(port), ...bucket];
  const server = await startServer({
    name,
    command: pinned(SERVER_CORE, [process.execPath, ...args]),
    ready: async () => {
      const client = new Client(port, 1);
      await client.send("GET", cellPath(0)).finally(() => client.close());
    },
  });
  await prime(port, { acknowledged: 0, sent: 0 }, CELLS);
  await drive(port, "writes100", FIRST_LOAD_S, 1);
  process.kill(server.pid, "SIGSTOP");
  const stop = async (): Promise<void> => {
    process.kill(server.pid, "SIGCONT");
    await server.stop();
  };
  return { ...server, stop, port, used: { main: 0, bucket: 0, others: 0 }, requests: 0 };
}

async function slice(node: Running, seconds: number, seed: number): Promise<Slice> {
  process.kill(node.pid, "SIGCONT");
  try {
    await drive(node.port, "writes100", 1, seed);
    const before = threadTimes(node.pid);
    const driven = await drive(node.port, "writes100", seconds, seed + 1);
    const used = between(before, threadTimes(node.pid));
    for (const key of ["main", "bucket", "others"] as const) node.used[key] += used[key];
    node.requests += driven.acknowledged;
    return driven;
  } finally {
    process.kill(node.pid, "SIGSTOP");
  }
}

/** Runs the comparison. Throws when the node without a bucket cannot be measured. */
export async function measureUploads({ quick, s3, directory, progress }: PartOptions): Promise<Found> {
  const seconds = quick ? 3 : 12;
  const server = s3 ? await startS3Server() : undefined;
  const nodes = new Map<string, Running>();
  try {
    nodes.set(WITHOUT, await start(directory, WITHOUT, []));
    nodes.set("a folder", await start(directory, "a folder", [`dir:${join(directory, "bucket")}`]));
    if (server !== undefined)
      nodes.set("radosgw", await start(directory, "radosgw", [await server.bucket("uploads"), server.endpoint]));
    const targets = [...nodes.keys()].filter((name) => name !== WITHOUT);
    let seed = 1;
    const measured = await measure({
      baseline: WITHOUT,
      targets,
      wanted: quick ? 1 : 5,
      tries: quick ? 2 : 12,
      slice: async (name) => {
        const driven = await slice(nodes.get(name) as Running, seconds, (seed += 2));
        const rate = Math.round(driven.rate).toString().padStart(7);
        progress(`uploads   ${name.padEnd(10)}${rate} writes/s   p50 ${driven.p50} ms   p99 ${driven.p99} ms`);
        return { rate: driven.rate, p50: driven.p50, p99: driven.p99 };
      },
    });
    const lines: Line[] = [];
    for (const name of targets) {
      const outcome = measured.outcomes.get(name);
      if (outcome === undefined) {
        lines.push({ what: `bucket: ${name}`, measured: measured.failures.get(name) ?? "not measured" });
        continue;
      }
      const { ratio, counted, tried, flag } = outcome;
      const pairs = `, ${counted} of ${tried} pairs${flag === undefined ? "" : `: ${flag}`}`;
      lines.push({
        what: `writes at \`disk\` with a bucket (${name}), of those without`,
        measured: shown(ratio, 2) + pairs,
        goal: `at least ${GOAL}`,
        // Pairs that do not count judge nothing.
        ...(counted > 0 && { met: ratio.median >= GOAL }),
      });
      lines.push({ what: `the same, p99`, measured: shown(outcome.p99, 1, " ms") });
    }
    lines.push({ what: "writes a second without a bucket", measured: shown(measured.baseline.rate, 0) });
    lines.push({ what: "the same, p99", measured: shown(measured.baseline.p99, 1, " ms") });
    const used: Record<string, ThreadTimes> = {};
    for (const [name, node] of nodes) {
      const each = (spent: number): number => (spent * 1e6) / Math.max(1, node.requests);
      const { main, bucket, others } = node.used;
      used[name] = { main: each(main), bucket: each(bucket), others: each(others) };
      const text = `${each(main).toFixed(1)} + ${each(bucket).toFixed(1)} + ${each(others).toFixed(1)} us`;
      lines.push({ what: `processor per write, ${name}: main + bucket + other threads`, measured: text });
    }
    const outcomes = Object.fromEntries(measured.outcomes);
    return {
      how: `Slices of ${seconds} s after 1 s of warm-up, ${CELLS} cells, 64 connections, increments only.`,
      lines,
      raw: { outcomes, baseline: measured.baseline, used, failures: Object.fromEntries(measured.failures) },
    };
  } finally {
    for (const node of nodes.values()) await node.stop();
    await server?.stop();
  }
}
