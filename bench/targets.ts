// The targets: how each is started, on which core, and what its answers mean.
//
// Rule: all serve the same app on 127.0.0.1 from one core and the same Node binary where they use Node. They are started
// once, before anything is measured, and stay up: an idle one costs nothing, and none is measured cold.

import { createRequire } from "node:module";
import { mkdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { Client } from "./client.ts";
import { cellPath } from "./counters.ts";
import { pinned, SERVER_CORE } from "./machine.ts";
import { startPostgres } from "./postgres.ts";
import { freePort, startServer } from "./processes.ts";

/** Connections of the pool in front of PostgreSQL. Measured: 16, 32 and 64 are equal, 8 is slower. */
const POOL = 32;

/** A target that serves. */
export interface Running {
  readonly port: number;
  /** Versions to state beside the figures. */
  readonly versions?: Readonly<Record<string, string>>;
  stop(): Promise<void>;
}

/** One line of the comparison. */
export interface Target {
  readonly title: string;
  /** What an answered increment survives. */
  readonly durable: string;
  /** Starts it with its data below a directory. Throws, saying what to install, where a part is missing. */
  readonly start: (directory: string) => Promise<Running>;
}

/** The target that all ratios divide by. */
export const BASELINE = "bare-http";

export const TARGETS: Readonly<Record<string, Target>> = {
  [BASELINE]: {
    title: "bare `node:http`, no state",
    durable: "-",
    start: () => node(BASELINE, (port) => [here("targets/bare-http.ts"), port]),
  },
  "frond-memory": { title: "frond, `memory`", durable: "clean stop", start: (directory) => frond("memory", directory) },
  "frond-disk": { title: "frond, `disk`", durable: "sync, shared log", start: (directory) => frond("disk", directory) },
  "node-sqlite": {
    title: "node + one SQLite, group commit",
    durable: "sync per batch",
    start: (directory) =>
      node("node-sqlite", (port) => [here("targets/node-sqlite.ts"), port, join(directory, "counters.db")]),
  },
  "node-postgres": {
    title: "node + PostgreSQL, both cores",
    durable: "sync, group commit",
    start: nodePostgres,
  },
  workerd: { title: "workerd, SQLite Durable Objects", durable: "sync each", start: workerd },
};

function here(path: string): string {
  return join(import.meta.dirname, path);
}

async function serving(port: number): Promise<void> {
  const client = new Client(port, 1);
  try {
    await client.send("GET", cellPath(0));
  } finally {
    client.close();
  }
}

async function node(name: string, args: (port: string) => readonly string[]): Promise<Running> {
  const port = await freePort();
  const command = pinned(SERVER_CORE, [process.execPath, ...args(String(port))]);
  const { stop } = await startServer({ name, command, ready: () => serving(port) });
  return { port, stop };
}

function frond(durability: string, directory: string): Promise<Running> {
  const bin = join(dirname(createRequire(import.meta.url).resolve("frond/package.json")), "bin/frond.js");
  return node(`frond-${durability}`, (port) => [
    "--conditions=frond-source",
    bin,
    "start",
    here("app.ts"),
    `--data=${join(directory, durability)}`,
    `--listen=127.0.0.1:${port}`,
    `--durability=${durability}`,
  ]);
}

async function nodePostgres(directory: string): Promise<Running> {
  const postgres = await startPostgres(directory);
  try {
    const args = (port: string): string[] => [here("targets/node-postgres.ts"), port, postgres.directory, String(POOL)];
    const front = await node("node-postgres", args);
    const stop = async (): Promise<void> => {
      await front.stop();
      await postgres.stop();
    };
    return { port: front.port, versions: { postgresql: postgres.version }, stop };
  } catch (error) {
    await postgres.stop();
    throw error;
  }
}

async function workerd(directory: string): Promise<Running> {
  const port = await freePort();
  const data = join(directory, "workerd");
  mkdirSync(data);
  const load = createRequire(import.meta.url);
  // The path of the program itself: the package's own command is a script around it, which would not pass a signal on.
  const { default: bin, version } = load("workerd") as { default: string; version: string };
  const serve = ["serve", here("targets/workerd/config.capnp"), "--experimental"];
  const command = pinned(SERVER_CORE, [
    bin,
    ...serve,
    `--socket-addr=http=127.0.0.1:${port}`,
    `--directory-path=data=${data}`,
  ]);
  const { stop } = await startServer({ name: "workerd", command, ready: () => serving(port) });
  return { port, versions: { workerd: version }, stop };
}
