// What a round of the torture does: drawn before it begins, from the seed alone.
//
// Rule: the sizes are small on purpose. Log files that are full in a moment and few open cells make rotation, the catalog's
// flush and reopening happen all the time; a quarter of the rounds writes so much to few cells that their WALs are
// checkpointed.

import type { Breakage } from "./breakage.ts";
import type { EntryConfig } from "./entry.ts";
import type { Random } from "./random.ts";

const KILL_ENDS = { kill: 60, "kill in start": 14, "kill in check": 8, "kill in stop": 8, stop: 10 };
// A kill on the disk that loses power leaves files of cells that are far ahead of the log, on the same boot.
const POWER_ENDS = { power: 56, "kill in start": 8, "kill in check": 6, kill: 20, stop: 10 };

/** How a round ends. */
export type EndKind = keyof typeof KILL_ENDS | keyof typeof POWER_ENDS;

/** Which faults a run of the torture may meet. */
export type FaultKind = "kill" | "power" | "both";

/** One round. */
export interface RoundPlan {
  readonly end: EndKind;
  readonly config: EntryConfig;
  /** Time of work, in ms; a loss of power may come earlier. */
  readonly workMs: number;
  /** Large values to few cells. */
  readonly heavy: boolean;
}

/** What is the same in all rounds, or the harness's to decide. */
export interface PlanInput {
  readonly directory: string;
  readonly boot: string;
  readonly fault: FaultKind;
  readonly broken: Breakage | undefined;
  /** Longest time of work, in ms. */
  readonly workMs: number;
}

/** Draws a round. */
export function planRound(random: Random, input: PlanInput): RoundPlan {
  const power = input.fault === "power" || (input.fault === "both" && random.chance(0.5));
  const end: EndKind = power ? random.weighted(POWER_ENDS) : random.weighted(KILL_ENDS);
  const config: EntryConfig = {
    directory: input.directory,
    boot: input.boot,
    logFileBytes: random.pick([96, 256, 1024]) * 1024,
    maxOpenCells: random.pick([8, 24, 1000]),
    power,
    dieAt: end === "power" ? random.between(1, random.pick([20, 200, 1500])) : undefined,
    seed: random.between(1, 2 ** 31),
    broken: input.broken,
  };
  const heavy = random.chance(0.25);
  // WALs need their time to grow.
  const workMs = heavy ? random.between(input.workMs / 2, input.workMs * 2) : random.between(1, input.workMs);
  return { end, config, workMs, heavy };
}
