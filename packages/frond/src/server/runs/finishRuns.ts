// Finishing runs that are over: those of this directory, whose disk is at hand, and behind them those of others (otherRuns.ts).
//
// Rule: of a run of this directory the rest of the log is uploaded, then the log is sealed, then the lease goes: so its end is
// whole, and nobody has to wait. Meanwhile its lease is renewed in its place, by marks that it never wrote, so that nobody
// seals first. Where somebody did, what is behind the seal is lost to the cells; it is reported and kept.
// A copy of a directory has the same runs as the directory, and its lock says nothing of them: the original may be alive. In a
// place where no run of this directory has run they are waited for first, like those of others.

import path from "node:path";
import { leaseKey, logKey } from "../../bucket/objectKeys.ts";
import { encodeDocument, type LeaseDocument } from "../../codec/documents.ts";
import { resumeBehind, resumeLog, type ResumeStep } from "../../core/runLog.ts";
import { FrondError, isFrondError } from "../../errors.ts";
import type { LogHands } from "../../log/logHands.ts";
import { Upload } from "../../log/upload.ts";
import type { Lsn, RunId, Seq } from "../../types.ts";
import { VERSION } from "../../version.ts";
import type { FinishedRun, LostTail, Started, UnfinishedRun } from "../persist/bucketTalk.ts";
import { monotonicMs } from "../monotonic.ts";
import { finishOthers, listLeases, type OtherRunsOptions, removeLeases, waitUntilDead } from "./otherRuns.ts";

/** What runs are finished with. */
export interface FinishOptions extends OtherRunsOptions {
  /** The folder `log/` of the data directory. */
  readonly logFolder: string;
  readonly unfinished: readonly UnfinishedRun[];
  /** The directory is the one in which the unfinished runs ran; else it is a copy, and the run may live in the original. */
  readonly inPlace: boolean;
}

/** Finishes every run that is not the own one; `others`: those of other directories. Throws BUCKET_IN_USE while another node is alive. */
export async function finishRuns(
  options: FinishOptions,
): Promise<Pick<Started, "finished" | "lost"> & { readonly others: readonly RunId[] }> {
  const { bucket, unfinished, own } = options;
  const leases = await listLeases(bucket);
  const ours = new Set<RunId>([own, ...unfinished.map(({ runId }) => runId)]);
  if (!options.inPlace) await checkOriginal(options, leases);
  const finished: FinishedRun[] = [];
  const lost: LostTail[] = [];
  for (const run of unfinished) {
    const { seal, lsn } = await finishOwn(options, run);
    finished.push({ run: run.run, seal });
    // Ahead of the bucket: something is lost. Behind it: this disk is a copy of an earlier state. Neither is believed.
    // Where a run whose log is empty here had begun is not known; what it has in the bucket stands in front of its seal.
    const differs = run.leftOut === true ? false : run.endLsn > run.firstLsn ? lsn !== run.endLsn : seal > 1;
    if (differs) lost.push({ run: run.run, from: lsn });
  }
  const others = leases.filter((run) => !ours.has(run));
  await finishOthers(options, others);
  return { finished, lost, others };
}

/** Waits for the runs of a directory that may go on in another place, as for anybody's. Throws BUCKET_IN_USE when one does. */
async function checkOriginal(options: FinishOptions, leases: readonly RunId[]): Promise<void> {
  const runs = options.unfinished.map(({ runId }) => runId).filter((run) => leases.includes(run));
  try {
    await Promise.all(runs.map((run) => waitUntilDead(options, run)));
  } catch (error) {
    if (!isFrondError(error, "BUCKET_IN_USE")) throw error;
    const what = `${error.message}; ${path.dirname(options.logFolder)} is a copy of its data directory`;
    throw new FrondError(
      "BUCKET_IN_USE",
      `${what}: stop the other node first; a second cluster is made by frond backup, and a new data directory`,
    );
  }
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
    await removeLeases(bucket, [run.runId], options.warn);
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
