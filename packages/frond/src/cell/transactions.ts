// The transactions of one live cell: which invocation has one open, when it ends, and what reaches the log.
//
// Rules (docs/SEMANTICS.md):
// - The first write of a stretch opens a transaction. A sync verb is one stretch: it commits whole when it returns, or is
//   rolled back when it throws. An async verb commits each stretch when it ends; what is committed is never rolled back.
// - A statement of another invocation first commits the open stretch, so two verbs never share a transaction.
// - After a failure of the runtime (the log did not take a commit) the instance and its file are discarded; the next call
//   finds the cell as the log has it.
// Reads open no transaction: the connection is the only one, so nothing can change between two of them in a stretch.

import { assert, AssertionError } from "../assert.ts";
import { FrondError, isFrondError } from "../errors.ts";
import type { PageSet } from "../codec/pages.ts";
import { headOf, isSqliteIoError } from "../store/sqlerror.ts";
import type { PendingPages } from "./commit.ts";
import { dropCalls, type Invocation, isThenable, releaseCalls } from "./invocation.ts";
import type { LiveCell } from "./live.ts";
import { checkpointSoon } from "./maintenance.ts";

/** See the head of the file. Owned by its live cell. */
export class Transactions {
  /** The invocation whose transaction is open. */
  owner: Invocation | undefined;
  /** The scope whose transaction may last over awaits: nobody else's statement is let in. */
  exclusive: Invocation | undefined;
  /** Resolves when that scope has ended. */
  freed: Promise<void> | undefined;
  /** What waits for the first record of a cell that does not exist yet. */
  pending: PendingPages | undefined;
  readonly #cell: LiveCell;
  #number = 0;
  #savepoints = 0;

  constructor(cell: LiveCell) {
    this.#cell = cell;
  }

  /** Code is on the stack, or waits, whose transaction nobody else may end: a sync verb, `transaction`, a long one. */
  get isMidway(): boolean {
    return this.#savepoints > 0 || (this.owner !== undefined && (this.owner.sync || this.owner.long));
  }

  /** The work of a synchronous `transaction` is on the stack. */
  get inPart(): boolean {
    return this.#savepoints > 0;
  }

  /** Opens a transaction for what the invocation is about to write, unless it has one. */
  open(invocation: Invocation): void {
    if (this.owner !== undefined) return;
    this.#cell.host.admit();
    this.#cell.db.begin();
    this.owner = invocation;
    const number = ++this.#number;
    if (invocation.sync || invocation.long) return;
    // The stretch ends when the code that is running returns to the event loop.
    queueMicrotask(() => {
      if (this.owner === invocation && this.#number === number) this.commitStretch(invocation);
    });
  }

  /** `work` happens whole or not at all. Nested in an open transaction it is a savepoint. */
  part<T>(invocation: Invocation, work: () => T): T {
    const { db } = this.#cell;
    const outermost = this.owner !== invocation;
    this.open(invocation);
    // Outermost in a sync verb, it is part of the verb's transaction but must be undone alone: a savepoint too.
    const savepoint = `frond_${this.#savepoints + 1}`;
    db.exec(`SAVEPOINT ${savepoint}`);
    this.#savepoints += 1;
    const calls = invocation.held?.length ?? 0;
    let result: T;
    try {
      result = work();
      if (isThenable(result)) throw this.#refuseAsync(invocation, result);
      if (invocation.failed !== undefined) throw invocation.failed;
      db.exec(`RELEASE ${savepoint}`);
    } catch (error) {
      if (this.owner === invocation && db.inTransaction) {
        db.exec(`ROLLBACK TO ${savepoint}; RELEASE ${savepoint}`);
        db.statements.rolledBack();
      }
      dropCalls(invocation, calls);
      throw error;
    } finally {
      this.#savepoints -= 1;
    }
    if (outermost && !invocation.sync && !invocation.long) this.commit(invocation);
    return result;
  }

  /** Ends an open stretch of whichever invocation. A long transaction is left alone. */
  commitOpenStretch(): void {
    if (this.owner !== undefined && !this.owner.long) this.commitStretch(this.owner);
  }

  /** The stretch of this invocation has ended: commits it, or lets go what it called. */
  endStretch(invocation: Invocation): void {
    if (this.owner === invocation) this.commitStretch(invocation);
    else releaseCalls(invocation);
  }

  /** Commits; a failure is kept for the answer of the invocation, whose code is not running. */
  commitStretch(invocation: Invocation): void {
    try {
      this.commit(invocation);
    } catch (error) {
      if (error instanceof AssertionError) this.#cell.host.fatal(error);
      invocation.failed ??= error;
    }
  }

  /** Commits the invocation's transaction. Throws what kept it from that; it is then rolled back. */
  commit(invocation: Invocation): void {
    const { host, mark, condemned } = this.#cell;
    host.critical = true;
    try {
      if (condemned !== undefined) throw condemned;
      host.marker.enter(mark, host.marker.sqlNumber("COMMIT"));
      this.#commit(invocation);
    } catch (error) {
      if (this.owner === invocation) this.rollback(invocation);
      throw error;
    } finally {
      host.marker.leave();
      host.critical = false;
    }
    releaseCalls(invocation);
  }

  #commit(invocation: Invocation): void {
    const { db } = this.#cell;
    assert(db.inTransaction, "a commit ends an open transaction");
    // Until COMMIT returned, a failure is answered by a roll-back; from then on the log has the commit or it is taken back.
    db.commit();
    this.owner = undefined;
    try {
      if (this.emit(db.capture.read())) invocation.commits += 1;
    } catch (error) {
      this.#cell.break(error);
      dropCalls(invocation, 0);
      throw error;
    }
  }

  /** Logs what a COMMIT has changed. True if there was something, and it is in the log now. */
  emit(pages: PageSet | undefined): boolean {
    if (pages === undefined) return false;
    const cell = this.#cell;
    if (this.pending !== undefined) {
      this.pending.add(pages);
      if (cell.activating) return false;
      pages = this.pending.take(cell.db.pageSize, cell.db.capture.pageCount);
    }
    const { committer } = cell.host;
    const alarms = cell.alarms.touched ? cell.alarms.state() : undefined;
    cell.entry = committer.emit(cell.address, cell.addressBytes, cell.slot, cell.entry, cell.db, pages, alarms);
    cell.alarms.touched = false;
    this.pending = undefined;
    cell.logged(committer.log.appended);
    if (cell.db.capture.end >= cell.checkpointBytes && !cell.gate.maintained) checkpointSoon(cell);
    return true;
  }

  rollback(invocation: Invocation): void {
    dropCalls(invocation, 0);
    this.takeBack();
  }

  /** Undoes the open transaction; what was called in it is left to the caller. */
  takeBack(): void {
    this.owner = undefined;
    try {
      this.#cell.db.rollback();
    } catch (error) {
      // What SQLite holds now is unknown; the log is not.
      this.#cell.break(error);
    }
  }

  /** SQLite ends a transaction by itself for OR ROLLBACK, RAISE(ROLLBACK), and some failures of the disk. */
  stillStands(invocation: Invocation, sql: string, failure: unknown): void {
    const { db, host, address } = this.#cell;
    if (isSqliteIoError(failure)) host.fatal(failure);
    if (this.owner !== invocation || db.inTransaction) return;
    this.owner = undefined;
    db.statements.rolledBack();
    dropCalls(invocation, 0);
    if (isFrondError(failure, "DISK_FULL")) invocation.failed = failure;
    else {
      const why = `was rolled back by its own statement (OR ROLLBACK or RAISE(ROLLBACK)): ${headOf(sql)}`;
      const message = `the transaction of ${address}.${invocation.verb} ${why}`;
      invocation.failed = new FrondError("TX_ABORTED", message, { cause: failure });
    }
    throw invocation.failed;
  }

  /** Whatever an async function does after its first await cannot be taken back, so none of it may happen. */
  #refuseAsync(invocation: Invocation, result: PromiseLike<unknown>): FrondError {
    result.then(undefined, () => {});
    const what = `a transaction of ${this.#cell.address} was given an async function`;
    const error = new FrondError("TX_ASYNC", `${what}; it must end before the first await`);
    invocation.failed ??= error;
    return error;
  }
}
