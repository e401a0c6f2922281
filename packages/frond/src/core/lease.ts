// The lease of a run: how long it may believe that nobody has ended it.
//
// Rules.
// - Every TTL/3 the run overwrites its record with a new counter and then reads its own next log number: a seal there ends
//   it. A renewal counts when both went well; one that failed, or was not answered, is never repeated but superseded by the
//   next counter: after a failure already TTL/12 later.
// - A renewal that counts is worth TTL - TTL/6 by the monotonic clock, from before it was sent: the record changed in the
//   bucket at that moment or later, and others wait for a whole TTL, and a margin, from the moment at which they saw it.
// - The monotonic clock stands while a machine sleeps. Wall clock and boot time do not: when one of them ran more than
//   TTL/3 ahead of it since the renewal that is lived on was sent, the run stops at once. (TTL - TTL/6 + TTL/3 is TTL + TTL/6,
//   which is what watchers wait.) Counted from there and not from the last look, or many short sleeps would add up unseen.
// - A main thread that was not seen alive within maxSyncMs is not renewed for: its run may be hanging.
// - A lapse is final. Believing again, even a moment later, could be after somebody took over. Only who was believed can lapse: a
//   run whose first renewals take longer than they are worth has told nobody anything, and tries on.
// The machine runs where the main thread cannot hold it up; `believedUntil` is what it publishes, and every request compares
// its clock with that number. Nothing at `bucket` rests on any of this: there the seal decides (runLog.ts).
// The holder of a dead run's disk renews the record in its place with a machine of its own, with `mark`s that the run never
// wrote, so that nobody seals the log before its rest is uploaded; its belief is of no use then.
//
// Rejected: retrying a renewal (a late copy of an old counter would look like a sign of life), believing from the answer on
// (the answer may be old), a lease that can be regained.

import { assert } from "../assert.ts";

/** The clocks of the machine, in ms, each from a beginning of its own. Wall and boot go on while it sleeps. */
export interface Clocks {
  readonly monotonic: number;
  readonly wall: number;
  readonly boot: number;
}

/** How a renewal ended: it failed, or what was then read at the own next log number. */
export type Renewal = "failed" | "nothing" | "segment" | "seal";

/** Why a run ended. `sealed`: somebody else ended its log. */
export type LapseReason = "not renewed" | "main thread stuck" | "the machine slept" | "sealed";

/** What to do. */
export type LeaseEffect =
  /** Put the record with this counter, then read the own next log number; tell by `answered`. Do not retry the put. */
  | { readonly do: "renew"; readonly counter: number }
  /** A segment stood there: read the number behind it, and tell by `answered`. */
  | { readonly do: "read on"; readonly counter: number }
  /** The run is over. Told once. */
  | { readonly do: "lapsed"; readonly why: LapseReason };

/** How a lease begins. */
export interface LeaseStart {
  readonly ttlMs: number;
  /** The longest that the main thread may be silent, in ms. */
  readonly maxSyncMs: number;
  /** The first counter: above every one that this record has had. */
  readonly counter: number;
}

/** See the head of the file. One per run. */
export class Lease {
  readonly #ttlMs: number;
  readonly #maxSyncMs: number;
  #counter: number;
  /** Renewals without an answer. */
  readonly #sent = new Map<number, { readonly at: Clocks; readOn: boolean }>();
  /** When the renewal that is lived on was sent. */
  #base: Clocks | undefined;
  #renewAt = -Infinity;
  #stuck = false;
  #over = false;

  constructor(start: LeaseStart) {
    this.#ttlMs = start.ttlMs;
    this.#maxSyncMs = start.maxSyncMs;
    this.#counter = start.counter;
  }

  /** The run may serve and acknowledge while its monotonic clock is below this; -Infinity before the first renewal and after the end. */
  get believedUntil(): number {
    return this.#base === undefined || this.#over ? -Infinity : this.#base.monotonic + this.#worth;
  }

  /** It had been believed, and never will be again. */
  get isOver(): boolean {
    return this.#over;
  }

  /** When to look again at the latest, by the monotonic clock. Sooner is better: a sleep is seen by looking. */
  get lookAt(): number {
    return this.#over ? Infinity : Math.min(this.#renewAt, this.#base === undefined ? Infinity : this.believedUntil);
  }

  /** Told often. `mainSeen`: when the main thread was last seen alive, by the monotonic clock. */
  look(now: Clocks, mainSeen: number): LeaseEffect[] {
    if (this.#over) return [];
    const why = this.#endedBy(now);
    if (why !== undefined) return this.#lapse(why);
    if (now.monotonic < this.#renewAt) return [];
    this.#renewAt = now.monotonic + this.#ttlMs / 3;
    this.#stuck = now.monotonic - mainSeen > this.#maxSyncMs;
    if (this.#stuck) {
      this.#renewAt = now.monotonic + this.#ttlMs / 12;
      return [];
    }
    const counter = this.#counter;
    this.#counter += 1;
    this.#sent.set(counter, { at: now, readOn: false });
    return [{ do: "renew", counter }];
  }

  /** How the renewal with this counter ended. `now`: when that was heard. */
  answered(counter: number, renewal: Renewal, now: Clocks): LeaseEffect[] {
    if (this.#over) return [];
    if (renewal === "seal") return this.#lapse("sealed");
    const why = this.#endedBy(now);
    if (why !== undefined) return this.#lapse(why);
    const sent = this.#sent.get(counter);
    // An older renewal than the one that is lived on, or one that failed before: it has nothing to say.
    if (sent === undefined) return [];
    if (renewal === "segment" && !sent.readOn) {
      // The own create has landed and its answer is under way; a seal would stand behind it.
      sent.readOn = true;
      return [{ do: "read on", counter }];
    }
    this.#sent.delete(counter);
    // Who was never believed has nothing to lose: a first renewal that came too late is one that failed.
    const tooLate = this.#base === undefined && this.#isSpent(sent.at, now);
    if (renewal === "failed" || tooLate) {
      this.#renewAt = Math.min(this.#renewAt, now.monotonic + this.#ttlMs / 12);
      return [];
    }
    this.#liveOn(sent.at);
    const late = this.#endedBy(now);
    return late === undefined ? [] : this.#lapse(late);
  }

  get #worth(): number {
    return this.#ttlMs - this.#ttlMs / 6;
  }

  #liveOn(base: Clocks): void {
    assert(this.#base === undefined || base.monotonic > this.#base.monotonic, "belief only moves forward");
    this.#base = base;
    for (const [counter, sent] of this.#sent) {
      if (sent.at.monotonic <= base.monotonic) this.#sent.delete(counter);
    }
  }

  #endedBy(now: Clocks): LapseReason | undefined {
    const base = this.#base;
    if (base === undefined || !this.#isSpent(base, now)) return undefined;
    if (this.#hasSlept(base, now)) return "the machine slept";
    return this.#stuck ? "main thread stuck" : "not renewed";
  }

  /** A renewal that was sent then is worth nothing any more. */
  #isSpent(sentAt: Clocks, now: Clocks): boolean {
    return this.#hasSlept(sentAt, now) || now.monotonic >= sentAt.monotonic + this.#worth;
  }

  #hasSlept(since: Clocks, now: Clocks): boolean {
    const lived = now.monotonic - since.monotonic;
    return Math.max(now.wall - since.wall, now.boot - since.boot) - lived > this.#ttlMs / 3;
  }

  #lapse(why: LapseReason): LeaseEffect[] {
    this.#over = true;
    this.#sent.clear();
    return [{ do: "lapsed", why }];
  }
}
