// A log on a disk whose syncs are completed by hand, and commits to write into it.

import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { onTestFinished } from "vitest";
import { commitLength, type DecodedRecord, encodeCommit } from "../../src/codec/record.ts";
import type { FrondError } from "../../src/errors.ts";
import { listLogFiles, runFolder } from "../../src/log/files.ts";
import { diskIo, type LogIo } from "../../src/log/io.ts";
import { CommitLog, type CommitLogOptions } from "../../src/log/log.ts";
import { scanLogFile } from "../../src/log/scan.ts";
import type { Lsn, LogPlace, RunNumber, Txid } from "../../src/types.ts";
import { cellOf, sampleCommit } from "../codec/samples.ts";

/** Writes at once and syncs when the test says so. */
export class HandIo implements LogIo {
  /** Syncs that are under way, in the order in which they began. */
  readonly syncs: ((error?: Error) => void)[] = [];
  /** Bytes of each append, in order. */
  readonly appends: number[] = [];
  closed = 0;
  /** Files that were allocated ahead of their use. Count. */
  allocated = 0;
  /** What `allocate` and `allocateNow` fail with, while it is set. */
  full: Error | undefined;

  async allocate(file: string, bytes: number): Promise<void> {
    if (this.full !== undefined) throw this.full;
    await diskIo.allocate(file, bytes);
    this.allocated += 1;
  }
  allocateNow(file: string, bytes: number): void {
    if (this.full !== undefined) throw this.full;
    diskIo.allocateNow(file, bytes);
  }
  open(file: string): number {
    return diskIo.open(file);
  }
  append(fd: number, bytes: Buffer, length: number, position: number, done: (error: Error | null) => void): void {
    this.appends.push(length);
    fs.writeSync(fd, bytes, 0, length, position);
    this.syncs.push((error) => done(error ?? null));
  }
  syncFolder(_folder: string, done: (error: Error | null) => void): void {
    done(null);
  }
  close(fd: number): void {
    this.closed += 1;
    diskIo.close(fd);
  }
}

/** A log in a directory of its own, and what it told. */
export interface OpenLog {
  readonly log: CommitLog;
  readonly folder: string;
  readonly failures: FrondError[];
}

/** Opens a log of run 1. */
export function openLog(options: Partial<CommitLogOptions> = {}): OpenLog {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "frond-log-"));
  onTestFinished(() => fs.rmSync(folder, { recursive: true, force: true }));
  fs.mkdirSync(runFolder(folder, 1 as RunNumber));
  const failures: FrondError[] = [];
  const onFailed = (error: FrondError): void => void failures.push(error);
  const log = new CommitLog({ folder, run: 1 as RunNumber, firstFile: 1, onFailed, fileBytes: 64 * 1024, ...options });
  return { log, folder, failures };
}

/** Writes a commit of `pages` pages of 512 bytes. Returns its place, and what to wait for. */
export function commit(log: CommitLog, txid: number, pages = 1): { place: LogPlace; lsn: Lsn } {
  const numbers = Array.from({ length: pages }, (_, i) => i + 1);
  const record = { ...sampleCommit(), txid: txid as Txid, cells: [cellOf("book/a", 512, pages, numbers)], changes: [] };
  const at = log.begin(commitLength(record));
  return { place: log.end(at, encodeCommit(record, log.target, at)), lsn: log.appended };
}

/** Lets everything happen that does not wait for a sync. */
export function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(() => setImmediate(resolve)));
}

/** The records of the log on disk, with their places; fails on damage. */
export function recordsIn(folder: string): { record: DecodedRecord; place: LogPlace }[] {
  const found: { record: DecodedRecord; place: LogPlace }[] = [];
  let end: number | undefined;
  for (const entry of listLogFiles(folder)) {
    const scan = scanLogFile(entry, end, (record, place) => found.push({ record, place }));
    if (scan.damage !== undefined) throw new Error(scan.damage.reason);
    end = scan.endLsn;
  }
  return found;
}
