// Ending the log of a dead run for ever.
//
// Rule: the seal is created at the first missing number at or above the log's base. If the run was faster and a segment
// stands there, at the next. From then on the run's own create fails at that number: one key, one winner, no clocks. What
// might stand beyond a seal is ignored by everybody.
// The seal that counts is one at or above the base, and all see the same one: a log has no gaps (see runLog.ts), so it can
// only be the last number that is present, which is therefore read before another is made. A sealer whose listing was
// older than a clean-up may have created a seal at a removed number: the base, read at the end, says that it is void, and
// everything begins anew.
// Whoever holds the run's disk uploads the rest first (runLog.ts) and seals then; the lease goes last. Until then the
// holder renews the lease in the dead run's place with a Lease of its own (lease.ts): all others wait for it.
// Rejected: sealing behind the highest number that is present (after a clean-up there may be none, and in front of a gap
// the run would go on).

import { assert } from "../assert.ts";
import type { Seq } from "../types.ts";
import { Intent, type IntentEvent, type IntentStep } from "./intent.ts";
import { firstMissing, type LogListing, type LogObject } from "./runLog.ts";

/** What the executor saw. `absent` and `failed` answer `read`, `list` and `read base` too. */
export type SealingEvent =
  | IntentEvent<LogObject>
  | { readonly saw: "listing"; readonly listing: LogListing }
  | { readonly saw: "base"; readonly base: Seq }
  /** Answers `read`. */
  | { readonly saw: "object"; readonly found: LogObject };

/** What to do next; exactly one thing at a time. */
export type SealingStep =
  /** List the numbers and the base of the log. */
  | { readonly do: "list" }
  /** Read this number: `object`, `absent` or `failed`. */
  | { readonly do: "read"; readonly seq: Seq }
  /** Create a seal here; the same bytes at every repetition of the same number. */
  | { readonly do: "create"; readonly seq: Seq }
  | { readonly do: "read back"; readonly seq: Seq }
  | { readonly do: "pause"; readonly tries: number }
  | { readonly do: "read base" }
  /** The log holds the numbers from its base up to but without `seal`, for ever. */
  | { readonly do: "sealed"; readonly seal: Seq }
  /** Something stands there that cannot: nobody can say where the log ends. */
  | { readonly do: "stop"; readonly seq: Seq; readonly why: string };

/** See the head of the file. One for each log that is to end. */
export class Sealing {
  #at: "new" | "listing" | "reading" | "creating" | "checking" | "over" = "new";
  #pausing = false;
  #seq = 0 as Seq;
  #intent = new Intent<LogObject>();
  #tries = 0;

  get isOpen(): boolean {
    return this.#at !== "over";
  }

  start(): SealingStep {
    assert(this.#at === "new", "a sealing starts once");
    return this.#list();
  }

  on(event: SealingEvent): SealingStep {
    if (this.#at === "creating") {
      assert(event.saw !== "listing" && event.saw !== "base" && event.saw !== "object", "a seal is being created");
      return this.#next(this.#intent.on(event));
    }
    if (event.saw === "failed") {
      this.#pausing = true;
      return this.#pause();
    }
    if (this.#pausing) {
      assert(event.saw === "waited", "a pause ends before anything else");
      this.#pausing = false;
      return this.#again();
    }
    switch (this.#at) {
      case "listing":
        assert(event.saw === "listing", "the log was to be listed");
        return this.#onListing(event.listing);
      case "reading":
        assert(event.saw === "object" || event.saw === "absent", "a number was to be read");
        return this.#onObject(event.saw === "object" ? event.found : undefined);
      default:
        assert(this.#at === "checking" && event.saw === "base", "the base was to be read");
        return this.#onBase(event.base);
    }
  }

  #list(): SealingStep {
    this.#at = "listing";
    return { do: "list" };
  }

  #again(): SealingStep {
    if (this.#at === "listing") return { do: "list" };
    return this.#at === "reading" ? { do: "read", seq: this.#seq } : { do: "read base" };
  }

  /** The picture was stale: from the beginning, but not at once. */
  #anew(): SealingStep {
    this.#at = "listing";
    this.#pausing = true;
    return this.#pause();
  }

  #pause(): SealingStep {
    this.#tries += 1;
    return { do: "pause", tries: this.#tries };
  }

  #onListing(listing: LogListing): SealingStep {
    const seq = firstMissing(listing);
    if (seq === listing.base) return this.#create(seq);
    this.#at = "reading";
    this.#seq = (seq - 1) as Seq;
    return { do: "read", seq: this.#seq };
  }

  #onObject(found: LogObject | undefined): SealingStep {
    if (found === undefined) return this.#anew();
    if (found.is === "seal") return this.#check();
    if (found.is === "damaged") return this.#stop();
    return this.#create((this.#seq + 1) as Seq);
  }

  #create(seq: Seq): SealingStep {
    this.#at = "creating";
    this.#seq = seq;
    this.#intent = new Intent<LogObject>();
    return this.#next(this.#intent.start());
  }

  #next(step: IntentStep<LogObject>): SealingStep {
    if (step.do === "create" || step.do === "read back") return { do: step.do, seq: this.#seq };
    if (step.do === "pause") return step;
    if (step.answer === "created") return this.#check();
    if (step.found === undefined) return this.#anew();
    if (step.found.is === "seal") return this.#check();
    if (step.found.is === "damaged") return this.#stop();
    return this.#create((this.#seq + 1) as Seq);
  }

  #check(): SealingStep {
    this.#at = "checking";
    return { do: "read base" };
  }

  #onBase(base: Seq): SealingStep {
    if (base > this.#seq) return this.#anew();
    this.#at = "over";
    return { do: "sealed", seal: this.#seq };
  }

  #stop(): SealingStep {
    this.#at = "over";
    return { do: "stop", seq: this.#seq, why: "what stands there is no segment or seal of this run" };
  }
}
