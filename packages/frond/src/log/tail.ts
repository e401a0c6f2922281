// Following a run's log while it is being written: the records behind an lsn, in order, up to what is durable.
//
// Rule: no byte beyond the durable lsn is looked at, so what was read once never changes and nothing depends on what the
// writer is doing just now. A batch counts as a whole: its records are handed out when all of it is durable. The checksum
// of each record and its number in its slot are checked, for what leaves here is the truth for everybody else.
// Inside a file bytes and lsn rise together, so a place needs no index; where the batch that must be there is not, the
// file was left, and the next one begins at that lsn.
// Chunks of the file are read into buffers that are used again: what is handed out is valid until the next read, and a run that
// is written to without a pause leaves no garbage of its own size behind.
// Rejected: reading whole files (16 MiB for the few kilobytes that are new), getting the records from the thread that
// writes them (they would be held twice, and a restart needs this anyway).

import fs from "node:fs";
import { crc32 } from "node:zlib";
import { assert } from "../assert.ts";
import { RECORD_CRC_BYTES, RECORD_HEADER, TYPE_CLAIM } from "../codec/layout.ts";
import {
  BATCH_HEADER_BYTES,
  type BatchHeader,
  decodeBatchHeader,
  decodeFileHeader,
  FILE_HEADER_BYTES,
  isZero,
} from "../codec/logfile.ts";
import { peekLength, RECORD_HEADER_BYTES } from "../codec/record.ts";
import { FrondError, isFrondError } from "../errors.ts";
import type { Lsn, RunNumber, Slot } from "../types.ts";
import { type LogFileEntry, listLogFiles, logFilePath } from "./files.ts";
import { TailRecords } from "./tailRecords.ts";

interface OpenFile {
  readonly number: number;
  readonly path: string;
  readonly fd: number;
  readonly size: number;
  /** What the run had appended before this file. */
  readonly lsn: Lsn;
  /** The byte at `offset` of the file has the lsn `base + offset`. */
  readonly base: number;
}

/** Bytes that are read at once, unless one record is larger. */
const CHUNK_BYTES = 256 * 1024;
const NOTHING: Buffer = Buffer.alloc(0);

/** See the head of the file. Holds one file open. */
export class LogTail {
  readonly #folder: string;
  readonly #run: RunNumber;
  #file: OpenFile | undefined;
  /** Behind the last record that was handed out. */
  #lsn: Lsn;
  /** The next byte to look at, as an lsn: also behind headers of batches. */
  #at: number;
  /** Where the batch around `at` ends; `at` itself between two batches. */
  #batchEnd: number;
  /** What was read of the file, and the offset in it where that begins. */
  #window = NOTHING;
  #windowAt = 0;
  /** Chunks that records of the last read may point into, the window's own as the last; and those that are free. */
  readonly #chunks: Buffer[] = [];
  readonly #spare: Buffer[] = [];
  /** What the last read gave. */
  readonly #records = new TailRecords();
  /** The last txid that was met of each slot. */
  readonly #txids = new Map<number, number>();

  /** `logFolder`: the folder `log/` of the data directory. `from`: where to begin, 0 or behind a record. */
  constructor(logFolder: string, run: RunNumber, from: Lsn) {
    this.#folder = logFolder;
    this.#run = run;
    this.#lsn = from;
    this.#at = from;
    this.#batchEnd = from;
  }

  /** Behind the last record that was handed out: a tail that begins there goes on with the same records. */
  get lsn(): Lsn {
    return this.#lsn;
  }

  /** Number of the file that is read; those with a lower one are behind it. Undefined before the first record. */
  get file(): number | undefined {
    return this.#file?.number;
  }

  /**
   * The next records whose batches end at `through` (what is durable) or before: `maxBytes` bytes of records at most, but
   * one at least if there is one. They are valid until the next call. Throws LOG_DAMAGED where the next record is not what it must be
   * below `through`, at every call again.
   */
  read(through: Lsn, maxBytes: number): TailRecords {
    const records = this.#records;
    records.clear();
    let bytes = 0;
    this.#spare.push(...this.#chunks.splice(0, this.#chunks.length - 1));
    try {
      while (this.#toRecord(through)) {
        const length = this.#nextLength(through);
        if (records.length > 0 && bytes + length > maxBytes) break;
        this.#take(length, through);
        bytes += length;
      }
    } catch (error) {
      // What was taken is handed out first: the next call meets the same.
      if (records.length === 0) throw error;
    }
    return records;
  }

  /** Closes the file. The tail is not used after this. */
  close(): void {
    if (this.#file !== undefined) fs.closeSync(this.#file.fd);
    this.#file = undefined;
  }

  /** Moves over headers and on to further files; true before a record that may be handed out. */
  #toRecord(through: Lsn): boolean {
    while (this.#at === this.#batchEnd) {
      if (this.#at + BATCH_HEADER_BYTES > through) return false;
      if (this.#file === undefined) this.#begin(through);
      else if (!this.#enterBatch(through)) this.#nextFile();
    }
    return this.#batchEnd <= through;
  }

  /** Reads the header of the batch at the cursor; false where none is. */
  #enterBatch(through: Lsn): boolean {
    const header = this.#batchHeader(through);
    if (header === undefined) return false;
    this.#batchEnd = this.#at + BATCH_HEADER_BYTES + header.payloadBytes;
    this.#at += BATCH_HEADER_BYTES;
    return true;
  }

  #batchHeader(through: Lsn): BatchHeader | undefined {
    const at = this.#reach(BATCH_HEADER_BYTES, through);
    const there = this.#window.length - at;
    if (there < BATCH_HEADER_BYTES || isZero(this.#window, at, at + BATCH_HEADER_BYTES)) return undefined;
    const header = decodeBatchHeader(this.#window.subarray(at, at + BATCH_HEADER_BYTES), 0, this.#where());
    if (header.run !== this.#run || header.lsn !== this.#at) {
      throw this.#damaged(`the batch says run ${header.run}, lsn ${header.lsn}; expected ${this.#run}, ${this.#at}`);
    }
    return header;
  }

  /** Bytes of the record at the cursor. */
  #nextLength(through: Lsn): number {
    const left = this.#batchEnd - this.#at;
    const need = Math.min(RECORD_HEADER_BYTES, left);
    const at = this.#reach(need, through);
    const length = this.#peek(this.#window.subarray(at, at + need));
    if (length > left) throw this.#damaged(`a record of ${length} bytes stands in the last ${left} of its batch`);
    return length;
  }

  #peek(head: Buffer): number {
    try {
      return peekLength(head, 0, "");
    } catch (error) {
      if (!isFrondError(error, "RECORD_DAMAGED")) throw error;
    }
    try {
      // Once more, with the words that say where: they are not made for records that are sound.
      return peekLength(head, 0, this.#where());
    } catch (error) {
      throw new FrondError("LOG_DAMAGED", (error as Error).message, { cause: error });
    }
  }

  #take(length: number, through: Lsn): void {
    const at = this.#reach(length, through);
    const window = this.#window;
    if (window.length - at < length) throw this.#damaged("the file ends inside a record");
    const end = at + length - RECORD_CRC_BYTES;
    if (crc32(window.subarray(at, end)) !== window.readUInt32LE(end)) {
      throw this.#damaged("the checksum of a record does not match");
    }
    const slot = window.readUInt16LE(at + RECORD_HEADER.slot) as Slot;
    this.#checkOrder(window, at, slot);
    this.#at += length;
    this.#lsn = this.#at as Lsn;
    this.#records.add(window, at, length, slot, this.#lsn);
  }

  /** A disk that wrote to the wrong place, or not at all, leaves a sound record where another one was. */
  #checkOrder(window: Buffer, at: number, slot: number): void {
    const place = at + RECORD_HEADER.txid;
    const txid = window.readUInt32LE(place) + window.readUInt32LE(place + 4) * 2 ** 32;
    const before = this.#txids.get(slot);
    const step = window[at + RECORD_HEADER.type] === TYPE_CLAIM ? 0 : 1;
    if (before !== undefined && txid !== before + step) {
      throw this.#damaged(`the record is number ${txid} of slot ${slot}; expected ${before + step}`);
    }
    this.#txids.set(slot, txid);
  }

  /**
   * Where the cursor stands in the window, which has `need` bytes from there on; fewer where the file ends. The caller knows that they
   * lie below `through`.
   */
  #reach(need: number, through: Lsn): number {
    const file = this.#current();
    const offset = this.#at - file.base;
    const start = offset - this.#windowAt;
    if (start >= 0 && start + need <= this.#window.length) return start;
    const wanted = Math.max(0, Math.min(Math.max(need, CHUNK_BYTES), through - this.#at, file.size - offset));
    this.#window = readInto(this.#chunk(wanted), file.fd, offset, wanted);
    this.#windowAt = offset;
    return 0;
  }

  /** Bytes to read into, which no record that was handed out lies in. */
  #chunk(bytes: number): Buffer {
    if (bytes > CHUNK_BYTES) return Buffer.allocUnsafeSlow(bytes);
    const chunk = this.#spare.pop() ?? Buffer.allocUnsafeSlow(CHUNK_BYTES);
    this.#chunks.push(chunk);
    return chunk;
  }

  /** Opens the file in which the cursor lies, and finds the batch around it. */
  #begin(through: Lsn): void {
    const from = this.#at;
    let found: LogFileEntry | undefined;
    for (const entry of listLogFiles(this.#folder)) {
      if (entry.run === this.#run && beginsBy(entry, from)) found = entry;
    }
    if (found === undefined) {
      const what = `no file of run ${this.#run} in ${this.#folder} holds the log at lsn ${from}`;
      throw new FrondError("LOG_DAMAGED", `${what}; restore it`);
    }
    this.#use(openFile(found));
    try {
      this.#walkTo(from, through);
    } catch (error) {
      this.close();
      [this.#at, this.#batchEnd] = [from, from];
      throw error;
    }
  }

  #walkTo(from: number, through: Lsn): void {
    for (this.#at = this.#batchEnd = this.#current().lsn; this.#at < from; this.#at = this.#batchEnd) {
      const durable = this.#at + BATCH_HEADER_BYTES <= through;
      if (!durable || !this.#enterBatch(through))
        throw this.#damaged(`no batch is there, though lsn ${from} is behind`);
    }
    this.#at = from;
  }

  #nextFile(): void {
    const left = this.#current();
    const number = left.number + 1;
    const next = openFile({ number, run: this.#run, path: logFilePath(this.#folder, this.#run, number) });
    if (next.lsn !== this.#at) {
      fs.closeSync(next.fd);
      throw this.#damaged(`no batch is there, and the next file begins at lsn ${next.lsn}, not ${this.#at}`);
    }
    fs.closeSync(left.fd);
    this.#use(next);
  }

  #use(file: OpenFile): void {
    this.#file = file;
    this.#window = NOTHING;
    this.#windowAt = 0;
  }

  #current(): OpenFile {
    assert(this.#file !== undefined, "a log's tail is read while a file of it is open");
    return this.#file;
  }

  #where(): string {
    const { path, base } = this.#current();
    return `${path}, from offset ${this.#at - base} on`;
  }

  #damaged(what: string): FrondError {
    return new FrondError("LOG_DAMAGED", `${this.#where()}: ${what}`);
  }
}

/** True when the log file begins at `lsn` or before. One whose header is not written yet, or damaged, does not count. */
function beginsBy(entry: LogFileEntry, lsn: number): boolean {
  try {
    const file = openFile(entry);
    fs.closeSync(file.fd);
    return file.lsn <= lsn;
  } catch (error) {
    if (isFrondError(error, "LOG_DAMAGED")) return false;
    throw error;
  }
}

function openFile({ number, run, path }: LogFileEntry): OpenFile {
  let fd: number;
  try {
    fd = fs.openSync(path, "r");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
    throw new FrondError("LOG_DAMAGED", `${path} is missing, though the log goes on there; restore it`, {
      cause: error,
    });
  }
  try {
    const header = decodeFileHeader(readAt(fd, 0, FILE_HEADER_BYTES), path);
    if (header.file !== number || header.run !== run) {
      throw new FrondError("LOG_DAMAGED", `${path}: the header names file ${header.file} of run ${header.run}`);
    }
    return { number, path, fd, size: fs.fstatSync(fd).size, lsn: header.lsn, base: header.lsn - FILE_HEADER_BYTES };
  } catch (error) {
    fs.closeSync(fd);
    throw error;
  }
}

function readAt(fd: number, offset: number, length: number): Buffer {
  return readInto(Buffer.allocUnsafeSlow(length), fd, offset, length);
}

/** What of `length` bytes at `offset` the file has, at the beginning of `bytes`. */
function readInto(bytes: Buffer, fd: number, offset: number, length: number): Buffer {
  let got = 0;
  while (got < length) {
    const read = fs.readSync(fd, bytes, got, length - got, offset + got);
    if (read === 0) break;
    got += read;
  }
  return bytes.subarray(0, got);
}
