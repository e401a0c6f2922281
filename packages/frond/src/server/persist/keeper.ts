// The keeper: the main thread's side of the bucket.
//
// Rule: nothing that talks to the bucket runs in the main thread. What a request needs to know is a comparison of numbers: is the
// lease believed, is the slot open, is the commit confirmed. The node serves a slot only after the bucket said whose it is,
// and hears of a commit only while it believes its lease.
// Rejected: the bucket's client in the main thread (compressing a segment, or one slow read of a file, would stand in the
// way of every request).

import { url as debuggerUrl } from "node:inspector";
import { Worker } from "node:worker_threads";
import { slotOf } from "../../address.ts";
import { assert } from "../../assert.ts";
import { UploadLimit } from "../../core/flushRule.ts";
import type { SlotTable } from "../../core/slots.ts";
import { FrondError } from "../../errors.ts";
import { FINISH_GRACE_MS } from "../../limits.ts";
import type { CommitLog } from "../../log/log.ts";
import type { Catalog, CellEntry } from "../../store/catalog.ts";
import type { Lsn, RunId, RunNumber, Seq, Slot } from "../../types.ts";
import {
  type BucketNews,
  type BucketQuestions,
  type BucketSetup,
  type BucketSpec,
  NUMBER,
  NUMBERS_BYTES,
  type OwnRun,
  type Started,
  type UnfinishedRun,
  AWAKE,
  BEAT_MS,
  BEAT_PAUSED,
  WAKE_FOR_BYTES,
} from "./bucketTalk.ts";
import type { SlotDoor } from "../cells/host.ts";
import { fullDisk } from "../durably.ts";
import { Lag } from "./lag.ts";
import { monotonicMs } from "../monotonic.ts";
import type { NodeLog } from "../nodeOptions.ts";
import { openEach, openUntilOpen } from "../slots/openSlots.ts";
import { Asking } from "../threadCalls.ts";

/** What a keeper is started with. */
export interface KeeperOptions {
  readonly bucket: BucketSpec;
  readonly directory: string;
  readonly cluster: string | undefined;
  readonly probe: BucketSetup["probe"];
  readonly own: OwnRun;
  readonly unfinished: readonly UnfinishedRun[];
  readonly inPlace: boolean;
  readonly adopted: readonly RunId[];
  readonly brings: boolean;
  readonly seals: ReadonlyMap<RunId, Seq>;
  readonly opened: BucketSetup["opened"];
  readonly ttlMs: number;
  readonly retentionMs: number;
  readonly appVersion: string;
  readonly maxSyncMs: number;
  /** Bytes that may wait for the bucket; default UPLOAD_QUEUE_BYTES. */
  readonly queueBytes: number | undefined;
  readonly catalog: Catalog;
  readonly slots: SlotTable;
  readonly log: NodeLog;
}

/** How the bucket does, for people. Counts and bytes since the process started. */
export interface BucketStatus {
  readonly url: string;
  /** It is a folder of the data directory, and goes with it. */
  readonly inside: boolean;
  /** The lease is believed. */
  readonly reachable: boolean;
  /** Bytes of the log that are on the disk and not in the bucket. */
  readonly waitingBytes: number;
  /** How long the oldest of them has waited, and the most that it was within the last hour, in ms, to a quarter of a second. */
  readonly behindMs: number;
  readonly mostBehindMs: number;
  readonly segments: number;
  readonly requests: Readonly<Record<"create" | "put" | "get" | "list" | "delete", number>>;
  readonly bytesUp: number;
  readonly bytesDown: number;
  /** What a day would cost at the list prices of S3 if it were like the last hour; undefined in the first minute. */
  readonly dollarsPerDay: number | undefined;
}

/** List prices of S3 Standard for one request, in dollars: writes and listings, and reads. Deletions are free. */
const PRICE_OF_WRITE = 0.005 / 1000;
const PRICE_OF_GET = 0.0004 / 1000;
/** A minute, and an hour of them. Counts. */
const COST_EVERY_BEATS = 60_000 / BEAT_MS;
const COSTS_KEPT = 60;
/** Slots that are opened in the background at once. Count. */
const SLOTS_AT_ONCE = 4;
/** The same while nobody is served yet. Count. */
const ADOPTED_AT_ONCE = 16;

/** What the node does about what the keeper finds. */
export interface KeeperHost {
  readonly commitLog: CommitLog;
  /** Cells that the directory did not know: their alarms. */
  learned(entries: readonly CellEntry[]): void;
  /** The run has ended; the node goes on as a further one, or ends. */
  runEnded(how: "lapsed" | "sealed" | "failed", why: string): void;
}

/** See the head of the file. One per node with a bucket. */
export class Keeper implements SlotDoor {
  readonly started: Started;
  readonly #o: KeeperOptions;
  /** Where the bucket's side runs. */
  readonly thread: Worker;
  readonly #asking: Asking<BucketQuestions, BucketNews>;
  readonly #numbers: Float64Array;
  readonly #opening = new Map<Slot, Promise<void>>();
  /** Names of the runs of this directory. */
  readonly #runIds: Map<RunNumber, RunId>;
  /** Of the run that goes on. */
  #own: OwnRun;
  readonly #limit: UploadLimit;
  /** More of the log waits for the bucket than may. */
  #refuses = false;
  #host: KeeperHost | undefined;
  /** News that came before there was somebody to tell. */
  #early: BucketNews[] = [];
  #wake = false;
  /** What had been spent, minute by minute, for an hour. */
  readonly #costs: { readonly ms: number; readonly dollars: number }[] = [];
  #stopped = false;
  readonly #held: (() => void)[] = [];
  /** What was confirmed when the lease was not believed. */
  #unheard = 0 as Lsn;
  #beats = 0;
  readonly #lag = new Lag();
  readonly #timer = setInterval(() => this.#beat(), BEAT_MS).unref();

  private constructor(options: KeeperOptions, worker: Worker, numbers: Float64Array) {
    this.#o = options;
    this.#own = options.own;
    this.#runIds = new Map(options.catalog.runs().map(({ run, id }) => [run, id as RunId]));
    this.#limit = new UploadLimit(options.queueBytes);
    this.thread = worker;
    this.#numbers = numbers;
    const over = (error: Error): void => this.#told({ news: "failed", why: `the bucket thread: ${error.message}` });
    this.#asking = new Asking(worker, (news: BucketNews) => this.#told(news), over);
    this.started = undefined as unknown as Started;
  }

  /**
   * Starts the thread, opens the bucket, finishes earlier runs of this directory, waits for others to be over, and takes a
   * lease. Throws what keeps the node from serving: BUCKET_FAILED, BUCKET_DENIED, BUCKET_REFUSED, BUCKET_IN_USE, DATA_FOREIGN.
   */
  static async start(options: KeeperOptions): Promise<Keeper> {
    const numbers = new SharedArrayBuffer(NUMBERS_BYTES);
    const { bucket, directory, cluster, probe, own, unfinished, inPlace, adopted, brings, seals, opened } = options;
    const { ttlMs, retentionMs, appVersion, maxSyncMs } = options;
    const setup: BucketSetup = {
      bucket,
      directory,
      cluster,
      probe,
      own,
      unfinished,
      inPlace,
      adopted,
      brings,
      seals,
      opened,
      ttlMs,
      retentionMs,
      appVersion,
      maxSyncMs,
      numbers,
    };
    const worker = new Worker(new URL(`./bucketThread${EXTENSION}`, import.meta.url), {
      workerData: setup,
      name: "frond bucket",
      // Options of the main thread (--import, --test) are not for it.
      execArgv: [],
    });
    const keeper = new Keeper(options, worker, new Float64Array(numbers));
    try {
      Object.assign(keeper, { started: await keeper.#asking.ask("start", undefined) });
    } catch (error) {
      await keeper.stop();
      throw error;
    }
    return keeper;
  }

  /** The node is there: it is told what happens from here on. */
  attach(host: KeeperHost): void {
    this.#host = host;
    const { commitLog } = host;
    commitLog.onWanted = () => {
      this.#numbers[NUMBER.wanted] = commitLog.wanted;
      if (this.#numbers[NUMBER.asleep] !== AWAKE) this.#rouse();
      // Who waits for the bucket keeps the process alive, as who waits for the disk does.
      this.#timer.ref();
    };
    commitLog.onDurable = () => {
      this.#numbers[NUMBER.durable] = commitLog.durable;
      if (this.#numbers[NUMBER.asleep] === WAKE_FOR_BYTES) this.#rouse();
    };
    for (const news of this.#early.splice(0)) this.#told(news);
  }

  /** Which bucket it is. */
  get bucket(): BucketSpec {
    return this.#o.bucket;
  }

  /** The run may serve: its lease was renewed lately enough. Looked at for every request. */
  get believed(): boolean {
    return monotonicMs() < (this.#numbers[NUMBER.believed] as number);
  }

  isOpen(slot: Slot): boolean {
    return this.#o.slots.isOpen(slot);
  }

  /** See {@link SlotDoor}. */
  admit(): void {
    if (!this.believed) throw leaseLapsed();
    if (!this.#refuses) return;
    const what = "more of the log waits for the bucket than may: it cannot be reached, or is too slow";
    throw new FrondError("OVERLOADED", `${what}; reads go on, writes resume when it has caught up`);
  }

  /** See {@link SlotDoor}. Rejects with OVERLOADED while the bucket is away. */
  open(slot: Slot): Promise<void> {
    if (!this.believed) return Promise.reject(leaseLapsed());
    const opening = this.#opening.get(slot) ?? this.#open(slot).finally(() => this.#opening.delete(slot));
    this.#opening.set(slot, opening);
    return opening;
  }

  /** See {@link SlotDoor}. The bucket has to hold the cell's last record: it is waited for, where it may be of this run. */
  async fetch(entry: CellEntry, file: string): Promise<void> {
    const { commitLog } = this.#attached();
    const slot = slotOf(entry.address);
    const { slots } = this.#o;
    if (slots.isClaimed(slot) && entry.epoch === slots.epoch(slot))
      await new Promise<void>((resolve) => commitLog.waitConfirmed(commitLog.appended, resolve));
    await this.#asking.ask("fetchCell", { entry: { ...entry }, file });
  }

  /** Asks the thread what is not on the way of a request; see pastDoor.ts. */
  ask<K extends keyof BucketQuestions>(
    name: K,
    question: Parameters<BucketQuestions[K]>[0],
  ): Promise<Awaited<ReturnType<BucketQuestions[K]>>> {
    return this.#asking.ask(name, question);
  }

  /** Resolves when the bucket has everything that was committed so far. Rejects while it is away. */
  async everythingThere(): Promise<void> {
    if (!this.believed) throw leaseLapsed();
    const { commitLog } = this.#attached();
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    // It also keeps a tool's process alive, which has nothing else to live for.
    const looking = setInterval(() => {
      if (!this.believed) reject(leaseLapsed());
    }, BEAT_MS);
    commitLog.waitConfirmed(commitLog.appended, resolve);
    await promise.finally(() => clearInterval(looking));
  }

  /** How the bucket does, as of a moment ago. */
  status(): BucketStatus {
    const { commitLog } = this.#attached();
    this.#look(commitLog);
    const number = (name: keyof typeof NUMBER): number => this.#numbers[NUMBER[name]] as number;
    const since = this.#costs[0];
    const days = since === undefined ? 0 : (performance.now() - since.ms) / 86_400_000;
    return {
      url: this.#o.bucket.url,
      inside: this.#o.probe === "never",
      reachable: this.believed,
      waitingBytes: Math.max(0, commitLog.durable - number("uploaded")),
      behindMs: this.#lag.behindMs(performance.now()),
      mostBehindMs: this.#lag.mostMs,
      segments: number("segments"),
      requests: {
        create: number("creates"),
        put: number("puts"),
        get: number("gets"),
        list: number("lists"),
        delete: number("deletes"),
      },
      bytesUp: number("bytesUp"),
      bytesDown: number("bytesDown"),
      dollarsPerDay: since === undefined ? undefined : (this.#cost() - since.dollars) / days,
    };
  }

  /** What the requests so far would have cost, in dollars. */
  #cost(): number {
    const number = (name: keyof typeof NUMBER): number => this.#numbers[NUMBER[name]] as number;
    const writes = number("creates") + number("puts") + number("lists");
    return writes * PRICE_OF_WRITE + number("gets") * PRICE_OF_GET;
  }

  /** Nothing is opened any more. */
  get stopped(): boolean {
    return this.#stopped;
  }

  /** Opens the slots that somebody has owned, a few at a time, so that no request has to wait for it later. Resolves when all are open. */
  openAll(): Promise<void> {
    return openUntilOpen(this, this.started.slots, SLOTS_AT_ONCE, (slot, error) =>
      this.#o.log.warn({ slot, err: error }, "a slot cannot be opened: its alarms wait; it is tried again"),
    );
  }

  /**
   * Takes the slots of which the directory has cells and the bucket has no record: those of a directory that had no bucket.
   * Only then does an empty disk find what was in it. Resolves with how many there were.
   */
  async adopt(): Promise<number> {
    const { slots: recorded } = this.started;
    const rows = this.#o.catalog.slots().filter(({ slot, txid }) => txid > 0 && !recorded.includes(slot));
    const slots = rows.map(({ slot }) => slot);
    await openEach(this, slots, ADOPTED_AT_ONCE, (_slot, error) => {
      throw error;
    });
    return rows.length;
  }

  /** The log is flushed and closed: uploads the rest, seals it, gives up the lease. Where it is sealed; 0 when the bucket did not do it in time. */
  async finish(): Promise<Seq | 0> {
    const { promise: late, resolve } = Promise.withResolvers<0>();
    const timer = setTimeout(() => resolve(0), FINISH_GRACE_MS);
    try {
      return await Promise.race([this.#asking.ask("finish", undefined), late]);
    } catch (error) {
      this.#o.log.warn({ err: error }, "the end of the log is not in the bucket yet; the next start uploads it");
      return 0;
    } finally {
      clearTimeout(timer);
    }
  }

  /**
   * Goes on as a further run, after a lapse: as soon as the bucket is back, what is left of the log is uploaded and sealed. The
   * log must be flushed, and nothing may write. Tells where it is sealed; rejects when somebody else has sealed it.
   */
  async renew(own: OwnRun): Promise<Seq> {
    const { commitLog } = this.#attached();
    const { appended } = commitLog;
    assert(appended === commitLog.durable, "a run ends when its log is on the disk");
    const seal = await this.#asking.ask("renew", own);
    // The run has sealed its log itself, behind all of it.
    commitLog.confirm(appended);
    this.#own = own;
    this.#runIds.set(own.run, own.runId);
    this.#release();
    return seal;
  }

  /** Runs `tell` while the lease is believed: at once, or when the node serves again. */
  whileBelieved(tell: () => void): void {
    if (this.believed) tell();
    else this.#held.push(tell);
  }

  /**
   * The lease is believed: who was held up is told. Not only behind a lapse: a renewal can arrive in time, and its news a moment
   * after the old belief has run out.
   */
  #release(): void {
    const { commitLog } = this.#attached();
    if (this.#unheard > commitLog.confirmed) commitLog.confirm(this.#unheard);
    for (const tell of this.#held.splice(0)) tell();
  }

  /** Ends the thread. */
  async stop(): Promise<void> {
    this.#stopped = true;
    clearInterval(this.#timer);
    this.#asking.end(new FrondError("STOPPING", "the node is stopping"));
    await this.thread.terminate();
  }

  async #open(slot: Slot): Promise<void> {
    const { catalog, slots } = this.#o;
    const opened = catalog.openedIn(slot);
    const runId = this.#runIds.get(opened);
    const knows = { run: runId, epoch: slots.epoch(slot), txid: slots.txid(slot) };
    const own = this.#own;
    const answer = await this.#asking.ask("openSlot", { slot, knows });
    // The run has ended meanwhile: the slot is asked for again by who needs it.
    if (own !== this.#own) throw leaseLapsed();
    const { epoch, txid, cells } = answer;
    assert(cells !== undefined || txid === slots.txid(slot), "the bucket and the directory agree where a slot stands");
    try {
      catalog.batch(() => {
        if (cells !== undefined) {
          catalog.forgetSlot(slot);
          for (const entry of cells) catalog.put(entry);
        }
        catalog.putOpened({ slot, epoch, txid }, own.run);
      });
    } catch (error) {
      // The slot is this run's in the bucket, and is asked for again.
      throw fullDisk(error, `what is known of the cells of slot ${slot}`);
    }
    slots.opened(slot, epoch, txid);
    if (cells !== undefined) this.#attached().learned(cells);
  }

  #beat(): void {
    this.#beats += 1;
    if (this.#host !== undefined) this.#look(this.#host.commitLog);
    if (this.#host !== undefined && this.believed) this.#release();
    this.#numbers[NUMBER.beat] = debuggerUrl() === undefined ? this.#beats : BEAT_PAUSED;
    if (this.#beats % COST_EVERY_BEATS !== 0) return;
    this.#costs.push({ ms: performance.now(), dollars: this.#cost() });
    if (this.#costs.length > COSTS_KEPT) this.#costs.shift();
  }

  /** Here and not where it is uploaded: a create that is not answered holds everything up there. */
  #look({ durable }: CommitLog): void {
    const uploaded = Math.min(durable, this.#numbers[NUMBER.uploaded] as number) as Lsn;
    this.#refuses = this.#limit.refuses(durable - uploaded);
    this.#lag.look(performance.now(), durable, uploaded);
  }

  #rouse(): void {
    if (this.#wake) return;
    this.#wake = true;
    // Once in a turn of the event loop: a message costs as much as a commit.
    setImmediate(() => {
      this.#wake = false;
      this.#numbers[NUMBER.asleep] = AWAKE;
      this.thread.postMessage("wake");
    });
  }

  #told(news: BucketNews): void {
    const host = this.#host;
    if (news.news === "warn") return this.#o.log.warn(news.fields, news.message);
    if (host === undefined) return void this.#early.push(news);
    if (news.news === "confirmed") {
      if (this.believed) host.commitLog.confirm(news.lsn as Lsn);
      else this.#unheard = news.lsn as Lsn;
      if (host.commitLog.confirmed >= host.commitLog.wanted) this.#timer.unref();
      return;
    }
    host.runEnded(news.news, news.why);
  }

  #attached(): KeeperHost {
    assert(this.#host !== undefined, "slots are opened when the node is there");
    return this.#host;
  }
}

/** What everybody is told while the lease is not believed. */
export function leaseLapsed(): FrondError {
  return new FrondError("OVERLOADED", "the bucket cannot be reached; the node serves again when it can");
}

/** The workspace runs the sources, a published package what was compiled from them. */
const EXTENSION = import.meta.url.endsWith(".ts") ? ".ts" : ".js";
