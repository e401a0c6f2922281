// A short slice of `npm run torture -- --what alarms`, and three builds that it catches.

import { describe, expect, test } from "vitest";
import { tortureAlarms } from "../../src/torture/alarms.ts";
import type { AlarmBreakage } from "../../src/torture/alarmsEntry.ts";

describe("alarms survive kills", () => {
  test(
    "each fires at least once, none before its time, synchronous ones exactly once",
    { timeout: 120_000 },
    async () => {
      const result = await tortureAlarms({ rounds: 7, seed: 11 });
      expect(result.violations).toEqual([]);
      expect(result.armed).toBeGreaterThan(30);
      expect(result.cancelled).toBeGreaterThan(0);
      expect(result.fired).toBeGreaterThan(20);
    },
  );

  test.each<[string, AlarmBreakage]>([
    ["whose clock goes ahead", "clock-ahead"],
    ["that does not look into the index", "no-index"],
    ["that does not hear what is armed", "no-news"],
  ])("a build %s is caught", { timeout: 120_000 }, async (_, broken) => {
    const result = await tortureAlarms({ rounds: 3, seed: 12, broken });
    expect(result.violations.length).toBeGreaterThan(0);
    expect(result.violations[0]).toContain("I8");
  });
});
