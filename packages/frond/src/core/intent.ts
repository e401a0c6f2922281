// One create whose outcome must be known: the rule for `unknown`, as a machine.
//
// Rule: an `unknown` create is open, since its request may arrive at any later time. The key is read back: an object with
// the id of this intent is ours, any other is somebody else's, and none says nothing: the same create, with the same bytes
// and the same id, is sent again, until the key exists. Then whatever arrives late meets an object and has no effect.
// `exists` is read back too: an attempt whose reply was lost, or an earlier life of the process, may have been the winner.
// There is no giving up: the machine answers, or stays open for as long as its owner lives; what depends on the answer
// (a number of a log, the ownership of a slot) is not used meanwhile.
//
// An object that existed and is gone when it is read back was cleaned up: the number was used, so the answer is `exists`.
// Rejected: to take `unknown` for `created` (the number may get another content) or a second `exists` for a defeat (the
// winner may be oneself, and nobody would ever do the winner's work).

import { assert } from "../assert.ts";

/** What the executor saw. `Found`: what it can tell of an object that is not of this intent. */
export type IntentEvent<Found> =
  /** How a create ended. */
  | { readonly saw: "created" | "exists" | "unknown" }
  /** What reading back found; `failed`: it could not be read. */
  | { readonly saw: "absent" | "ours" | "failed" }
  | { readonly saw: "other"; readonly found: Found }
  /** A pause is over. */
  | { readonly saw: "waited" };

/** What to do next; exactly one thing at a time. */
export type IntentStep<Found> =
  /** Send the create: the same bytes each time. */
  | { readonly do: "create" }
  | { readonly do: "read back" }
  /** Wait, longer with every one of `tries` (from 1), then tell `waited`. */
  | { readonly do: "pause"; readonly tries: number }
  | { readonly do: "answer"; readonly answer: "created" }
  /** `found` undefined: it was there and is gone. */
  | { readonly do: "answer"; readonly answer: "exists"; readonly found: Found | undefined };

/** See the head of the file. One for each object that is created under a condition. */
export class Intent<Found> {
  #at: "new" | "creating" | "reading" | "pausing" | "answered" = "new";
  #resume: "creating" | "reading" = "creating";
  /** The last create said `exists`, so an absent object was there. */
  #existed = false;
  #attempts = 0;
  #tries = 0;

  /** The outcome is not known. */
  get isOpen(): boolean {
    return this.#at !== "answered";
  }

  /** Creates that were asked for. Count. */
  get attempts(): number {
    return this.#attempts;
  }

  start(): IntentStep<Found> {
    assert(this.#at === "new", "an intent starts once");
    return this.#create();
  }

  on(event: IntentEvent<Found>): IntentStep<Found> {
    switch (event.saw) {
      case "created":
        this.#leave("creating");
        return this.#answerCreated();
      case "exists":
      case "unknown":
        this.#leave("creating");
        this.#existed = event.saw === "exists";
        return this.#readBack();
      case "ours":
        this.#leave("reading");
        return this.#answerCreated();
      case "other":
        this.#leave("reading");
        return this.#answerExists(event.found);
      case "absent":
        this.#leave("reading");
        return this.#existed ? this.#answerExists(undefined) : this.#pause("creating");
      case "failed":
        this.#leave("reading");
        return this.#pause("reading");
      case "waited":
        this.#leave("pausing");
        return this.#resume === "creating" ? this.#create() : this.#readBack();
    }
  }

  #leave(state: "creating" | "reading" | "pausing"): void {
    assert(this.#at === state, `an intent that is ${this.#at} hears of ${state}`);
  }

  #create(): IntentStep<Found> {
    this.#at = "creating";
    this.#attempts += 1;
    return { do: "create" };
  }

  #readBack(): IntentStep<Found> {
    this.#at = "reading";
    return { do: "read back" };
  }

  #pause(resume: "creating" | "reading"): IntentStep<Found> {
    this.#at = "pausing";
    this.#resume = resume;
    this.#tries += 1;
    return { do: "pause", tries: this.#tries };
  }

  #answerCreated(): IntentStep<Found> {
    this.#at = "answered";
    return { do: "answer", answer: "created" };
  }

  #answerExists(found: Found | undefined): IntentStep<Found> {
    this.#at = "answered";
    return { do: "answer", answer: "exists", found };
  }
}
