// The clock: what time it is, and what shall run later.
//
// Rule: whatever decides by the time of day (alarms, retries, the time that a call may wait) asks a Clock that it was given,
// so that a test can let a week pass in a moment. What only measures how long something took asks `performance`.
// A timer never keeps the process alive, and waits as long as it was told, also beyond the 24.8 days of `setTimeout`.

import { assert } from "./assert.ts";

/** See the head of the file. */
export interface Clock {
  /** The time of day, in ms since 1970. It can be set back: whoever must not run early asks again when woken. */
  now(): number;
  /** Runs `run` once, `ms` from now, at least 1. Returns what cancels it. */
  after(ms: number, run: () => void): () => void;
}

/** The longest that `setTimeout` can wait, in ms: beyond it, it would not wait at all. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

/** The clock of the machine. */
export const systemClock: Clock = {
  now: () => Date.now(),
  after(ms, run) {
    let timer: NodeJS.Timeout;
    const wait = (left: number): void => {
      const part = Math.min(left, LONGEST_TIMER_MS);
      timer = setTimeout(() => (left > part ? wait(left - part) : run()), part);
      timer.unref();
    };
    wait(Math.max(1, ms));
    return () => clearTimeout(timer);
  },
};

interface FakeTimer {
  due: number;
  readonly run: () => void;
}

/** A clock that stands still until a test moves it. */
export class FakeClock implements Clock {
  #now: number;
  /** In the order in which they were made, which is that of timers for the same moment. */
  readonly #timers = new Set<FakeTimer>();

  /** `startMs`: in ms since 1970; default: the beginning of 2026 (UTC). */
  constructor(startMs: number = Date.UTC(2026, 0, 1)) {
    this.#now = startMs;
  }

  now(): number {
    return this.#now;
  }

  after(ms: number, run: () => void): () => void {
    const timer = { due: this.#now + Math.max(1, ms), run };
    this.#timers.add(timer);
    return () => void this.#timers.delete(timer);
  }

  /** When the next timer is due, in ms since 1970; undefined: there is none. */
  get nextTimer(): number | undefined {
    return this.#earliest()?.due;
  }

  /** Lets `ms` pass: what is due meanwhile runs in its order, each at its moment, also what those begin. */
  advance(ms: number): void {
    assert(ms >= 0, "time does not run backwards; to set a clock back there is set()");
    const end = this.#now + ms;
    for (;;) {
      const next = this.#earliest();
      if (next === undefined || next.due > end) break;
      this.#timers.delete(next);
      this.#now = next.due;
      next.run();
    }
    this.#now = end;
  }

  /** Goes to a time of day: forwards as `advance`; backwards as a clock that is corrected, timers wait on as they were. */
  set(ms: number): void {
    if (ms >= this.#now) return this.advance(ms - this.#now);
    for (const timer of this.#timers) timer.due -= this.#now - ms;
    this.#now = ms;
  }

  #earliest(): FakeTimer | undefined {
    let first: FakeTimer | undefined;
    for (const timer of this.#timers) if (first === undefined || timer.due < first.due) first = timer;
    return first;
  }
}
