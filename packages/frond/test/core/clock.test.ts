// The clock of tests behaves as the machine's does, only that it is moved by hand; and the machine's can wait for months.

import { describe, expect, test, vi } from "vitest";
import { FakeClock, systemClock } from "../../src/clock.ts";

describe("the clock of a test", () => {
  test("runs what is due in its order, each at its moment, also what begins meanwhile", () => {
    const clock = new FakeClock(1_000);
    const seen: string[] = [];
    const note = (what: string) => () => void seen.push(`${what} ${clock.now()}`);
    clock.after(30, note("late"));
    clock.after(10, () => {
      note("first")();
      clock.after(10, note("second"));
      clock.after(100, note("never"));
    });
    clock.after(10, note("also"));
    clock.advance(50);
    expect(seen).toEqual(["first 1010", "also 1010", "second 1020", "late 1030"]);
    expect(clock.now()).toBe(1_050);
  });

  test("runs nothing that was cancelled, and nothing at once", () => {
    const clock = new FakeClock();
    let runs = 0;
    const cancel = clock.after(5, () => runs++);
    clock.after(0, () => runs++);
    expect(runs).toBe(0);
    cancel();
    cancel();
    clock.advance(10);
    expect(runs).toBe(1);
  });

  test("is set forwards by letting time pass, backwards without making anybody wait longer", () => {
    const clock = new FakeClock(10_000);
    const seen: number[] = [];
    clock.after(100, () => seen.push(clock.now()));
    clock.after(5_000, () => seen.push(clock.now()));
    clock.set(10_500);
    expect(seen).toEqual([10_100]);
    clock.set(1_000);
    clock.advance(4_499);
    expect(seen).toEqual([10_100]);
    clock.advance(1);
    expect(seen).toEqual([10_100, 5_500]);
  });
});

describe("the clock of the machine", () => {
  test("waits longer than setTimeout can", () => {
    vi.useFakeTimers();
    try {
      const month = 31 * 24 * 3_600_000;
      let runs = 0;
      systemClock.after(month, () => runs++);
      const cancel = systemClock.after(month, () => runs++);
      vi.advanceTimersByTime(month - 1);
      expect(runs).toBe(0);
      cancel();
      vi.advanceTimersByTime(1);
      expect(runs).toBe(1);
    } finally {
      vi.useRealTimers();
    }
  });
});
