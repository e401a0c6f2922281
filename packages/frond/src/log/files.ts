// The files of a data directory's log: `log/<run>/<file>.log`, one folder a run, file numbers rising over all runs.
//
// Rule: a file's number never changes and is never used twice, so a LogPlace names the same bytes for ever.
// Rejected: a list of files in the catalog (the folder already is that list, and it cannot disagree with itself).

import fs from "node:fs";
import path from "node:path";
import type { RunId, RunNumber } from "../types.ts";

/** One log file as found on disk. */
export interface LogFileEntry {
  readonly number: number;
  readonly run: RunNumber;
  readonly path: string;
}

const RUN_FOLDER = /^(\d{10})$/;
const RUN_ID = /^[0-9a-f]{32}$/;
const SPARE = /^spare-\d+$/;
const LOG_FILE = /^(\d{10})\.log$/;

/** The folder of a run's log. */
export function runFolder(logFolder: string, run: RunNumber): string {
  return path.join(logFolder, digits(run));
}

/** The path of a log file of a run. */
export function logFilePath(logFolder: string, run: RunNumber, file: number): string {
  return path.join(runFolder(logFolder, run), `${digits(file)}.log`);
}

/** All log files in the order of their numbers, which is the order in which they were written. */
export function listLogFiles(logFolder: string): LogFileEntry[] {
  const found: LogFileEntry[] = [];
  for (const run of listRuns(logFolder)) {
    const folder = runFolder(logFolder, run);
    for (const name of fs.readdirSync(folder)) {
      const match = LOG_FILE.exec(name);
      if (match) found.push({ number: Number(match[1]), run, path: path.join(folder, name) });
    }
  }
  return found.sort((a, b) => a.number - b.number);
}

/** The runs that have a folder, lowest first. */
export function listRuns(logFolder: string): RunNumber[] {
  return fs
    .readdirSync(logFolder)
    .map((name) => RUN_FOLDER.exec(name)?.[1])
    .filter((match) => match !== undefined)
    .map((match) => Number(match) as RunNumber)
    .sort((a, b) => a - b);
}

/** The file in a run's folder that holds its name in the bucket. */
export const ID_FILE = "id";

/** The name of a run in the bucket; undefined where its folder does not tell. */
export function runIdOf(logFolder: string, run: RunNumber): RunId | undefined {
  try {
    const text = fs.readFileSync(path.join(runFolder(logFolder, run), ID_FILE), "utf8").trim();
    return RUN_ID.test(text) ? (text as RunId) : undefined;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}

/** Name of the space that a run allocates before it needs it. */
export function spareName(number: number): string {
  return `spare-${number}`;
}

/** True for what {@link spareName} gives. */
export function isSpare(name: string): boolean {
  return SPARE.test(name);
}

// Fixed width, so that a plain listing is in order.
function digits(value: number): string {
  return String(value).padStart(10, "0");
}
