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
import type { Prepared } from "../store/statements.ts";
import type { Address, Durability, Lsn, Slot } from "../types.ts";
import type { CellKind, Verb } from "./app.ts";
import type { Cell } from "./cell.ts";
import { cloneError, cloneResult } from "./clone.ts";
import { type Committer, PendingPages } from "./commit.ts";
import { Invocation, invocations } from "./invocation.ts";
import type { Stubs } from "./stub.ts";

/** What a live cell needs of its node. */
export interface CellHost {
  readonly committer: Committer;
  readonly stubs: Stubs;
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
  /** New invocations wait for this. */
  gate: Promise<void> | undefined;
  /** The failure for which the instance was discarded. */
  broken: FrondError | undefined;
  /** For the LRU of the host: called since the last look. */
  used = true;
  #tx: Invocation | undefined;
  #txNumber = 0;
  #savepoints = 0;
  #pending: PendingPages | undefined;

  constructor(host: CellHost, kind: CellKind, name: string, address: Address, slot: Slot, durability: Durability, db: CellDatabase, entry: CellEntry | undefined) {
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

  /** Nothing runs here, and everything is in the durable log: the file may be closed. */
  get idle(): boolean {
    return this.running === 0 && this.gate === undefined && this.#tx === undefined && this.lastLsn <= this.host.committer.log.durable;
  }

  /** Runs a verb. Returns its result, or a promise of it; throws what it threw. */
  invoke(name: string, verb: Verb, args: unknown[]): unknown {
    if (this.gate !== undefined) return this.#later(this.gate, name, verb, args);
    if (this.broken !== undefined) throw this.broken;
    this.used = true;
    const invocation = new Invocation(this, name);
    this.running += 1;
    let result: unknown;
    try {
      result = this.within(invocation, verb, args);
    } catch (error) {
      this.#end(invocation);
      if (error instanceof AssertionError) this.host.fatal(error);
      throw cloneError(error);
    }
    if (isThenable(result)) {
      invocation.sync = false;
      return this.#settle(invocation, Promise.resolve(result));
    }
    this.#end(invocation);
    return name === "fetch" ? result : cloneResult(result, name);
  }

  /** Runs the first stretch of an invocation and ends its transaction. Throws what it threw, after the roll-back. */
  within(invocation: Invocation, verb: Verb, args: unknown[]): unknown {
    try {
      const result = invocations.run(invocation, call, verb, this.instance, args);
      if (invocation.failed !== undefined) throw invocation.failed;
      if (this.#tx === invocation) this.#commit(invocation);
      return result;
    } catch (error) {
      if (this.#tx === invocation) this.#rollback(invocation);
      throw invocation.failed ?? error;
    }
  }

  /** Executes a statement of the code that is running. Throws STRAY_STATEMENT outside an invocation of this cell. */
  execute<T>(prepared: Prepared, args: unknown[], run: (prepared: Prepared, args: unknown[]) => T): T {
    const invocation = this.enter();
    if (!prepared.writes) return run(prepared, args);
    this.#open(invocation);
    try {
      return run(prepared, args);
    } finally {
      this.#stillStands(invocation, prepared.sql);
    }
  }

  /** Runs frond's own statements that write, as part of the code that is running. */
  write<T>(work: () => T): T {
    this.#open(this.enter());
    return work();
  }

  /** The invocation that is running, which may use this cell's database now. */
  enter(): Invocation {
    const invocation = invocations.getStore();
    if (invocation === undefined || invocation.cell !== this || invocation.done) throw this.#stray(invocation);
    if (invocation.failed !== undefined) throw invocation.failed;
    if (this.broken !== undefined) throw this.broken;
    if (this.#tx !== undefined && this.#tx !== invocation) this.#commitStretch(this.#tx);
    if (this.broken !== undefined) throw this.broken;
    return invocation;
  }

  /** `work` happens whole or not at all. Nested in an open transaction it is a savepoint. */
  transaction<T>(work: () => T): T {
    const invocation = this.enter();
    const outermost = this.#tx !== invocation;
    this.#open(invocation);
    // Outermost in a sync verb, it is part of the verb's transaction but must be undone alone: a savepoint too.
    const savepoint = `frond_${++this.#savepoints}`;
    this.db.exec(`SAVEPOINT ${savepoint}`);
    try {
      const result = work();
      if (isThenable(result)) {
        result.then(undefined, () => {});
        throw new FrondError("TX_ASYNC", `a transaction of ${this.address} was given an async function; it must end before the first await`);
      }
      if (invocation.failed !== undefined) throw invocation.failed;
      this.db.exec(`RELEASE ${savepoint}`);
      if (outermost && !invocation.sync) this.#commitOrThrow(invocation);
      return result;
    } catch (error) {
      if (this.#tx === invocation && this.db.inTransaction) {
        this.db.exec(`ROLLBACK TO ${savepoint}; RELEASE ${savepoint}`);
        this.db.statements.rolledBack();
      }
      throw error;
    } finally {
      this.#savepoints -= 1;
    }
  }

  /** Gives unused pages back. A commit of its own, so it cannot be part of a transaction. */
  vacuum(): void {
    const invocation = this.enter();
    if (this.#tx === invocation) {
      throw new FrondError("TX_ABORTED", `${this.address}.${invocation.verb} called vacuum inside its transaction; call it before the first write`);
    }
    if (!this.exists) return;
    const bytes = (this.entry?.pageCount ?? 0) * this.db.pageSize;
    if (bytes > MAX_COMMIT_BYTES) {
      throw new FrondError("RECORD_TOO_LARGE", `${this.address} has ${bytes} bytes; vacuum writes all of them as one commit, which holds at most ${MAX_COMMIT_BYTES}`);
    }
    this.host.committer.log.admit();
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

  /** A call made by this invocation now would leave before its transaction is committed. */
  holdsCalls(invocation: Invocation): boolean {
    return this.#tx === invocation;
  }

  /** A call that waits counts as running, so that the cell is not closed meanwhile. */
  #later(gate: Promise<void>, name: string, verb: Verb, args: unknown[]): Promise<unknown> {
    this.running += 1;
    return gate.then(() => {
      this.running -= 1;
      return this.invoke(name, verb, args);
    });
  }

  #settle(invocation: Invocation, result: Promise<unknown>): Promise<unknown> {
    return result.then(
      (value) => {
        if (this.#tx === invocation) this.#commitStretch(invocation);
        this.#end(invocation);
        if (invocation.failed !== undefined) throw cloneError(invocation.failed);
        return invocation.verb === "fetch" ? value : cloneResult(value, invocation.verb);
      },
      (error: unknown) => {
        // The stretch that threw commits what it wrote, like every stretch: only this.transaction takes back.
        if (this.#tx === invocation) this.#commitStretch(invocation);
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
    this.host.committer.log.admit();
    this.db.begin();
    this.#tx = invocation;
    const number = ++this.#txNumber;
    if (invocation.sync) return;
    // The stretch ends when the code that is running returns to the event loop.
    queueMicrotask(() => {
      if (this.#tx === invocation && this.#txNumber === number) this.#commitStretch(invocation);
    });
  }

  /** Commits a stretch of an async verb whose code is not running: a failure is kept for its answer. */
  #commitStretch(invocation: Invocation): void {
    try {
      this.#commitOrThrow(invocation);
    } catch (error) {
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
      if (invocation.held !== undefined) release(invocation, false);
      throw error;
    }
    if (invocation.held !== undefined) release(invocation, true);
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
    this.db.rollback();
    if (invocation.held !== undefined) release(invocation, false);
  }

  /** The file holds a commit that the log has not: nobody may see it. */
  #break(error: unknown): void {
    const message = error instanceof Error ? error.message : String(error);
    this.broken = new FrondError(
      isFrondError(error, "DISK_FULL") ? "DISK_FULL" : "COMMIT_FAILED",
      `a commit of ${this.address} was taken back: ${message}`,
      { cause: error },
    );
    this.host.discard(this);
    if (!(error instanceof FrondError)) this.host.fatal(error);
  }

  #stillStands(invocation: Invocation, sql: string): void {
    if (this.#tx !== invocation || this.db.inTransaction) return;
    this.#tx = undefined;
    this.db.statements.rolledBack();
    if (invocation.held !== undefined) release(invocation, false);
    invocation.failed = new FrondError(
      "TX_ABORTED",
      `the transaction of ${this.address}.${invocation.verb} was rolled back by its own statement (OR ROLLBACK or RAISE(ROLLBACK)): ${sql.slice(0, 80)}`,
    );
    throw invocation.failed;
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
        this.gate = undefined;
        resolve();
      };
      log.wait(this.lastLsn, attempt);
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
    const where =
      invocation === undefined
        ? "outside of any verb (a timer or an event that no verb waits for?)"
        : invocation.cell === this
          ? `after its verb ${invocation.verb} had ended; await what it starts`
          : `by ${invocation.cell.address}; a cell is reached through a stub: this.get(...)`;
    return new FrondError("STRAY_STATEMENT", `${this.address} was used ${where}`);
  }
}

function call(verb: Verb, instance: Cell, args: unknown[]): unknown {
  return verb.apply(instance, args);
}

function release(invocation: Invocation, committed: boolean): void {
  const held = invocation.held;
  invocation.held = undefined;
  for (const one of held ?? []) {
    if (committed) one.leave();
    else one.drop();
  }
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof value === "object" && value !== null && typeof (value as { then?: unknown }).then === "function";
}
