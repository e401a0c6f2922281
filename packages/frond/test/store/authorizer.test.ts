// The list of what SQL may do in a cell, tried on real SQLite: each statement that is denied, and each that only looks as
// if it should be.

import type { DatabaseSync } from "node:sqlite";
import { describe, expect, test } from "vitest";
import { SqlGuard } from "../../src/store/authorizer.ts";
import { openGuarded } from "./guarded.ts";

const SCHEMA = `
  CREATE TABLE _frond_kv (key TEXT PRIMARY KEY, value) WITHOUT ROWID;
  CREATE INDEX _frond_kv_value ON _frond_kv (value);
  INSERT INTO _frond_kv VALUES ('secret', 1);
  CREATE TABLE t (id INTEGER PRIMARY KEY AUTOINCREMENT, a TEXT UNIQUE, b);
  CREATE TABLE child (t INTEGER REFERENCES t (id) ON DELETE CASCADE ON UPDATE CASCADE);
  CREATE TABLE log (line);
  CREATE TABLE doomed (x, y);
  CREATE INDEX t_b ON t (b);
  CREATE VIEW v AS SELECT a, b FROM t;
  CREATE TRIGGER v_insert INSTEAD OF INSERT ON v BEGIN INSERT INTO t (a, b) VALUES (new.a, new.b); END;
  CREATE TRIGGER t_insert AFTER INSERT ON t BEGIN INSERT INTO log VALUES (new.a); END;
  CREATE VIRTUAL TABLE f USING fts5(body);
  CREATE VIRTUAL TABLE words USING fts5vocab(f, row);
  CREATE VIRTUAL TABLE box USING rtree(id, x0, x1);
  INSERT INTO t (id, a, b) VALUES (1, 'one', 1), (2, 'two', 2), (3, 'three', 3);
  INSERT INTO child VALUES (1), (3);
  INSERT INTO f VALUES ('hello world'), ('hello there');
  INSERT INTO box VALUES (1, 0, 5)`;

const DENIED: readonly (readonly [string, RegExp])[] = [
  ["BEGIN", /this\.transaction\(\(\) => /],
  ["begin immediate", /this\.transaction/],
  ["/* x */ COMMIT", /this\.transaction/],
  ["END TRANSACTION", /this\.transaction/],
  ["ROLLBACK", /throw to undo/],
  ["ROLLBACK TO x", /this\.transaction/],
  ["SAVEPOINT x", /this\.transaction/],
  ["RELEASE x", /this\.transaction/],
  ["EXPLAIN BEGIN", /this\.transaction/],
  ["ATTACH ':memory:' AS other", /this\.get\(Class, name\)/],
  ["DETACH main", /this\.get/],
  ["VACUUM", /this\.vacuum\(\)/],
  ["VACUUM INTO 'never.db'", /this\.vacuum\(\)/],
  ["CREATE TEMP TABLE x (a)", /TEMP/],
  ["CREATE TEMPORARY VIEW x AS SELECT 1", /TEMP/],
  ["CREATE TEMP TRIGGER x AFTER INSERT ON t BEGIN SELECT 1; END", /TEMP/],
  ["CREATE TABLE temp.x (a)", /TEMP/],
  ["CREATE VIRTUAL TABLE temp.x USING fts5(a)", /TEMP/],
  ["SELECT load_extension('x')", /load_extension/],
  ["SELECT fts3_tokenizer('simple')", /fts3_tokenizer/],
  ["CREATE VIRTUAL TABLE x USING fts4(a)", /fts5/],
  ["CREATE VIRTUAL TABLE x USING dbstat", /fts5/],
  ["CREATE VIRTUAL TABLE x USING csv(a)", /fts5/],
  ["PRAGMA journal_mode = DELETE", /PRAGMA journal_mode/],
  ["PRAGMA main.wal_checkpoint", /PRAGMA wal_checkpoint/],
  ["PRAGMA writable_schema = ON", /PRAGMA writable_schema/],
  ["PRAGMA foreign_keys = OFF", /can be read but not set/],
  ["PRAGMA user_version = 7", /can be read but not set/],
  ["PRAGMA user_version(7)", /can be read but not set/],
  ["EXPLAIN PRAGMA defer_foreign_keys = ON", /leave out EXPLAIN/],
  ["EXPLAIN QUERY PLAN PRAGMA optimize", /leave out EXPLAIN/],
  ["SELECT * FROM pragma_journal_mode", /PRAGMA journal_mode/],
  ["SELECT * FROM pragma_optimize", /not part of a query/],
  ["SELECT * FROM pragma_defer_foreign_keys", /not part of a query/],
  ["SELECT * FROM _frond_kv", /_frond_/],
  ["SELECT count(*) FROM main._FROND_KV", /_frond_/],
  ['SELECT 1 FROM t, "_Frond_kv" x', /_frond_/],
  ["WITH x AS (SELECT value FROM [_frond_kv]) SELECT * FROM x", /_frond_/],
  ["SELECT (SELECT value FROM _frond_kv)", /_frond_/],
  ["INSERT INTO _frond_kv VALUES (1, 2)", /_frond_/],
  ["INSERT INTO log SELECT value FROM _frond_kv", /_frond_/],
  ["REPLACE INTO _frond_kv VALUES ('secret', 2)", /_frond_/],
  ["UPDATE _frond_kv SET value = 2", /_frond_/],
  ["UPDATE t SET a = (SELECT value FROM _frond_kv)", /_frond_/],
  ["DELETE FROM _frond_kv", /_frond_/],
  ["DROP TABLE _frond_kv", /_frond_/],
  ["DROP INDEX _frond_kv_value", /_frond_/],
  ["CREATE TABLE _frond_x (a)", /_frond_/],
  ["CREATE TABLE '_frond_x' (a)", /_frond_/],
  ["CREATE TABLE x AS SELECT * FROM _frond_kv", /_frond_/],
  ["CREATE TABLE x (a REFERENCES _frond_kv ON DELETE CASCADE)", /_frond_/],
  ["CREATE VIEW _frond_x AS SELECT 1", /_frond_/],
  ["CREATE VIEW x AS SELECT * FROM `_frond_kv`", /_frond_/],
  ["CREATE INDEX x ON _frond_kv (value)", /_frond_/],
  ["CREATE INDEX _frond_x ON t (b)", /_frond_/],
  ["CREATE TRIGGER x AFTER INSERT ON _frond_kv BEGIN SELECT 1; END", /_frond_/],
  ["CREATE TRIGGER x AFTER INSERT ON t BEGIN DELETE FROM _frond_kv; END", /_frond_/],
  ["CREATE TRIGGER _frond_x AFTER INSERT ON t BEGIN SELECT 1; END", /_frond_/],
  ["CREATE VIRTUAL TABLE _frond_x USING fts5(a)", /_frond_/],
  ["CREATE VIRTUAL TABLE x USING fts5(value, content='_frond_kv')", /_frond_/],
  ["ALTER TABLE _frond_kv RENAME TO x", /_frond_/],
  ["ALTER TABLE _frond_kv ADD COLUMN x", /_frond_/],
  ["ALTER TABLE t RENAME TO _frond_x", /_frond_/],
  ["ALTER TABLE t RENAME TO '_FROND_x'", /_frond_/],
];

/** Statements that change the database of SCHEMA. */
const WRITES = [
  "INSERT INTO t (a, b) VALUES ('four', 4)",
  "INSERT INTO t (a, b) VALUES ('four', 4) RETURNING id, a",
  "INSERT INTO t (a) VALUES ('one') ON CONFLICT (a) DO UPDATE SET b = 9",
  "INSERT OR REPLACE INTO t (id, a) VALUES (1, 'uno')",
  "INSERT OR IGNORE INTO log VALUES (1)",
  "REPLACE INTO t (id, a) VALUES (2, 'due')",
  "WITH x AS (SELECT 'w' AS a) INSERT INTO t (a) SELECT a FROM x",
  "WITH RECURSIVE x(n) AS (VALUES (1) UNION ALL SELECT n + 1 FROM x WHERE n < 9) INSERT INTO log SELECT n FROM x",
  "INSERT INTO v VALUES ('view', 1)",
  "INSERT INTO log DEFAULT VALUES",
  "UPDATE t SET b = b + 1",
  "UPDATE t SET id = id + 10 WHERE id = 1",
  "UPDATE t SET b = l.n FROM (SELECT 5 AS n) l RETURNING *",
  "WITH x AS (SELECT 1 AS id) UPDATE t SET b = 7 WHERE id IN x",
  "DELETE FROM t WHERE id = 1",
  "DELETE FROM t",
  "WITH x AS (SELECT 1 AS id) DELETE FROM t WHERE id IN x RETURNING a",
  "UPDATE sqlite_sequence SET seq = 100",
  "CREATE TABLE x (a)",
  "CREATE TABLE IF NOT EXISTS x AS SELECT * FROM t",
  "CREATE UNIQUE INDEX x ON t (a, b)",
  "CREATE VIEW x AS SELECT * FROM t",
  "CREATE TRIGGER x AFTER DELETE ON t BEGIN INSERT INTO log VALUES (old.a); END",
  "CREATE VIRTUAL TABLE x USING fts5(a, content='t', content_rowid='id')",
  "CREATE VIRTUAL TABLE x USING fts5vocab('f', 'instance')",
  "CREATE VIRTUAL TABLE x USING rtree_i32(id, a, b)",
  "DROP TABLE t",
  "DROP TABLE doomed",
  "DROP TABLE f",
  "DROP TABLE box",
  "DROP INDEX t_b",
  "DROP VIEW v",
  "DROP TRIGGER t_insert",
  "ALTER TABLE t RENAME TO t2",
  "ALTER TABLE child RENAME COLUMN t TO parent",
  "ALTER TABLE t ADD COLUMN c TEXT DEFAULT 'x'",
  "ALTER TABLE doomed DROP COLUMN y",
  "ALTER TABLE f RENAME TO f2",
  "REINDEX",
  "REINDEX t_b",
  "ANALYZE",
  "ANALYZE t",
  "INSERT INTO f VALUES ('third')",
  "INSERT INTO f (f) VALUES ('optimize')",
  "INSERT INTO f (f) VALUES ('rebuild')",
  "INSERT INTO f (f, rank) VALUES ('automerge', 2)",
  "INSERT INTO f (f) VALUES ('integrity-check')",
  "DELETE FROM f WHERE rowid = 1",
  "UPDATE f SET body = 'changed' WHERE f MATCH 'world'",
  "INSERT INTO box VALUES (2, 0, 1)",
  "UPDATE box SET x1 = 9",
  "DELETE FROM box",
  "PRAGMA optimize",
  "PRAGMA defer_foreign_keys = ON",
];

/** Statements that read, however they look. */
const READS = [
  "SELECT * FROM t",
  "VALUES (1), (2)",
  "WITH insert_ AS (SELECT 1) SELECT * FROM insert_",
  "WITH RECURSIVE x(n) AS (VALUES (1) UNION ALL SELECT n + 1 FROM x WHERE n < 9) SELECT * FROM x",
  "SELECT * FROM v",
  "SELECT body, highlight(f, 0, '<', '>'), snippet(f, 0, '', '', '', 3), bm25(f) FROM f WHERE f MATCH 'hello' ORDER BY rank",
  "SELECT * FROM words",
  "SELECT * FROM box WHERE x0 < 3",
  "SELECT rtreecheck('box')",
  "SELECT * FROM sqlite_schema",
  "SELECT * FROM json_each('[1,2]')",
  "SELECT name, pgsize FROM dbstat",
  "SELECT * FROM pragma_table_info('t')",
  "SELECT m.name, i.name FROM sqlite_schema m, pragma_table_xinfo(m.name) i WHERE m.name = 't'",
  "SELECT last_insert_rowid(), changes(), total_changes(), random() % 10, datetime(), sqlite_version()",
  "EXPLAIN DELETE FROM t",
  "EXPLAIN QUERY PLAN UPDATE t SET b = 1",
  "EXPLAIN CREATE TABLE x (a)",
  "PRAGMA table_info(t)",
  "PRAGMA main.index_list('t')",
  "PRAGMA integrity_check",
  "PRAGMA foreign_key_check",
  "PRAGMA page_count",
  "PRAGMA user_version",
];

/** The whole database as bytes. */
function image(db: DatabaseSync): Buffer {
  return Buffer.from(db.serialize());
}

describe("what cells may not do", () => {
  test.each(DENIED)("%s", (sql, message) => {
    const { db, run } = openGuarded(SCHEMA);
    const before = image(db);
    expect(() => run(sql)).toThrow(
      expect.objectContaining({ code: "SQL_DENIED", message: expect.stringMatching(message) }),
    );
    expect(before.equals(image(db))).toBe(true);
    expect(db.isTransaction).toBe(false);
  });

  test("the schema table is SQLite's own", () => {
    const { run } = openGuarded(SCHEMA);
    expect(() => run("UPDATE sqlite_schema SET sql = ''")).toThrow(/may not be modified/);
    expect(() => run("DELETE FROM f_data")).toThrow(/may not be modified/);
  });

  test("every pragma that SQLite has is allowed to read or denied", () => {
    const { db, run } = openGuarded(SCHEMA);
    const names = db
      .prepare("PRAGMA pragma_list")
      .all()
      .map((row) => row["name"] as string);
    expect(names.length).toBeGreaterThan(50);
    const settings = () =>
      names
        .filter((name) => !/check|optimize|shrink|vacuum|_list|data_version/.test(name))
        .map((name) => [name, db.prepare(`PRAGMA ${name}`).all()]);
    // PRAGMA optimize would make the tables of ANALYZE.
    db.exec("ANALYZE");
    const before = settings();
    const allowed: string[] = [];
    for (const name of names) {
      for (const sql of [
        `PRAGMA ${name}`,
        `PRAGMA ${name} = 1`,
        `PRAGMA ${name}('t')`,
        `SELECT * FROM pragma_${name}`,
        `SELECT * FROM pragma_${name}('1')`,
      ]) {
        try {
          run(sql);
          if (sql === `PRAGMA ${name}`) allowed.push(name);
        } catch (error) {
          expect(error).toHaveProperty("code", expect.stringMatching(/^SQL_(DENIED|ERROR)$/));
        }
      }
    }
    db.exec("PRAGMA defer_foreign_keys = OFF");
    expect(settings()).toEqual(before);
    expect(allowed.sort().join(" ")).toBe(
      "application_id collation_list compile_options data_version database_list defer_foreign_keys encoding foreign_key_check " +
        "foreign_key_list foreign_keys freelist_count function_list index_info index_list index_xinfo integrity_check module_list " +
        "optimize page_count page_size pragma_list quick_check schema_version table_info table_list table_xinfo user_version",
    );
  });
});

describe("what a statement does", () => {
  test.each(WRITES)("writes: %s", (sql) => {
    const { db, statements } = openGuarded(SCHEMA);
    const prepared = statements.prepare(sql);
    expect(prepared.writes).toBe(true);
    expect(prepared.schema).toBe(/^(CREATE|DROP|ALTER|ANALYZE)/.test(sql));
    prepared.all([]);
    expect(db.prepare("PRAGMA integrity_check").all()).toEqual([{ integrity_check: "ok" }]);
  });

  test.each(READS)("reads: %s", (sql) => {
    const { db, statements } = openGuarded(SCHEMA);
    const reopened = openGuarded();
    const bytes = image(db);
    reopened.db.deserialize(bytes);
    // A database that was just opened connects its virtual tables while the statement is prepared.
    for (const found of [statements, reopened.statements]) {
      const prepared = found.prepare(sql);
      expect([prepared.writes, prepared.schema]).toEqual([false, false]);
      prepared.all([]);
      prepared.all([]);
    }
    expect(image(db).equals(bytes)).toBe(true);
    expect(image(reopened.db).equals(bytes)).toBe(true);
  });

  test("never claims to read what changes the database", () => {
    for (const sql of [...WRITES, ...READS]) {
      const { db, statements } = openGuarded(SCHEMA);
      const before = image(db);
      const prepared = statements.prepare(sql);
      prepared.all([]);
      if (!before.equals(image(db))) expect([sql, prepared.writes]).toEqual([sql, true]);
    }
  });

  test("foreign keys, triggers and full text search work as ever", () => {
    const { run } = openGuarded(SCHEMA);
    run("DELETE FROM t WHERE id = 1");
    run("UPDATE t SET id = 33 WHERE id = 3");
    expect(run("SELECT t FROM child")).toEqual([{ t: 33 }]);
    run("INSERT INTO v VALUES ('via view', 5)");
    expect(run("SELECT line FROM log ORDER BY rowid DESC LIMIT 1")).toEqual([{ line: "via view" }]);
    expect(run("SELECT rowid FROM f WHERE f MATCH ?", "world")).toEqual([{ rowid: 1 }]);
    expect(() => run("INSERT INTO child VALUES (99)")).toThrow(expect.objectContaining({ code: "SQL_CONSTRAINT" }));
  });
});

describe("what no text shows", () => {
  /** Things that frond itself, or an older version of it, has left behind. */
  const LEFT = `
    CREATE VIEW leak AS SELECT value FROM _frond_kv;
    CREATE TRIGGER leak_insert AFTER INSERT ON log BEGIN UPDATE _frond_kv SET value = new.line; END;
    CREATE VIRTUAL TABLE leak_search USING fts5(value, content='_frond_kv', content_rowid='value')`;

  test.each(["SELECT * FROM leak", "INSERT INTO log VALUES (2)", "SELECT value FROM leak_search WHERE rowid = 1"])(
    "%s",
    (sql) => {
      const { db, run } = openGuarded(SCHEMA + "; " + LEFT);
      expect(() => run(sql)).toThrow(
        expect.objectContaining({ code: "SQL_DENIED", message: expect.stringContaining("_frond_kv") }),
      );
      expect(db.prepare("SELECT value FROM _frond_kv").get()).toEqual({ value: 1 });
    },
  );

  test("a statement that SQLite prepares again is judged again", () => {
    const { db, statements, calls } = openGuarded(SCHEMA);
    const prepared = statements.prepare("SELECT b FROM v");
    expect(prepared.all([])).toHaveLength(3);
    db.exec("DROP VIEW v; CREATE VIEW v AS SELECT value AS b FROM _frond_kv");
    const before = calls();
    expect(() => prepared.all([])).toThrow(expect.objectContaining({ code: "SQL_DENIED" }));
    expect(() => prepared.run([])).toThrow(expect.objectContaining({ code: "SQL_DENIED" }));
    expect(calls()).toBeGreaterThan(before);
    db.exec("DROP VIEW v; CREATE VIEW v AS SELECT a, b FROM t");
    expect(prepared.all([])).toHaveLength(3);
  });

  test("frond's own statements are not judged, also when SQLite prepares them again", () => {
    const { db, run, calls } = openGuarded(SCHEMA);
    const own = [
      "BEGIN IMMEDIATE",
      "SELECT value FROM _frond_kv",
      "UPDATE _frond_kv SET value = value + 1",
      "COMMIT",
    ].map((sql) => db.prepare(sql));
    const runOwn = () => own.map((statement) => statement.all());
    runOwn();
    for (const sql of [
      "CREATE TABLE x (a)",
      "ALTER TABLE t ADD COLUMN c",
      "ANALYZE",
      "PRAGMA defer_foreign_keys = ON",
      "DROP TABLE x",
    ]) {
      run(sql);
      const before = calls();
      runOwn();
      expect([sql, calls() > before]).toEqual([sql, true]);
      expect(() => run("BEGIN")).toThrow();
      runOwn();
    }
    db.exec("BEGIN; ROLLBACK; VACUUM");
  });
});

describe("SqlGuard", () => {
  const judge = (guard: SqlGuard, db: DatabaseSync, sql: string) => {
    guard.beginStatement(sql);
    try {
      db.prepare(sql);
    } catch {
      // The verdict tells why.
    }
    return guard.takeVerdict();
  };

  test("judges one statement at a time and leaves no trace of it", () => {
    const { db } = openGuarded(SCHEMA);
    const guard = new SqlGuard();
    db.setAuthorizer(guard.callback);
    expect(guard.internal).toBe(true);
    guard.beginStatement("INSERT INTO t (a) VALUES (1)");
    expect(guard.internal).toBe(false);
    guard.takeVerdict();
    expect(judge(guard, db, "DROP TABLE _frond_kv").denied).toContain("_frond_kv");
    expect(judge(guard, db, "CREATE TABLE x (a)")).toEqual({ writes: true, schema: true, denied: undefined });
    expect(judge(guard, db, "INSERT INTO t (a) VALUES (1)")).toEqual({
      writes: true,
      schema: false,
      denied: undefined,
    });
    expect(judge(guard, db, "SELECT * FROM t")).toEqual({ writes: false, schema: false, denied: undefined });
    guard.enter();
    expect(guard.internal).toBe(false);
    expect(guard.leave()).toBeUndefined();
    expect(guard.internal).toBe(true);
  });

  test("an action that is not on the list is denied", () => {
    const guard = new SqlGuard();
    guard.beginStatement("SELECT 1");
    expect(guard.callback(9999, null, null, null)).not.toBe(0);
    expect(guard.takeVerdict().denied).toContain("9999");
  });
});
