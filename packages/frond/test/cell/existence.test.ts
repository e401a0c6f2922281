// When a cell begins to exist: with the first commit of a verb, and not by being looked at.

import { expect, test } from "vitest";
import { Cell } from "../../src/cell/cell.ts";
import { afterKill, cellFiles, codeOf, commitsIn, failureOf, openCells, reopen } from "./nodes.ts";

class Page extends Cell {
  static override migrations = ["CREATE TABLE t (v TEXT) STRICT; INSERT INTO t VALUES ('from the migration')"];

  constructor(ctx: ConstructorParameters<typeof Cell>[0]) {
    super(ctx);
    this.sql`INSERT INTO t VALUES (${"from the constructor"})`;
  }
  rows() {
    return this.sql.all<{ v: string }>`SELECT v FROM t`.map((row) => row.v);
  }
  put(v: string) {
    this.sql`INSERT INTO t VALUES (${v})`;
  }
  change(from: string, to: string) {
    return this.sql`UPDATE t SET v = ${to} WHERE v = ${from}`.changes;
  }
  putAndThrow() {
    this.put("never");
    throw new Error("taken back");
  }
}

const cells = { page: Page };
const seed = ["from the migration", "from the constructor"];

test("looking at cells leaves nothing behind", async () => {
  const opened = await openCells(cells, { maxOpenCells: 20 });
  for (let i = 0; i < 200; i++) expect(await opened.get(Page, `crawled ${i}`).rows()).toEqual(seed);
  await failureOf(opened.get(Page, "failed").putAndThrow());
  expect(await opened.get(Page, "unchanged").change("none", "other")).toBe(0);
  // What is open has a file; what was closed again has none.
  expect(opened.node.host.openCells).toBeLessThanOrEqual(20);
  expect(cellFiles(opened.directory).filter((name) => name.endsWith(".db")).length).toBeLessThanOrEqual(20);
  expect(opened.node.control.status().cells).toBe(0);
  expect(await codeOf(opened.node.control.sql("page/failed", "SELECT 1", [], false))).toBe("CELL_MISSING");
  await opened.node.stop();
  expect(cellFiles(opened.directory)).toEqual([]);
  expect(commitsIn(opened.directory)).toEqual([]);
});

test("what migrations and the constructor wrote rides in the first record of a verb", async () => {
  const opened = await openCells(cells);
  const page = opened.get(Page, "a");
  expect(await page.rows()).toEqual(seed);
  await page.put("own");
  await opened.node.commitLog.flushed();
  const commits = commitsIn(opened.directory, "page/a");
  expect(commits).toHaveLength(1);
  expect(commits[0]?.changes).toEqual([{ what: "created", address: "page/a", value: 0 }]);
  expect(opened.node.control.cells(undefined, 10).map((cell) => cell.address)).toEqual(["page/a"]);
  // The log alone can make it anew: another boot believes no file.
  const rebuilt = await afterKill(opened, cells, { boot: "another boot" });
  expect(await rebuilt.get(Page, "a").rows()).toEqual([...seed, "own", "from the constructor"]);
});

test("a constructor's write to a cell that exists is a record of its own", async () => {
  const opened = await openCells(cells);
  await opened.get(Page, "a").put("own");
  const again = await reopen(opened, cells);
  expect(await again.get(Page, "a").rows()).toEqual([...seed, "own", "from the constructor"]);
  await again.node.commitLog.flushed();
  expect(commitsIn(again.directory, "page/a")).toHaveLength(2);
  const third = await reopen(again, cells);
  expect(await third.get(Page, "a").rows()).toHaveLength(5);
});

test("what a killed process left of a cell that never existed is not taken for the cell", async () => {
  const opened = await openCells(cells);
  await opened.get(Page, "other").put("x");
  expect(await opened.get(Page, "a").rows()).toEqual(seed);
  await opened.node.commitLog.flushed();
  const killed = await afterKill(opened, cells);
  expect(cellFiles(killed.directory).filter((name) => name.endsWith("page%2fa.db"))).toHaveLength(1);
  expect(await killed.get(Page, "a").rows()).toEqual(seed);
  expect(await killed.get(Page, "other").rows()).toEqual([...seed, "x", "from the constructor"]);
});

test("a constructor that throws refuses the call, and the next call tries again", async () => {
  let fail = true;
  class Moody extends Page {
    constructor(ctx: ConstructorParameters<typeof Cell>[0]) {
      super(ctx);
      if (fail) throw new Error("not today");
    }
  }
  const opened = await openCells({ moody: Moody });
  const failure = await failureOf(opened.get(Moody, "a").put("x"));
  expect(failure).toMatchObject({ code: "ACTIVATION_FAILED", remote: false });
  expect(failure.message).toMatch(/moody\/a: not today/);
  expect(cellFiles(opened.directory)).toEqual([]);
  fail = false;
  await opened.get(Moody, "a").put("x");
  const again = await reopen(opened, { moody: Moody });
  fail = true;
  expect(await codeOf(again.get(Moody, "a").rows())).toBe("ACTIVATION_FAILED");
  fail = false;
  // What the failed construction wrote is not there.
  expect(await again.get(Moody, "a").rows()).toEqual([...seed, "x", "from the constructor"]);
});

test("the page size is fixed when a cell begins to exist", async () => {
  class Paged extends Page {
    static override pageSize = 2048;
    size() {
      return this.sql.one`PRAGMA page_size`;
    }
  }
  class Repaged extends Paged {
    static override pageSize = 8192;
  }
  const opened = await openCells({ paged: Paged });
  await opened.get(Paged, "a").put("x");
  const again = await reopen(opened, { paged: Repaged });
  expect(await again.get(Repaged, "a").size()).toEqual({ page_size: 2048 });
  expect(await again.get(Repaged, "b").size()).toEqual({ page_size: 8192 });
  await again.get(Repaged, "a").put("y");
  await again.node.commitLog.flushed();
  const rebuilt = await afterKill(again, { paged: Repaged }, { boot: "another boot" });
  expect(await rebuilt.get(Repaged, "a").rows()).toContain("y");
});
