// Taking slots: core/claiming, carried out, from a record of a slot in the bucket to one that names this run.
//
// Rule (I1): what the machine says is carried out; a slot is served when it says `owned`. The record that a directory knows is
// tried first, without looking whether there are newer ones: the create and the listing behind it tell.
// What a directory knows of a slot is believed if its own run was the last owner, whose log is then in the bucket whole;
// else it is read out of the bucket, and what stands in the directory is nothing but old files.

import { randomBytes, randomInt } from "node:crypto";
import type { Bucket } from "../../bucket/bucket.ts";
import { slotKey } from "../../bucket/objectKeys.ts";
import { pause } from "../../bucket/retry.ts";
import { decodeSlot, encodeDocument, type LogRange, type SlotDocument } from "../../codec/documents.ts";
import {
  type ClaimEvent,
  type ClaimStep,
  Claiming,
  type Covered,
  planSlotClaim,
  type SlotRecord,
} from "../../core/claiming.ts";
import { isFrondError } from "../../errors.ts";
import { BUCKET_INTENT_BYTES, CLOCK_MARGIN_MS, MAX_SLOT_SOURCES } from "../../limits.ts";
import type { Epoch, RunId, Seq, Slot } from "../../types.ts";
import type { BucketQuestions, OpenedSlot } from "../persist/bucketTalk.ts";
import { SlotHistories } from "./slotHistory.ts";
import type { HistoryLimit, SlotIndex } from "./slotIndex.ts";
import type { ListedCheckpoint, SlotIndexes } from "./slotIndexes.ts";

/** A record with so many sources may carry some that nobody wants any more. Count. */
const LOOK_FROM_SOURCES = 16;

/** What claims are made with. */
export interface ClaimOptions {
  readonly bucket: Bucket;
  readonly appVersion: string;
  /** Runs of this directory from before it had a bucket, the oldest first: theirs is what no slot record tells of. */
  readonly adopted: readonly RunId[];
  /** How far back one can go, in ms. */
  readonly retentionMs: number;
  /** The time of day, in ms; default: the machine's. */
  readonly now?: () => number;
  readonly sleep: (ms: number, signal?: AbortSignal) => Promise<void>;
  readonly signal: AbortSignal;
  /** Ends the log of a run that has no lease; false: it has one. Absent: nobody ends any. */
  readonly end?: ((run: RunId) => Promise<boolean>) | undefined;
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
  readonly histories: SlotHistories;
  readonly indexes: SlotIndexes;
  /** The records of slots that the living run owns: as long as it does, they do not change. */
  readonly #owned = new Map<Slot, SlotRecord>();
  /** Their newest checkpoints, once they were looked for: nobody else writes any. */
  readonly #newest = new Map<Slot, ListedCheckpoint | undefined>();

  /** Logs that are being ended. */
  readonly #endings = new Map<RunId, Promise<boolean>>();

  constructor(options: ClaimOptions) {
    this.#o = options;
    this.histories = new SlotHistories(options.bucket, options.adopted);
    this.indexes = this.histories.indexes;
  }

  /** Takes a slot. Throws SLOT_OWNED when another run owns it, and what the bucket throws. */
  async open({ slot, knows }: Question, own: OwnLog): Promise<OpenedSlot> {
    const { histories } = this;
    let newest = knows.epoch === 0 ? undefined : await histories.record(slot, knows.epoch);
    // A directory that is behind (another machine, a loss of power) knows of a record that is not the newest: what does not fit to
    // that one is no damage.
    let isGuess = newest !== undefined;
    newest ??= await histories.newest(slot);
    for (;;) {
      if (newest?.run === own.runId) return this.#again(newest, own, knows);
      const opened = await this.#claim(slot, newest, own, knows).catch((error: unknown) => {
        if (!isGuess || !isFrondError(error, "OBJECT_DAMAGED")) throw error;
        return undefined;
      });
      if (opened !== undefined) return opened;
      isGuess = false;
      newest = await histories.newest(slot);
    }
  }

  /** The slots that a run has taken here, and their records. */
  owned(run: RunId): [Slot, SlotRecord][] {
    return [...this.#owned].filter(([, record]) => record.run === run);
  }

  /** A checkpoint was written of a slot that the own run has taken. */
  checkpointed(slot: Slot, checkpoint: ListedCheckpoint): void {
    this.#newest.set(slot, checkpoint);
    this.indexes.drop(slot);
  }

  /** The index of a slot that the own run has taken, with what the bucket has of this run too. */
  async indexOf(slot: Slot, own: OwnLog): Promise<SlotIndex> {
    const { ranges, covered } = await this.rangesOf(slot, own);
    const isKnown = this.#newest.has(slot);
    const checkpoint = isKnown ? this.#newest.get(slot) : await this.histories.newestCheckpoint(slot, covered);
    // One that was written meanwhile is newer.
    const isOwn = this.#owned.get(slot)?.run === own.runId;
    if (isOwn && !this.#newest.has(slot)) this.#newest.set(slot, checkpoint);
    return this.histories.read(slot, ranges, checkpoint);
  }

  /** The slot as it was: by its newest checkpoint before the limit, and what came behind that. Throws HISTORY_GONE. */
  async indexAt(slot: Slot, limit: HistoryLimit, own: OwnLog): Promise<SlotIndex> {
    const { ranges, covered } = await this.rangesOf(slot, own);
    return this.histories.readAt(slot, ranges, covered, limit);
  }

  /** All of a slot's history that can be gone back to. Throws SLOT_OWNED when it belongs to a run that lives elsewhere. */
  async rangesOf(slot: Slot, own: OwnLog): Promise<{ ranges: LogRange[]; covered: Covered | undefined }> {
    const { histories } = this;
    const known = this.#owned.get(slot);
    const record = known?.run === own.runId ? known : await histories.newest(slot);
    if (record === undefined) return { ranges: await histories.adopted(1 as Epoch), covered: undefined };
    const to = record.run === own.runId ? own.nextSeq : await this.#sealOf(record.run);
    return { ranges: withOwn(record, to), covered: record.covered };
  }

  /** Where a run's log ended for ever. Throws SLOT_OWNED while it has a lease. */
  async #sealOf(run: RunId): Promise<Seq> {
    try {
      return await this.histories.sealOf(run);
    } catch (error) {
      const { end } = this.#o;
      if (end === undefined || !isFrondError(error, "SLOT_OWNED")) throw error;
      const ending = this.#endings.get(run) ?? end(run).finally(() => this.#endings.delete(run));
      this.#endings.set(run, ending);
      if (!(await ending)) throw error;
      return this.histories.sealOf(run);
    }
  }

  /** Claims the epoch behind `newest`; undefined when that was not the newest record. */
  async #claim(
    slot: Slot,
    newest: SlotDocument | undefined,
    own: OwnLog,
    knows: Question["knows"],
  ): Promise<OpenedSlot | undefined> {
    const { histories } = this;
    if (newest === undefined && knows.epoch === 0) await histories.checkNeverOwned(slot);
    const seal = newest && (await this.#sealOf(newest.run));
    const past = newest === undefined && knows.txid > 0 ? await histories.adopted(knows.epoch) : [];
    const believed = newest === undefined || knows.run === newest.run;
    const checkpoint = believed ? undefined : await histories.newestCheckpoint(slot, newest.covered, newest.epoch);
    const index = believed ? undefined : await histories.read(slot, withOwn(newest, seal as Seq), checkpoint);
    const txid = index === undefined ? knows.txid : index.at.txid;
    const isBrought = newest === undefined && knows.txid > 0 && past.length === 0;
    const covered = isBrought ? await this.#brought(slot, knows) : await this.#coveredFor(slot, newest);
    const record = planSlotClaim({
      newest,
      seal,
      covered,
      txid,
      run: own.runId,
      from: own.nextSeq,
      adopted: {
        epoch: knows.epoch,
        sources: past,
      },
    });
    if (!(await this.#create(slot, record))) return undefined;
    this.#own(slot, record);
    if (!believed) this.#newest.set(slot, checkpoint);
    return { epoch: record.epoch, txid, cells: index && entriesOf(index) };
  }

  /** The run took the slot before, and the answer was lost on its way here. */
  async #again(newest: SlotDocument, own: OwnLog, knows: Question["knows"]): Promise<OpenedSlot> {
    const { slot, epoch, before, covered, sources } = newest;
    this.#own(slot, newest);
    // As for a claim, what the directory knows is right if its own run was the owner before; here the sources tell.
    const last = sources.at(-1);
    const wasOwn = last !== undefined && last.run === knows.run && last.epoch === before.epoch;
    if (wasOwn && knows.epoch === before.epoch && knows.txid === before.txid) {
      return { epoch, txid: before.txid, cells: undefined };
    }
    const checkpoint = await this.histories.newestCheckpoint(slot, covered);
    const index = await this.histories.read(slot, withOwn(newest, own.nextSeq), checkpoint);
    return { epoch, txid: before.txid, cells: entriesOf(index) };
  }

  #own(slot: Slot, record: SlotRecord): void {
    this.#owned.set(slot, record);
    this.#newest.delete(slot);
  }

  /** What a directory held from before it had a bucket stands in a checkpoint alone, where it could not bring its logs. */
  async #brought(slot: Slot, { epoch }: Question["knows"]): Promise<Covered | undefined> {
    const checkpoint = await this.histories.newestCheckpoint(slot, undefined);
    return checkpoint && { epoch, seq: 1 as Seq };
  }

  /** What the next record need not carry: looked up only when there are many sources, for it costs a listing. */
  async #coveredFor(slot: Slot, newest: SlotDocument | undefined): Promise<Covered | undefined> {
    const sources = newest?.sources.length ?? 0;
    if (sources < LOOK_FROM_SOURCES) return undefined;
    const checkpoints = await this.histories.checkpoints(slot);
    if (sources >= MAX_SLOT_SOURCES) return checkpoints.at(-1);
    const { now = Date.now, retentionMs } = this.#o;
    const oldest = now() - retentionMs - CLOCK_MARGIN_MS;
    return checkpoints.findLast(({ modifiedMs }) => modifiedMs < oldest);
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
      return { saw: "newest", epoch: (await this.histories.newestEpoch(slot, step.epoch)) ?? step.epoch };
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
}

/** The sources of a record, and behind them what its owner wrote up to but without the number `to`. */
function withOwn({ epoch, run, from, sources }: SlotRecord, to: Seq): LogRange[] {
  return to > from ? [...sources, { epoch, run, from, to }] : [...sources];
}

function entriesOf(index: SlotIndex): OpenedSlot["cells"] {
  return [...index.cells.values()].map(({ entry }) => entry);
}
