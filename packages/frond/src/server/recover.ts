// The start of a node on its data directory: from what the last run left to what the next one may rely on.
//
// Rule: the decisions are in core/recovery; here they are carried out, in an order that can be interrupted anywhere and
// done again: what does not belong into the log is copied to lost+found before it is cut off, and the new run is written
// down before it writes anything else.

import { randomBytes } from "node:crypto";
import fs from "node:fs";
import path from "node:path";
import type { DecodedRecord } from "../codec/record.ts";
import { doubtfulThrough, planTail, type TailStep } from "../core/recovery.ts";
import { SlotTable } from "../core/slots.ts";
import { FrondError } from "../errors.ts";
import { type LogFileEntry, listLogFiles, listRuns, runFolder } from "../log/files.ts";
import { type FileScan, scanLogFile } from "../log/scan.ts";
import type { Catalog } from "../store/catalog.ts";
import { newEntry } from "../cell/commit.ts";
import type { LogPlace, RunNumber } from "../types.ts";

/** Something an operator should know: shown at the start and by `frond status`. */
export interface Report {
  /** `torn`: the end of the log held an unfinished write, as after a power loss. `damage`: what was acknowledged is lost. */
  readonly kind: "torn" | "damage";
  readonly file: string;
  readonly offset: number;
  readonly text: string;
}

/** What the new run starts with. */
export interface Recovered {
  readonly run: RunNumber;
  readonly runId: Buffer;
  readonly slots: SlotTable;
  readonly firstFile: number;
  /** See {@link doubtfulThrough}. */
  readonly doubtfulThrough: RunNumber;
  readonly reports: Report[];
  /** The run before did not end cleanly. */
  readonly unclean: boolean;
  /** Records that were read from the log. Count. */
  readonly records: number;
}

/** Recovers a data directory under its lock, and writes down the new run. */
export function recover(directory: string, catalog: Catalog, boot: string): Recovered {
  const logFolder = path.join(directory, "log");
  const files = listLogFiles(logFolder);
  const lastRun = files.at(-1)?.run;
  const reports: Report[] = [];
  const applier = new Applier(catalog);
  const scans = scanAll(files, catalog.coveredFile, lastRun, applier, reports);
  settleTail(
    directory,
    scans.filter((scan) => scan.entry.run === lastRun),
    reports,
  );
  const firstFile = (files.at(-1)?.number ?? 0) + 1;
  applier.finish(firstFile);

  const runs = catalog.runs();
  const doubtful = unknownRuns(
    logFolder,
    runs.map((row) => row.run),
  );
  const previous = runs.at(-1);
  for (const row of runs) if (row.ended === null) catalog.putRun({ ...row, ended: "unclean" });
  const run = (Math.max(0, ...listRuns(logFolder), ...runs.map((row) => row.run)) + 1) as RunNumber;
  const runId = randomBytes(16);
  const row = { run, id: runId.toString("hex"), boot, startedMs: Date.now(), ended: null, synced: false };
  catalog.putRun(row);
  fs.mkdirSync(runFolder(logFolder, run), { mode: 0o700 });
  syncFolder(logFolder);

  const slots = new SlotTable();
  for (const known of catalog.slots()) slots.load(known.slot, known);
  return {
    run,
    runId,
    slots,
    firstFile,
    doubtfulThrough: Math.max(doubtful, doubtfulThrough(runs, boot)) as RunNumber,
    reports,
    unclean: previous !== undefined && previous.ended !== "clean",
    records: applier.records,
  };
}

function scanAll(
  files: readonly LogFileEntry[],
  coveredFile: number,
  lastRun: RunNumber | undefined,
  applier: Applier,
  reports: Report[],
): FileScan[] {
  const scans: FileScan[] = [];
  let before: FileScan | undefined;
  let stopped = false;
  for (const entry of files) {
    if (entry.number < coveredFile) continue;
    const follows = before !== undefined && before.entry.run === entry.run && before.damage === undefined;
    const scan = scanLogFile(entry, follows ? before?.endLsn : undefined, (record, place) => {
      if (!stopped) applier.apply(record, place, entry.run);
    });
    scans.push(scan);
    before = scan;
    if (scan.damage === undefined) continue;
    if (entry.run === lastRun) stopped = true;
    // An earlier run was settled at its own end: damage there came later, and costs the cells that need those records.
    else reports.push({ kind: "damage", file: entry.path, offset: scan.damage.offset, text: scan.damage.reason });
  }
  return scans;
}

/** Cuts the last run's log where it ends, keeping what cannot be believed in lost+found. */
function settleTail(directory: string, scans: readonly FileScan[], reports: Report[]): void {
  const plan = planTail(scans);
  const damage = scans[plan.damaged]?.damage;
  if (damage !== undefined) {
    const kind = plan.acknowledgedLost ? "damage" : "torn";
    const verdict = plan.acknowledgedLost
      ? "commits behind it had been acknowledged: they are lost, the disk is at fault"
      : "it was never acknowledged, as after a power loss in the middle of a write";
    const text = `${damage.reason}. The log of run ${scans[plan.damaged]?.entry.run} ends there: ${verdict}. What stood behind is in lost+found`;
    reports.push({ kind, file: damage.file, offset: damage.offset, text });
  }
  for (const [i, step] of plan.steps.entries()) settleFile(directory, scans[i] as FileScan, step, reports.at(-1));
}

function settleFile(directory: string, scan: FileScan, step: TailStep, report: Report | undefined): void {
  if (step.do === "keep") return;
  const { path: file } = scan.entry;
  if (step.do === "cut") keepLost(directory, scan, step.bytes, report);
  if (step.bytes === 0) fs.rmSync(file);
  else {
    const fd = fs.openSync(file, "r+");
    fs.ftruncateSync(fd, step.bytes);
    fs.fsyncSync(fd);
    fs.closeSync(fd);
  }
  syncFolder(path.dirname(file));
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
  syncFolder(folder);
}

/** Brings the catalog up to the log. */
class Applier {
  records = 0;
  readonly #catalog: Catalog;
  #pending: (() => void)[] = [];

  constructor(catalog: Catalog) {
    this.#catalog = catalog;
  }

  apply(record: DecodedRecord, place: LogPlace, run: RunNumber): void {
    this.records += 1;
    const { slot, epoch, txid } = record;
    this.#later(() => this.#catalog.putSlot({ slot, epoch, txid }));
    if (record.type !== "commit") return;
    const created = new Set(
      record.changes.filter((change) => change.what === "created").map((change) => change.address),
    );
    const deleted = new Set(
      record.changes.filter((change) => change.what === "deleted").map((change) => change.address),
    );
    for (const cell of record.cells) {
      // Without the pages: what waits here must not hold on to the file's bytes.
      const { address, pageSize, pageCount, walSalt1, walSalt2, walEnd } = cell;
      const at = {
        epoch,
        txid,
        changedMs: record.time,
        pageSize,
        pageCount,
        place,
        walSalt1,
        walSalt2,
        walEnd,
        fileRun: run,
      };
      this.#later(() => {
        const known = created.has(address) ? undefined : this.#catalog.find(address);
        const entry = { ...(known ?? newEntry(address, slot, pageSize)), ...at, deleted: deleted.has(address) };
        if (known === undefined) entry.createdMs = record.time;
        this.#catalog.put(entry);
      });
    }
  }

  /** Everything up to `firstFile` is in the catalog. */
  finish(firstFile: number): void {
    this.#flush();
    this.#catalog.batch(() => this.#catalog.cover(firstFile));
  }

  #later(write: () => void): void {
    this.#pending.push(write);
    if (this.#pending.length >= 10_000) this.#flush();
  }

  #flush(): void {
    const pending = this.#pending;
    this.#pending = [];
    this.#catalog.batch(() => {
      for (const write of pending) write();
    });
  }
}

// Runs with a log that the catalog knows nothing of: the catalog is new, so no file of theirs can be believed.
function unknownRuns(logFolder: string, known: readonly RunNumber[]): number {
  const unknown = listRuns(logFolder).filter((run) => !known.includes(run));
  return Math.max(0, ...unknown);
}

/** Makes the entries of a folder durable. */
export function syncFolder(folder: string): void {
  const fd = fs.openSync(folder, "r");
  try {
    fs.fsyncSync(fd);
  } finally {
    fs.closeSync(fd);
  }
}

/** Writes a file and waits until it is on stable storage. Throws DISK_FULL. */
export function writeDurably(file: string, bytes: Uint8Array): void {
  try {
    const fd = fs.openSync(file, "w", 0o600);
    try {
      fs.writeFileSync(fd, bytes);
      fs.fsyncSync(fd);
    } finally {
      fs.closeSync(fd);
    }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOSPC") throw error;
    throw new FrondError("DISK_FULL", `no space for ${file}`, { cause: error });
  }
}
