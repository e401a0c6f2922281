// When a segment closes, and when writes must wait because the bucket does not take them.
//
// Rules. A segment closes FLUSH_AWAITED_MS after its first byte while somebody waits for `bucket`, else after FLUSH_MS, or
// when it is full; an empty one never does: an idle node sends heartbeats only. Who begins to wait for a segment that is
// old enough gets it at once: that costs no more requests, since the next one is as old before it closes.
// Bytes that are not confirmed wait on this disk. Beyond a limit writes are refused, and again allowed below nine tenths of
// it: a limit without a gap would flutter with every upload.

import { FLUSH_AWAITED_MS, FLUSH_MS, SEGMENT_BYTES, UPLOAD_QUEUE_BYTES } from "../limits.ts";

/** The open segment. */
export interface OpenSegment {
  /** Bytes of records in it. */
  readonly bytes: number;
  /** When the first of them came, in ms of the same clock as `now`. */
  readonly since: number;
  /** Somebody waits for one of its commits to be at `bucket`. */
  readonly awaited: boolean;
}

/** What to do with it. */
export type FlushStep =
  | { readonly do: "close" }
  /** Ask again in so many ms, and whenever bytes come or somebody begins to wait; Infinity: only then. */
  | { readonly do: "look again"; readonly inMs: number };

/** See the head of the file. */
export function flushRule(segment: OpenSegment, now: number): FlushStep {
  if (segment.bytes === 0) return { do: "look again", inMs: Infinity };
  if (segment.bytes >= SEGMENT_BYTES) return { do: "close" };
  const inMs = segment.since + (segment.awaited ? FLUSH_AWAITED_MS : FLUSH_MS) - now;
  return inMs <= 0 ? { do: "close" } : { do: "look again", inMs };
}

/** Tells whether the queue of an upload takes further writes. One per node. */
export class UploadLimit {
  readonly #limit: number;
  #refuses = false;

  /** `limit`: bytes that may be unconfirmed. */
  constructor(limit: number = UPLOAD_QUEUE_BYTES) {
    this.#limit = limit;
  }

  /** So many bytes are not confirmed now. True: writes are refused (OVERLOADED). */
  refuses(unconfirmed: number): boolean {
    this.#refuses = unconfirmed >= (this.#refuses ? this.#limit * 0.9 : this.#limit);
    return this.#refuses;
  }
}
