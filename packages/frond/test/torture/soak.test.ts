// A short slice of `npm run soak`, and the proof that it sees what it is there to see: growth, and what was lost.

import fs from "node:fs";
import { describe, expect, onTestFinished, test } from "vitest";
import { type Sample, slopeBetween, slopeWithin } from "../../src/torture/flat.ts";
import { soak, type SoakOptions, type SoakResult } from "../../src/torture/soak.ts";

const LONGEST_MS = 120_000;
const SHORT = { seed: 7, rate: 200, life: 5, warmUp: 1, every: 0.5, maxFdSlope: 4000 };

async function run(options: Pick<SoakOptions, "seconds" | "maxRssSlope" | "broken">): Promise<SoakResult> {
  const result = await soak({ ...SHORT, ...options });
  if (result.directory !== undefined) {
    const { directory } = result;
    onTestFinished(() => fs.rmSync(directory, { recursive: true, force: true }));
  }
  return result;
}

describe("the soak", () => {
  // So short a time says little of memory: the caches of a young process still fill.
  test("loses nothing in lives of seconds", { timeout: LONGEST_MS }, async () => {
    const result = await run({ seconds: 7, maxRssSlope: 600 });
    expect(result.violations).toEqual([]);
    expect(result.kills).toBeGreaterThan(0);
    expect(result.acknowledged).toBeGreaterThan(100);
  });

  test("sees that memory grows", { timeout: LONGEST_MS }, async () => {
    const { violations } = await run({ seconds: 5, maxRssSlope: 100, broken: "leak" });
    expect(violations.join("\n")).toMatch(/memory grew within the lives of the node: \d+/);
  });

  test("sees that a write was lost", { timeout: LONGEST_MS }, async () => {
    const { violations } = await run({ seconds: 6, maxRssSlope: 600, broken: "forget" });
    expect(violations.join("\n")).toMatch(/was acknowledged|was read as \d+ after \d+/);
  });
});

describe("slopes", () => {
  const value = (sample: Sample): number => sample.rssMiB;
  /** Two lives of five minutes, a look every ten seconds. */
  function lives(rss: (life: number, age: number) => number): Sample[] {
    return [1, 2].flatMap((life) =>
      Array.from({ length: 30 }, (_, i) => {
        const age = i * 10;
        return { life, age, at: (life - 1) * 300 + age, rssMiB: rss(life, age), fds: 1 };
      }),
    );
  }

  test("growth within lives is seen, though each life begins where the last one did", () => {
    expect(
      slopeWithin(
        lives((_, age) => 100 + age / 10),
        value,
        60,
      ),
    ).toBeCloseTo(6);
    expect(
      slopeBetween(
        lives((_, age) => 100 + age / 10),
        value,
        60,
      ),
    ).toBeCloseTo(0);
  });

  test("growth from life to life is seen", () => {
    const samples = lives((life) => 100 + 50 * life);
    expect(slopeWithin(samples, value, 60)).toBeCloseTo(0);
    expect(slopeBetween(samples, value, 60)).toBeCloseTo(10);
  });

  test("the beginning of a life does not count, and of too little nothing is said", () => {
    const samples = lives((_, age) => (age < 60 ? age : 60));
    expect(slopeWithin(samples, value, 60)).toBeCloseTo(0);
    expect(slopeWithin(samples.slice(0, 2), value, 0)).toBeUndefined();
    expect(slopeBetween(samples.slice(0, 30), value, 60)).toBeUndefined();
  });
});
