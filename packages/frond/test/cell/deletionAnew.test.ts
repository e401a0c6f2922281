// A cell that was deleted begins anew as any other: migrations, page size, alarms; and what a failure on the way leaves.

import fs from "node:fs";
import path from "node:path";
import { expect, test } from "vitest";
import { rootAddress } from "../../src/address.ts";
import { Cell } from "../../src/cell/cell.ts";
import type { CellContext } from "../../src/cell/context.ts";
import { FakeClock } from "../../src/clock.ts";
import { diskIo } from "../../src/log/io.ts";
import type { LogIo } from "../../src/log/io.ts";
import { afterKill, codeOf, commitsIn, openCells, openIn, reopen, temporaryDirectory, turns } from "./nodes.ts";

const turn = () => new Promise<void>((resolve) => setImmediate(resolve));

class Book extends Cell {
  put(v: string) {
    this.sql`INSERT INTO page (v) VALUES (${v})`;
  }
  all() {
    return this.sql.all<{ v: string }>`SELECT v FROM page ORDER BY rowid`.map((row) => row.v);
  }
  erase() {
    void this.ctx.storage.deleteAll();
  }
  async eraseAndGoOn() {
    await this.ctx.storage.deleteAll();
    return this.all();
  }
}

const SCHEMA = `
  CREATE TABLE parent (id INTEGER PRIMARY KEY); CREATE TABLE page (id INTEGER PRIMARY KEY AUTOINCREMENT, v TEXT,
    parent INTEGER NOT NULL DEFAULT 1 REFERENCES parent (id)) STRICT;
  INSERT INTO parent VALUES (1); INSERT INTO page (v) VALUES ('first page')`;

class Fixed extends Book {
  static override migrations = [SCHEMA, "CREATE VIRTUAL TABLE word USING fts5(v)"];
}
class Dated extends Book {
  static override migrations = [SCHEMA, "INSERT INTO page (v) VALUES (hex(randomblob(4)))"];
}

test("migrations run again in a cell that was deleted, as in a new one, with a template or without", async () => {
  const opened = await openCells({ fixed: Fixed, dated: Dated });
  const fixed = opened.get(Fixed, "a");
  const dated = opened.get(Dated, "a");
  await fixed.put("own");
  await dated.put("own");
  const [, chance] = await dated.all();
  await fixed.erase();
  expect(await fixed.all()).toEqual(["first page"]);
  const again = await dated.eraseAndGoOn();
  expect(again).toHaveLength(2);
  expect(again).not.toContain(chance);
  await fixed.put("anew");
  await dated.put("anew");
  await opened.node.commitLog.flushed();
  for (const options of [{}, { boot: "another boot" }]) {
    const other = await afterKill(opened, { fixed: Fixed, dated: Dated }, options);
    expect(await other.get(Fixed, "a").all()).toEqual(["first page", "anew"]);
    expect(await other.get(Dated, "a").all()).toEqual([...again, "anew"]);
  }
});

test("a migration that fails in a deletion leaves the cell as it was", async () => {
  class Broken extends Book {
    static override migrations = [SCHEMA];
  }
  const opened = await openCells({ book: Broken });
  await opened.get(Broken, "a").put("own");
  // What ran once on a cell with rows fails on an empty one: the class was changed by hand, its checksum was kept.
  const kind = opened.node.options.app.kindOf(Broken);
  (kind.migrations[0] as { statements: readonly string[] }).statements = [SCHEMA, "INSERT INTO nowhere VALUES (1)"];
  expect(await codeOf(opened.get(Broken, "a").erase())).toBe("MIGRATION_FAILED");
  expect(await opened.get(Broken, "a").all()).toEqual(["first page", "own"]);
  expect(commitsIn(opened.directory, rootAddress("book", "a"))).toHaveLength(1);
});

test("the page size is that of the class when the cell begins anew", async () => {
  class Small extends Fixed {}
  class Large extends Fixed {
    static override pageSize = 4096;
  }
  const opened = await openCells({ book: Small });
  await opened.get(Small, "a").put("small");
  await opened.get(Small, "a").erase();
  const second = await reopen(opened, { book: Large });
  await second.get(Large, "a").put("large");
  await second.node.host.deactivate(rootAddress("book", "a"));
  expect(await second.get(Large, "a").all()).toEqual(["first page", "large"]);
  expect(second.lines.filter((line) => line.includes("damaged"))).toEqual([]);
  const third = await reopen(second, { book: Large });
  expect(await third.get(Large, "a").all()).toEqual(["first page", "large"]);
  // A file of another size than the catalog's is taken for damaged, and made anew from the log.
  expect(third.lines.filter((line) => line.includes("damaged"))).toEqual([]);
  const { rows } = await third.node.control.sql("book/a", "PRAGMA page_size", [], false);
  expect(rows).toEqual([[4096]]);
});

class Clocked extends Fixed {
  static rang: string[] = [];
  arm(ms: number) {
    void this.ctx.storage.setAlarm(ms);
    this.schedule(new Date(ms), "ring", this.name);
  }
  armAndErase(ms: number) {
    this.arm(ms);
    this.erase();
  }
  ring(name: string) {
    Clocked.rang.push(name);
  }
  override alarm() {
    Clocked.rang.push("alarm");
    return this.ctx.storage.deleteAll();
  }
  async armed() {
    return [await this.ctx.storage.getAlarm(), this.schedules().length];
  }
}

test("a deletion takes the alarms along, and the calls that were scheduled", async () => {
  const clock = new FakeClock();
  const cells = { book: Clocked };
  const opened = await openCells(cells, { clock });
  await opened.node.startServices();
  const due = clock.now() + 60_000;
  await opened.get(Clocked, "a").arm(due);
  await opened.get(Clocked, "b").armAndErase(due);
  await opened.get(Clocked, "c").put("kept");
  await opened.get(Clocked, "c").armAndErase(due);
  expect(await opened.get(Clocked, "a").armed()).toEqual([due, 1]);
  await opened.get(Clocked, "a").erase();
  for (const name of ["a", "b", "c"]) expect(await opened.get(Clocked, name).armed()).toEqual([null, 0]);
  await opened.get(Clocked, "a").put("anew");
  clock.advance(120_000);
  await turns();
  expect(Clocked.rang).toEqual([]);
  await opened.node.commitLog.flushed();
  const killed = await afterKill(opened, cells, { clock });
  expect(killed.node.ledger.alarms({ due: 0, address: "" as never }, 10).list).toEqual([]);
});

class Planner extends Fixed {
  plan(count = 1) {
    let id = 0;
    for (let i = 0; i < count; i++) id = this.schedule({ afterMs: 60_000 }, "ring");
    return id;
  }
  cancel(id: number) {
    return this.unschedule(id);
  }
  planAndErase() {
    const id = this.plan(5);
    this.erase();
    return id;
  }
  async eraseAndPlan() {
    await this.ctx.storage.deleteAll();
    return this.plan();
  }
  planAndThrow() {
    throw Object.assign(new Error("taken back"), { id: this.plan(3) });
  }
  resetSequence() {
    this.sql`DELETE FROM sqlite_sequence`;
    return this.sql.all`SELECT * FROM sqlite_sequence`.length;
  }
  ring() {}
}

test("the id of a scheduled call never names one that was made after a deletion", async () => {
  const cells = { book: Planner };
  let opened = await openCells(cells);
  const given: number[] = [];
  const took = (id: number): void => {
    expect(id).toBeGreaterThan(Math.max(0, ...given));
    given.push(id);
  };
  const planner = () => opened.get(Planner, "a");
  took(await planner().plan(3));
  took(await planner().eraseAndPlan());
  await planner().erase();
  took(await planner().plan());
  // What was planned last in a verb that deletes was never in the log.
  took(await planner().planAndErase());
  took(await planner().plan());
  await opened.node.control.delete("book/a");
  took(await planner().plan());
  await planner().cancel(given.at(-1) as number);
  await planner().erase();
  await planner().put("without a schedule");
  await planner().erase();
  for (const lost of [undefined, "catalog.db", undefined]) {
    await opened.node.stop();
    if (lost !== undefined) fs.rmSync(path.join(opened.directory, lost));
    opened = await openIn(opened.directory, cells);
    took(await planner().plan());
    await planner().erase();
    await planner().put("anew");
  }
  await opened.node.commitLog.flushed();
  opened = await afterKill(opened, cells, { boot: "another boot" });
  took(await planner().plan());
  for (const id of given.slice(0, -1)) expect(await planner().cancel(id)).toBe(false);
  expect(await planner().cancel(given.at(-1) as number)).toBe(true);
});

test("nor one that was made after a roll-back, or after the counts of SQLite were emptied", async () => {
  const { get, node } = await openCells({ book: Planner });
  const planner = get(Planner, "a");
  const first = await planner.plan();
  const undone = (await planner.planAndThrow().catch((error: unknown) => error)) as { id: number };
  expect(undone.id).toBeGreaterThan(first);
  const second = await planner.plan();
  expect(second).toBeGreaterThan(undone.id);
  await planner.cancel(second);
  expect(await planner.resetSequence()).toBe(0);
  const third = await planner.plan();
  expect(third).toBeGreaterThan(second);
  // A table that was made before there was a row which counts.
  node.host.openCell(rootAddress("book", "a"))?.db.exec("DELETE FROM _frond_alarm WHERE id < 0");
  await planner.put("commits it");
  await node.host.deactivate(rootAddress("book", "a"));
  expect(await planner.plan()).toBeGreaterThan(third);
});

test("an alarm can delete its own cell", async () => {
  const clock = new FakeClock();
  const opened = await openCells({ book: Clocked }, { clock });
  await opened.node.startServices();
  Clocked.rang = [];
  await opened.get(Clocked, "a").arm(clock.now() + 1000);
  clock.advance(1000);
  await turns(20);
  // What was scheduled for the same moment goes with the cell.
  expect(Clocked.rang).toEqual(["alarm"]);
  expect(opened.node.ledger.count()).toBe(0);
  clock.advance(120_000);
  await turns(20);
  expect(Clocked.rang).toEqual(["alarm"]);
});

class Early extends Fixed {
  static how: "constructor" | "scope" | "none" = "none";
  constructor(ctx: CellContext) {
    super(ctx);
    if (Early.how === "constructor") void ctx.storage.deleteAll();
    if (Early.how === "scope") void ctx.blockConcurrencyWhile(() => ctx.storage.deleteAll());
  }
}

test("a constructor can delete its cell, and so can blockConcurrencyWhile", async () => {
  for (const how of ["constructor", "scope"] as const) {
    Early.how = "none";
    const opened = await openCells({ book: Early });
    await opened.get(Early, "a").put("old");
    Early.how = how;
    const again = await reopen(opened, { book: Early });
    expect(await again.get(Early, "a").all()).toEqual(["first page"]);
    expect(again.node.ledger.count()).toBe(0);
    await again.get(Early, "a").put("new");
    await again.node.commitLog.flushed();
    Early.how = "none";
    const killed = await afterKill(again, { book: Early }, { boot: "another boot" });
    expect(await killed.get(Early, "a").all()).toEqual(["first page", "new"]);
  }
});

test("a deletion that the log does not take has not happened", async () => {
  const disk = new FullDisk();
  const opened = await openIn(temporaryDirectory(), { book: Fixed }, { io: disk, logFileBytes: 64 * 1024 });
  const a = opened.get(Fixed, "a");
  await a.put("kept");
  await opened.node.commitLog.flushed();
  disk.full = true;
  let code: unknown;
  for (let i = 0; code === undefined && i < 100; i++) {
    code = await a.put("x".repeat(900)).then(
      () => undefined,
      (error: { code?: unknown }) => error.code,
    );
    await turn();
  }
  expect(code).toBe("DISK_FULL");
  const before = await a.all();
  expect(await codeOf(a.erase())).toBe("DISK_FULL");
  expect(await codeOf(a.eraseAndGoOn())).toBe("DISK_FULL");
  expect(await a.all()).toEqual(before);
  disk.full = false;
  await opened.node.commitLog.flushed();
});

/** A disk with no space for another log file while it is full. */
class FullDisk implements LogIo {
  full = false;
  readonly append = diskIo.append;
  readonly open = diskIo.open;
  readonly syncFolder = diskIo.syncFolder;
  readonly close = diskIo.close;
  async allocate(file: string, bytes: number): Promise<void> {
    if (this.full) throw noSpace();
    await diskIo.allocate(file, bytes);
  }
  allocateNow(file: string, bytes: number): void {
    if (this.full) throw noSpace();
    diskIo.allocateNow(file, bytes);
  }
}

function noSpace(): Error {
  return Object.assign(new Error("ENOSPC: no space left on device"), { code: "ENOSPC" });
}
