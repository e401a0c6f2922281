// What a streamed answer holds when it is over: nothing.

import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { setImmediate as turn } from "node:timers/promises";
import { expect, test } from "vitest";
import { Cell } from "../../src/cell/cell.ts";
import { openCells } from "../cell/nodes.ts";

const CELLS = 120;

/** Instances that were made. */
const made: WeakRef<Streamer>[] = [];

class Streamer extends Cell {
  static override readonly migrations = ["CREATE TABLE line (n INTEGER PRIMARY KEY) STRICT"];
  constructor(...args: ConstructorParameters<typeof Cell>) {
    super(...args);
    made.push(new WeakRef(this));
  }

  override fetch(): Response {
    this.sql`INSERT INTO line DEFAULT VALUES`;
    let left = 3;
    const body = new ReadableStream<Uint8Array>({
      pull: async (controller) => {
        await turn();
        if (left-- === 0) return controller.close();
        controller.enqueue(Buffer.from(`${this.sql.one<{ n: number }>`SELECT count(*) AS n FROM line`.n}\n`));
      },
    });
    return new Response(body);
  }
}

/** A full collection of garbage. */
function collector(): () => void {
  setFlagsFromString("--expose-gc");
  return runInNewContext("gc") as () => void;
}

test("a body that has ended holds neither its cell nor others", async () => {
  const collect = collector();
  const { get } = await openCells({ streamer: Streamer }, { maxOpenCells: 4, mostOpenCells: 8 });
  // Some at a time: cells are closed for room while others are in work, and from an error to a context it is one step.
  const names = Array.from({ length: CELLS }, (_, i) => `s${i}`);
  const reader = async (): Promise<void> => {
    for (let name = names.pop(); name !== undefined; name = names.pop()) {
      const response = await get(Streamer, name).fetch(new Request("http://cell/"));
      expect(await response.text()).toBe("1\n1\n1\n");
    }
  };
  await Promise.all([reader(), reader(), reader(), reader(), reader(), reader()]);
  for (let i = 0; i < 5; i++) {
    await turn();
    collect();
  }
  expect(made.length).toBe(CELLS);
  const alive = made.filter((ref) => ref.deref() !== undefined).length;
  expect(alive).toBeLessThan(CELLS / 2);
});
