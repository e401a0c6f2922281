// A create whose outcome is known: the rule for `unknown`, in one place.
//
// Rule: an `unknown` create is still open, since its request may arrive at any later time. The key is read back: an object
// that begins with our own bytes is ours (each intent has an id of its own there), any other object is somebody else's, and
// no object says nothing: the same create, with the same bytes, is sent again until the key exists. Then whatever arrives
// late meets an object and has no effect.
// `exists` is looked at in the same way: the first request of this intent may have been sent by an earlier life of the
// process, or by an attempt whose reply was lost.
// Rejected: giving up after some tries (the caller would have to hold the same bytes and do the same), reading first when
// nothing is open (a request more for every create).

import { isFrondError } from "../errors.ts";
import { BUCKET_INTENT_BYTES } from "../limits.ts";
import type { Bucket, BucketCall } from "./bucket.ts";
import { pause } from "./retry.ts";

/** What createUntilKnown needs besides a bucket. */
export interface UntilKnown extends BucketCall {
  /** Waits; ends early, in whichever way, when the signal is aborted. */
  readonly sleep: (ms: number, signal?: AbortSignal) => Promise<void>;
  /** From 0 up to but not including 1: the jitter of the pauses. Default Math.random. */
  readonly random?: (() => number) | undefined;
  /** Hears of every attempt that told nothing: its number, from 1, and the failure, if there was one. */
  readonly onOpen?: ((attempt: number, failure: unknown) => void) | undefined;
}

/** How a create ended. */
export interface Known {
  /** `created`: the object is ours. `exists`: the key is somebody else's. */
  readonly outcome: "created" | "exists";
  /** Creates that were sent. Count. */
  readonly attempts: number;
}

/**
 * Creates an object, or learns that somebody else has. `bytes` must begin with what no other intent begins with (within
 * BUCKET_INTENT_BYTES). `deadlineMs` holds for each request. Ends, besides, only when the signal is aborted, with its reason
 * (the outcome is then open), or with BUCKET_DENIED, BUCKET_REFUSED or BAD_OPTION while nothing is open.
 */
export async function createUntilKnown(
  bucket: Bucket,
  key: string,
  bytes: Uint8Array,
  options: UntilKnown,
): Promise<Known> {
  const { signal, deadlineMs, sleep, onOpen, random = Math.random } = options;
  const call: BucketCall = { signal, deadlineMs };
  let open = false;
  for (let attempts = 1; ; attempts++) {
    let failure: unknown;
    try {
      const said = await bucket.create(key, bytes, call);
      if (said === "created") return { outcome: "created", attempts };
      open ||= said === "unknown";
      const whose = await whoseIsIt(bucket, key, bytes, call);
      if (whose !== "nobody's") return { outcome: whose === "ours" ? "created" : "exists", attempts };
      // It was there and is gone: cleaned up, so the number was used, by whomever.
      if (said === "exists") return { outcome: "exists", attempts };
    } catch (error) {
      signal?.throwIfAborted();
      if (!isFrondError(error) || (!open && error.code !== "BUCKET_FAILED")) throw error;
      failure = error;
    }
    onOpen?.(attempts, failure);
    await sleep(pause(attempts, random()), signal);
    signal?.throwIfAborted();
  }
}

async function whoseIsIt(
  bucket: Bucket,
  key: string,
  bytes: Uint8Array,
  call: BucketCall,
): Promise<"ours" | "somebody's" | "nobody's"> {
  const found = await bucket.get(key, { from: 0, bytes: BUCKET_INTENT_BYTES }, call);
  if (found === undefined) return "nobody's";
  const same = found.size === bytes.length && found.bytes.equals(bytes.subarray(0, BUCKET_INTENT_BYTES));
  return same ? "ours" : "somebody's";
}
