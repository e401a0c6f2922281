// ctx.storage.sql where code written for Durable Objects relies on the details: types of values, texts of errors, how a
// cursor is used up, and the pragma that generated migrations write.

import { expect, test } from "vitest";
import { Cell } from "../../src/cell/cell.ts";
import { codeOf, failureOf, openCells } from "./nodes.ts";

class Site extends Cell {
  types() {
    const sql = "SELECT x'0102' AS bytes, x'' AS none, 1 AS i, 1.5 AS r, 't' AS t, NULL AS n";
    const row = this.ctx.storage.sql.exec(sql).one();
    const kinds = Object.values(row).map((value) => Object.prototype.toString.call(value));
    return { kinds, bytes: [...new Uint8Array(row["bytes"] as unknown as ArrayBuffer)] };
  }
  manyBytes() {
    const { sql } = this.ctx.storage;
    sql.exec("CREATE TABLE b (v BLOB)");
    for (let i = 0; i < 5; i++) sql.exec("INSERT INTO b VALUES (?)", new Uint8Array([i, i, i]));
    const raw = sql.exec("SELECT v FROM b").raw().toArray() as ArrayBuffer[][];
    return raw.map(([value]) => [...new Uint8Array(value as ArrayBuffer)].join(""));
  }
  one(text: string) {
    return this.ctx.storage.sql.exec(text).one();
  }
  usedUp() {
    const cursor = this.ctx.storage.sql.exec<{ n: number }>("VALUES (1), (2), (3), (4), (5)");
    const first = cursor.next();
    const raw = cursor.raw().next();
    const [third] = cursor;
    return { first, raw, third, rest: cursor.raw().toArray(), none: cursor.toArray(), end: cursor.next() };
  }
  oneOfRest() {
    const cursor = this.ctx.storage.sql.exec("VALUES (1), (2)");
    cursor.next();
    return cursor.one();
  }
  counts() {
    const { sql } = this.ctx.storage;
    sql.exec("CREATE TABLE c (v)");
    const insert = sql.exec("INSERT INTO c VALUES (1), (2)");
    const returning = sql.exec("UPDATE c SET v = v + 1 RETURNING v");
    const read = sql.exec("SELECT v FROM c");
    return [insert, returning, read].map(({ rowsRead, rowsWritten, columnNames }) => [
      rowsRead,
      rowsWritten,
      columnNames,
    ]);
  }
  makeAnew(pragma: string, child: string) {
    const { sql } = this.ctx.storage;
    sql.exec(`CREATE TABLE parent (id INTEGER PRIMARY KEY); INSERT INTO parent VALUES (1); ${child}`);
    sql.exec(pragma);
    sql.exec("CREATE TABLE new (id INTEGER PRIMARY KEY, more); INSERT INTO new SELECT id, 1 FROM parent");
    sql.exec("DROP TABLE IF EXISTS main.[Parent]; ALTER TABLE new RENAME TO parent");
    sql.exec("/* back */ pragma foreign_keys(on)");
    return [...sql.exec<{ foreign_keys: number }>("PRAGMA foreign_keys")][0]?.foreign_keys;
  }
}

const site = async () => (await openCells({ site: Site })).get(Site, "a");

test("bytes are an ArrayBuffer of their own in every row", async () => {
  const a = await site();
  const { kinds, bytes } = await a.types();
  const names = ["ArrayBuffer", "ArrayBuffer", "Number", "Number", "String", "Null"];
  expect(kinds).toEqual(names.map((name) => `[object ${name}]`));
  expect(bytes).toEqual([1, 2]);
  expect(await a.manyBytes()).toEqual(["000", "111", "222", "333", "444"]);
});

test("a cursor is used up once, whichever way its rows are read", async () => {
  const a = await site();
  expect(await a.usedUp()).toEqual({
    first: { done: false, value: { column1: 1 } },
    raw: { done: false, value: [2] },
    third: { column1: 3 },
    rest: [[4], [5]],
    none: [],
    end: { done: true, value: undefined },
  });
  expect(await a.oneOfRest()).toEqual({ column1: 2 });
  expect(await a.counts()).toEqual([
    [0, 2, []],
    [2, 2, ["v"]],
    [2, 0, ["v"]],
  ]);
});

test("its errors have the texts of a Durable Object", async () => {
  const a = await site();
  const expected = "Expected exactly one result from SQL query, but got";
  expect((await failureOf(a.one("SELECT 1 WHERE 0"))).message).toBe(`${expected} no results.`);
  expect((await failureOf(a.one("VALUES (1), (2)"))).message).toBe(`${expected} multiple results.`);
  expect((await failureOf(a.one("-- nothing"))).message).toBe("SQL code did not contain a statement.");
});

test("PRAGMA foreign_keys is taken without effect; a DROP TABLE that relies on it is refused where rows would be lost", async () => {
  const child = (action: string, row: string) =>
    `CREATE TABLE child (up INTEGER REFERENCES parent (id) ${action}); INSERT INTO child VALUES (${row})`;
  for (const pragma of ["PRAGMA foreign_keys=OFF", "PRAGMA main.foreign_keys = 0", "pragma foreign_keys('no')"]) {
    const failure = await failureOf((await site()).makeAnew(pragma, child("ON DELETE CASCADE", "1")));
    expect(failure, pragma).toMatchObject({ code: "SQL_DENIED", message: expect.stringContaining("child") as unknown });
  }
  const off = "PRAGMA foreign_keys = OFF";
  expect(await codeOf((await site()).makeAnew(off, child("ON DELETE SET NULL", "1")))).toBe("SQL_DENIED");
  // SQLite's own refusal.
  expect(await codeOf((await site()).makeAnew(off, child("", "1")))).toBe("SQL_CONSTRAINT");
  for (const harmless of [child("ON DELETE CASCADE", "NULL"), "CREATE TABLE other (up)"]) {
    expect(await (await site()).makeAnew(off, harmless)).toBe(1);
  }
  // Who has not said it means it.
  expect(await (await site()).makeAnew("PRAGMA foreign_keys = ON", child("ON DELETE CASCADE", "1"))).toBe(1);
});
