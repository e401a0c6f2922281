// `frond start`: a node that serves an app.
//
// Rule: it opens in the order data, control socket, front door, services, and is ready after the last; a signal closes
// in the reverse order and waits for requests in work, a second one ends at once. An error that nobody caught ends the
// process: its state cannot be trusted, and the next start recovers everything that was acknowledged.

import type { Command } from "commander";
import path from "node:path";
import { FrondError } from "../errors.ts";
import { STOP_GRACE_MS } from "../limits.ts";
import { useLightGlobals } from "../server/answer.ts";
import { serveControl } from "../server/control.ts";
import type { ControlFront } from "../server/control.ts";
import { listenHttp } from "../server/http.ts";
import type { HttpFront } from "../server/http.ts";
import { createLogger } from "../server/logger.ts";
import type { LogFormat, LogLevel, Logger } from "../server/logger.ts";
import { openNode } from "../server/node.ts";
import type { Node } from "../server/node.ts";
import type { TrustProxy } from "../server/proxy.ts";
import type { Durability } from "../types.ts";
import { DEV_VARIABLE, tellParent } from "./devChannel.ts";
import { EXIT_FATAL } from "./exits.ts";
import { loadApp, reportLoads } from "./loadApp.ts";
import { START_DATA } from "./operator.ts";
import {
  dataOption,
  durabilityOption,
  listenFromEnvironment,
  listenOption,
  logFormatOption,
  logLevelOption,
  trustProxyOption,
} from "./options.ts";
import type { Listen } from "./options.ts";

interface StartOptions {
  readonly data?: string;
  readonly listen?: Listen;
  readonly durability: Durability;
  readonly trustProxy?: TrustProxy;
  readonly logLevel: LogLevel;
  readonly logFormat: LogFormat;
}

export const LISTEN_HELP = `
Without --listen it answers on 127.0.0.1:8080. The environment's PORT changes the port alone; only HOST or --listen
open it to other machines, as in --listen 0.0.0.0:8080.`;

const START_HELP = `${LISTEN_HELP}
Without --data: FROND_DATA, else ${START_DATA} in the current folder. One node at a time uses a data directory.

SIGTERM, SIGINT or SIGHUP stop it gracefully: no new connections, requests in work are finished (up to
${STOP_GRACE_MS / 1000} s), everything is flushed. A second signal ends it at once; nothing acknowledged is lost.

Exit codes: 0 stopped gracefully, 1 could not start, 2 wrong usage, ${EXIT_FATAL} failed while running (it recovers at
the next start), 129, 130 or 143 ended at once by a second signal.

Examples:
  frond start app.ts
  PORT=80 HOST=0.0.0.0 frond start app.ts --data /var/lib/shop --trust-proxy loopback`;

export function addStart(program: Command): void {
  program
    .command("start")
    .description("serve an app from a data directory")
    .argument("<app>", "TypeScript or JavaScript file whose default export is frond({ ... })")
    .addOption(dataOption(`data directory, created if absent (default ${START_DATA}; see below)`))
    .addOption(listenOption())
    .addOption(durabilityOption())
    .addOption(trustProxyOption())
    .addOption(logLevelOption("info"))
    .addOption(logFormatOption())
    .addHelpText("after", START_HELP)
    .action((app: string, options: StartOptions) => start(app, options));
}

async function start(file: string, options: StartOptions): Promise<void> {
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

  async open(file: string, options: StartOptions): Promise<void> {
    const log = this.#log;
    useLightGlobals();
    const app = await loadApp(file);
    const dataDirectory = path.resolve(options.data ?? (process.env["FROND_DATA"] || START_DATA));
    const { durability } = options;
    const node = await openNode({ app, dataDirectory, durability, log });
    this.#node = node;
    this.#control = await serveControl(dataDirectory, node.control);
    const front = await listenHttp({
      ...(options.listen ?? listenFromEnvironment(process.env)),
      handler: (request, info) => node.handle(request, info),
      log,
      trustProxy: options.trustProxy,
      state: () => (this.#ready ? node.state() : { ...node.state(), ready: false }),
    });
    this.#front = front;
    const { host, port } = front.address;
    node.listen = `${host.includes(":") ? `[${host}]` : host}:${port}`;
    await node.startServices();
    this.#ready = true;
    log.info({ data: path.relative("", dataDirectory) || ".", durability }, `ready on http://${node.listen}`);
  }

  async close(): Promise<void> {
    const wasReady = this.#ready;
    this.#ready = false;
    if (wasReady) this.#log.info("stopping: requests in work are finished");
    await this.#front?.stop(STOP_GRACE_MS);
    await this.#node?.stop();
    await this.#control?.stop();
    if (wasReady) this.#log.info("stopped");
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
  process.on("uncaughtException", (error, origin) => {
    const what =
      origin === "unhandledRejection" ? "a promise was rejected and nobody cared" : "an error was not caught";
    log.fatal({ err: error }, `${what}: the process ends, its next start recovers`);
    process.exit(EXIT_FATAL);
  });
}
