// The records of an object as its footer lists them: which slot, where they lie, and their heads.
//
// Rule: they are looked through once, and everything is checked then; but what is kept of a record is where its entry begins. A footer
// lists thousands and is asked for the few of one slot, and many footers are kept: objects for all of them were the
// larger part of what the thread of the bucket held and collected.

import { isFrondError, FrondError } from "../errors.ts";
import { SLOTS } from "../limits.ts";
import type { Epoch, Slot } from "../types.ts";
import { Fields } from "./fields.ts";
import {
  OBJECT_BLOCK_BYTES,
  OBJECT_FOOTER,
  OBJECT_FOOTER_BYTES,
  OBJECT_RECORD,
  RECORD_CRC_BYTES,
  RECORD_HEADER,
  RECORD_HEADER_BYTES,
} from "./layout.ts";
import { OBJECT_FORMAT } from "./object.ts";
import type { Block } from "./objectWriter.ts";
import { decodeRecord, type DecodedRecord } from "./record.ts";

const SMALLEST_HEAD = RECORD_HEADER_BYTES + RECORD_CRC_BYTES;

/** One record of an object. Holds on to the bytes of the whole footer. */
export class Entry {
  readonly slot: Slot;
  /** Number of its block, from 0. */
  readonly block: number;
  /** Where it begins in its inflated block, and its bytes. */
  readonly at: number;
  readonly length: number;
  /** The record without pages, as codec/record.ts encodes it. */
  readonly headBytes: Buffer;
  readonly #where: string;

  /** `raw`: the footer, in which the entry begins at `place`. */
  constructor(where: string, raw: Buffer, place: number) {
    const head = place + OBJECT_RECORD.head;
    this.#where = where;
    this.slot = raw.readUInt16LE(head + RECORD_HEADER.slot) as Slot;
    this.block = raw.readUInt32LE(place + OBJECT_RECORD.block);
    this.at = raw.readUInt32LE(place + OBJECT_RECORD.offset);
    this.length = raw.readUInt32LE(place + OBJECT_RECORD.length);
    this.headBytes = raw.subarray(head, head + raw.readUInt32LE(place + OBJECT_RECORD["head bytes"]));
  }

  /** The epoch of the record, without decoding anything else. */
  get epoch(): Epoch {
    return Number(this.headBytes.readBigUInt64LE(RECORD_HEADER.epoch)) as Epoch;
  }

  /** The record without its pages, decoded anew at each call. Throws OBJECT_DAMAGED or OBJECT_NEWER. */
  head(): DecodedRecord {
    return decodeWhole(this.headBytes, 0, this.headBytes.length, `the head of a record in ${this.#where}`);
  }
}

/** All records of an object, in their order: by slot, then as they were written. Each is made when it is asked for. */
export class Entries implements Iterable<Entry> {
  readonly #where: string;
  readonly #raw: Buffer;
  readonly #places: Uint32Array;

  /** What {@link readEntries} has checked. */
  constructor(where: string, raw: Buffer, places: Uint32Array) {
    this.#where = where;
    this.#raw = raw;
    this.#places = places;
  }

  /** Count. */
  get length(): number {
    return this.#places.length;
  }

  at(i: number): Entry | undefined {
    const place = this.#places[i];
    return place === undefined ? undefined : new Entry(this.#where, this.#raw, place);
  }

  *[Symbol.iterator](): Generator<Entry, void, void> {
    for (let i = 0; i < this.length; i++) yield this.at(i) as Entry;
  }

  /** Those of a slot. */
  *of(slot: Slot): Generator<Entry, void, void> {
    for (let i = this.firstOf(slot); i < this.length && this.slotAt(i) === slot; i++) yield this.at(i) as Entry;
  }

  /** The number of the first one of a slot, or where it would stand. */
  firstOf(slot: Slot): number {
    let [low, high] = [0, this.length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.slotAt(middle) < slot) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** The slot of number `i`, which is there. */
  slotAt(i: number): Slot {
    const place = this.#places[i] as number;
    return this.#raw.readUInt16LE(place + OBJECT_RECORD.head + RECORD_HEADER.slot) as Slot;
  }
}

/** Reads the entries of a footer: `count` of them, which fill it and the blocks. Throws OBJECT_DAMAGED. */
export function readEntries(fields: Fields, blocks: readonly Block[], count: number, where: string): Entries {
  const raw = fields.bytes as Buffer;
  let place = OBJECT_FOOTER_BYTES + blocks.length * OBJECT_BLOCK_BYTES;
  if (count * (OBJECT_RECORD.head + SMALLEST_HEAD) > raw.length - place) {
    throw fields.damaged(OBJECT_FOOTER.records, "the number of records", `is ${count}, more than there is room for`);
  }
  const places = new Uint32Array(count);
  let [block, end, slot] = [0, 0, 0];
  for (let i = 0; i < count; i++) {
    const head = place + OBJECT_RECORD.head;
    if (head + SMALLEST_HEAD > raw.length) throw fields.damaged(place, "a record's entry", "is cut off");
    const headBytes = fields.u32(place + OBJECT_RECORD["head bytes"]);
    if (headBytes < SMALLEST_HEAD || headBytes > raw.length - head) {
      throw fields.damaged(place + OBJECT_RECORD["head bytes"], "the size of a head", `is ${headBytes}`);
    }
    if (end === blocks[block]?.raw) [block, end] = [block + 1, 0];
    const itsBlock = fields.u32(place + OBJECT_RECORD.block);
    const at = fields.u32(place + OBJECT_RECORD.offset);
    const length = fields.u32(place + OBJECT_RECORD.length);
    const left = (blocks[block]?.raw ?? 0) - end;
    if (itsBlock !== block || at !== end || length < headBytes || length > left) {
      const what = `is block ${itsBlock}, ${at}, ${length} bytes; the record before ends in block ${block} at ${end}`;
      throw fields.damaged(place, "the place of a record", what);
    }
    const itsSlot = fields.u16(head + RECORD_HEADER.slot);
    if (itsSlot < slot || itsSlot >= SLOTS) {
      throw fields.damaged(head + RECORD_HEADER.slot, "the slot of a record", `is ${itsSlot} behind ${slot}`);
    }
    slot = itsSlot;
    end += length;
    places[i] = place;
    place = head + headBytes;
  }
  if (place !== raw.length) throw fields.damaged(place, "the entries", `leave ${raw.length - place} bytes over`);
  if (blocks.length > 0 && (block !== blocks.length - 1 || end !== blocks[block]?.raw)) {
    throw fields.damaged(OBJECT_FOOTER.records, "the records", `fill the blocks only up to block ${block}, ${end}`);
  }
  return new Entries(where, raw, places);
}

/** A record that must be exactly `length` bytes long. Throws OBJECT_DAMAGED or OBJECT_NEWER. */
export function decodeWhole(bytes: Buffer, at: number, length: number, where: string): DecodedRecord {
  let record: DecodedRecord;
  try {
    record = decodeRecord(bytes, at, at + length, where);
  } catch (error) {
    if (!isFrondError(error)) throw error;
    const code = error.code === "RECORD_NEWER" ? "OBJECT_NEWER" : "OBJECT_DAMAGED";
    throw new FrondError(code, error.message, { cause: error });
  }
  if (record.length === length) return record;
  const fields = new Fields(bytes, where, OBJECT_FORMAT);
  throw fields.damaged(at + RECORD_HEADER.length, "the length of a record", `is ${record.length}, not ${length}`);
}
