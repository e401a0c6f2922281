// The time of day of a whole process, taken from a clock that a test moves.
//
// Rule: only `Date` follows; timers run as ever, since a test that awaits something must come to it. One clock at a time has
// the process, and gives it back.

import { FrondError } from "../errors.ts";
import type { Clock } from "../clock.ts";

const RealDate = Date;
let clockInUse: Clock | undefined;

/** Makes `Date.now()` and `new Date()` follow `clock`. Returns what ends that. Throws BAD_OPTION while another one has it. */
export function useClock(clock: Clock): () => void {
  if (clockInUse !== undefined) {
    throw new FrondError(
      "BAD_OPTION",
      "another test node has a fake clock: Date can follow one; close that node first",
    );
  }
  clockInUse = clock;
  // A function and not a class: `Date()` without `new` gives a text.
  function FakeDate(...args: unknown[]): unknown {
    if (new.target === undefined) return new RealDate(clock.now()).toString();
    const given = args.length === 0 ? [clock.now()] : args;
    return Reflect.construct(RealDate, given, new.target);
  }
  FakeDate.prototype = RealDate.prototype;
  Object.assign(FakeDate, { UTC: RealDate.UTC, parse: RealDate.parse, now: () => clock.now() });
  globalThis.Date = FakeDate as unknown as DateConstructor;
  return () => {
    globalThis.Date = RealDate;
    clockInUse = undefined;
  };
}
