// The lease of this run, kept: core/lease with a clock and a bucket.
//
// Rule: what the machine says is carried out and nothing is added. It is looked at several times within a third of the TTL, so
// a machine that slept is noticed soon after it wakes.

import os from "node:os";
import type { Bucket } from "../../bucket/bucket.ts";
import { leaseKey } from "../../bucket/objectKeys.ts";
import { encodeDocument, type LeaseDocument } from "../../codec/documents.ts";
import { type Clocks, type LapseReason, Lease, type LeaseEffect, type Renewal } from "../../core/lease.ts";
import { FrondError } from "../../errors.ts";
import type { LogHands } from "../../log/logHands.ts";
import type { RunId, Seq } from "../../types.ts";
import { VERSION } from "../../version.ts";
import { monotonicMs } from "../monotonic.ts";

/** What a lease is kept with. */
export interface LeaseOptions {
  readonly bucket: Bucket;
  readonly hands: LogHands;
  readonly runId: RunId;
  readonly ttlMs: number;
  readonly maxSyncMs: number;
  /** The number of the run's next segment. */
  readonly nextSeq: () => Seq;
  /** When the main thread was last seen alive, in ms of the monotonic clock. */
  readonly mainSeen: () => number;
  /** Told whenever it changes: until when the run may serve. */
  readonly publish: (believedUntil: number) => void;
  readonly lapsed: (why: LapseReason) => void;
  readonly failed: (what: string, error: unknown) => void;
  readonly signal: AbortSignal;
}

/** See the head of the file. One per run. */
export class LeaseLoop {
  readonly #o: LeaseOptions;
  readonly #lease: Lease;
  readonly #startedMs = Date.now();
  #timer: NodeJS.Timeout | undefined;
  #first: PromiseWithResolvers<void> | undefined;
  #stopped = false;
  #putting: Promise<unknown> = Promise.resolve();

  constructor(options: LeaseOptions) {
    const { ttlMs, maxSyncMs } = options;
    this.#o = options;
    this.#lease = new Lease({ ttlMs, maxSyncMs: maxSyncMs === 0 ? Infinity : maxSyncMs, counter: 1 });
  }

  get believed(): boolean {
    return monotonicMs() < this.#lease.believedUntil;
  }

  /** See {@link Lease.believedUntil}. */
  get believedUntil(): number {
    return this.#lease.believedUntil;
  }

  /** Begins; resolves when the lease is believed for the first time. Rejects with BUCKET_IN_USE when the log was ended before that. */
  async start(): Promise<void> {
    this.#first = Promise.withResolvers();
    this.#look();
    try {
      await this.#first.promise;
    } catch (error) {
      // Who serves would take a record that came late for a second node.
      await this.leave();
      throw error;
    }
  }

  /** Stops renewing. The record is left to whoever removes it. */
  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
  }

  /** Stops, and removes the record of a run that has written nothing; where that fails, it is waited for by who comes next. */
  async leave(): Promise<void> {
    this.stop();
    const { bucket, runId } = this.#o;
    // Else one that is under way could bring the record back.
    await this.#putting;
    await bucket.delete([leaseKey(runId)]).catch(() => {});
  }

  #look(): void {
    if (this.#stopped) return;
    this.#do(this.#lease.look(clocks(), this.#o.mainSeen()));
    const { ttlMs } = this.#o;
    const until = this.#lease.lookAt - monotonicMs();
    if (!this.#lease.isOver) this.#timer = setTimeout(() => this.#look(), Math.max(1, Math.min(ttlMs / 12, until)));
  }

  #do(effects: readonly LeaseEffect[]): void {
    this.#o.publish(this.#lease.believedUntil);
    if (this.believed) this.#first?.resolve();
    for (const effect of effects) {
      if (effect.do === "lapsed") this.#lapsed(effect.why);
      else void this.#renew(effect);
    }
  }

  /** Who was held up behind the first record may have been taken for dead before it was ever believed. */
  #lapsed(why: LapseReason): void {
    const what = `another node has ended the log of run ${this.#o.runId} before it had begun: it serves ${this.#o.bucket.url}`;
    this.#first?.reject(new FrondError("BUCKET_IN_USE", what));
    this.#o.lapsed(why);
  }

  async #renew(effect: Exclude<LeaseEffect, { do: "lapsed" }>): Promise<void> {
    const { counter } = effect;
    const { hands, nextSeq } = this.#o;
    if (effect.do === "renew" && !(await this.#put(counter))) return this.#answered(counter, "failed");
    const seen = await hands.read((nextSeq() + (effect.do === "read on" ? 1 : 0)) as Seq).catch(() => undefined);
    if (seen === undefined || seen.saw === "failed") return this.#answered(counter, "failed");
    if (seen.saw === "absent") return this.#answered(counter, "nothing");
    this.#answered(counter, seen.found.is === "segment" ? "segment" : "seal");
  }

  #answered(counter: number, renewal: Renewal): void {
    if (!this.#stopped) this.#do(this.#lease.answered(counter, renewal, clocks()));
  }

  async #put(counter: number): Promise<boolean> {
    const { bucket, runId, ttlMs, signal, failed } = this.#o;
    const document: LeaseDocument = {
      run: runId,
      counter,
      ttlMs,
      startedMs: this.#startedMs,
      writtenMs: Date.now(),
      host: os.hostname(),
      pid: process.pid,
      version: VERSION,
    };
    const put = bucket.put(leaseKey(runId), encodeDocument(document), { signal, deadlineMs: ttlMs, tries: 1 });
    this.#putting = Promise.allSettled([this.#putting, put]);
    try {
      await put;
      return true;
    } catch (error) {
      if (!signal.aborted) failed("renewing the lease", error);
      return false;
    }
  }
}

function clocks(): Clocks {
  return { monotonic: monotonicMs(), wall: Date.now(), boot: os.uptime() * 1000 };
}
