// Writing a binary object, chunk by chunk: see object.ts for what it is.
//
// Rule: nothing stays in memory but the block that is being filled and what the footer will say, so a snapshot of a large
// cell streams. The same records and the same start give the same bytes: whoever has to write an object again, after a
// crash or an answer that never came, writes the same one.
// Level 1 of zstd: the worker that uploads shares the machine with the requests.

import { constants, crc32, zstdCompressSync } from "node:zlib";
import { assert } from "../assert.ts";
import { MAX_FOOTER_BYTES, MAX_RECORD_BYTES, OBJECT_BLOCK_RAW_BYTES } from "../limits.ts";
import type { Lsn } from "../types.ts";
import { putU64 } from "./bytes.ts";
import {
  OBJECT_BLOCK,
  OBJECT_BLOCK_BYTES,
  OBJECT_FOOTER,
  OBJECT_FOOTER_BYTES,
  OBJECT_RECORD,
  OBJECT_TRAILER,
  RECORD_HEADER,
} from "./layout.ts";
import { encodeObjectHeader, OBJECT_HEADER_BYTES, type ObjectHeader, TRAILER_BYTES, TRAILER_MAGIC } from "./object.ts";
import { headLength, putHead } from "./objectHead.ts";

/** What an object is begun with. */
export interface ObjectStart extends ObjectHeader {
  /** Of a segment: the part of its run's log that it holds. Of a seal `toLsn`, where the log ends. Of others absent. */
  readonly fromLsn?: Lsn;
  readonly toLsn?: Lsn;
  /** In ms since 1970. */
  readonly createdMs: number;
}

/** A block as the footer lists it. */
export interface Block {
  /** Where it begins in the object, in bytes. */
  readonly offset: number;
  /** Its compressed bytes. */
  readonly stored: number;
  /** Its bytes once inflated. */
  readonly raw: number;
  /** CRC-32 of the compressed bytes. */
  readonly checksum: number;
}

const ZSTD = { params: { [constants.ZSTD_c_compressionLevel]: 1 } };
const FIRST_ENTRY_BYTES = 64 * 1024;

/**
 * Writes one object: `add` its records, take the chunks that are ready as often as you like, and `finish`. The chunks, one
 * behind the other, are the object.
 */
export class ObjectWriter {
  readonly #start: ObjectStart;
  readonly #header: Buffer;
  readonly #blocks: Block[] = [];
  #ready: Buffer[];
  #offset = OBJECT_HEADER_BYTES;
  /** The block being filled. */
  #block = Buffer.allocUnsafe(OBJECT_BLOCK_RAW_BYTES);
  #blockUsed = 0;
  /** Entries of the footer so far. */
  #entries = Buffer.allocUnsafe(FIRST_ENTRY_BYTES);
  #entriesUsed = 0;
  #records = 0;
  #slot = 0;
  #firstMs = Number.MAX_SAFE_INTEGER;
  #lastMs = 0;
  #finished = false;

  constructor(start: ObjectStart) {
    const { fromLsn, toLsn } = start;
    if (start.kind === "segment") {
      assert(fromLsn !== undefined && toLsn !== undefined && fromLsn < toLsn, "a segment is a part of a log");
    } else {
      assert(fromLsn === undefined, "only a segment is a part of a log");
      assert((toLsn === undefined) === (start.kind !== "seal"), "a seal tells where its log ends");
    }
    this.#start = start;
    this.#header = encodeObjectHeader(start);
    this.#ready = [this.#header];
  }

  /** Bytes of the footer so far, before compression: above MAX_FOOTER_BYTES nothing more may be added. */
  get footerBytes(): number {
    return OBJECT_FOOTER_BYTES + (this.#blocks.length + 1) * OBJECT_BLOCK_BYTES + this.#entriesUsed;
  }

  /** Bytes of the object so far, without the block that is being filled, the footer and the trailer. */
  get bytes(): number {
    return this.#offset;
  }

  /** Adds the sound record of `length` bytes at `bytes[from]`, which is copied. Records come sorted by slot. */
  add(bytes: Buffer, from = 0, length = bytes.length - from): void {
    assert(!this.#finished && this.#start.kind !== "seal", "records go into an object that is being written");
    const whole = length === bytes.readUInt32LE(from + RECORD_HEADER.length) && length <= MAX_RECORD_BYTES;
    assert(whole, "records are whole");
    this.#note(bytes, from);
    if (length > OBJECT_BLOCK_RAW_BYTES) {
      this.#closeBlock();
      this.#putEntry(bytes, from, length, 0);
      this.#putBlock(bytes.subarray(from, from + length));
      return;
    }
    if (this.#blockUsed + length > OBJECT_BLOCK_RAW_BYTES) this.#closeBlock();
    this.#putEntry(bytes, from, length, this.#blockUsed);
    this.#blockUsed += bytes.copy(this.#block, this.#blockUsed, from, from + length);
  }

  /** The chunks that became ready since it was last asked. */
  take(): Buffer[] {
    const ready = this.#ready;
    this.#ready = [];
    return ready;
  }

  /** The last chunks. Nothing is added after. */
  finish(): Buffer[] {
    assert(!this.#finished, "an object is finished once");
    assert(this.#records > 0 || this.#start.kind === "seal", "only a seal is empty");
    this.#closeBlock();
    this.#finished = true;
    const raw = this.#footer();
    const stored = compress(raw);
    this.#ready.push(stored, trailer(this.#offset, stored, raw.length));
    return this.take();
  }

  #note(bytes: Buffer, from: number): void {
    const slot = bytes.readUInt16LE(from + RECORD_HEADER.slot);
    assert(slot >= this.#slot, "records are sorted by slot");
    this.#slot = slot;
    const at = from + RECORD_HEADER.time;
    const time = bytes.readUInt32LE(at) + bytes.readUInt32LE(at + 4) * 2 ** 32;
    if (time < this.#firstMs) this.#firstMs = time;
    if (time > this.#lastMs) this.#lastMs = time;
    this.#records += 1;
  }

  #putEntry(bytes: Buffer, from: number, length: number, at: number): void {
    const head = headLength(bytes, from, length);
    const need = this.#entriesUsed + OBJECT_RECORD.head + head;
    assert(this.footerBytes + OBJECT_RECORD.head + head <= MAX_FOOTER_BYTES, "the footer of an object can be read");
    if (need > this.#entries.length) {
      const larger = Buffer.allocUnsafe(Math.max(need, 2 * this.#entries.length));
      this.#entries.copy(larger, 0, 0, this.#entriesUsed);
      this.#entries = larger;
    }
    const entries = this.#entries;
    const place = this.#entriesUsed;
    entries.writeUInt32LE(this.#blocks.length, place + OBJECT_RECORD.block);
    entries.writeUInt32LE(at, place + OBJECT_RECORD.offset);
    entries.writeUInt32LE(length, place + OBJECT_RECORD.length);
    entries.writeUInt32LE(head, place + OBJECT_RECORD["head bytes"]);
    this.#entriesUsed = putHead(bytes, from, length, entries, place + OBJECT_RECORD.head);
  }

  #closeBlock(): void {
    if (this.#blockUsed === 0) return;
    this.#putBlock(this.#block.subarray(0, this.#blockUsed));
    this.#blockUsed = 0;
  }

  #putBlock(raw: Buffer): void {
    const stored = compress(raw);
    this.#blocks.push({ offset: this.#offset, stored: stored.length, raw: raw.length, checksum: crc32(stored) });
    this.#offset += stored.length;
    this.#ready.push(stored);
  }

  #footer(): Buffer {
    const { fromLsn, toLsn, createdMs } = this.#start;
    const head = Buffer.alloc(OBJECT_FOOTER_BYTES + this.#blocks.length * OBJECT_BLOCK_BYTES);
    const view = new DataView(head.buffer, head.byteOffset, head.length);
    head.set(this.#header, OBJECT_FOOTER.header);
    putU64(view, OBJECT_FOOTER["from lsn"], fromLsn ?? 0);
    putU64(view, OBJECT_FOOTER["to lsn"], toLsn ?? 0);
    putU64(view, OBJECT_FOOTER.created, createdMs);
    view.setUint32(OBJECT_FOOTER.blocks, this.#blocks.length, true);
    view.setUint32(OBJECT_FOOTER.records, this.#records, true);
    putU64(view, OBJECT_FOOTER.first, this.#records === 0 ? 0 : this.#firstMs);
    putU64(view, OBJECT_FOOTER.last, this.#lastMs);
    for (const [i, block] of this.#blocks.entries()) {
      const at = OBJECT_FOOTER_BYTES + i * OBJECT_BLOCK_BYTES;
      putU64(view, at + OBJECT_BLOCK.offset, block.offset);
      view.setUint32(at + OBJECT_BLOCK.stored, block.stored, true);
      view.setUint32(at + OBJECT_BLOCK.raw, block.raw, true);
      view.setUint32(at + OBJECT_BLOCK.checksum, block.checksum, true);
    }
    return Buffer.concat([head, this.#entries.subarray(0, this.#entriesUsed)]);
  }
}

function compress(raw: Buffer): Buffer {
  return zstdCompressSync(raw, ZSTD);
}

function trailer(footer: number, stored: Buffer, raw: number): Buffer {
  const bytes = Buffer.alloc(TRAILER_BYTES);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  putU64(view, OBJECT_TRAILER.footer, footer);
  view.setUint32(OBJECT_TRAILER.stored, stored.length, true);
  view.setUint32(OBJECT_TRAILER.raw, raw, true);
  view.setUint32(OBJECT_TRAILER["footer checksum"], crc32(stored), true);
  view.setUint32(OBJECT_TRAILER.checksum, crc32(bytes.subarray(0, OBJECT_TRAILER.checksum)), true);
  view.setUint32(OBJECT_TRAILER.magic, TRAILER_MAGIC, true);
  return bytes;
}

/** A whole segment in memory; its records are in the order of the log, and are sorted by slot here. */
export function encodeSegment(
  start: Omit<ObjectStart, "kind">,
  records: readonly { readonly bytes: Buffer; readonly slot: number }[],
): Buffer {
  const writer = new ObjectWriter({ ...start, kind: "segment" });
  for (const { bytes } of records.toSorted((a, b) => a.slot - b.slot)) writer.add(bytes);
  return Buffer.concat(writer.finish());
}

/** The object that ends a run's log: there is nothing behind `toLsn`. */
export function encodeSeal(start: Omit<ObjectStart, "kind" | "fromLsn"> & { readonly toLsn: Lsn }): Buffer {
  return Buffer.concat(new ObjectWriter({ ...start, kind: "seal" }).finish());
}
