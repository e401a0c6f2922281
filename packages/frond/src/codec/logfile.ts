// The log file: a header, then batches back to back, then zeros. The byte tables are in docs/formats.md.
//
// Rule: every header carries its own checksum, and every record its own, so a batch that was torn by a crash is read up
// to its first bad record and no byte behind that is believed. The lsn in each batch says how many bytes the run had
// appended before it: a batch left over from another file, or a missing one in between, does not fit and is seen.
// A file is full of zeros before it is used; a zero where a header should be is the end of what was written.
// Rejected: one checksum over a whole batch (a record is the unit that is whole or absent, and it has one already).

import { crc32 } from "node:zlib";
import { assert } from "../assert.ts";
import { MAX_LOG_FILE_NUMBER } from "../limits.ts";
import type { Lsn, RunNumber } from "../types.ts";
import { putU64 } from "./bytes.ts";
import { Fields, type Format } from "./fields.ts";
import { LOG_BATCH_HEADER, LOG_FILE_HEADER, RECORD_CRC_BYTES, RECORD_HEADER_BYTES } from "./layout.ts";

export const LOG_FILE_MAGIC = "FRONDLOG";
export const LOG_FILE_VERSION = 1;
export const FILE_HEADER_BYTES = 64;
export const LOG_BATCH_MAGIC = 0x54414246; // "FBAT"
export const BATCH_HEADER_BYTES = 40;

const FILE_FORMAT: Format = { name: "log file's header", damaged: "LOG_DAMAGED", newer: "DATA_NEWER" };
const BATCH_FORMAT: Format = { name: "batch", damaged: "LOG_DAMAGED", newer: "DATA_NEWER" };
const SMALLEST_RECORD = RECORD_HEADER_BYTES + RECORD_CRC_BYTES;

/** What the first bytes of a log file say. */
export interface FileHeader {
  /** Number of the file in its data directory, from 1. */
  readonly file: number;
  readonly run: RunNumber;
  /** What the run had appended before this file. */
  readonly lsn: Lsn;
  /** When the file was made, in ms since 1970. */
  readonly createdMs: number;
}

/** What stands before the records of one batch. */
export interface BatchHeader {
  /** Bytes of the records, which follow the header back to back. */
  readonly payloadBytes: number;
  /** What the run had appended before this batch. */
  readonly lsn: Lsn;
  /** What the run knew to be durable when it wrote the batch; at most `lsn`. */
  readonly durable: Lsn;
  readonly records: number;
  readonly run: RunNumber;
}

/** Writes the header of a log file at `target[at]` and returns where the first batch begins. */
export function encodeFileHeader(target: Buffer, at: number, header: FileHeader): number {
  assert(at >= 0 && at + FILE_HEADER_BYTES <= target.length, "a file header is written inside its buffer");
  assert(header.file >= 1 && header.file <= MAX_LOG_FILE_NUMBER, "a log file has a number that fits a place");
  const view = new DataView(target.buffer, target.byteOffset + at, FILE_HEADER_BYTES);
  target.fill(0, at, at + FILE_HEADER_BYTES);
  target.write(LOG_FILE_MAGIC, at + LOG_FILE_HEADER.magic, "latin1");
  view.setUint16(LOG_FILE_HEADER.version, LOG_FILE_VERSION, true);
  view.setUint16(LOG_FILE_HEADER["header bytes"], FILE_HEADER_BYTES, true);
  putU64(view, LOG_FILE_HEADER.file, header.file);
  putU64(view, LOG_FILE_HEADER.run, header.run);
  putU64(view, LOG_FILE_HEADER.lsn, header.lsn);
  putU64(view, LOG_FILE_HEADER.created, header.createdMs);
  view.setUint32(LOG_FILE_HEADER.checksum, crc32(target.subarray(at, at + LOG_FILE_HEADER.checksum)), true);
  return at + FILE_HEADER_BYTES;
}

/**
 * Reads the header at the start of a log file. Throws LOG_DAMAGED, naming `file`, unless it is a whole and sound one;
 * DATA_NEWER if it is, but of a later version.
 */
export function decodeFileHeader(bytes: Uint8Array, file: string): FileHeader {
  const fields = new Fields(bytes, file, FILE_FORMAT);
  if (bytes.length < FILE_HEADER_BYTES) throw fields.damaged(bytes.length, "the end", "is missing");
  for (let i = 0; i < LOG_FILE_MAGIC.length; i++) {
    if (bytes[i] !== LOG_FILE_MAGIC.charCodeAt(i)) throw fields.damaged(i, "the magic", `is not ${LOG_FILE_MAGIC}`);
  }
  const crc = crc32(bytes.subarray(0, LOG_FILE_HEADER.checksum));
  if (fields.u32(LOG_FILE_HEADER.checksum) !== crc) {
    throw fields.damaged(LOG_FILE_HEADER.checksum, "the checksum", "does not match");
  }
  const version = fields.u16(LOG_FILE_HEADER.version);
  if (version === 0) throw fields.damaged(LOG_FILE_HEADER.version, "the version", "is 0");
  if (version > LOG_FILE_VERSION) throw fields.newer(LOG_FILE_HEADER.version, "the version", `is ${version}`);
  const headerBytes = fields.u16(LOG_FILE_HEADER["header bytes"]);
  if (headerBytes !== FILE_HEADER_BYTES) {
    throw fields.damaged(LOG_FILE_HEADER["header bytes"], "the size", `is ${headerBytes}`);
  }
  fields.reserved(LOG_FILE_HEADER["reserved 1"], LOG_FILE_HEADER.file - LOG_FILE_HEADER["reserved 1"]);
  fields.reserved(LOG_FILE_HEADER["reserved 2"], LOG_FILE_HEADER.checksum - LOG_FILE_HEADER["reserved 2"]);
  const number = fields.u64(LOG_FILE_HEADER.file, "the file number", 1);
  if (number > MAX_LOG_FILE_NUMBER) throw fields.damaged(LOG_FILE_HEADER.file, "the file number", `is ${number}`);
  return {
    file: number,
    run: fields.u64(LOG_FILE_HEADER.run, "the run number", 1) as RunNumber,
    lsn: fields.u64(LOG_FILE_HEADER.lsn, "the lsn") as Lsn,
    createdMs: fields.u64(LOG_FILE_HEADER.created, "the time"),
  };
}

/** Writes the header of a batch at `target[at]` and returns where its records begin. */
export function encodeBatchHeader(target: Buffer, at: number, header: BatchHeader): number {
  assert(at >= 0 && at + BATCH_HEADER_BYTES <= target.length, "a batch header is written inside its buffer");
  assert(header.durable <= header.lsn, "nothing is durable before it is written");
  const view = new DataView(target.buffer, target.byteOffset + at, BATCH_HEADER_BYTES);
  view.setUint32(LOG_BATCH_HEADER.magic, LOG_BATCH_MAGIC, true);
  view.setUint32(LOG_BATCH_HEADER.payload, header.payloadBytes, true);
  putU64(view, LOG_BATCH_HEADER.lsn, header.lsn);
  putU64(view, LOG_BATCH_HEADER.durable, header.durable);
  view.setUint32(LOG_BATCH_HEADER.records, header.records, true);
  putU64(view, LOG_BATCH_HEADER.run, header.run);
  const crc = crc32(target.subarray(at, at + LOG_BATCH_HEADER.checksum));
  view.setUint32(LOG_BATCH_HEADER.checksum, crc, true);
  return at + BATCH_HEADER_BYTES;
}

/**
 * Reads the header of the batch at `bytes[at]`; the records behind it are not looked at. Throws LOG_DAMAGED, naming
 * `where` (the file whose first byte is `bytes[0]`), unless it is a whole and sound one.
 */
export function decodeBatchHeader(bytes: Uint8Array, at: number, where: string): BatchHeader {
  const fields = new Fields(bytes, where, BATCH_FORMAT);
  if (at + BATCH_HEADER_BYTES > bytes.length) throw fields.damaged(bytes.length, "the header", "is cut off");
  const magic = fields.u32(at + LOG_BATCH_HEADER.magic);
  if (magic !== LOG_BATCH_MAGIC) throw fields.damaged(at, "the magic number", `is 0x${magic.toString(16)}`);
  const crc = crc32(bytes.subarray(at, at + LOG_BATCH_HEADER.checksum));
  if (fields.u32(at + LOG_BATCH_HEADER.checksum) !== crc) {
    throw fields.damaged(at + LOG_BATCH_HEADER.checksum, "the checksum", "does not match");
  }
  const payload = fields.u32(at + LOG_BATCH_HEADER.payload);
  const records = fields.u32(at + LOG_BATCH_HEADER.records);
  if (payload % 4 !== 0 || records * SMALLEST_RECORD > payload || (records === 0 && payload !== 0)) {
    const what = `is ${records}, which cannot fill ${payload} bytes`;
    throw fields.damaged(at + LOG_BATCH_HEADER.records, "the number of records", what);
  }
  const lsn = fields.u64(at + LOG_BATCH_HEADER.lsn, "the lsn");
  const durable = fields.u64(at + LOG_BATCH_HEADER.durable, "the durable lsn");
  if (durable > lsn) {
    throw fields.damaged(
      at + LOG_BATCH_HEADER.durable,
      "the durable lsn",
      `is ${durable}, ahead of the batch at ${lsn}`,
    );
  }
  const run = fields.u64(at + LOG_BATCH_HEADER.run, "the run number", 1);
  return { payloadBytes: payload, lsn: lsn as Lsn, durable: durable as Lsn, records, run: run as RunNumber };
}

const ZEROS = Buffer.alloc(64 * 1024);

/** True when `bytes[from]` up to `bytes[to - 1]` are zero: space of a log file that was never written. */
export function isZero(bytes: Uint8Array, from: number, to: number): boolean {
  assert(from >= 0 && to <= bytes.length, "a look for zeros stays inside its buffer");
  for (let at = from; at < to; at += ZEROS.length) {
    const end = Math.min(at + ZEROS.length, to);
    if (ZEROS.compare(bytes, at, end, 0, end - at) !== 0) return false;
  }
  return true;
}
