// The indexes of slots that were read out of the bucket, and the footers that they were read from.
//
// Rule: both are caches with a bound, so a node's memory does not grow with its cells: what was dropped is read again. A footer
// holds records of many slots, so slots that are opened one after the other read it once.

import type { Bucket } from "../bucket/bucket.ts";
import type { LogRange } from "../codec/documents.ts";
import type { Footer } from "../codec/objectReader.ts";
import { FrondError } from "../errors.ts";
import { FETCHES_AT_ONCE, MAX_FOOTERS_RECORDS, MAX_INDEXED_PLACES, SLOT_READ_TRIES } from "../limits.ts";
import { cover, type Part } from "../log/cover.ts";
import { checkIs } from "../log/objectRecords.ts";
import { readFooter } from "../log/runObjects.ts";
import type { Epoch, Slot } from "../types.ts";
import { RunPacks } from "./runPacks.ts";
import { SlotIndex } from "./slotIndex.ts";

/** See the head of the file. One per bucket thread. */
export class SlotIndexes {
  readonly #bucket: Bucket;
  readonly packs: RunPacks;
  /** The last used last. */
  readonly #indexes = new Map<Slot, SlotIndex>();
  readonly #footers = new Map<string, Footer>();
  readonly #reading = new Map<string, Promise<Footer | undefined>>();
  #places = 0;
  #records = 0;

  constructor(bucket: Bucket) {
    this.#bucket = bucket;
    this.packs = new RunPacks(bucket);
  }

  /** The index of a slot, if it was read and is still held. */
  held(slot: Slot): SlotIndex | undefined {
    return this.#indexes.get(slot);
  }

  /**
   * Reads the index of a slot out of all its sources, given in the order of its history. Packs that are gone were merged into
   * larger ones meanwhile: then it begins anew. Throws OBJECT_DAMAGED where something that is needed is gone or damaged.
   */
  async read(slot: Slot, sources: readonly LogRange[]): Promise<SlotIndex> {
    for (let tries = 1; ; tries++) {
      const read = await this.#read(slot, sources);
      if (read instanceof SlotIndex) {
        this.#hold(read);
        return read;
      }
      if (tries === SLOT_READ_TRIES) {
        const what = `${read.gone} is gone from ${this.#bucket.url}, and a slot's history needs it`;
        throw new FrondError("OBJECT_DAMAGED", what);
      }
      for (const { run } of sources) this.packs.drop(run);
    }
  }

  /** What is held of a slot was found wrong: it is read anew when it is needed again, and so is what lies where. */
  distrust(slot: Slot): void {
    this.drop(slot);
    this.packs.dropAll();
  }

  async #read(slot: Slot, sources: readonly LogRange[]): Promise<SlotIndex | { readonly gone: string }> {
    const index = new SlotIndex(slot);
    const parts: (Part & { readonly epoch: Epoch })[] = [];
    for (const range of sources) {
      const { run, epoch } = range;
      if (range.from >= range.to) continue;
      for (const part of cover(run, await this.packs.of(run), range)) parts.push({ ...part, epoch });
    }
    for (let at = 0; at < parts.length; at += FETCHES_AT_ONCE) {
      const some = parts.slice(at, at + FETCHES_AT_ONCE);
      const footers = await Promise.all(some.map((part) => this.#footer(part)));
      for (const [i, footer] of footers.entries()) {
        const { key, epoch } = some[i] as (typeof parts)[number];
        if (footer === undefined) return { gone: key };
        index.apply(key, footer, epoch);
      }
    }
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

  #footer(part: Part): Promise<Footer | undefined> {
    const { key } = part;
    const known = this.#footers.get(key);
    if (known !== undefined) return Promise.resolve(known);
    const reading = this.#reading.get(key) ?? this.#readFooter(part).finally(() => this.#reading.delete(key));
    this.#reading.set(key, reading);
    return reading;
  }

  async #readFooter({ key, kind, run, from }: Part): Promise<Footer | undefined> {
    const footer = await readFooter(this.#bucket, key);
    if (footer === undefined) return undefined;
    checkIs(footer, { key, kind, run, number: from });
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
