// Taking slots: core/claiming, carried out, from a record of a slot in the bucket to one that names this run.
//
// Rule (I1): what the machine says is carried out; a slot is served when it says `owned`. The record that a directory knows is
// tried first, without looking whether there are newer ones: the create and the listing behind it tell.
// What a directory knows of a slot is believed if its own run was the last owner, whose log is then in the bucket whole;
// else it is read out of the bucket, and what stands in the directory is nothing but old files.

import { randomBytes, randomInt } from "node:crypto";
import type { Bucket } from "../bucket/bucket.ts";
import { logKey, parseSlotKey, slotKey, slotPrefix } from "../bucket/objectKeys.ts";
import { pause } from "../bucket/retry.ts";
import { decodeSlot, encodeDocument, type LogRange, type SlotDocument } from "../codec/documents.ts";
import { type ClaimEvent, type ClaimStep, Claiming, planSlotClaim, type SlotRecord } from "../core/claiming.ts";
import { FrondError } from "../errors.ts";
import { BUCKET_INTENT_BYTES } from "../limits.ts";
import { listRunLog, readHeader } from "../log/runObjects.ts";
import type { Epoch, RunId, Seq, Slot } from "../types.ts";
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
  /** Hears of what failed, and is tried again. */
  readonly failed: (what: string, error: unknown) => void;
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
  readonly #seals = new Map<RunId, Promise<Seq>>();

  constructor(options: ClaimOptions) {
    this.#o = options;
    this.indexes = new SlotIndexes(options.bucket);
  }

  /** Takes a slot. Throws SLOT_OWNED when another run owns it, and what the bucket throws. */
  async open({ slot, knows }: Question, own: OwnLog): Promise<OpenedSlot> {
    let newest = knows.epoch === 0 ? undefined : await this.#record(slot, knows.epoch);
    newest ??= await this.newest(slot);
    for (;;) {
      if (newest?.run === own.runId) return this.#again(newest, own, knows);
      const opened = await this.#claim(slot, newest, own, knows);
      if (opened !== undefined) return opened;
      newest = await this.newest(slot);
    }
  }

  /** The index of a slot that the own run has taken, with what the bucket has of this run too. */
  async indexOf(slot: Slot, own: OwnLog): Promise<SlotIndex> {
    const newest = await this.newest(slot);
    const sources = newest === undefined ? await this.#adopted(1 as Epoch) : this.#withOwn(newest, own);
    return this.indexes.read(slot, sources);
  }

  /** The newest record of a slot; undefined: nobody has ever owned it. */
  async newest(slot: Slot): Promise<SlotDocument | undefined> {
    for (;;) {
      const epoch = await this.#newestEpoch(slot, undefined);
      if (epoch === undefined) return undefined;
      const found = await this.#record(slot, epoch);
      // Else it was cleaned up since, for there is a newer one.
      if (found !== undefined) return found;
    }
  }

  /** Where a run's log ended is known. */
  noteSeal(run: RunId, seal: Seq): void {
    this.#seals.set(run, Promise.resolve(seal));
  }

  /** Where a run's log ended for ever. Throws SLOT_OWNED while it has not. */
  sealOf(run: RunId): Promise<Seq> {
    const known = this.#seals.get(run) ?? this.#findSeal(run);
    this.#seals.set(run, known);
    known.catch(() => this.#seals.delete(run));
    return known;
  }

  async #findSeal(run: RunId): Promise<Seq> {
    const { seqs } = await listRunLog(this.#o.bucket, run);
    let seal: Seq | undefined;
    for (const seq of seqs.toReversed()) {
      const header = await readHeader(this.#o.bucket, logKey(run, seq));
      // Behind a seal nothing counts; in front of it are segments.
      if (header?.kind === "segment") break;
      if (header?.kind === "seal") seal = seq;
    }
    if (seal === undefined) throw owned(`run ${run} is alive, or was not seen to be dead yet`);
    return seal;
  }

  /** Claims the epoch behind `newest`; undefined when that was not the newest record. */
  async #claim(
    slot: Slot,
    newest: SlotDocument | undefined,
    own: OwnLog,
    knows: Question["knows"],
  ): Promise<OpenedSlot | undefined> {
    const seal = newest && (await this.sealOf(newest.run));
    const past = newest === undefined && knows.txid > 0 ? await this.#adopted(knows.epoch) : [];
    const believed = newest === undefined || knows.run === newest.run;
    const index = believed ? undefined : await this.indexes.read(slot, this.#withSealed(newest, seal as Seq));
    const txid = index === undefined ? knows.txid : index.at.txid;
    const record = planSlotClaim({
      ...{ newest, seal, covered: undefined, txid, run: own.runId, from: own.nextSeq },
      adopted: { epoch: knows.epoch, sources: past },
    });
    if (!(await this.#create(slot, record))) return undefined;
    return { epoch: record.epoch, txid, cells: index && entriesOf(index) };
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
    const { epoch, from, sources } = newest;
    return [...sources, { epoch, run: own.runId, from, to: own.nextSeq }];
  }

  #withSealed({ epoch, run, from, sources }: SlotDocument, seal: Seq): LogRange[] {
    return seal > from ? [...sources, { epoch, run, from, to: seal }] : [...sources];
  }

  /** Where the history of slots lies that were never owned by a run with a bucket; `epoch`: the highest that there was. */
  async #adopted(epoch: Epoch): Promise<LogRange[]> {
    const ranges: LogRange[] = [];
    for (const run of this.#o.adopted) {
      const to = await this.sealOf(run);
      if (to > 1) ranges.push({ epoch, run, from: 1 as Seq, to });
    }
    return ranges;
  }

  /** True when the record stands, and nobody has created a later one. */
  async #create(slot: Slot, record: SlotRecord): Promise<boolean> {
    const intent = randomBytes(16).toString("hex");
    const bytes = encodeDocument({ intent, slot, appVersion: this.#o.appVersion, ...record });
    const claiming = new Claiming(record);
    for (let step = claiming.start(); ;) {
      if (step.do === "owned") return true;
      if (step.do === "lost" || step.do === "superseded") return false;
      step = claiming.on(await this.#perform(step, slot, bytes));
    }
  }

  async #perform(
    step: Exclude<ClaimStep, { do: "owned" | "lost" | "superseded" }>,
    slot: Slot,
    bytes: Buffer,
  ): Promise<ClaimEvent> {
    const { bucket, sleep, signal, failed } = this.#o;
    if (step.do === "pause") {
      await sleep(pause(step.tries, randomInt(1000) / 1000), signal);
      signal.throwIfAborted();
      return { saw: "waited" };
    }
    try {
      const key = slotKey(slot, step.epoch);
      if (step.do === "create") return { saw: await bucket.create(key, bytes, { signal }) };
      if (step.do === "read back") return await this.#readBack(key, bytes);
      return { saw: "newest", epoch: (await this.#newestEpoch(slot, step.epoch)) ?? step.epoch };
    } catch (error) {
      signal.throwIfAborted();
      failed(`taking slot ${slot}`, error);
      return { saw: step.do === "create" ? "unknown" : "failed" };
    }
  }

  async #readBack(key: string, own: Buffer): Promise<ClaimEvent> {
    const found = await this.#o.bucket.get(key);
    if (found === undefined) return { saw: "absent" };
    const begins = found.bytes.subarray(0, BUCKET_INTENT_BYTES).equals(own.subarray(0, BUCKET_INTENT_BYTES));
    if (begins && found.size === own.length) return { saw: "ours" };
    return { saw: "other", found: decodeSlot(found.bytes, key) };
  }

  async #record(slot: Slot, epoch: Epoch): Promise<SlotDocument | undefined> {
    const key = slotKey(slot, epoch);
    const found = await this.#o.bucket.get(key);
    return found && decodeSlot(found.bytes, key);
  }

  /** The highest epoch behind `after` of which a record is listed. */
  async #newestEpoch(slot: Slot, after: Epoch | undefined): Promise<Epoch | undefined> {
    let newest: Epoch | undefined;
    for (let from = after && slotKey(slot, after); ;) {
      const page = await this.#o.bucket.list(slotPrefix(slot), from);
      for (const { key } of page) newest = parseSlotKey(key)?.epoch ?? newest;
      if (page.length < PAGE) return newest;
      from = page.at(-1)?.key;
    }
  }
}

/** Objects in one answer of a listing. Count. */
const PAGE = 1000;

function entriesOf(index: SlotIndex): OpenedSlot["cells"] {
  return [...index.cells.values()].map(({ entry }) => entry);
}

function owned(why: string): FrondError {
  return new FrondError("SLOT_OWNED", `the slot belongs to another node: ${why}`);
}
