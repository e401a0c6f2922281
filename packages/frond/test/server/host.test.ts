// The host of cells: how many are open, which are closed for room, and what calls wait for. Contents stay right throughout.

import fs from "node:fs";
import path from "node:path";
import { expect, test } from "vitest";
import { Cell } from "../../src/cell/cell.ts";
import { CHECKPOINT_BYTES } from "../../src/limits.ts";
import { cellFiles, codeOf, failureOf, isSettled, openCells, reopen, SlowDisk, turns } from "../cell/nodes.ts";

const turn = () => new Promise<void>((resolve) => setImmediate(resolve));

class Tally extends Cell {
  static override migrations = ["CREATE TABLE t (v INTEGER) STRICT"];
  told = false;
  add(v: number) {
    this.sql`INSERT INTO t VALUES (${v})`;
    return this.values().length;
  }
  values() {
    return this.sql.all<{ v: number }>`SELECT v FROM t ORDER BY rowid`.map((row) => row.v);
  }
  addAndThrow(v: number) {
    this.add(v);
    throw new Error("taken back");
  }
  async addSlowly(v: number) {
    this.add(v);
    await turn();
    return this.add(v + 1);
  }
  async addThere(name: string, v: number) {
    this.add(v);
    await turn();
    return this.get(Tally, name).add(v);
  }
  async growUntilTold() {
    this.grow(1);
    for (let i = 0; !this.told; i++) {
      this.ctx.storage.sql.exec("UPDATE big SET b = ?", new Uint8Array(64 * 1024).fill(i));
      await turn();
    }
  }
  tell() {
    this.told = true;
  }
  grow(bytes: number) {
    this.ctx.storage.sql.exec("CREATE TABLE IF NOT EXISTS big (b BLOB) STRICT");
    for (let left = bytes; left > 0; left -= 512 * 1024) {
      this.ctx.storage.sql.exec("INSERT INTO big VALUES (?)", new Uint8Array(512 * 1024));
    }
  }
  async goOn(count: number) {
    for (let i = 0; i < count; i++) {
      this.add(i);
      await turn();
    }
    return "went on";
  }
  async waitForItself() {
    await turn();
    return this.get(Tally, this.name).add(-1);
  }
}

const cells = { tally: Tally };

test("far more cells than may be open keep their contents, and few are open at any time", async () => {
  const opened = await openCells(cells, { maxOpenCells: 16 });
  const model = new Map<string, number[]>();
  let state = 1;
  const random = (below: number) => (state = (state * 48_271) % 2_147_483_647) % below;
  for (let round = 0; round < 40; round++) {
    const before = new Map(model);
    const calls = Array.from({ length: 25 }, async () => {
      const name = `cell ${random(500)}`;
      const values = model.get(name) ?? [];
      const v = random(1000);
      switch (random(4)) {
        case 0:
          model.set(name, [...values, v]);
          return opened.get(Tally, name).add(v);
        case 1:
          return failureOf(opened.get(Tally, name).addAndThrow(v));
        case 2:
          return expect(await opened.get(Tally, name).values()).toEqual(expect.arrayContaining(before.get(name) ?? []));
        default:
          model.set(name, [...values, v, v + 1]);
          return opened.get(Tally, name).addSlowly(v);
      }
    });
    await Promise.all(calls);
    // At most those in which a verb was still running when the last one was opened.
    expect(opened.node.host.openCells).toBeLessThanOrEqual(16 + 25);
  }
  expect(model.size).toBeGreaterThan(200);
  for (const [name, values] of model) {
    expect((await opened.get(Tally, name).values()).sort()).toEqual(values.sort());
    expect(opened.node.host.openCells).toBeLessThanOrEqual(16);
  }
  expect(cellFiles(opened.directory).filter((file) => file.endsWith("-wal")).length).toBeLessThanOrEqual(16);
  const again = await reopen(opened, cells, { maxOpenCells: 16 });
  for (const [name, values] of model) expect((await again.get(Tally, name).values()).sort()).toEqual(values.sort());
});

test("a burst of first calls waits for the log instead of opening without bound, each cell's calls in order", async () => {
  const { get, node } = await openCells(cells, { maxOpenCells: 16 });
  let most = 0;
  const watch = setInterval(() => {
    most = Math.max(most, node.host.openCells);
  }, 0);
  const calls: Promise<number>[] = [];
  for (let v = 1; v <= 3; v++) {
    for (let i = 0; i < 300; i++) calls.push(get(Tally, `${i}`).add(v));
    most = Math.max(most, node.host.openCells);
  }
  const counts = await Promise.all(calls);
  clearInterval(watch);
  expect(most).toBe(16);
  expect(counts).toEqual([1, 2, 3].flatMap((v) => Array.from({ length: 300 }, () => v)));
  expect(await get(Tally, "7").values()).toEqual([1, 2, 3]);
});

test("cells in which verbs run are neither closed nor waited for", async () => {
  const { get, node } = await openCells(cells, { maxOpenCells: 16 });
  // Each waits for another cell: with a strict bound none of them could go on.
  const calls = Array.from({ length: 60 }, (_, i) => get(Tally, `a ${i}`).addThere(`b ${i}`, i));
  expect(node.host.openCells).toBe(60);
  expect(await Promise.all(calls)).toEqual(calls.map(() => 1));
  for (let i = 0; i < 60; i++) expect(await get(Tally, `c ${i}`).values()).toEqual([]);
  expect(node.host.openCells).toBeLessThanOrEqual(16);
});

async function growing() {
  const disk = new SlowDisk();
  const opened = await openCells(cells, { io: disk });
  const a = opened.get(Tally, "a");
  await a.add(0);
  await opened.node.commitLog.flushed();
  const wal = path.join(
    opened.directory,
    "cells",
    cellFiles(opened.directory).find((f) => f.endsWith("-wal")) as string,
  );
  return { ...opened, disk, a, walBytes: () => fs.statSync(wal).size };
}

test("a cell's WAL is moved into its file once the log is durable; calls wait for that, in order", async () => {
  const { a, disk, node, walBytes } = await growing();
  disk.hold();
  await a.grow(CHECKPOINT_BYTES);
  expect(walBytes()).toBeGreaterThan(CHECKPOINT_BYTES);
  const calls = [a.add(1), a.add(2), a.add(3)];
  const sql = node.control.sql("tally/a", "SELECT count(*) FROM t", [], false);
  expect(await isSettled(Promise.race([...calls, sql]))).toBe(false);
  expect(walBytes()).toBeGreaterThan(CHECKPOINT_BYTES);
  disk.release();
  expect(await Promise.all(calls)).toEqual([2, 3, 4]);
  expect((await sql).rows).toEqual([[4]]);
  expect(walBytes()).toBeLessThan(CHECKPOINT_BYTES);
  expect(await a.values()).toEqual([0, 1, 2, 3]);
});

test("verbs that had begun go on while calls wait, and a call that waits does not hold them up", async () => {
  const { a, disk, node, walBytes } = await growing();
  const running = a.goOn(6);
  const toItself = a.waitForItself();
  disk.hold();
  await a.grow(CHECKPOINT_BYTES);
  const large = node.commitLog.appended;
  const late = a.values();
  await turns(10);
  expect(await isSettled(running)).toBe(true);
  // The commit that made the WAL large is durable, those of the verbs that went on are not yet.
  // It has a log file of its own, behind the one of the commit before it.
  await disk.releaseOne();
  await disk.releaseOne();
  while (node.commitLog.durable < large) await turn();
  expect(await isSettled(Promise.race([late, toItself]))).toBe(false);
  expect(walBytes()).toBeGreaterThan(CHECKPOINT_BYTES);
  disk.release();
  expect(await running).toBe("went on");
  await toItself;
  expect(await late).toContain(5);
  expect(walBytes()).toBeLessThan(CHECKPOINT_BYTES);
});

test("calls are answered though a verb writes on and on while the WAL waits for the log", async () => {
  const { a, disk, walBytes } = await growing();
  const writing = a.growUntilTold();
  disk.hold();
  while (walBytes() < CHECKPOINT_BYTES) await turn();
  const told = a.tell();
  expect(await isSettled(told)).toBe(false);
  disk.release();
  await told;
  await writing;
  expect(await a.values()).toEqual([0]);
});

test("a cell that is discarded while calls wait at its gate answers them from the log's state", async () => {
  class Huge extends Tally {
    async breakSoon() {
      await turn();
      this.grow(40 * 1024 * 1024);
    }
  }
  const disk = new SlowDisk();
  const { get } = await openCells({ huge: Huge }, { io: disk, logFileBytes: 16 * 1024 * 1024 });
  const a = get(Huge, "a");
  await a.add(1);
  const broken = failureOf(a.breakSoon());
  disk.hold();
  await a.grow(CHECKPOINT_BYTES);
  const waiting = [a.add(2), a.add(3)];
  expect(await broken).toMatchObject({ code: "RECORD_TOO_LARGE" });
  expect(await isSettled(Promise.race(waiting))).toBe(false);
  disk.release();
  expect(await Promise.all(waiting)).toEqual([2, 3]);
  expect(await a.values()).toEqual([1, 2, 3]);
});

test("the operator's tools name cells as people type them, and make none", async () => {
  const { node, get } = await openCells(cells);
  await get(Tally, "a/b").add(1);
  const { control } = node;
  expect((await control.sql("tally/a%2fb", "SELECT v FROM t", [], false)).rows).toEqual([[1]]);
  expect(await control.call("tally/a%2fb", "add", [2])).toBe(2);
  expect(await codeOf(control.sql("tally/none", "SELECT 1", [], false))).toBe("CELL_MISSING");
  expect(await codeOf(control.sql("tally/a/b", "SELECT 1", [], false))).toBe("BAD_ADDRESS");
  expect(await codeOf(control.sql("other/a", "SELECT 1", [], false))).toBe("UNKNOWN_KIND");
  expect(await codeOf(control.sql("tally/a/tally/b", "SELECT 1", [], false))).toBe("UNKNOWN_KIND");
  expect(await codeOf(control.sql("tally/a%2fb", "DELETE FROM t", [], false))).toBe("SQL_DENIED");
  expect((await control.sql("tally/a%2fb", "DELETE FROM t WHERE v = ?", [1], true)).changes).toBe(1);
  expect(await get(Tally, "a/b").values()).toEqual([2]);
  expect(control.status()).toMatchObject({ cells: 1, ready: true });
});
