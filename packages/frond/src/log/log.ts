// The commit log of one run: every commit of every cell, in order, in one stream of bytes.
//
// Rule: positions are acknowledged in order and only after their sync; what `durable` covers survives a power loss.
// How: commits of one turn of the event loop share a batch; a batch is one write and one sync; two may be in flight,
// the second one if it carries as many records as the first. Nothing waits for a timer: what waits leaves with the end of
// a sync.
// Where a bucket stands behind the node, whoever uploads the log says how far it got (`confirm`). Without one the disk is the
// last place there is, and what is durable counts as confirmed.
// A failed write or sync is final (`onFailed`): the kernel may already have dropped the dirty pages, so a retry that
// "succeeds" proves nothing. The process ends and recovers from what is on disk.

import { assert } from "../assert.ts";
import { FrondError } from "../errors.ts";
import { FILE_HEADER_BYTES, BATCH_HEADER_BYTES } from "../codec/logfile.ts";
import { LOG_FILE_BYTES, LOG_SYNCS_IN_FLIGHT, MAX_LOG_BACKLOG_BYTES } from "../limits.ts";
import { type LogPlace, type Lsn, logPlace, type RunNumber } from "../types.ts";
import { Batch } from "./batch.ts";
import { diskIo, type LogIo } from "./io.ts";
import { type LogFile, LogSpace } from "./space.ts";

/** What a run's log is opened with. */
export interface CommitLogOptions {
  /** The folder `log/` of the data directory. */
  folder: string;
  run: RunNumber;
  /** Number of the first file; higher than that of any file in the folder. */
  firstFile: number;
  /** Called once when a write or a sync failed. The process must end. */
  onFailed: (error: FrondError) => void;
  io?: LogIo;
  fileBytes?: number;
  /** A bucket stands behind the node: positions are confirmed by `confirm` alone. Default: `confirmed` follows `durable`. */
  bucket?: boolean;
}

/** Somebody who waits for the bucket. */
interface Waiter {
  readonly lsn: Lsn;
  readonly done: () => void;
}

/** Bytes that stay in reserve for commits already begun when the disk is found full. */
const RESERVE_BYTES = 256 * 1024;

/** See the head of the file. One per node. */
export class CommitLog {
  run: RunNumber;
  /** Everything before this lsn is on stable storage. */
  durable = 0 as Lsn;
  /** Everything before this lsn is in the bucket; never ahead of `durable`. */
  confirmed = 0 as Lsn;
  /** Everything before this lsn was handed to the log. */
  appended = 0 as Lsn;
  /** The highest lsn for which somebody has had to wait until it is in the bucket. */
  wanted = 0 as Lsn;
  /** Called when `wanted` has risen: the uploader does not leave a segment open for long. */
  onWanted: (() => void) | undefined;
  /** Called when `durable` has risen. */
  onDurable: (() => void) | undefined;
  /** Called when the log moved on to a further file. */
  onFile: () => void = () => {};
  readonly #io: LogIo;
  #space: LogSpace;
  readonly #folder: string;
  readonly #fileBytes: number;
  readonly #onFailed: (error: FrondError) => void;
  #file: LogFile | undefined;
  #open: Batch | undefined;
  /** Closed batches that wait for a free place among those in flight. */
  readonly #queue: Batch[] = [];
  readonly #flying: Batch[] = [];
  /** Who waits for the bucket, in the order in which they came. */
  #unconfirmed: Waiter[] = [];
  readonly #bucket: boolean;
  #scheduled = false;
  #failed = false;
  #closed = false;
  readonly #flush = (): void => {
    this.#scheduled = false;
    // A second sync pays where it carries as much as the one under way; smaller ones wait for that and go together. A
    // sync costs the processor as much as several commits.
    const flying = this.#flying[0];
    if (flying === undefined || this.#queue.length > 0 || (this.#open?.records ?? 0) >= flying.records) this.#send();
  };

  constructor(options: CommitLogOptions) {
    this.run = options.run;
    this.#io = options.io ?? diskIo;
    this.#onFailed = options.onFailed;
    this.#bucket = options.bucket === true;
    this.#folder = options.folder;
    this.#fileBytes = options.fileBytes ?? LOG_FILE_BYTES;
    this.#space = this.#spaceFor(options.run, options.firstFile);
  }

  /** Where the next record is encoded: valid between `begin` and `end`. */
  get target(): Buffer {
    assert(this.#open !== undefined, "a record is encoded between begin and end");
    return this.#open.buffer;
  }

  /** More commits wait for the disk than should. */
  get backlogged(): boolean {
    return this.appended - this.durable > MAX_LOG_BACKLOG_BYTES;
  }

  /** Throws DISK_FULL or OVERLOADED when a new write should not be begun. */
  admit(): void {
    if (this.#space.full && this.#roomLeft() < RESERVE_BYTES) {
      throw new FrondError(
        "DISK_FULL",
        `the disk of the commit log has no space (${this.#space.reason}); reads go on, writes resume when there is space`,
      );
    }
    if (this.backlogged) {
      throw new FrondError(
        "OVERLOADED",
        `${MAX_LOG_BACKLOG_BYTES} bytes of commits wait for the disk; try again later`,
      );
    }
  }

  /** Makes room for a record of `bytes` and returns its offset in `target`. Throws DISK_FULL without effect. */
  begin(bytes: number): number {
    if (this.#failed || this.#closed) throw new FrondError("LOG_FAILED", "the commit log failed; the node is ending");
    const file = this.#file;
    const used =
      this.#open === undefined ? (file?.used ?? 0) + BATCH_HEADER_BYTES : this.#open.offset + this.#open.length;
    if (file === undefined || used + bytes > file.capacity) this.#nextFile(bytes);
    this.#open ??= this.#openBatch();
    return this.#open.room(bytes);
  }

  /** Ends the record that was encoded from `from` to `to` in `target`; returns its place. */
  end(from: number, to: number): LogPlace {
    const batch = this.#open;
    assert(batch !== undefined && from === batch.length && to > from, "records follow each other in the batch");
    batch.length = to;
    batch.records += 1;
    this.appended = batch.end;
    this.#schedule();
    return logPlace(batch.file.number, batch.offset + from);
  }

  /** Calls `done` once everything before `lsn` is durable; at once if it is. Never calls it after a failure. */
  wait(lsn: Lsn, done: () => void): void {
    if (lsn <= this.durable) return done();
    for (const batch of this.#flying) if (lsn <= batch.end) return void batch.waiters.push(done);
    for (const batch of this.#queue) if (lsn <= batch.end) return void batch.waiters.push(done);
    assert(this.#open !== undefined && lsn <= this.#open.end, "nobody waits for what was never appended");
    this.#open.waiters.push(done);
  }

  /** The uploader has everything before `lsn` in the bucket. It only rises, at most to `durable`. */
  confirm(lsn: Lsn): void {
    assert(this.#bucket, "without a bucket nothing is confirmed but by the disk");
    assert(lsn <= this.durable, "what is uploaded was read from this disk");
    // After a failure nobody is told anything any more.
    if (this.#failed || lsn <= this.confirmed) return;
    this.confirmed = lsn;
    const waiting = this.#unconfirmed;
    this.#unconfirmed = waiting.filter((waiter) => waiter.lsn > lsn);
    for (const waiter of waiting) if (waiter.lsn <= lsn) waiter.done();
  }

  /** Calls `done` once everything before `lsn` is in the bucket; at once if it is. Never calls it after a failure. */
  waitConfirmed(lsn: Lsn, done: () => void): void {
    if (lsn <= this.confirmed) return done();
    if (!this.#bucket) return this.wait(lsn, done);
    assert(lsn <= this.appended, "nobody waits for what was never appended");
    this.#unconfirmed.push({ lsn, done });
    if (lsn <= this.wanted) return;
    this.wanted = lsn;
    this.onWanted?.();
  }

  /** Everything before `lsn` is durable, and everything before `bucketLsn` is in the bucket. */
  covers(lsn: Lsn, bucketLsn: Lsn): boolean {
    return lsn <= this.durable && bucketLsn <= this.confirmed;
  }

  /** Calls `done` once it `covers` both; at once if it does. Never calls it after a failure. */
  waitCovered(lsn: Lsn, bucketLsn: Lsn, done: () => void): void {
    if (bucketLsn <= this.confirmed) this.wait(lsn, done);
    else this.waitConfirmed(bucketLsn, () => this.wait(lsn, done));
  }

  /** Resolves once everything appended so far is durable. */
  flushed(): Promise<void> {
    return new Promise((resolve) => this.wait(this.appended, resolve));
  }

  /** Goes on as a further run, in a file of its own; lsn go on too. Everything must be durable. */
  async beginRun(run: RunNumber): Promise<void> {
    assert(this.appended === this.durable && run > this.run, "a run begins behind the whole log of the one before");
    const firstFile = this.#space.next;
    await this.#space.stop();
    if (this.#file !== undefined) this.#io.close(this.#file.fd);
    this.#file = undefined;
    this.run = run;
    this.#space = this.#spaceFor(run, firstFile);
  }

  #spaceFor(run: RunNumber, firstFile: number): LogSpace {
    const space = new LogSpace(this.#folder, run, firstFile, this.#fileBytes, this.#io);
    space.prepare();
    return space;
  }

  /** Flushes and closes. Nothing may be appended after; what is confirmed after is still told. */
  async close(): Promise<void> {
    await this.flushed();
    await this.#space.stop();
    if (this.#file !== undefined) this.#io.close(this.#file.fd);
    this.#file = undefined;
    this.#closed = true;
  }

  /** The number of the file in use and its size, or undefined before the first record. */
  get current(): { number: number; used: number } | undefined {
    return this.#file && { number: this.#file.number, used: this.#file.used };
  }

  #roomLeft(): number {
    const file = this.#file;
    if (file === undefined) return 0;
    return file.capacity - (this.#open === undefined ? file.used : this.#open.offset + this.#open.length);
  }

  #openBatch(): Batch {
    assert(this.#file !== undefined, "a batch lies in a file");
    this.#file.open += 1;
    return new Batch(this.#file, this.appended);
  }

  #nextFile(recordBytes: number): void {
    const next = this.#space.take(FILE_HEADER_BYTES + BATCH_HEADER_BYTES + recordBytes);
    if (this.#open !== undefined) this.#queue.push(this.#closeBatch(this.#open));
    const left = this.#file;
    this.#file = next;
    if (left !== undefined && left.open === 0) this.#io.close(left.fd);
    if (left !== undefined) this.onFile();
  }

  #closeBatch(batch: Batch): Batch {
    batch.close(this.run, this.durable, Date.now());
    this.#open = undefined;
    return batch;
  }

  #schedule(): void {
    if (this.#scheduled || this.#flying.length >= LOG_SYNCS_IN_FLIGHT) return;
    this.#scheduled = true;
    setImmediate(this.#flush);
  }

  #send(): void {
    while (this.#flying.length < LOG_SYNCS_IN_FLIGHT && !this.#failed) {
      const batch = this.#queue.shift() ?? (this.#open && this.#closeBatch(this.#open));
      if (batch === undefined) return;
      this.#flying.push(batch);
      this.#io.append(batch.file.fd, batch.buffer, batch.length, batch.offset, (error) => {
        if (error !== null) return this.#fail(error);
        if (batch.file.named) return this.#landed(batch);
        this.#io.syncFolder(this.#space.folder, (failed) => {
          if (failed !== null) return this.#fail(failed);
          batch.file.named = true;
          this.#landed(batch);
        });
      });
    }
  }

  #landed(batch: Batch): void {
    batch.written = true;
    // Acknowledged in order: a batch that landed early waits for the one before it.
    while (this.#flying[0]?.written) {
      const first = this.#flying.shift() as Batch;
      assert(first.lsn === this.durable, "batches are acknowledged without gaps");
      this.durable = first.end;
      if (!this.#bucket) this.confirmed = first.end;
      first.file.open -= 1;
      if (first.file.open === 0 && first.file !== this.#file) this.#io.close(first.file.fd);
      for (const done of first.waiters) done();
      first.release();
    }
    this.onDurable?.();
    this.#send();
  }

  #fail(error: Error): void {
    if (this.#failed) return;
    this.#failed = true;
    this.#onFailed(
      new FrondError(
        "LOG_FAILED",
        `the commit log could not be written: ${error.message}; the node ends and recovers at its next start`,
        {
          cause: error,
        },
      ),
    );
  }
}
