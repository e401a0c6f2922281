// Runs of a directory that are over: what nothing refers to any more goes, so that a start costs the same after the first run and
// after the five thousandth.
//
// Rules.
// - Only of a run whose log is sealed in the bucket, and known to be.
// - Of the log files of such runs the latest stay, as LogTrimmer has it for their bytes; a folder goes when it holds nothing but the
//   name of its run; a row goes behind its folder, which would make the run one that nobody knows.
// - A row stays when a slot was last opened in its run, when it is the last that was sealed, and when it tells that files of cells
//   are not to be believed (core/recovery): of those the latest of this boot and the latest of any other say as much as all.
// In the bucket the seal of a run stays for ever (0015).

import fs from "node:fs";
import path from "node:path";
import { ID_FILE, listLogFiles, listRuns, runFolder } from "../../log/files.ts";
import type { Catalog, RunRow } from "../../store/catalog.ts";
import type { RunNumber } from "../../types.ts";

/** Log files that stay, however small they are. Count. */
const KEPT_FILES = 64;

/** Forgets what is not needed of the runs before `own`. `keep`: ids of runs that stay known. */
export function forgetOldRuns(directory: string, catalog: Catalog, own: RunNumber, keep: readonly string[]): void {
  const logFolder = path.join(directory, "log");
  const rows = catalog.runs();
  const sealed = new Map(rows.filter(({ run, seal }) => run < own && seal > 0).map((row) => [row.run, row]));
  removeFiles(logFolder, catalog, sealed);
  for (const run of listRuns(logFolder)) {
    const folder = runFolder(logFolder, run);
    if (sealed.has(run) && fs.readdirSync(folder).every((name) => name === ID_FILE))
      fs.rmSync(folder, { recursive: true });
  }
  const needed = neededRows(rows, catalog, own);
  const there = new Set(listRuns(logFolder));
  const going = [...sealed.values()].filter(({ run, id }) => !needed.has(run) && !there.has(run) && !keep.includes(id));
  if (going.length === 0) return;
  catalog.batch(() => {
    for (const { run } of going) catalog.removeRun(run);
  });
}

function removeFiles(logFolder: string, catalog: Catalog, sealed: ReadonlyMap<RunNumber, RunRow>): void {
  const files = listLogFiles(logFolder);
  const going = files
    .slice(0, Math.max(0, files.length - KEPT_FILES))
    .filter(({ run, number }) => sealed.has(run) && number < catalog.coveredFile);
  if (going.length === 0) return;
  // Else their absence would look like damage after a loss of power.
  catalog.sync();
  for (const { path: file } of going) fs.rmSync(file);
}

function neededRows(rows: readonly RunRow[], catalog: Catalog, own: RunNumber): ReadonlySet<RunNumber> {
  const boot = rows.find(({ run }) => run === own)?.boot;
  const doubtful = rows.filter(({ run, ended, synced }) => run < own && !(ended === "clean" && synced));
  const last = [
    rows.findLast(({ seal }) => seal > 0),
    doubtful.findLast((row) => row.boot === boot),
    doubtful.findLast((row) => row.boot !== boot),
  ];
  return new Set([...catalog.openedRuns(), ...last.flatMap((row) => (row === undefined ? [] : [row.run]))]);
}
