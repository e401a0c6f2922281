// A live cell: an instance of a class with its open database, and the rules by which verbs become transactions.
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
import { CHECKPOINT_BYTES, MAX_COMMIT_BYTES } from "../limits.ts";
import type { PageSet } from "../codec/pages.ts";
import type { CellEntry } from "../store/catalog.ts";
import type { CellDatabase } from "../store/database.ts";
import { headOf, isSqliteIoError, wrapSqlError } from "../store/sqlerror.ts";
import type { Prepared } from "../store/statements.ts";
import type { Address, Durability, Lsn, Slot } from "../types.ts";
import type { CellKind, Verb } from "./app.ts";
import type { Cell } from "./cell.ts";
import { cloneError, cloneResult } from "./clone.ts";
import { type Committer, PendingPages } from "./commit.ts";
import { call, dropCalls, Invocation, invocations, isAsync, isThenable, releaseCalls } from "./invocation.ts";
import type { Stubs } from "./stub.ts";

/** What a live cell needs of its node. */
export interface CellHost {
  readonly committer: Committer;
  readonly stubs: Stubs;
  /** Throws where no write should be begun: DISK_FULL, OVERLOADED, STOPPING. */
  admit(): void;
  /** The cell's file must not be used again: forget it and make it anew from the log. */
  discard(cell: LiveCell): void;
  /** The program is wrong or its disk fails: end the process. */
  fatal(error: unknown): void;
}

/** See the head of the file. Owned by the host of the node, from activation to deactivation. */
export class LiveCell {
  readonly kind: CellKind;
  readonly name: string;
  readonly address: Address;
  readonly addressBytes: Buffer;
  readonly slot: Slot;
  readonly db: CellDatabase;
  readonly host: CellHost;
  readonly durability: Durability;
  /** The row of the catalog; undefined or deleted: the cell does not exist yet. */
  entry: CellEntry | undefined;
  /** Set at the end of activation. */
  instance!: Cell;
  /** Migrations and the constructor are running: what they write waits for the first record of a verb. */
  activating = true;
  /** The watermark at `disk`: whoever hears from this cell waits for this lsn. */
  lsn = 0 as Lsn;
  /** Behind the last record, whatever its durability: the file is closed or checkpointed only after it. */
  lastLsn = 0 as Lsn;
  /** Invocations that have not ended. Count. */
  running = 0;
  /** New invocations wait for this, in their order. */
  gate: Promise<void> | undefined;
  /** The failure for which the instance was discarded. */
  broken: FrondError | undefined;
  /** For the LRU of the host: called since the last look. */
  used = true;
  #tx: Invocation | undefined;
  #txNumber = 0;
  #savepoints = 0;
  #pending: PendingPages | undefined;

  constructor(
    host: CellHost,
    kind: CellKind,
    name: string,
    address: Address,
    slot: Slot,
    durability: Durability,
    db: CellDatabase,
    entry: CellEntry | undefined,
  ) {
    this.host = host;
    this.kind = kind;
    this.name = name;
    this.address = address;
    this.addressBytes = Buffer.from(address);
    this.slot = slot;
    this.durability = durability;
    this.db = db;
    this.entry = entry;
    if (!this.exists) this.#pending = new PendingPages();
  }

  /** The cell has a record in the log. */
  get exists(): boolean {
    return this.entry !== undefined && !this.entry.deleted;
  }

  /** The new file is a copy of `image`, no commit of which was captured. */
  beginWith(image: Uint8Array): void {
    assert(this.#pending !== undefined, "only a cell without a record begins with a template");
    this.#pending.seed(image, this.db.pageSize);
  }

  /** Nothing runs here, and everything is in the durable log: the file may be closed. */
  get idle(): boolean {
    return (
      this.running === 0 &&
      this.gate === undefined &&
      this.#tx === undefined &&
      this.lastLsn <= this.host.committer.log.durable
    );
  }

  /** What a new invocation has to wait for before it may run here; undefined: nothing. */
  get busy(): Promise<void> | undefined {
    return this.gate ?? (this.#isMidway ? Promise.resolve() : undefined);
  }

  /** Runs a verb, unless the cell is `busy`. Returns its result, or a promise of it; throws what it threw. */
  invoke(name: string, verb: Verb, args: unknown[]): unknown {
    assert(this.busy === undefined, "no verb begins in the middle of another");
    // Fields that the open stretch has set can be read from now on, so what it wrote must be in the log.
    this.commitOpenStretch();
    if (this.broken !== undefined) throw this.broken;
    this.used = true;
    const invocation = new Invocation(this, name, !isAsync(verb));
    this.running += 1;
    let result: unknown;
    try {
      result = this.within(invocation, verb, args);
    } catch (error) {
      this.#end(invocation);
      if (error instanceof AssertionError) this.host.fatal(error);
      throw cloneError(error);
    }
    if (result instanceof Promise) return this.#settle(invocation, result);
    this.#end(invocation);
    return result;
  }

  /** Runs the first stretch of an invocation and ends its transaction. Throws what it threw, after the roll-back. */
  within(invocation: Invocation, verb: Verb, args: unknown[]): unknown {
    try {
      let result = invocations.run(invocation, call, verb, this.instance, args);
      if (result instanceof Promise) {
        invocation.sync = false;
        // A stretch that cannot be committed is the verb's failure, told when the verb has ended: nothing runs on unseen.
        this.#endStretch(invocation);
        return result;
      }
      if (invocation.failed !== undefined) throw invocation.failed;
      // Before the commit: a result that cannot be given is a verb that did not happen.
      if (invocation.verb !== "fetch") result = cloneResult(result, invocation.verb);
      this.#endStretch(invocation);
      if (invocation.failed !== undefined) throw invocation.failed;
      return result;
    } catch (error) {
      if (this.#tx === invocation) this.#rollback(invocation);
      dropCalls(invocation, 0);
      throw invocation.failed ?? error;
    }
  }

  /**
   * Executes a statement of the code that is running. Throws STRAY_STATEMENT outside an invocation of this cell, and
   * TX_ABORTED when the statement ended its own transaction.
   */
  execute<T>(sql: string, args: unknown[], run: (prepared: Prepared, args: unknown[]) => T): T {
    const invocation = this.enter();
    let failure: unknown;
    let writes = false;
    try {
      const prepared = this.db.statements.prepare(sql);
      if (prepared.writes) {
        this.#open(invocation);
        writes = true;
      }
      return run(prepared, args);
    } catch (error) {
      failure = error;
      throw error;
    } finally {
      if (isFrondError(failure, "CELL_DAMAGED")) this.#giveUpFile(invocation, failure);
      if (writes) this.#stillStands(invocation, sql, failure);
    }
  }

  /** Runs frond's own statements that write, as part of the code that is running. `what` names them in errors. */
  write<T>(what: string, work: () => T): T {
    const invocation = this.enter();
    this.#open(invocation);
    let failure: unknown;
    try {
      return work();
    } catch (error) {
      failure = wrapSqlError(error, what);
      throw failure;
    } finally {
      if (isFrondError(failure, "CELL_DAMAGED")) this.#giveUpFile(invocation, failure);
      this.#stillStands(invocation, what, failure);
    }
  }

  /** The invocation that is running, which may use this cell's database now. */
  enter(): Invocation {
    const invocation = invocations.getStore();
    if (invocation === undefined || invocation.cell !== this || invocation.done) throw this.#stray(invocation);
    if (invocation.failed !== undefined) throw invocation.failed;
    if (this.broken !== undefined) throw this.broken;
    if (this.#tx === undefined || this.#tx === invocation) return invocation;
    if (this.#isMidway) throw this.#stray(invocation);
    this.#commitStretch(this.#tx);
    if (this.broken !== undefined) throw this.broken;
    return invocation;
  }

  /** `work` happens whole or not at all. Nested in an open transaction it is a savepoint. */
  transaction<T>(work: () => T): T {
    const invocation = this.enter();
    const outermost = this.#tx !== invocation;
    this.#open(invocation);
    // Outermost in a sync verb, it is part of the verb's transaction but must be undone alone: a savepoint too.
    const savepoint = `frond_${this.#savepoints + 1}`;
    this.db.exec(`SAVEPOINT ${savepoint}`);
    this.#savepoints += 1;
    const calls = invocation.held?.length ?? 0;
    let result: T;
    try {
      result = work();
      if (isThenable(result)) throw this.#refuseAsync(invocation, result);
      if (invocation.failed !== undefined) throw invocation.failed;
      this.db.exec(`RELEASE ${savepoint}`);
    } catch (error) {
      if (this.#tx === invocation && this.db.inTransaction) {
        this.db.exec(`ROLLBACK TO ${savepoint}; RELEASE ${savepoint}`);
        this.db.statements.rolledBack();
      }
      dropCalls(invocation, calls);
      throw error;
    } finally {
      this.#savepoints -= 1;
    }
    if (outermost && !invocation.sync) this.#commitOrThrow(invocation);
    return result;
  }

  /** Gives unused pages back. A commit of its own, so it cannot be part of a transaction. */
  vacuum(): void {
    const invocation = this.enter();
    if (this.#tx === invocation) {
      const what = `${this.address}.${invocation.verb} called vacuum inside its transaction`;
      throw new FrondError("TX_ABORTED", `${what}; call it before the first write`);
    }
    if (!this.exists) return;
    const bytes = (this.entry?.pageCount ?? 0) * this.db.pageSize;
    if (bytes > MAX_COMMIT_BYTES) {
      const what = `${this.address} has ${bytes} bytes; vacuum writes all of them as one commit`;
      throw new FrondError("RECORD_TOO_LARGE", `${what}, which holds at most ${MAX_COMMIT_BYTES}`);
    }
    this.host.admit();
    this.db.exec("VACUUM");
    try {
      this.#emit(this.db.capture.read());
    } catch (error) {
      this.#break(error);
      throw error;
    }
  }

  /** Ends an open stretch of whichever invocation: before maintenance that needs none. */
  commitOpenStretch(): void {
    if (this.#tx !== undefined) this.#commitStretch(this.#tx);
  }

  /** A call made by this invocation now leaves when its transaction is committed, and not if it is rolled back. */
  holdsCalls(invocation: Invocation): boolean {
    return !invocation.done && (invocation.sync || this.#tx === invocation);
  }

  /** Code is on the stack whose transaction nobody else may end: a sync verb, or the work of `transaction`. */
  get #isMidway(): boolean {
    return this.#savepoints > 0 || this.#tx?.sync === true;
  }

  #settle(invocation: Invocation, result: Promise<unknown>): Promise<unknown> {
    return result.then(
      (value) => {
        this.commitOpenStretch();
        this.#end(invocation);
        if (invocation.failed !== undefined) throw cloneError(invocation.failed);
        return invocation.verb === "fetch" ? value : cloneResult(value, invocation.verb);
      },
      (error: unknown) => {
        // The stretch that threw commits what it wrote, like every stretch: only this.transaction takes back.
        this.commitOpenStretch();
        this.#end(invocation);
        throw cloneError(invocation.failed ?? error);
      },
    );
  }

  #end(invocation: Invocation): void {
    assert(this.#tx !== invocation, "an invocation ends without an open transaction");
    invocation.done = true;
    this.running -= 1;
  }

  #open(invocation: Invocation): void {
    if (this.#tx !== undefined) return;
    this.host.admit();
    this.db.begin();
    this.#tx = invocation;
    const number = ++this.#txNumber;
    if (invocation.sync) return;
    // The stretch ends when the code that is running returns to the event loop.
    queueMicrotask(() => {
      if (this.#tx === invocation && this.#txNumber === number) this.#commitStretch(invocation);
    });
  }

  #endStretch(invocation: Invocation): void {
    if (this.#tx === invocation) this.#commitStretch(invocation);
    else releaseCalls(invocation);
  }

  /** Commits; a failure is kept for the answer of the invocation, whose code is not running. */
  #commitStretch(invocation: Invocation): void {
    try {
      this.#commitOrThrow(invocation);
    } catch (error) {
      if (error instanceof AssertionError) this.host.fatal(error);
      invocation.failed ??= error;
    }
  }

  #commitOrThrow(invocation: Invocation): void {
    try {
      this.#commit(invocation);
    } catch (error) {
      if (this.#tx === invocation) this.#rollback(invocation);
      throw error;
    }
  }

  #commit(invocation: Invocation): void {
    assert(this.db.inTransaction, "a commit ends an open transaction");
    // Until COMMIT returned, a failure is answered by a roll-back; from then on the log has the commit or it is taken back.
    this.db.commit();
    this.#tx = undefined;
    try {
      this.#emit(this.db.capture.read());
    } catch (error) {
      this.#break(error);
      dropCalls(invocation, 0);
      throw error;
    }
    releaseCalls(invocation);
  }

  #emit(pages: PageSet | undefined): void {
    if (pages === undefined) return;
    if (this.#pending !== undefined) {
      this.#pending.add(pages);
      if (this.activating) return;
      pages = this.#pending.take(this.db.pageSize, this.db.capture.pageCount);
    }
    const { committer } = this.host;
    this.entry = committer.emit(this.address, this.addressBytes, this.slot, this.entry, this.db, pages);
    this.#pending = undefined;
    this.lastLsn = committer.log.appended;
    if (this.durability !== "memory") this.lsn = this.lastLsn;
    if (this.db.capture.end >= CHECKPOINT_BYTES && this.gate === undefined) this.#checkpointSoon();
  }

  #rollback(invocation: Invocation): void {
    this.#tx = undefined;
    dropCalls(invocation, 0);
    try {
      this.db.rollback();
    } catch (error) {
      // What SQLite holds now is unknown; the log is not.
      this.#break(error);
    }
  }

  /** The file holds a commit that the log has not: nobody may see it. */
  #break(error: unknown, what = `a commit of ${this.address} was taken back`): void {
    const message = error instanceof Error ? error.message : String(error);
    this.broken = new FrondError(
      isFrondError(error, "DISK_FULL") ? "DISK_FULL" : "COMMIT_FAILED",
      `${what}: ${message}`,
      { cause: error },
    );
    this.host.discard(this);
    if (!(error instanceof FrondError)) this.host.fatal(error);
  }

  /** SQLite has met a page that cannot be: the file is a cache, and the log has the cell. Throws what the verb ends with. */
  #giveUpFile(invocation: Invocation, error: FrondError): never {
    this.#tx = undefined;
    dropCalls(invocation, 0);
    this.#break(error, `the file of ${this.address} is damaged and is made anew from the log`);
    throw (invocation.failed ??= this.broken);
  }

  /** SQLite ends a transaction by itself for OR ROLLBACK, RAISE(ROLLBACK), and some failures of the disk. */
  #stillStands(invocation: Invocation, sql: string, failure: unknown): void {
    if (isSqliteIoError(failure)) this.host.fatal(failure);
    if (this.#tx !== invocation || this.db.inTransaction) return;
    this.#tx = undefined;
    this.db.statements.rolledBack();
    dropCalls(invocation, 0);
    if (isFrondError(failure, "DISK_FULL")) invocation.failed = failure;
    else {
      const why = `was rolled back by its own statement (OR ROLLBACK or RAISE(ROLLBACK)): ${headOf(sql)}`;
      const message = `the transaction of ${this.address}.${invocation.verb} ${why}`;
      invocation.failed = new FrondError("TX_ABORTED", message, { cause: failure });
    }
    throw invocation.failed;
  }

  /** Whatever an async function does after its first await cannot be taken back, so none of it may happen. */
  #refuseAsync(invocation: Invocation, result: PromiseLike<unknown>): FrondError {
    result.then(undefined, () => {});
    const message = `a transaction of ${this.address} was given an async function; it must end before the first await`;
    const error = new FrondError("TX_ASYNC", message);
    invocation.failed ??= error;
    return error;
  }

  /** Moves the WAL into the file once the log holds all of it; new invocations wait for that. */
  #checkpointSoon(): void {
    const { log } = this.host.committer;
    this.gate = new Promise((resolve) => {
      const attempt = (): void => {
        if (this.broken === undefined) {
          this.commitOpenStretch();
          if (this.lastLsn > log.durable) return log.wait(this.lastLsn, attempt);
          this.#checkpoint();
        }
        resolve();
      };
      log.wait(this.lastLsn, attempt);
    });
    // The first to be told, so that calls which came later do not overtake those that wait.
    void this.gate.then(() => {
      this.gate = undefined;
    });
  }

  #checkpoint(): void {
    try {
      this.db.checkpoint();
    } catch (error) {
      // No space for the main file: the WAL stays, and the next commit asks again.
      if (!isFrondError(error, "DISK_FULL")) throw error;
    }
  }

  #stray(invocation: Invocation | undefined): FrondError {
    let where = "outside of any verb (a timer or an event that no verb waits for?)";
    if (invocation !== undefined) {
      if (invocation.cell !== this) {
        where = `by ${invocation.cell.address}; a cell is reached through a stub: this.get(...)`;
      } else if (invocation.done) {
        where = `after its verb ${invocation.verb} had ended; await what it starts`;
      } else {
        where = `by its verb ${invocation.verb} in the middle of ${this.#tx?.verb ?? "another"}, which called into it`;
      }
    }
    return new FrondError("STRAY_STATEMENT", `${this.address} was used ${where}`);
  }
}
