// A bucket whose every call ends a turn of the event loop.
//
// Rule: a store that answers at once (a directory, read and written synchronously) must not keep its thread from its timers: a
// long row of calls would otherwise be one row of microtasks, in which no lease is renewed. What the calls do is the same.

import type { Bucket } from "./bucket.ts";

/** Wraps `inner`; closing it closes `inner`. */
export function inTurns(inner: Bucket): Bucket {
  const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
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
