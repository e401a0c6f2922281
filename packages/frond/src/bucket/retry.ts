// Trying again: how long to wait, and for which failures.
//
// Rule: only what may go by itself (BUCKET_FAILED) is tried again, a few times, with pauses that double; then the failure
// itself is told, which says more than a deadline that passed. Each pause is spread over half of itself, so that those who
// failed together do not come back together.

import { setTimeout as wait } from "node:timers/promises";
import { isFrondError } from "../errors.ts";
import { BUCKET_RETRY_MAX_MS, BUCKET_RETRY_MS } from "../limits.ts";

/** The pause after attempt `attempts` (from 1), in ms, at most `longest`. `random`: from 0 up to but not including 1. */
export function pause(attempts: number, random: number, longest = BUCKET_RETRY_MAX_MS): number {
  const whole = Math.min(longest, BUCKET_RETRY_MS * 2 ** Math.min(attempts - 1, 20));
  return whole * (0.5 + random / 2);
}

/** Does `work` until it succeeds, fails for good, or has failed `tries` times. Ends with `signal`. */
export async function retried<T>(tries: number, signal: AbortSignal, work: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await work();
    } catch (error) {
      signal.throwIfAborted();
      if (attempt >= tries || !isFrondError(error, "BUCKET_FAILED")) throw error;
    }
    await wait(pause(attempt, Math.random()), undefined, { signal });
  }
}
