// Warnings that load causes by the thousand, said at most once a second each.
//
// Rule: under a flood the log must neither flood nor be silent: the first of a kind is written at once, the rest of its
// second are counted, and the next line says how many there were. A count that no further event reports is dropped.

import type { Logger } from "./logger.ts";

const QUIET_MS = 1_000;

export class Warnings {
  readonly #log: Logger;
  readonly #kinds = new Map<string, { count: number; quietUntil: number }>();

  constructor(log: Logger) {
    this.#log = log;
  }

  /** Counts one event of the kind `sentence`. The kinds are few and fixed in the code. */
  count(sentence: string): void {
    const kind = this.#kinds.get(sentence) ?? { count: 0, quietUntil: 0 };
    this.#kinds.set(sentence, kind);
    kind.count++;
    const now = performance.now();
    if (now < kind.quietUntil) return;
    this.#log.warn({ count: kind.count }, sentence);
    kind.count = 0;
    kind.quietUntil = now + QUIET_MS;
  }
}
