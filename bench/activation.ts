// How long a sleeping cell takes to answer: its file is opened, its migrations are looked at, its instance is made.
//
// Rule: each cell is closed before it is called, by the node's own means, and the files are in the page cache of the system:
// the time is the runtime's, not the disk's. New cells, which have no file yet, stand apart.

import { setImmediate as turn } from "node:timers/promises";
import { Counter } from "./app.ts";
import { NAMES, readArguments, withNode } from "./inprocess.ts";
import { spread } from "./method.ts";
import type { Figure } from "./report.ts";

const { directory, quick } = readArguments();
const RUNS = quick ? 2 : 5;
const NEW_CELLS = quick ? 50 : 1000;

async function microseconds(count: number, call: (i: number) => Promise<unknown>): Promise<number> {
  let ms = 0;
  for (let i = 0; i < count; i++) {
    const start = performance.now();
    await call(i);
    ms += performance.now() - start;
    if (i % 20 === 0) await turn();
  }
  return (ms * 1000) / count;
}

const times = await withNode(
  directory,
  "memory",
  async ({ get }) => {
    const fresh: number[] = [];
    const again: number[] = [];
    for (let run = 0; run < RUNS; run++) {
      fresh.push(await microseconds(NEW_CELLS, (i) => get(Counter, `new-${run}-${i}`).incr()));
      // In turn over many more names than may be open: each has been closed since it was last called.
      again.push(await microseconds(NAMES.length, (i) => get(Counter, NAMES[i] as string).read()));
    }
    return { fresh, again };
  },
  { maxOpenCells: 16, mostOpenCells: 64 },
);

const figures: Figure[] = [
  { title: "first call of a sleeping cell (a read)", unit: "us", value: spread(times.again), runs: RUNS },
  { title: "first call of a new cell (a write)", unit: "us", value: spread(times.fresh), runs: RUNS },
];
console.log(JSON.stringify(figures));
