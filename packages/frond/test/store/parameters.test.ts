// Where a parameter's value arrives: resolved by frond, checked against what SQLite stores.

import { DatabaseSync } from "node:sqlite";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { ColumnInfo } from "../../src/store/parameters.ts";
import { affinityOf, resolveParameters } from "../../src/store/parameters.ts";
import { openGuarded } from "./guarded.ts";

const COLUMNS: readonly ColumnInfo[] = [
  { name: "id", type: "INTEGER" },
  { name: "a", type: "TEXT" },
  { name: "odd name", type: "REAL" },
  { name: "c", type: "" },
];

/** The columns that each parameter of `sql` goes to; "-" for none. */
function targets(sql: string): string {
  const found = resolveParameters(sql, (table) => (table.toLowerCase() === "t" ? COLUMNS : undefined));
  return found.map((target) => target?.column ?? "-").join(" ");
}

describe("resolveParameters", () => {
  test.each([
    ["INSERT INTO t VALUES (?, ?, ?, ?)", "id a odd name c"],
    ["INSERT INTO t VALUES (?, 'x', ?, 1), (NULL, ?, ?, ?);", "id odd name a odd name c"],
    ["insert or replace into main.T (c, A) values (?, ?)", "c a"],
    ['REPLACE INTO "t" AS x ("odd name", [a], `c`, \'id\') VALUES (?, ?, ?, ?)', "odd name a c id"],
    [
      "WITH RECURSIVE x(n) AS (SELECT ?), y AS NOT MATERIALIZED (SELECT 1) INSERT INTO t (a) VALUES (?) RETURNING ?",
      "- a -",
    ],
    ["INSERT INTO t (a, c) VALUES (?2, ?1)", "c a"],
    [
      "INSERT INTO t (a, c) VALUES (?, ?) ON CONFLICT (id) WHERE ? DO UPDATE SET a = ?, c = ? WHERE id = ?",
      "a c - a c -",
    ],
    [
      "INSERT INTO t (a) VALUES (?) ON CONFLICT (id) DO UPDATE SET a = ? ON CONFLICT DO UPDATE SET (c, a) = (?, ?)",
      "a a c a",
    ],
    ["INSERT INTO t (a) SELECT ? WHERE true ON CONFLICT DO UPDATE SET c = ?", "- c"],
    ["UPDATE t SET a = ?, c = ? WHERE id = ? RETURNING ?", "a c - -"],
    ["UPDATE OR IGNORE t AS x NOT INDEXED SET (a, c) = (?, ?), id == ? FROM y WHERE y.b = ?", "a c id -"],
    ["UPDATE t SET a = ? LIMIT ?", "a -"],
    // Not directly a value, or not certain: no target.
    ["SELECT ?, ?", "- -"],
    ["DELETE FROM t WHERE a = ?", "-"],
    ["EXPLAIN INSERT INTO t (a) VALUES (?)", "-"],
    ["INSERT INTO t (a, c) VALUES (lower(?), ? + 1)", "- -"],
    ["INSERT INTO t (a, c) VALUES ((?), +?)", "- -"],
    ["INSERT INTO t (a) SELECT ?", "-"],
    ["INSERT INTO t (a) VALUES (?) UNION SELECT ?", "- -"],
    ["INSERT INTO t (a) SELECT * FROM (VALUES (?))", "-"],
    ["INSERT INTO t (a, c) VALUES (?)", "-"],
    ["INSERT INTO t (a, c) VALUES (?1, ?1)", "-"],
    ["INSERT INTO t (a) VALUES (?1) RETURNING ?1 / 2", "-"],
    ["INSERT INTO t (rowid, nothing) VALUES (?, ?)", "- -"],
    ["INSERT INTO other (a) VALUES (?)", "-"],
    ["INSERT INTO temp.t (a) VALUES (?)", "-"],
    ["INSERT INTO t DEFAULT VALUES RETURNING ?", "-"],
    ["UPDATE t SET a = ? || 'x', c = (?), id = ?", "- - id"],
    ["UPDATE t SET a = CASE WHEN ? THEN ? ELSE c END, c = ?", "- - c"],
    ["UPDATE t SET a = c IS NOT DISTINCT FROM ?, c = ?", "- -"],
    ["UPDATE t SET (a) = ? + 1, (c) = ?, (id) = (?)", "- c id"],
    ["UPDATE t SET (a, c) = (SELECT ?, ?), id = ?", "- - id"],
    ["UPDATE t SET (a, c) = (VALUES (?, ?))", "- -"],
    ["UPDATE t SET (a, c) = (?, ? + 1)", "a -"],
    ["UPDATE t SET a = c = ?", "-"],
    ["UPDATE t SET a = (SELECT a FROM t WHERE c = ?), c = max(?, 1)", "- -"],
    ["CREATE TABLE x AS SELECT ?", "-"],
    ["WITH replace AS (SELECT ?) SELECT ?", "- -"],
    ["SELECT ?3, '?', \"?\" /* ? */ -- ?\n", "- - -"],
    ["SELECT ?4000000000", ""],
    ["SELECT a$b, x$1", ""],
    ["SELECT 1", ""],
    ["", ""],
  ])("%s", (sql, expected) => {
    expect(targets(sql)).toBe(expected);
  });

  test("names table, column and affinity", () => {
    const found = resolveParameters('UPDATE t SET "ODD NAME" = ?', () => COLUMNS);
    expect(found).toEqual([{ table: "t", column: "odd name", affinity: "real" }]);
  });

  // Every parameter is given a text of its own; a target is right if that text is then in that column.
  test("a target is where the value arrives", () => {
    const value = fc.constantFrom(
      "?",
      "?",
      "?",
      "'x'",
      "? || ''",
      "(?)",
      "lower(?)",
      "CASE WHEN true THEN ? END",
      "(SELECT ?)",
    );
    const column = fc.constantFrom("a", "b", '"B"', "c", "[d,d]", "`e``e`");
    const columns = fc.uniqueArray(column, {
      minLength: 1,
      maxLength: 5,
      selector: (name) => name.toLowerCase().replaceAll('"', ""),
    });
    // Some columns as one list, the others one by one.
    const set = fc
      .tuple(columns, fc.array(value, { minLength: 5, maxLength: 5 }), fc.nat(5))
      .map(([names, items, listed]) => {
        const list = names.slice(0, listed);
        const rest = names.slice(listed).map((name, i) => `${name} = ${items[listed + i]}`);
        if (list.length > 0) rest.unshift(`(${list.join(", ")}) = (${items.slice(0, list.length).join(", ")})`);
        return rest.join(", ");
      });
    const insert = fc
      .tuple(
        columns,
        fc.constantFrom("INSERT", "REPLACE", "INSERT OR IGNORE", "WITH z AS (SELECT ?) INSERT"),
        fc.boolean(),
      )
      .chain(([names, verb, isQuery]) =>
        fc.array(value, { minLength: names.length, maxLength: names.length }).map((items) => {
          const source = isQuery ? `SELECT ${items.join(", ")}` : `VALUES (${items.join(", ")})`;
          return `${verb} INTO t (${names.join(", ")}) ${source} RETURNING *, ?`;
        }),
      );
    const upsert = set.map(
      (sets) => `INSERT INTO t (id, a) VALUES (1, 'x') ON CONFLICT (id) DO UPDATE SET ${sets} RETURNING *`,
    );
    const update = set.map((sets) => `UPDATE t SET ${sets} WHERE id = 1 AND ? IS NOT NULL RETURNING *`);
    fc.assert(
      fc.property(fc.oneof(insert, upsert, update), (sql) => {
        const db = new DatabaseSync(":memory:");
        db.exec('CREATE TABLE t (id INTEGER PRIMARY KEY, a, b, c, "d,d", `e``e`); INSERT INTO t (id) VALUES (1)');
        const names = ["id", "a", "b", "c", "d,d", "e`e"];
        const found = resolveParameters(sql, () => names.map((name) => ({ name, type: "" })));
        const values = found.map((_, i) => `value ${i + 1}`);
        const row = db.prepare(sql).get(...values);
        db.close();
        found.forEach((target, i) => {
          if (target !== null) expect(row?.[target.column]).toBe(values[i]);
        });
        if (/^UPDATE t SET \S+ = \?(,| WHERE)/.test(sql)) expect(found[0]).not.toBeNull();
      }),
      { numRuns: 1000 },
    );
  });

  test("finds the columns of real tables, and none of views and virtual tables", () => {
    const { statements } = openGuarded(`
      CREATE TABLE t (a TEXT, b ANY, g AS (a || b), c VARCHAR(9));
      CREATE TABLE s (a TEXT, b ANY, c INT) STRICT;
      CREATE VIEW v AS SELECT a, b FROM t;
      CREATE TRIGGER tr INSTEAD OF INSERT ON v BEGIN INSERT INTO t (a) VALUES (new.a); END;
      CREATE VIRTUAL TABLE f USING fts5(a)`);
    const affinities = (sql: string) =>
      statements
        .prepare(sql)
        .targets.map((target) => target?.affinity ?? "-")
        .join(" ");
    expect(affinities("INSERT INTO t VALUES (?, ?, ?)")).toBe("text numeric text");
    expect(affinities("INSERT INTO S VALUES (?, ?, ?)")).toBe("text blob integer");
    expect(affinities("INSERT INTO v VALUES (?, ?)")).toBe("- -");
    expect(affinities("INSERT INTO f VALUES (?)")).toBe("-");
  });
});

describe("affinityOf", () => {
  test("is what SQLite makes of a declared type", () => {
    const piece = fc.constantFrom(
      "INT",
      "CHAR",
      "CLOB",
      "TEXT",
      "BLOB",
      "REAL",
      "FLOA",
      "DOUB",
      "date",
      "x",
      "Point",
      "(3,2)",
      "ANY",
      "bool",
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 3 }), (pieces) => {
        const type =
          pieces.filter((text) => text !== "(3,2)").join(" ") +
          (pieces.includes("(3,2)") && pieces[0] !== "(3,2)" ? "(3,2)" : "");
        const db = new DatabaseSync(":memory:");
        db.exec(`CREATE TABLE t (c ${type})`);
        const declared = db.prepare("SELECT type FROM pragma_table_xinfo('t')").get()?.["type"] as string;
        const insert = db.prepare("INSERT INTO t VALUES (?) RETURNING typeof(c) AS type");
        const types = [insert.get("5")?.["type"], insert.get(5n)?.["type"], insert.get(5.5)?.["type"]].join();
        // INTEGER and NUMERIC differ in a CAST only.
        const cast = db.prepare(`SELECT typeof(CAST('5.5' AS ${type === "" ? "BLOB" : type})) AS type`).get()?.["type"];
        db.close();
        const expected: Record<string, string> = {
          "text,text,text": "text",
          "integer,integer,real": cast === "integer" ? "integer" : "numeric",
          "real,real,real": "real",
          "text,integer,real": "blob",
        };
        expect(affinityOf(declared)).toBe(expected[types]);
      }),
      { numRuns: 500 },
    );
  });
});
