// this.sql and ctx.storage.sql inside a cell: the forms, cursors, the check of values, the allow-list.
// What the checks and the allow-list say case by case is tried in test/store; here, that cells run under them.

import { expect, test } from "vitest";
import { Cell } from "../../src/cell/cell.ts";
import type { SqlCursor } from "../../src/cell/sqlStorage.ts";
import { codeOf, failureOf, openCells } from "./nodes.ts";

class Base extends Cell {
  static override migrations = [
    `CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT, n INTEGER) STRICT;
     CREATE TABLE loose (v);
     INSERT INTO t VALUES (1, 'one', 10), (2, 'two', 20), (3, 'three', 30)`,
  ];
  forms() {
    const { sql } = this;
    const insert = sql`INSERT INTO t (name, n) VALUES (${"four"}, ${40})`;
    const update = sql`UPDATE t SET n = n + 1 WHERE id > ${2}`;
    return {
      insert,
      changes: update.changes,
      all: sql.all`SELECT id, n FROM t WHERE id IN (${1}, ${3}) ORDER BY id`,
      first: sql.first`SELECT name FROM t ORDER BY id DESC`,
      none: sql.first`SELECT name FROM t WHERE id = ${99}`,
      one: sql.one`SELECT count(*) AS n FROM t`,
      returning: sql.one`INSERT INTO t (name) VALUES (${"five"}) RETURNING id, name`,
    };
  }
  oneOf(count: number) {
    return this.sql.one`SELECT id FROM t LIMIT ${count}`;
  }
  quoted() {
    // What stands in ${} is a value wherever it stands, never SQL.
    return this.sql.all`SELECT id FROM t WHERE name = ${"one' OR 1 = 1 --"}`;
  }
  rowsOfTag() {
    return this.sql`SELECT 1`;
  }
  plainCall() {
    return (this.sql as unknown as (text: string) => unknown)("SELECT 1");
  }
  exec(query: string, ...bindings: unknown[]) {
    return this.ctx.storage.sql.exec(query, ...bindings).toArray();
  }
  cursors() {
    const { sql } = this.ctx.storage;
    const cursor = () => sql.exec<{ id: number; name: string }>("SELECT id, name FROM t WHERE id < 4 ORDER BY id");
    const partly = cursor();
    const iterated: number[] = [];
    for (const row of cursor()) iterated.push(row.id);
    const counted = cursor();
    return {
      columnNames: cursor().columnNames,
      rowsRead: counted.rowsRead,
      iterated,
      first: partly.next(),
      rest: partly.toArray(),
      after: partly.toArray(),
      end: partly.next(),
      raw: [...cursor().raw()],
      one: sql.exec("SELECT max(id) AS id FROM t").one(),
      written: sql.exec("UPDATE t SET n = 0 WHERE id < 3").rowsWritten,
      returned: sql.exec("DELETE FROM t WHERE id > 100 RETURNING id").toArray(),
      twice: [...sql.exec("SELECT 1 AS a, 2 AS a").raw()],
      twiceNames: sql.exec("SELECT 1 AS a, 2 AS a").columnNames,
      size: sql.databaseSize % 1024,
    };
  }
  oneOfCursor(count: number) {
    return this.ctx.storage.sql.exec("SELECT id FROM t LIMIT ?", count).one();
  }
  keptCursor(): unknown[] {
    const cursor: SqlCursor = this.ctx.storage.sql.exec("SELECT id FROM t WHERE id < 4 ORDER BY id");
    this.sql`DELETE FROM t`;
    return [...cursor];
  }
  script() {
    return this.ctx.storage.sql
      .exec(
        `CREATE TABLE s (v TEXT) STRICT; -- a comment; with a semicolon
         INSERT INTO s VALUES ('a;b');
         CREATE TRIGGER again AFTER INSERT ON s WHEN new.v = 'x' BEGIN INSERT INTO s VALUES ('y'); INSERT INTO s VALUES ('z'); END;
         INSERT INTO s VALUES ('x');
         SELECT v FROM s WHERE v <> ? ORDER BY v`,
        "y",
      )
      .toArray();
  }
  brokenScript() {
    this.ctx.storage.sql.exec("INSERT INTO t (name) VALUES ('scripted'); INSERT INTO nowhere VALUES (1)");
  }
  bind(value: unknown) {
    this.sql`INSERT INTO t (name) VALUES (${value})`;
  }
  bindLoose(value: unknown) {
    this.sql`INSERT INTO loose VALUES (${value})`;
    return this.sql.one<{ type: string }>`SELECT typeof(v) AS type FROM loose ORDER BY rowid DESC LIMIT 1`.type;
  }
  count() {
    return this.sql.one<{ n: number }>`SELECT count(*) AS n FROM t`.n;
  }
  bigResult() {
    return this.sql.all`WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < 100)
      SELECT zeroblob(1000000) AS b FROM c`.length;
  }
}

async function base() {
  const opened = await openCells({ base: Base });
  return { ...opened, a: opened.get(Base, "a") };
}

test("this.sql runs statements, and reads all rows, the first or the only one", async () => {
  const { a } = await base();
  expect(await a.forms()).toEqual({
    insert: { changes: 1, lastRowId: 4 },
    changes: 2,
    all: [
      { id: 1, n: 10 },
      { id: 3, n: 31 },
    ],
    first: { name: "four" },
    none: undefined,
    one: { n: 4 },
    returning: { id: 5, name: "five" },
  });
  expect(await a.quoted()).toEqual([]);
  expect(await codeOf(a.oneOf(0))).toBe("SQL_ONE_ROW");
  expect(await codeOf(a.oneOf(2))).toBe("SQL_ONE_ROW");
  expect((await failureOf(a.rowsOfTag())).message).toContain("sql.all");
  expect(await codeOf(a.plainCall())).toBe("SQL_ERROR");
});

test("a cursor has the shape of a Durable Object's and holds its rows", async () => {
  const { a } = await base();
  expect(await a.cursors()).toEqual({
    columnNames: ["id", "name"],
    rowsRead: 3,
    iterated: [1, 2, 3],
    first: { done: false, value: { id: 1, name: "one" } },
    rest: [
      { id: 2, name: "two" },
      { id: 3, name: "three" },
    ],
    after: [],
    end: { done: true, value: undefined },
    raw: [
      [1, "one"],
      [2, "two"],
      [3, "three"],
    ],
    one: { id: 3 },
    written: 2,
    returned: [],
    twice: [[1, 2]],
    twiceNames: ["a", "a"],
    size: 0,
  });
  expect(await codeOf(a.oneOfCursor(0))).toBe("SQL_ONE_ROW");
  expect(await codeOf(a.oneOfCursor(2))).toBe("SQL_ONE_ROW");
  expect(await a.keptCursor()).toEqual([{ id: 1 }, { id: 2 }, { id: 3 }]);
});

test("exec runs several statements, the bindings belong to the last one", async () => {
  const { a } = await base();
  expect(await a.script()).toEqual([{ v: "a;b" }, { v: "x" }, { v: "z" }]);
  expect(await codeOf(a.brokenScript())).toBe("SQL_ERROR");
  expect(await a.count()).toBe(3);
  for (const empty of ["", "  ;; -- nothing", 5 as unknown as string])
    expect(await codeOf(a.exec(empty))).toBe("SQL_ERROR");
  expect(await codeOf(a.exec("SELECT ?"))).toBe("BAD_VALUE");
});

test("wrong values are refused where they are written, naming the parameter and the column", async () => {
  const { a } = await base();
  const wrong = [undefined, Number.NaN, new Date(0), "half \ud800", "nul \0", 5, 5n, true, {}, [1], 2n ** 64n];
  for (const value of wrong) {
    const failure = await failureOf(a.bind(value));
    expect(failure.code).toBe("BAD_VALUE");
    expect(failure.message).toMatch(/^parameter 1 \(t\.name\) /);
  }
  expect(await a.count()).toBe(3);
  await a.bind(null);
  await a.bind("text");
  const types = [];
  for (const value of [5, 5.5, 7n, true, "x", new Uint8Array(2), null]) types.push(await a.bindLoose(value));
  expect(types).toEqual(["integer", "real", "integer", "integer", "text", "blob", "null"]);
});

test("SQL that would reach for the runtime's own is denied, and says what to use instead", async () => {
  const { a } = await base();
  const denied = [
    "BEGIN",
    "COMMIT",
    "ROLLBACK",
    "SAVEPOINT s",
    "RELEASE s",
    "ATTACH 'other.db' AS other",
    "VACUUM",
    "CREATE TEMP TABLE x (v)",
    "PRAGMA journal_mode = DELETE",
    "PRAGMA locking_mode = NORMAL",
    "PRAGMA page_size = 4096",
    "SELECT * FROM _frond_migration",
    "CREATE TABLE _frond_own (v)",
    "SELECT load_extension('x')",
  ];
  for (const sql of denied) expect(await codeOf(a.exec(sql)), sql).toBe("SQL_DENIED");
  expect((await failureOf(a.exec("BEGIN"))).message).toContain("this.transaction");
  expect(await a.exec("SELECT name FROM pragma_table_info('t')")).toHaveLength(3);
  expect(await a.exec("PRAGMA table_info(t)")).toHaveLength(3);
  expect(await a.count()).toBe(3);
});

test("a result above the limit fails instead of taking the process along", async () => {
  const { a } = await base();
  expect(await codeOf(a.bigResult())).toBe("RESULT_TOO_LARGE");
  expect(await a.count()).toBe(3);
});
