// A start that ends the log of the last run and is interrupted by a loss of power before the catalog knows of it.

import fs from "node:fs";
import path from "node:path";
import { expect, test } from "vitest";
import { Cell } from "../../src/index.ts";
import { listLogFiles } from "../../src/log/files.ts";
import { openCells, openIn } from "../cell/nodes.ts";

class Tally extends Cell {
  static override migrations = ["CREATE TABLE t (v INTEGER, b BLOB) STRICT"];
  add(v: number) {
    this.sql`INSERT INTO t VALUES (${v}, ${new Uint8Array(20_000)})`;
  }
  values() {
    return this.sql.all<{ v: number }>`SELECT v FROM t ORDER BY v`.map((row) => row.v);
  }
}

const cells = { tally: Tally };
const options = { logFileBytes: 64 * 1024 };

test("a log file that a start gave up is not missed by the next one, when the first was interrupted", async () => {
  const opened = await openCells(cells, options);
  const { directory } = opened;
  for (let v = 1; v <= 8; v++) await opened.get(Tally, "a").add(v);
  await opened.node.stop();
  const catalog = path.join(directory, "catalog.db");
  const before = fs.readFileSync(catalog);
  const last = listLogFiles(path.join(directory, "log")).at(-1)?.path as string;
  const log = fs.openSync(last, "r+");
  fs.writeSync(log, "damage", 8);
  fs.closeSync(log);

  const first = await openIn(directory, cells, options);
  expect(first.node.recovered.reports.map((report) => report.kind)).toEqual(["damage"]);
  const kept = await first.get(Tally, "a").values();
  expect(kept.length).toBeGreaterThan(0);
  expect(kept).toEqual([1, 2, 3, 4, 5, 6, 7, 8].slice(0, kept.length));
  await first.node.stop();

  // What the first start wrote into the catalog had not reached the disk.
  fs.writeFileSync(catalog, before);
  fs.rmSync(`${catalog}-wal`, { force: true });
  const second = await openIn(directory, cells, options);
  expect(second.node.recovered.reports.map((report) => report.kind)).toEqual(["damage"]);
  expect(await second.get(Tally, "a").values()).toEqual(kept);
});
