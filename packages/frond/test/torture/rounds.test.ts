// A short slice of `npm run torture`, and the proof that the harness sees what it is there to see: three builds, broken
// through the seams of a node and nowhere else, are each caught within a bounded number of rounds.

import { describe, expect, test } from "vitest";
import type { Breakage } from "../../src/torture/breakage.ts";
import { torture } from "../../src/torture/torture.ts";

const LONGEST_MS = 240_000;

/** With the seed of a failure in its message, and what the rounds said. */
async function rounds(options: Parameters<typeof torture>[0]) {
  const lines: string[] = [];
  const result = await torture({ ...options, log: (line) => lines.push(line) });
  return { ...result, text: `seed ${options.seed}\n${lines.join("\n")}` };
}

describe("every promise is kept", () => {
  test("by a node that is killed", { timeout: LONGEST_MS }, async () => {
    const result = await rounds({ rounds: 6, seed: 31, fault: "kill", workMs: 400 });
    expect(result.violations, result.text).toEqual([]);
    expect(result.acknowledged).toBeGreaterThan(0);
    expect(Object.keys(result.ends).length).toBeGreaterThan(2);
  });

  test("by a node that loses power, its files broken on purpose", { timeout: LONGEST_MS }, async () => {
    const result = await rounds({ rounds: 6, seed: 36, fault: "power", workMs: 400 });
    expect(result.violations, result.text).toEqual([]);
    expect(result.acknowledged).toBeGreaterThan(0);
    expect(result.vandalised).toBeGreaterThan(20);
    expect(result.logFiles).toBeGreaterThan(3);
  });
});

describe("a broken build is caught", () => {
  test.each<[string, Breakage, "kill" | "power"]>([
    ["that has no output gate", "no-gate", "power"],
    ["that acknowledges before the write", "ack-before-write", "kill"],
    ["that acknowledges before the sync", "ack-before-sync", "power"],
  ])("%s", { timeout: LONGEST_MS }, async (_title, broken, fault) => {
    const result = await rounds({ rounds: 40, seed: 1, fault, broken, workMs: 300 });
    expect(result.violations.join("\n"), result.text).toMatch(
      /I2: .* was acknowledged|behind it had been acknowledged|after it was settled/,
    );
  });
});
