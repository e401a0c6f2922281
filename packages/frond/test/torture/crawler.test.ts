// A crawler asks for three thousand names that nobody ever wrote to, and leaves nothing: no cell, no file, no row of the
// catalog, no record of the log.

import fs from "node:fs";
import path from "node:path";
import { DatabaseSync } from "node:sqlite";
import { expect, test } from "vitest";
import { listLogFiles } from "../../src/log/files.ts";
import { openIn, temporaryDirectory } from "../cell/nodes.ts";
import { Tally, TALLIES } from "./tallies.ts";

const VISITS = 3_000;

function filesIn(folder: string): string[] {
  const found = fs.readdirSync(folder, { recursive: true, withFileTypes: true });
  return found.filter((entry) => entry.isFile()).map((entry) => path.join(entry.parentPath, entry.name));
}

test("thousands of visits leave nothing behind", { timeout: 240_000 }, async () => {
  const directory = temporaryDirectory();
  const fetch: NonNullable<Parameters<typeof openIn>[2]>["fetch"] = async (request, { get }) =>
    Response.json(await get(Tally, new URL(request.url).pathname.slice(1)).read());
  const { node } = await openIn(directory, TALLIES, { maxOpenCells: 64, fetch });
  const visit = async (name: string): Promise<unknown> => {
    const response = await node.handle(new Request(`http://host/${name}`), { remoteAddress: "127.0.0.1" });
    return response.json();
  };
  for (let i = 0; i < VISITS; i += 50) {
    const answers = await Promise.all(Array.from({ length: 50 }, (_, j) => visit(`name-${i + j}`)));
    expect(answers).toEqual(Array(50).fill(0));
  }
  expect(node.host.openCells).toBeLessThanOrEqual(64);
  expect(node.control.status()).toMatchObject({ cells: 0 });
  expect(node.ledger.list("", 10)).toEqual([]);
  expect(node.commitLog.appended).toBe(0);
  await node.stop();

  expect(filesIn(path.join(directory, "cells"))).toEqual([]);
  expect(listLogFiles(path.join(directory, "log"))).toEqual([]);
  // The run's name, which every run has.
  expect(filesIn(path.join(directory, "log")).filter((file) => path.basename(file) !== "id")).toEqual([]);
  const catalog = new DatabaseSync(path.join(directory, "catalog.db"));
  for (const table of ["cell", "slot"])
    expect(catalog.prepare(`SELECT count(*) AS n FROM ${table}`).get()).toEqual({ n: 0 });
  catalog.close();
});

test("the same names can be written to afterwards, and those that were only read stay absent", async () => {
  const directory = temporaryDirectory();
  const opened = await openIn(directory, TALLIES, { maxOpenCells: 16 });
  for (let i = 0; i < 100; i++) await opened.get(Tally, `name-${i}`).read();
  await opened.get(Tally, "name-7").set(7);
  await opened.node.stop();
  const again = await openIn(directory, TALLIES, { boot: "another" });
  expect(again.node.ledger.list("", 10).map((entry) => entry.address)).toEqual(["tally/name-7"]);
  expect(await again.get(Tally, "name-7").read()).toBe(7);
  expect(await again.get(Tally, "name-8").read()).toBe(0);
});
