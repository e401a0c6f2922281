// Tries the templates of new cells: what a copied file holds is what the migrations would have made, in the file and in the log.

import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, expect, test } from "vitest";
import { App } from "../../src/cell/app.ts";
import { Cell } from "../../src/cell/cell.ts";
import { Templates } from "../../src/cell/template.ts";
import { openNode } from "../../src/server/openNode.ts";
import { Session } from "../../src/server/door/session.ts";

const folders: string[] = [];
const log = { info() {}, warn() {}, error() {} };

function folder(): string {
  const made = mkdtempSync(path.join(tmpdir(), "frond-template-"));
  folders.push(made);
  return made;
}

afterEach(() => {
  for (const made of folders.splice(0)) rmSync(made, { recursive: true, force: true });
});

class Notes extends Cell {
  static override readonly migrations = [
    "CREATE TABLE note (id INTEGER PRIMARY KEY, text TEXT NOT NULL, at INTEGER DEFAULT 5) STRICT",
    "CREATE VIRTUAL TABLE found USING fts5(text); INSERT INTO note (id, text) VALUES (1, 'first')",
  ];
  add(text: string): void {
    this.sql`INSERT INTO note (text) VALUES (${text})`;
    this.sql`INSERT INTO found (text) VALUES (${text})`;
  }
  all(): string[] {
    return this.sql.all<{ text: string }>`SELECT text FROM note ORDER BY id`.map((row) => row.text);
  }
  find(word: string): number {
    return this.sql.all`SELECT rowid FROM found WHERE found MATCH ${word}`.length;
  }
}

class Lucky extends Cell {
  static override readonly migrations = [
    "CREATE TABLE lucky (number INTEGER) STRICT; INSERT INTO lucky VALUES (random())",
  ];
  number(): string {
    return this.sql.one<{ number: string }>`SELECT CAST(number AS TEXT) AS number FROM lucky`.number;
  }
}

class Dated extends Cell {
  static override readonly migrations = ['CREATE TABLE made AS SELECT "datetime"() AS at'];
}

test("a cell made from a template is made anew from the log with all of it", async () => {
  const directory = folder();
  const app = new App({ cells: { notes: Notes } });
  const first = await openNode({ app, dataDirectory: directory, durability: "disk", log, boot: "one" });
  const get = first.host.stubs.getFor(new Session());
  for (const name of ["a", "b", "c"]) await get(Notes, name).add(`hello ${name}`);
  await first.stop();
  rmSync(path.join(directory, "cells"), { recursive: true });

  const second = await openNode({ app, dataDirectory: directory, durability: "disk", log, boot: "two" });
  const again = second.host.stubs.getFor(new Session());
  for (const name of ["a", "b", "c"]) {
    expect(await again(Notes, name).all()).toEqual(["first", `hello ${name}`]);
    expect(await again(Notes, name).find(name)).toBe(1);
    const check = await second.control.sql(`notes/${name}`, "PRAGMA integrity_check", [], false);
    expect(check.rows).toEqual([["ok"]]);
  }
  await second.stop();
});

test("migrations whose result may differ run in each cell", async () => {
  const directory = folder();
  const app = new App({ cells: { lucky: Lucky } });
  const node = await openNode({ app, dataDirectory: directory, durability: "disk", log });
  const get = node.host.stubs.getFor(new Session());
  expect(await get(Lucky, "a").number()).not.toBe(await get(Lucky, "b").number());
  await node.stop();
});

test("only kinds whose migrations are fixed have a template, and making it leaves no file", () => {
  const app = new App({ cells: { notes: Notes, lucky: Lucky, dated: Dated } });
  const directory = folder();
  const templates = new Templates(directory);
  const image = (type: typeof Notes | typeof Lucky | typeof Dated) => templates.of(app.kindOf(type));
  expect(image(Notes)?.subarray(0, 15).toString()).toBe("SQLite format 3");
  expect(image(Notes)).toBe(image(Notes));
  expect(image(Lucky)).toBeUndefined();
  expect(image(Dated)).toBeUndefined();
  expect(readdirSync(directory)).toEqual([]);
});

test("a row that takes a changing value from a default, a trigger or a view keeps its kind from having a template", () => {
  const table = "CREATE TABLE t (id TEXT DEFAULT (hex(randomblob(8))), at TEXT DEFAULT CURRENT_TIMESTAMP)";
  const kinds = {
    byDefault: [`${table}; INSERT INTO t DEFAULT VALUES`],
    byTrigger: [
      "CREATE TABLE t (v); CREATE TRIGGER r AFTER INSERT ON t BEGIN UPDATE t SET v = random(); END",
      "INSERT INTO t VALUES (1)",
    ],
    byView: ["CREATE VIEW chance AS SELECT random() AS v; CREATE TABLE t (v)", "INSERT INTO t SELECT v FROM chance"],
    byValues: ["CREATE TABLE t AS VALUES (random())"],
    definitionsAlone: [table],
  };
  const cells = Object.fromEntries(
    Object.entries(kinds).map(([kind, migrations]) => [kind, Object.assign(class extends Cell {}, { migrations })]),
  );
  const app = new App({ cells });
  const templates = new Templates(folder());
  const templated = Object.entries(cells).filter(([, type]) => templates.of(app.kindOf(type)) !== undefined);
  expect(templated.map(([kind]) => kind)).toEqual(["definitionsAlone"]);
});
