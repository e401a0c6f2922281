// Warnings that load causes by the thousand, said at most once a second each.
//
// Rule: under a flood the log must neither flood nor be silent: the first of a kind is written at once, the rest of its
// second are counted, and the next line says how many there were.

import { Seldom, type Told } from "./door/floods.ts";

export class Warnings {
  readonly #log: Told;
  readonly #seldom = new Seldom(1);

  constructor(log: Told) {
    this.#log = log;
  }

  /** Counts one event of the kind `sentence`. The kinds are few and fixed in the code. */
  count(sentence: string): void {
    const unsaid = this.#seldom.ask(sentence);
    if (unsaid !== undefined) this.#log.warn({ count: unsaid + 1 }, sentence);
  }
}
