// Migrations: bringing a cell's database to the schema of its class, whenever the cell is opened.
//
// Rule: all missing migrations run in one transaction and are recorded with their checksums in it. A record that does not
// fit the code (another text, a gap, more than the code knows) is an error, and the cell is not opened: guessing would
// run code on a schema that it was not written for.

import { FrondError } from "../errors.ts";
import type { CellDatabase } from "../store/database.ts";
import type { Migration } from "./app.ts";

/** What of a class migrations are run by. */
export interface Migrated {
  readonly type: { readonly name: string };
  readonly migrations: readonly Migration[];
}

interface Applied {
  n: number;
  checksum: string;
}

/** True if migrations are missing. Throws as {@link migrate} does for a record that does not fit the code. */
export function isBehind(kind: Migrated, address: string, db: CellDatabase): boolean {
  const applied = readApplied(db);
  checkApplied(kind, address, applied);
  return applied.length < kind.migrations.length;
}

/** Runs what is missing, inside the transaction that the caller has opened or opens in `begin`. True if anything ran. */
export function migrate(kind: Migrated, address: string, db: CellDatabase, fresh: boolean, begin: () => void): boolean {
  const applied = fresh ? [] : readApplied(db);
  checkApplied(kind, address, applied);
  const missing = kind.migrations.slice(applied.length);
  if (missing.length === 0) return false;
  begin();
  if (applied.length === 0) {
    db.exec("CREATE TABLE _frond_migration (n INTEGER PRIMARY KEY, checksum TEXT NOT NULL) STRICT");
  }
  for (const [i, migration] of missing.entries()) {
    const n = applied.length + i + 1;
    try {
      for (const sql of migration.statements) db.statements.prepare(sql).run([]);
    } catch (error) {
      if (error instanceof FrondError && error.retryable) throw error;
      throw new FrondError(
        "MIGRATION_FAILED",
        `migration ${n} of ${kind.type.name} failed on ${address}: ${(error as Error).message}`,
        { cause: error },
      );
    }
    if (!db.inTransaction) {
      throw new FrondError(
        "MIGRATION_FAILED",
        `migration ${n} of ${kind.type.name} ended its own transaction on ${address}`,
      );
    }
  }
  const record = db.prepare("INSERT INTO _frond_migration VALUES (?, ?)");
  for (const [i, migration] of missing.entries()) record.run(applied.length + i + 1, migration.checksum);
  return true;
}

function readApplied(db: CellDatabase): Applied[] {
  const table = db.prepare("SELECT 1 FROM sqlite_schema WHERE name = '_frond_migration'").get();
  if (table === undefined) return [];
  return db.prepare("SELECT n, checksum FROM _frond_migration ORDER BY n").all() as unknown as Applied[];
}

function checkApplied(kind: Migrated, address: string, applied: readonly Applied[]): void {
  for (const [i, row] of applied.entries()) {
    if (row.n !== i + 1) {
      throw new FrondError(
        "MIGRATION_GAP",
        `${address} has a record of migration ${row.n} but none of ${i + 1}: its file was changed from outside`,
      );
    }
    const migration = kind.migrations[i];
    if (migration === undefined) {
      throw new FrondError(
        "SCHEMA_NEWER",
        `${address} has ${applied.length} migrations, this version of ${kind.type.name} knows ${kind.migrations.length}; start the newer version of the app`,
      );
    }
    if (migration.checksum !== row.checksum) {
      throw new FrondError(
        "MIGRATION_DRIFT",
        `migration ${row.n} of ${kind.type.name} is not the one that ran on ${address}; restore its text and append a new migration instead`,
      );
    }
  }
}
