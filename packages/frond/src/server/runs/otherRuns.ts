// Runs of other nodes: which have a lease, whether they are over, and what becomes of the log of one that is.
//
// Rules.
// - Of another run nothing is at hand: it is waited for until it was seen to be dead for its TTL, and its log is sealed where it
//   ends. A run that changes its lease while it is watched is alive, and whoever watches gives up.
// - One node at a time has a bucket. Two that start at the same moment find no lease at first; so each looks again when its own
//   stands, and then at least one of them sees the other. Who sees a lower run id leaves. Who sees a higher one waits: the
//   other leaves in turn, or lives on because it had looked before, and then this one leaves. So at most one goes on, and of two
//   that see each other it is the one with the lower id.
// Rejected: going on with the lower id without waiting (the other may have looked before there was anything to see).

import { setTimeout as sleep } from "node:timers/promises";
import type { Bucket } from "../../bucket/bucket.ts";
import { listAll } from "../../bucket/listAll.ts";
import { leaseKey, logKey, NODE_PREFIX, runOfLease } from "../../bucket/objectKeys.ts";
import { decodeLease, type LeaseDocument } from "../../codec/documents.ts";
import { Watching } from "../../core/watching.ts";
import { FrondError } from "../../errors.ts";
import { FETCHES_AT_ONCE } from "../../limits.ts";
import type { LogHands } from "../../log/logHands.ts";
import { endOfRunLog, readHeader } from "../../log/runObjects.ts";
import { sealRun } from "../../log/sealRun.ts";
import type { RunId } from "../../types.ts";
import { monotonicMs } from "../monotonic.ts";
import { Places } from "../places.ts";

/** What other runs are looked at with. */
export interface OtherRunsOptions {
  readonly bucket: Bucket;
  /** The run that is about to begin. */
  readonly own: RunId;
  readonly ttlMs: number;
  readonly signal: AbortSignal;
  readonly handsOf: (runId: RunId) => LogHands;
  readonly warn: (fields: object, message: string) => void;
}

/** A run that changes its lease so often while it is watched is alive. Count. */
const SIGNS_OF_LIFE = 2;

/** The runs that have a lease. */
export async function listLeases(bucket: Bucket): Promise<RunId[]> {
  const runs: RunId[] = [];
  for await (const { key } of listAll(bucket, NODE_PREFIX)) {
    const run = runOfLease(key);
    if (run !== undefined) runs.push(run);
  }
  return runs;
}

/** Finishes runs of others that have a lease. Throws BUCKET_IN_USE while one is alive. */
export async function finishOthers(options: OtherRunsOptions, runs: readonly RunId[]): Promise<void> {
  const { bucket } = options;
  const places = new Places(FETCHES_AT_ONCE);
  const unsealed: RunId[] = [];
  const sealed: RunId[] = [];
  const look = async (run: RunId): Promise<void> => {
    if (await isSealed(bucket, run)) sealed.push(run);
    else unsealed.push(run);
  };
  await Promise.all(runs.map((run) => places.take(() => look(run))));
  await removeLeases(bucket, sealed, options.warn);
  // All are waited for at once: together they take no longer than one.
  await Promise.all(unsealed.map((run) => finishOther(options, run)));
}

/**
 * Ends the log of a run that has left neither a seal nor a lease, once it was seen that none comes: so it is in the copy of a bucket
 * that was made while the run went on. False: it has a lease, and is not to be ended. Throws BUCKET_IN_USE.
 */
export async function finishLeaseless(options: OtherRunsOptions, run: RunId): Promise<boolean> {
  if ((await options.bucket.get(leaseKey(run))) !== undefined) return false;
  await finishOthers(options, [run]);
  return true;
}

async function finishOther(options: OtherRunsOptions, run: RunId): Promise<void> {
  const { bucket, handsOf, warn } = options;
  if ((await waitUntilDead(options, run)) === "gone") return;
  const seal = await sealRun(handsOf(run), run, Date.now());
  const what = "another run had ended without a word: its log is sealed, what it had not uploaded is not there";
  warn({ run, seal }, what);
  await removeLeases(bucket, [run], warn);
}

/** Removes leases of runs whose log is sealed. Where that fails they mean nothing any more, and the next start removes them. */
export async function removeLeases(
  bucket: Bucket,
  runs: readonly RunId[],
  warn: OtherRunsOptions["warn"],
): Promise<void> {
  if (runs.length === 0) return;
  await bucket.delete(runs.map(leaseKey)).catch((error: unknown) => {
    const why = (error as Error).message;
    warn({ runs, why }, "the lease of a run that is over could not be removed; the next start removes it");
  });
}

/**
 * Looks once more, with the own lease in the bucket, whether another node has begun at the same time; `over`: runs of which this
 * start has seen the end. Throws BUCKET_IN_USE where the other one goes on: see the head of the file.
 */
export async function checkAlone(options: OtherRunsOptions, over: ReadonlySet<RunId>): Promise<void> {
  const { bucket, own } = options;
  const others = (await listLeases(bucket)).filter((run) => run !== own && !over.has(run));
  for (const run of others.filter((other) => other < own)) {
    const lease = await readLease(bucket, run);
    // It has left meanwhile.
    if (lease === undefined) continue;
    if (!(await isSealed(bucket, run))) throw bucketInUse(bucket, lease);
    // It is long over, and its lease could not be removed then.
    await removeLeases(bucket, [run], options.warn);
  }
  await finishOthers(
    options,
    others.filter((other) => other > own),
  );
}

/** The log of the run has ended for ever. */
export async function isSealed(bucket: Bucket, run: RunId): Promise<boolean> {
  return (await stateOf(bucket, run)) === "sealed";
}

async function stateOf(bucket: Bucket, run: RunId): Promise<"empty" | "open" | "sealed"> {
  const last = (await endOfRunLog(bucket, run)).seqs.at(-1);
  if (last === undefined) return "empty";
  return (await readHeader(bucket, logKey(run, last)))?.kind === "seal" ? "sealed" : "open";
}

async function readLease(bucket: Bucket, run: RunId): Promise<LeaseDocument | undefined> {
  const key = leaseKey(run);
  const found = await bucket.get(key);
  return found && decodeLease(found.bytes, key);
}

function bucketInUse({ url }: Bucket, { pid, host }: LeaseDocument): FrondError {
  const what = `${url} is served by another node, process ${pid} on ${host}: one node at a time can`;
  return new FrondError("BUCKET_IN_USE", what);
}

/** Resolves when the run is dead; "gone": it has taken leave itself. Throws BUCKET_IN_USE when it lives. */
export async function waitUntilDead(options: OtherRunsOptions, run: RunId): Promise<"dead" | "gone"> {
  const { bucket, signal, warn } = options;
  let watching: Watching | undefined;
  let lease: LeaseDocument | undefined;
  let changes = 0;
  for (;;) {
    signal.throwIfAborted();
    const sentAt = monotonicMs();
    const found = await readLease(bucket, run).catch((error: unknown) => failedRead(error));
    const doneAt = monotonicMs();
    if (found === undefined) {
      const state = await stateOf(bucket, run);
      // A lease goes behind the seal, or of a node that has left before it wrote anything.
      if (state === "sealed" || (state === "empty" && lease !== undefined)) return "gone";
    }
    const now = found === "failed" ? undefined : found;
    if (lease !== undefined && now !== undefined && now.counter !== lease.counter) changes += 1;
    if (changes >= SIGNS_OF_LIFE && now !== undefined) throw bucketInUse(bucket, now);
    // Its own TTL counts, and nobody knows that before its record was read.
    if (now !== undefined && now.ttlMs !== lease?.ttlMs) {
      watching = new Watching(now.ttlMs);
      const seconds = Math.ceil(now.ttlMs / 1000);
      warn({ run, host: now.host, process: now.pid }, `another run may be alive: waiting ${seconds} s to be sure`);
    } else if (found === undefined) watching ??= new Watching(options.ttlMs);
    lease = now ?? lease;
    const mark = found === undefined ? "absent" : found === "failed" ? "failed" : { mark: String(found.counter) };
    if (watching?.read(sentAt, doneAt, mark) === true) return "dead";
    await sleep(watching?.everyMs ?? options.ttlMs / 6);
  }
}

/** What the bucket does not answer is no sign of anything; a lease that cannot be read has to be looked at by somebody. */
function failedRead(error: unknown): "failed" {
  if (error instanceof FrondError && error.code.startsWith("OBJECT_")) throw error;
  return "failed";
}
