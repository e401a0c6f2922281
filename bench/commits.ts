// Commits a second over all cells, without HTTP: what the commit path itself can carry in one thread.
//
// Rule: a commit counts when the caller was told, at the level it asked for; after each run the counters must add up to
// what was told. Many callers run at once, as requests do, since a caller alone would measure the latency of one sync;
// and each begins its next call in a new turn of the event loop, since requests come from there: a loop of promises alone
// would keep the log from writing.

import { setImmediate as turn } from "node:timers/promises";
import type { Durability, Get } from "frond";
import { Counter } from "./app.ts";
import { NAMES, readArguments, withNode } from "./inprocess.ts";
import { spread } from "./method.ts";
import type { Figure } from "./report.ts";

/** Callers at once. Count. */
const CALLERS = 256;

const { directory, quick } = readArguments();
const RUN_MS = quick ? 300 : 3000;
const RUNS = quick ? 2 : 5;

/** One run: commits per second. `told` is how many increments the cells had acknowledged before, and is kept up. */
async function oneRun(get: Get, book: { told: number }): Promise<number> {
  const before = book.told;
  const start = performance.now();
  const caller = async (): Promise<void> => {
    while (performance.now() - start < RUN_MS) {
      await get(Counter, NAMES[Math.floor(Math.random() * NAMES.length)] as string).incr();
      book.told++;
      await turn();
    }
  };
  await Promise.all(Array.from({ length: CALLERS }, caller));
  const seconds = (performance.now() - start) / 1000;
  const counts = await Promise.all(NAMES.map((name) => get(Counter, name).read()));
  const sum = counts.reduce((a, b) => a + b, 0);
  if (sum !== book.told) throw new Error(`the counters add up to ${sum}, but ${book.told} commits were acknowledged`);
  return (book.told - before) / seconds;
}

async function level(durability: Durability): Promise<Figure> {
  const rates = await withNode(directory, durability, async ({ get }) => {
    const book = { told: NAMES.length };
    await oneRun(get, book);
    const measured: number[] = [];
    while (measured.length < RUNS) measured.push(await oneRun(get, book));
    return measured;
  });
  const title = `commits over ${NAMES.length.toLocaleString("en-US")} cells, \`${durability}\`, ${CALLERS} callers`;
  return { title, unit: "commits/s", value: spread(rates), runs: RUNS };
}

console.log(JSON.stringify([await level("memory"), await level("disk")]));
