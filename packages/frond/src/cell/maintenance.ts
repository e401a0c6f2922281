// What is done to a cell's file as a whole: checkpoint, vacuum, deletion.
//
// Rule: none of it changes what the log says of the cell before the log says it. The WAL moves into the main file only when
// the log durably holds all of it, and nothing is ever removed under a record that could still be lost: a deleted cell's
// file goes on, emptied by an ordinary commit, so a start that has lost the tombstone cuts the WAL back and has the cell.
// Rejected: putting a new file in place of the deleted cell's (a lost tombstone would leave it to be taken for the old one).

import { assert } from "../assert.ts";
import { FrondError, isFrondError } from "../errors.ts";
import { MAX_COMMIT_BYTES } from "../limits.ts";
import { PendingPages } from "./commit.ts";
import type { Invocation } from "./invocation.ts";
import type { LiveCell } from "./live.ts";
import { migrate } from "./migrate.ts";

/** Moves the WAL into the file once the log holds all of it; events wait for that. */
export function checkpointSoon(cell: LiveCell): void {
  const { log } = cell.host.committer;
  cell.gate.maintain(
    new Promise((resolve) => {
      const attempt = (): void => {
        if (cell.broken === undefined) {
          // A long transaction ends in its own time.
          if (cell.tx.exclusive !== undefined) return void cell.gate.opened?.then(attempt, attempt);
          cell.tx.commitOpenStretch();
          if (cell.lastLsn > log.durable) return log.wait(cell.lastLsn, attempt);
          if (cell.broken === undefined) checkpoint(cell);
        }
        resolve();
      };
      log.wait(cell.lastLsn, attempt);
    }),
  );
}

function checkpoint(cell: LiveCell): void {
  try {
    cell.db.checkpoint();
  } catch (error) {
    // No space for the main file: the WAL stays, and the next commit asks again.
    if (!isFrondError(error, "DISK_FULL")) throw error;
  }
}

/** Gives unused pages back. A commit of its own, so it cannot be part of a transaction. */
export function vacuum(cell: LiveCell): void {
  const invocation = cell.enter();
  if (cell.tx.owner === invocation || cell.tx.exclusive === invocation) {
    const what = `${cell.address}.${invocation.verb} called vacuum inside its transaction`;
    throw new FrondError("TX_ABORTED", `${what}; call it before the first write`);
  }
  if (!cell.exists) return;
  const bytes = (cell.entry?.pageCount ?? 0) * cell.db.pageSize;
  if (bytes > MAX_COMMIT_BYTES) {
    const what = `${cell.address} has ${bytes} bytes; vacuum writes all of them as one commit`;
    throw new FrondError("RECORD_TOO_LARGE", `${what}, which holds at most ${MAX_COMMIT_BYTES}`);
  }
  cell.host.admit();
  cell.db.exec("VACUUM");
  try {
    cell.tx.emit(cell.db.capture.read());
  } catch (error) {
    cell.break(error);
    throw error;
  }
}

/**
 * Deletes everything in the cell: it does not exist any more, and has the schema of a new one. In an async verb at once, as
 * a commit of its own; in a sync verb when that commits, and nothing may follow in it. Throws TX_ABORTED inside a
 * transaction.
 */
export function erase(cell: LiveCell): void {
  const invocation = cell.enter();
  if (cell.tx.exclusive === invocation || cell.tx.inPart) {
    const what = `${cell.address}.${invocation.verb} called deleteAll inside a transaction`;
    throw new FrondError("TX_ABORTED", `${what}; it is a commit of its own`);
  }
  if (invocation.sync) {
    invocation.erases = true;
    return;
  }
  cell.tx.commitOpenStretch();
  if (invocation.failed !== undefined) throw invocation.failed;
  eraseNow(cell, invocation);
}

/** Carries out a deletion; no transaction is open. */
export function eraseNow(cell: LiveCell, invocation: Invocation): void {
  assert(cell.tx.owner === undefined, "a deletion is a commit of its own");
  const { db, host } = cell;
  host.admit();
  host.critical = true;
  try {
    db.begin();
    try {
      dropEverything(cell);
      if (!cell.kind.raw) migrate(cell.kind, cell.address, db, true, () => {});
      db.commit();
    } catch (error) {
      db.rollback();
      throw error;
    } finally {
      db.statements.clear();
    }
    buryIn(cell);
    invocation.commits += 1;
  } finally {
    host.critical = false;
  }
}

/** The database is empty: the log is told, and what there is now waits for the first record of a new existence. */
function buryIn(cell: LiveCell): void {
  const { db, host } = cell;
  try {
    db.capture.read();
    if (cell.exists) {
      cell.entry = host.committer.bury(cell.address, cell.addressBytes, cell.slot, cell.entry as never, db);
      cell.logged(host.committer.log.appended);
    }
    // The pages that are not free, each of them, in one commit: what a new existence begins with.
    db.exec("VACUUM");
    cell.tx.pending = new PendingPages();
    const pages = db.capture.read();
    assert(pages !== undefined && pages.count === db.pageCount, "VACUUM writes every page");
    cell.tx.pending.add(pages);
  } catch (error) {
    cell.break(error);
    throw error;
  }
}

interface SchemaRow {
  type: string;
  name: string;
  sql: string | null;
}

function dropEverything(cell: LiveCell): void {
  const { db } = cell;
  db.exec("PRAGMA defer_foreign_keys = ON");
  const all = "SELECT type, name, sql FROM sqlite_schema WHERE type IN ('trigger', 'view', 'table')";
  // Triggers first: the rows that a DROP TABLE deletes must set off none. Virtual tables take their own tables along.
  const order = "ORDER BY type = 'trigger' DESC, type = 'view' DESC, sql LIKE 'CREATE VIRTUAL%' DESC";
  for (const row of db.prepare(`${all} ${order}`).all() as unknown as SchemaRow[]) {
    const name = `"${row.name.replaceAll('"', '""')}"`;
    if (row.name === "sqlite_sequence") db.exec("DELETE FROM sqlite_sequence");
    else if (!row.name.startsWith("sqlite_stat")) db.exec(`DROP ${row.type} IF EXISTS ${name}`);
    else db.exec(`DELETE FROM ${name}`);
  }
}
