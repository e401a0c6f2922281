// What the code of a cell may say to its database: the guard against SQL that is spelled in any way.
//
// Rule: the list says what must be refused and what must pass, however it is spelled. Whatever passes leaves the database
// as the runtime needs it: the transaction open, one file, no temporary objects, its settings, frond's own tables. What
// is called a query writes nothing, which the write-ahead log itself shows.

import fc from "fast-check";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { CellDatabase } from "../../src/store/database.ts";
import type { Prepared } from "../../src/store/statements.ts";
import { ALLOWED, DENIED } from "./guardLists.ts";
import { spell, type Spelling, spelling } from "./sqlText.ts";
import { attempt, type Entrance, target, type Target } from "./target.ts";

interface GuardCase {
  readonly template: string;
  readonly choices: Spelling;
  readonly prefix: string;
  readonly suffix: string;
}

export type Prepare = (cell: CellDatabase, sql: string) => Prepared;

const REFUSALS = ["SQL_DENIED", "SQL_ERROR"] as const;
const FAILURES = [...REFUSALS, "SQL_CONSTRAINT", "BAD_VALUE", "CELL_DAMAGED"] as const;

export function guardTarget(prepare: Prepare = (cell, sql) => cell.statements.prepare(sql)): Target {
  return target("guard", 1000, (): Entrance<GuardCase> => {
    const folder = fs.mkdtempSync(path.join(os.tmpdir(), "frond-fuzz-"));
    const cell = CellDatabase.open(path.join(folder, "cell.db"), 1024);
    cell.exec(`CREATE TABLE t (a INTEGER PRIMARY KEY, b TEXT, c); INSERT INTO t VALUES (1, 'x', NULL);
      CREATE TABLE _frond_kv (key TEXT PRIMARY KEY, value BLOB); INSERT INTO _frond_kv VALUES ('k', x'01');
      CREATE VIRTUAL TABLE f USING fts5 (x); INSERT INTO f VALUES ('word')`);
    cell.capture.skipToEnd();
    const before = stateOf(cell, folder);
    const settings = settingsOf(cell);
    return {
      input: fc.record({
        template: fc.oneof(fc.constantFrom(...DENIED), fc.constantFrom(...ALLOWED)),
        choices: spelling,
        prefix: fc.constantFrom("", "", "", ";", "-- x\n", "\uFEFF", "EXPLAIN ", "EXPLAIN QUERY PLAN ", "SELECT 1;"),
        suffix: fc.constantFrom("", "", "", ";", ";;", " -- x", "; SELECT 1", " /* x", ";/**/", "; COMMIT"),
      }),
      check({ template, choices, prefix, suffix }) {
        const sql = prefix + spell(template, choices) + suffix;
        const isExplained = prefix.startsWith("EXPLAIN");
        const one = !prefix.startsWith("SELECT") && !/SELECT|COMMIT/.test(suffix);
        judgePassing(cell, sql, one && !isExplained && ALLOWED.includes(template), prepare, settings);
        if ((DENIED.includes(template) && !isExplained) || !one) judgeRefused(cell, sql, prepare);
        const after = stateOf(cell, folder);
        if (after !== before) throw new Error(`${JSON.stringify(sql)} has changed ${before} to ${after}`);
      },
      close() {
        cell.close();
        fs.rmSync(folder, { recursive: true, force: true });
      },
    };
  });
}

/** Runs `sql` as a cell would, in a transaction that is rolled back, and a query also outside of one. */
function judgePassing(cell: CellDatabase, sql: string, must: boolean, prepare: Prepare, settings: string): void {
  cell.begin();
  try {
    const prepared = attempt(REFUSALS, () => prepare(cell, sql));
    if ("code" in prepared) {
      if (must) throw new Error(`${JSON.stringify(sql)} is refused with ${prepared.code}`);
      return;
    }
    const ran = attempt(FAILURES, () => prepared.value.all([]));
    if ("code" in ran && must && isRight(cell, sql)) throw new Error(`${JSON.stringify(sql)} fails with ${ran.code}`);
    if (!cell.inTransaction) throw new Error(`${JSON.stringify(sql)} has ended the transaction`);
    const left = settingsOf(cell);
    if (left !== settings) throw new Error(`${JSON.stringify(sql)} leaves ${left}, not ${settings}`);
    if (prepared.value.writes) return;
    cell.rollback();
    attempt(FAILURES, () => prepare(cell, sql).all([]));
    if (cell.capture.read() !== undefined) throw new Error(`${JSON.stringify(sql)} is no query: it has written`);
  } finally {
    cell.rollback();
  }
}

/** SQLite itself takes it: not so for ALTER TABLE with a comment at its end, which becomes part of the schema. */
function isRight(cell: CellDatabase, sql: string): boolean {
  try {
    cell.prepare(sql).all();
    return true;
  } catch {
    return false;
  }
}

function judgeRefused(cell: CellDatabase, sql: string, prepare: Prepare): void {
  cell.begin();
  try {
    const prepared = attempt(REFUSALS, () => prepare(cell, sql));
    if ("code" in prepared) return;
    const ran = attempt(REFUSALS, () => prepared.value.all([]));
    if ("value" in ran) throw new Error(`${JSON.stringify(sql)} is not refused`);
  } finally {
    cell.rollback();
  }
}

const PRAGMAS = [
  "journal_mode locking_mode synchronous wal_autocheckpoint page_size cache_size temp_store foreign_keys trusted_schema",
  "writable_schema recursive_triggers user_version application_id auto_vacuum max_page_count secure_delete query_only",
  "cell_size_check reverse_unordered_selects ignore_check_constraints legacy_alter_table automatic_index busy_timeout",
]
  .join(" ")
  .split(" ");

function settingsOf(cell: CellDatabase): string {
  const values = PRAGMAS.map((name) => Object.values(cell.prepare(`PRAGMA ${name}`).get() ?? {}).join());
  const databases = cell
    .prepare("PRAGMA database_list")
    .all()
    .filter(({ name }) => name !== "temp").length;
  const temporary = cell.prepare("SELECT count(*) AS n FROM sqlite_temp_schema").get()?.["n"];
  const own = cell.prepare("SELECT group_concat(key || hex(value)) AS kv FROM _frond_kv").get()?.["kv"];
  const names = cell
    .prepare("SELECT count(*) AS n FROM sqlite_schema WHERE lower(name) LIKE '\\_frond%' ESCAPE '\\'")
    .get()?.["n"];
  return [...values, databases, temporary, own, names].join(" ");
}

/** Everything of the database and its folder that no statement may change for good. */
function stateOf(cell: CellDatabase, folder: string): string {
  const schema = cell.prepare("SELECT group_concat(name || sql) AS text FROM sqlite_schema").get()?.["text"];
  const rows = cell.prepare("SELECT group_concat(a || b) AS text FROM t").get()?.["text"];
  return [settingsOf(cell), schema, rows, fs.readdirSync(folder).sort().join(), cell.inTransaction].join(" | ");
}
