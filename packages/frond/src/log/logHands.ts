// The hands of the machines that make a run's log in the bucket: what they ask for, done, and what was seen.
//
// Rule: nothing is decided here. A request that failed is `failed` or `unknown`, whatever the store said; only an aborted
// signal ends a step without an answer.

import { randomInt } from "node:crypto";
import type { Bucket } from "../bucket/bucket.ts";
import { logKey } from "../bucket/objectKeys.ts";
import { pause } from "../bucket/retry.ts";
import { decodeFooter, footerIn, locateFooter } from "../codec/objectReader.ts";
import type { LogListing, LogObject } from "../core/runLog.ts";
import { isFrondError } from "../errors.ts";
import {
  BUCKET_DEADLINE_MS,
  BUCKET_INTENT_BYTES,
  FILE_UPLOAD_BYTES_PER_S,
  FOOTER_READ_BYTES,
  LOG_RETRY_MAX_MS,
} from "../limits.ts";
import type { RunId, Seq } from "../types.ts";
import { endOfRunLog, listBases } from "./runObjects.ts";

/** What the hands work with. */
export interface HandsOptions {
  readonly bucket: Bucket;
  readonly runId: RunId;
  readonly sleep: (ms: number, signal?: AbortSignal) => Promise<void>;
  readonly signal: AbortSignal;
  /** Hears of what failed, and is tried again. */
  readonly failed: (what: string, error: unknown) => void;
}

type Seen<T> = T | { readonly saw: "failed" };

/** See the head of the file. One for each run's log. */
export class LogHands {
  readonly #o: HandsOptions;

  constructor(options: HandsOptions) {
    this.#o = options;
  }

  /** Sends a create once. */
  async create(seq: Seq, bytes: Uint8Array): Promise<{ readonly saw: "created" | "exists" | "unknown" }> {
    const { bucket, runId, signal, failed } = this.#o;
    try {
      // A record of its largest size has to get through a slow line too: what is given up is sent again from its first byte.
      const deadlineMs = BUCKET_DEADLINE_MS + Math.ceil((1000 * bytes.length) / FILE_UPLOAD_BYTES_PER_S);
      return { saw: await bucket.create(logKey(runId, seq), bytes, { signal, deadlineMs }) };
    } catch (error) {
      signal.throwIfAborted();
      failed("upload", error);
      return { saw: "unknown" };
    }
  }

  /** Tells whose the object at a number is, given the bytes of one's own. */
  readBack(
    seq: Seq,
    own: Uint8Array,
  ): Promise<Seen<{ readonly saw: "absent" | "ours" } | { readonly saw: "other"; readonly found: LogObject }>> {
    return this.#seen(async () => {
      const { bucket, runId } = this.#o;
      const found = await bucket.get(logKey(runId, seq), { from: 0, bytes: BUCKET_INTENT_BYTES });
      if (found === undefined) return { saw: "absent" };
      const same = found.size === own.length && found.bytes.equals(own.subarray(0, BUCKET_INTENT_BYTES));
      if (same) return { saw: "ours" };
      const object = await this.#object(seq);
      return object === undefined ? { saw: "absent" } : { saw: "other", found: object };
    });
  }

  /** What stands at a number. */
  read(seq: Seq): Promise<Seen<{ readonly saw: "absent" } | { readonly saw: "object"; readonly found: LogObject }>> {
    return this.#seen(async () => {
      const found = await this.#object(seq);
      return found === undefined ? { saw: "absent" } : { saw: "object", found };
    });
  }

  base(): Promise<Seen<{ readonly saw: "base"; readonly base: Seq }>> {
    return this.#seen(async () => {
      const { base } = await listBases(this.#o.bucket, this.#o.runId);
      return { saw: "base", base };
    });
  }

  list(): Promise<Seen<{ readonly saw: "listing"; readonly listing: LogListing }>> {
    return this.#seen(async () => {
      const { base, seqs } = await endOfRunLog(this.#o.bucket, this.#o.runId);
      return { saw: "listing", listing: { base, numbers: seqs } };
    });
  }

  async pause(tries: number): Promise<{ readonly saw: "waited" }> {
    const { sleep, signal } = this.#o;
    await sleep(pause(tries, randomInt(1000) / 1000, LOG_RETRY_MAX_MS), signal);
    signal.throwIfAborted();
    return { saw: "waited" };
  }

  async #seen<T>(look: () => Promise<T>): Promise<Seen<T>> {
    try {
      return await look();
    } catch (error) {
      this.#o.signal.throwIfAborted();
      this.#o.failed("reading the log in the bucket", error);
      return { saw: "failed" };
    }
  }

  /** Throws what the bucket throws, and OBJECT_NEWER. */
  async #object(seq: Seq): Promise<LogObject | undefined> {
    const { bucket, runId } = this.#o;
    const key = logKey(runId, seq);
    const tail = await bucket.get(key, { last: FOOTER_READ_BYTES });
    if (tail === undefined) return undefined;
    try {
      const trailer = locateFooter(tail.bytes, tail.size, key);
      const near = footerIn(tail.bytes, tail.size, trailer);
      const stored = near ?? (await bucket.get(key, { from: trailer.from, bytes: trailer.bytes }))?.bytes;
      if (stored === undefined) return undefined;
      const footer = decodeFooter(stored, trailer, key);
      if (footer.runId !== runId || footer.number !== seq) return { is: "damaged" };
      if (footer.kind === "seal") return { is: "seal", to: footer.toLsn };
      if (footer.kind !== "segment") return { is: "damaged" };
      return { is: "segment", from: footer.fromLsn, to: footer.toLsn };
    } catch (error) {
      if (isFrondError(error, "OBJECT_DAMAGED")) return { is: "damaged" };
      throw error;
    }
  }
}
