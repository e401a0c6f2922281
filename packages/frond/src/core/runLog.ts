// The log of a run in the bucket, seen by who appends to it: the run, or after its death the holder of its disk.
//
// Rules (I3, I4).
// - Numbers rise by one, one create is open at a time, and the next begins only when the last is known: so the log has no
//   gaps, and what is uploaded is one prefix of the run's commits, an lsn.
// - A seal at the own next number ends the log for ever. Nothing at or beyond it is confirmed, no other number is tried.
// - A segment of the same run at the own next number comes from an earlier life of the same upload (a create whose answer
//   was never heard). Its own range decides: it must begin where the uploaded prefix ends, then it counts, and the next
//   segment begins where it ends. Anything else is damage, and nothing is appended behind damage.
// - Confirmed is what was uploaded while the lease was believed. A lapse is final: what is uploaded after it is good for
//   those who come later, and is never acknowledged.
// - A create can succeed at a number that is not the log's end any more: it landed, its answer was lost, others sealed the
//   log behind it, and clean-up removed it, so that its repetition found nothing. Clean-up raises the base before it
//   deletes, so the base, read after `created`, tells: above the number = void.
//
// Why the first answer to a first attempt needs no reading of the base: for the create to be void, the number must have
// been there and have been removed. Nobody but this machine creates segments of this log, and seals are never removed; so
// an earlier attempt must have put it there. The one way around is one request that the network delivers twice, the second
// time after clean-up: its answer then comes later than a lease lasts, and is checked. Clean-up does not touch what is
// younger than a retention of days. A holder of the disk does not know what the dead run tried: it checks every time.
//
// Rejected: several creates in flight (gaps, and a tail that needs sorting out at each end of a run), reading the base after
// every create (a third more requests for a case that a first attempt cannot have).

import { assert } from "../assert.ts";
import type { Lsn, Seq } from "../types.ts";
import { Intent, type IntentEvent, type IntentStep } from "./intent.ts";

/** What stands at a number of a log. `damaged`: it cannot be read, or belongs to another run. */
export type LogObject =
  | { readonly is: "segment"; readonly from: Lsn; readonly to: Lsn }
  /** `to`: where the log ends, as far as who sealed it knew. */
  | { readonly is: "seal"; readonly to?: Lsn }
  | { readonly is: "damaged" };

/** What a listing of `log/<run>/` shows: the numbers were read before the base, which is how their keys are ordered. */
export interface LogListing {
  /** Highest base; 1 when there is none. */
  readonly base: Seq;
  /** Numbers that are present, in order. */
  readonly numbers: readonly Seq[];
}

/** What the executor saw. `base` 1: there is none. `failed` also answers `read base`. */
export type RunLogEvent = IntentEvent<LogObject> | { readonly saw: "base"; readonly base: Seq };

/** What to do next; exactly one thing at a time. */
export type RunLogStep =
  /** Create this number: the segment that was given to `append`, or a seal; the same bytes at every repetition. */
  | { readonly do: "create"; readonly seq: Seq; readonly what: "segment" | "seal" }
  /** Read the number and tell whose it is. */
  | { readonly do: "read back"; readonly seq: Seq }
  | { readonly do: "pause"; readonly tries: number }
  /** Read the highest base of this log. */
  | { readonly do: "read base" }
  /** Nothing is open. The next segment begins at `uploaded`, which need not be the end of the one that was given. */
  | { readonly do: "rest"; readonly uploaded: Lsn; readonly confirmed: Lsn }
  /** The log is sealed. `seal`: where; undefined: elsewhere, to be found by sealing it (see sealing.ts). */
  | { readonly do: "ended"; readonly seal: Seq | undefined; readonly ours: boolean }
  /** Something stands at the number that cannot be there: stop, and say so. */
  | { readonly do: "stop"; readonly seq: Seq; readonly why: string };

/** How the machine begins. */
export interface RunLogStart {
  /** The first number that is not known to be uploaded, and the lsn up to which everything is. */
  readonly seq: Seq;
  readonly lsn: Lsn;
  /** The run's TTL, in ms. */
  readonly ttlMs: number;
  /** Another life than the one that made the log: the holder of a dead run's disk. Nothing is confirmed by it. */
  readonly adopted: boolean;
}

/** What an event is judged by. */
export interface RunLogMoment {
  /** Monotonic, in ms. */
  readonly now: number;
  /** The run believes its lease at this moment. */
  readonly believed: boolean;
}

interface Open {
  readonly what: "segment" | "seal";
  readonly from: Lsn;
  readonly to: Lsn;
  readonly intent: Intent<LogObject>;
  readonly since: number;
}

/** See the head of the file. One per run and life. */
export class RunLog {
  readonly #ttlMs: number;
  readonly #adopted: boolean;
  #seq: Seq;
  #uploaded: Lsn;
  #confirmed: Lsn;
  #open: Open | undefined;
  /** What counts if the base, which is being read, does not say otherwise. */
  #found: { readonly object: LogObject; readonly ours: boolean } | undefined;
  #baseTries = 0;
  #lapsed: boolean;
  #over = false;

  constructor(start: RunLogStart) {
    this.#seq = start.seq;
    this.#uploaded = start.lsn;
    this.#confirmed = start.lsn;
    this.#ttlMs = start.ttlMs;
    this.#adopted = start.adopted;
    this.#lapsed = start.adopted;
  }

  /** The number that is open, or is next. No record that is logged from now on stands below it. */
  get seq(): Seq {
    return this.#seq;
  }

  /** Everything below is in the log, whoever may hear of it. */
  get uploaded(): Lsn {
    return this.#uploaded;
  }

  /** Everything below may be acknowledged at `bucket`. */
  get confirmed(): Lsn {
    return this.#confirmed;
  }

  get isResting(): boolean {
    return this.#open === undefined && !this.#over;
  }

  get isOver(): boolean {
    return this.#over;
  }

  /** Appends the commits from `uploaded` up to `to` as the next number. Nothing may be open. */
  append(from: Lsn, to: Lsn, now: number): RunLogStep {
    assert(from === this.#uploaded && to > from, "a segment continues the log");
    return this.#begin("segment", from, to, now);
  }

  /** Ends the log: a clean stop, or the end of a dead run's tail. Nothing may be open; no append follows. */
  seal(now: number): RunLogStep {
    return this.#begin("seal", this.#uploaded, this.#uploaded, now);
  }

  on(event: RunLogEvent, moment: RunLogMoment): RunLogStep {
    if (!moment.believed) this.#lapsed = true;
    const open = this.#open;
    assert(open !== undefined, "a log that rests hears nothing");
    if (this.#found !== undefined) return this.#onBase(event, open, moment);
    assert(event.saw !== "base", "the base was not asked for");
    return this.#next(open.intent.on(event), open, moment);
  }

  #begin(what: "segment" | "seal", from: Lsn, to: Lsn, now: number): RunLogStep {
    assert(this.isResting, "one create of a log is open at a time, and none after its end");
    const open = { what, from, to, intent: new Intent<LogObject>(), since: now };
    this.#open = open;
    return this.#next(open.intent.start(), open, { now, believed: true });
  }

  #next(step: IntentStep<LogObject>, open: Open, moment: RunLogMoment): RunLogStep {
    if (step.do === "create") return { do: "create", seq: this.#seq, what: open.what };
    if (step.do === "read back") return { do: "read back", seq: this.#seq };
    if (step.do === "pause") return step;
    if (step.answer === "created") {
      const object: LogObject = open.what === "seal" ? { is: "seal" } : { is: "segment", from: open.from, to: open.to };
      const first = open.intent.attempts === 1 && moment.now - open.since <= this.#ttlMs;
      if (first && !this.#adopted) return this.#accept(object, true, moment);
      return this.#readBase(object, true);
    }
    // It was there and is gone: clean-up has passed.
    if (step.found === undefined) return this.#end(undefined, false);
    return this.#readBase(step.found, false);
  }

  #readBase(object: LogObject, ours: boolean): RunLogStep {
    this.#found = { object, ours };
    return { do: "read base" };
  }

  #onBase(event: RunLogEvent, open: Open, moment: RunLogMoment): RunLogStep {
    const found = this.#found;
    assert(found !== undefined && open === this.#open, "the base is read for what was found");
    if (event.saw === "failed") {
      this.#baseTries += 1;
      return { do: "pause", tries: this.#baseTries };
    }
    if (event.saw === "waited") return { do: "read base" };
    assert(event.saw === "base", "the base was asked for");
    this.#found = undefined;
    this.#baseTries = 0;
    // Clean-up passes the end of what is uploaded only in a log that somebody sealed.
    if (event.base > this.#seq) return this.#end(undefined, false);
    return this.#accept(found.object, found.ours, moment);
  }

  #accept(object: LogObject, ours: boolean, moment: RunLogMoment): RunLogStep {
    if (object.is === "seal") return this.#end(this.#seq, ours);
    if (object.is === "damaged") return this.#stop("what stands there is no segment or seal of this run");
    if (object.from !== this.#uploaded || object.to <= object.from) {
      const range = `the segment there holds ${object.from} to ${object.to}`;
      return this.#stop(`${range}, and the log goes on at ${this.#uploaded}`);
    }
    const sealing = this.#open?.what === "seal";
    this.#open = undefined;
    this.#seq = (this.#seq + 1) as Seq;
    this.#uploaded = object.to;
    if (!this.#lapsed) this.#confirmed = object.to;
    if (sealing) return this.seal(moment.now);
    return { do: "rest", uploaded: this.#uploaded, confirmed: this.#confirmed };
  }

  #end(seal: Seq | undefined, ours: boolean): RunLogStep {
    this.#open = undefined;
    this.#over = true;
    return { do: "ended", seal, ours };
  }

  #stop(why: string): RunLogStep {
    this.#open = undefined;
    this.#over = true;
    return { do: "stop", seq: this.#seq, why };
  }
}

/** The first number at or above the base that is not present: where the log goes on, or ends. */
export function firstMissing(listing: LogListing): Seq {
  const present = new Set<number>(listing.numbers);
  let seq: number = listing.base;
  while (present.has(seq)) seq += 1;
  return seq as Seq;
}

/** How the holder of a dead run's disk begins. */
export type ResumeStep =
  | { readonly do: "begin"; readonly seq: Seq; readonly lsn: Lsn }
  /** Read this number and go on with `resumeBehind`. */
  | { readonly do: "read"; readonly seq: Seq; readonly listed: boolean }
  /** The picture was stale: list again, after a pause. */
  | { readonly do: "list" }
  /** The log holds nothing behind `lsn`. */
  | { readonly do: "ended"; readonly seal: Seq; readonly lsn: Lsn | undefined }
  | { readonly do: "stop"; readonly seq: Seq; readonly why: string };

/** What it does first. `known`: the place up to which its disk knows the log to be uploaded. */
export function resumeLog(listing: LogListing, known: { readonly seq: Seq; readonly lsn: Lsn }): ResumeStep {
  const seq = firstMissing(listing);
  if (seq === known.seq) return { do: "begin", seq, lsn: known.lsn };
  if (seq < known.seq) return { do: "stop", seq, why: "a segment that was uploaded is not there" };
  if (seq > listing.base) return { do: "read", seq: (seq - 1) as Seq, listed: true };
  // Sealed and cleaned up since the numbers were read: then something stands at the base.
  return { do: "read", seq, listed: false };
}

/** What it does when the number was read. */
export function resumeBehind(step: ResumeStep & { do: "read" }, found: LogObject | undefined): ResumeStep {
  const { seq, listed } = step;
  if (found === undefined && listed) return { do: "list" };
  if (found === undefined) return { do: "stop", seq, why: "clean-up has passed what this disk knows to be uploaded" };
  if (found.is === "seal") return { do: "ended", seal: seq, lsn: found.to };
  if (found.is === "damaged") return { do: "stop", seq, why: "what stands there is no segment or seal of this run" };
  return { do: "begin", seq: (seq + 1) as Seq, lsn: found.to };
}
