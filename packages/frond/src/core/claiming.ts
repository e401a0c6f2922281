// The ownership of a slot: which record comes next, and who may serve on it.
//
// Rules (I1, I3).
// - The next epoch is one key, so one run gets it. While its create is open the slot is not served: it may become ours, or
//   somebody else's.
// - `created` can be void: a claimer who slept created an epoch that had been there and was cleaned up, since only the newest
//   record stays. So newer records are listed after `created`: one by somebody else means superseded.
// - A record carries its sources whole: where the slot's history lies, oldest first. They are those of the record before, and
//   behind them what the previous owner wrote, from the number at which it began up to the seal that ended it. Its log must
//   be sealed: a range whose end is open is not a source.
// - What a checkpoint covers is left out once nobody wants to go back behind that checkpoint, and the record says so: from then
//   on the history begins with a checkpoint, and a slot whose checkpoints are gone is damaged, not empty.
// - It also states where the epoch before ended (its last surviving txid), by which everybody who is ahead of that knows
//   that it holds lost history.
//
// Why nobody has to list before the create: whoever knows a record, however old, may claim the epoch behind it. If there is
// one already, the create fails; if there was one, newer ones are listed after `created`. So a directory that is up to date
// needs one create and one listing, and one that is not loses nothing but the two.
// Rejected: a pointer to the record before (a chain that grows, and must not be cleaned up), serving while the create is
// open because it will probably win, leaving out the listing after a create that came soon after another listing (right for
// as long as no clock stands still in between: who has the slot must not hang on a clock).

import { assert } from "../assert.ts";
import type { Epoch, RunId, Seq, Txid } from "../types.ts";
import { Intent, type IntentEvent, type IntentStep } from "./intent.ts";

/** Where the history of one epoch lies: numbers `from` up to but without `to` of its owner's log. */
export interface Source {
  readonly epoch: Epoch;
  readonly run: RunId;
  readonly from: Seq;
  readonly to: Seq;
}

/** What a slot record decides; the document has more in it. */
export interface SlotRecord {
  readonly epoch: Epoch;
  readonly run: RunId;
  /** The first number of the run's log that can hold records of this epoch. */
  readonly from: Seq;
  /** The epoch before, and its last surviving txid. */
  readonly before: { readonly epoch: Epoch; readonly txid: Txid };
  readonly sources: readonly Source[];
  /** What came before stands in checkpoints only; undefined: the sources begin with the first epoch. */
  readonly covered: Covered | undefined;
}

/** A checkpoint covers all epochs before this one, and of this one what stands below `seq` in its owner's log. */
export interface Covered {
  readonly epoch: Epoch;
  readonly seq: Seq;
}

/** What is known when a slot is claimed. */
export interface ClaimFacts {
  /** The newest record; undefined = epoch 0. */
  readonly newest: SlotRecord | undefined;
  /** Where the log of its owner was sealed; undefined when there is no record. */
  readonly seal: Seq | undefined;
  /** A checkpoint behind which nobody wants to go back, if any. */
  readonly covered: Covered | undefined;
  /** What the directory of the claimer has of the slot from before it had a bucket. Counts where there is no record. */
  readonly adopted?: { readonly epoch: Epoch; readonly sources: readonly Source[] } | undefined;
  /** The last txid that was found in the sources, or in the checkpoint. */
  readonly txid: Txid;
  /** Who claims, and the number that is open or next in its log. */
  readonly run: RunId;
  readonly from: Seq;
}

/** What a checkpoint leaves of a list of sources, without empty ones. Readers of a slot record, and clean-up, look through this too. */
export function uncovered(sources: readonly Source[], covered: Covered | undefined): Source[] {
  return sources
    .filter(({ epoch }) => covered === undefined || epoch >= covered.epoch)
    .map((source) =>
      source.epoch === covered?.epoch ? { ...source, from: Math.max(source.from, covered.seq) as Seq } : source,
    )
    .filter(({ from, to }) => from < to);
}

/** True when `a` covers as much as `b`, or more. */
export function coversAsMuch(a: Covered, b: Covered): boolean {
  return a.epoch > b.epoch || (a.epoch === b.epoch && a.seq >= b.seq);
}

/** The record that claims the next epoch. */
export function planSlotClaim(facts: ClaimFacts): SlotRecord {
  const { newest, run, from, txid } = facts;
  assert(newest?.run !== run, "a run claims a slot once");
  const past = newest === undefined ? facts.adopted : undefined;
  const epoch = newest?.epoch ?? past?.epoch ?? (0 as Epoch);
  assert(txid >= (newest?.before.txid ?? 0), "txids go on over epochs");
  const sources = newest === undefined ? (past?.sources ?? []) : [...newest.sources, ownedRange(newest, facts.seal)];
  const covered = later(newest?.covered, facts.covered);
  return {
    epoch: (epoch + 1) as Epoch,
    run,
    from,
    before: { epoch, txid },
    sources: uncovered(sources, covered),
    covered,
  };
}

function later(a: Covered | undefined, b: Covered | undefined): Covered | undefined {
  if (a === undefined || b === undefined) return a ?? b;
  return coversAsMuch(a, b) ? a : b;
}

/** What the owner of a record wrote: nothing, if its log was sealed before its claim had landed. */
function ownedRange(owner: SlotRecord, seal: Seq | undefined): Source {
  assert(seal !== undefined, "a slot is claimed when the log of its owner has ended");
  return { epoch: owner.epoch, run: owner.run, from: owner.from, to: seal };
}

/** What the executor saw. `newest`: the highest epoch that is listed. `failed` also answers `list newer`. */
export type ClaimEvent = IntentEvent<SlotRecord> | { readonly saw: "newest"; readonly epoch: Epoch };

/** What to do next; exactly one thing at a time. */
export type ClaimStep =
  /** Create the record; the same bytes at every repetition. */
  | { readonly do: "create"; readonly epoch: Epoch }
  | { readonly do: "read back"; readonly epoch: Epoch }
  | { readonly do: "pause"; readonly tries: number }
  /** List the records of the slot from this epoch on. */
  | { readonly do: "list newer"; readonly epoch: Epoch }
  /** The slot may be served, while the lease is believed. */
  | { readonly do: "owned" }
  /** The record was void: a newer one stands. Begin anew from it. */
  | { readonly do: "superseded"; readonly by: Epoch }
  /** Somebody else has the epoch; undefined: had it. Begin anew from the newest record. */
  | { readonly do: "lost"; readonly to: SlotRecord | undefined };

/** See the head of the file. One for each claim. */
export class Claiming {
  readonly record: SlotRecord;
  readonly #intent = new Intent<SlotRecord>();
  #at: "creating" | "listing" | "over" = "creating";
  #tries = 0;

  constructor(record: SlotRecord) {
    this.record = record;
  }

  /** Nobody knows yet whose the slot is: it is not served. */
  get isOpen(): boolean {
    return this.#at !== "over";
  }

  start(): ClaimStep {
    return this.#next(this.#intent.start());
  }

  on(event: ClaimEvent): ClaimStep {
    const { epoch } = this.record;
    if (this.#at === "creating") {
      assert(event.saw !== "newest", "newer records were not asked for");
      return this.#next(this.#intent.on(event));
    }
    assert(this.#at === "listing", "a claim that is decided hears nothing");
    if (event.saw === "failed") {
      this.#tries += 1;
      return { do: "pause", tries: this.#tries };
    }
    if (event.saw === "waited") return { do: "list newer", epoch };
    assert(event.saw === "newest", "newer records were asked for");
    this.#at = "over";
    return event.epoch > epoch ? { do: "superseded", by: event.epoch } : { do: "owned" };
  }

  #next(step: IntentStep<SlotRecord>): ClaimStep {
    const { epoch } = this.record;
    if (step.do === "create" || step.do === "read back") return { do: step.do, epoch };
    if (step.do === "pause") return step;
    if (step.answer === "created") {
      this.#at = "listing";
      return { do: "list newer", epoch };
    }
    this.#at = "over";
    return { do: "lost", to: step.found };
  }
}
