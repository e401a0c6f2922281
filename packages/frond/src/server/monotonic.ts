// The monotonic clock that all threads of a process share.
//
// Rule: what one thread publishes the other compares, so both count from the same beginning. `performance.now` begins anew
// in every thread, and `process.hrtime` does not but costs more: the difference is found once.

const ORIGIN = Number(process.hrtime.bigint()) / 1e6 - performance.now();

/** In ms. It stands while the machine sleeps. */
export function monotonicMs(): number {
  return performance.now() + ORIGIN;
}
