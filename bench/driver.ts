// The driver: one slice of load by `wrk`, pinned to a core of its own.
//
// Rule: the driver must never be what is measured. Against bare `node:http` at 75,000 requests a second wrk used half
// of its core; autocannon gave out at 48,000 with a full one, so it was rejected.

import { spawn } from "node:child_process";
import { CELLS, CONNECTIONS } from "./counters.ts";
import { DRIVER_CORE, pinned } from "./machine.ts";
import type { Slice } from "./method.ts";

/** Part of the requests that are increments. */
export const WORKLOADS = { reads90: 0.1, reads100: 0, writes100: 1, zipf90: 0.1 } as const;
/** Workloads that ask for few cells often and for most seldom (Zipf's law, exponent 1). */
const SKEWED: ReadonlySet<Workload> = new Set(["zipf90"]);
export type Workload = keyof typeof WORKLOADS;

/** A slice, and the bounds of what it incremented. */
export interface Driven extends Slice {
  readonly acknowledged: number;
  readonly sent: number;
}

interface WrkLine {
  readonly requests: number;
  readonly microseconds: number;
  readonly writes: number;
  readonly p50: number;
  readonly p99: number;
  readonly socketErrors: number;
  readonly badAnswers: number;
}

/** A request that takes longer counts as failed: a pause of the machine must not, a server that hangs must. */
const REQUEST_TIMEOUT = "10s";

const WRK_MISSING = "the bench needs wrk: apt-get install -y wrk";

/** Loads a server for whole seconds. Throws if any request failed: a target that errs has no figures. */
export async function drive(port: number, workload: Workload, seconds: number, seed: number): Promise<Driven> {
  const script = new URL("wrk.lua", import.meta.url).pathname;
  const args = ["-t1", `-c${CONNECTIONS}`, `-d${seconds}`, "--timeout", REQUEST_TIMEOUT, "-s", script];
  const output = await run("wrk", [
    ...args,
    `http://127.0.0.1:${port}/`,
    "--",
    String(WORKLOADS[workload]),
    String(CELLS),
    String(seed),
    SKEWED.has(workload) ? "zipf" : "even",
  ]);
  return readSlice(output, WORKLOADS[workload] === 1);
}

/** Reads what `wrk.lua` printed. Throws if requests failed. */
export function readSlice(output: string, onlyWrites: boolean): Driven {
  const text = output.split("\n").findLast((line) => line.startsWith("{"));
  if (text === undefined) throw new Error(`wrk printed no result:\n${output}`);
  const line = JSON.parse(text) as WrkLine;
  if (line.socketErrors + line.badAnswers > 0) {
    throw new Error(`${line.badAnswers} requests were answered with an error, ${line.socketErrors} connections failed`);
  }
  return {
    rate: line.requests / (line.microseconds / 1e6),
    p50: line.p50 / 1000,
    p99: line.p99 / 1000,
    // wrk counts answers but not which; a slice of increments alone is exact at its lower end.
    acknowledged: onlyWrites ? line.requests : Math.max(0, line.writes - CONNECTIONS - 1),
    sent: line.writes,
  };
}

/** The version of wrk as it prints it. Throws with how to install it. */
export async function wrkVersion(): Promise<string> {
  const output = await run("wrk", ["-v"]);
  return /^wrk (\S+)/m.exec(output)?.[1] ?? "unknown";
}

/** Runs a command on the driver's core; resolves with all it printed. wrk ends with 1 after printing its version. */
function run(command: string, args: readonly string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    const [file, ...rest] = pinned(DRIVER_CORE, [command, ...args]);
    const child = spawn(file as string, rest, { stdio: ["ignore", "pipe", "pipe"] });
    let output = "";
    child.stdout.on("data", (chunk: Buffer) => (output += chunk.toString()));
    child.stderr.on("data", (chunk: Buffer) => (output += chunk.toString()));
    child.on("error", reject);
    child.on("close", (code) => {
      if (code === 127) reject(new Error(WRK_MISSING));
      else if (code !== 0 && code !== 1) reject(new Error(`${command} ended with ${code}:\n${output}`));
      else resolve(output);
    });
  });
}
