// The records that one read of a log's tail hands out, as places in the chunks that they were read into.
//
// Rule: no object stands for a record. A segment has thousands, which all live until it is written: as objects with a view of their
// bytes each, they were copied by every collection of young garbage, and that cost more than cutting the segment.
// What is here is valid until the tail is read again, which uses it and its chunks anew.

import { SLOTS } from "../limits.ts";
import type { Lsn, Slot } from "../types.ts";

/** One record, for whoever wants it as a thing. */
export interface TailRecord {
  /** The whole record, until the tail is read again. Nobody writes there. */
  readonly bytes: Buffer;
  readonly slot: Slot;
  /** The lsn behind it. */
  readonly lsn: Lsn;
}

const FIRST_PLACES = 256;

/** See the head of the file. */
export class TailRecords {
  readonly #chunks: Buffer[] = [];
  /** By record: its chunk, its place there, its bytes, its slot, and the lsn behind it. */
  #chunk = new Uint32Array(FIRST_PLACES);
  #at = new Uint32Array(FIRST_PLACES);
  #bytes = new Uint32Array(FIRST_PLACES);
  #slot = new Uint16Array(FIRST_PLACES);
  #lsn = new Float64Array(FIRST_PLACES);
  #order = new Uint32Array(FIRST_PLACES);
  #length = 0;

  /** Count. */
  get length(): number {
    return this.#length;
  }

  clear(): void {
    this.#length = 0;
    this.#chunks.length = 0;
  }

  /** Adds `bytes` bytes at `chunk[at]`. */
  add(chunk: Buffer, at: number, bytes: number, slot: Slot, lsn: Lsn): void {
    if (this.#length === this.#at.length) this.#grow();
    if (this.#chunks.at(-1) !== chunk) this.#chunks.push(chunk);
    const i = this.#length++;
    this.#chunk[i] = this.#chunks.length - 1;
    this.#at[i] = at;
    this.#bytes[i] = bytes;
    this.#slot[i] = slot;
    this.#lsn[i] = lsn;
  }

  /** The numbers of the records by slot, in the order of the log within each: as long as nothing is added. */
  bySlot(): Uint32Array {
    const begins = new Uint32Array(SLOTS + 1);
    for (let i = 0; i < this.#length; i++) begins[this.slotOf(i) + 1] = (begins[this.slotOf(i) + 1] as number) + 1;
    for (let slot = 0; slot < SLOTS; slot++) begins[slot + 1] = (begins[slot + 1] as number) + (begins[slot] as number);
    for (let i = 0; i < this.#length; i++) {
      const slot = this.slotOf(i);
      const place = begins[slot] as number;
      this.#order[place] = i;
      begins[slot] = place + 1;
    }
    return this.#order.subarray(0, this.#length);
  }

  chunkOf(i: number): Buffer {
    return this.#chunks[this.#chunk[i] as number] as Buffer;
  }

  /** Where it begins in its chunk. */
  placeOf(i: number): number {
    return this.#at[i] as number;
  }

  bytesOf(i: number): number {
    return this.#bytes[i] as number;
  }

  slotOf(i: number): Slot {
    return this.#slot[i] as Slot;
  }

  /** All of them, as things, in the order of the log. */
  list(): TailRecord[] {
    return Array.from({ length: this.#length }, (_, i) => {
      const at = this.placeOf(i);
      const bytes = this.chunkOf(i).subarray(at, at + this.bytesOf(i));
      return { bytes, slot: this.slotOf(i), lsn: this.#lsn[i] as Lsn };
    });
  }

  #grow(): void {
    const places = 2 * this.#at.length;
    this.#chunk = grown(this.#chunk, new Uint32Array(places));
    this.#at = grown(this.#at, new Uint32Array(places));
    this.#bytes = grown(this.#bytes, new Uint32Array(places));
    this.#slot = grown(this.#slot, new Uint16Array(places));
    this.#lsn = grown(this.#lsn, new Float64Array(places));
    this.#order = new Uint32Array(places);
  }
}

function grown<T extends Uint32Array | Uint16Array | Float64Array>(from: T, to: T): T {
  to.set(from);
  return to;
}
