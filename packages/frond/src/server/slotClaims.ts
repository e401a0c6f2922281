// Taking slots: from the newest record of a slot in the bucket to a record that names this run.
//
// Rule (I1): a slot is served only when its record of a new epoch was created by this run and nobody has created a later one.
// What a directory knows of a slot is believed if its own run was the last owner, whose log is then in the bucket whole;
// else it is read out of the bucket, and what stands in the directory is nothing but old files.

import { randomBytes } from "node:crypto";
import type { Bucket } from "../bucket/bucket.ts";
import { createUntilKnown } from "../bucket/createUntilKnown.ts";
import { logKey, parseSlotKey, slotKey, slotPrefix } from "../bucket/objectKeys.ts";
import { decodeSlot, encodeDocument, type LogRange, type SlotDocument } from "../codec/documents.ts";
import { FrondError } from "../errors.ts";
import { listRunLog, readHeader } from "../log/runObjects.ts";
import type { Epoch, RunId, Seq, Slot, Txid } from "../types.ts";
import type { BucketQuestions, OpenedSlot } from "./bucketTalk.ts";
import type { SlotIndex } from "./slotIndex.ts";
import { SlotIndexes } from "./slotIndexes.ts";

/** What claims are made with. */
export interface ClaimOptions {
  readonly bucket: Bucket;
  readonly appVersion: string;
  /** Runs of this directory from before it had a bucket, the oldest first: theirs is what no slot record tells of. */
  readonly adopted: readonly RunId[];
  readonly sleep: (ms: number, signal?: AbortSignal) => Promise<void>;
  readonly signal: AbortSignal;
}

/** Where the log of the own run stands. */
export interface OwnLog {
  readonly runId: RunId;
  /** The number of its next segment: those below it are in the bucket. */
  readonly nextSeq: Seq;
}

type Question = Parameters<BucketQuestions["openSlot"]>[0];

/** See the head of the file. One per bucket thread. */
export class SlotClaims {
  readonly #o: ClaimOptions;
  readonly indexes: SlotIndexes;
  readonly #seals = new Map<RunId, Seq>();

  constructor(options: ClaimOptions) {
    this.#o = options;
    this.indexes = new SlotIndexes(options.bucket);
  }

  /** Takes a slot. Throws SLOT_OWNED when another run owns it, and what the bucket throws. */
  async open({ slot, knows }: Question, own: OwnLog): Promise<OpenedSlot> {
    const newest = await this.newest(slot);
    if (newest?.run === own.runId) return this.#again(newest, own, knows);
    const sources = await this.#sources(newest, knows.txid);
    const believed = newest === undefined || knows.run === newest.run;
    const index = believed ? undefined : await this.indexes.read(slot, sources);
    const before = {
      epoch: Math.max(newest?.epoch ?? 0, knows.epoch) as Epoch,
      txid: index === undefined ? knows.txid : index.at.txid,
    };
    const epoch = (before.epoch + 1) as Epoch;
    const document: SlotDocument = {
      ...{ intent: randomBytes(16).toString("hex"), slot, epoch, run: own.runId, from: own.nextSeq },
      ...{ appVersion: this.#o.appVersion, before, sources },
    };
    await this.#create(document);
    return { epoch, txid: before.txid, cells: index && entriesOf(index) };
  }

  /** The index of a slot that the own run has taken, with what the bucket has of this run too. */
  async indexOf(slot: Slot, own: OwnLog): Promise<SlotIndex> {
    const newest = await this.newest(slot);
    const sources = newest === undefined ? await this.#adopted() : this.#withOwn(newest, own);
    return this.indexes.read(slot, sources);
  }

  /** The newest record of a slot; undefined: nobody has ever owned it. */
  async newest(slot: Slot): Promise<SlotDocument | undefined> {
    const key = await this.#newestKey(slotPrefix(slot), undefined);
    if (key === undefined) return undefined;
    const found = await this.#o.bucket.get(key);
    if (found === undefined) throw new FrondError("OBJECT_DAMAGED", `${key} is gone from ${this.#o.bucket.url}`);
    return decodeSlot(found.bytes, key);
  }

  /** Where a run's log ended for ever. Throws SLOT_OWNED while it has not. */
  async sealOf(run: RunId): Promise<Seq> {
    const known = this.#seals.get(run);
    if (known !== undefined) return known;
    const { seqs } = await listRunLog(this.#o.bucket, run);
    for (const seq of seqs.toReversed()) {
      const header = await readHeader(this.#o.bucket, logKey(run, seq));
      // Behind a seal nothing counts; in front of it are segments.
      if (header?.kind === "segment") break;
      if (header?.kind === "seal") this.#seals.set(run, seq);
    }
    const seal = this.#seals.get(run);
    if (seal === undefined) throw owned(`run ${run} is alive, or was not seen to be dead yet`);
    return seal;
  }

  /** The run took the slot before, and the answer was lost on its way here. */
  async #again(newest: SlotDocument, own: OwnLog, knows: Question["knows"]): Promise<OpenedSlot> {
    const { slot, epoch, before } = newest;
    if (knows.epoch === before.epoch && knows.txid === before.txid) {
      return { epoch, txid: before.txid, cells: undefined };
    }
    const index = await this.indexes.read(slot, this.#withOwn(newest, own));
    return { epoch, txid: before.txid, cells: entriesOf(index) };
  }

  #withOwn(newest: SlotDocument, own: OwnLog): LogRange[] {
    return [...newest.sources, { run: own.runId, from: newest.from, to: own.nextSeq }];
  }

  async #sources(newest: SlotDocument | undefined, txid: Txid): Promise<LogRange[]> {
    if (newest === undefined) return txid === 0 ? [] : this.#adopted();
    const to = await this.sealOf(newest.run);
    const last = { run: newest.run, from: newest.from, to };
    return to > newest.from ? [...newest.sources, last] : [...newest.sources];
  }

  /** Where the history of slots lies that were never owned by a run with a bucket. */
  async #adopted(): Promise<LogRange[]> {
    const ranges: LogRange[] = [];
    for (const run of this.#o.adopted) {
      const to = await this.sealOf(run);
      if (to > 1) ranges.push({ run, from: 1 as Seq, to });
    }
    return ranges;
  }

  async #create(document: SlotDocument): Promise<void> {
    const { bucket, sleep, signal } = this.#o;
    const key = slotKey(document.slot, document.epoch);
    const { outcome } = await createUntilKnown(bucket, key, encodeDocument(document), { sleep, signal });
    if (outcome === "exists") throw owned(`another run has taken slot ${document.slot} at the same moment`);
    const newer = await this.#newestKey(slotPrefix(document.slot), key);
    if (newer !== undefined) throw owned(`${newer} was created behind it`);
  }

  async #newestKey(prefix: string, after: string | undefined): Promise<string | undefined> {
    let newest: string | undefined;
    for (let from = after; ;) {
      const page = await this.#o.bucket.list(prefix, from);
      for (const { key } of page) if (parseSlotKey(key) !== undefined) newest = key;
      if (page.length < 1000) return newest;
      from = page.at(-1)?.key;
    }
  }
}

function entriesOf(index: SlotIndex): OpenedSlot["cells"] {
  return [...index.cells.values()].map(({ entry }) => entry);
}

function owned(why: string): FrondError {
  return new FrondError("SLOT_OWNED", `the slot belongs to another node: ${why}`);
}
