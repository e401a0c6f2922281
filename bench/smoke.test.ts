// The method end to end, tiny: the baseline and frond are started, loaded and checked as a run of the bench does it. It
// asserts that counting is right and that wrong counting is caught, never how fast anything was. The load is made by the
// bench's own client, so nothing needs to be installed.

import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { Client } from "./client.ts";
import { cellPath, prime, verify } from "./counters.ts";
import type { Driven, Workload } from "./driver.ts";
import { WORKLOADS } from "./driver.ts";
import { compare } from "./run.ts";
import { BASELINE, TARGETS } from "./targets.ts";
import type { Target } from "./targets.ts";

const CELLS = 50;
const REQUESTS = 200;
const directory = mkdtempSync(join(tmpdir(), "frond-bench-test-"));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

/** A drained load: what it acknowledged is exactly what it sent. */
async function drive(port: number, workload: Workload): Promise<Driven> {
  const client = new Client(port, 8);
  const writes = Math.round(REQUESTS * WORKLOADS[workload]);
  const start = performance.now();
  try {
    await client.each(
      Array.from({ length: REQUESTS }, (_, i) => i),
      (i) =>
        i < writes ? client.count("POST", `${cellPath(i % CELLS)}/incr`) : client.count("GET", cellPath(i % CELLS)),
    );
  } finally {
    client.close();
  }
  return { rate: REQUESTS / (performance.now() - start), p50: 1, p99: 1, acknowledged: writes, sent: writes };
}

test("the baseline and frond at both levels are compared, and every increment is accounted for", async () => {
  const names = [BASELINE, "frond-memory", "frond-disk"];
  const lines: string[] = [];
  const result = await compare({
    targets: Object.fromEntries(names.map((name) => [name, TARGETS[name] as Target])),
    baseline: BASELINE,
    settings: { seconds: 1, warmUpSeconds: 0, pairs: 1, tries: 1, workloads: ["reads90", "writes100"] },
    cells: CELLS,
    directory,
    drive,
    progress: (line) => lines.push(line),
  });
  expect(result.failures).toEqual({});
  for (const workload of ["reads90", "writes100"] as const) {
    expect(Object.keys(result.workloads[workload]?.outcomes ?? {})).toEqual(["frond-memory", "frond-disk"]);
  }
  expect(lines.filter((line) => line.includes("every increment is there"))).toHaveLength(2);
});

/** A counter server of the bench's shape that goes wrong on purpose. */
async function wrongServer(increment: (counts: Map<string, number>, name: string) => number) {
  const counts = new Map<string, number>();
  const server = createServer((request, response) => {
    const name = (request.url as string).split("/")[2] as string;
    response.end(String(request.method === "POST" ? increment(counts, name) : (counts.get(name) ?? 0)));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const close = () => new Promise((resolve) => server.close(resolve));
  return { port: (server.address() as AddressInfo).port, [Symbol.asyncDispose]: async () => void (await close()) };
}

test("a server that loses, doubles or confuses increments is caught", async () => {
  let calls = 0;
  const add = (counts: Map<string, number>, name: string, by: number): number => {
    const n = (counts.get(name) ?? 0) + by;
    counts.set(name, n);
    return n;
  };
  const right = (counts: Map<string, number>, name: string) => add(counts, name, 1);
  const loses = (counts: Map<string, number>, name: string) => add(counts, name, ++calls % 25 === 0 ? 0 : 1);
  const doubles = (counts: Map<string, number>, name: string) => add(counts, name, ++calls % 25 === 0 ? 2 : 1);
  // Only beyond what the sums can tell: the total is right and one answer is not.
  const misanswers = (counts: Map<string, number>, name: string) => add(counts, name, 1) + (++calls % 75 === 0 ? 1 : 0);
  const tried = async (increment: typeof right): Promise<string> => {
    await using server = await wrongServer(increment);
    const book = { acknowledged: 0, sent: 0 };
    await prime(server.port, book, CELLS);
    return await verify(server.port, book, CELLS).then(
      () => "right",
      (error: Error) => error.message,
    );
  };
  expect(await tried(right)).toBe("right");
  expect(await tried(loses)).toMatch(/the counters add up to 48, but 50 increments were acknowledged/);
  calls = 0;
  expect(await tried(doubles)).toMatch(/the counters add up to 52/);
  calls = 0;
  expect(await tried(misanswers)).toMatch(/its increments were answered/);
});
