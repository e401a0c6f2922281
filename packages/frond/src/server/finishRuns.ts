// Finishing runs that are over: those of this directory, whose disk is at hand, and those of others that are dead.
//
// Rule: of a run of this directory the rest of the log is uploaded, then the log is sealed, then the lease goes: so its end is
// whole, and nobody has to wait. Meanwhile its lease is renewed in its place, by marks that it never wrote, so that nobody
// seals first. Where somebody did, what is behind the seal is lost to the cells; it is reported and kept.
// Of another run nothing is at hand: it is waited for until it was seen to be dead for its TTL, and its log is sealed where
// it ends.

import { setTimeout as sleep } from "node:timers/promises";
import type { Bucket } from "../bucket/bucket.ts";
import { leaseKey, logKey, NODE_PREFIX, runOfLease } from "../bucket/objectKeys.ts";
import { decodeLease, encodeDocument, type LeaseDocument } from "../codec/documents.ts";
import { resumeBehind, resumeLog, type ResumeStep } from "../core/runLog.ts";
import { Watching } from "../core/watching.ts";
import { FrondError } from "../errors.ts";
import type { LogHands } from "../log/logHands.ts";
import { listRunLog, readHeader } from "../log/runObjects.ts";
import { sealRun } from "../log/sealRun.ts";
import { Upload } from "../log/upload.ts";
import type { Lsn, RunId, Seq } from "../types.ts";
import { VERSION } from "../version.ts";
import type { FinishedRun, LostTail, Started, UnfinishedRun } from "./bucketTalk.ts";
import { monotonicMs } from "./monotonic.ts";

/** What runs are finished with. */
export interface FinishOptions {
  readonly bucket: Bucket;
  /** The folder `log/` of the data directory. */
  readonly logFolder: string;
  readonly unfinished: readonly UnfinishedRun[];
  /** The run that is about to begin. */
  readonly own: RunId;
  readonly ttlMs: number;
  readonly signal: AbortSignal;
  readonly handsOf: (runId: RunId) => LogHands;
  readonly warn: (fields: object, message: string) => void;
}

/** A run that changes its lease so often while it is watched is alive. Count. */
const SIGNS_OF_LIFE = 2;

/** Finishes every run that is not the own one; `others`: those of other directories. Throws BUCKET_IN_USE while another node is alive. */
export async function finishRuns(
  options: FinishOptions,
): Promise<Pick<Started, "finished" | "lost"> & { readonly others: readonly RunId[] }> {
  const finished: FinishedRun[] = [];
  const lost: LostTail[] = [];
  for (const run of options.unfinished) {
    const { seal, lsn } = await finishOwn(options, run);
    finished.push({ run: run.run, seal });
    // Ahead of the bucket: something is lost. Behind it: this disk is a copy of an earlier state. Neither is believed.
    // Where a run whose log is empty here had begun is not known; what it has in the bucket stands in front of its seal.
    const differs = run.endLsn > run.firstLsn ? lsn !== run.endLsn : seal > 1;
    if (differs) lost.push({ run: run.run, from: lsn });
  }
  const others: RunId[] = [];
  for (const { key } of await options.bucket.list(NODE_PREFIX)) {
    const run = runOfLease(key);
    if (run !== undefined && run !== options.own) others.push(run);
  }
  await Promise.all(others.map((run) => finishOther(options, run)));
  return { finished, lost, others };
}

/** Where a log has ended: at which number, and what it holds. */
interface End {
  readonly seal: Seq;
  readonly lsn: Lsn;
}

async function finishOwn(options: FinishOptions, run: UnfinishedRun): Promise<End> {
  const { bucket, handsOf } = options;
  const hands = handsOf(run.runId);
  const lease = new StandIn(options, run.runId);
  try {
    const end = await finishLog(options, hands, run);
    await lease.stop();
    await removeLease(bucket, run.runId, options.warn);
    return end;
  } finally {
    await lease.stop();
  }
}

async function finishLog({ logFolder, ttlMs }: FinishOptions, hands: LogHands, run: UnfinishedRun): Promise<End> {
  for (;;) {
    const begin = await resume(hands, run);
    if (begin.do === "ended") return { seal: begin.seal, lsn: endOf(begin, run) };
    const upload = new Upload({
      hands,
      logFolder,
      run: run.run,
      runId: run.runId,
      now: monotonicMs,
      wallNow: Date.now,
      start: {
        seq: begin.seq,
        lsn: begin.lsn,
        ttlMs,
        adopted: true,
      },
      believed: () => false,
      onConfirmed: () => {},
    });
    try {
      const { seal } = await upload.finish(run.endLsn);
      if (seal !== undefined) return { seal, lsn: upload.uploaded };
      // Somebody else has ended it meanwhile, elsewhere.
    } finally {
      upload.close();
    }
  }
}

/** Where a log ends that was sealed already. Who sealed a log in which nothing stood knows of nothing. */
function endOf({ seal, lsn }: ResumeStep & { do: "ended" }, run: UnfinishedRun): Lsn {
  if (lsn === undefined || (lsn === 0 && seal === 1)) return run.firstLsn;
  return lsn;
}

/** Where the upload of a run of this directory goes on, or where its log is sealed already. */
async function resume(hands: LogHands, run: UnfinishedRun): Promise<ResumeStep & { do: "begin" | "ended" }> {
  for (let tries = 1; ; tries++) {
    const listed = await hands.list();
    if (listed.saw === "listing") {
      // What of its log was uploaded the bucket tells: the last number of a log is never cleaned up.
      let step = resumeLog(listed.listing, { seq: 1 as Seq, lsn: run.firstLsn });
      if (step.do === "read") {
        const seen = await hands.read(step.seq);
        if (seen.saw !== "failed") step = resumeBehind(step, seen.saw === "object" ? seen.found : undefined);
      }
      if (step.do === "begin" || step.do === "ended") return step;
      if (step.do === "stop") {
        throw new FrondError("OBJECT_DAMAGED", `${logKey(run.runId, step.seq)}: ${step.why}`);
      }
    }
    await hands.pause(tries);
  }
}

/**
 * Ends the log of a run that has left neither a seal nor a lease, once it was seen that none comes: so it is in the copy of a bucket
 * that was made while the run went on. False: it has a lease, and is not to be ended. Throws BUCKET_IN_USE.
 */
export async function finishLeaseless(options: FinishOptions, run: RunId): Promise<boolean> {
  if ((await options.bucket.get(leaseKey(run))) !== undefined) return false;
  await finishOther(options, run);
  return true;
}

async function finishOther(options: FinishOptions, run: RunId): Promise<void> {
  const { bucket, handsOf, warn } = options;
  if (!(await isSealed(bucket, run))) {
    const seen = await waitUntilDead(options, run);
    if (seen === "gone") return;
    const seal = await sealRun(handsOf(run), run, Date.now());
    warn(
      { run, seal },
      "another run had ended without a word: its log is sealed, what it had not uploaded is not there",
    );
  }
  await removeLease(bucket, run, warn);
}

/** Removes the lease of a run whose log is sealed. Where that fails it means nothing any more, and the next start removes it. */
export async function removeLease(bucket: Bucket, run: RunId, warn: FinishOptions["warn"]): Promise<void> {
  await bucket.delete([leaseKey(run)]).catch((error: unknown) => {
    const why = (error as Error).message;
    warn({ run, why }, "the lease of a run that is over could not be removed; the next start removes it");
  });
}

async function isSealed(bucket: Bucket, run: RunId): Promise<boolean> {
  const { seqs } = await listRunLog(bucket, run);
  const last = seqs.at(-1);
  return last !== undefined && (await readHeader(bucket, logKey(run, last)))?.kind === "seal";
}

/** Resolves when the run is dead; "gone": it has taken leave itself. Throws BUCKET_IN_USE when it lives. */
async function waitUntilDead(options: FinishOptions, run: RunId): Promise<"dead" | "gone"> {
  const { bucket, signal, warn } = options;
  const key = leaseKey(run);
  let watching: Watching | undefined;
  let lease: LeaseDocument | undefined;
  let changes = 0;
  for (;;) {
    signal.throwIfAborted();
    const sentAt = monotonicMs();
    const found = await bucket.get(key).catch(() => "failed" as const);
    const doneAt = monotonicMs();
    if (found === undefined && (await isSealed(bucket, run))) return "gone";
    const now = found === undefined || found === "failed" ? undefined : decodeLease(found.bytes, key);
    if (lease !== undefined && now !== undefined && now.counter !== lease.counter) changes += 1;
    if (changes >= SIGNS_OF_LIFE && now !== undefined) {
      const who = `process ${now.pid} on ${now.host}`;
      throw new FrondError("BUCKET_IN_USE", `${bucket.url} is served by another node, ${who}: one node at a time can`);
    }
    if (watching === undefined) {
      watching = new Watching(now?.ttlMs ?? options.ttlMs);
      if (now !== undefined) {
        const seconds = Math.ceil(now.ttlMs / 1000);
        warn({ run, host: now.host, pid: now.pid }, `another run may be alive: waiting ${seconds} s to be sure`);
      }
    }
    lease = now ?? lease;
    const mark = found === undefined ? "absent" : found === "failed" ? "failed" : { mark: String(now?.counter) };
    if (watching.read(sentAt, doneAt, mark)) return "dead";
    await sleep(watching.everyMs);
  }
}

/** Renews the lease of a dead run whose disk is at hand, until its log is whole. */
class StandIn {
  readonly #o: FinishOptions;
  readonly #run: RunId;
  #counter = Date.now();
  #timer: NodeJS.Timeout | undefined;
  #putting: Promise<void> = Promise.resolve();

  constructor(options: FinishOptions, run: RunId) {
    this.#o = options;
    this.#run = run;
    this.#timer = setInterval(() => this.#put(), options.ttlMs / 3);
    this.#put();
  }

  /** Nothing is put after this. */
  async stop(): Promise<void> {
    clearInterval(this.#timer);
    await this.#putting;
  }

  #put(): void {
    const { bucket, ttlMs } = this.#o;
    const now = Date.now();
    const lease: LeaseDocument = {
      run: this.#run,
      counter: this.#counter++,
      ttlMs,
      startedMs: now,
      writtenMs: now,
      host: "",
      pid: process.pid,
      version: VERSION,
    };
    // A failure is what the next one is for.
    const put = bucket.put(leaseKey(this.#run), encodeDocument(lease), { deadlineMs: ttlMs, tries: 1 }).catch(() => {});
    this.#putting = this.#putting.then(() => put);
  }
}
