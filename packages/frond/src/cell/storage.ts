// `ctx.storage`: everything that a cell keeps, in the shape of a Durable Object's.
//
// Rule: the asynchronous methods do their work at once, in the stretch that calls them, and return a promise of it, so code
// and libraries written for Durable Objects run as they are. As there, no other event of the cell begins between such an
// operation and what awaits it: the input gate stays closed until the turn of the event loop has ended.
// Options that tune what frond does not have (`noCache`, `allowUnconfirmed`) are taken and have nothing to do: reads are
// never stale, and what was not confirmed is never told. An option that nobody knows is an error.

import { FrondError } from "../errors.ts";
import { transactionOverAwaits } from "./block.ts";
import { type KvListOptions, type KvRow, KeyValues, rowsOf } from "./kv.ts";
import { dropCalls, endsAfter, type Invocation, invocations, isWithin } from "./invocation.ts";
import type { LiveCell } from "./live.ts";
import { erase } from "./maintenance.ts";
import { synced } from "./outgoing.ts";
import { SqlStorage } from "./sqlStorage.ts";

/** Options of the asynchronous methods. */
export interface StorageOptions {
  /** Other events of the cell may begin while this operation is awaited. */
  readonly allowConcurrency?: boolean;
  /** Without effect: an answer always waits for what it tells. */
  readonly allowUnconfirmed?: boolean;
  /** Without effect. */
  readonly noCache?: boolean;
}

/** What a cell keeps by key, asynchronously: of `ctx.storage` itself and of a transaction. */
export class AsyncKeyValues {
  readonly #cell: LiveCell;
  readonly #kv: KeyValues;
  readonly #check: (operation: string) => void;

  /** `check` throws where an operation of this name has no place. */
  constructor(cell: LiveCell, kv: KeyValues, check: (operation: string) => void) {
    this.#cell = cell;
    this.#kv = kv;
    this.#check = check;
  }

  /** The value of a key, or undefined; of several keys, those that there are, in their order. */
  get<T = unknown>(key: string, options?: StorageOptions): Promise<T | undefined>;
  get<T = unknown>(keys: readonly string[], options?: StorageOptions): Promise<Map<string, T>>;
  get(key: string | readonly string[], options?: StorageOptions): Promise<unknown> {
    return this.run("get()", options, () => {
      if (!Array.isArray(key)) return this.#kv.get(key as string);
      const found = key.map((one: string) => [one, this.#kv.get(one)] as const);
      return new Map(found.filter(([, value]) => value !== undefined).sort(([a], [b]) => compareBytes(a, b)));
    });
  }

  /** Sets a key, or each key of an object: all of them or none. The values are copied when it is called. */
  put(key: string, value: unknown, options?: StorageOptions): Promise<void>;
  put(entries: Readonly<Record<string, unknown>>, options?: StorageOptions): Promise<void>;
  put(key: string | Readonly<Record<string, unknown>>, value?: unknown, options?: StorageOptions): Promise<void> {
    const isOne = typeof key === "string";
    let rows: KvRow[];
    try {
      rows = rowsOf(isOne ? [[key, value]] : entriesOf(key));
    } catch (error) {
      return Promise.reject(error);
    }
    return this.run("put()", isOne ? options : (value as StorageOptions | undefined), () => this.#kv.putRows(rows));
  }

  /** Removes a key: true if it was there. Of several keys: how many were there. */
  delete(key: string, options?: StorageOptions): Promise<boolean>;
  delete(keys: readonly string[], options?: StorageOptions): Promise<number>;
  delete(key: string | readonly string[], options?: StorageOptions): Promise<boolean | number> {
    return this.run("delete()", options, () =>
      Array.isArray(key) ? this.#kv.deleteAll(key) : this.#kv.delete(key as string),
    );
  }

  /** Entries in order of their keys. */
  list<T = unknown>(options: KvListOptions & StorageOptions = {}): Promise<Map<string, T>> {
    const { allowConcurrency, allowUnconfirmed: _, noCache: __, ...range } = options;
    const concurrent = allowConcurrency === undefined ? undefined : { allowConcurrency };
    return this.run("list()", concurrent, () => new Map(this.#kv.list<T>(range)));
  }

  /**
   * Arms the alarm of this cell, which is one: a Date or ms since 1970; what is past is due at once. Replaces the one before.
   * Rejects with BAD_OPTION for what is no time, and where the class has no method `alarm`.
   */
  setAlarm(time: Date | number, options?: StorageOptions): Promise<void> {
    return this.run("setAlarm()", options, () => this.#cell.alarms.set(time));
  }

  /** When the alarm is due, in ms since 1970; null: none is armed, or it is running. */
  getAlarm(options?: StorageOptions): Promise<number | null> {
    return this.run("getAlarm()", options, () => this.#cell.alarms.get());
  }

  /** Disarms the alarm. Without effect on one that is running. */
  deleteAlarm(options?: StorageOptions): Promise<void> {
    return this.run("deleteAlarm()", options, () => this.#cell.alarms.delete());
  }

  // Failures reject, as everything asynchronous does.
  protected run<T>(operation: string, options: StorageOptions | undefined, work: () => T): Promise<T> {
    try {
      checkOptions(operation, options);
      this.#check(operation);
      const concurrent = options?.allowConcurrency === true;
      const wait = obstacle(this.#cell, concurrent);
      if (wait !== undefined) return this.#later(operation, wait, concurrent, work);
      return Promise.resolve(work());
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /** Another verb came on in the same turn of the event loop, or has a transaction open: the operation waits for its own. */
  #later<T>(operation: string, wait: Promise<void>, concurrent: boolean, work: () => T): Promise<T> {
    const asking = invocations.getStore() as Invocation;
    const done = free(this.#cell, wait, concurrent).then(() => {
      this.#check(operation);
      return work();
    });
    // Nobody has to await it, but the verb does not end before it.
    const settled = done.then(
      () => {},
      () => {},
    );
    this.#cell.extend(asking, endsAfter(asking, settled));
    // Another promise: a failure that the code does not handle is told as one of an operation that had not to wait.
    return done.then((value) => value);
  }
}

/** What an asynchronous operation of the code that is running has to wait for. */
export function obstacle(cell: LiveCell, concurrent: boolean): Promise<void> | undefined {
  const asking = invocations.getStore();
  // It is refused by what it does.
  if (asking === undefined || asking.cell !== cell || asking.done) return undefined;
  const { exclusive } = cell.tx;
  if (exclusive !== undefined && !isWithin(asking, exclusive)) return cell.tx.freed;
  return concurrent ? undefined : cell.gate.takeTurn(asking);
}

async function free(cell: LiveCell, wait: Promise<void>, concurrent: boolean): Promise<void> {
  for (let next: Promise<void> | undefined = wait; next !== undefined; next = obstacle(cell, concurrent)) await next;
}

/** What the work of `storage.transaction` is given: the storage, and a way to take everything back without an error. */
export class StorageTransaction extends AsyncKeyValues {
  readonly #cell: LiveCell;
  readonly #scope: Invocation;
  readonly #state: { now: "open" | "rolled back" | "ended" };

  constructor(cell: LiveCell, kv: KeyValues, scope: Invocation) {
    const state: { now: "open" | "rolled back" | "ended" } = { now: "open" };
    super(cell, kv, (operation) => checkOpen(state.now, operation));
    this.#cell = cell;
    this.#scope = scope;
    this.#state = state;
  }

  /** Takes back what the transaction wrote so far; it cannot be used any more. Throws TX_ABORTED inside transactionSync. */
  rollback(): void {
    if (this.#state.now === "rolled back") return;
    checkOpen(this.#state.now, "rollback()");
    const { tx } = this.#cell;
    this.#cell.enter();
    if (tx.inPart) throw new FrondError("TX_ABORTED", "Cannot call rollback() within transactionSync(): throw there");
    this.#state.now = "rolled back";
    if (tx.owner === this.#scope) tx.rollback(this.#scope);
    else dropCalls(this.#scope, 0);
  }

  /** For the storage only: the work has ended. */
  static end(transaction: StorageTransaction): void {
    transaction.#state.now = "ended";
  }
}

function checkOpen(state: string, operation: string): void {
  if (state === "rolled back") throw new FrondError("TX_ABORTED", `Cannot ${operation} on rolled back transaction`);
  if (state === "open") return;
  const what = "transaction that has already committed: did you move `txn` outside of the closure?";
  throw new FrondError("TX_ABORTED", `Cannot call ${operation} on ${what}`);
}

/** `ctx.storage`. */
export class CellStorage extends AsyncKeyValues {
  readonly sql: SqlStorage;
  readonly kv: KeyValues;
  readonly #cell: LiveCell;

  constructor(cell: LiveCell) {
    const kv = new KeyValues(cell);
    super(cell, kv, () => {});
    this.#cell = cell;
    this.sql = new SqlStorage(cell);
    this.kv = kv;
  }

  /** `work` happens whole or not at all: when it throws, what it wrote is taken back. Nests. Throws TX_ASYNC. */
  transactionSync<T>(work: () => T): T {
    return this.#cell.transaction(work);
  }

  /**
   * `work` happens whole or not at all, over its awaits; no other event of the cell begins meanwhile. It begins when the
   * stretch that asks has ended. Rejects with what it throws, and with ABORTED when it takes longer than MAX_BLOCK_MS.
   */
  transaction<T>(work: (transaction: StorageTransaction) => T | Promise<T>): Promise<T> {
    const done = this.#transact(work);
    // Where what asked is rolled back, nobody has to await it.
    const drop = (): void => void done.catch(() => {});
    this.#cell.whenCommitted(() => {}, drop);
    return done;
  }

  async #transact<T>(work: (transaction: StorageTransaction) => T | Promise<T>): Promise<T> {
    const cell = this.#cell;
    if (typeof work !== "function") {
      throw new FrondError("BAD_OPTION", `storage.transaction takes a function, not ${typeof work}`);
    }
    // That of another verb ends first.
    for (let wait = obstacle(cell, true); wait !== undefined; wait = obstacle(cell, true)) await wait;
    let transaction: StorageTransaction | undefined;
    try {
      return await transactionOverAwaits(cell, (scope) => {
        transaction = new StorageTransaction(cell, this.kv, scope);
        return work(transaction);
      });
    } finally {
      if (transaction !== undefined) StorageTransaction.end(transaction);
    }
  }

  /** Resolves when everything that was committed so far is as durable as the class asks, at least on the disk. */
  sync(): Promise<void> {
    return synced(this.#cell);
  }

  /**
   * Deletes everything: tables, keys, alarms. The cell does not exist any more, its instance goes on with the schema of a
   * new cell. In a sync verb it happens when the verb commits. Rejects with TX_ABORTED inside a transaction.
   */
  deleteAll(options?: StorageOptions): Promise<void> {
    return this.run("deleteAll()", options, () => erase(this.#cell));
  }
}

const OPTIONS = new Set(["allowConcurrency", "allowUnconfirmed", "noCache"]);

function checkOptions(operation: string, options: StorageOptions | undefined): void {
  if (options === undefined) return;
  if (typeof options !== "object" || options === null) {
    throw new FrondError("BAD_OPTION", `the options of ${operation} are an object, not ${String(options)}`);
  }
  for (const name of Object.keys(options)) {
    if (!OPTIONS.has(name))
      throw new FrondError("BAD_OPTION", `${operation} knows ${[...OPTIONS].join(", ")}, not ${name}`);
  }
}

function entriesOf(entries: Readonly<Record<string, unknown>>): [string, unknown][] {
  const prototype: unknown = typeof entries === "object" && entries !== null && Object.getPrototypeOf(entries);
  if (prototype === Object.prototype || prototype === null) return Object.entries(entries);
  const how = "put() takes a key and a value, or an object of keys and values";
  throw new FrondError("BAD_VALUE", `${how}, and options behind them`);
}

function compareBytes(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}
