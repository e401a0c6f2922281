// A node of frond inside the bench's own process, for what is measured without HTTP.
//
// Rule: the calls go through the runtime as the code of an app makes them: `get` as `start` gets it, where an answer
// resolves when it is as durable as was asked, or as `fetch` gets it, where the response waits and the calls do not.

import { mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { type Durability, frond, type Get } from "frond";
import { openNode } from "../packages/frond/src/server/openNode.ts";
import { Counter } from "./app.ts";
import { CELLS } from "./counters.ts";

/** What a bench inside the process is started with: `node SCRIPT.ts DIRECTORY [--quick]`. */
export interface Arguments {
  readonly directory: string;
  readonly quick: boolean;
}

/** The command line of this process. Throws on anything unknown. */
export function readArguments(): Arguments {
  const { values, positionals } = parseArgs({
    options: { quick: { type: "boolean", default: false } },
    allowPositionals: true,
  });
  const [directory] = positionals;
  if (directory === undefined) throw new Error("usage: node SCRIPT.ts DIRECTORY [--quick]");
  return { directory, quick: values.quick };
}

/** The names of all cells. */
export const NAMES: readonly string[] = Array.from({ length: CELLS }, (_, cell) => `cell-${cell}`);

const quiet = { info: () => undefined, warn: console.warn, error: console.error };

/**
 * Runs `work` beside a node of its own, with every cell incremented once, and closes the node after it. Both `get`s
 * reach the same cells; `inFetch` runs its argument as the app's `fetch` would.
 */
export async function withNode<T>(
  parent: string,
  durability: Durability,
  work: (node: { get: Get; inFetch: <R>(body: (get: Get) => Promise<R>) => Promise<R> }) => Promise<T>,
  limits: { readonly maxOpenCells?: number; readonly mostOpenCells?: number } = {},
): Promise<T> {
  const directory = mkdtempSync(join(parent, "frond-bench-node-"));
  let serviceGet: Get | undefined;
  let body: (get: Get) => Promise<unknown> = () => Promise.resolve();
  let result: unknown;
  const app = frond({
    cells: { counter: Counter },
    start: ({ get }) => void (serviceGet = get),
    fetch: async (_request, { get }) => {
      result = await body(get);
      return new Response(null);
    },
  });
  const node = await openNode({ app, dataDirectory: directory, durability, log: quiet, ...limits });
  try {
    await node.startServices();
    const get = serviceGet as Get;
    await Promise.all(NAMES.map((name) => get(Counter, name).incr()));
    const inFetch = async <R>(run: (get: Get) => Promise<R>): Promise<R> => {
      body = run;
      await node.handle(new Request("http://bench/"), { remoteAddress: "127.0.0.1" });
      return result as R;
    };
    return await work({ get, inFetch });
  } finally {
    await node.stop();
    rmSync(directory, { recursive: true, force: true });
  }
}
