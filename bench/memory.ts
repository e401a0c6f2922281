// What an open cell costs while nothing happens in it, and what a sleeping one costs: memory of the process per cell.
//
// Rule: cells are opened in steps, and the figure is the slope between steps, so what the node itself takes is not in it.
// The garbage of opening is collected before each look. Sleeping cells are counted where all but a few are closed.

import { setTimeout as sleep } from "node:timers/promises";
import { Counter } from "./app.ts";
import { readArguments, withNode } from "./inprocess.ts";
import { spread } from "./method.ts";
import type { Figure } from "./report.ts";

const { directory, quick } = readArguments();
const STEP = quick ? 100 : 1000;
const STEPS = quick ? 2 : 3;

async function rssKiB(): Promise<number> {
  // Twice: what the first pass sets free may hold more.
  for (let i = 0; i < 3; i++) {
    globalThis.gc?.();
    await sleep(50);
  }
  return process.memoryUsage.rss() / 1024;
}

/** KiB of memory per further cell. `maxOpenCells`: those that stay open. */
async function perCell(maxOpenCells: number): Promise<number[]> {
  return withNode(
    directory,
    "memory",
    async ({ get }) => {
      const touch = async (from: number): Promise<number> => {
        for (let i = from; i < from + STEP; i++) await get(Counter, `idle-${i}`).incr();
        return rssKiB();
      };
      let before = await touch(0);
      const slopes: number[] = [];
      for (let step = 1; step <= STEPS; step++) {
        const after = await touch(step * STEP);
        slopes.push((after - before) / STEP);
        before = after;
      }
      return slopes;
    },
    { maxOpenCells, mostOpenCells: maxOpenCells + 256 },
  );
}

const figures: Figure[] = [
  { title: "memory per open idle cell", unit: "KiB", value: spread(await perCell(STEP * (STEPS + 2))), runs: STEPS },
  { title: "memory per sleeping cell", unit: "KiB", value: spread(await perCell(64)), runs: STEPS },
];
console.log(JSON.stringify(figures));
