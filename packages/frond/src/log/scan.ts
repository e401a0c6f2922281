// Reading a log file from its start: every whole record in order, then what stands behind the last one.
//
// Rule: nothing is believed but what its checksum and its place in the sequence prove; the first byte that fails ends the
// scan, with file, offset and reason. Zeros behind the last batch are untouched space, not damage.
// Whether what follows the damage was acknowledged decides how loud the report is: every batch carries what its run knew
// to be durable when it wrote it, so one later batch that can still be read is a witness.

import fs from "node:fs";
import {
  BATCH_HEADER_BYTES,
  type BatchHeader,
  decodeBatchHeader,
  decodeFileHeader,
  FILE_HEADER_BYTES,
  isZero,
} from "../codec/logfile.ts";
import { decodeRecord, type DecodedRecord } from "../codec/record.ts";
import { FrondError, isFrondError } from "../errors.ts";
import { type LogPlace, logPlace, type Lsn, type Slot, type Txid } from "../types.ts";
import type { LogFileEntry } from "./files.ts";

/** Bytes of a log file that are not what they should be. */
export interface LogDamage {
  readonly file: string;
  /** First byte that cannot be believed. */
  readonly offset: number;
  /** Its lsn, as far as it is known. */
  readonly lsn: number;
  readonly reason: string;
}

/** What a scan found in one file. */
export interface FileScan {
  readonly entry: LogFileEntry;
  readonly size: number;
  /** Bytes from the start of the file that hold whole records, up to the first damage. */
  readonly validBytes: number;
  /** Where its first batch begins, as its header says; 0 when not even that could be read. */
  readonly firstLsn: Lsn;
  /** The lsn behind the last record that was read; 0 when not even the header could be read. */
  readonly endLsn: Lsn;
  /** Records in `validBytes`. Count. */
  readonly records: number;
  /** The highest durable lsn that a batch of this file states, readable batches behind damage included. */
  readonly durable: Lsn;
  readonly damage: LogDamage | undefined;
  /** The batch that the damage cuts: where it begins, what it says, and how many of its records are whole (at least 1). */
  readonly torn: TornBatch | undefined;
}

/** See {@link FileScan.torn}. */
export interface TornBatch {
  readonly at: number;
  readonly lsn: Lsn;
  readonly durable: Lsn;
  readonly records: number;
}

interface Cursor {
  at: number;
  first: number;
  lsn: number;
  records: number;
  durable: number;
  /** The last txid of each slot that has been met: the next one is one higher, or a record stands in another's place. */
  txids: Map<Slot, Txid>;
  /** The batch that is being read, and what was read before it. */
  batch: { at: number; lsn: Lsn; durable: Lsn; before: number } | undefined;
}

/**
 * Scans a log file; calls `onRecord` with every whole record, its place, and the lsn where it begins or shortly
 * before.
 * `expectedLsn`: where the file before ended (undefined: take the header's word). `behind`: in a run that was settled
 * long ago, what stands behind damage was acknowledged, so the scan goes on with the next batch that can be read.
 * Throws only for a format that is newer than this program (DATA_NEWER, RECORD_NEWER).
 */
export function scanLogFile(
  entry: LogFileEntry,
  expectedLsn: number | undefined,
  onRecord: (record: DecodedRecord, place: LogPlace, lsn: Lsn) => void,
  behind: "stop" | "go on" = "stop",
): FileScan {
  const bytes = fs.readFileSync(entry.path);
  const cursor: Cursor = {
    at: 0,
    first: 0,
    lsn: expectedLsn ?? 0,
    records: 0,
    durable: 0,
    txids: new Map(),
    batch: undefined,
  };
  const damage = scanBatches(entry, bytes, cursor, onRecord, expectedLsn);
  const { at: validBytes, records } = cursor;
  const torn = damage === undefined ? undefined : tornBatch(cursor);
  if (damage !== undefined && behind === "stop")
    cursor.durable = Math.max(cursor.durable, witness(entry, bytes, cursor.at));
  if (behind === "go on") {
    for (let next = damage; next !== undefined && skipDamage(entry, bytes, cursor, expectedLsn);) {
      next = scanBatches(entry, bytes, cursor, onRecord, expectedLsn);
    }
  }
  const { first, lsn, durable } = cursor;
  return {
    entry,
    size: bytes.length,
    validBytes,
    firstLsn: first as Lsn,
    endLsn: lsn as Lsn,
    records,
    durable: durable as Lsn,
    damage,
    torn,
  };
}

/** Reads on from the cursor to the end of what was written, or to damage, which it returns. */
function scanBatches(
  entry: LogFileEntry,
  bytes: Buffer,
  cursor: Cursor,
  onRecord: (record: DecodedRecord, place: LogPlace, lsn: Lsn) => void,
  expectedLsn: number | undefined,
): LogDamage | undefined {
  try {
    // A file that was allocated and never written is no damage: its run ended before the first batch.
    if (cursor.at === 0 && isZero(bytes, 0, bytes.length)) return undefined;
    if (cursor.at === 0) readFileHeader(entry, bytes, cursor, expectedLsn);
    while (readBatch(entry, bytes, cursor, onRecord));
    return undefined;
  } catch (error) {
    if (!isFrondError(error) || error.code === "DATA_NEWER" || error.code === "RECORD_NEWER") throw error;
    return { file: entry.path, offset: cursor.at, lsn: cursor.lsn, reason: error.message };
  }
}

function tornBatch({ batch, records }: Cursor): TornBatch | undefined {
  if (batch === undefined || records === batch.before) return undefined;
  return { at: batch.at, lsn: batch.lsn, durable: batch.durable, records: records - batch.before };
}

function readFileHeader(entry: LogFileEntry, bytes: Buffer, cursor: Cursor, expectedLsn: number | undefined): void {
  const header = decodeFileHeader(bytes, entry.path);
  if (header.file !== entry.number || header.run !== entry.run) {
    throw damaged(entry, 0, `the header names file ${header.file} of run ${header.run}`);
  }
  if (expectedLsn !== undefined && header.lsn !== expectedLsn) {
    throw damaged(entry, 0, `the file begins at lsn ${header.lsn}, the one before it ended at ${expectedLsn}`);
  }
  cursor.lsn = header.lsn;
  cursor.first = header.lsn;
  cursor.at = FILE_HEADER_BYTES;
}

/** Reads one batch; false at the end of what was written. Leaves the cursor behind the last whole record. */
function readBatch(
  entry: LogFileEntry,
  bytes: Buffer,
  cursor: Cursor,
  onRecord: (record: DecodedRecord, place: LogPlace, lsn: Lsn) => void,
): boolean {
  const start = cursor.at;
  if (isZero(bytes, start, Math.min(bytes.length, start + BATCH_HEADER_BYTES))) {
    if (isZero(bytes, start, bytes.length)) return false;
    throw damaged(entry, start, "zeros stand where a batch should begin, and something follows them");
  }
  const header = decodeBatchHeader(bytes, start, entry.path);
  if (header.run !== entry.run || header.lsn !== cursor.lsn) {
    throw damaged(
      entry,
      start,
      `the batch says run ${header.run}, lsn ${header.lsn}; expected ${entry.run}, ${cursor.lsn}`,
    );
  }
  cursor.durable = Math.max(cursor.durable, header.durable);
  cursor.batch = { at: start, lsn: header.lsn, durable: header.durable, before: cursor.records };
  const first = start + BATCH_HEADER_BYTES;
  const end = first + header.payloadBytes;
  for (let at = first; at < end;) {
    const record = decodeRecord(bytes, at, Math.min(end, bytes.length), entry.path);
    checkOrder(entry, record, at, cursor.txids);
    onRecord(record, logPlace(entry.number, at), cursor.lsn as Lsn);
    at += record.length;
    cursor.lsn += at - cursor.at;
    cursor.at = at;
    cursor.records += 1;
  }
  cursor.batch = undefined;
  return true;
}

/** A disk that wrote to the wrong place, or not at all, leaves a sound record where another one was. */
function checkOrder(entry: LogFileEntry, record: DecodedRecord, at: number, txids: Map<Slot, Txid>): void {
  const { slot, txid } = record;
  const before = txids.get(slot);
  const wanted = record.type === "claim" || before === undefined ? before : before + 1;
  if (wanted !== undefined && txid !== wanted) {
    throw damaged(entry, at, `the record is number ${txid} of slot ${slot}; expected ${wanted}`);
  }
  txids.set(slot, txid);
}

/** The highest durable lsn stated by any batch header of the same run that can be read behind `from`. */
function witness(entry: LogFileEntry, bytes: Buffer, from: number): number {
  let durable = 0;
  for (const { header } of headersBehind(entry, bytes, from)) durable = Math.max(durable, header.durable);
  return durable;
}

/**
 * Moves the cursor to the next batch behind damage; false when there is none. Inside a file bytes and lsn rise together,
 * so bytes of a page that look like a batch are not taken for one.
 */
function skipDamage(entry: LogFileEntry, bytes: Buffer, cursor: Cursor, expectedLsn: number | undefined): boolean {
  // Without a header, and without a file before it that says where this one begins, the first batch is taken at its word.
  const begin = expectedLsn === undefined ? undefined : expectedLsn - FILE_HEADER_BYTES;
  const distance = cursor.at === 0 ? begin : cursor.lsn - cursor.at;
  for (const { at, header } of headersBehind(entry, bytes, cursor.at)) {
    if (distance !== undefined && header.lsn - at !== distance) continue;
    cursor.at = at;
    cursor.lsn = header.lsn;
    cursor.txids.clear();
    return true;
  }
  return false;
}

function* headersBehind(
  entry: LogFileEntry,
  bytes: Buffer,
  from: number,
): Iterable<{ at: number; header: BatchHeader }> {
  const magic = Buffer.from("FBAT");
  for (let at = bytes.indexOf(magic, from + 1); at !== -1; at = bytes.indexOf(magic, at + 1)) {
    let header: BatchHeader;
    try {
      header = decodeBatchHeader(bytes, at, entry.path);
    } catch {
      // Four bytes of a page that happen to look like a batch.
      continue;
    }
    if (header.run === entry.run) yield { at, header };
  }
}

function damaged(entry: LogFileEntry, offset: number, what: string): FrondError {
  return new FrondError("LOG_DAMAGED", `${entry.path} at offset ${offset}: ${what}`);
}
