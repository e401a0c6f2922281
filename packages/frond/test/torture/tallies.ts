// A finished data directory whose every record is known, to be damaged byte by byte, and the eyes to look at it after.
//
// Three cells of one page hold one number each; every commit sets one of them, so the content of a cell names the record
// that it comes from.

import fs from "node:fs";
import path from "node:path";
import { DatabaseSync } from "node:sqlite";
import { Cell } from "../../src/cell/cell.ts";
import { BATCH_HEADER_BYTES } from "../../src/codec/logfile.ts";
import { readChain } from "../../src/log/chain.ts";
import { listLogFiles } from "../../src/log/files.ts";
import { scanLogFile } from "../../src/log/scan.ts";
import { LogIndex } from "../../src/server/persist/logIndex.ts";
import { Catalog } from "../../src/store/catalog.ts";
import { type Address, type LogPlace, placeOffset } from "../../src/types.ts";
import { type Opened, openIn, temporaryDirectory } from "../cell/nodes.ts";

export class Tally extends Cell {
  static override readonly pageSize = 512;
  static override readonly migrations = [`CREATE TABLE t (n INTEGER NOT NULL) STRICT; INSERT INTO t VALUES (0)`];
  set(n: number): void {
    this.sql`UPDATE t SET n = ${n}`;
  }
  get n(): number {
    return this.sql.one<{ n: number }>`SELECT n FROM t`.n;
  }
  read(): number {
    return this.n;
  }
}

export const TALLIES = { tally: Tally };
export const NAMES = ["a", "b", "c"];

/** Small log files that still hold everything that a test writes. */
export const FILE_BYTES = 64 * 1024;

/** One commit of a cell, as the test asked for it. */
export interface Step {
  readonly name: string;
  readonly n: number;
}

/** Where a record stands that carries out a step. */
export interface Stand extends Step {
  readonly file: number;
  readonly offset: number;
  readonly end: number;
  /** Where the batch of this record begins, and where the record is the last of its batch, that one ends. */
  readonly batch: number;
  readonly endsBatch: boolean;
}

/** Opens tallies in a directory. */
export function openTallies(directory: string, boot: string): Promise<Opened> {
  return openIn(directory, TALLIES, { boot, logFileBytes: FILE_BYTES });
}

/** Makes the steps one after the other: a batch for each, but for the inner lists, which share one. */
export async function makeSteps(opened: Opened, steps: readonly (Step | readonly Step[])[]): Promise<void> {
  for (const step of steps) {
    const together = "n" in step ? [step] : step;
    await Promise.all(together.map(({ name, n }) => opened.get(Tally, name).set(n)));
    await opened.node.commitLog.flushed();
  }
}

/** A copy of the directory as a killed process would leave it. The node in it may go on. */
export function image(directory: string): string {
  const copy = temporaryDirectory();
  fs.cpSync(directory, copy, { recursive: true, filter: (file) => !path.basename(file).startsWith("lock.") });
  return copy;
}

/** Where the commits of a sound directory stand, given the steps in their order. */
export function standsOf(directory: string, steps: readonly Step[]): Stand[] {
  const stands: Stand[] = [];
  const left = [...steps];
  for (const entry of listLogFiles(path.join(directory, "log"))) {
    let batch = 0;
    let before = 0;
    scanLogFile(entry, undefined, (record, place) => {
      const offset = placeOffset(place);
      // Records of one batch follow each other; before a new one stands its header.
      const begins = offset !== before;
      if (begins) batch = offset - BATCH_HEADER_BYTES;
      const previous = stands.at(-1);
      if (begins && previous !== undefined && previous.file === entry.number) {
        stands[stands.length - 1] = { ...previous, endsBatch: true };
      }
      before = offset + record.length;
      if (record.type !== "commit") return;
      const step = left.shift() as Step;
      if (record.cells[0]?.address !== `tally/${step.name}`)
        throw new Error("the steps are not in the order of the log");
      stands.push({ ...step, file: entry.number, offset, end: before, batch, endsBatch: false });
    });
  }
  const last = stands.at(-1) as Stand;
  stands[stands.length - 1] = { ...last, endsBatch: true };
  return stands;
}

/** What the cells hold when the records before `file`, `offset` are all there is. */
export function valuesBefore(stands: readonly Stand[], file: number, offset: number): Record<string, number> {
  const values: Record<string, number> = {};
  for (const stand of stands) {
    if (stand.file < file || (stand.file === file && stand.end <= offset)) values[stand.name] = stand.n;
  }
  return values;
}

/** What the cells hold by the catalog and the log alone, without opening a node. */
export function valuesInLog(directory: string): Record<string, number> {
  const catalog = new Catalog(path.join(directory, "catalog.db"));
  const index = new LogIndex(path.join(directory, "log"));
  const values: Record<string, number> = {};
  for (const entry of catalog.list("", 100)) {
    values[entry.address.slice("tally/".length)] = valueAt(index, entry.address, entry.place);
  }
  catalog.close();
  return values;
}

function valueAt(index: LogIndex, address: Address, place: LogPlace): number {
  const content = readChain((file) => index.pathOf(file), address, place);
  const bytes = Buffer.concat(
    Array.from({ length: content.pageCount }, (_, i) => content.pages.get(i + 1) as Uint8Array),
  );
  // Bytes 18 and 19 say that there is a WAL, which a database in memory cannot have.
  bytes[18] = 1;
  bytes[19] = 1;
  const db = new DatabaseSync(":memory:");
  try {
    db.deserialize(bytes);
    return (db.prepare("SELECT n FROM t").get() as { n: number }).n;
  } finally {
    db.close();
  }
}

/** What the cells of a running node say. */
export async function valuesOf(opened: Opened): Promise<Record<string, number>> {
  const values: Record<string, number> = {};
  for (const name of NAMES) values[name] = await opened.get(Tally, name).read();
  return values;
}

/** The path of a log file. */
export function pathOfFile(directory: string, file: number): string {
  const entry = listLogFiles(path.join(directory, "log")).find(({ number }) => number === file);
  if (entry === undefined) throw new Error(`there is no log file ${file}`);
  return entry.path;
}

/** What lost+found holds: the bytes of each find, and what its report says. */
export function lostAndFound(directory: string): { bytes: Buffer; report: Record<string, unknown> }[] {
  const folder = path.join(directory, "lost+found");
  if (!fs.existsSync(folder)) return [];
  const names = fs.readdirSync(folder).filter((name) => name.endsWith(".bin"));
  return names.map((name) => ({
    bytes: fs.readFileSync(path.join(folder, name)),
    report: JSON.parse(fs.readFileSync(path.join(folder, name.replace(/bin$/, "json")), "utf8")) as Record<
      string,
      unknown
    >,
  }));
}
