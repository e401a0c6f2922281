// One cell's database: SQLite opened the one way that makes a commit cheap and captureable.
//
// Rule: EXCLUSIVE is the first pragma (no -shm file, no other process), WAL, no syncs and no automatic checkpoints: the
// commit log makes commits durable, this file is a cache of it. The file is closed or checkpointed only when the log
// holds everything in it, because both move WAL frames into the main file for good.
// To discard a file whose content must not survive, unlink first, then close: closing would checkpoint.

import { DatabaseSync, type StatementSync } from "node:sqlite";
import { assert } from "../assert.ts";
import { FrondError } from "../errors.ts";
import { PAGE_CACHE_KIB } from "../limits.ts";
import { SqlGuard } from "./authorizer.ts";
import { Capture } from "./capture.ts";
import { removeCell } from "./restore.ts";
import { sqliteCode, wrapSqlError } from "./sqlerror.ts";
import { Statements } from "./statements.ts";

/** An open cell file. Synchronous throughout; owned by one live cell. */
export class CellDatabase {
  readonly file: string;
  readonly statements: Statements;
  readonly capture: Capture;
  readonly pageSize: number;
  readonly #db: DatabaseSync;
  readonly #begin: StatementSync;
  readonly #commit: StatementSync;
  readonly #rollback: StatementSync;

  private constructor(file: string, db: DatabaseSync, pageSize: number) {
    this.file = file;
    this.#db = db;
    this.pageSize = pageSize;
    const guard = new SqlGuard();
    db.setAuthorizer(guard.callback);
    this.#begin = this.prepare("BEGIN");
    this.#commit = this.prepare("COMMIT");
    this.#rollback = this.prepare("ROLLBACK");
    this.statements = new Statements(db, guard);
    this.capture = new Capture(file, pageSize);
  }

  /** Opens a cell's file, creating it with `pageSize` when it is not there (its folder must be). Throws CELL_DAMAGED when it is no database. */
  static open(file: string, pageSize: number): CellDatabase {
    let db: DatabaseSync | undefined;
    let opened: CellDatabase | undefined;
    try {
      db = new DatabaseSync(file, { allowExtension: false });
      db.exec(
        // No syncs before the change to WAL, which would otherwise sync the new file three times.
        `PRAGMA locking_mode = EXCLUSIVE; PRAGMA synchronous = OFF; PRAGMA page_size = ${pageSize};
         PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = 0; PRAGMA cache_size = -${PAGE_CACHE_KIB};
         PRAGMA temp_store = MEMORY; PRAGMA foreign_keys = ON; PRAGMA trusted_schema = OFF`,
      );
      const size = db.prepare("PRAGMA page_size").get() as { page_size: number };
      opened = new CellDatabase(file, db, size.page_size);
      opened.capture.skipToEnd();
      return opened;
    } catch (error) {
      opened?.capture.close();
      db?.close();
      throw openError(error, file);
    }
  }

  /** Pages of the database. Count. */
  get pageCount(): number {
    return (this.prepare("PRAGMA page_count").get() as { page_count: number }).page_count;
  }

  /** A transaction is open. Statements such as INSERT OR ROLLBACK may have ended it behind the runtime's back. */
  get inTransaction(): boolean {
    return this.#db.isTransaction;
  }

  begin(): void {
    this.#run(this.#begin, "BEGIN");
  }

  /**
   * Commits; what changed is then to be captured. Throws SQL_CONSTRAINT for a deferred constraint and DISK_FULL; the
   * transaction is then still open and is to be rolled back.
   */
  commit(): void {
    this.#run(this.#commit, "COMMIT");
    assert(!this.#db.isTransaction, "COMMIT ends the transaction");
  }

  /** Ends the transaction without a trace, if one is open. */
  rollback(): void {
    if (!this.#db.isTransaction) return;
    this.#run(this.#rollback, "ROLLBACK");
    this.statements.rolledBack();
  }

  /** Runs one of frond's own statements, which the guard of user SQL does not judge. */
  exec(sql: string): void {
    try {
      this.#db.exec(sql);
    } catch (error) {
      throw wrapSqlError(error, sql);
    }
  }

  /** Prepares one of frond's own statements. */
  prepare(sql: string): StatementSync {
    try {
      return this.#db.prepare(sql);
    } catch (error) {
      throw wrapSqlError(error, sql);
    }
  }

  /**
   * Moves the WAL into the main file. Only when the log durably holds all of it; no transaction may be open. Throws DISK_FULL;
   * the WAL then goes on from where it is.
   */
  checkpoint(): void {
    assert(!this.#db.isTransaction, "no checkpoint inside a transaction");
    const { busy } = this.#checkpointed();
    // Where it could not finish, the WAL goes on from where it is.
    if (busy === 0) this.capture.restart();
  }

  #checkpointed(): { busy: number } {
    const sql = "PRAGMA wal_checkpoint(TRUNCATE)";
    const statement = this.prepare(sql);
    try {
      return statement.get() as { busy: number };
    } catch (error) {
      throw wrapSqlError(error, sql);
    }
  }

  /** Writes a plain copy, without WAL, as of the last commit. `target` must not exist. */
  exportTo(target: string): void {
    this.exec(`VACUUM INTO '${target.replaceAll("'", "''")}'`);
  }

  /**
   * Empties the database, whatever is in it, and gives its pages back: commits of their own, so no transaction may be open.
   * Throws DISK_FULL; what the file then holds is not known.
   */
  empty(): void {
    assert(!this.#db.isTransaction, "a database is not emptied inside a transaction");
    this.statements.clear();
    // The schema as a whole, and not object by object: a DROP reads every page, runs foreign key actions, and fails where
    // a virtual table is broken. VACUUM keeps what the schema names, which is nothing.
    this.#db.enableDefensive(false);
    try {
      this.exec("PRAGMA writable_schema = ON; DELETE FROM sqlite_schema");
    } finally {
      this.exec("PRAGMA writable_schema = RESET");
      this.#db.enableDefensive(true);
    }
    this.exec("VACUUM");
  }

  /** Closes, which checkpoints: only when the log durably holds everything. */
  close(): void {
    this.statements.clear();
    this.capture.close();
    this.#db.close();
  }

  /** Removes the file and closes, so that nothing of it remains. */
  discard(): void {
    removeCell(this.file);
    this.close();
  }

  #run(statement: StatementSync, sql: string): void {
    try {
      statement.run();
    } catch (error) {
      throw error instanceof FrondError ? error : wrapSqlError(error, sql);
    }
  }
}

/** SQLite's general error ("unsupported file format"). */
const SQLITE_ERROR = 1;

/** Nothing but frond's own statements run while a file is opened: where SQLite finds one wrong, the file is. */
function openError(error: unknown, file: string): unknown {
  const wrapped = wrapSqlError(error, `open ${file}`);
  if (sqliteCode(error) !== SQLITE_ERROR) return wrapped;
  return new FrondError("CELL_DAMAGED", (wrapped as Error).message, { cause: error });
}
