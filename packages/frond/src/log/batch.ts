// A batch: the records that go to disk in one write and one sync, and who waits for them.
//
// Rule: records are encoded straight into the batch's buffer, so a commit is copied once; a batch lies in one log file,
// and its place there is known before the first record is encoded.

import { BATCH_HEADER_BYTES, encodeBatchHeader, encodeFileHeader, FILE_HEADER_BYTES } from "../codec/logfile.ts";
import type { Lsn, RunNumber } from "../types.ts";
import type { LogFile } from "./space.ts";

const FIRST_BUFFER_BYTES = 256 * 1024;
const KEPT_BUFFER_BYTES = 4 * 1024 * 1024;
const pool: Buffer[] = [];

/** Records on their way to disk. Owned by the log; its buffer returns to the pool when the batch is on disk. */
export class Batch {
  readonly file: LogFile;
  /** Offset of the batch (or of the file header before it) in its file, in bytes. */
  readonly offset: number;
  /** Bytes of batches that the run appended before this one. */
  readonly lsn: Lsn;
  buffer: Buffer;
  length: number;
  records = 0;
  written = false;
  waiters: (() => void)[] = [];
  readonly #lead: number;

  constructor(file: LogFile, lsn: Lsn) {
    this.file = file;
    this.offset = file.used;
    this.lsn = lsn;
    this.#lead = file.used === 0 ? FILE_HEADER_BYTES : 0;
    this.buffer = pool.pop() ?? Buffer.allocUnsafeSlow(FIRST_BUFFER_BYTES);
    this.length = this.#lead + BATCH_HEADER_BYTES;
  }

  /** The lsn behind the last record so far: what a commit in this batch waits for. */
  get end(): Lsn {
    return (this.lsn + this.length - this.#lead) as Lsn;
  }

  /** Makes room for `bytes` more and returns where they start in the buffer. */
  room(bytes: number): number {
    const need = this.length + bytes;
    if (need > this.buffer.length) {
      const larger = Buffer.allocUnsafeSlow(Math.max(this.buffer.length * 2, need));
      this.buffer.copy(larger, 0, 0, this.length);
      this.buffer = larger;
    }
    return this.length;
  }

  /** Puts the headers in place; from here on nothing is added. */
  close(run: RunNumber, durable: Lsn, nowMs: number): void {
    if (this.#lead > 0) {
      encodeFileHeader(this.buffer, 0, { file: this.file.number, run, lsn: this.lsn, createdMs: nowMs });
    }
    encodeBatchHeader(this.buffer, this.#lead, {
      payloadBytes: this.length - this.#lead - BATCH_HEADER_BYTES,
      lsn: this.lsn,
      durable,
      records: this.records,
      run,
    });
    this.file.used = this.offset + this.length;
  }

  /** Returns the buffer to the pool. The batch is not used after this. */
  release(): void {
    if (this.buffer.length <= KEPT_BUFFER_BYTES && pool.length < 4) pool.push(this.buffer);
  }
}
