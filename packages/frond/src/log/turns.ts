// Long work in a thread that others need, too: it gives the thread back after each turn of PACK_TURN_MS.
//
// Rule: whoever works long asks after each piece of it. The answer is a promise only when a turn is over: a wait for every piece would
// cost as much as the small ones.

import { setImmediate as nextTurn } from "node:timers/promises";
import { PACK_TURN_MS } from "../limits.ts";

/** See the head of the file. One for each kind of work. */
export class Turns {
  readonly #now: () => number;
  #ends = 0;

  /** `now`: the monotonic clock, in ms. */
  constructor(now: () => number) {
    this.#now = now;
  }

  /** Resolves when others have had the thread; undefined: the turn goes on. */
  breathe(): Promise<void> | undefined {
    if (this.#now() < this.#ends) return undefined;
    return nextTurn().then(() => {
      this.#ends = this.#now() + PACK_TURN_MS;
    });
  }
}
