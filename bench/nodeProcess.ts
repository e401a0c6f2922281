// A node of frond as a process of its own, for benches that kill it or load it from another core.

import { spawn } from "node:child_process";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { Client } from "./client.ts";
import { pinned, SERVER_CORE } from "./machine.ts";
import { freePort } from "./processes.ts";

const BIN = join(dirname(createRequire(import.meta.url).resolve("frond/package.json")), "bin/frond.js");

/** A node that serves an app of the bench. */
export interface NodeProcess {
  readonly pid: number;
  readonly port: number;
  /** Time from its start to the first answer, in ms. */
  readonly startMs: number;
  kill(signal: NodeJS.Signals): Promise<void>;
}

/**
 * Starts a node on `data` and waits for its first answer to a GET of `path`; it serves stress.ts, or the file `app` of this
 * folder, with `more` on its command line. Throws if it ends before.
 */
export async function startNode(
  data: string,
  path: string,
  { app: name = "stress.ts", more = [] }: { readonly app?: string; readonly more?: readonly string[] } = {},
): Promise<NodeProcess> {
  const port = await freePort();
  const began = performance.now();
  const options = [`--data=${data}`, `--listen=127.0.0.1:${port}`, "--log-level=error", ...more];
  const app = join(import.meta.dirname, name);
  const [file, ...args] = pinned(SERVER_CORE, [
    process.execPath,
    "--conditions=frond-source",
    BIN,
    "start",
    app,
    ...options,
  ]);
  const child = spawn(file as string, args, { stdio: ["ignore", "ignore", "inherit"] });
  const ended = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  const client = new Client(port, 1);
  for (;;) {
    if (child.exitCode !== null) throw new Error(`the node ended with ${child.exitCode} before it answered`);
    try {
      await client.send("GET", path);
      break;
    } catch {
      await sleep(2);
    }
  }
  const startMs = performance.now() - began;
  client.close();
  const kill = async (signal: NodeJS.Signals): Promise<void> => {
    child.kill(signal);
    await ended;
  };
  return { pid: child.pid as number, port, startMs, kill };
}
