// Statements as cells run them, on real SQLite: arguments, rows, bounds, and what a failed one leaves behind.

import { execFileSync } from "node:child_process";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { DatabaseSync } from "node:sqlite";
import { pathToFileURL } from "node:url";
import { describe, expect, onTestFinished, test } from "vitest";
import { FrondError } from "../../src/errors.ts";
import { MAX_PARAMETERS, MAX_RESULT_BYTES, MAX_SQL_LENGTH, STATEMENTS_PER_CELL } from "../../src/limits.ts";
import { isSqliteIoError, wrapSqlError } from "../../src/store/sqlerror.ts";
import { openGuarded } from "./guarded.ts";

const SCHEMA = `
  CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT UNIQUE, n INTEGER NOT NULL DEFAULT 0 CHECK (n >= 0)) STRICT;
  WITH RECURSIVE c(x) AS (VALUES (1) UNION ALL SELECT x + 1 FROM c WHERE x < 300) INSERT INTO t SELECT x, 'a' || x, x FROM c`;
const ENDLESS = "WITH RECURSIVE c(x) AS (VALUES (1) UNION ALL SELECT x + 1 FROM c) SELECT x FROM c";

function code(expected: string, message: RegExp = /./): unknown {
  return expect.objectContaining({ code: expected, message: expect.stringMatching(message) });
}

function temporaryFolder(): string {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "frond-statements-"));
  onTestFinished(() => fs.rmSync(folder, { recursive: true }));
  return folder;
}

describe("one statement", () => {
  test.each<[string, RegExp]>([
    ["", /no statement/],
    [" -- nothing\n;", /no statement/],
    ["SELECT 1; SELECT 2", /^2 statements in one text/],
    ["SELECT 1; DROP TABLE t; SELECT 2;", /^3 statements in one text/],
    ["SELECT 1;\0 SELECT 2", /NUL/],
    ["SELECT '\ud800'", /surrogate/],
    ["SELECT :a", /named parameter :a: write \?/],
    ["SELECT $a", /named parameter \$a/],
    ["SELECT @a, ?", /named parameter @a/],
    [`SELECT '${"x".repeat(MAX_SQL_LENGTH)}'`, /longer than 1000000/],
    [`SELECT ?${MAX_PARAMETERS + 1}`, /variable number must be between/],
    ["SELEC 1", /near "SELEC": syntax error \(SQLite code 1\) in: SELEC 1/],
    ["SELECT * FROM nowhere", /no such table: nowhere/],
  ])("%.40s", (sql, message) => {
    const { statements } = openGuarded(SCHEMA);
    expect(() => statements.prepare(sql)).toThrow(code("SQL_ERROR", message) as Error);
  });

  test("text of the greatest length and a statement with the most parameters run", () => {
    const { run } = openGuarded();
    const comment = `SELECT 1 AS one -- ${"x".repeat(MAX_SQL_LENGTH)}`.slice(0, MAX_SQL_LENGTH);
    expect(run(comment)).toEqual([{ one: 1 }]);
    const marks = Array.from({ length: MAX_PARAMETERS }, () => "(?)").join();
    const numbers = Array.from({ length: MAX_PARAMETERS }, (_, i) => i);
    expect(run(`SELECT sum(column1) AS sum FROM (VALUES ${marks})`, ...numbers)).toEqual([
      { sum: (MAX_PARAMETERS * (MAX_PARAMETERS - 1)) / 2 },
    ]);
  });

  test("what is no text is refused", () => {
    const { statements } = openGuarded();
    for (const sql of [undefined, null, 5, {}]) {
      expect(() => statements.prepare(sql as unknown as string)).toThrow(code("SQL_ERROR", /SQL is text/) as Error);
    }
  });
});

describe("arguments", () => {
  test.each<[string, number]>([
    ["SELECT 1", 0],
    ['SELECT \'?\', "?" FROM (SELECT 1 AS "?") /* ? */ -- ?', 0],
    ["SELECT ?, ?", 2],
    ["SELECT ?2, ?1, ?2", 2],
    ["SELECT ?3, ?", 4],
    ["INSERT INTO t (a, n) VALUES (?, ?), (?, ?)", 4],
  ])("%s takes %i", (sql, count) => {
    const { statements } = openGuarded(SCHEMA);
    const prepared = statements.prepare(sql);
    expect(prepared.targets).toHaveLength(count);
    for (const given of [count + 1, count - 1].filter((n) => n >= 0)) {
      const args = Array.from({ length: given }, () => null);
      const message = new RegExp(`has ${count} parameters? but was given ${given};`);
      expect(() => prepared.run(args)).toThrow(code("BAD_VALUE", message) as Error);
      expect(() => prepared.all(args)).toThrow(code("BAD_VALUE", message) as Error);
    }
  });

  test("go to the parameters of their numbers", () => {
    const { run } = openGuarded();
    expect(run("SELECT ?2 AS b, ?1 AS a, ? AS c, ?2 AS d", "a", "b", "c")).toEqual([
      { b: "b", a: "a", c: "c", d: "b" },
    ]);
    // The first argument of node:sqlite may be a set of named parameters: bytes must not be taken for one.
    expect(run("SELECT hex(?) AS hex, ? AS b", new Uint8Array([1, 255]), 2)).toEqual([{ hex: "01FF", b: 2 }]);
  });

  test("a wrong one leaves nothing behind", () => {
    const { run } = openGuarded(SCHEMA);
    expect(() => run("INSERT INTO t (a, n) VALUES (?, ?)", "new", undefined)).toThrow(
      code("BAD_VALUE", /parameter 2 \(t\.n\) is undefined/) as Error,
    );
    expect(() => run("UPDATE t SET a = ? WHERE id = ?", 5, 1)).toThrow(
      code("BAD_VALUE", /parameter 1 \(t\.a\) is the number 5/) as Error,
    );
    expect(() => run("INSERT INTO t (n) VALUES (?)", 1.5)).toThrow(code("BAD_VALUE", /parameter 1 \(t\.n\)/) as Error);
    expect(run("SELECT count(*) AS n, sum(id) AS ids FROM t WHERE a = 'a' || id")).toEqual([{ n: 300, ids: 45150 }]);
  });
});

describe("results", () => {
  test("rows are plain objects", () => {
    const { run, statements } = openGuarded(SCHEMA);
    const [row] = run("SELECT id, a, NULL AS none, x'0102' AS bytes, 1.5 AS real FROM t WHERE id = ?", 7);
    expect(row).toStrictEqual({ id: 7, a: "a7", none: null, bytes: new Uint8Array([1, 2]), real: 1.5 });
    expect(Object.getPrototypeOf(row)).toBe(Object.prototype);
    expect(run("SELECT id FROM t WHERE id < 0")).toEqual([]);
    expect(run("INSERT INTO t (a) VALUES ('x')")).toEqual([]);
    expect(statements.prepare("SELECT 1 AS a, 2 AS b").columns).toEqual(["a", "b"]);
    expect(statements.prepare("DELETE FROM t").columns).toEqual([]);
  });

  test("a column may be called __proto__, and two may have one name", () => {
    const { run, statements } = openGuarded();
    const [row] = run("SELECT x'01' AS __proto__, 2 AS b") as [object];
    expect(Object.entries(row)).toEqual([
      ["__proto__", new Uint8Array([1])],
      ["b", 2],
    ]);
    expect(run("SELECT 1 AS a, 2 AS a")).toEqual([{ a: 2 }]);
    expect(statements.prepare("SELECT 1 AS a, 2 AS a, 3 AS '1'").values([])).toEqual([[1, 2, 3]]);
  });

  // Each way of reading: one row by proof, few by LIMIT, and row by row; and each for the first and later times.
  test.each<[string, unknown[], number]>([
    ["SELECT id FROM t WHERE id = ?", [5], 1],
    ["SELECT id FROM t WHERE a = ?", ["a5"], 1],
    ["SELECT count(*) FROM t", [], 1],
    ["SELECT id FROM t", [], 300],
    ["SELECT id FROM t ORDER BY n DESC", [], 300],
    ["SELECT id FROM t WHERE id > ? AND n IN (SELECT n FROM t LIMIT 1000)", [10], 290],
    ["SELECT id FROM t LIMIT 3", [], 3],
    ["SELECT id FROM t LIMIT 250", [], 250],
    ["SELECT id FROM t LIMIT 1_0", [], 10],
    ["SELECT id FROM t LIMIT 5, 7", [], 7],
    ["SELECT id FROM t LIMIT 5 OFFSET 298", [], 2],
    ["SELECT id FROM t LIMIT -1", [], 300],
    ["SELECT id FROM t LIMIT ?", [20], 20],
    ["SELECT id FROM t LIMIT ?", [-1], 300],
    ["SELECT id FROM t LIMIT ?", [9n], 9],
    ["SELECT id FROM t LIMIT ?2, ?1", [4, 2], 4],
    ["SELECT id FROM t LIMIT 2 * ?", [150], 300],
    ["SELECT id FROM t LIMIT (SELECT 150)", [], 150],
    ["SELECT id FROM t WHERE id IN (SELECT id FROM t LIMIT 1) OR true", [], 300],
    ["SELECT 1 UNION ALL SELECT 2", [], 2],
    ["VALUES (1), (2), (3)", [], 3],
    ["SELECT value FROM json_each(?)", ["[1,2,3]"], 3],
    ["UPDATE t SET n = n + 1 RETURNING id", [], 300],
    ["EXPLAIN QUERY PLAN SELECT id FROM t WHERE id = 1", [], 1],
    ["PRAGMA table_info(t)", [], 3],
  ])("%s %o gives all %i rows", (sql, args, count) => {
    const { run } = openGuarded(SCHEMA);
    for (let i = 0; i < 4; i++) expect(run(sql, ...args)).toHaveLength(count);
  });

  test("too large a result fails early, and the statement lives on", () => {
    const { db, run } = openGuarded(SCHEMA);
    for (let i = 0; i < 2; i++) {
      expect(() => run(ENDLESS)).toThrow(
        code("RESULT_TOO_LARGE", /larger than 64 MiB \(\d+ rows were read so far\)/) as Error,
      );
      expect(run(`${ENDLESS} LIMIT ?`, 5)).toHaveLength(5);
    }
    const block = MAX_RESULT_BYTES / 64;
    expect(() => run(`SELECT zeroblob(${block}) FROM t`)).toThrow(code("RESULT_TOO_LARGE") as Error);
    expect(() => run(`SELECT zeroblob(${block}) FROM t LIMIT 64`)).toThrow(code("RESULT_TOO_LARGE") as Error);
    expect(() => run(`SELECT printf('%.*c', ${block}, 'x') FROM t LIMIT ?`, 64)).toThrow(
      code("RESULT_TOO_LARGE") as Error,
    );
    expect(() => run(`UPDATE t SET n = n RETURNING zeroblob(${block})`)).toThrow(code("RESULT_TOO_LARGE") as Error);
    expect(() => run(`SELECT zeroblob(${MAX_RESULT_BYTES + 1})`)).toThrow(
      code("RESULT_TOO_LARGE", /value or a row is larger than 64 MiB/) as Error,
    );
    expect(() => run("SELECT length(?)", new Uint8Array(MAX_RESULT_BYTES + 1))).toThrow(
      code("RESULT_TOO_LARGE") as Error,
    );
    expect(run(`SELECT zeroblob(${block}) AS bytes FROM t LIMIT 63`)).toHaveLength(63);
    // No statement is left in the middle of its execution.
    db.exec("VACUUM");
  });

  test.each<[string, ...unknown[]]>([
    ["SELECT zeroblob(1048576) FROM t"],
    ["SELECT zeroblob(1048576) FROM t UNION ALL SELECT 1"],
    ["SELECT zeroblob(1048576) FROM t LIMIT -1"],
    ["SELECT zeroblob(1048576) FROM t LIMIT ?", -1],
    ["SELECT zeroblob(1048576) FROM t LIMIT 2 * 150"],
    ["SELECT zeroblob(1048576) FROM t WHERE id IN (SELECT id FROM t LIMIT 1 OFFSET 0) OR true"],
  ])("is given up at the first row too many: %s", (sql, ...args) => {
    const { run } = openGuarded(SCHEMA);
    for (let i = 0; i < 3; i++) {
      expect(() => run(sql, ...args)).toThrow(code("RESULT_TOO_LARGE", /\(63 rows were read so far\)/) as Error);
    }
  });

  test("an error between two rows is reported once and leaves no statement open", () => {
    const { db, statements } = openGuarded(SCHEMA);
    const overflow = statements.prepare("SELECT abs(?) AS x FROM t");
    const unsafe = statements.prepare("SELECT id, ? AS x FROM t");
    for (let i = 0; i < 3; i++) {
      expect(() => overflow.all([-(2n ** 63n)])).toThrow(code("SQL_ERROR", /integer overflow/) as Error);
      expect(overflow.all([-5])).toHaveLength(300);
      expect(() => unsafe.all([2n ** 60n])).toThrow(
        code("SQL_ERROR", /too large to be .* select CAST\(column AS TEXT\)/) as Error,
      );
      db.exec("VACUUM");
      expect(unsafe.all([1])).toHaveLength(300);
    }
    expect(statements.prepare("SELECT CAST(? AS TEXT) AS x").all([2n ** 60n])).toEqual([{ x: "1152921504606846976" }]);
  });

  test("run tells what changed", () => {
    const { statements } = openGuarded(SCHEMA);
    const run = (sql: string, ...args: unknown[]) => statements.prepare(sql).run(args);
    expect(run("INSERT INTO t (a) VALUES (?), (?)", "x", "y")).toEqual({ changes: 2, lastRowId: 302 });
    expect(run("UPDATE t SET n = 1 WHERE id <= 10")).toEqual({ changes: 10, lastRowId: 0 });
    expect(run("SELECT 1")).toEqual({ changes: 0, lastRowId: 0 });
    expect(run("CREATE TABLE x (a)")).toEqual({ changes: 0, lastRowId: 0 });
    expect(run("INSERT OR IGNORE INTO t (a) VALUES ('x')")).toEqual({ changes: 0, lastRowId: 0 });
    expect(run("WITH c AS (SELECT 5 AS id) DELETE FROM t WHERE id IN c RETURNING id")).toEqual({
      changes: 1,
      lastRowId: 0,
    });
    expect(run("INSERT INTO t (id) VALUES (?)", 2n ** 60n + 1n)).toEqual({ changes: 1, lastRowId: 2n ** 60n + 1n });
    expect(run("REPLACE INTO t (id, a) VALUES (7, 'seven')")).toEqual({ changes: 1, lastRowId: 7 });
  });
});

describe("errors of SQLite", () => {
  test.each<[string, string, RegExp]>([
    [
      "INSERT INTO t (a) VALUES ('a1')",
      "SQL_CONSTRAINT",
      /^UNIQUE constraint failed: t\.a \(SQLite code 2067\) in: INSERT INTO t/,
    ],
    ["INSERT INTO t (n) VALUES (NULL)", "SQL_CONSTRAINT", /NOT NULL constraint failed: t\.n/],
    ["INSERT INTO t (n) VALUES (-1)", "SQL_CONSTRAINT", /CHECK constraint failed/],
    ["INSERT INTO t (n) VALUES ('x')", "SQL_CONSTRAINT", /cannot store TEXT value in INTEGER column/],
    ["SELECT abs(-9223372036854775808)", "SQL_ERROR", /integer overflow/],
    ["SELECT json('{')", "SQL_ERROR", /malformed JSON/],
  ])("%s is %s", (sql, expected, message) => {
    const { statements } = openGuarded(SCHEMA);
    const prepared = statements.prepare(sql);
    for (const execute of [() => prepared.all([]), () => prepared.run([])]) {
      expect(execute).toThrow(code(expected, message) as Error);
      expect(execute).toThrow(
        expect.objectContaining({ cause: expect.objectContaining({ code: "ERR_SQLITE_ERROR" }) }),
      );
    }
  });

  test("a full disk can be retried and recovers", () => {
    const { db, run } = openGuarded("CREATE TABLE t (a)");
    db.exec("PRAGMA max_page_count = 10");
    expect(() => run("INSERT INTO t VALUES (?)", new Uint8Array(100_000))).toThrow(
      expect.objectContaining({ code: "DISK_FULL", retryable: true, overloaded: true }),
    );
    db.exec("PRAGMA max_page_count = 1000");
    run("INSERT INTO t VALUES (?)", new Uint8Array(100_000));
  });

  test("a file that is no database, or a garbled one, is a damaged cell", () => {
    const file = path.join(temporaryFolder(), "cell.db");
    const failure = (bytes: Buffer) => {
      fs.writeFileSync(file, bytes);
      const db = new DatabaseSync(file);
      try {
        return db.prepare("SELECT * FROM t").all();
      } catch (error) {
        return wrapSqlError(error, "SELECT * FROM t");
      } finally {
        db.close();
      }
    };
    expect(failure(Buffer.from("no database at all".repeat(100)))).toEqual(code("CELL_DAMAGED"));
    const { db } = openGuarded("CREATE TABLE t (a); INSERT INTO t VALUES (1)");
    const bytes = Buffer.from(db.serialize());
    expect(failure(bytes)).toHaveLength(1);
    expect(failure(bytes.fill(0xff, 4096))).toEqual(code("CELL_DAMAGED"));
  });

  test("a full text index that disagrees with its content is no damaged cell", () => {
    const { db, run } = openGuarded(
      "CREATE TABLE c (a); CREATE VIRTUAL TABLE f USING fts5(a, content='c'); INSERT INTO c VALUES ('x')",
    );
    expect(() => run("INSERT INTO f (f, rank) VALUES ('integrity-check', 1)")).toThrow(
      code("SQL_ERROR", /malformed|corrupt/) as Error,
    );
    db.exec("PRAGMA integrity_check");
  });

  test("an I/O error stays what it is", () => {
    const folder = temporaryFolder();
    // A limit on the size of files makes writing fail for another reason than a full disk.
    const script = `
      import { DatabaseSync } from "node:sqlite";
      import { isSqliteIoError, wrapSqlError } from "${pathToFileURL(path.resolve(import.meta.dirname, "../../src/store/sqlerror.ts"))}";
      const db = new DatabaseSync("cell.db");
      try {
        db.exec("CREATE TABLE t (a); INSERT INTO t VALUES (zeroblob(1000000))");
      } catch (error) {
        console.log(isSqliteIoError(error), wrapSqlError(error, "INSERT") === error, error.message);
      }`;
    const shell = `trap '' XFSZ; ulimit -f 100; exec "$0" --input-type=module --eval "$1"`;
    const output = execFileSync("sh", ["-c", shell, process.execPath, script], {
      cwd: folder,
      encoding: "utf8",
      stdio: "pipe",
    });
    expect(output).toBe("true true disk I/O error\n");
  });

  test("what is not SQLite's passes through", () => {
    for (const error of [new FrondError("BAD_VALUE", "x"), new TypeError("x"), "text", undefined]) {
      expect(wrapSqlError(error, "SELECT 1")).toBe(error);
      expect(isSqliteIoError(error)).toBe(false);
    }
  });
});

describe("what is kept", () => {
  test("a text is prepared once", () => {
    const { statements, calls } = openGuarded(SCHEMA);
    const prepared = statements.prepare("SELECT id FROM t WHERE n = ?");
    prepared.all([1]);
    prepared.all([1]);
    const before = calls();
    for (let i = 0; i < 10; i++) {
      expect(statements.prepare("SELECT id FROM t WHERE n = ?")).toBe(prepared);
      prepared.all([i]);
    }
    expect(calls()).toBe(before);
  });

  test("of more statements than fit, those in use stay", () => {
    const { statements } = openGuarded(SCHEMA);
    const sql = (i: number) => `SELECT ${i}`;
    const hot = statements.prepare("SELECT 'hot'");
    const first = statements.prepare(sql(0));
    for (let i = 1; i < STATEMENTS_PER_CELL * 5; i++) {
      expect(statements.prepare("SELECT 'hot'")).toBe(hot);
      statements.prepare(sql(i));
    }
    expect(statements.prepare(sql(0))).not.toBe(first);
    // What was dropped still works for whoever holds it.
    expect(first.all([])).toEqual([{ 0: 0 }]);
    statements.clear();
    expect(statements.prepare("SELECT 'hot'")).not.toBe(hot);
  });

  test("a change of the schema is seen by the next execution", () => {
    const { statements, run } = openGuarded("CREATE TABLE t (a TEXT)");
    const insert = "INSERT INTO t VALUES (?)";
    expect(() => run(insert, 5)).toThrow(code("BAD_VALUE") as Error);
    run(insert, "x");
    expect(run("SELECT * FROM t")).toEqual([{ a: "x" }]);
    run("DROP TABLE t");
    run("CREATE TABLE t (n INTEGER, m TEXT DEFAULT 'm')");
    expect(() => run(insert, 5)).toThrow(code("SQL_ERROR", /2 columns but 1 values/) as Error);
    run("INSERT INTO t (n) VALUES (?)", 5);
    expect(run("SELECT * FROM t")).toEqual([{ n: 5, m: "m" }]);
    run("ALTER TABLE t RENAME COLUMN m TO renamed");
    expect(run("SELECT * FROM t")).toEqual([{ n: 5, renamed: "m" }]);
    expect(statements.prepare("UPDATE t SET renamed = ?").targets).toEqual([
      { table: "t", column: "renamed", affinity: "text" },
    ]);
  });

  test("a change of the schema from elsewhere gives no wrong rows", () => {
    const { db, run } = openGuarded("CREATE TABLE t (a); INSERT INTO t VALUES (1)");
    expect(run("SELECT * FROM t")).toEqual([{ a: 1 }]);
    db.exec("ALTER TABLE t ADD COLUMN b DEFAULT 2");
    expect(run("SELECT * FROM t")).toEqual([{ a: 1, b: 2 }]);
  });

  test("a change of the schema that was rolled back is forgotten", () => {
    const { db, statements, run } = openGuarded("CREATE TABLE t (a TEXT)");
    const insert = "INSERT INTO t (a) VALUES (?)";
    const change = () => {
      run("DROP TABLE t");
      run("CREATE TABLE t (a INTEGER)");
      run(insert, 5);
    };
    const expectText = () => {
      expect(() => run(insert, 5)).toThrow(code("BAD_VALUE") as Error);
      run(insert, "x");
    };
    for (let i = 0; i < 2; i++) {
      db.exec("BEGIN");
      change();
      db.exec("ROLLBACK");
      statements.rolledBack();
      expectText();
    }
    // The change stands before a savepoint that is rolled back first.
    db.exec("BEGIN");
    change();
    db.exec("SAVEPOINT x; ROLLBACK TO x; RELEASE x");
    statements.rolledBack();
    run(insert, 5);
    db.exec("ROLLBACK");
    statements.rolledBack();
    expectText();
  });

  test("a pragma takes effect when it is executed, each time", () => {
    const { db, statements } = openGuarded(`
      CREATE TABLE parent (id INTEGER PRIMARY KEY);
      CREATE TABLE child (parent INTEGER NOT NULL REFERENCES parent)`);
    for (let i = 1; i < 4; i++) {
      const prepared = statements.prepare("PRAGMA defer_foreign_keys = ON");
      expect(prepared.writes).toBe(true);
      // Other work between preparing and executing, and a commit, which ends what the pragma does.
      db.exec("BEGIN; DELETE FROM child; COMMIT; BEGIN");
      prepared.run([]);
      statements.prepare("INSERT INTO child VALUES (?)").run([i]);
      statements.prepare("INSERT INTO parent VALUES (?)").run([i]);
      db.exec("COMMIT");
      expect(() => statements.prepare("INSERT INTO child VALUES (?)").run([99])).toThrow(
        code("SQL_CONSTRAINT", /FOREIGN KEY/) as Error,
      );
    }
  });
});

test("a query behind a semicolon or a comment can be executed again and again", () => {
  const { statements } = openGuarded("CREATE TABLE t (a INTEGER PRIMARY KEY)");
  for (const sql of ["; SELECT 1 AS n", ";;/* x */ SELECT 1 AS n", "-- x\nSELECT 1 AS n", "\uFEFFSELECT 1 AS n"]) {
    for (let i = 0; i < 4; i++) expect(statements.prepare(sql).all([])).toEqual([{ n: 1 }]);
  }
});
