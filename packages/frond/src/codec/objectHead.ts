// The head of a record: the same record without its pages, as it stands in the footer of an object.
//
// Rule: a head is made by copying bytes and reads back through decodeRecord: everything of the record is in it (slot,
// epoch, txid, time, addresses, page counts, index changes, also sections that this version does not know), but no cell
// has pages. A claim is its own head.
// Rejected: to decode and encode again (every address is checked then: more work than all the rest of a segment).

import { crc32 } from "node:zlib";
import { assert } from "../assert.ts";
import {
  CELL_SECTION,
  RECORD_CRC_BYTES,
  RECORD_HEADER,
  RECORD_HEADER_BYTES,
  SECTION_CELL,
  SECTION_HEADER,
  SECTION_HEADER_BYTES,
} from "./layout.ts";

/** Bytes that the head of the sound record of `length` bytes at `bytes[from]` takes. */
export function headLength(bytes: Buffer, from = 0, length = bytes.length - from): number {
  const end = from + length - RECORD_CRC_BYTES;
  let head = length;
  let at = from + RECORD_HEADER_BYTES;
  for (; at < end; at = nextSection(bytes, at)) head -= pageBytes(bytes, at);
  assert(at === end, "the sections of a record fill it");
  return head;
}

/**
 * Writes the head of the sound record of `length` bytes at `bytes[from]` to `target[at]`, where headLength() bytes must be left, and
 * returns where it ends.
 */
export function putHead(bytes: Buffer, from: number, length: number, target: Buffer, at: number): number {
  const end = from + length - RECORD_CRC_BYTES;
  let place = at + bytes.copy(target, at, from, from + RECORD_HEADER_BYTES);
  for (let section = from + RECORD_HEADER_BYTES; section < end;) {
    const next = nextSection(bytes, section);
    const pages = pageBytes(bytes, section);
    const copied = bytes.copy(target, place, section, next - pages);
    if (pages > 0) {
      const payload = bytes.readUInt32LE(section + SECTION_HEADER.length) - pages;
      target.writeUInt32LE(payload, place + SECTION_HEADER.length);
      target.writeUInt32LE(0, place + SECTION_HEADER_BYTES + CELL_SECTION.pages);
    }
    place += copied;
    section = next;
  }
  target.writeUInt32LE(place + RECORD_CRC_BYTES - at, at + RECORD_HEADER.length);
  return target.writeUInt32LE(crc32(target.subarray(at, place)), place);
}

function nextSection(record: Buffer, at: number): number {
  return at + SECTION_HEADER_BYTES + Math.ceil(record.readUInt32LE(at + SECTION_HEADER.length) / 4) * 4;
}

/** Bytes of the pages, with their numbers, at the end of the section at `at`. */
function pageBytes(record: Buffer, at: number): number {
  if (record.readUInt16LE(at + SECTION_HEADER.type) !== SECTION_CELL) return 0;
  const payload = at + SECTION_HEADER_BYTES;
  const pageSize = record.readUInt32LE(payload + CELL_SECTION["page size"]);
  return record.readUInt32LE(payload + CELL_SECTION.pages) * (4 + pageSize);
}
