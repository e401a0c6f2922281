// The statistics and the order of slices, tried with scripted rates: what counts, what is flagged, who drops out.

import { describe, expect, test } from "vitest";
import { readSlice } from "./driver.ts";
import { counts, measure, median, ratio, spread, summarize } from "./method.ts";
import type { Pair, Slice } from "./method.ts";

const slice = (rate: number, p50 = 1, p99 = 2): Slice => ({ rate, p50, p99 });
const pair = (before: number, target: number, after: number): Pair => ({
  before: slice(before),
  target: slice(target),
  after: slice(after),
});

describe("statistics", () => {
  test("the median is the middle value, whatever the order", () => {
    expect(median([9, 1, 5])).toBe(5);
    expect(median([4, 1, 3, 2])).toBe(2.5);
    expect(median([7])).toBe(7);
    expect(() => median([])).toThrow(/nothing/);
  });

  test("numbers are ordered as numbers, not as text", () => {
    expect(median([100, 9, 20])).toBe(20);
  });

  test("a spread has the extremes beside the median", () => {
    expect(spread([3, 10, 2])).toEqual({ median: 3, min: 2, max: 10 });
  });

  test("a pair counts up to a difference of a tenth of the mean, in both directions", () => {
    expect(counts(pair(105, 1, 95))).toBe(true);
    expect(counts(pair(95, 1, 105))).toBe(true);
    expect(counts(pair(106, 1, 95))).toBe(false);
    expect(counts(pair(50, 1, 100))).toBe(false);
  });

  test("the ratio is to the mean of both baselines", () => {
    expect(ratio(pair(90, 50, 110))).toBe(0.5);
  });
});

describe("summaries", () => {
  test("only pairs whose baselines agree are in the figures", () => {
    const outcome = summarize([pair(100, 50, 100), pair(100, 1, 40), pair(100, 60, 100)], 2);
    expect(outcome.ratio).toEqual({ median: 0.55, min: 0.5, max: 0.6 });
    expect(outcome).toMatchObject({ counted: 2, tried: 3 });
    expect(outcome.flag).toBeUndefined();
  });

  test("too few pairs are flagged, and no pair at all shows what was had", () => {
    expect(summarize([pair(100, 50, 100)], 5).flag).toBe("only 1 of 5 pairs counted");
    const none = summarize([pair(100, 30, 50)], 5);
    expect(none.flag).toMatch(/no pair counted/);
    expect(none.ratio.median).toBe(0.4);
  });
});

describe("the order of slices", () => {
  /** Runs a plan over scripted rates; what a name has left over is repeated for ever. */
  async function run(script: Record<string, number[]>, wanted: number, tries: number) {
    const order: string[] = [];
    const measured = await measure({
      baseline: "a",
      targets: Object.keys(script).filter((name) => name !== "a"),
      wanted,
      tries,
      slice: async (name) => {
        order.push(name);
        const rates = script[name] as number[];
        const rate = (rates.length > 1 ? rates.shift() : rates[0]) as number;
        if (rate === 0) throw new Error(`${name} erred`);
        return slice(rate);
      },
    });
    return { order: order.join(""), ...measured };
  }

  test("targets take turns between baselines, and each stops when it has its pairs", async () => {
    const { order, outcomes } = await run({ a: [100], b: [50], c: [20] }, 2, 9);
    expect(order).toBe("abacabaca");
    expect(outcomes.get("b")).toMatchObject({ counted: 2, tried: 2 });
    expect(outcomes.get("c")?.ratio.median).toBe(0.2);
  });

  test("a pair over a disturbed baseline is tried again", async () => {
    const { order, outcomes } = await run({ a: [100, 50, 100, 100], b: [50] }, 1, 9);
    expect(order).toBe("abababa");
    expect(outcomes.get("b")).toMatchObject({ counted: 1, tried: 3 });
  });

  test("the number of tries is bounded", async () => {
    const { order, outcomes } = await run({ a: [100, 50, 100, 50, 100], b: [50] }, 1, 3);
    expect(order).toBe("abababa");
    expect(outcomes.get("b")).toMatchObject({ counted: 0, tried: 3 });
    expect(outcomes.get("b")?.flag).toBeDefined();
  });

  test("a target that errs drops out with its reason, and the others go on", async () => {
    const { order, outcomes, failures } = await run({ a: [100], b: [0], c: [20] }, 2, 9);
    expect(order).toBe("abacaca");
    expect(failures.get("b")).toBe("b erred");
    expect(outcomes.has("b")).toBe(false);
    expect(outcomes.get("c")?.counted).toBe(2);
  });
});

describe("what wrk printed", () => {
  const line = (more: object): string =>
    `Running\n{"requests":1000,"microseconds":500000,"writes":90,"p50":1500,"p99":9000,"socketErrors":0,"badAnswers":0}\n`.replace(
      /\{.*\}/,
      (text) => JSON.stringify({ ...(JSON.parse(text) as object), ...more }),
    );

  test("rates are per second, latencies in ms, and the book gets bounds", () => {
    expect(readSlice(line({}), false)).toEqual({ rate: 2000, p50: 1.5, p99: 9, acknowledged: 25, sent: 90 });
    expect(readSlice(line({ writes: 1030 }), true)).toMatchObject({ acknowledged: 1000, sent: 1030 });
  });

  test("a slice with errors has no figures", () => {
    expect(() => readSlice(line({ badAnswers: 1 }), false)).toThrow(/1 requests were answered with an error/);
    expect(() => readSlice(line({ socketErrors: 2 }), false)).toThrow(/2 connections failed/);
    expect(() => readSlice("unable to connect", false)).toThrow(/no result/);
  });
});
