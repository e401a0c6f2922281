// A node that serves an app, from its start to its end: what `frond start` does.
//
// Rule: after a look whether the address is free it opens in the order data, control socket, front door, services, and is ready after the last; a signal closes
// in the reverse order and waits for requests in work, a second one ends at once. An error that nobody caught ends the
// process: its state cannot be trusted, and the next start recovers everything that was acknowledged. A rejected promise
// that nobody awaits is only logged: one forgotten `await` in one cell must not take every other cell along.

import { mkdirSync } from "node:fs";
import path from "node:path";
import { FrondError } from "../errors.ts";
import { STOP_GRACE_MS } from "../limits.ts";
import { useLightGlobals } from "../server/door/answer.ts";
import { serveControl } from "../server/operator/control.ts";
import type { ControlFront } from "../server/operator/control.ts";
import { steadyLog } from "../server/door/floods.ts";
import { allowHosts } from "../server/door/hostNames.ts";
import { checkListen } from "../server/door/listen.ts";
import { listenHttp } from "../server/door/http.ts";
import type { HttpFront } from "../server/door/http.ts";
import { createLogger } from "../server/logger.ts";
import type { Logger } from "../server/logger.ts";
import type { LogFormat, LogLevel } from "../server/logLine.ts";
import { openNode } from "../server/openNode.ts";
import type { Node } from "../server/node.ts";
import type { TrustProxy } from "../server/door/proxy.ts";
import type { Durability } from "../types.ts";
import { DEV_VARIABLE, HOSTS_VARIABLE, tellParent } from "./devChannel.ts";
import { EXIT_FATAL } from "./exits.ts";
import { reportLoads } from "./hooks.ts";
import { loadApp } from "./loadApp.ts";
import { START_DATA } from "./operator.ts";
import { bucketFrom, listenFromEnvironment } from "./options.ts";
import type { BucketFlags, Listen } from "./options.ts";

/** The options of `frond start`, checked. */
export interface ServeOptions extends BucketFlags {
  readonly ttlMs: number;
  /** In ms. */
  readonly retention: number;
  readonly data?: string;
  readonly listen?: Listen;
  readonly durability: Durability;
  /** See NodeOptions; 0 = no limit. */
  readonly maxSyncMs: number;
  readonly trustProxy?: TrustProxy;
  readonly logLevel: LogLevel;
  readonly logFormat: LogFormat;
}

/** Serves the app of `file` until a signal. Throws what kept it from starting; else it ends the process itself. */
export async function serve(file: string, options: ServeOptions): Promise<void> {
  const log = createLogger({ level: options.logLevel, format: options.logFormat });
  endOnUncaught(log);
  const inDev = process.env[DEV_VARIABLE] !== undefined && process.send !== undefined;
  if (inDev) reportLoads((loaded) => tellParent({ loaded }));
  const running = new Running(log);
  try {
    const stopAsked = listenForSignals(inDev);
    await running.open(file, options);
    if (inDev) tellParent({ listening: running.address });
    await stopAsked;
    await running.close();
  } catch (error) {
    if (inDev && error instanceof FrondError) tellParent({ failed: error.code });
    await running.close().catch((err: unknown) => log.error({ err }, "what was open could not be closed cleanly"));
    throw error;
  }
  // A timer that the app left behind must not keep a stopped node alive.
  process.exit(0);
}

/** What is open, closed in the reverse order by `close`, also half-way. */
class Running {
  readonly #log: Logger;
  #node: Node | undefined;
  #control: ControlFront | undefined;
  #front: HttpFront | undefined;
  #ready = false;

  constructor(log: Logger) {
    this.#log = log;
  }

  get address(): Listen | undefined {
    return this.#front?.address;
  }

  async open(file: string, options: ServeOptions): Promise<void> {
    const log = this.#log;
    useLightGlobals();
    const app = await loadApp(file);
    const dataDirectory = path.resolve(options.data ?? (process.env["FROND_DATA"] || START_DATA));
    const { durability, maxSyncMs, ttlMs, retention } = options;
    const bucket = bucketFrom(options) ?? "as before";
    const listen = options.listen ?? listenFromEnvironment(process.env);
    // Before anything is made on disk: a start that cannot listen must not leave a data directory behind.
    await checkListen(listen);
    makeDirectory(dataDirectory);
    const node = await openNode({
      app,
      dataDirectory,
      durability,
      maxSyncMs,
      bucket,
      ttlMs,
      retentionMs: retention,
      log,
      dev: process.env[DEV_VARIABLE] !== undefined,
    });
    this.#node = node;
    this.#control = await serveControl(dataDirectory, node.control);
    const front = await listenHttp({
      ...listen,
      handler: (request, info) => node.handle(request, info),
      calls: node.handleCall,
      upgrades: node.upgrades,
      log,
      trustProxy: options.trustProxy,
      ...(process.env[DEV_VARIABLE] !== undefined && {
        tellFailures: { dataDirectory },
        allowsHost: allowHosts([listen.host, ...(process.env[HOSTS_VARIABLE] ?? "").split(",")]),
      }),
      state: () => (this.#ready ? node.state() : { ...node.state(), ready: false }),
    });
    this.#front = front;
    const { host, port } = front.address;
    node.listen = `${host.includes(":") ? `[${host}]` : host}:${port}`;
    await node.startServices();
    // Not before: what an app loads at its start may take its time.
    const { logLevel, logFormat } = options;
    const text = logFormat === "text" || (logFormat === "auto" && process.stdout.isTTY === true);
    node.watch({ door: front, logLevel, logFormat: text ? "text" : "json" });
    this.#ready = true;
    log.info({ data: path.relative("", dataDirectory) || ".", durability }, `ready on http://${node.listen}`);
  }

  async close(): Promise<void> {
    const wasReady = this.#ready;
    this.#ready = false;
    if (wasReady) this.#log.info("stopping: requests in work are finished");
    await this.#front?.stop(STOP_GRACE_MS);
    // Before the lock is free: a node that starts then must find its own socket in place.
    await this.#control?.stop();
    await this.#node?.stop();
    if (wasReady) this.#log.info("stopped");
  }
}

function makeDirectory(directory: string): void {
  try {
    mkdirSync(directory, { recursive: true, mode: 0o700 });
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code !== "EEXIST" && code !== "ENOTDIR") throw error;
    const what = `${directory} cannot be a data directory: there is a file in its place; name another one with --data`;
    throw new FrondError("NO_DATA", what, { cause: error });
  }
}

const SIGNALS: readonly (readonly [NodeJS.Signals, number])[] = [
  ["SIGTERM", 143],
  ["SIGINT", 130],
  ["SIGHUP", 129],
];

/** Resolves at the first signal; the second one ends the process. Under `frond dev` its parent decides, not the terminal. */
function listenForSignals(inDev: boolean): Promise<void> {
  return new Promise((resolve) => {
    let asked = false;
    const ask = (code: number): void => {
      if (asked) process.exit(code);
      asked = true;
      resolve();
    };
    for (const [signal, code] of SIGNALS)
      process.on(signal, () => (inDev && signal !== "SIGTERM" ? undefined : ask(code)));
    if (inDev) process.on("disconnect", () => ask(EXIT_FATAL));
  });
}

function endOnUncaught(log: Logger): void {
  const { error: tell } = steadyLog(log);
  process.on("unhandledRejection", (error) => {
    tell({ err: error }, "a promise was rejected and nobody awaited it");
  });
  process.on("uncaughtException", (error) => {
    log.fatal({ err: error }, "an error was not caught: the process ends, its next start recovers");
    process.exit(EXIT_FATAL);
  });
}
