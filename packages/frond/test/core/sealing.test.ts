// Ending a log: where the seal goes for each listing, and when a seal is void. Void ones need several machines that stand
// still at the wrong moments, which chance meets too rarely in bucketWorld.test.ts.

import { describe, expect, test } from "vitest";
import { Sealing, type SealingEvent, type SealingStep } from "../../src/core/sealing.ts";
import type { Lsn, Seq } from "../../src/types.ts";

const seq = (n: number): Seq => n as Seq;
const listing = (base: number, ...numbers: number[]): SealingEvent => ({
  saw: "listing",
  listing: { base: seq(base), numbers: numbers.map(seq) },
});
const segment = { is: "segment", from: 0 as Lsn, to: 1 as Lsn } as const;
const base = (n: number): SealingEvent => ({ saw: "base", base: seq(n) });

function tell(sealing: Sealing, ...events: SealingEvent[]): SealingStep {
  let step = sealing.isOpen ? ({ do: "list" } as SealingStep) : undefined;
  for (const event of events) step = sealing.on(event);
  return step as SealingStep;
}
function begun(): Sealing {
  const sealing = new Sealing();
  expect(sealing.start()).toEqual({ do: "list" });
  return sealing;
}

describe("sealing", () => {
  test("an empty log at its first number", () => {
    const sealing = begun();
    expect(tell(sealing, listing(1))).toEqual({ do: "create", seq: 1 });
    expect(tell(sealing, { saw: "created" })).toEqual({ do: "read base" });
    expect(tell(sealing, base(1))).toEqual({ do: "sealed", seal: 1 });
    expect(sealing.isOpen).toBe(false);
  });

  test("at the first missing number, not behind the highest one", () => {
    const sealing = begun();
    expect(tell(sealing, listing(2, 1, 2, 3, 5))).toEqual({ do: "read", seq: 3 });
    expect(tell(sealing, { saw: "object", found: segment })).toEqual({ do: "create", seq: 4 });
  });

  test("at the base, when clean-up left nothing above it", () => {
    expect(tell(begun(), listing(7))).toEqual({ do: "create", seq: 7 });
  });

  test("not a second time: the last number is the seal", () => {
    const found: SealingEvent = { saw: "object", found: { is: "seal" } };
    expect(tell(begun(), listing(1, 1, 2, 3), found, base(3))).toEqual({ do: "sealed", seal: 3 });
  });

  test("at the next number, when the run was faster", () => {
    const sealing = begun();
    const faster = tell(sealing, listing(1), { saw: "exists" }, { saw: "other", found: segment });
    expect(faster).toEqual({ do: "create", seq: 2 });
    expect(tell(sealing, { saw: "unknown" }, { saw: "ours" }, base(1))).toEqual({ do: "sealed", seal: 2 });
  });

  test("where somebody else did", () => {
    const step = tell(begun(), listing(1), { saw: "exists" }, { saw: "other", found: { is: "seal" } }, base(1));
    expect(step).toEqual({ do: "sealed", seal: 1 });
  });

  test.for([
    ["created", [{ saw: "created" }, base(6)]],
    ["somebody else's", [{ saw: "exists" }, { saw: "other", found: { is: "seal" } }, base(6)]],
    ["gone", [{ saw: "exists" }, { saw: "absent" }]],
  ] as [string, SealingEvent[]][])("anew, when a seal that was %s stands below the base", ([, events]) => {
    const sealing = begun();
    expect(tell(sealing, listing(1), ...events)).toEqual({ do: "pause", tries: 1 });
    expect(tell(sealing, { saw: "waited" })).toEqual({ do: "list" });
    expect(tell(sealing, listing(6, 6))).toEqual({ do: "read", seq: 6 });
  });

  test("anew, when the last number is gone, or was a seal below the base", () => {
    expect(tell(begun(), listing(1, 1), { saw: "absent" })).toMatchObject({ do: "pause" });
    expect(tell(begun(), listing(1, 1), { saw: "object", found: { is: "seal" } }, base(4))).toMatchObject({
      do: "pause",
    });
  });

  test("tries again what could not be read", () => {
    const sealing = begun();
    expect(tell(sealing, { saw: "failed" })).toEqual({ do: "pause", tries: 1 });
    expect(tell(sealing, { saw: "waited" })).toEqual({ do: "list" });
    expect(tell(sealing, listing(1, 1), { saw: "failed" })).toEqual({ do: "pause", tries: 2 });
    expect(tell(sealing, { saw: "waited" })).toEqual({ do: "read", seq: 1 });
    tell(sealing, { saw: "object", found: segment }, { saw: "created" }, { saw: "failed" });
    expect(tell(sealing, { saw: "waited" })).toEqual({ do: "read base" });
  });

  test("stops before what cannot be there", () => {
    expect(tell(begun(), listing(1, 1), { saw: "object", found: { is: "damaged" } })).toMatchObject({
      do: "stop",
      seq: 1,
    });
    const step = tell(begun(), listing(1), { saw: "exists" }, { saw: "other", found: { is: "damaged" } });
    expect(step).toMatchObject({ do: "stop", seq: 1 });
  });
});
