// What is done to a cell's file as a whole: checkpoint, vacuum, deletion.
//
// Rule: none of it changes what the log says of the cell before the log says it. The WAL moves into the main file only when
// the log durably holds all of it, and nothing is ever removed under a record that could still be lost: a deleted cell's
// file goes on, emptied by an ordinary commit, so a start that has lost the tombstone cuts the WAL back and has the cell.
// Rejected: putting a new file in place of the deleted cell's (a lost tombstone would leave it to be taken for the old one).

import { assert } from "../assert.ts";
import { FrondError, isFrondError } from "../errors.ts";
import { ASIDE_CELL_BYTES, CHECKPOINT_BYTES } from "../limits.ts";
import type { CellEntry } from "../store/catalog.ts";
import { PendingPages } from "./commit.ts";
import type { Invocation } from "./invocation.ts";
import type { LiveCell } from "./live.ts";
import { migrate } from "./migrate.ts";

/**
 * Moves the WAL into the file once the log holds all of it; events wait for that. Where verbs that run write on and on, it
 * never does: after a few attempts the events go first, and the WAL waits until it is twice as large.
 */
export function checkpointSoon(cell: LiveCell): void {
  const { log } = cell.host.committer;
  let attempts = 0;
  cell.gate.maintain(
    new Promise((resolve) => {
      const attempt = (): void => {
        if (cell.broken === undefined) {
          // A long transaction ends in its own time.
          if (cell.tx.exclusive !== undefined) return void cell.gate.opened?.then(attempt, attempt);
          cell.tx.commitOpenStretch();
          const late = cell.lastLsn > log.durable;
          if (late && (++attempts < CHECKPOINT_ATTEMPTS || !cell.queued)) return log.wait(cell.lastLsn, attempt);
          if (late) cell.checkpointBytes = 2 * cell.db.capture.end;
          else if (cell.broken === undefined) checkpoint(cell);
        }
        resolve();
      };
      log.wait(cell.lastLsn, attempt);
    }),
  );
}

/** Attempts, of about the length of a sync, for which events wait. Count. */
const CHECKPOINT_ATTEMPTS = 3;

function checkpoint(cell: LiveCell): void {
  try {
    cell.db.checkpoint();
    cell.checkpointBytes = CHECKPOINT_BYTES;
  } catch (error) {
    // No space for the main file: the WAL stays, and the next commit asks again.
    if (!isFrondError(error, "DISK_FULL")) throw error;
  }
}

/** Gives unused pages back. A commit of its own, so it cannot be part of a transaction. A large cell is left to the host. */
export function vacuum(cell: LiveCell): void {
  const invocation = cell.enter();
  if (cell.tx.owner === invocation || cell.tx.exclusive === invocation) {
    const what = `${cell.address}.${invocation.verb} called vacuum inside its transaction`;
    throw new FrondError("TX_ABORTED", `${what}; call it before the first write`);
  }
  if (!cell.exists) return;
  const bytes = (cell.entry?.pageCount ?? 0) * cell.db.pageSize;
  cell.host.admit();
  if (bytes > ASIDE_CELL_BYTES) return cell.host.vacuumSoon(cell);
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
    const where = `in ${cell.address}.${invocation.verb}; it is a commit of its own`;
    throw new FrondError("TX_ABORTED", `Cannot call deleteAll() within a transaction: ${where}`);
  }
  if (invocation.sync) {
    invocation.erases = true;
    return;
  }
  cell.tx.commitOpenStretch();
  if (invocation.failed !== undefined) throw invocation.failed;
  eraseNow(cell, invocation);
}

/**
 * Carries out a deletion; no transaction is open. `lastId`: what the tombstone says of the ids that were given. Throws what kept it
 * from that: the cell is then as it was.
 */
export function eraseNow(cell: LiveCell, invocation: Invocation, lastId: number = cell.alarms.lastId()): void {
  assert(cell.tx.owner === undefined, "a deletion is a commit of its own");
  const { db, host } = cell;
  host.admit();
  const bytes = db.pageCount * db.pageSize;
  host.critical = true;
  try {
    const pending = beginAnew(cell);
    if (cell.exists) {
      const { address, addressBytes, slot, entry } = cell;
      cell.entry = host.committer.bury(address, addressBytes, slot, entry as CellEntry, db, lastId);
      cell.logged(host.committer.log.appended);
      invocation.commits += 1;
    }
    cell.tx.pending = pending;
  } catch (error) {
    // The file is no longer what the log says.
    cell.break(error);
    throw error;
  } finally {
    host.critical = false;
  }
  // The old pages stay in the file until then.
  if (bytes >= CHECKPOINT_BYTES && !cell.gate.maintained) checkpointSoon(cell);
}

/** What the close of a socket says whose other side has gone for good. */
const GOING_AWAY = 1001;

/**
 * Deletes the cell, as an event that nobody in it has asked for, and gives the instance up: its fields are gone, and what
 * still runs in it ends with ABORTED. Its sockets are closed, without a last event that could make it begin again. `forAll`: not even
 * the ids of its scheduled calls are remembered.
 */
export function eraseFromOutside(cell: LiveCell, forAll = false): void {
  eraseNow(cell, cell.enter(), forAll ? 0 : undefined);
  cell.host.sockets.of(cell).dismiss(GOING_AWAY, "this cell was deleted", cell.lastLsn, cell.bucketLsn);
  cell.reset(new FrondError("ABORTED", `${cell.address} was deleted by its operator`));
}

/** Empties the database and makes the schema of a new cell. Returns its pages: they wait for the first record of a verb. */
function beginAnew({ kind, address, db }: LiveCell): PendingPages {
  const pending = new PendingPages();
  const keep = (): void => {
    for (let pages = db.capture.read(); pages !== undefined; pages = db.capture.read()) pending.add(pages);
  };
  db.empty();
  keep();
  assert(db.capture.pageCount === db.pageCount, "what was captured last is all that there is");
  if (kind.raw) return pending;
  try {
    migrate(kind, address, db, true, () => db.begin());
    if (db.inTransaction) db.commit();
  } catch (error) {
    db.rollback();
    throw error;
  }
  keep();
  return pending;
}
