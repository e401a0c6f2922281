// Many cells that are asked for at once on an empty disk.

import fs from "node:fs";
import path from "node:path";
import { expect, test } from "vitest";
import { Cell } from "../../src/cell/cell.ts";
import { CELLS_FETCHED_AT_ONCE } from "../../src/limits.ts";
import { openIn, temporaryDirectory } from "../cell/nodes.ts";

class Note extends Cell {
  static override migrations = ["CREATE TABLE line (id INTEGER PRIMARY KEY, text TEXT NOT NULL) STRICT"];
  add(text: string): number {
    return this.sql.one<{ id: number }>`INSERT INTO line (text) VALUES (${text}) RETURNING id`.id;
  }
  all(): string[] {
    return this.sql.all<{ text: string }>`SELECT text FROM line ORDER BY id`.map(({ text }) => text);
  }
}

const cells = { note: Note };
const names = Array.from({ length: 300 }, (_, i) => `n${i}`);

/** Files that end in `.new` and are open in this process. Count. */
function beingMade(): number {
  return fs.readdirSync("/proc/self/fd").filter((fd) => {
    try {
      return fs.readlinkSync(`/proc/self/fd/${fd}`).includes(".db.new");
    } catch {
      return false;
    }
  }).length;
}

test("cells in hundreds of slots that are asked for at once cost no lease, and few of them are made anew at a time", async () => {
  const bucket = { url: `dir:${path.join(temporaryDirectory(), "bucket")}` };
  const first = await openIn(temporaryDirectory(), cells, { bucket, ttlMs: 3000 });
  await Promise.all(names.map((name) => first.get(Note, name).add(name)));
  expect(first.lines.filter((line) => line.includes("lapsed"))).toEqual([]);
  await first.node.stop();

  const { get, lines } = await openIn(temporaryDirectory(), cells, { bucket, ttlMs: 3000 });
  let most = 0;
  const looking = setInterval(() => (most = Math.max(most, beingMade())), 1);
  const found = await Promise.all(names.map((name) => get(Note, name).all()));
  clearInterval(looking);
  expect(found).toEqual(names.map((name) => [name]));
  expect(most).toBeLessThanOrEqual(CELLS_FETCHED_AT_ONCE);
  expect(lines.filter((line) => line.includes("lapsed"))).toEqual([]);
});
