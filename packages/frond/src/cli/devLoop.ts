// What `frond dev` does: `frond start`, again and again, for whoever is writing the app.
//
// Rule: every change gives a new process, started only when the old one has stopped gracefully (the data directory has
// one user at a time) and on the same port. An app that cannot start is shown with its error and waits for the next
// change; one that dies while it serves is started again after a growing pause; what no change of the app can cure (a port in use, a locked directory) ends the command.

import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { STOP_GRACE_MS } from "../limits.ts";
import { createLogger } from "../server/logger.ts";
import type { Logger } from "../server/logger.ts";
import type { LogFormat, LogLevel } from "../server/logLine.ts";
import { DEV_VARIABLE, HOSTS_VARIABLE } from "./devChannel.ts";
import type { DevMessage } from "./devChannel.ts";
import { EXIT_FAILED, EXIT_FATAL, EXIT_STUCK } from "./exits.ts";
import { checkAppFile } from "./loadApp.ts";
import { bucketArguments, listenFromEnvironment } from "./options.ts";
import type { BucketFlags, Listen } from "./options.ts";
import { Watch } from "./watch.ts";

/** The options of `frond dev`, checked. */
export interface DevOptions extends BucketFlags {
  readonly data: string;
  readonly listen?: Listen;
  readonly allowHost?: readonly string[];
  readonly durability: string;
  readonly maxSyncMs: number;
  readonly logLevel: LogLevel;
  readonly logFormat: LogFormat;
}

/** A process of the app takes a little longer than its requests to stop; then it is ended. */
const KILL_MS = STOP_GRACE_MS + 5_000;
/** Wait before an app that died while it served is started again, in ms: doubled each time, the first after a change. */
const FIRST_BACK_OFF_MS = 1_000;
const MOST_BACK_OFF_MS = 30_000;
/** Ends of an app that had served, after which it is started again without a change. */
const RESTARTED: ReadonlySet<string> = new Set([`code ${EXIT_FATAL}`, `code ${EXIT_STUCK}`]);
/** Failures that another version of the app can cure. */
const CURABLE: ReadonlySet<string | undefined> = new Set([undefined, "APP_FAILED", "NOT_AN_APP"]);

/** One run of `frond dev`. Throws NOT_AN_APP when there is no such file. */
export class Dev {
  readonly #file: string;
  readonly #options: DevOptions;
  readonly #log: Logger;
  readonly #watch: Watch;
  #listen: Listen;
  #child: ChildProcess | undefined;
  #stopping = false;
  #backOffMs = FIRST_BACK_OFF_MS;
  /** Ends the wait for a change when the command is stopped. */
  #wake: (() => void) | undefined;

  constructor(file: string, options: DevOptions) {
    checkAppFile(file);
    this.#file = file;
    this.#options = options;
    this.#listen = options.listen ?? listenFromEnvironment(process.env);
    this.#log = createLogger({ level: options.logLevel, format: options.logFormat });
    this.#watch = new Watch(path.dirname(path.resolve(file)), path.resolve(options.data));
  }

  async run(): Promise<void> {
    process.on("SIGINT", () => this.#stop(130));
    process.on("SIGTERM", () => this.#stop(143));
    let change = this.#watch.next();
    while (!this.#stopping) {
      const ended = this.#startChild();
      const first = await Promise.race([change, ended]);
      if (this.#stopping) await ended;
      else if (Array.isArray(first)) await this.#endChild(ended);
      else {
        const next = await this.#waitAfter(first, change);
        if (next === "end") break;
        if (next === "again") continue;
      }
      if (this.#stopping) break;
      this.#backOffMs = FIRST_BACK_OFF_MS;
      this.#log.info({ changed: this.#shown(await change) }, "restarting");
      change = this.#watch.next();
    }
    this.#watch.close();
  }

  /** Starts the app; resolves when its process has ended. */
  #startChild(): Promise<Ended> {
    const { data, durability, maxSyncMs, logLevel, logFormat, allowHost = [] } = this.#options;
    const { host, port } = this.#listen;
    const listen = `${host.includes(":") ? `[${host}]` : host}:${port}`;
    const program = [...process.execArgv, process.argv[1] as string, "start", this.#file];
    const options = [
      "--data",
      data,
      "--listen",
      listen,
      "--durability",
      durability,
      "--max-sync-ms",
      String(maxSyncMs),
      ...bucketArguments(this.#options),
    ];
    const logging = ["--log-level", logLevel, "--log-format", logFormat];
    const child = spawn(process.execPath, [...program, ...options, ...logging], {
      stdio: ["ignore", "inherit", "inherit", "ipc"],
      // What the machine serves for good must not be written into by an app that is being made.
      env: { ...process.env, FROND_BUCKET: "", [DEV_VARIABLE]: "1", [HOSTS_VARIABLE]: allowHost.join(",") },
    });
    this.#child = child;
    let failed: string | undefined;
    let listened = false;
    child.on("message", (message: DevMessage) => {
      if (message.loaded !== undefined) this.#watch.addFile(message.loaded);
      if (message.failed !== undefined) failed = message.failed;
      if (message.listening === undefined) return;
      // With port 0 the first process finds one; the next ones keep it.
      this.#listen = { host, port: message.listening.port };
      listened = true;
    });
    return new Promise((resolve) => {
      child.on("exit", (code, signal) => resolve({ how: signal ?? `code ${code}`, failed, listened }));
    });
  }

  async #endChild(ended: Promise<Ended>): Promise<void> {
    const child = this.#child as ChildProcess;
    child.kill("SIGTERM");
    const timer = setTimeout(() => child.kill("SIGKILL"), KILL_MS);
    await ended;
    clearTimeout(timer);
  }

  /** The app ended by itself: waits for a change, unless none can help; what had served is soon started again. */
  async #waitAfter(ended: Ended, change: Promise<string[]>): Promise<"end" | "again" | "changed"> {
    if (!ended.listened && !CURABLE.has(ended.failed)) {
      process.exitCode = EXIT_FAILED;
      return "end";
    }
    const woken = new Promise<"end">((resolve) => (this.#wake = () => resolve("end")));
    const changed = change.then(() => "changed" as const);
    if (!ended.listened || !RESTARTED.has(ended.how)) {
      this.#log.warn(`the app ended (${ended.how}); waiting for a change`);
      return Promise.race([changed, woken]);
    }
    const backOffMs = this.#backOffMs;
    this.#backOffMs = Math.min(2 * backOffMs, MOST_BACK_OFF_MS);
    const when = `it starts again in ${backOffMs / 1000} s, or when a file changes`;
    this.#log.warn(`the app ended (${ended.how}); ${when}`);
    const waiting = new AbortController();
    const passed = sleep(backOffMs, "again" as const, { signal: waiting.signal });
    passed.catch(() => {});
    const next = await Promise.race([changed, woken, passed]);
    waiting.abort();
    return next;
  }

  #stop(code: number): void {
    if (this.#stopping) {
      this.#child?.kill("SIGKILL");
      process.exit(code);
    }
    this.#stopping = true;
    this.#child?.kill("SIGTERM");
    this.#wake?.();
  }

  #shown(changed: readonly string[]): string {
    const names = changed.map((file) => path.relative("", file));
    return names.length <= 3 ? names.join(", ") : `${names.slice(0, 3).join(", ")} and ${names.length - 3} more`;
  }
}

interface Ended {
  readonly how: string;
  /** Code of the error that kept it from starting. */
  readonly failed: string | undefined;
  readonly listened: boolean;
}
