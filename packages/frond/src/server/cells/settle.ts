// Ending the log of the last run: cutting off what cannot be believed, and keeping it where an operator finds it.
//
// Rule: every step can be interrupted and done again. First the lost part is written to lost+found, with a report beside it
// that a person can read; then the batch that was cut says in its header what is left of it, so that a later scan of the
// file finds it whole; then the file is cut. What comes later never reads beyond the cut.

import fs from "node:fs";
import path from "node:path";
import { BATCH_HEADER_BYTES, encodeBatchHeader } from "../../codec/logfile.ts";
import type { TailPlan, TailStep } from "../../core/recovery.ts";
import { isSpare, listRuns, runFolder } from "../../log/files.ts";
import type { FileScan } from "../../log/scan.ts";
import type { RunNumber } from "../../types.ts";
import { syncFolder, writeDurably } from "../durably.ts";

/** Something an operator should know: shown at the start and by `frond status`. */
export interface Report {
  /** `torn`: the log ended in an unfinished write, as a kill or a power loss leaves it. `damage`: what was acknowledged is lost. */
  readonly kind: "torn" | "damage";
  readonly file: string;
  readonly offset: number;
  readonly text: string;
}

/** What the plan amounts to, or undefined when the log ends as it should. `logFolder` stands for a file that is missing. */
export function reportOf(
  plan: TailPlan,
  scans: readonly FileScan[],
  run: RunNumber,
  logFolder: string,
): Report | undefined {
  const damaged = scans[plan.damaged];
  if (damaged === undefined && !plan.acknowledgedLost) return undefined;
  const last = damaged ?? scans.findLast((scan) => scan.validBytes > 0);
  const file = last?.entry.path ?? logFolder;
  const offset = damaged?.damage?.offset ?? last?.validBytes ?? 0;
  const reason = damaged?.damage?.reason ?? `${file} ends at offset ${offset}, and records behind it were known`;
  const verdict = plan.acknowledgedLost
    ? "Commits behind it had been acknowledged: they are lost, and the disk is at fault"
    : "Nothing says that what stood behind had been acknowledged: it looks like a write that a kill or a loss of power interrupted";
  const kept = damaged === undefined ? "" : ". What stood there is in lost+found";
  const text = `${reason}. The log of run ${run} ends there. ${verdict}${kept}`;
  return { kind: plan.acknowledgedLost ? "damage" : "torn", file, offset, text };
}

/** Carries out the plan for the files of the last run. */
export function settleTail(
  directory: string,
  scans: readonly FileScan[],
  plan: TailPlan,
  report: Report | undefined,
): void {
  for (const [i, step] of plan.steps.entries()) settleFile(directory, scans[i] as FileScan, step, report);
}

/** Removes the space that runs before this one had allocated and not used. */
export function removeSpares(logFolder: string): void {
  for (const run of listRuns(logFolder)) {
    const folder = runFolder(logFolder, run);
    for (const name of fs.readdirSync(folder)) if (isSpare(name)) fs.rmSync(path.join(folder, name));
  }
}

function settleFile(directory: string, scan: FileScan, step: TailStep, report: Report | undefined): void {
  if (step.do === "keep") return;
  const { path: file } = scan.entry;
  if (step.do === "cut") keepLost(directory, scan, step.bytes, report);
  // A file that was cut stays, empty: were this start interrupted, its absence would look like a file that was moved away.
  if (step.do === "trim" && step.bytes === 0) fs.rmSync(file);
  else {
    const fd = fs.openSync(file, "r+");
    if (step.do === "cut") shortenBatch(fd, scan);
    fs.ftruncateSync(fd, step.bytes);
    fs.fsyncSync(fd);
    fs.closeSync(fd);
  }
  syncFolder(path.dirname(file));
}

function shortenBatch(fd: number, scan: FileScan): void {
  const { torn } = scan;
  if (torn === undefined) return;
  const header = Buffer.alloc(BATCH_HEADER_BYTES);
  const payloadBytes = scan.validBytes - torn.at - BATCH_HEADER_BYTES;
  encodeBatchHeader(header, 0, {
    payloadBytes,
    lsn: torn.lsn,
    durable: torn.durable,
    records: torn.records,
    run: scan.entry.run,
  });
  fs.writeSync(fd, header, 0, header.length, torn.at);
}

function keepLost(directory: string, scan: FileScan, from: number, report: Report | undefined): void {
  const folder = path.join(directory, "lost+found");
  fs.mkdirSync(folder, { recursive: true, mode: 0o700 });
  const name = `run-${scan.entry.run}-file-${scan.entry.number}-offset-${from}`;
  const bytes = fs.readFileSync(scan.entry.path).subarray(from);
  const facts = {
    ...report,
    log: scan.entry.path,
    from,
    bytes: bytes.length,
    run: scan.entry.run,
    foundAt: new Date().toISOString(),
  };
  writeDurably(path.join(folder, `${name}.bin`), bytes);
  writeDurably(path.join(folder, `${name}.json`), Buffer.from(`${JSON.stringify(facts, null, 2)}\n`));
  syncFolder(directory);
}
