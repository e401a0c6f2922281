// The demo's server: the mail app under `frond start`, in a process of its own, as an operator would run it.
//
// Rule: it is a real process with a real process id, so that it can be killed with -9; nothing of it lives in the demo.
// A second start on the same folder takes nothing from a server that runs there, its log neither: it says where that is.

import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, fstatSync, mkdirSync, openSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { createRequire } from "node:module";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

const MAIL_APP = path.join(import.meta.dirname, "..", "app.ts");
const HOST = "127.0.0.1";
const POLL_MS = 50;
/** Lines of the server's log that are shown when it does not start. */
const SHOWN_LOG_LINES = 12;
/** Where the running server's process id and page stand, in the demo's folder. */
const ADDRESS_FILE = "running.json";

/** Where the server keeps its things and where it listens. */
export interface ServerOptions {
  /** Folder for the data directory and the log. */
  readonly folder: string;
  readonly port: number;
  readonly smtpPort: number;
  /** Further environment, and another app for the same cells: for tests. */
  readonly environment?: Record<string, string>;
  readonly app?: string;
}

/** A running mail server. */
export interface MailServer {
  readonly pid: number;
  readonly host: string;
  readonly port: number;
  readonly smtpPort: number;
  readonly dataDirectory: string;
  /** Resolves when the process has ended: to its exit code, or to the signal that killed it. */
  readonly ended: Promise<number | NodeJS.Signals>;
  /** Ends it gracefully and waits until it has. */
  stop(): Promise<void>;
}

/**
 * Starts the server and waits until it is ready. Throws with the end of its log if it ends before that, and with the
 * address of the running server if there is one in this folder.
 */
export async function startServer(options: ServerOptions): Promise<MailServer> {
  const dataDirectory = path.join(options.folder, "data");
  const logFile = path.join(options.folder, "server.log");
  mkdirSync(options.folder, { recursive: true });
  // Appended: the folder may be that of a running server, which writes there.
  const log = openSync(logFile, "a");
  const logStart = fstatSync(log).size;
  const child = spawn(process.execPath, commandLine(options.app ?? MAIL_APP, dataDirectory, options.port), {
    env: { ...process.env, SMTP_LISTEN: `${HOST}:${options.smtpPort}`, ...options.environment },
    stdio: ["ignore", log, log],
    // A group of its own: Ctrl-C reaches the demo alone, which then stops the server gracefully.
    detached: true,
  });
  closeSync(log);
  const ended = new Promise<number | NodeJS.Signals>((resolve) => {
    child.once("exit", (code, signal) => resolve(signal ?? code ?? 1));
  });
  if (!(await untilReady(child, options.port, dataDirectory))) throw notStarted(options.folder, logFile, logStart);
  const pid = child.pid as number;
  const addressFile = path.join(options.folder, ADDRESS_FILE);
  writeFileSync(addressFile, JSON.stringify({ pid, page: `http://${HOST}:${options.port}/` }));
  return {
    pid,
    host: HOST,
    port: options.port,
    smtpPort: options.smtpPort,
    dataDirectory,
    ended,
    stop: async () => {
      child.kill("SIGTERM");
      await ended;
      rmSync(addressFile, { force: true });
    },
  };
}

/** The wanted port if nobody has it, else any free one. Between this answer and its use somebody else may take it. */
export async function freePort(wanted = 0): Promise<number> {
  return (await tryPort(wanted)) ?? (await tryPort(0)) ?? wanted;
}

function tryPort(port: number): Promise<number | undefined> {
  return new Promise((resolve) => {
    const probe = createServer();
    probe.once("error", () => resolve(undefined));
    probe.listen({ port, host: HOST, exclusive: true }, () => {
      const address = probe.address();
      probe.close(() => resolve(typeof address === "object" ? address?.port : undefined));
    });
  });
}

function commandLine(app: string, dataDirectory: string, port: number): string[] {
  const frond = createRequire(import.meta.url).resolve("frond/package.json");
  return [
    path.join(path.dirname(frond), "bin", "frond.js"),
    "start",
    app,
    "--data",
    dataDirectory,
    "--listen",
    `${HOST}:${port}`,
  ];
}

// False if the process ended before it was ready.
async function untilReady(child: ChildProcess, port: number, dataDirectory: string): Promise<boolean> {
  while (child.exitCode === null && child.signalCode === null) {
    const response = await fetch(`http://${HOST}:${port}/_frond/ready`).catch(() => undefined);
    // It may be another server that answers at the wanted port.
    if (response?.ok === true && lockOwner(dataDirectory) === String(child.pid)) return true;
    await sleep(POLL_MS);
  }
  return false;
}

function notStarted(folder: string, logFile: string, logStart: number): Error {
  const log = readFileSync(logFile).subarray(logStart).toString("utf8").trimEnd();
  if (log.includes("DATA_LOCKED")) return new Error(alreadyRunning(folder));
  return new Error(`the server did not start:\n${log.split("\n").slice(-SHOWN_LOG_LINES).join("\n")}`);
}

function alreadyRunning(folder: string): string {
  const pid = lockOwner(path.join(folder, "data"));
  const known = JSON.parse(readText(path.join(folder, ADDRESS_FILE)) ?? "{}") as { pid?: number; page?: string };
  // The note outlives a demo that was killed; the lock does not.
  const where = known.page !== undefined && String(known.pid) === pid ? known.page : `its data is in ${folder}`;
  const stop = pid === undefined ? "press Ctrl-C where it runs" : `press Ctrl-C where it runs, or: kill ${pid}`;
  return `the demo already runs: ${where}${pid === undefined ? "" : ` (process ${pid})`}
  To stop it, ${stop}
  For a second one beside it give another folder with --data; --port and --smtp-port choose its ports.`;
}

// The process id of the server that has the data, or had it and was killed.
function lockOwner(dataDirectory: string): string | undefined {
  return readText(path.join(dataDirectory, "lock.pid"))?.trim();
}

function readText(file: string): string | undefined {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return undefined;
  }
}
