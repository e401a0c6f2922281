// What the figures were measured on, and the pinning of processes to its cores.
//
// Rule: a result carries every condition a reader needs to doubt it: processor, kernel, file system, what a sync costs
// on this disk, versions, commit, and the load that the machine already had.

import { execFileSync } from "node:child_process";
import { closeSync, fdatasyncSync, openSync, readFileSync, statfsSync, unlinkSync, writeSync } from "node:fs";
import { cpus, loadavg, release, totalmem } from "node:os";
import { join } from "node:path";
import { median } from "./method.ts";

const CORES = allowedCores();
/** Core of the process that serves HTTP, and core of the driver: the first two that this process may use. */
export const SERVER_CORE = CORES[0] ?? "0";
export const DRIVER_CORE = CORES[1] ?? SERVER_CORE;

/** Syncs that the p50 is taken from. Count. */
const SYNCS = 200;

/** Everything about the machine and the versions that stands beside the figures. */
export interface Conditions {
  readonly date: string;
  readonly commit: string;
  readonly processor: string;
  readonly cores: number;
  readonly memoryGiB: number;
  readonly kernel: string;
  readonly fileSystem: string;
  /** Median time of writing 4 KiB and fdatasync in the data directory, in ms. */
  readonly syncMs: number;
  /** Load average over the minute before the run. */
  readonly loadBefore: number;
  readonly versions: Readonly<Record<string, string>>;
}

/** A command line that stays on the given core; elsewhere than on Linux, where no bench runs, the command as it is. */
export function pinned(core: string, command: readonly string[]): string[] {
  return process.platform === "linux" ? ["taskset", "-c", core, ...command] : [...command];
}

/** Throws unless this machine can run the bench at all. */
export function checkMachine(): void {
  if (process.platform !== "linux") throw new Error("the bench pins processes with taskset: it runs on Linux only");
  if (CORES.length < 2) throw new Error("the bench needs two cores: one for the server, one for the driver");
}

/** Measures and collects the conditions; `directory` is where the targets will keep their data. */
export function conditions(directory: string, versions: Readonly<Record<string, string>>): Conditions {
  return {
    date: new Date().toISOString().slice(0, 16).replace("T", " ") + " UTC",
    commit: commit(),
    processor: cpus()[0]?.model ?? "unknown",
    cores: cpus().length,
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    kernel: release(),
    fileSystem: fileSystem(directory),
    syncMs: syncMs(directory),
    loadBefore: loadavg()[0] ?? 0,
    versions: { node: process.versions.node, sqlite: process.versions["sqlite"] ?? "unknown", ...versions },
  };
}

/** The cores that this process may use, which in a container need not begin at 0. */
function allowedCores(): string[] {
  if (process.platform !== "linux") return [];
  const list = /^Cpus_allowed_list:\s*(\S+)$/m.exec(readFileSync("/proc/self/status", "utf8"))?.[1] ?? "0";
  return list.split(",").flatMap((range) => {
    const [first, last = first] = range.split("-").map(Number) as [number, number?];
    return Array.from({ length: last - first + 1 }, (_, i) => String(first + i));
  });
}

function commit(): string {
  try {
    const git = (...args: string[]): string =>
      execFileSync("git", args, { cwd: import.meta.dirname, encoding: "utf8" }).trim();
    const changed = git("status", "--porcelain", "--untracked-files=no") !== "";
    return git("rev-parse", "--short", "HEAD") + (changed ? " with local changes" : "");
  } catch {
    return "unknown";
  }
}

function fileSystem(directory: string): string {
  // The longest mount point that holds the directory is its file system.
  const device = statfsSync(directory).type;
  const mounts = readFileSync("/proc/mounts", "utf8")
    .split("\n")
    .map((line) => line.split(" "));
  const holding = mounts.filter(([, at]) => at !== undefined && (at === "/" || `${directory}/`.startsWith(`${at}/`)));
  holding.sort((a, b) => (a[1] as string).length - (b[1] as string).length);
  return holding.at(-1)?.[2] ?? `type 0x${device.toString(16)}`;
}

function syncMs(directory: string): number {
  const path = join(directory, "sync-probe");
  const file = openSync(path, "w");
  const page = Buffer.alloc(4096, 1);
  // Written once in full first, so that the probe measures data syncs and not the growth of a file.
  for (let i = 0; i < SYNCS; i++) writeSync(file, page, 0, page.length, i * page.length);
  fdatasyncSync(file);
  const times: number[] = [];
  for (let i = 0; i < SYNCS; i++) {
    const start = performance.now();
    writeSync(file, page, 0, page.length, i * page.length);
    fdatasyncSync(file);
    times.push(performance.now() - start);
  }
  closeSync(file);
  unlinkSync(path);
  return median(times);
}
