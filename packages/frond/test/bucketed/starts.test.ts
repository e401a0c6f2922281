// Starts that come to nothing, one after the other: what they leave behind.

import fs from "node:fs";
import path from "node:path";
import { expect, test } from "vitest";
import { Cell } from "../../src/cell/cell.ts";
import { listRuns } from "../../src/log/files.ts";
import { Catalog } from "../../src/store/catalog.ts";
import { codeOf, openIn, temporaryDirectory } from "../cell/nodes.ts";

class Note extends Cell {
  static override migrations = ["CREATE TABLE line (id INTEGER PRIMARY KEY, text TEXT NOT NULL) STRICT"];
  add(text: string): number {
    return this.sql.one<{ id: number }>`INSERT INTO line (text) VALUES (${text}) RETURNING id`.id;
  }
}

const cells = { note: Note };
const TTL = 1500;

function runsOf(directory: string): { rows: number; folders: number } {
  const catalog = new Catalog(path.join(directory, "catalog.db"));
  try {
    return { rows: catalog.runs().length, folders: listRuns(path.join(directory, "log")).length };
  } finally {
    catalog.close();
  }
}

test("starts that are refused leave no run that would have to be ended", async () => {
  const folder = path.join(temporaryDirectory(), "bucket");
  const bucket = { url: `dir:${folder}` };
  const mine = await openIn(temporaryDirectory(), cells, { bucket, ttlMs: TTL });
  await mine.get(Note, "a").add("one");
  await mine.node.stop();
  const before = runsOf(mine.directory);
  const other = await openIn(temporaryDirectory(), cells, { bucket, ttlMs: TTL });
  const log = path.join(folder, "log");
  const logs = fs.readdirSync(log).length;
  for (let i = 0; i < 2; i++) {
    expect(await codeOf(openIn(mine.directory, cells, { bucket, ttlMs: TTL }))).toBe("BUCKET_IN_USE");
    expect(runsOf(mine.directory)).toEqual(before);
  }
  await other.node.stop();
  const again = await openIn(mine.directory, cells, { bucket, ttlMs: TTL });
  expect(await again.get(Note, "a").add("two")).toBe(2);
  expect(fs.readdirSync(log).length).toBe(logs + 1);
});
