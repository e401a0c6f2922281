// A call with an end: its deadline, its caller's signal, and the closing of the bucket.
//
// Rule: a call ends at the first of the three, whatever its work does then; the work is told through a signal and its late
// answer is dropped. What it did by then is not undone.
// Rejected: AbortSignal.any with a signal that lives as long as the bucket (every call would stay registered in it until
// memory is reclaimed).

import { systemClock, type Clock } from "../clock.ts";
import { FrondError } from "../errors.ts";
import { BUCKET_DEADLINE_MS } from "../limits.ts";
import type { BucketCall } from "./bucket.ts";

/** What ends the calls of a bucket that was closed. */
export function closedError(url: string): FrondError {
  return new FrondError("BUCKET_FAILED", `the bucket ${url} was closed`);
}

/** Throws what ends a call before it began: its caller's reason, or the bucket's closing. */
export function checkOpen(call: BucketCall | undefined, closing: AbortSignal): void {
  call?.signal?.throwIfAborted();
  closing.throwIfAborted();
}

/**
 * Runs `run` until it ends or the call does. Rejects with the reason of the caller's signal, with that of `closing`, or with
 * BUCKET_FAILED, naming `what`, when the time of the call is over.
 */
export async function limited<T>(
  what: string,
  call: BucketCall | undefined,
  closing: AbortSignal,
  run: (signal: AbortSignal) => Promise<T>,
  clock: Clock = systemClock,
): Promise<T> {
  checkOpen(call, closing);
  const given = call?.signal;
  const deadlineMs = call?.deadlineMs ?? BUCKET_DEADLINE_MS;
  const ended = new AbortController();
  const { promise: over, reject } = Promise.withResolvers<never>();
  const end = (reason: unknown): void => {
    ended.abort(reason);
    reject(reason);
  };
  const onGiven = (): void => end(given?.reason);
  const onClosing = (): void => end(closing.reason);
  const late = `${what} did not end within ${deadlineMs} ms`;
  const cancel = clock.after(deadlineMs, () => end(new FrondError("BUCKET_FAILED", late)));
  given?.addEventListener("abort", onGiven);
  closing.addEventListener("abort", onClosing);
  try {
    return await Promise.race([run(ended.signal), over]);
  } finally {
    cancel();
    given?.removeEventListener("abort", onGiven);
    closing.removeEventListener("abort", onClosing);
  }
}

/**
 * The items of `source` until `signal` is aborted, then throws its reason, also while an item is waited for. Nothing that lives
 * as long as the source may hold on to what passed: a promise that each item raced against would hold them all.
 */
export async function* untilAborted<T>(source: AsyncIterable<T>, signal: AbortSignal): AsyncGenerator<T> {
  let giveUp: ((reason: unknown) => void) | undefined;
  const onAbort = (): void => giveUp?.(signal.reason);
  signal.addEventListener("abort", onAbort);
  const items = source[Symbol.asyncIterator]();
  let ended = false;
  try {
    for (;;) {
      signal.throwIfAborted();
      const next = await new Promise<IteratorResult<T, unknown>>((resolve, reject) => {
        giveUp = reject;
        items.next().then(resolve, reject);
      });
      if (next.done === true) {
        ended = true;
        return;
      }
      yield next.value;
    }
  } finally {
    signal.removeEventListener("abort", onAbort);
    // Not waited for: a source that hangs would hang here too.
    if (!ended) Promise.resolve(items.return?.()).catch(() => undefined);
  }
}
