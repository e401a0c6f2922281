// A bucket whose every call is made in a turn of the event loop of its own.
//
// Rule: a store that answers at once (a directory, read and written synchronously) must not keep its thread from its timers: a
// long row of calls would otherwise be one row of microtasks, and many rows side by side one turn, in which no lease is
// renewed. What the calls do is the same, in the order in which they were asked for.

import type { Bucket } from "./bucket.ts";

/** Wraps `inner`; closing it closes `inner`. */
export function inTurns(inner: Bucket): Bucket {
  const waiting: (() => void)[] = [];
  const next = (): void => {
    waiting.shift()?.();
    if (waiting.length > 0) setImmediate(next);
  };
  const turn = (): Promise<void> =>
    new Promise((resolve) => {
      if (waiting.push(resolve) === 1) setImmediate(next);
    });
  return {
    url: inner.url,
    create: (...call) => turn().then(() => inner.create(...call)),
    get: (...call) => turn().then(() => inner.get(...call)),
    put: (...call) => turn().then(() => inner.put(...call)),
    list: (...call) => turn().then(() => inner.list(...call)),
    delete: (...call) => turn().then(() => inner.delete(...call)),
    close: () => inner.close(),
    requests: () => inner.requests?.(),
    ...(inner.warnings && { warnings: (call) => inner.warnings?.(call) ?? Promise.resolve([]) }),
  };
}
