// The side of the bucket: everything that a node does there, in one thread of its own.
//
// Rule: the order of a start is that of the protocol. Earlier runs of this directory are finished first, because their disk
// is at hand: the rest of their log is uploaded, then it is sealed, then their lease goes. Runs of others are waited for
// until they are dead, and sealed. Only then has this run a lease, and only with a lease does it take slots.
// Nothing here is on the way of a request; what a request needs to know it finds in shared numbers.

import { randomInt } from "node:crypto";
import path from "node:path";
import { setImmediate as nextTurn, setTimeout as sleepFor } from "node:timers/promises";
import { countedBucket, type CountedBucket } from "../../bucket/counted.ts";
import { inTurns } from "../../bucket/inTurns.ts";
import { openBucket } from "../../bucket/open.ts";
import { pause } from "../../bucket/retry.ts";
import type { ErasureDocument } from "../../codec/documents.ts";
import { FrondError, isFrondError } from "../../errors.ts";
import { CELLS_FETCHED_AT_ONCE, FLUSH_MS, LOG_RETRY_MAX_MS, SLOTS_TAKEN_AT_ONCE } from "../../limits.ts";
import { LogHands } from "../../log/logHands.ts";
import { Upload } from "../../log/upload.ts";
import type { CellEntry } from "../../store/catalog.ts";
import { fetchCell, type FetchCost } from "../../store/fetch.ts";
import { writeContent } from "../../store/snapshot.ts";
import type { Lsn, RunId, Seq, Slot } from "../../types.ts";
import {
  AWAKE,
  BEAT_PAUSED,
  type BucketNews,
  type BucketQuestions,
  type BucketSetup,
  NUMBER,
  type OpenedSlot,
  type OwnRun,
  type SlotBrought,
  type Started,
  WAKE_FOR_BYTES,
  WAKE_FOR_WAITERS,
} from "./bucketTalk.ts";
import { bringSlot } from "../runs/bringSlot.ts";
import { CellHistory, cellAt } from "../slots/cellHistory.ts";
import { joinCluster } from "../runs/cluster.ts";
import { ContentFile } from "../contents/contentFile.ts";
import { Compaction } from "../upkeep/compaction.ts";
import { type CopiesLeft, eraseCopies, type ErasedCell, type EraseOptions, findCopies } from "../upkeep/eraseCopies.ts";
import { checkNotErased, erasedThrough, listErasures, putErasure } from "../upkeep/erasureRecords.ts";
import { type FinishOptions, finishRuns } from "../runs/finishRuns.ts";
import { Housekeeping } from "../upkeep/housekeeping.ts";
import { LeaseLoop } from "../runs/leaseLoop.ts";
import { monotonicMs } from "../monotonic.ts";
import type { CellCommit } from "../operator/nodeControl.ts";
import { checkAlone, finishLeaseless, type OtherRunsOptions, removeLeases } from "../runs/otherRuns.ts";
import { Places } from "../places.ts";
import { SlotClaims } from "../slots/slotClaims.ts";

type Questions = { readonly [K in keyof BucketQuestions]: (question: Parameters<BucketQuestions[K]>[0]) => unknown };

/** See the head of the file. One per node with a bucket. */
export class BucketSide implements Questions {
  readonly #setup: BucketSetup;
  readonly #tell: (news: BucketNews) => void;
  readonly #numbers: Float64Array;
  readonly #ending = new AbortController();
  readonly #taking = new Places(SLOTS_TAKEN_AT_ONCE);
  readonly #fetching = new Places(CELLS_FETCHED_AT_ONCE);
  #bucket: CountedBucket | undefined;
  /** The same, for the lease: its two calls follow each other at once, and wait for nothing else that the thread does. */
  #prompt: CountedBucket | undefined;
  #claims: SlotClaims | undefined;
  #compaction: Compaction | undefined;
  #housekeeping: Housekeeping | undefined;
  #run: LivingRun | undefined;
  #segments = 0;
  #beats = 0;
  #mainSeen = monotonicMs();
  #toldFailure = "";
  #over = false;

  constructor(setup: BucketSetup, tell: (news: BucketNews) => void) {
    this.#setup = setup;
    this.#tell = tell;
    this.#numbers = new Float64Array(setup.numbers);
  }

  async start(): Promise<Started> {
    const { bucket: spec, unfinished, inPlace, adopted, appVersion, own, retentionMs } = this.#setup;
    const { url, ...options } = spec;
    const prompt = countedBucket(await openBucket(url, options));
    const bucket: CountedBucket = { ...inTurns(prompt), counts: () => prompt.counts() };
    this.#prompt = prompt;
    this.#bucket = bucket;
    const signal = this.#ending.signal;
    const { warnings, ...joined } = await joinCluster(bucket, this.#setup, signal);
    for (const message of warnings) this.#tell({ news: "warn", fields: {}, message });
    const logFolder = path.join(this.#setup.directory, "log");
    const finishing: FinishOptions = { ...this.#othersOf(own), unfinished, inPlace, logFolder };
    const { others, ...finished } = await finishRuns(finishing);
    const failed = (what: string, error: unknown): void => this.#warnOnce(what, error);
    const end = async (run: RunId): Promise<boolean> => {
      const ended = await finishLeaseless(finishing, run);
      if (ended) this.#compaction?.over(run);
      return ended;
    };
    const claims = new SlotClaims({ bucket, appVersion, adopted, retentionMs, sleep, signal, end, failed });
    this.#claims = claims;
    const { packs } = claims.indexes;
    const sealOf = (run: RunId): Promise<Seq> => claims.histories.sealOf(run);
    this.#compaction = new Compaction({ bucket, sealOf, sleep, failed, changed: (run) => packs.drop(run) });
    const folder = path.join(this.#setup.directory, "tmp");
    this.#housekeeping = new Housekeeping({ bucket, claims, folder, retentionMs, failed });
    for (const [run, seal] of this.#setup.seals) claims.histories.noteSeal(run, seal);
    for (const { run, seal } of finished.finished) {
      const id = unfinished.find((known) => known.run === run)?.runId;
      if (id !== undefined) claims.histories.noteSeal(id, seal);
    }
    const over = [...unfinished.map(({ runId }) => runId), ...others];
    for (const run of over) this.#compaction.over(run);
    await this.#begin(own, over);
    return { ...joined, ...finished };
  }

  openSlot(question: Parameters<BucketQuestions["openSlot"]>[0]): Promise<OpenedSlot> {
    return this.#taking.take(() => {
      const { runId, upload } = this.#living();
      return this.#claiming().open(question, { runId, nextSeq: upload.seq });
    });
  }

  async bringSlot(slot: SlotBrought): Promise<void> {
    const { runId } = this.#living();
    const { signal } = this.#ending;
    await bringSlot(this.#bucket as CountedBucket, slot, { runId, run: this.#setup.own.run, signal });
  }

  fetchCell(question: Parameters<BucketQuestions["fetchCell"]>[0]): Promise<FetchCost> {
    return this.#fetching.take(() => this.#fetchCellNow(question));
  }

  async #fetchCellNow(question: Parameters<BucketQuestions["fetchCell"]>[0]): Promise<FetchCost> {
    try {
      return await this.#fetchCell(question);
    } catch (error) {
      if (!isFrondError(error, "OBJECT_DAMAGED")) throw error;
      // What the index was read from may have been merged into larger packs since, and be gone.
      this.#claiming().indexes.distrust(question.entry.slot as Slot);
      return await this.#fetchCell(question);
    }
  }

  async #fetchCell({ entry, file }: Parameters<BucketQuestions["fetchCell"]>[0]): Promise<FetchCost> {
    const { address, slot, epoch, txid, pageSize, pageCount } = entry;
    const is = (held: ReturnType<SlotClaims["indexes"]["held"]>): boolean => {
      const known = held?.cells.get(address)?.entry;
      return known?.epoch === epoch && known.txid === txid;
    };
    const claims = this.#claiming();
    let index = claims.indexes.held(slot as Slot);
    if (!is(index)) {
      const { runId, upload } = this.#living();
      index = await claims.indexOf(slot as Slot, { runId, nextSeq: upload.seq });
    }
    const cell = index?.cells.get(address);
    if (cell === undefined || !is(index)) {
      const has = cell === undefined ? "nothing" : `${cell.entry.epoch}-${cell.entry.txid}`;
      const what = `${this.#bucket?.url} has ${has} of it, and its last record is ${epoch}-${txid}`;
      throw new FrondError("CELL_DAMAGED", `${address} cannot be made anew: ${what}`);
    }
    const places = await claims.indexes.placesOf(cell);
    return fetchCell(this.#bucket as CountedBucket, { address, pageSize, pageCount, places }, file);
  }

  async history({ slot, address, query }: Parameters<BucketQuestions["history"]>[0]): Promise<CellCommit[]> {
    const claims = this.#claiming();
    const { runId, upload } = this.#living();
    const ranges = await claims.rangesOf(slot, { runId, nextSeq: upload.seq });
    const bucket = this.#bucket as CountedBucket;
    const erased = await erasedThrough(bucket, address);
    return new CellHistory(bucket, claims.histories, slot, address).commits(ranges, query, erased);
  }

  async restoreCell({ slot, address, at, file }: Parameters<BucketQuestions["restoreCell"]>[0]): Promise<CellEntry> {
    const { runId, upload } = this.#living();
    const claims = this.#claiming();
    const cell = cellAt(await claims.indexAt(slot, at, { runId, nextSeq: upload.seq }), address, at);
    const bucket = this.#bucket as CountedBucket;
    await checkNotErased(bucket, cell.entry);
    await fetchCell(bucket, { ...cell.entry, places: await claims.indexes.placesOf(cell) }, file);
    return cell.entry;
  }

  putErasure(document: ErasureDocument): Promise<void> {
    return putErasure(this.#bucket as CountedBucket, document);
  }

  erasures(): Promise<ErasureDocument[]> {
    return listErasures(this.#bucket as CountedBucket);
  }

  /** Alone: a pack or checkpoint that was begun before would bring the cell back, and one that is removed must not come back itself. */
  async eraseCopies(cell: ErasedCell): Promise<void> {
    await this.#housekeeping?.alone(
      () =>
        this.#compaction?.alone(async (signal) => eraseCopies({ ...(await this.#erasing(cell)), signal }, cell)) ??
        Promise.resolve(),
    );
  }

  async findCopies(cell: ErasedCell): Promise<CopiesLeft> {
    return findCopies(await this.#erasing(cell), cell);
  }

  async #erasing({ slot }: ErasedCell): Promise<EraseOptions> {
    const claims = this.#claiming();
    const { runId, upload } = this.#living();
    const ranges = await claims.rangesOf(slot, { runId, nextSeq: upload.seq });
    const { signal } = this.#ending;
    return { bucket: this.#bucket as CountedBucket, histories: claims.histories, ranges, breathe: nextTurn, signal };
  }

  async putContent({ entry, file }: Parameters<BucketQuestions["putContent"]>[0]): Promise<void> {
    const { runId } = this.#living();
    const source = new ContentFile(file, entry);
    try {
      const options = { runId, breathe: nextTurn, signal: this.#ending.signal };
      await writeContent(this.#bucket as CountedBucket, entry, source, options);
    } finally {
      source.close();
    }
  }

  /** Uploads the rest, seals the log, gives up the lease. */
  async finish(): Promise<Seq> {
    await Promise.all([this.#compaction?.stop(), this.#housekeeping?.stop()]);
    const seal = await this.#endRun(this.#living());
    this.#over = true;
    await this.#bucket?.close();
    return seal;
  }

  /** The run has lapsed: finishes it, as soon as the bucket is back, and begins another. */
  async renew(own: OwnRun): Promise<Seq> {
    const run = this.#living();
    const seal = await this.#endRun(run);
    this.#claiming().histories.noteSeal(run.runId, seal);
    this.#compaction?.over(run.runId);
    await this.#begin(own, [run.runId]);
    return seal;
  }

  /** There may be more to upload. */
  wake(): void {
    this.#run?.wake();
  }

  /** `over`: runs of which it is known that they are, whatever leases there are. */
  async #begin(own: OwnRun, over: readonly RunId[]): Promise<void> {
    const { ttlMs, maxSyncMs, directory } = this.#setup;
    const hands = this.#handsOf(own.runId);
    let isAlone = false;
    const lease = new LeaseLoop({
      bucket: this.#prompt as CountedBucket,
      hands: this.#handsOf(own.runId, this.#prompt),
      runId: own.runId,
      ttlMs,
      maxSyncMs,
      signal: this.#ending.signal,
      nextSeq: () => upload.seq,
      mainSeen: () => this.#lookAtMain(),
      publish: (until) => {
        // Nobody is served before it is known that this is the only node.
        this.#numbers[NUMBER.believed] = isAlone ? until : -Infinity;
        this.#publishCounts();
      },
      lapsed: (why) =>
        this.#tell({
          news: why === "sealed" ? "sealed" : "lapsed",
          why,
        }),
      failed: (what, error) => this.#warnOnce(what, error),
    });
    const upload: Upload = new Upload({
      hands,
      run: own.run,
      runId: own.runId,
      logFolder: path.join(directory, "log"),
      now: monotonicMs,
      start: {
        seq: 1 as Seq,
        lsn: own.firstLsn,
        ttlMs,
        adopted: false,
      },
      wallNow: Date.now,
      believed: () => lease.believed,
      onConfirmed: (lsn) => this.#confirmed(lsn),
      onUploaded: (changed) => this.#housekeeping?.checkpoints.changed(changed),
    });
    await lease.start();
    await this.#stayIfAlone(own, lease, new Set(over));
    isAlone = true;
    this.#numbers[NUMBER.believed] = lease.believedUntil;
    const run = new LivingRun(own.runId, upload, lease);
    this.#run = run;
    run.work = this.#uploadOn(run);
    this.#compaction?.follow(own.runId, () => upload.seq);
    const isConfirmed = (): boolean => lease.believed && upload.uploaded === upload.confirmed;
    this.#housekeeping?.follow({ ...own, confirmedSeq: () => (isConfirmed() ? upload.seq : undefined) });
  }

  /** Throws BUCKET_IN_USE, without a lease, where another node has begun at the same time. */
  async #stayIfAlone(own: OwnRun, lease: LeaseLoop, over: ReadonlySet<RunId>): Promise<void> {
    const { signal } = this.#ending;
    for (let tries = 1; ; tries++) {
      try {
        return await checkAlone(this.#othersOf(own), over);
      } catch (error) {
        if (!isFrondError(error, "BUCKET_FAILED") || signal.aborted) {
          await lease.leave();
          throw error;
        }
        this.#warnOnce("looking for other nodes", error);
        await sleep(pause(tries, randomInt(1000) / 1000, LOG_RETRY_MAX_MS), signal);
      }
    }
  }

  #othersOf({ runId: own }: OwnRun): OtherRunsOptions {
    const warn: OtherRunsOptions["warn"] = (fields, message) => this.#tell({ news: "warn", fields, message });
    const handsOf = (runId: RunId): LogHands => this.#handsOf(runId);
    const { ttlMs } = this.#setup;
    return { bucket: this.#bucket as CountedBucket, own, ttlMs, signal: this.#ending.signal, handsOf, warn };
  }

  async #uploadOn(run: LivingRun): Promise<void> {
    const numbers = this.#numbers;
    try {
      while (!run.ending) {
        const durable = numbers[NUMBER.durable] as Lsn;
        const wanted = numbers[NUMBER.wanted] as Lsn;
        const inMs = await run.upload.step(durable, wanted);
        if (run.upload.end !== undefined) {
          if (!run.ending) this.#tell({ news: "sealed", why: "somebody else has sealed the log of this run" });
          return;
        }
        numbers[NUMBER.asleep] = inMs === Infinity ? WAKE_FOR_BYTES : WAKE_FOR_WAITERS;
        // What came between the look and this line woke nobody.
        if (numbers[NUMBER.durable] !== durable && inMs === Infinity) continue;
        if (numbers[NUMBER.wanted] !== wanted) continue;
        // Woken for its end while it was at work: nobody will wake it again.
        if (run.ending) return;
        // Plain numbers in shared memory may cross each other unseen: who was to wake this looks again, at no cost.
        await run.sleep(Math.min(inMs, FLUSH_MS));
        numbers[NUMBER.asleep] = AWAKE;
      }
    } catch (error) {
      if (!this.#ending.signal.aborted) this.#tell({ news: "failed", why: (error as Error).message });
    }
  }

  #endRun(run: LivingRun): Promise<Seq> {
    run.ended ??= this.#finishRun(run);
    return run.ended;
  }

  async #finishRun(run: LivingRun): Promise<Seq> {
    run.ending = true;
    run.wake();
    await run.work;
    const end = await run.upload.finish(this.#numbers[NUMBER.durable] as Lsn);
    run.lease.stop();
    run.upload.close();
    this.#segments += run.upload.segments;
    const { seal } = end;
    if (!end.ours || seal === undefined) {
      throw new FrondError("DATA_FOREIGN", `somebody else has ended the log of run ${run.runId}`);
    }
    await removeLeases(this.#bucket as CountedBucket, [run.runId], (fields, message) =>
      this.#tell({ news: "warn", fields, message }),
    );
    return seal;
  }

  #confirmed(lsn: Lsn): void {
    this.#toldFailure = "";
    this.#publishCounts();
    this.#tell({ news: "confirmed", lsn });
  }

  /** For whoever looks at the node; it may be a moment behind. */
  #publishCounts(): void {
    const counts = this.#bucket?.counts();
    const upload = this.#run?.upload;
    if (counts === undefined) return;
    const numbers = this.#numbers;
    numbers[NUMBER.creates] = counts.create;
    numbers[NUMBER.puts] = counts.put;
    numbers[NUMBER.gets] = counts.get;
    numbers[NUMBER.lists] = counts.list;
    numbers[NUMBER.deletes] = counts.delete;
    numbers[NUMBER.bytesUp] = counts.bytesUp;
    numbers[NUMBER.bytesDown] = counts.bytesDown;
    numbers[NUMBER.segments] = this.#segments + (upload?.segments ?? 0);
    if (upload !== undefined) numbers[NUMBER.uploaded] = upload.uploaded;
  }

  #lookAtMain(): number {
    const beats = this.#numbers[NUMBER.beat] as number;
    if (beats === BEAT_PAUSED || beats !== this.#beats) this.#mainSeen = monotonicMs();
    this.#beats = beats;
    return this.#mainSeen;
  }

  #handsOf(runId: RunId, bucket = this.#bucket): LogHands {
    const signal = this.#ending.signal;
    const failed = (what: string, error: unknown): void => this.#warnOnce(what, error);
    return new LogHands({ bucket: bucket as CountedBucket, runId, sleep, signal, failed });
  }

  /** The same trouble is told once, until something went well again. */
  #warnOnce(what: string, error: unknown): void {
    // What is still under way ends with the bucket, and nobody needs it.
    if (this.#over) return;
    const message = `${what} failed and is tried again: ${(error as Error).message}`;
    if (message === this.#toldFailure) return;
    this.#toldFailure = message;
    this.#tell({ news: "warn", fields: { bucket: this.#bucket?.url }, message });
  }

  #living(): LivingRun {
    if (this.#run === undefined) throw new FrondError("STOPPING", "the node has no lease yet, or no longer");
    return this.#run;
  }

  #claiming(): SlotClaims {
    if (this.#claims === undefined) throw new FrondError("STOPPING", "the node has not started yet");
    return this.#claims;
  }
}

/** A run that has a lease, and what is done for it. */
class LivingRun {
  readonly runId: RunId;
  readonly upload: Upload;
  readonly lease: LeaseLoop;
  ending = false;
  ended: Promise<Seq> | undefined;
  work: Promise<void> = Promise.resolve();
  #sleeping: PromiseWithResolvers<void> | undefined;

  constructor(runId: RunId, upload: Upload, lease: LeaseLoop) {
    this.runId = runId;
    this.upload = upload;
    this.lease = lease;
  }

  wake(): void {
    this.#sleeping?.resolve();
  }

  async sleep(ms: number): Promise<void> {
    const sleeping = Promise.withResolvers<void>();
    this.#sleeping = sleeping;
    const timer = ms === Infinity ? undefined : setTimeout(() => sleeping.resolve(), Math.max(1, ms));
    await sleeping.promise;
    clearTimeout(timer);
    this.#sleeping = undefined;
  }
}

async function sleep(ms: number, signal?: AbortSignal): Promise<void> {
  await sleepFor(ms, undefined, { ...(signal && { signal }) }).catch(() => {});
}
