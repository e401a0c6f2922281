// Statements of a cell: the way of each one, the user's and frond's own.
//
// Rule: a statement belongs to the invocation that is running, and opens its transaction when it writes; afterwards it is
// looked whether that still stands. A page that cannot be gives the file up: it is a cache, and the log has the cell.
// While SQLite works, it is written where the watchdog can read whose statement that is.

import { type FrondError, isFrondError } from "../errors.ts";
import { wrapSqlError } from "../store/sqlerror.ts";
import type { Prepared } from "../store/statements.ts";
import { dropCalls, type Invocation } from "./invocation.ts";
import type { LiveCell } from "./live.ts";

/**
 * Executes a statement of the code that is running. Throws STRAY_STATEMENT outside an invocation of this cell, and
 * TX_ABORTED when the statement ended its own transaction.
 */
export function execute<T>(
  cell: LiveCell,
  sql: string,
  args: unknown[],
  run: (prepared: Prepared, args: unknown[]) => T,
): T {
  const invocation = cell.enter();
  let failure: unknown;
  let writes = false;
  const { marker } = cell.host;
  marker.enter(cell.mark, marker.sqlNumber(sql));
  try {
    const prepared = cell.db.statements.prepare(sql);
    if (prepared.writes) {
      cell.tx.open(invocation);
      writes = true;
    }
    return run(prepared, args);
  } catch (error) {
    failure = error;
    invocation.stumbled = error;
    throw error;
  } finally {
    marker.leave();
    if (isFrondError(failure, "CELL_DAMAGED")) giveUpFile(cell, invocation, failure);
    if (writes) cell.tx.stillStands(invocation, sql, failure);
  }
}

/** Runs frond's own statements that write, as part of the code that is running. `what` names them in errors. */
export function write<T>(cell: LiveCell, what: string, work: () => T): T {
  const invocation = cell.enter();
  cell.tx.open(invocation);
  let failure: unknown;
  const { marker } = cell.host;
  marker.enter(cell.mark, marker.sqlNumber(what));
  try {
    return work();
  } catch (error) {
    failure = wrapSqlError(error, what);
    throw failure;
  } finally {
    marker.leave();
    if (isFrondError(failure, "CELL_DAMAGED")) giveUpFile(cell, invocation, failure);
    cell.tx.stillStands(invocation, what, failure);
  }
}

/** Runs frond's own statements that only read, as part of the code that is running. */
export function read<T>(cell: LiveCell, what: string, work: () => T): T {
  const invocation = cell.enter();
  const { marker } = cell.host;
  marker.enter(cell.mark, marker.sqlNumber(what));
  try {
    return work();
  } catch (error) {
    const failure = wrapSqlError(error, what);
    invocation.stumbled = failure;
    if (isFrondError(failure, "CELL_DAMAGED")) giveUpFile(cell, invocation, failure);
    throw failure;
  } finally {
    marker.leave();
  }
}

/** SQLite has met a page that cannot be: the file is a cache, and the log has the cell. Throws what the verb ends with. */
function giveUpFile(cell: LiveCell, invocation: Invocation, error: FrondError): never {
  cell.tx.owner = undefined;
  dropCalls(invocation, 0);
  cell.break(error, `the file of ${cell.address} is damaged and is made anew from the log`);
  throw (invocation.failed ??= cell.broken);
}
