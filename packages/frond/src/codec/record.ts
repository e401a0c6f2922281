// The record: one commit of one tree as bytes, or the claim of a slot. The byte tables are in docs/formats.md.
//
// Rule: a record is whole or it is nothing. Its checksum covers every byte before it, and a reader believes no field,
// not even a count, before the checksum held. Magic number, length and checksum keep their place in every version, so
// old software tells a newer record (RECORD_NEWER) from a damaged one (RECORD_DAMAGED).
// What comes later arrives as further sections; each says itself whether a reader may pass over it.
// Writing runs once per commit: plain numbers into the caller's buffer, no objects in between.
// Rejected: varints (a few bytes saved beside pages of a kilobyte, a branch for each byte), one checksum per page (paid
// at every commit; pages are checked when a segment closes and at a restore).

import { crc32 } from "node:zlib";
import { assert } from "../assert.ts";
import { FrondError } from "../errors.ts";
import { MAX_RECORD_BYTES, MAX_RECORD_CELLS, MAX_RECORD_CHANGES, SLOTS } from "../limits.ts";
import type { Epoch, Slot, SnapshotPosition, Txid } from "../types.ts";
import { padded, putU64, wholeView } from "./bytes.ts";
import { Fields, type Format } from "./fields.ts";
import {
  BASE_PAYLOAD,
  BASE_SECTION,
  CELL_SECTION,
  CHANGE_SECTION,
  CLAIM_PAYLOAD,
  CLAIM_SECTION,
  MUST_UNDERSTAND,
  RECORD_CRC_BYTES,
  RECORD_HEADER,
  RECORD_HEADER_BYTES,
  RECORD_MAGIC,
  RECORD_VERSION,
  RUN_ID_BYTES,
  SECTION_BASE,
  SECTION_CELL,
  SECTION_CHANGE,
  SECTION_CLAIM,
  SECTION_HEADER,
  SECTION_HEADER_BYTES,
  TYPE_CLAIM,
  TYPE_COMMIT,
} from "./layout.ts";
import { readClaim, readCommit } from "./sections.ts";
import type { CellImage, ClaimRecord, CommitRecord, DecodedRecord, IndexChange } from "./values.ts";

export type {
  CellImage,
  ClaimRecord,
  CommitRecord,
  DecodedCell,
  DecodedClaim,
  DecodedCommit,
  DecodedRecord,
  IndexChange,
} from "./values.ts";
export { RECORD_HEADER_BYTES } from "./layout.ts";

const SMALLEST = RECORD_HEADER_BYTES + RECORD_CRC_BYTES;
const FORMAT: Format = { name: "record", damaged: "RECORD_DAMAGED", newer: "RECORD_NEWER" };
const CHANGE_NUMBER = { created: 1, deleted: 2, "alarm-set": 3, "alarm-cleared": 4, "alarms-failed": 5 } as const;

/** Bytes that the record will take. Throws RECORD_TOO_LARGE above a limit of a record. */
export function commitLength(r: CommitRecord): number {
  let length = SMALLEST;
  for (const cell of r.cells) {
    length += SECTION_HEADER_BYTES + cellPayload(cell);
    if (cell.base !== undefined) length += SECTION_HEADER_BYTES + BASE_PAYLOAD;
  }
  for (const change of r.changes) {
    length += SECTION_HEADER_BYTES + CHANGE_SECTION.address + padded(Buffer.byteLength(change.address));
  }
  if (length > MAX_RECORD_BYTES) throw tooLarge(r, `${length} bytes`, `${MAX_RECORD_BYTES}`);
  if (r.cells.length > MAX_RECORD_CELLS) throw tooLarge(r, `${r.cells.length} cells`, `${MAX_RECORD_CELLS}`);
  if (r.changes.length > MAX_RECORD_CHANGES) {
    throw tooLarge(r, `${r.changes.length} index changes`, `${MAX_RECORD_CHANGES}`);
  }
  return length;
}

/**
 * Writes the record at `target[at]` and returns where it ends. `target` must have commitLength() bytes left there; what
 * they held before does not matter. Throws RECORD_TOO_LARGE as commitLength does, before it writes.
 */
export function encodeCommit(r: CommitRecord, target: Buffer, at: number): number {
  const length = commitLength(r);
  assert(r.txid >= 1, "a commit has a txid");
  let bases = 0;
  for (let i = 0; i < r.cells.length; i++) if (r.cells[i]?.base !== undefined) bases += 1;
  const view = begin(r, TYPE_COMMIT, length, r.cells.length + r.changes.length + bases, target, at);
  let place = at + RECORD_HEADER_BYTES;
  for (let i = 0; i < r.cells.length; i++) place = putCell(r.cells[i] as CellImage, view, target, place);
  for (let i = 0; i < r.changes.length; i++) place = putChange(r.changes[i] as IndexChange, view, target, place);
  if (bases > 0) {
    for (const [i, { base }] of r.cells.entries())
      if (base !== undefined) place = putBase(i, base, view, target, place);
  }
  return finish(view, target, at, place, length);
}

/** Bytes of a claim record. */
export function claimLength(): number {
  return SMALLEST + SECTION_HEADER_BYTES + CLAIM_PAYLOAD;
}

/** Writes a claim record at `target[at]`, as encodeCommit does a commit. */
export function encodeClaim(r: ClaimRecord, target: Buffer, at: number): number {
  assert(r.runId.length === RUN_ID_BYTES, `a run id has ${RUN_ID_BYTES} bytes`);
  const view = begin(r, TYPE_CLAIM, claimLength(), 1, target, at);
  const section = at + RECORD_HEADER_BYTES;
  putSection(view, target, section, SECTION_CLAIM, MUST_UNDERSTAND, CLAIM_PAYLOAD);
  const payload = target.byteOffset + section + SECTION_HEADER_BYTES;
  putU64(view, payload + CLAIM_SECTION["previous epoch"], r.previousEpoch);
  putU64(view, payload + CLAIM_SECTION["last txid"], r.txid);
  putU64(view, payload + CLAIM_SECTION.run, r.run);
  const end = section + SECTION_HEADER_BYTES + CLAIM_PAYLOAD;
  target.set(r.runId, end - RUN_ID_BYTES);
  return finish(view, target, at, end, claimLength());
}

function begin(
  r: CommitRecord | ClaimRecord,
  type: number,
  length: number,
  sections: number,
  target: Buffer,
  at: number,
): DataView {
  assert(at >= 0 && at + length <= target.length, "a record is written inside its buffer");
  assert(r.slot >= 0 && r.slot < SLOTS && r.epoch >= 1, "a record belongs to a slot that is owned");
  const view = wholeView(target.buffer);
  const base = target.byteOffset + at;
  view.setUint32(base + RECORD_HEADER.magic, RECORD_MAGIC, true);
  view.setUint32(base + RECORD_HEADER.length, length, true);
  view.setUint8(base + RECORD_HEADER.version, RECORD_VERSION);
  view.setUint8(base + RECORD_HEADER.type, type);
  view.setUint16(base + RECORD_HEADER.slot, r.slot, true);
  view.setUint32(base + RECORD_HEADER.sections, sections, true);
  putU64(view, base + RECORD_HEADER.epoch, r.epoch);
  putU64(view, base + RECORD_HEADER.txid, r.txid);
  putU64(view, base + RECORD_HEADER.time, r.time);
  putU64(view, base + RECORD_HEADER.reserved, 0);
  return view;
}

function finish(view: DataView, target: Buffer, at: number, end: number, length: number): number {
  assert(end + RECORD_CRC_BYTES === at + length, "a record is as long as it was computed to be");
  const crc = crc32(new Uint8Array(target.buffer, target.byteOffset + at, end - at));
  view.setUint32(target.byteOffset + end, crc, true);
  return end + RECORD_CRC_BYTES;
}

function putSection(view: DataView, target: Buffer, at: number, type: number, flags: number, payload: number): void {
  const base = target.byteOffset + at;
  view.setUint16(base + SECTION_HEADER.type, type, true);
  view.setUint16(base + SECTION_HEADER.flags, flags, true);
  view.setUint32(base + SECTION_HEADER.length, payload, true);
}

function cellPayload(cell: CellImage): number {
  return CELL_SECTION.address + padded(cell.addressBytes.length) + cell.pages.count * (4 + cell.pages.pageSize);
}

function putCell(cell: CellImage, view: DataView, target: Buffer, at: number): number {
  const { pages, addressBytes } = cell;
  putSection(view, target, at, SECTION_CELL, MUST_UNDERSTAND, cellPayload(cell));
  const base = target.byteOffset + at + SECTION_HEADER_BYTES;
  view.setUint16(base + CELL_SECTION["address bytes"], addressBytes.length, true);
  view.setUint16(base + CELL_SECTION.reserved, 0, true);
  view.setUint32(base + CELL_SECTION["page size"], pages.pageSize, true);
  view.setUint32(base + CELL_SECTION["page count"], cell.pageCount, true);
  view.setUint32(base + CELL_SECTION["salt 1"], cell.walSalt1, true);
  view.setUint32(base + CELL_SECTION["salt 2"], cell.walSalt2, true);
  putU64(view, base + CELL_SECTION["WAL end"], cell.walEnd);
  putU64(view, base + CELL_SECTION.previous, cell.previous);
  view.setUint32(base + CELL_SECTION.pages, pages.count, true);
  let place = at + SECTION_HEADER_BYTES + CELL_SECTION.address;
  target.set(addressBytes, place);
  place = putPadding(target, place + addressBytes.length, padded(addressBytes.length) - addressBytes.length);
  for (let i = 0; i < pages.count; i++, place += 4) {
    const number = pages.numbers[i] as number;
    assert(number >= 1 && number <= cell.pageCount, "a changed page is a page of the database");
    view.setUint32(target.byteOffset + place, number, true);
  }
  const { source, pageSize } = pages;
  for (let i = 0; i < pages.count; i++, place += pageSize) {
    target.set(new Uint8Array(source.buffer, source.byteOffset + (pages.offsets[i] as number), pageSize), place);
  }
  return place;
}

function putChange(change: IndexChange, view: DataView, target: Buffer, at: number): number {
  const address = Buffer.from(change.address);
  const payload = CHANGE_SECTION.address + padded(address.length);
  putSection(view, target, at, SECTION_CHANGE, 0, payload);
  const base = target.byteOffset + at + SECTION_HEADER_BYTES;
  view.setUint8(base + CHANGE_SECTION.what, CHANGE_NUMBER[change.what]);
  view.setUint8(base + CHANGE_SECTION.reserved, 0);
  view.setUint16(base + CHANGE_SECTION["address bytes"], address.length, true);
  putU64(view, base + CHANGE_SECTION.value, change.value);
  const place = at + SECTION_HEADER_BYTES + CHANGE_SECTION.address;
  target.set(address, place);
  return putPadding(target, place + address.length, padded(address.length) - address.length);
}

function putBase(
  cell: number,
  { epoch, txid, attempt = 0 }: SnapshotPosition,
  view: DataView,
  target: Buffer,
  at: number,
): number {
  putSection(view, target, at, SECTION_BASE, MUST_UNDERSTAND, BASE_PAYLOAD);
  const base = target.byteOffset + at + SECTION_HEADER_BYTES;
  view.setUint32(base + BASE_SECTION.cell, cell, true);
  view.setUint32(base + BASE_SECTION.attempt, attempt, true);
  putU64(view, base + BASE_SECTION.epoch, epoch);
  putU64(view, base + BASE_SECTION.txid, txid);
  return at + SECTION_HEADER_BYTES + BASE_PAYLOAD;
}

function putPadding(target: Buffer, at: number, count: number): number {
  for (let i = 0; i < count; i++) target[at + i] = 0;
  return at + count;
}

function tooLarge(r: CommitRecord, is: string, limit: string): FrondError {
  const who = r.cells[0]?.address ?? r.changes[0]?.address ?? `slot ${r.slot}`;
  return new FrondError(
    "RECORD_TOO_LARGE",
    `the commit of ${who} has ${is}; at most ${limit} fit in one commit: split it`,
  );
}

/** Bytes of the record that begins at `bytes[at]`, from its first 8 bytes. Throws RECORD_DAMAGED if none can begin there. */
export function peekLength(bytes: Uint8Array, at: number, where: string): number {
  return lengthOf(new Fields(bytes, where, FORMAT), at, bytes.length);
}

/**
 * Reads the record at `bytes[at]`, which must end at `limit` or before. Pages and address bytes of the result point
 * into `bytes`. `where` names the bytes in errors (the file whose first byte is `bytes[0]`).
 *
 * Throws RECORD_DAMAGED when anything is not as this version writes it, RECORD_NEWER when the record is sound but holds
 * something that only newer software understands. Sections that say so themselves are passed over.
 */
export function decodeRecord(bytes: Uint8Array, at: number, limit: number, where: string): DecodedRecord {
  assert(at >= 0 && at <= limit && limit <= bytes.length, "a record is read inside its buffer");
  const fields = new Fields(bytes, where, FORMAT);
  const length = lengthOf(fields, at, limit);
  if (length > limit - at) {
    const there = `is ${length}, but only ${limit - at} bytes are there`;
    throw fields.damaged(at + RECORD_HEADER.length, "the length", there);
  }
  const end = at + length - RECORD_CRC_BYTES;
  const crc = crc32(new Uint8Array(bytes.buffer, bytes.byteOffset + at, end - at));
  if (fields.u32(end) !== crc) throw fields.damaged(end, "the checksum", "does not match");
  const type = checkHeader(fields, at, end);
  const head = {
    length,
    slot: fields.u16(at + RECORD_HEADER.slot) as Slot,
    epoch: fields.u64(at + RECORD_HEADER.epoch, "the epoch", 1) as Epoch,
    txid: fields.u64(at + RECORD_HEADER.txid, "the txid", type === TYPE_COMMIT ? 1 : 0) as Txid,
    time: fields.u64(at + RECORD_HEADER.time, "the time"),
  };
  if (type === TYPE_CLAIM) return { type: "claim", ...head, ...readClaim(fields, at, end, head) };
  return { type: "commit", ...head, ...readCommit(fields, at, end, head) };
}

function lengthOf(fields: Fields, at: number, limit: number): number {
  if (at + RECORD_HEADER.version > limit) throw fields.damaged(at, "the beginning", "is cut off");
  const magic = fields.u32(at + RECORD_HEADER.magic);
  if (magic !== RECORD_MAGIC) {
    throw fields.damaged(at, "the magic number", `is 0x${magic.toString(16)}, not 0x${RECORD_MAGIC.toString(16)}`);
  }
  const length = fields.u32(at + RECORD_HEADER.length);
  if (length < SMALLEST || length > MAX_RECORD_BYTES || length % 4 !== 0) {
    const range = `a multiple of 4 from ${SMALLEST} to ${MAX_RECORD_BYTES}`;
    throw fields.damaged(at + RECORD_HEADER.length, "the length", `is ${length}, not ${range}`);
  }
  return length;
}

/** The type of the record, when everything in its header that no reader gives on is sound. */
function checkHeader(fields: Fields, at: number, end: number): number {
  const version = fields.u8(at + RECORD_HEADER.version);
  if (version === 0) throw fields.damaged(at + RECORD_HEADER.version, "the version", "is 0");
  if (version > RECORD_VERSION) throw fields.newer(at + RECORD_HEADER.version, "the version", `is ${version}`);
  const type = fields.u8(at + RECORD_HEADER.type);
  if (type === 0) throw fields.damaged(at + RECORD_HEADER.type, "the type", "is 0");
  if (type > TYPE_CLAIM) throw fields.newer(at + RECORD_HEADER.type, "the type", `is ${type}`);
  const slot = fields.u16(at + RECORD_HEADER.slot);
  if (slot >= SLOTS) throw fields.damaged(at + RECORD_HEADER.slot, "the slot", `is ${slot}, not below ${SLOTS}`);
  const sections = fields.u32(at + RECORD_HEADER.sections);
  const room = Math.floor((end - at - RECORD_HEADER_BYTES) / SECTION_HEADER_BYTES);
  if (sections > room) {
    throw fields.damaged(at + RECORD_HEADER.sections, "the count of sections", `is ${sections}; ${room} can fit`);
  }
  fields.reserved(at + RECORD_HEADER.reserved, RECORD_HEADER_BYTES - RECORD_HEADER.reserved);
  return type;
}
