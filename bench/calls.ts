// What one call of a verb costs inside a node: the time between `get(...)` and its answer, one call after the other.
//
// Rule: the calls are made as `fetch` makes them, where they do not wait for the disk and the response does; so this is
// the price of the machinery plus one statement of SQLite, and of a commit for the verb that writes. The sync is not in
// it; commits.ts has it.

import { setImmediate as turn } from "node:timers/promises";
import type { Get } from "frond";
import { Counter } from "./app.ts";
import { NAMES, readArguments, withNode } from "./inprocess.ts";
import { spread } from "./method.ts";
import type { Figure } from "./report.ts";

const { directory, quick } = readArguments();
const RUNS = quick ? 2 : 5;
/** Calls of one run, in blocks between which the event loop turns, so that the log can write meanwhile. Counts. */
const CALLS = quick ? 2000 : 50_000;
const BLOCK = 500;

/** Microseconds per call; the turns of the loop between blocks are not in it. */
async function perCall(get: Get, call: (get: Get, name: string) => Promise<number>): Promise<number> {
  let ms = 0;
  for (let done = 0; done < CALLS; done += BLOCK) {
    const start = performance.now();
    for (let i = 0; i < BLOCK; i++) await call(get, NAMES[(done + i) % NAMES.length] as string);
    ms += performance.now() - start;
    await turn();
  }
  return (ms * 1000) / CALLS;
}

async function verb(title: string, call: (get: Get, name: string) => Promise<number>): Promise<Figure> {
  const times = await withNode(directory, "disk", ({ inFetch }) =>
    inFetch(async (get) => {
      await perCall(get, call);
      const measured: number[] = [];
      while (measured.length < RUNS) measured.push(await perCall(get, call));
      return measured;
    }),
  );
  return { title, unit: "us a call", value: spread(times), runs: RUNS };
}

console.log(
  JSON.stringify([
    await verb("in-node call of a verb that reads, cells in turn", (get, name) => get(Counter, name).read()),
    await verb("in-node call of a verb that writes, cells in turn", (get, name) => get(Counter, name).incr()),
  ]),
);
