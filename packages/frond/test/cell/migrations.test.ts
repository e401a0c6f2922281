// Migrations: what is missing runs when a cell is opened, once, in one transaction; what does not fit is refused.

import { expect, test } from "vitest";
import { frond } from "../../src/cell/app.ts";
import { Cell } from "../../src/cell/cell.ts";
import type { CellClass } from "../../src/cell/cell.ts";
import { write } from "../../src/cell/statements.ts";
import { codeOf, commitsIn, failureOf, openCells, reopen } from "./nodes.ts";

const ONE = "CREATE TABLE one (v TEXT) STRICT; INSERT INTO one VALUES ('from one')";
const TWO = "ALTER TABLE one ADD COLUMN w TEXT DEFAULT 'w'; UPDATE one SET v = v || '!'";
const THREE = "CREATE TABLE three (v TEXT) STRICT";

class Base extends Cell {
  tables() {
    return this.sql.all<{ name: string }>`SELECT name FROM sqlite_schema WHERE name NOT LIKE ${"\\_%"} ESCAPE ${"\\"}
      AND type = ${"table"} ORDER BY name`.map((row) => row.name);
  }
  rows() {
    return this.sql.all`SELECT * FROM one`;
  }
  add(v: string) {
    this.sql`INSERT INTO one (v) VALUES (${v})`;
  }
  nothing() {}
}

/** A version of the class with these migrations. */
function version(...migrations: string[]): typeof Base {
  return class extends Base {
    static override migrations = migrations;
  };
}

/** Opens a cell at one version and again at the next. */
async function upgrade(from: CellClass<Base>, to: CellClass<Base>) {
  const first = await openCells({ base: from });
  await first.get(from, "a").nothing();
  if (from.migrations?.length) await first.get(from, "a").add("a row");
  const second = await reopen(first, { base: to });
  return { ...second, a: second.get(to, "a") };
}

test("migrations that are missing run once, in order, when the cell is opened", async () => {
  const One = version(ONE);
  const Three = version(ONE, TWO, THREE);
  const opened = await upgrade(One, Three);
  const before = commitsIn(opened.directory, "base/a").length;
  expect(await opened.a.rows()).toEqual([
    { v: "from one!", w: "w" },
    { v: "a row!", w: "w" },
  ]);
  expect(await opened.a.tables()).toEqual(["one", "three"]);
  await opened.node.commitLog.flushed();
  expect(commitsIn(opened.directory, "base/a").length - before).toBe(1);
  const again = await reopen(opened, { base: Three });
  expect(await again.get(Three, "a").rows()).toHaveLength(2);
  await again.node.commitLog.flushed();
  expect(commitsIn(again.directory, "base/a").length - before).toBe(1);
});

test("white space around a migration may change, its text may not", async () => {
  const kept = await upgrade(version(ONE), version(`\n\t${ONE}  \n`, TWO));
  expect(await kept.a.rows()).toHaveLength(2);
  const drifted = await upgrade(version(ONE), version(ONE.replace("from one", "else"), TWO));
  const failure = await failureOf(drifted.a.rows());
  expect(failure.code).toBe("MIGRATION_DRIFT");
  expect(failure.message).toMatch(/migration 1 .*base\/a/);
});

test("a cell whose schema is newer than the code does not open, and opens again with the newer code", async () => {
  const Two = version(ONE, TWO);
  const older = await upgrade(Two, version(ONE));
  const failure = await failureOf(older.a.rows());
  expect(failure).toMatchObject({ code: "SCHEMA_NEWER", retryable: true, remote: false });
  const again = await reopen(older, { base: Two });
  expect(await again.get(Two, "a").rows()).toHaveLength(2);
});

test("a gap in the record of migrations is refused", async () => {
  const Three = version(ONE, TWO, THREE);
  const opened = await openCells({ base: Three });
  await opened.get(Three, "a").add("x");
  // As a file looks that was changed from outside: nothing of frond can do this.
  await opened.node.host.withCell("base/a", (cell) => {
    write(cell, "a test", () => cell.db.exec("DELETE FROM _frond_migration WHERE n = 2"));
  });
  const again = await reopen(opened, { base: Three });
  expect(await codeOf(again.get(Three, "a").rows())).toBe("MIGRATION_GAP");
});

test("a migration that fails leaves the cell as it was, and names itself", async () => {
  const bad = [
    "CREATE TABLE two (v TEXT) STRICT; INSERT INTO nowhere VALUES (1)",
    "CREATE TABLE two (v TEXT UNIQUE) STRICT; INSERT INTO two VALUES ('x'); INSERT OR ROLLBACK INTO two VALUES ('x')",
    "BEGIN; CREATE TABLE two (v TEXT) STRICT; COMMIT",
    "COMMIT",
    "CREATE TABLE two (v TEXT) STRICT; ROLLBACK",
    "CREATE TABLE _frond_two (v TEXT) STRICT",
    "VACUUM",
    "this is not SQL",
  ];
  for (const sql of bad) {
    const opened = await upgrade(version(ONE), version(ONE, THREE, sql));
    const failure = await failureOf(opened.a.rows());
    expect(failure.code, sql).toBe("MIGRATION_FAILED");
    expect(failure.message).toMatch(/^migration 3 .*base\/a/);
    // Not even the migration before it, which would have worked.
    const One = version(ONE);
    const again = await reopen(opened, { base: One });
    expect(await again.get(One, "a").tables()).toEqual(["one"]);
    expect(await again.get(One, "a").rows()).toHaveLength(2);
    await again.node.stop();
  }
});

test("a deferred foreign key that a migration breaks is refused like any failure", async () => {
  const FK = `CREATE TABLE parent (id INTEGER PRIMARY KEY) STRICT;
    CREATE TABLE child (id INTEGER REFERENCES parent DEFERRABLE INITIALLY DEFERRED) STRICT; INSERT INTO child VALUES (1)`;
  const opened = await upgrade(version(ONE), version(ONE, FK));
  expect(await codeOf(opened.a.rows())).toBe("SQL_CONSTRAINT");
  const One = version(ONE);
  expect(await (await reopen(opened, { base: One })).get(One, "a").tables()).toEqual(["one"]);
});

test("a trigger in a migration is one statement", async () => {
  const trigger = `CREATE TRIGGER t AFTER INSERT ON one BEGIN UPDATE one SET v = 'seen' WHERE v = new.v; END;
    INSERT INTO one (v) VALUES ('new')`;
  const opened = await upgrade(version(ONE), version(ONE, trigger));
  expect(await opened.a.rows()).toContainEqual({ v: "seen" });
});

test("migrations that are no texts are refused when the app is defined", () => {
  for (const migrations of [[""], ["  "], [5], "CREATE TABLE t (v)", {}]) {
    class Wrong extends Cell {
      static override migrations = migrations as string[];
    }
    expect(() => frond({ cells: { wrong: Wrong } })).toThrow(/Wrong\.migrations is not a list of SQL texts/);
  }
});
