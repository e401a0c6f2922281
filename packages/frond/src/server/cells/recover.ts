// The start of a node on its data directory: from what the last run left to what the next one may rely on.
//
// Rule: the decisions are in core/recovery; here they are carried out, in an order that can be interrupted anywhere and
// done again: what does not belong into the log is copied to lost+found before it is cut off, and the new run is written
// down before it writes anything else. What a start believes it first makes durable: a kill leaves bytes that only the
// page cache has, and a loss of power right after the start would take them away again, from under answers that rest on
// them.

import { randomBytes } from "node:crypto";
import fs from "node:fs";
import path from "node:path";
import type { DecodedRecord } from "../../codec/record.ts";
import { doubtfulThrough, isMissing, planTail } from "../../core/recovery.ts";
import { SlotTable } from "../../core/slots.ts";
import { FrondError } from "../../errors.ts";
import { ID_FILE, type LogFileEntry, listLogFiles, listRuns, runFolder, runIdOf } from "../../log/files.ts";
import { type FileScan, scanLogFile } from "../../log/scan.ts";
import type { Catalog, RunRow, SlotRow } from "../../store/catalog.ts";
import { type LogPlace, placeFile, placeOffset, type RunNumber } from "../../types.ts";
import { Applier } from "./applier.ts";
import { syncFile, syncFolder, writeDurably } from "../durably.ts";
import { removeSpares, type Report, reportOf, settleTail } from "./settle.ts";

/** What the new run starts with. */
export interface Recovered {
  readonly run: RunNumber;
  readonly runId: Buffer;
  readonly slots: SlotTable;
  readonly firstFile: number;
  /** See {@link doubtfulThrough}. */
  readonly doubtfulThrough: RunNumber;
  readonly reports: readonly Report[];
  /** The run before did not end cleanly. */
  readonly unclean: boolean;
  /** Records that were read from the log. Count. */
  readonly records: number;
}

/** Recovers a data directory under its lock, and writes down the new run. */
export function recover(directory: string, catalog: Catalog, boot: string): Recovered {
  const logFolder = path.join(directory, "log");
  const runs = catalog.runs();
  const read = readLog(directory, catalog, runs);
  const unknown = unknownRuns(
    logFolder,
    runs.map((row) => row.run),
  );
  const previous = runs.at(-1);
  for (const row of runs) if (row.ended === null) catalog.putRun({ ...row, ended: "unclean" });
  nameUnknownRuns(
    logFolder,
    catalog,
    runs.map((row) => row.run),
  );
  const run = (Math.max(0, ...listRuns(logFolder), ...runs.map((row) => row.run)) + 1) as RunNumber;
  const runId = randomBytes(16);
  const row: RunRow = { run, id: runId.toString("hex"), boot, startedMs: Date.now(), ...UNENDED };
  catalog.putRun(row);
  removeSpares(logFolder);
  makeRunFolder(logFolder, run, row.id);

  const slots = new SlotTable();
  for (const known of catalog.slots()) slots.load(known.slot, known);
  return {
    run,
    runId,
    slots,
    firstFile: read.firstFile,
    doubtfulThrough: Math.max(unknown, read.doubtful, doubtfulThrough(runs, boot)) as RunNumber,
    reports: read.reports,
    unclean: previous !== undefined && previous.ended !== "clean",
    records: read.records,
  };
}

/** How a run is written down that has just begun. */
export const UNENDED = { ended: null, synced: false, seal: 0 } as const;

/** Runs of which only the log is left: a catalog that is new has yet to know them, for what they wrote may not be in the bucket. */
function nameUnknownRuns(logFolder: string, catalog: Catalog, known: readonly RunNumber[]): void {
  for (const run of listRuns(logFolder)) {
    const id = known.includes(run) ? undefined : (runIdOf(logFolder, run) ?? claimedBy(logFolder, run));
    if (id !== undefined) catalog.putRun({ run, id, boot: "", startedMs: 0, ...UNENDED, ended: "unclean" });
  }
}

/** The name that a run gave itself in its first claim; undefined where it wrote nothing. */
function claimedBy(logFolder: string, run: RunNumber): string | undefined {
  let id: string | undefined;
  for (const entry of listLogFiles(logFolder)) {
    if (entry.run !== run || id !== undefined) continue;
    scanLogFile(entry, undefined, (record) => {
      if (record.type === "claim") id ??= Buffer.from(record.runId).toString("hex");
    });
  }
  return id;
}

/** Makes the folder of a run; its name is in there too, for a start without a catalog. */
export function makeRunFolder(logFolder: string, run: RunNumber, id: string): void {
  const folder = runFolder(logFolder, run);
  fs.mkdirSync(folder, { mode: 0o700 });
  writeDurably(path.join(folder, ID_FILE), Buffer.from(`${id}\n`));
  syncFolder(logFolder);
}

interface LogRead {
  readonly reports: readonly Report[];
  readonly records: number;
  readonly firstFile: number;
  /** Files of cells last made in this run or before may hold what the log has lost. 0 = none. */
  readonly doubtful: number;
}

/** Brings the catalog up to the log, and ends the log of the last run where it can be believed no further. */
function readLog(directory: string, catalog: Catalog, runs: readonly RunRow[]): LogRead {
  const logFolder = path.join(directory, "log");
  const files = listLogFiles(logFolder);
  const last = files.at(-1);
  const lastRun = (last?.run ?? 0) as RunNumber;
  // A number is never used twice, also where the catalog alone remembers the file.
  const firstFile = Math.max(last?.number ?? 0, placeFile(catalog.highestPlace), catalog.coveredFile - 1) + 1;
  for (const file of files) if (file.run === lastRun && file.number >= catalog.coveredFile) syncFile(file.path);
  let reading = scanAll(files, catalog, lastRun);
  const missing = isAhead(directory, catalog, reading.scans);
  if (missing) reading = startOver(files, catalog, lastRun);
  const tail = reading.scans.filter((scan) => scan.entry.run === lastRun);
  const clean = runs.find((row) => row.run === lastRun)?.ended === "clean";
  const plan = planTail(tail, { clean, missing });
  const report = reportOf(plan, tail, lastRun, logFolder);
  settleTail(directory, tail, plan, report);
  catalog.batch(() => catalog.cover(firstFile));
  const reports = report === undefined ? reading.reports : [...reading.reports, report];
  const doubtful = reports.length === 0 ? 0 : Math.max(lastRun, ...runs.map((row) => row.run));
  return { reports, records: reading.records, firstFile, doubtful };
}

/**
 * The catalog knows of a record that the log does not hold (any more). Throws DATA_DAMAGED when its whole file is gone:
 * somebody has moved it, and to go on without it would throw away the files of cells, which may be the last copy.
 */
function isAhead(directory: string, catalog: Catalog, scans: readonly FileScan[]): boolean {
  const place = catalog.highestPlace;
  // What is covered was settled by an earlier start.
  if (place === 0 || placeFile(place) < catalog.coveredFile) return false;
  const number = placeFile(place);
  if (!scans.some((scan) => scan.entry.number === number)) {
    throw new FrondError(
      "DATA_DAMAGED",
      `log file ${number}, which held acknowledged commits, is gone from ${directory}/log; restore it. To start with what is left, and lose them, delete catalog.db`,
    );
  }
  const read = scans.map((scan) => ({
    file: scan.entry.number,
    validBytes: scan.validBytes,
    damaged: scan.damage !== undefined,
  }));
  return isMissing(number, placeOffset(place), read);
}

interface Reading {
  readonly scans: readonly FileScan[];
  readonly reports: readonly Report[];
  readonly records: number;
}

/** Makes the catalog anew from all of the log; only the epochs that it knew of stay used. */
function startOver(files: readonly LogFileEntry[], catalog: Catalog, lastRun: RunNumber): Reading {
  const known = catalog.slots();
  catalog.batch(() => catalog.forget());
  const reading = scanAll(files, catalog, lastRun);
  const present = new Map<number, SlotRow>(catalog.slots().map((row) => [row.slot, row]));
  catalog.batch(() => {
    for (const row of known) catalog.putSlot({ ...row, txid: present.get(row.slot)?.txid ?? (0 as SlotRow["txid"]) });
  });
  return reading;
}

function scanAll(files: readonly LogFileEntry[], catalog: Catalog, lastRun: RunNumber): Reading {
  const applier = new Applier(catalog);
  const reports: Report[] = [];
  const scans: FileScan[] = [];
  const from = catalog.coveredFile;
  let before: FileScan | undefined;
  let stopped = false;
  for (const entry of files) {
    if (entry.number < from) continue;
    const follows = before !== undefined && before.entry.run === entry.run && before.damage === undefined;
    const apply = (record: DecodedRecord, place: LogPlace): void => {
      if (!stopped) applier.apply(record, place, entry.run);
    };
    const behind = entry.run === lastRun ? "stop" : "go on";
    const scan = scanLogFile(entry, follows ? before?.endLsn : undefined, apply, behind);
    scans.push(scan);
    before = scan;
    if (scan.damage === undefined) continue;
    if (entry.run === lastRun) stopped = true;
    // An earlier run was settled at its own end: damage there came later, and costs the cells that need those records.
    else reports.push({ kind: "damage", file: entry.path, offset: scan.damage.offset, text: scan.damage.reason });
  }
  applier.flush();
  return { scans, reports, records: applier.records };
}

// Runs with a log that the catalog knows nothing of: the catalog is new, so no file of theirs can be believed.
function unknownRuns(logFolder: string, known: readonly RunNumber[]): number {
  const unknown = listRuns(logFolder).filter((run) => !known.includes(run));
  return Math.max(0, ...unknown);
}
