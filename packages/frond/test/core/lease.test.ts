// The lease: what counts as a renewal and from when on, what ends it, and that nothing brings it back.

import { describe, expect, test } from "vitest";
import { type Clocks, Lease } from "../../src/core/lease.ts";

const TTL = 6_000;
const at = (monotonic: number, slept = 0, boot = slept): Clocks => ({
  monotonic,
  wall: 1e12 + monotonic + slept,
  boot: 5e5 + monotonic + boot,
});
const newLease = (): Lease => new Lease({ ttlMs: TTL, maxSyncMs: 1_000, counter: 7 });

/** A lease that was renewed at 0 and answered at 50. */
function held(): Lease {
  const lease = newLease();
  expect(lease.look(at(0), 0)).toEqual([{ do: "renew", counter: 7 }]);
  expect(lease.answered(7, "nothing", at(50))).toEqual([]);
  return lease;
}

describe("a lease", () => {
  test("is not believed before its first renewal, and from before that was sent", () => {
    const lease = newLease();
    expect(lease.believedUntil).toBe(-Infinity);
    lease.look(at(100), 100);
    expect(lease.believedUntil).toBe(-Infinity);
    lease.answered(7, "nothing", at(900));
    expect(lease.believedUntil).toBe(100 + TTL - TTL / 6);
  });

  test("is renewed every third of its TTL, with a new counter each time", () => {
    const lease = held();
    expect(lease.look(at(TTL / 3 - 1), TTL / 3)).toEqual([]);
    expect(lease.lookAt).toBe(TTL / 3);
    expect(lease.look(at(TTL / 3), TTL / 3)).toEqual([{ do: "renew", counter: 8 }]);
    // Without an answer the next one supersedes it.
    expect(lease.look(at((TTL / 3) * 2), (TTL / 3) * 2)).toEqual([{ do: "renew", counter: 9 }]);
    lease.answered(9, "nothing", at(4_100));
    expect(lease.believedUntil).toBe(4_000 + TTL - TTL / 6);
    // The answer to the older one comes later and says nothing new.
    lease.answered(8, "nothing", at(4_200));
    expect(lease.believedUntil).toBe(4_000 + TTL - TTL / 6);
  });

  test("is tried again sooner after a failure", () => {
    const lease = held();
    lease.look(at(2_000), 2_000);
    expect(lease.answered(8, "failed", at(2_100))).toEqual([]);
    expect(lease.look(at(2_100 + TTL / 12 - 1), 2_500)).toEqual([]);
    expect(lease.look(at(2_100 + TTL / 12), 2_600)).toEqual([{ do: "renew", counter: 9 }]);
    expect(lease.believedUntil).toBe(TTL - TTL / 6);
  });

  test("lapses when it was not renewed, and for ever", () => {
    const lease = held();
    lease.look(at(2_000), 2_000);
    expect(lease.look(at(4_999), 4_999)).toHaveLength(1);
    expect(lease.look(at(5_000), 5_000)).toEqual([{ do: "lapsed", why: "not renewed" }]);
    expect(lease.answered(8, "nothing", at(5_001))).toEqual([]);
    expect(lease.look(at(9_000), 9_000)).toEqual([]);
    expect([lease.believedUntil, lease.isOver]).toEqual([-Infinity, true]);
  });

  test("lapses at an answer that comes after its end, before anybody looked", () => {
    const lease = held();
    lease.look(at(2_000), 2_000);
    expect(lease.answered(8, "nothing", at(5_000))).toEqual([{ do: "lapsed", why: "not renewed" }]);
  });

  test("ends at a seal, behind the own create too, and at one that an old renewal tells of", () => {
    const lease = held();
    lease.look(at(2_000), 2_000);
    expect(lease.answered(8, "segment", at(2_100))).toEqual([{ do: "read on", counter: 8 }]);
    expect(lease.believedUntil).toBe(TTL - TTL / 6);
    expect(lease.answered(8, "seal", at(2_150))).toEqual([{ do: "lapsed", why: "sealed" }]);
    expect(held().answered(3, "seal", at(100))).toEqual([{ do: "lapsed", why: "sealed" }]);
  });

  test("counts when two numbers in a row are the own", () => {
    const lease = held();
    lease.look(at(2_000), 2_000);
    lease.answered(8, "segment", at(2_100));
    expect(lease.answered(8, "segment", at(2_150))).toEqual([]);
    expect(lease.believedUntil).toBe(2_000 + TTL - TTL / 6);
  });

  test.for([
    ["wall clock", at(1_000, TTL / 3 + 1, 0)],
    ["boot time", at(1_000, 0, TTL / 3 + 1)],
  ] as const)("ends when the %s shows that the machine slept", ([, now]) => {
    expect(held().look(now, 1_000)).toEqual([{ do: "lapsed", why: "the machine slept" }]);
    const lease = held();
    expect(lease.answered(7, "nothing", now)).toEqual([{ do: "lapsed", why: "the machine slept" }]);
  });

  test("many short sleeps add up; a clock that is set back does not hide them", () => {
    const lease = held();
    expect(lease.look(at(500, TTL / 4), 500)).toEqual([]);
    expect(lease.look(at(900, TTL / 2), 900)).toEqual([{ do: "lapsed", why: "the machine slept" }]);
    expect(held().look(at(900, -50_000, TTL / 2), 900)).toEqual([{ do: "lapsed", why: "the machine slept" }]);
    expect(held().look(at(900, -50_000, 0), 900)).toEqual([]);
  });

  test("a sleep between sending and answer counts", () => {
    const lease = held();
    lease.look(at(2_000), 2_000);
    expect(lease.answered(8, "nothing", at(2_010, TTL))).toEqual([{ do: "lapsed", why: "the machine slept" }]);
  });

  test.for([
    ["took longer than it is worth", at(TTL - TTL / 6)],
    ["was on its way while the machine slept", at(10, TTL)],
  ] as const)("is not over before it was believed: a first renewal that %s has failed", ([, heard]) => {
    const lease = newLease();
    lease.look(at(0), 0);
    expect(lease.answered(7, "nothing", heard)).toEqual([]);
    expect([lease.believedUntil, lease.isOver]).toEqual([-Infinity, false]);
    const again = heard.monotonic + TTL / 12;
    expect(lease.look(at(again, TTL), again)).toEqual([{ do: "renew", counter: 8 }]);
    expect(lease.answered(8, "nothing", at(again + 50, TTL))).toEqual([]);
    expect(lease.believedUntil).toBe(again + TTL - TTL / 6);
  });

  test("is not renewed for a main thread that is silent, and goes on when it is back in time", () => {
    const lease = held();
    expect(lease.look(at(2_000), 900)).toEqual([]);
    expect(lease.look(at(2_000 + TTL / 12), 2_400)).toEqual([{ do: "renew", counter: 8 }]);
    const stuck = held();
    for (let now = 2_000; now < 5_000; now += 250) expect(stuck.look(at(now), 900)).toEqual([]);
    expect(stuck.look(at(5_000), 900)).toEqual([{ do: "lapsed", why: "main thread stuck" }]);
  });
});
