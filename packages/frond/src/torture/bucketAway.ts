// The bucket is away from a node at work for long, and comes back: nobody is answered behind the lease, and it serves again by itself.
//
// Rule: rounds of the torture with a bucket, drawn by nobody: one for each way in which the bucket can be away, each
// followed by a kill and an empty disk, so that what was acknowledged before, meanwhile and behind it is looked for in
// the bucket.

import path from "node:path";
import fs from "node:fs";
import os from "node:os";
import { type BucketTortureOptions, type BucketTortureResult, tortureBucket } from "./bucket.ts";
import { ABSENCES, FolderPlace } from "./bucketPlace.ts";
import type { BucketRound } from "./bucketPlan.ts";

/** The time to live of a lease as it is in real life, in ms. */
const TTL_MS = 6_000;
/** Time of work before the bucket goes; half as much behind it. In ms. */
const WORK_MS = 4_000;

/** What is asked for. */
export interface AwayOptions extends Pick<BucketTortureOptions, "seed" | "place" | "log"> {
  readonly awayMs: number;
  readonly ttlMs?: number;
  readonly workMs?: number;
}

/** See the head of the file. */
export async function tortureAway(options: AwayOptions): Promise<BucketTortureResult> {
  const { awayMs, ttlMs = TTL_MS, workMs = WORK_MS, seed, log } = options;
  const home = fs.mkdtempSync(path.join(os.tmpdir(), "frond-torture-away-"));
  const place = options.place ?? new FolderPlace(path.join(home, "store"), false);
  const ways = place.outages.filter((outage) => ABSENCES.has(outage));
  let rounds = 0;
  const change = (round: BucketRound): BucketRound => ({
    ...round,
    end: "kill",
    next: "new",
    trouble: "none",
    faults: undefined,
    hastyMs: undefined,
    outage: { what: ways[rounds++ % ways.length] as (typeof ways)[number], ms: awayMs },
    power: false,
    dieAt: undefined,
    quiet: false,
    heavy: false,
    ttlMs,
    workMs,
  });
  try {
    const result = await tortureBucket({ rounds: ways.length, seed, place, change, ...(log && { log }) });
    if (result.overloaded > 0) return result;
    return { ...result, violations: [...result.violations, "nobody was answered with OVERLOADED behind the lease"] };
  } finally {
    fs.rmSync(home, { recursive: true, force: true });
  }
}
