// Connections and cells share the descriptors of the process: whatever outsiders do, some are left.

import { expect, test } from "vitest";
import { shareDescriptors } from "../../src/server/descriptors.ts";
import { Cell } from "../../src/index.ts";
import { codeOf, openCells } from "../cell/nodes.ts";

class Waiter extends Cell {
  static override migrations = ["CREATE TABLE t (v INTEGER) STRICT"];
  async wait(until: string) {
    this.sql`INSERT INTO t VALUES (1)`;
    await waits.get(until);
    return this.count();
  }
  count() {
    return this.sql.one<{ n: number }>`SELECT count(*) AS n FROM t`.n;
  }
}

const waits = new Map<string, Promise<void>>();

test("connections and cells together never need all descriptors", () => {
  for (const limit of [256, 1024, 4096, 20_000, 65_536, 1_048_576]) {
    const shares = shareDescriptors(limit);
    expect(shares.mostCells).toBeGreaterThan(shares.openCells);
    expect(shares.connections + 3 * shares.mostCells).toBeLessThanOrEqual(limit * 0.85);
  }
});

test("when verbs run in as many cells as may be open, further cells are refused for now", async () => {
  const { promise, resolve } = Promise.withResolvers<void>();
  waits.set("end", promise);
  const { get, node } = await openCells({ waiter: Waiter }, { maxOpenCells: 16, mostOpenCells: 20 });
  for (let i = 0; i < 16; i++) await get(Waiter, `idle ${i}`).count();
  const running = Array.from({ length: 20 }, (_, i) => get(Waiter, `${i}`).wait("end"));
  expect(node.host.openCells).toBe(20);
  expect(await codeOf(get(Waiter, "20").count())).toBe("OVERLOADED");
  expect(node.host.openCells).toBe(20);
  expect(await get(Waiter, "7").count()).toBe(1);
  resolve();
  expect(await Promise.all(running)).toEqual(running.map(() => 1));
  expect(await get(Waiter, "20").count()).toBe(0);
});
