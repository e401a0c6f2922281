// A live cell: an instance of a class with its open database, and how code gets to run in it.
//
// Rule: everything that runs in a cell is an invocation: a verb, a hook, the constructor, or a scope that has the cell for
// itself. It begins while the input gate is open and nobody's transaction is midway; what it may write and when that is
// committed is for transactions.ts. An invocation ends with its answer, or with the last work that it told the runtime to
// wait for. After a failure of the runtime the instance is given up; the next event finds the cell as the log has it.

import { assert, AssertionError } from "../assert.ts";
import { FrondError, isFrondError } from "../errors.ts";
import { CHECKPOINT_BYTES } from "../limits.ts";
import type { CellEntry } from "../store/catalog.ts";
import type { CellDatabase } from "../store/database.ts";
import type { Marker } from "../store/marker.ts";
import type { Clock } from "../clock.ts";
import type { Address, Durability, Lsn, Slot } from "../types.ts";
import { CellAlarms } from "./alarms.ts";
import type { CellKind, Verb } from "./app.ts";
import type { Cell } from "./cell.ts";
import { cloneError } from "./clone.ts";
import { type Committer, PendingPages } from "./commit.ts";
import { fieldsOf, warnOfFields, warnOfPartialCommit } from "./devWarnings.ts";
import type { FileStore } from "./files.ts";
import { InputGate } from "./gate.ts";
import { call, dropCalls, type Fail, Invocation, invocations, isAsync, isWithin, releaseCalls } from "./invocation.ts";
import { eraseNow } from "./maintenance.ts";
import type { SocketRegistry } from "./sockets.ts";
import { closed, erased, stray } from "./misuse.ts";
import type { Stubs } from "./stub.ts";
import { Transactions } from "./transactions.ts";
import type { Watermarks } from "./watermarks.ts";

/** What a live cell needs of its node. */
export interface CellHost {
  readonly committer: Committer;
  readonly stubs: Stubs;
  readonly sockets: SocketRegistry;
  readonly files: FileStore;
  readonly clock: Clock;
  /** Warn of what is probably a mistake in the code: under `frond dev`. */
  readonly dev: boolean;
  /** Where it is written whose code runs, for the watchdog. */
  readonly marker: Marker;
  /** Code of the runtime runs that nothing may break off: a commit on its way into the log. */
  critical: boolean;
  /** The invocation whose code is on the stack, as far as it runs without an await. */
  running: Invocation | undefined;
  /** Throws where no write should be begun: DISK_FULL, OVERLOADED, STOPPING. */
  admit(): void;
  /** Calls `done` once what has these watermarks may be told. */
  whenTold(lsn: Lsn, bucketLsn: Lsn, done: () => void): void;
  /** The cell's file must not be used again: forget it and make it anew from the log. */
  discard(cell: LiveCell): void;
  /** The instance must not be used again; its file is as the log has it. */
  retire(cell: LiveCell): void;
  /** The cell is closed and vacuumed as soon as nothing runs in it; who calls meanwhile waits. */
  vacuumSoon(cell: LiveCell): void;
  warn(fields: object, message: string): void;
  /** The program is wrong or its disk fails: end the process. */
  fatal(error: unknown): void;
}

/** One invocation of eight is measured. */
const SAMPLE_MASK = 7;

/** What a cell that is closed has heard of or written, and the bucket has not. */
export type Unconfirmed = Pick<LiveCell, "bucketLsn" | "lastLsn">;

/** What becomes of the result of an invocation before it is given away. Throws when it cannot be given. */
export type Give = (value: unknown, invocation: Invocation) => unknown;

/** See the head of the file. Owned by the host of the node, from activation to deactivation. */
export class LiveCell implements Watermarks {
  readonly kind: CellKind;
  readonly name: string;
  readonly address: Address;
  readonly addressBytes: Buffer;
  readonly slot: Slot;
  readonly db: CellDatabase;
  readonly host: CellHost;
  readonly durability: Durability;
  readonly gate = new InputGate();
  readonly tx: Transactions;
  /** Its number for the marks of the watchdog. */
  mark: number;
  readonly alarms: CellAlarms;
  /** The row of the catalog; undefined or deleted: the cell does not exist yet. */
  entry: CellEntry | undefined;
  /** Set at the end of activation. */
  instance!: Cell;
  /** Migrations and the constructor are running: what they write waits for the first record of a verb. */
  activating = true;
  /** Whoever hears from this cell waits until everything before this is on the disk. */
  lsn = 0 as Lsn;
  /** And until everything before this is in the bucket. */
  bucketLsn = 0 as Lsn;
  /** Behind the last record, whatever its durability: the file is closed or checkpointed only after it. */
  lastLsn = 0 as Lsn;
  /** The size of the WAL, in bytes, from which it is moved into the file. */
  checkpointBytes = CHECKPOINT_BYTES;
  /** Invocations that have not ended, and pieces of work that they wait for. Count. */
  running = 0;
  /** Invocations that began. Count. */
  calls = 0;
  #sampled = 0;
  #sampledMs = 0;
  /** Events wait for this cell: later ones wait behind them. */
  queued = false;
  /** The failure for which the instance was given up. */
  broken: FrondError | undefined;
  #brokenBy: Invocation | undefined;
  /** It was closed, and not given up: what its fields hold has happened. */
  closed = false;
  /** Its code held the event loop for too long and is being ended: nothing of it is committed any more. */
  condemned: FrondError | undefined;
  /** For the LRU of the host: called since the last look. */
  used = true;

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
    this.tx = new Transactions(this);
    this.mark = host.marker.register(address);
    this.alarms = new CellAlarms(this);
    if (!this.exists) this.tx.pending = new PendingPages();
  }

  /** The cell has a record in the log. */
  get exists(): boolean {
    return this.entry !== undefined && !this.entry.deleted;
  }

  /** Goes on with what the instance before this one knew, as far as it is not in the bucket. */
  takeOver({ bucketLsn, lastLsn }: Unconfirmed): void {
    this.lsn = this.bucketLsn = bucketLsn;
    this.lastLsn = lastLsn;
  }

  /** The new file is a copy of `image`, no commit of which was captured. */
  beginWith(image: Uint8Array): void {
    assert(this.tx.pending !== undefined, "only a cell without a record begins with a template");
    this.tx.pending.seed(image, this.db.pageSize);
  }

  /** Nothing runs here. */
  get atRest(): boolean {
    return this.running === 0 && this.gate.obstacle === undefined && this.tx.owner === undefined;
  }

  /** Nothing runs or waits here, and everything is in the durable log: the file may be closed. */
  get idle(): boolean {
    return (
      this.atRest &&
      !this.queued &&
      // What it heard of from others, too: the next instance would not know that it has to wait for that. What has to
      // wait for the bucket is handed on to it.
      this.lastLsn <= this.host.committer.log.durable &&
      this.lsn <= this.host.committer.log.durable
    );
  }

  /** Time that the synchronous beginnings of its invocations took, in ms: measured at every eighth, counted for all. */
  get busyMs(): number {
    return this.#sampled === 0 ? 0 : (this.#sampledMs / this.#sampled) * this.calls;
  }

  /** What a new invocation has to wait for before it may run here; undefined: nothing. */
  get busy(): Promise<void> | undefined {
    const { running } = this.host;
    const midway = this.tx.isMidway || (running?.cell === this && running.sync);
    return this.gate.obstacle ?? (midway ? Promise.resolve() : undefined);
  }

  /**
   * Commits the open stretch, before an event begins: fields that it has set can be read from then on. False when the log
   * did not take it: the instance is given up, and the event finds another one.
   */
  settle(): boolean {
    if (this.tx.owner !== undefined && !this.tx.isMidway) this.tx.commitOpenStretch();
    return this.broken === undefined;
  }

  /**
   * Runs a verb, unless the cell is `busy` or was not settled. Returns its result, or a promise of it, as `give` makes it; throws what it threw.
   * `fail` ends the caller's wait should the code never come to an end.
   */
  invoke(name: string, verb: Verb, args: unknown[], give: Give, parent?: Invocation, fail?: Fail): unknown {
    assert(this.busy === undefined && this.tx.owner === undefined, "no verb begins in the middle of another");
    this.used = true;
    const invocation = new Invocation(this, name, !isAsync(verb), parent);
    invocation.fail = fail;
    this.running += 1;
    this.calls += 1;
    // Asking for the time at every call would cost a tenth of a read.
    const began = (this.calls & SAMPLE_MASK) === 1 ? performance.now() : 0;
    let result: unknown;
    try {
      result = this.within(invocation, verb, args, give);
    } catch (error) {
      this.#end(invocation);
      if (error instanceof AssertionError) this.host.fatal(error);
      throw cloneError(error);
    } finally {
      if (began !== 0) this.#sample(performance.now() - began);
    }
    if (result instanceof Promise) return this.#settle(invocation, result, give);
    this.#end(invocation);
    return result;
  }

  /** Runs the first stretch of an invocation and ends its transaction. Throws what it threw, after the roll-back. */
  within(invocation: Invocation, verb: Verb, args: unknown[], give: Give): unknown {
    const { host, tx } = this;
    const before = host.running;
    host.running = invocation;
    const mark = host.marker.run(this.mark);
    const fields = host.dev && invocation.sync && !this.activating ? fieldsOf(this.instance) : undefined;
    try {
      let result = invocations.run(invocation, call, verb, this.instance, args);
      if (result instanceof Promise) {
        invocation.sync = false;
        // A stretch that cannot be committed is the verb's failure, told when the verb has ended: nothing runs on unseen.
        this.#endFirst(invocation);
        return result;
      }
      if (invocation.failed !== undefined) throw invocation.failed;
      // Before the commit: a result that cannot be given is a verb that did not happen.
      result = give(result, invocation);
      this.#endFirst(invocation);
      if (invocation.failed !== undefined) throw invocation.failed;
      return result;
    } catch (error) {
      if (tx.owner === invocation) tx.rollback(invocation);
      dropCalls(invocation, 0);
      if (fields !== undefined && invocation.sync) warnOfFields(this, invocation, fields);
      throw invocation.failed ?? error;
    } finally {
      host.running = before;
      host.marker.run(mark);
    }
  }

  /** The invocation that is running, which is one of this cell and may go on. */
  known(): Invocation {
    const invocation = invocations.getStore();
    if (invocation === undefined || invocation.cell !== this || invocation.done) throw stray(this, invocation);
    if (invocation.failed !== undefined) throw invocation.failed;
    if (this.broken !== undefined) throw this.broken;
    if (invocation.erases) throw erased(this, invocation);
    return invocation;
  }

  /** The invocation that is running, which may use this cell's database now. */
  enter(): Invocation {
    const invocation = this.known();
    const { tx } = this;
    if (tx.exclusive !== undefined && tx.exclusive !== invocation) throw closed(this, invocation);
    if (tx.owner === undefined || tx.owner === invocation) return invocation;
    if (tx.isMidway) throw stray(this, invocation);
    tx.commitStretch(tx.owner);
    if (this.broken !== undefined) throw this.broken;
    return invocation;
  }

  /** `work` happens whole or not at all. Nested in an open transaction it is a savepoint. */
  transaction<T>(work: () => T): T {
    return this.tx.part(this.enter(), work);
  }

  /** A call made by this invocation now leaves when its transaction is committed, and not if it is rolled back. */
  holdsCalls(invocation: Invocation): boolean {
    // Out of a long transaction calls leave at once: it waits for their answers.
    return !invocation.done && (invocation.sync || (this.tx.owner === invocation && !invocation.long));
  }

  /**
   * Runs `leave` when what the running code has written here is committed, and `drop` if it is rolled back. `untilEnd`: in a
   * transaction over awaits that has not written yet too, which is for what it cannot wait for itself.
   */
  whenCommitted(leave: () => void, drop: () => void, untilEnd = false): void {
    const invocation = invocations.getStore();
    if (invocation === undefined || invocation.cell !== this || invocation.done) return leave();
    const open = invocation.sync || this.tx.owner === invocation || (untilEnd && invocation.long);
    if (open) (invocation.held ??= []).push({ leave, drop });
    else leave();
  }

  /**
   * What keeps this code from telling anybody anything: the fields of a given-up instance may hold what never happened. Code
   * that a closed one has left behind may go on.
   */
  silence(invocation: Invocation | undefined): unknown {
    const leftover = invocation === undefined || invocation.done;
    return invocation?.failed ?? (leftover && this.closed ? undefined : this.broken);
  }

  /** What the answer to a call made by `invocation` has to wait for: a scope that has the cell for itself, another's turn. */
  closedTo(invocation: Invocation): Promise<void> | undefined {
    if (this.gate.obstacle === undefined) return undefined;
    const wait = this.#scopeBefore(invocation) ?? this.gate.turnOfOthers(invocation);
    return wait && this.#afterScopes(invocation, wait);
  }

  async #afterScopes(invocation: Invocation, wait: Promise<void>): Promise<void> {
    await wait;
    // Another one may have begun meanwhile.
    for (let next = this.#scopeBefore(invocation); next !== undefined; next = this.#scopeBefore(invocation)) await next;
  }

  #scopeBefore(invocation: Invocation): Promise<void> | undefined {
    const { holder } = this.gate;
    const free = this.broken !== undefined || holder === undefined || isWithin(invocation, holder);
    return free ? undefined : this.gate.free();
  }

  /** The invocation goes on until `work` is settled, though it may have been answered. `work` never rejects. */
  extend(invocation: Invocation, work: Promise<void>): void {
    invocation.pending += 1;
    this.running += 1;
    void work.then(() => {
      invocation.pending -= 1;
      this.running -= 1;
      if (invocation.answered && invocation.pending === 0) invocation.done = true;
    });
  }

  /** The invocation of the constructor has ended. */
  activated(invocation: Invocation): void {
    this.activating = this.gate.holder !== undefined;
    this.#finish(invocation);
  }

  /** Everything up to `lsn` is of this cell. */
  logged(lsn: Lsn): void {
    this.lastLsn = lsn;
    if (this.durability === "memory") return;
    this.lsn = lsn;
    if (this.durability === "bucket") this.bucketLsn = this.host.committer.bucketLsn = lsn;
  }

  /** Rolls back, gives the instance up and makes `error` the end of whatever runs in it. `andFile`: the file goes with it. */
  reset(error: FrondError, andFile = false): void {
    if (this.broken !== undefined) return;
    if (this.tx.owner !== undefined) this.tx.rollback(this.tx.owner);
    if (this.broken !== undefined) return;
    this.broken = error;
    this.#brokenBy = invocations.getStore();
    if (andFile) this.host.discard(this);
    else this.host.retire(this);
    this.gate.abandon(this.activating ? error : undefined);
  }

  /** The file holds a commit that the log has not: nobody may see it. */
  break(error: unknown, what = `a commit of ${this.address} was taken back`): void {
    const message = error instanceof Error ? error.message : String(error);
    const code = isFrondError(error, "DISK_FULL") ? "DISK_FULL" : "COMMIT_FAILED";
    this.broken = new FrondError(code, `${what}: ${message}`, { cause: error });
    this.#brokenBy = invocations.getStore();
    this.host.discard(this);
    this.gate.abandon(this.activating ? this.broken : undefined);
    if (!(error instanceof FrondError)) this.host.fatal(error);
  }

  #sample(ms: number): void {
    this.#sampled += 1;
    this.#sampledMs += ms;
  }

  #endFirst(invocation: Invocation): void {
    if (!invocation.erases) return this.tx.endStretch(invocation);
    // What the verb wrote goes with everything else.
    if (this.tx.owner === invocation) this.tx.takeBack();
    invocation.erases = false;
    try {
      eraseNow(this, invocation);
      releaseCalls(invocation);
    } catch (error) {
      invocation.failed ??= error;
      dropCalls(invocation, 0);
    }
  }

  #settle(invocation: Invocation, result: Promise<unknown>, give: Give): Promise<unknown> {
    return new Promise((resolve, reject) => {
      invocation.fail = reject;
      // What it began and did not await comes before its answer.
      const ended = (tell: () => void): void => {
        if (invocation.late === undefined) tell();
        else void invocation.late.then(() => ended(tell));
      };
      const returned = (value: unknown): void => {
        this.tx.commitOpenStretch();
        let given: unknown;
        try {
          if (invocation.failed !== undefined) throw invocation.failed;
          if (this.#mustNotTell(invocation)) throw this.broken;
          given = give(value, invocation);
        } catch (error) {
          this.#end(invocation);
          return reject(cloneError(error));
        }
        // Only now: a streamed body goes on in the name of the invocation.
        this.#end(invocation);
        resolve(given);
      };
      const threw = (error: unknown): void => {
        // The stretch that threw commits what it wrote, like every stretch: only this.transaction takes back.
        this.tx.commitOpenStretch();
        if (this.host.dev && invocation.commits > 0) warnOfPartialCommit(this, invocation, error);
        this.#end(invocation);
        const instead = this.broken?.cause !== error && this.#mustNotTell(invocation);
        reject(cloneError(invocation.failed ?? (instead ? this.broken : error)));
      };
      result.then(
        (value) => ended(() => returned(value)),
        (error: unknown) => ended(() => threw(error)),
      );
    });
  }

  /** The instance was given up meanwhile: its fields hold what never happened. Who met the failure itself knows of it. */
  #mustNotTell(invocation: Invocation): boolean {
    return this.broken !== undefined && this.#brokenBy !== invocation;
  }

  #end(invocation: Invocation): void {
    assert(this.tx.owner !== invocation, "an invocation ends without an open transaction");
    this.running -= 1;
    this.#finish(invocation);
  }

  #finish(invocation: Invocation): void {
    if (invocation.pending === 0) {
      invocation.done = true;
      return;
    }
    invocation.answered = true;
    // What it left to do goes on by stretches.
    invocation.sync = false;
  }
}
