// The indexes of slots that were read out of the bucket, and the footers that they were read from.
//
// A slot is read by its newest checkpoint and what came behind it: packs where there are some, segments elsewhere.
//
// Rule: both are caches with a bound, so a node's memory does not grow with its cells: what was dropped is read again. A footer
// holds records of many slots, so slots that are opened one after the other read it once.

import type { Bucket } from "../../bucket/bucket.ts";
import type { LogRange } from "../../codec/documents.ts";
import type { Entry } from "../../codec/objectEntries.ts";
import type { Footer } from "../../codec/objectReader.ts";
import type { Block } from "../../codec/objectWriter.ts";
import { FrondError } from "../../errors.ts";
import { FETCHES_AT_ONCE, MAX_FOOTERS_RECORDS, MAX_INDEXED_PLACES, SLOT_READ_TRIES } from "../../limits.ts";
import { cover, type Part } from "../../log/cover.ts";
import { checkIs, wantedOf } from "../../log/objectRecords.ts";
import { listBases, readFooter } from "../../log/runObjects.ts";
import type { RecordPlace } from "../../store/fetch.ts";
import { intentOf, snapshotKeyOf } from "../../store/snapshot.ts";
import type { Epoch, RunId, Seq, Slot } from "../../types.ts";
import { RunPacks } from "../upkeep/runPacks.ts";
import { type HistoryLimit, type IndexedCell, isBehind, SlotIndex } from "./slotIndex.ts";

/** A checkpoint in a listing. */
export interface ListedCheckpoint {
  readonly key: string;
  /** It covers all epochs before this one, and of this one what stands below `seq` in its owner's log. */
  readonly epoch: Epoch;
  readonly seq: Seq;
  readonly bytes: number;
  /** By the store's clock, in ms since 1970. */
  readonly modifiedMs: number;
}

/** Where a slot is to be read. */
export interface SlotHistory {
  readonly checkpoint?: ListedCheckpoint | undefined;
  /** No later one is there. Default: nobody knows. */
  readonly isNewest?: boolean;
  /** What it does not cover, in the order of the slot's history. */
  readonly sources: readonly LogRange[];
}

/** See the head of the file. One per bucket thread. */
export class SlotIndexes {
  readonly #bucket: Bucket;
  readonly packs: RunPacks;
  /** The last used last. */
  readonly #indexes = new Map<Slot, SlotIndex>();
  readonly #footers = new Map<string, Footer>();
  /** Of runs whose logs were cleaned up, as far as it was noticed: numbers below hold nothing that a slot needs. */
  readonly #bases = new Map<RunId, Seq>();
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

  /** Reads the index of a slot. Throws OBJECT_DAMAGED where something that is needed is gone or damaged. */
  async read(slot: Slot, history: SlotHistory): Promise<SlotIndex> {
    const index = await this.#readAll(slot, history, undefined);
    this.#hold(index);
    return index;
  }

  /** The same up to a limit, which must not lie before the checkpoint; it is not held. */
  readUpTo(slot: Slot, history: SlotHistory, limit: HistoryLimit): Promise<SlotIndex> {
    return this.#readAll(slot, history, limit);
  }

  /**
   * Packs that are gone were merged into larger ones meanwhile, and segments were cleaned up: then it begins anew, and passes
   * over what is below the bases of the logs. The newest checkpoint covers all that was ever cut. Behind an older one, which a copy
   * may have kept, or without one, nothing of the slot may have been: commit by commit, without packs, it is seen whether something
   * is missing.
   */
  async #readAll(slot: Slot, history: SlotHistory, limit: HistoryLimit | undefined): Promise<SlotIndex> {
    for (let tries = 1; ; tries++) {
      const index = new SlotIndex(slot);
      const sources = history.sources.map((range) => this.#uncut(range));
      const isCut = sources.some(({ from }, i) => from > (history.sources[i] as LogRange).from);
      const covers = history.checkpoint !== undefined && (limit === undefined || history.isNewest === true);
      const isWhole = covers || !isCut;
      const gone = await this.#apply(index, { ...history, sources }, limit, isWhole);
      if (gone === undefined && (isWhole || index.gapBefore === undefined)) return index;
      if (gone === undefined) {
        const code = limit === undefined ? "OBJECT_DAMAGED" : "HISTORY_GONE";
        const what = `of the history of slot ${slot} in ${this.#bucket.url} something is not kept any more`;
        throw new FrondError(code, `${what}: what came before ${index.gapBefore}`);
      }
      if (tries === SLOT_READ_TRIES) {
        throw new FrondError(
          "OBJECT_DAMAGED",
          `${gone} is gone from ${this.#bucket.url}, and a slot's history needs it`,
        );
      }
      for (const { run } of history.sources) this.packs.drop(run);
      await Promise.all(history.sources.map(({ run }) => this.#findBase(run)));
    }
  }

  #uncut(range: LogRange): LogRange {
    const base = this.#bases.get(range.run) ?? range.from;
    return base > range.from ? { ...range, from: base } : range;
  }

  async #findBase(run: RunId): Promise<void> {
    const { base } = await listBases(this.#bucket, run);
    if (base > 1) this.#bases.set(run, base);
  }

  /** The object at a key was written again: what lies where in it is not what was read. */
  rewritten(key: string): void {
    this.#records -= this.#footers.get(key)?.entries.length ?? 0;
    this.#footers.delete(key);
    for (const slot of this.#indexes.keys()) this.drop(slot);
  }

  /** What is held of a slot was found wrong: it is read anew when it is needed again, and so is what lies where. */
  distrust(slot: Slot): void {
    this.drop(slot);
    this.packs.dropAll();
    this.#footers.clear();
    this.#records = 0;
  }

  /** The key of an object that should be there and is not; undefined: all went well. */
  async #apply(
    index: SlotIndex,
    { checkpoint, sources }: SlotHistory,
    limit: HistoryLimit | undefined,
    usePacks: boolean,
  ): Promise<string | undefined> {
    if (checkpoint !== undefined) {
      const [footer] = await Promise.all([
        this.checkpoint(checkpoint),
        limit === undefined ? this.#readAhead(sources, usePacks) : undefined,
      ]);
      if (footer === undefined) return checkpoint.key;
      index.apply(checkpoint.key, footer);
      // It stands for all up to its position.
      index.gapBefore = undefined;
    }
    if (limit === undefined) return this.#applySources(index, sources, usePacks);
    for (const range of sources) {
      const gone = await this.#applyRange(index, range, limit, usePacks);
      if (gone !== undefined || index.ended) return gone;
    }
    return undefined;
  }

  /** What comes first behind a checkpoint is asked for beside it: who waits for a slot waits for few requests in a row. */
  async #readAhead(sources: readonly LogRange[], usePacks: boolean): Promise<void> {
    const parts = await this.#partsOf(sources, usePacks);
    await Promise.all(parts.slice(0, FETCHES_AT_ONCE).map((part) => this.footer(part)));
  }

  async #partsOf(sources: readonly LogRange[], usePacks: boolean): Promise<(Part & { readonly epoch: Epoch })[]> {
    const parts: (Part & { readonly epoch: Epoch })[] = [];
    const ranges = sources.filter(({ from, to }) => from < to);
    const packs = await Promise.all(ranges.map(({ run }) => (usePacks ? this.packs.of(run) : [])));
    for (const [i, range] of ranges.entries()) {
      const { run, epoch } = range;
      for (const part of cover(run, packs[i] ?? [], range)) parts.push({ ...part, epoch });
    }
    return parts;
  }

  async #applySources(index: SlotIndex, sources: readonly LogRange[], usePacks: boolean): Promise<string | undefined> {
    const parts = await this.#partsOf(sources, usePacks);
    for (let at = 0; at < parts.length; at += FETCHES_AT_ONCE) {
      const some = parts.slice(at, at + FETCHES_AT_ONCE);
      const footers = await Promise.all(some.map((part) => this.footer(part)));
      for (const [i, footer] of footers.entries()) {
        const { key, epoch } = some[i] as (typeof parts)[number];
        if (footer === undefined) return key;
        index.apply(key, footer, epoch);
      }
    }
    return undefined;
  }

  /** One object after the other: of a pack that reaches behind the limit nobody knows how its cells stood there. */
  async #applyRange(
    index: SlotIndex,
    range: LogRange,
    limit: HistoryLimit,
    usePacks: boolean,
  ): Promise<string | undefined> {
    const { run, epoch, to } = range;
    const all = usePacks && range.from < to ? await this.packs.of(run) : [];
    for (let from = range.from, packs = all; from < to && !index.ended;) {
      const [part] = cover(run, packs, { from, to }) as [Part, ...Part[]];
      const footer = await this.footer(part);
      if (footer === undefined) return part.key;
      if (part.kind === "pack" && reachesBehind(footer, index.slot, limit)) {
        packs = packs.filter((pack) => pack.to - pack.from < part.to - part.from);
        continue;
      }
      index.apply(part.key, footer, epoch, limit);
      from = part.to;
      packs = all;
    }
    return undefined;
  }

  /** Where all pages of a cell lie: those of its snapshot first, which is looked into only here. */
  async placesOf({ entry, places, base }: IndexedCell): Promise<RecordPlace[]> {
    if (base === undefined) return [...places];
    const key = snapshotKeyOf(entry, base);
    const footer = await readFooter(this.#bucket, key);
    const what = `${entry.address} needs ${key}`;
    if (footer === undefined) throw new FrondError("OBJECT_DAMAGED", `${what}, which is gone from ${this.#bucket.url}`);
    checkIs(footer, { key, kind: "snapshot", run: footer.runId, number: base.txid, intent: intentOf(key) });
    return [...Array.from(footer.entries, (item) => placeOf(key, footer, item)), ...places];
  }

  /** The footer of a checkpoint; undefined: it is gone. */
  async checkpoint({ key, seq }: ListedCheckpoint): Promise<Footer | undefined> {
    const footer = await readFooter(this.#bucket, key);
    if (footer === undefined) return undefined;
    checkIs(footer, { key, kind: "checkpoint", run: footer.runId, number: seq, intent: intentOf(key) });
    return footer;
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

  /** The footer of a part of a log; undefined: it is gone. Throws OBJECT_DAMAGED for one that is damaged, or another object's. */
  footer(part: Part): Promise<Footer | undefined> {
    const { key } = part;
    const known = this.#footers.get(key);
    if (known !== undefined) return Promise.resolve(known);
    const reading = this.#reading.get(key) ?? this.#readFooter(part).finally(() => this.#reading.delete(key));
    this.#reading.set(key, reading);
    return reading;
  }

  async #readFooter(part: Part): Promise<Footer | undefined> {
    const { key } = part;
    const footer = await readFooter(this.#bucket, key);
    if (footer === undefined) return undefined;
    checkIs(footer, wantedOf(part));
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

function placeOf(key: string, footer: Footer, { block, at, length }: Entry): RecordPlace {
  return { key, block: footer.blocks[block] as Block, at, length };
}

function reachesBehind(footer: Footer, slot: Slot, limit: HistoryLimit): boolean {
  if ("time" in limit) return footer.lastMs > limit.time;
  for (const entry of footer.entries.of(slot)) if (isBehind(limit, entry.head())) return true;
  return false;
}
