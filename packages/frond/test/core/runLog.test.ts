// The log of a run in the bucket: what each event leads to. What these decisions are worth together is tried in
// bucketWorld.test.ts; here stand the cases that chance meets too rarely: a create that is void, an earlier life's segment.

import { describe, expect, test } from "vitest";
import {
  firstMissing,
  type LogListing,
  resumeBehind,
  resumeLog,
  RunLog,
  type RunLogEvent,
  type RunLogStep,
} from "../../src/core/runLog.ts";
import type { Lsn, Seq } from "../../src/types.ts";

const TTL = 6_000;
const seq = (n: number): Seq => n as Seq;
const lsn = (n: number): Lsn => n as Lsn;
const listing = (base: number, ...numbers: number[]): LogListing => ({ base: seq(base), numbers: numbers.map(seq) });

function newLog(adopted = false): RunLog {
  return new RunLog({ seq: seq(5), lsn: lsn(100), ttlMs: TTL, adopted });
}

/** The last step after these events, each at `now` with a lease that is believed. */
function tell(log: RunLog, events: readonly RunLogEvent[], now = 10, believed = true): RunLogStep {
  let step: RunLogStep | undefined;
  for (const event of events) step = log.on(event, { now, believed });
  return step as RunLogStep;
}
const segment = (from: number, to: number): RunLogEvent => ({
  saw: "other",
  found: { is: "segment", from: lsn(from), to: lsn(to) },
});
const seal: RunLogEvent = { saw: "other", found: { is: "seal" } };
const base = (n: number): RunLogEvent => ({ saw: "base", base: seq(n) });

describe("a segment", () => {
  test("that is created is confirmed, and the next number follows", () => {
    const log = newLog();
    expect(log.append(lsn(100), lsn(150), 0)).toEqual({ do: "create", seq: 5, what: "segment" });
    expect(tell(log, [{ saw: "created" }])).toEqual({ do: "rest", uploaded: 150, confirmed: 150 });
    expect(log.append(lsn(150), lsn(160), 20)).toEqual({ do: "create", seq: 6, what: "segment" });
  });

  test("is the only one that is open", () => {
    const log = newLog();
    log.append(lsn(100), lsn(150), 0);
    expect(() => log.append(lsn(100), lsn(150), 0)).toThrow("one create");
    expect(() => newLog().append(lsn(90), lsn(150), 0)).toThrow("continues");
  });

  test("is confirmed by a second attempt only where clean-up has not passed", () => {
    const again: RunLogEvent[] = [{ saw: "unknown" }, { saw: "absent" }, { saw: "waited" }, { saw: "created" }];
    const log = newLog();
    log.append(lsn(100), lsn(150), 0);
    expect(tell(log, again)).toEqual({ do: "read base" });
    expect(tell(log, [{ saw: "failed" }])).toEqual({ do: "pause", tries: 1 });
    expect(tell(log, [{ saw: "waited" }])).toEqual({ do: "read base" });
    expect(log.confirmed).toBe(100);
    expect(tell(log, [base(5)])).toEqual({ do: "rest", uploaded: 150, confirmed: 150 });

    const late = newLog();
    late.append(lsn(100), lsn(150), 0);
    expect(tell(late, [...again, base(6)])).toEqual({ do: "ended", seal: undefined, ours: false });
    expect(late.confirmed).toBe(100);
    expect(late.isOver).toBe(true);
  });

  test("whose first answer took longer than a TTL is checked too, and so is every one of a dead run's disk", () => {
    const slow = newLog();
    slow.append(lsn(100), lsn(150), 0);
    expect(tell(slow, [{ saw: "created" }], TTL + 1)).toEqual({ do: "read base" });
    const adopted = newLog(true);
    adopted.append(lsn(100), lsn(150), 0);
    expect(tell(adopted, [{ saw: "created" }])).toEqual({ do: "read base" });
    expect(tell(adopted, [base(1)])).toEqual({ do: "rest", uploaded: 150, confirmed: 100 });
  });

  test("is uploaded and not confirmed when the lease is not believed, and none after it is", () => {
    const log = newLog();
    log.append(lsn(100), lsn(150), 0);
    expect(tell(log, [{ saw: "created" }], 10, false)).toEqual({ do: "rest", uploaded: 150, confirmed: 100 });
    log.append(lsn(150), lsn(160), 20);
    expect(tell(log, [{ saw: "created" }], 30, true)).toEqual({ do: "rest", uploaded: 160, confirmed: 100 });
  });

  test("of an earlier life counts with its own range", () => {
    const log = newLog(true);
    log.append(lsn(100), lsn(150), 0);
    expect(tell(log, [{ saw: "exists" }, segment(100, 120), base(1)])).toEqual({
      do: "rest",
      uploaded: 120,
      confirmed: 100,
    });
    expect(log.append(lsn(120), lsn(150), 0)).toEqual({ do: "create", seq: 6, what: "segment" });
  });

  test.for([
    ["begins elsewhere", segment(90, 120)],
    ["is empty", segment(100, 100)],
    ["is no segment of this run", { saw: "other", found: { is: "damaged" } } as RunLogEvent],
  ] as const)("that %s stops the log", ([, found]) => {
    const log = newLog();
    log.append(lsn(100), lsn(150), 0);
    expect(tell(log, [{ saw: "exists" }, found, base(1)])).toMatchObject({ do: "stop", seq: 5 });
    expect(() => log.append(lsn(100), lsn(150), 0)).toThrow("after its end");
  });
});

describe("the end", () => {
  test("by somebody else: nothing at or beyond the seal is confirmed", () => {
    const log = newLog();
    log.append(lsn(100), lsn(150), 0);
    expect(tell(log, [{ saw: "exists" }, seal, base(1)])).toEqual({ do: "ended", seal: 5, ours: false });
    expect(log.confirmed).toBe(100);
    expect(() => log.seal(1)).toThrow("after its end");
  });

  test("by somebody else, and cleaned up since", () => {
    const log = newLog();
    log.append(lsn(100), lsn(150), 0);
    expect(tell(log, [{ saw: "exists" }, { saw: "absent" }])).toEqual({ do: "ended", seal: undefined, ours: false });
  });

  test("by the run itself", () => {
    const log = newLog();
    expect(log.seal(0)).toEqual({ do: "create", seq: 5, what: "seal" });
    expect(tell(log, [{ saw: "created" }])).toEqual({ do: "ended", seal: 5, ours: true });
  });

  test("comes behind a segment of an earlier life", () => {
    const log = newLog(true);
    log.seal(0);
    const step = tell(log, [{ saw: "exists" }, segment(100, 130), base(1)]);
    expect(step).toEqual({ do: "create", seq: 6, what: "seal" });
    expect(log.uploaded).toBe(130);
    expect(tell(log, [{ saw: "created" }, base(1)])).toEqual({ do: "ended", seal: 6, ours: true });
  });
});

describe("a disk of a dead run", () => {
  const known = { seq: seq(5), lsn: lsn(100) };

  test("the first missing number stands at or above the base", () => {
    expect(firstMissing(listing(1))).toBe(1);
    expect(firstMissing(listing(1, 1, 2, 4))).toBe(3);
    expect(firstMissing(listing(4, 1, 4))).toBe(5);
    expect(firstMissing(listing(7))).toBe(7);
  });

  test("goes on where it knows, or behind what it did not hear of", () => {
    expect(resumeLog(listing(3, 3, 4), known)).toEqual({ do: "begin", seq: 5, lsn: 100 });
    expect(resumeLog(listing(5), known)).toEqual({ do: "begin", seq: 5, lsn: 100 });
    const step = resumeLog(listing(3, 3, 4, 5, 6), known);
    expect(step).toEqual({ do: "read", seq: 6, listed: true });
    if (step.do !== "read") return;
    expect(resumeBehind(step, { is: "segment", from: lsn(120), to: lsn(140) })).toEqual({
      do: "begin",
      seq: 7,
      lsn: 140,
    });
    expect(resumeBehind(step, { is: "seal" })).toEqual({ do: "ended", seal: 6 });
    expect(resumeBehind(step, { is: "damaged" })).toMatchObject({ do: "stop", seq: 6 });
    expect(resumeBehind(step, undefined)).toEqual({ do: "list" });
  });

  test("finds a seal that came after the numbers were read", () => {
    const step = resumeLog(listing(9, 3, 4), known);
    expect(step).toEqual({ do: "read", seq: 9, listed: false });
    if (step.do !== "read") return;
    expect(resumeBehind(step, { is: "seal" })).toEqual({ do: "ended", seal: 9 });
    expect(resumeBehind(step, undefined)).toMatchObject({ do: "stop", seq: 9 });
  });

  test("says when what it uploaded is gone", () => {
    expect(resumeLog(listing(2, 2, 3), known)).toMatchObject({ do: "stop", seq: 4 });
  });
});
