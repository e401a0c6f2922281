// The indexes of slots that were read out of the bucket, and the footers that they were read from.
//
// Rule: both are caches with a bound, so a node's memory does not grow with its cells: what was dropped is read again. A footer
// holds records of many slots, so slots that are opened one after the other read it once.

import type { Bucket } from "../bucket/bucket.ts";
import { logKey } from "../bucket/objectKeys.ts";
import type { LogRange } from "../codec/documents.ts";
import type { Footer } from "../codec/objectReader.ts";
import { FrondError } from "../errors.ts";
import { FETCHES_AT_ONCE, MAX_FOOTERS_RECORDS, MAX_INDEXED_PLACES } from "../limits.ts";
import { readFooter } from "../log/runObjects.ts";
import type { Seq, Slot } from "../types.ts";
import { SlotIndex } from "./slotIndex.ts";

/** See the head of the file. One per bucket thread. */
export class SlotIndexes {
  readonly #bucket: Bucket;
  /** The last used last. */
  readonly #indexes = new Map<Slot, SlotIndex>();
  readonly #footers = new Map<string, Footer>();
  readonly #reading = new Map<string, Promise<Footer>>();
  #places = 0;
  #records = 0;

  constructor(bucket: Bucket) {
    this.#bucket = bucket;
  }

  /** The index of a slot, if it was read and is still held. */
  held(slot: Slot): SlotIndex | undefined {
    return this.#indexes.get(slot);
  }

  /** Reads the index of a slot out of all its sources, given in the order of its history. */
  async read(slot: Slot, sources: readonly LogRange[]): Promise<SlotIndex> {
    const index = new SlotIndex(slot);
    const keys: string[] = [];
    for (const { run, from, to } of sources) for (let seq = from; seq < to; seq++) keys.push(logKey(run, seq as Seq));
    for (let at = 0; at < keys.length; at += FETCHES_AT_ONCE) {
      const part = keys.slice(at, at + FETCHES_AT_ONCE);
      const footers = await Promise.all(part.map((key) => this.#footer(key)));
      for (const [i, footer] of footers.entries()) index.apply(part[i] as string, footer);
    }
    this.#hold(index);
    return index;
  }

  drop(slot: Slot): void {
    this.#places -= this.#indexes.get(slot)?.places ?? 0;
    this.#indexes.delete(slot);
  }

  #hold(index: SlotIndex): void {
    this.drop(index.slot);
    this.#indexes.set(index.slot, index);
    this.#places += index.places;
    for (const slot of this.#indexes.keys()) {
      if (this.#places <= MAX_INDEXED_PLACES || slot === index.slot) break;
      this.drop(slot);
    }
  }

  #footer(key: string): Promise<Footer> {
    const known = this.#footers.get(key);
    if (known !== undefined) return Promise.resolve(known);
    const reading = this.#reading.get(key) ?? this.#read(key).finally(() => this.#reading.delete(key));
    this.#reading.set(key, reading);
    return reading;
  }

  async #read(key: string): Promise<Footer> {
    const footer = await readFooter(this.#bucket, key);
    if (footer === undefined) {
      const what = `${key} is gone from ${this.#bucket.url}, and a slot's history needs it`;
      throw new FrondError("OBJECT_DAMAGED", what);
    }
    this.#footers.set(key, footer);
    this.#records += footer.entries.length;
    for (const [oldest, { entries }] of this.#footers) {
      if (this.#records <= MAX_FOOTERS_RECORDS || oldest === key) break;
      this.#footers.delete(oldest);
      this.#records -= entries.length;
    }
    return footer;
  }
}
