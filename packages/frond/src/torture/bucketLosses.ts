// What was lost with a disk, as its level allows, and whether that was young enough.
//
// Rule: the age is from the first acknowledgement that a client heard to the moment before the fault. Where nothing else troubled
// the bucket the bound is exact but for the time that machine and harness need to come by; in trouble there is one that says only
// that uploads go on.

import type { Fault, Shown, Write } from "../core/invariants.ts";
import type { Durability } from "../types.ts";

/** A write that was acknowledged and is lost, as its level allows. */
export interface Loss {
  readonly level: Durability;
  readonly fault: Fault;
  /** From its first acknowledgement to the fault, in ms. */
  readonly ageMs: number;
  /** How much older it is than a flush interval and the longest upload, in ms; undefined in trouble. */
  readonly beyondMs: number | undefined;
}

/** In trouble, in ms. */
const OLDEST_MS = 30_000;
/**
 * Beyond an interval and an upload, in ms: until the thread of the bucket hears of a commit, wakes up when the interval is over, has read
 * and compressed a segment, and housekeeping has let it, on two cores that others use too.
 */
export const SCHEDULING_MS = 1_000;

/** What is known when a check is made. */
export interface LossFacts {
  readonly writes: readonly Write[];
  readonly shown: readonly Shown[];
  /** When each token was first heard of, and when the fault began, in ms since 1970. */
  readonly times: ReadonlyMap<string, number>;
  readonly faultAt: number;
  readonly fault: Fault;
  /** A flush interval and the longest upload before the fault, in ms; undefined: the bucket was in trouble. */
  readonly boundMs: number | undefined;
}

/** All losses of a run of the torture. */
export class Losses {
  readonly all: Loss[] = [];

  /** Counts what is lost. Returns sentences about what is lost and was too old for it. */
  count({ writes, shown, times, faultAt, fault, boundMs }: LossFacts): string[] {
    const wrong: string[] = [];
    const there = new Set(shown.flatMap((cell) => cell.rows.map((row) => row.token)));
    for (const { token, level, outcome, cell } of writes) {
      if (outcome !== "acknowledged" || there.has(token)) continue;
      const ageMs = faultAt - (times.get(token) as number);
      const beyondMs = boundMs === undefined ? undefined : ageMs - boundMs;
      this.all.push({ level, fault, ageMs, beyondMs });
      const most = boundMs === undefined ? OLDEST_MS : boundMs + SCHEDULING_MS;
      if (ageMs <= most) continue;
      wrong.push(`${token} of ${cell} at ${level} was lost ${ageMs} ms after it was acknowledged; ${most} are allowed`);
    }
    return wrong;
  }
}

/** What was lost, and how old it was; for people. */
export function lossLines(losses: readonly Loss[]): string[] {
  const groups = Map.groupBy(losses, (loss) => `lost at ${loss.level} after ${loss.fault}`);
  return [...groups].map(([name, group]) => {
    const ages = group.map(({ ageMs }) => ageMs).sort((a, b) => a - b);
    const at = (share: number): number => ages[Math.floor((ages.length - 1) * share)] as number;
    const exact = group.flatMap(({ beyondMs }) => beyondMs ?? []);
    const most = exact.length === 0 ? "" : `; without trouble ${relative(Math.max(...exact))}`;
    return `${name}: ${ages.length}, aged ${at(0.5)} ms in the median, ${at(0.9)} at 90 %, ${at(1)} at most${most}`;
  });
}

function relative(ms: number): string {
  return `${Math.abs(ms)} ms ${ms > 0 ? "older" : "younger"} than an interval and the longest upload, at most`;
}
