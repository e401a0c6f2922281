// Deleting a cell: whatever is in it goes, as one small record; before that record is durable nothing is gone.

import fs from "node:fs";
import path from "node:path";
import { expect, test } from "vitest";
import { rootAddress, slotOf } from "../../src/address.ts";
import { Cell } from "../../src/cell/cell.ts";
import { cellPath } from "../../src/store/paths.ts";
import type { Opened } from "./nodes.ts";
import {
  afterKill,
  cellFiles,
  codeOf,
  commitsIn,
  failureOf,
  isSettled,
  openCells,
  openIn,
  reopen,
  SlowDisk,
  temporaryDirectory,
  turns,
} from "./nodes.ts";

const turn = () => new Promise<void>((resolve) => setImmediate(resolve));

/** One of each kind of thing that a schema can hold, with rows that resist being deleted. */
const EVERYTHING = `
  CREATE TABLE hen (id INTEGER PRIMARY KEY, egg INTEGER NOT NULL REFERENCES egg (id) DEFERRABLE INITIALLY DEFERRED);
  CREATE TABLE egg (id INTEGER PRIMARY KEY, hen INTEGER NOT NULL REFERENCES hen (id) ON DELETE RESTRICT);
  CREATE TABLE self (id INTEGER PRIMARY KEY, parent INTEGER REFERENCES self (id));
  INSERT INTO hen VALUES (1, 1); INSERT INTO egg VALUES (1, 1); INSERT INTO self VALUES (1, NULL), (2, 1);
  CREATE TABLE pair (k TEXT PRIMARY KEY, v ANY) STRICT, WITHOUT ROWID;
  CREATE TABLE counted (id INTEGER PRIMARY KEY AUTOINCREMENT, v TEXT);
  CREATE UNIQUE INDEX by_v ON counted (lower(v)) WHERE v IS NOT NULL;
  INSERT INTO pair VALUES ('a', 1); INSERT INTO counted (v) VALUES ('one'), ('two');
  CREATE TABLE generated (v INTEGER, twice INTEGER AS (v * 2) STORED, thrice INTEGER AS (v * 3));
  INSERT INTO generated (v) VALUES (7);
  CREATE VIEW both AS SELECT hen.id AS hen, egg.id AS egg FROM hen JOIN egg ON egg.hen = hen.id;
  CREATE TRIGGER no_delete BEFORE DELETE ON counted BEGIN SELECT RAISE(ABORT, 'never'); END;
  CREATE TRIGGER through INSTEAD OF INSERT ON both BEGIN SELECT RAISE(FAIL, 'never'); END;
  CREATE VIRTUAL TABLE found USING fts5(v, content = 'counted', content_rowid = 'id');
  CREATE VIRTUAL TABLE word USING fts5vocab('found', 'row');
  CREATE VIRTUAL TABLE box USING rtree(id, x0, x1);
  INSERT INTO found (rowid, v) SELECT id, v FROM counted; INSERT INTO box VALUES (1, 0, 5);
  CREATE TABLE "odd "" name -- '" ("select" TEXT); CREATE TABLE "view"("trigger");
  ANALYZE`;

class Farm extends Cell {
  visits = 0;
  stock() {
    this.ctx.storage.sql.exec(EVERYTHING);
    this.ctx.storage.kv.put("key", "value");
  }
  put(v: string) {
    this.sql`CREATE TABLE IF NOT EXISTS note (v TEXT) STRICT`;
    this.sql`INSERT INTO note VALUES (${v})`;
  }
  notes() {
    const found = this.sql.first`SELECT 1 FROM sqlite_schema WHERE name = 'note'`;
    return found && this.sql.all<{ v: string }>`SELECT v FROM note ORDER BY rowid`.map((row) => row.v);
  }
  names() {
    return this.sql.all<{ name: string }>`SELECT name FROM sqlite_schema ORDER BY name`.map((row) => row.name);
  }
  check() {
    return this.sql.all`PRAGMA integrity_check`;
  }
  deleteAll() {
    this.visits += 1;
    void this.ctx.storage.deleteAll();
  }
  putAndDelete(then: "return" | "throw" | "put" | "swallow") {
    this.put("before");
    void this.ctx.storage.deleteAll();
    if (then === "throw") throw new Error("taken back");
    if (then === "put") this.put("after");
    try {
      if (then === "swallow") this.put("after");
    } catch (error) {
      return (error as { code?: string }).code;
    }
    return then;
  }
  async deleteAtOnce(before: string, ...after: string[]) {
    this.put(before);
    await this.ctx.storage.deleteAll();
    const names = this.names();
    for (const v of after) this.put(v);
    return names;
  }
  async deleteInside(how: "sync" | "async" | "handle") {
    this.put("stays");
    if (how === "sync") {
      return this.transaction(() => [this.ctx.storage.deleteAll()])[0];
    }
    await this.ctx.storage.transaction(async () => this.ctx.storage.deleteAll());
  }
  async waitAndPut(v: string) {
    this.put(v);
    for (let i = 0; i < 6; i++) await turn();
    this.put(`${v} again`);
    return this.notes();
  }
  grow(megabytes: number) {
    this.sql`CREATE TABLE IF NOT EXISTS blob (v BLOB)`;
    for (let i = 0; i < megabytes; i++) this.sql`INSERT INTO blob VALUES (zeroblob(${1024 * 1024}))`;
  }
  bytes() {
    return this.ctx.storage.sql.databaseSize;
  }
  seen() {
    return this.visits;
  }
}

const cells = { farm: Farm };
const address = rootAddress("farm", "a");

async function farm(options = {}) {
  const opened = await openCells(cells, options);
  return { ...opened, a: opened.get(Farm, "a") };
}

const fileOf = ({ directory }: Opened): string => cellPath(path.join(directory, "cells"), slotOf(address), address);
const listed = ({ node }: Opened): string[] => node.control.cells(undefined, 10).map((cell) => cell.address);

test("deleteAll leaves nothing of whatever the schema holds", async () => {
  const { a, ...opened } = await farm();
  await a.stock();
  expect((await a.names()).length).toBeGreaterThan(20);
  await a.deleteAll();
  expect(await a.names()).toEqual([]);
  expect(await a.check()).toEqual([{ integrity_check: "ok" }]);
  // All of it can be made again, and is whole in the file and in the log.
  await a.stock();
  const names = await a.names();
  await a.put("new");
  await opened.node.commitLog.flushed();
  const killed = await afterKill(opened, cells);
  const rebuilt = await afterKill(opened, cells, { boot: "another boot" });
  for (const { get } of [killed, rebuilt]) {
    expect(await get(Farm, "a").check()).toEqual([{ integrity_check: "ok" }]);
    expect(await get(Farm, "a").names()).toEqual([...names, "note"].toSorted());
    expect(await get(Farm, "a").notes()).toEqual(["new"]);
  }
});

test("a deleted cell does not exist: it is neither listed nor counted, and leaves no file", async () => {
  const { a, ...opened } = await farm();
  await a.put("x");
  await opened.get(Farm, "b").put("stays");
  expect(listed(opened)).toEqual(["farm/a", "farm/b"]);
  await a.deleteAll();
  expect(listed(opened)).toEqual(["farm/b"]);
  expect(opened.node.control.status().cells).toBe(1);
  expect(await codeOf(opened.node.control.sql("farm/a", "SELECT 1", [], false))).toBe("CELL_MISSING");
  const again = await reopen(opened, cells);
  expect(listed(again)).toEqual(["farm/b"]);
  expect(cellFiles(again.directory)).toHaveLength(1);
  expect(await again.get(Farm, "a").notes()).toBeUndefined();
  expect(listed(again)).toEqual(["farm/b"]);
});

test("a deletion is one record without pages, and gives the space back, however large the cell was", async () => {
  const { a, ...opened } = await farm({ logFileBytes: 32 * 1024 * 1024 });
  for (let i = 0; i < 4; i++) await a.grow(25);
  expect(await a.bytes()).toBeGreaterThan(100 * 1024 * 1024);
  await opened.node.commitLog.flushed();
  const before = opened.node.commitLog.appended;
  await a.deleteAll();
  expect(opened.node.commitLog.appended - before).toBeLessThan(512);
  expect(await a.bytes()).toBeLessThan(4096);
  await opened.node.commitLog.flushed();
  const [tombstone] = commitsIn(opened.directory, address).slice(-1);
  expect(tombstone?.changes).toEqual([{ what: "deleted", address, value: 0 }]);
  expect(tombstone?.cells[0]?.pages.count).toBe(0);
  // The old pages go when the tombstone is durable, though the cell stays open.
  await a.put("after the checkpoint");
  expect(fs.statSync(fileOf(opened)).size).toBeLessThan(64 * 1024);
  await opened.node.commitLog.flushed();
  const killed = await afterKill(opened, cells);
  expect(await killed.get(Farm, "a").notes()).toEqual(["after the checkpoint"]);
});

test("in a sync verb it happens when the verb commits: a throw takes it back, a later statement is refused", async () => {
  const { a, ...opened } = await farm();
  await a.put("first");
  expect((await failureOf(a.putAndDelete("throw"))).message).toBe("taken back");
  expect(await codeOf(a.putAndDelete("put"))).toBe("TX_ABORTED");
  expect(await a.notes()).toEqual(["first"]);
  expect(await a.putAndDelete("swallow")).toBe("TX_ABORTED");
  expect(await a.notes()).toBeUndefined();
  await a.put("second");
  expect(await a.putAndDelete("return")).toBe("return");
  expect(await a.notes()).toBeUndefined();
  expect(listed(opened)).toEqual([]);
});

test("in an async verb it happens at once, and what follows makes the cell anew", async () => {
  const { a, ...opened } = await farm();
  await a.stock();
  expect(await a.deleteAtOnce("gone")).toEqual([]);
  expect(listed(opened)).toEqual([]);
  expect(await a.deleteAtOnce("gone", "one", "two")).toEqual([]);
  expect(await a.notes()).toEqual(["one", "two"]);
  await opened.node.commitLog.flushed();
  const rebuilt = await afterKill(opened, cells, { boot: "another boot" });
  expect(await rebuilt.get(Farm, "a").notes()).toEqual(["one", "two"]);
});

test("inside a transaction it is refused", async () => {
  const { a } = await farm();
  expect(await codeOf(a.deleteInside("sync"))).toBe("TX_ABORTED");
  expect((await failureOf(a.deleteInside("async"))).message).toMatch(/^Cannot call deleteAll\(\) within a transaction/);
  expect(await a.notes()).toEqual(["stays", "stays"]);
});

test("another verb that is running goes on in the cell that begins anew", async () => {
  const { a, ...opened } = await farm();
  await a.put("before");
  const other = a.waitAndPut("other");
  await a.deleteAll();
  expect(await other).toEqual(["other again"]);
  expect(listed(opened)).toEqual(["farm/a"]);
  await opened.node.commitLog.flushed();
  const rebuilt = await afterKill(opened, cells, { boot: "another boot" });
  expect(await rebuilt.get(Farm, "a").notes()).toEqual(["other again"]);
});

test("numbers go on after a deletion, and the cell has a new time of creation", async () => {
  const { a, ...opened } = await farm();
  await a.put("x");
  const created = opened.node.ledger.find(address)?.createdMs as number;
  await a.deleteAll();
  await new Promise((resolve) => setTimeout(resolve, 5));
  await a.put("y");
  expect(opened.node.ledger.find(address)?.createdMs).toBeGreaterThan(created);
  const again = await reopen(opened, cells);
  await again.get(Farm, "a").deleteAll();
  const third = await reopen(again, cells);
  await third.get(Farm, "a").put("z");
  await third.node.commitLog.flushed();
  const commits = commitsIn(third.directory, address);
  expect(commits.map(({ txid }) => txid)).toEqual([1, 2, 3, 4, 5]);
  const changes = commits.map((commit) => commit.changes.map(({ what }) => what).join());
  expect(changes).toEqual(["created", "deleted", "created", "deleted", "created"]);
});

test("deleting what does not exist leaves nothing", async () => {
  const { a, ...opened } = await farm();
  await a.deleteAll();
  await a.putAndDelete("return");
  expect(await a.deleteAtOnce("x")).toEqual([]);
  await a.deleteAll();
  await opened.node.commitLog.flushed();
  expect(commitsIn(opened.directory, address).map(({ changes }) => changes.map(({ what }) => what))).toEqual([
    // What the async verb wrote before was a commit of its own.
    ["created"],
    ["deleted"],
  ]);
});

test("fields are kept, as everything that is not in the database", async () => {
  const { a } = await farm();
  await a.put("x");
  await a.deleteAll();
  expect(await a.seen()).toBe(1);
});

test("the answer to a deletion waits for the disk", async () => {
  const disk = new SlowDisk();
  const { node } = await openCells(cells, {
    io: disk,
    fetch: async (request, { get }) => Response.json((await get(Farm, "a")[verbOf(request)]("x")) ?? null),
  });
  const call = (verb: string) => node.handle(new Request(`http://test/${verb}`), { remoteAddress: "" });
  await call("put");
  disk.hold();
  const answer = call("deleteAll");
  expect(await isSettled(answer)).toBe(false);
  const look = call("names");
  expect(await isSettled(look)).toBe(false);
  disk.release();
  expect(await (await look).json()).toEqual([]);
  await answer;
});

function verbOf(request: Request): "put" {
  return new URL(request.url).pathname.slice(1) as "put";
}

test("a process that is killed anywhere in a deletion leaves the cell whole, or deleted if the tombstone was written", async () => {
  const disk = new SlowDisk();
  const { a, ...opened } = await farm({ io: disk });
  await a.stock();
  for (let i = 0; i < 40; i++) await a.put(`note ${i} ${"x".repeat(500)}`);
  const names = await a.names();
  await opened.node.commitLog.flushed();
  const wal = `${fileOf(opened)}-wal`;
  const whole = fs.statSync(wal).size;
  // Two batches are on their way, so the tombstone stays in memory.
  disk.hold();
  for (const name of ["p", "q"]) {
    await opened.get(Farm, name).put("x");
    await turns();
  }
  await a.deleteAll();
  await a.put("in the life after");
  const end = fs.statSync(wal).size;
  expect(end).toBeGreaterThan(whole);
  const lost = await killedAt(opened, wal, whole, end);
  for (const { get } of lost) {
    expect(await get(Farm, "a").names()).toEqual(names.concat("note").toSorted().filter(isFirst));
    expect(await get(Farm, "a").notes()).toHaveLength(40);
    expect(await get(Farm, "a").check()).toEqual([{ integrity_check: "ok" }]);
  }
  disk.release();
  await opened.node.commitLog.flushed();
  for (const killed of await killedAt(opened, wal, whole, end)) {
    expect(await killed.get(Farm, "a").names()).toEqual(["note"]);
    expect(await killed.get(Farm, "a").notes()).toEqual(["in the life after"]);
  }
});

const isFirst = (name: string, i: number, all: string[]): boolean => all.indexOf(name) === i;

/** Nodes on copies of the directory, whose WAL ends behind one of the frames between two offsets. */
async function killedAt(opened: Opened, wal: string, from: number, to: number): Promise<Opened[]> {
  const frame = 24 + 1024;
  const nodes: Opened[] = [];
  for (let end = from; end <= to; end += frame) {
    const copy = temporaryDirectory();
    const filter = (file: string): boolean => !path.basename(file).startsWith("lock.");
    fs.cpSync(opened.directory, copy, { recursive: true, filter });
    fs.truncateSync(path.join(copy, path.relative(opened.directory, wal)), end);
    nodes.push(await openIn(copy, cells));
  }
  return nodes;
}
