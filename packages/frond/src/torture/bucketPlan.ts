// What a round of the torture with a bucket does: drawn before it begins, from the seed alone.
//
// Rule: the faults meet: a bucket that is away, slow or without answers, and an end of the process, of its disk, or of its
// belief. The time to live is short, so that a lapse and a take-over take a second and not six.

import type { Outage } from "./bucketPlace.ts";
import type { BucketFaults } from "./bucketStandIn.ts";
import type { Random } from "./random.ts";

const ENDS = { kill: 44, "kill in start": 10, stop: 12, hold: 16, "kill in outage": 10, power: 8 };
const DISKS = { same: 50, new: 35, old: 15 };
const FAULTS = { none: 40, latency: 16, unsure: 12, busy: 8, lost: 8, late: 8, slow: 4, gone: 4 };

/**
 * How a round ends. `hold`: the machine sleeps until somebody else has taken over, and then goes on; `kill in outage`: an
 * outage goes on when the process is killed; `power`: what was not synced is lost with the process.
 */
export type BucketEnd = keyof typeof ENDS;
/** The disk of the next round: the one of this round, an empty one, or one of an earlier round. */
export type NextDisk = keyof typeof DISKS;
export type BucketTrouble = keyof typeof FAULTS;

/** One round. */
export interface BucketRound {
  readonly end: BucketEnd;
  readonly next: NextDisk;
  readonly trouble: BucketTrouble;
  readonly faults: BucketFaults | undefined;
  readonly ttlMs: number;
  /** Packs, checkpoints and clean-ups all the time, and how far back the bucket goes then, in ms. */
  readonly hastyMs: number | undefined;
  /** Time of work before the end, in ms, the absence of the bucket not counted. */
  readonly workMs: number;
  /** In the middle of the work, or at its end: what goes away, or is full, and for how long, in ms. */
  readonly outage: { readonly what: Outage; readonly ms: number } | undefined;
  /** The outage in which the process is killed goes on while the next one starts. */
  readonly outlasts: boolean;
  /** The log stands on a disk that forgets what was not synced; and how many of its events after the work began it goes. */
  readonly power: boolean;
  readonly dieAt: number | undefined;
  /** Nobody waits for the bucket: segments close when they are old enough, and not before. */
  readonly quiet: boolean;
  readonly heavy: boolean;
  /** Share of the calls that are raised to `bucket`. */
  readonly raised: number;
  readonly logFileBytes: number;
  /** Log files stay on the disk up to so many bytes, once they are in the bucket; undefined: the default. */
  readonly localLogBytes: number | undefined;
  readonly maxOpenCells: number;
}

/** Time to live of a run's lease, in ms; longer where half of all requests fail, or each takes up to two seconds. */
const TTL_MS = 900;
const TTLS_MS: Partial<Record<BucketTrouble, number>> = { unsure: 2_700, slow: 9_000 };

/** Draws a round. `workMs`: the longest time of work; `outages`: what can happen where it is made. */
export function planBucketRound(random: Random, workMs: number, outages: readonly Outage[]): BucketRound {
  const end = random.weighted(ENDS);
  const trouble = random.weighted(FAULTS);
  const slow = trouble === "slow";
  const from = slow || trouble === "gone" || trouble === "unsure" || random.chance(0.5) ? "order" : "start";
  const plan = PLANS[trouble];
  const ttlMs = TTLS_MS[trouble] ?? TTL_MS;
  const quiet = random.chance(0.25);
  const absent = end === "stop" || end === "hold" || slow ? 0.1 : 0.25;
  // One of which hardly a request is answered is away already: nobody can ask that it be served again behind it.
  const isOut = end === "kill in outage" || (!slow && trouble !== "gone" && random.chance(absent));
  return {
    end,
    trouble,
    next: end === "hold" ? "new" : random.weighted(DISKS),
    faults: plan && { ...plan, from },
    ttlMs,
    hastyMs: random.chance(0.6) ? random.between(1_000, 6_000) : undefined,
    workMs: slow ? random.between(2_000, 8_000) : random.between(1, random.pick([1, 1, 3]) * workMs),
    outage: isOut ? { what: random.pick(outages), ms: random.between(ttlMs / 2, ttlMs * 3) } : undefined,
    outlasts: random.chance(0.5),
    power: end === "power" || random.chance(0.1),
    dieAt: end === "power" ? random.between(1, random.pick([20, 200, 1500])) : undefined,
    quiet,
    heavy: random.chance(0.15),
    raised: quiet ? 0 : random.pick([0, 0.1, 0.3]),
    logFileBytes: random.pick([96, 256, 1024]) * 1024,
    localLogBytes: random.pick([undefined, 300 * 1024]),
    maxOpenCells: random.pick([8, 24, 1000]),
  };
}

const PLANS: Readonly<Record<BucketTrouble, Omit<BucketFaults, "from"> | undefined>> = {
  none: undefined,
  latency: { plan: { latencyMs: [20, 200] } },
  /** Half of all answers say nothing. */
  unsure: { plan: { latencyMs: [0, 30], lost: 0.15, late: 0.15, busy: 0.2 } },
  busy: { plan: { busy: 0.2 } },
  lost: { plan: {}, firstCreates: "lost" },
  late: { plan: { lateMs: [5, 800] }, firstCreates: "late" },
  slow: { plan: { latencyMs: [1_500, 2_000] } },
  /** Nearly nothing is answered: as good as away. */
  gone: { plan: { busy: 0.95 } },
};
