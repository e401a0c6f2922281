// A short slice of `npm run torture -- --what bucket`, and the proof that its harness sees what it is there to see: builds that
// are broken, each in one rule of the bucket, are caught within a bounded number of rounds.

import { describe, expect, test } from "vitest";
import type { Breakage } from "../../src/torture/breakage.ts";
import { tortureBucket } from "../../src/torture/bucket.ts";
import type { BucketRound } from "../../src/torture/bucketPlan.ts";
import { S3Place } from "../../src/torture/bucketS3.ts";
import { canMakeSmallDisks } from "../../src/torture/smallDisk.ts";
import { need } from "../../../../test-support/need.ts";
import { sharedRadosgw } from "../bucket/radosgwShared.ts";

const LONGEST_MS = 300_000;

/** With the seed of a failure in its message, and what the rounds said. */
async function rounds(options: Parameters<typeof tortureBucket>[0]) {
  const lines: string[] = [];
  const result = await tortureBucket({ ...options, log: (line) => lines.push(line) });
  return { ...result, text: `seed ${options.seed}\n${lines.join("\n")}` };
}

const quick = (round: BucketRound): boolean => round.trouble !== "slow" && round.end !== "kill in start";
const calm = (round: BucketRound): boolean => round.trouble === "none" && round.outage === undefined;

describe("every promise is kept, whatever becomes of the disk", () => {
  test("by a node whose bucket answers", { timeout: LONGEST_MS }, async () => {
    const only = (round: BucketRound): boolean => quick(round) && calm(round);
    const result = await rounds({ rounds: 5, seed: 11, workMs: 500, only });
    expect(result.violations, result.text).toEqual([]);
    for (const count of Object.values(result.acknowledged)) expect(count).toBeGreaterThan(0);
    expect(result.losses.some(({ fault }) => fault === "disk-lost")).toBe(true);
    expect(result.losses.filter(({ level }) => level === "bucket")).toEqual([]);
  });

  test("by a node whose bucket goes away, fails and does not say what it did", { timeout: LONGEST_MS }, async () => {
    const wild = (round: BucketRound): boolean => quick(round) && !calm(round) && round.outage?.what !== "full disk";
    const result = await rounds({ rounds: 3, seed: 13, workMs: 600, only: wild });
    expect(result.violations, result.text).toEqual([]);
    expect(result.acknowledged.bucket).toBeGreaterThan(0);
  });

  test("by a node whose disk forgets what was not synced", { timeout: LONGEST_MS }, async () => {
    const only = (round: BucketRound): boolean => quick(round) && calm(round) && round.end === "power";
    const result = await rounds({ rounds: 3, seed: 17, workMs: 500, only });
    expect(result.violations, result.text).toEqual([]);
    expect(result.acknowledged.disk).toBeGreaterThan(0);
  });

  test.skipIf(!canMakeSmallDisks())(
    "by a node whose disk is full, and one whose bucket is",
    { timeout: LONGEST_MS },
    async () => {
      const full = ({ outage }: BucketRound): boolean => outage?.what.startsWith("full") === true;
      const only = (round: BucketRound): boolean => quick(round) && full(round) && round.trouble === "none";
      const result = await rounds({ rounds: 4, seed: 19, workMs: 300, only });
      expect(result.violations, result.text).toEqual([]);
      for (const what of ["full disk", "full bucket"]) expect(result.ends[what], result.text).toBeGreaterThan(0);
    },
  );

  test.skipIf(need("radosgw") === undefined)(
    "by a node whose bucket is a real object store, from which it is cut off",
    { timeout: LONGEST_MS },
    async () => {
      const place = await S3Place.make(await sharedRadosgw());
      const only = (round: BucketRound): boolean =>
        round.end === "kill" && round.outage !== undefined && !round.quiet && /none|lost/.test(round.trouble);
      const result = await rounds({ rounds: 2, seed: 23, workMs: 300, place, only });
      expect(result.violations, result.text).toEqual([]);
      expect(result.acknowledged.bucket).toBeGreaterThan(0);
    },
  );
});

describe("a broken build is caught", () => {
  const lost = (round: BucketRound): boolean => round.end === "kill" && round.next !== "same" && round.workMs > 400;
  // Something is uploaded before the end, and what was uploaded stays to be looked at.
  const isLong = ({ workMs, hastyMs, quiet }: BucketRound): boolean => workMs > 700 && hastyMs === undefined && !quiet;
  interface Caught {
    readonly broken: Breakage;
    readonly only: (round: BucketRound) => boolean;
    readonly change?: (round: BucketRound) => BucketRound;
    readonly finding: RegExp;
  }

  async function meets({ finding, ...options }: Caught): Promise<void> {
    const result = await rounds({ rounds: 20, seed: 1, workMs: 900, ...options });
    expect(result.violations.join("\n"), result.text).toMatch(finding);
  }

  test("that acknowledges before the answer to the upload", { timeout: LONGEST_MS }, () =>
    meets({
      broken: "early-bucket",
      only: (round) => lost(round) && round.outage === undefined && round.trouble === "latency" && !round.quiet,
      change: (round) => ({
        ...round,
        next: "new",
        ttlMs: 2_700,
        faults: { plan: { latencyMs: [400, 700] }, from: "order" },
      }),
      finding: /I2: .* at bucket and is gone after a disk-lost/,
    }),
  );

  test("that trusts its own files when another node has owned their slots", { timeout: LONGEST_MS }, () => {
    let made = 0;
    return meets({
      broken: "trusted-files",
      only: (round) => lost(round) && calm(round) && round.hastyMs === undefined,
      change: (round) => ({ ...round, next: made++ === 0 ? "new" : "old" }),
      finding: /I2: .* is gone|I5: |CELL_DAMAGED/,
    });
  });

  test("that goes on answering when its lease has lapsed", { timeout: LONGEST_MS }, () =>
    meets({
      broken: "serving-after-lapse",
      only: (round) => round.end === "hold" && calm(round),
      finding: /I9: .* by a node of which another had taken over/,
    }),
  );

  test("that gives positions of a lost tail again", { timeout: LONGEST_MS }, () =>
    meets({
      broken: "reused-positions",
      only: (round) => lost(round) && round.next === "new" && calm(round) && isLong(round),
      finding: /I3: /,
    }),
  );

  test("that uploads a segment when it is full, and not before", { timeout: LONGEST_MS }, () =>
    meets({
      broken: "late-flush",
      only: (round) => lost(round) && round.next === "new" && calm(round) && round.quiet && round.workMs > 2_500,
      finding: /was lost \d+ ms after it was acknowledged; [12]\d{3} are allowed/,
    }),
  );
});
