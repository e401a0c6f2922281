// Is another run dead? Decided by reading its lease record again and again.
//
// Rule: dead is a run whose record has not changed for a full TTL of that run plus a margin for clocks that go at different
// rates, in time that the watcher can vouch for: time between two reads of its own that went well and were quick. A gap in
// which reads failed, took long or were not made does not count, so a watcher that slept, or was cut off together with the
// watched, comes to no conclusion about what it did not see.
// A record that is absent is one more state that does not change. A run puts its record before its first segment, so an
// absent record beside a log without a seal was removed too early, or a listing raced: nobody knows, and a whole TTL of
// absence is waited for too. (A log that has its seal needs no watching: sealing.ts finds it.)
// Why a change and not a time written in the record: clocks of different machines are never compared.

import { WATCH_MARGIN } from "../limits.ts";

/** What one read of the record gave: its content, or as much of it as changes with every renewal. */
export type LeaseSeen = { readonly mark: string } | "absent" | "failed";

/** See the head of the file. One for each run that is suspected. */
export class Watching {
  readonly #ttlMs: number;
  #state: string | undefined;
  /** When the last read that went well was over; undefined: the last one did not go well. */
  #doneAt: number | undefined;
  /** Up to here time is counted. */
  #countedTo = 0;
  #counted = 0;

  /** `ttlMs`: the TTL that the run itself states. */
  constructor(ttlMs: number) {
    this.#ttlMs = ttlMs;
  }

  /** A read that was sent and answered at these times of the watcher's monotonic clock, in ms. True: the run is dead. */
  read(sentAt: number, doneAt: number, seen: LeaseSeen): boolean {
    const quick = doneAt - sentAt <= this.#longest;
    const state = seen === "failed" || !quick ? undefined : seen === "absent" ? "absent" : `mark ${seen.mark}`;
    if (state === undefined) {
      this.#doneAt = undefined;
      return this.isDead;
    }
    // The record was looked at some time in the read: not before it was sent, and not after it was answered.
    const follows = this.#doneAt !== undefined && sentAt - this.#doneAt <= this.#longest;
    if (state !== this.#state) this.#counted = 0;
    if (state === this.#state && follows) {
      this.#counted += Math.max(0, sentAt - this.#countedTo);
      this.#countedTo = Math.max(sentAt, this.#countedTo);
    } else this.#countedTo = doneAt;
    this.#state = state;
    this.#doneAt = doneAt;
    return this.isDead;
  }

  get isDead(): boolean {
    return this.#counted >= this.#ttlMs * (1 + WATCH_MARGIN);
  }

  /** How often to read, in ms. */
  get everyMs(): number {
    return this.#ttlMs / 6;
  }

  /** The longest read, and the longest gap between two, that count. */
  get #longest(): number {
    return this.#ttlMs / 3;
  }
}
