// A database with the guard and the statements of a cell, without the file that a cell has.

import { DatabaseSync } from "node:sqlite";
import { SqlGuard } from "../../src/store/authorizer.ts";
import type { Row } from "../../src/store/statements.ts";
import { Statements } from "../../src/store/statements.ts";

export interface Guarded {
  /** Frond's own way to the database: what is prepared here is not judged. */
  readonly db: DatabaseSync;
  readonly statements: Statements;
  /** Calls of the authorizer so far, judged or not. Count. */
  calls(): number;
  /** Executes one statement of the user. */
  run(sql: string, ...args: unknown[]): Row[];
}

/** Opens an empty database in memory, with `schema` in it. */
export function openGuarded(schema = ""): Guarded {
  const db = new DatabaseSync(":memory:");
  db.exec("PRAGMA foreign_keys = ON; PRAGMA trusted_schema = OFF");
  const guard = new SqlGuard();
  let calls = 0;
  db.setAuthorizer((...args) => {
    calls++;
    return guard.callback(args[0], args[1], args[2], args[3]);
  });
  db.exec(schema);
  const statements = new Statements(db, guard);
  return { db, statements, calls: () => calls, run: (sql, ...args) => statements.prepare(sql).all(args) };
}

/** The schema as SQLite keeps it. */
export function schemaOf(db: DatabaseSync): unknown[] {
  return db.prepare("SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY rowid").all();
}
