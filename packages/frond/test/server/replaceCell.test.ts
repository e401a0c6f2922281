// Giving a cell another content: from a database that another tool made, from an export, from an archive.

import fs from "node:fs";
import path from "node:path";
import { DatabaseSync } from "node:sqlite";
import { expect, test } from "vitest";
import { Cell } from "../../src/cell/cell.ts";
import { listLogFiles } from "../../src/log/files.ts";
import { openOffline } from "../../src/server/openNode.ts";
import { fileRows } from "../../src/store/fileRows.ts";
import {
  afterKill,
  codeOf,
  isSettled,
  openCells,
  type Opened,
  openIn,
  reopen,
  SlowDisk,
  temporaryDirectory,
  turns,
} from "../cell/nodes.ts";

const turn = () => new Promise<void>((resolve) => setImmediate(resolve));
/** What verbs wait for. */
const waiting = new Set<string>();
const LATER = Date.UTC(2999, 0, 1);

class Notes extends Cell {
  static override migrations = [
    "CREATE TABLE IF NOT EXISTS note (v TEXT NOT NULL) STRICT",
    "CREATE TABLE extra (v TEXT) STRICT",
  ];
  put(v: string) {
    this.sql`INSERT INTO note VALUES (${v})`;
  }
  all() {
    return this.sql.all<{ v: string }>`SELECT v FROM note ORDER BY rowid`.map((row) => row.v);
  }
  later(ms: number) {
    return this.schedule(new Date(LATER + ms), "put", "x");
  }
  planned() {
    return this.schedules().map(({ id }) => id);
  }
  async after(wait: string, v: string) {
    while (waiting.has(wait)) await turn();
    this.put(v);
  }
  async keep(text: string) {
    return (await this.files.put(text)).hash;
  }
  async kept(hash: string) {
    return (await this.files.get(hash))?.text();
  }
}

const cells = { notes: Notes };

/** A database as any tool makes one. */
function foreign(texts: readonly string[], pageSize = 4096): string {
  const file = path.join(temporaryDirectory(), "foreign.db");
  const db = new DatabaseSync(file);
  db.exec(`PRAGMA page_size = ${pageSize}; CREATE TABLE note (v TEXT NOT NULL) STRICT`);
  for (const text of texts) db.prepare("INSERT INTO note VALUES (?)").run(text);
  db.close();
  return file;
}

async function exported({ node }: Opened, address: string, name = "export.db"): Promise<string> {
  const file = path.join(temporaryDirectory(), name);
  await node.control.exportTo(address, file);
  return file;
}

test("a database of another tool becomes a cell, and the migrations of its class run when it is opened", async () => {
  const opened = await openCells(cells);
  const { control } = opened.node;
  const imported = await control.importFrom("notes/a", foreign(["one", "two"]), false);
  expect(imported).toMatchObject({ epoch: 1, txid: 1, bytes: 8192, files: 0, missingFiles: 0 });
  expect(imported.before).toBeUndefined();
  expect(await opened.get(Notes, "a").all()).toEqual(["one", "two"]);
  await opened.get(Notes, "a").put("three");
  const rows = await control.sql("notes/a", "SELECT count(*) AS n FROM extra", [], false);
  expect(rows.rows).toEqual([[0]]);
  await opened.node.commitLog.flushed();
  for (const options of [{}, { boot: "another boot" }]) {
    expect(await (await afterKill(opened, cells, options)).get(Notes, "a").all()).toEqual(["one", "two", "three"]);
  }
  expect(await (await reopen(opened, cells)).get(Notes, "a").all()).toEqual(["one", "two", "three"]);
});

test("a cell that exists is replaced only when that was asked for; what runs in it ends with ABORTED", async () => {
  const opened = await openCells(cells);
  const { control } = opened.node;
  const a = opened.get(Notes, "a");
  await a.put("old");
  const file = foreign(["new"]);
  expect(await codeOf(control.importFrom("notes/a", file, false))).toBe("CELL_EXISTS");
  waiting.add("import");
  const running = codeOf(a.after("import", "never"));
  const imported = await control.importFrom("notes/a", file, true);
  expect(imported.before).toEqual({ epoch: 1, txid: 1 });
  waiting.clear();
  expect(await running).toBe("ABORTED");
  expect(await a.all()).toEqual(["new"]);
  await a.put("more");
  await opened.node.commitLog.flushed();
  for (const options of [{}, { boot: "another boot" }]) {
    expect(await (await afterKill(opened, cells, options)).get(Notes, "a").all()).toEqual(["new", "more"]);
  }
});

test("until its record is in the log the cell holds what it held, and nobody is told before", async () => {
  const disk = new SlowDisk();
  const opened = await openCells(cells, { io: disk });
  await opened.get(Notes, "a").put("old");
  await opened.node.commitLog.flushed();
  const file = foreign(["new"]);
  disk.hold();
  // Two batches are on their way, so the record is in memory.
  for (const name of ["p", "q"]) {
    await opened.get(Notes, name).put("x");
    await turns();
  }
  const replacing = opened.node.control.importFrom("notes/a", file, true);
  while (fs.existsSync(fileOf(opened, "a"))) await turn();
  expect(await isSettled(replacing)).toBe(false);
  expect(await (await afterKill(opened, cells)).get(Notes, "a").all()).toEqual(["old"]);
  disk.release();
  await replacing;
  expect(await (await afterKill(opened, cells)).get(Notes, "a").all()).toEqual(["new"]);
});

test("alarms are those of the content, and ids of scheduled calls are not given twice", async () => {
  const opened = await openCells(cells);
  const { control } = opened.node;
  const a = opened.get(Notes, "a");
  expect(await a.later(1)).toBe(1);
  const early = await exported(opened, "notes/a");
  for (const id of [2, 3, 4]) expect(await a.later(id)).toBe(id);
  await control.importFrom("notes/a", early, true);
  expect(control.alarms(undefined, 10, false)).toEqual([{ address: "notes/a", dueMs: LATER + 1, failed: 0 }]);
  expect(await a.planned()).toEqual([1]);
  const killedEarly = await afterKill(opened, cells, { boot: "another boot" });
  expect(await killedEarly.get(Notes, "a").later(9)).toBe(5);
  expect(await a.later(9)).toBe(5);
  // Another name has none of its past, but that of the content.
  await control.importFrom("notes/b", early, false);
  expect(control.alarms(undefined, 10, false).map(({ address }) => address)).toEqual(["notes/a", "notes/b"]);
  expect(await opened.get(Notes, "b").later(9)).toBe(2);
  await opened.node.commitLog.flushed();
  const killed = await afterKill(opened, cells);
  expect(killed.node.control.alarms(undefined, 10, false).map(({ dueMs }) => dueMs)).toEqual([LATER + 1, LATER + 1]);
  expect(await killed.get(Notes, "a").later(10)).toBe(6);
  await control.importFrom("notes/a", foreign([]), true);
  expect(control.alarms(undefined, 10, false).map(({ address }) => address)).toEqual(["notes/b"]);
});

test("an archive brings its files along, and files of the content before stay named", async () => {
  const opened = await openCells(cells);
  const { control } = opened.node;
  const a = opened.get(Notes, "a");
  const first = await a.keep("first");
  const archive = await exported(opened, "notes/a", "a.tar");
  const second = await a.keep("second");
  const elsewhere = await openCells(cells);
  const there = await elsewhere.node.control.importFrom("notes/z", archive, false);
  expect(there).toMatchObject({ files: 1, missingFiles: 0 });
  expect(await elsewhere.get(Notes, "z").kept(first)).toBe("first");
  const bare = await elsewhere.node.control.importFrom("notes/y", await exported(opened, "notes/a"), false);
  expect(bare).toMatchObject({ files: 2, missingFiles: 1 });
  await control.importFrom("notes/a", archive, true);
  expect(await a.kept(first)).toBe("first");
  expect(await a.kept(second)).toBeUndefined();
  const db = new DatabaseSync(await exported(opened, "notes/a"));
  expect(fileRows(db, 0).map(({ hash, refs }) => [hash, refs])).toEqual(
    [
      [first, 1],
      [second, 0],
    ].sort(),
  );
  db.close();
});

test("what is no sound database, or too large, is refused and leaves the cell as it was", async () => {
  const opened = await openCells(cells);
  const { control } = opened.node;
  const a = opened.get(Notes, "a");
  await a.put("old");
  const folder = temporaryDirectory();
  const write = (name: string, bytes: string | Buffer): string => {
    fs.writeFileSync(path.join(folder, name), bytes);
    return path.join(folder, name);
  };
  const torn = fs.readFileSync(foreign(Array.from({ length: 500 }, (_, i) => `${i}`.padEnd(100))));
  torn.fill(7, 3 * 4096, 4 * 4096);
  const large = path.join(folder, "large.db");
  const db = new DatabaseSync(large);
  db.exec("PRAGMA page_size = 65536; CREATE TABLE b (b BLOB); INSERT INTO b VALUES (zeroblob(33554432))");
  db.close();
  const refused: [string, string][] = [
    [write("empty.db", ""), "BAD_CONTENT"],
    [write("text.db", "no database at all, for sure"), "BAD_CONTENT"],
    [write("torn.db", torn), "BAD_CONTENT"],
    [write("none.tar", "no archive"), "OBJECT_DAMAGED"],
    [large, "RECORD_TOO_LARGE"],
  ];
  for (const [file, code] of refused) {
    expect([file, await codeOf(control.importFrom("notes/a", file, true))]).toEqual([file, code]);
    expect([file, await codeOf(control.importFrom("notes/new", file, false))]).toEqual([file, code]);
  }
  expect(await codeOf(control.importFrom("other/a", foreign([]), false))).toBe("UNKNOWN_KIND");
  expect(await a.all()).toEqual(["old"]);
  expect(control.cells(undefined, 10).map(({ address }) => address)).toEqual(["notes/a"]);
  expect(fs.readdirSync(path.join(opened.directory, "tmp")).filter((name) => name.startsWith("import"))).toEqual([]);
});

test("a cell that cannot be opened any more is replaced all the same", async () => {
  const opened = await openCells(cells);
  await opened.get(Notes, "a").put("a text that can be found");
  const second = await reopen(opened, cells);
  await second.get(Notes, "b").put("so that nobody reads the first log file again");
  await second.node.stop();
  fs.writeFileSync(fileOf(opened, "a"), "damaged");
  const [log] = listLogFiles(path.join(opened.directory, "log"));
  const file = (log as { path: string }).path;
  const bytes = fs.readFileSync(file);
  bytes.fill(7, bytes.indexOf("a text that"), bytes.indexOf("a text that") + 3);
  fs.writeFileSync(file, bytes);
  const again = await openIn(opened.directory, cells);
  expect(await codeOf(again.get(Notes, "a").all())).toBe("CELL_DAMAGED");
  await again.node.control.importFrom("notes/a", foreign(["whole"]), true);
  expect(await again.get(Notes, "a").all()).toEqual(["whole"]);
});

test("a directory that no node serves takes a content, also of a kind that it has not met", async () => {
  const opened = await openCells(cells);
  await opened.get(Notes, "a").put("old");
  await opened.node.stop();
  const offline = await openOffline({ dataDirectory: opened.directory });
  await offline.importFrom("notes/a", foreign(["new"]), true);
  await offline.importFrom("other/b", foreign(["b"]), false);
  await offline.close();
  const again = await openIn(opened.directory, { notes: Notes, other: class extends Notes {} });
  expect(await again.get(Notes, "a").all()).toEqual(["new"]);
  expect(again.node.control.cells(undefined, 10).map(({ address }) => address)).toEqual(["notes/a", "other/b"]);
});

function fileOf({ directory }: Opened, name: string): string {
  const folder = path.join(directory, "cells");
  const found = fs.readdirSync(folder, { recursive: true, encoding: "utf8" });
  const file = found.find((entry) => entry.endsWith(`notes%2f${name}.db`));
  return path.join(folder, file ?? `none-${name}`);
}
