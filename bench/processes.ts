// Starting and stopping the servers of the targets.
//
// Rule: whatever was started is stopped, also when a step between fails or the bench is interrupted; a server that dies
// early is reported with the end of what it printed. Only the process that was started is signalled.

import { spawn } from "node:child_process";
import type { ChildProcess, SpawnOptions } from "node:child_process";
import { randomInt } from "node:crypto";
import { createServer } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";

/** How long a server may take to answer first, and to end after it was told to, in ms. */
const START_MS = 30_000;
const STOP_MS = 15_000;
/** Of the output of a server this much is kept for the report of a failure, in characters. */
const KEPT_OUTPUT = 4000;

/** What to start. */
export interface ServerCommand {
  readonly name: string;
  readonly command: readonly string[];
  /** Resolves when the server serves; called again and again until it does not throw. */
  readonly ready: () => Promise<unknown>;
  readonly stopSignal?: NodeJS.Signals;
  readonly options?: SpawnOptions;
}

/** A started server. */
export interface Server {
  readonly pid: number;
  /** Ends the process and waits for its end. */
  stop(): Promise<void>;
}

/** Starts a server and waits until it is ready. Throws with its last output if it ends or is not ready in time. */
export async function startServer(what: ServerCommand): Promise<Server> {
  const [file, ...args] = what.command;
  const child = spawn(file as string, args, { ...what.options, stdio: ["ignore", "pipe", "pipe"] });
  let output = "";
  const keep = (chunk: Buffer): void => void (output = (output + chunk.toString()).slice(-KEPT_OUTPUT));
  child.stdout?.on("data", keep);
  child.stderr?.on("data", keep);
  const failed = new Promise<never>((_, reject) => {
    child.on("error", (error) => reject(new Error(`${what.name} does not start: ${error.message}`)));
    child.on("exit", (code, signal) => reject(new Error(`${what.name} ended (${signal ?? code}):\n${output}`)));
  });
  failed.catch(() => undefined);
  const stop = (): Promise<void> => end(child, what.stopSignal ?? "SIGTERM");
  try {
    await Promise.race([failed, answers(what.ready)]);
  } catch (error) {
    await stop();
    throw new Error(`${what.name} was not ready: ${(error as Error).message}\n${output}`, { cause: error });
  }
  return { pid: child.pid as number, stop };
}

async function answers(ready: () => Promise<unknown>): Promise<void> {
  const deadline = performance.now() + START_MS;
  for (;;) {
    try {
      await ready();
      return;
    } catch (error) {
      if (performance.now() > deadline) throw error;
      await sleep(50);
    }
  }
}

async function end(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) return;
  const ended = new Promise((resolve) => child.once("exit", resolve));
  child.kill(signal);
  const late = setTimeout(() => child.kill("SIGKILL"), STOP_MS);
  await ended;
  clearTimeout(late);
}

/** Ports below those that a system gives to connections by itself, so none can slip in before the server listens. */
const FIRST_PORT = 15_000;
const LAST_PORT = 31_000;

/** A port of 127.0.0.1 that is free now. */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = randomInt(FIRST_PORT, LAST_PORT);
    if (await isFree(port)) return port;
  }
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = createServer();
    probe.once("error", () => resolve(false));
    probe.listen(port, "127.0.0.1", () => probe.close(() => resolve(true)));
  });
}
