// `ctx.storage`: everything that a cell keeps, in the shape of a Durable Object's.
//
// Rule: the asynchronous methods do their work at once, in the stretch that calls them, and return a promise of it, so code
// and libraries written for Durable Objects run as they are. As there, no other event of the cell begins between such an
// operation and what awaits it: the input gate stays closed until the turn of the event loop has ended.
// Options that tune what frond does not have (`noCache`, `allowUnconfirmed`) are taken and have nothing to do: reads are
// never stale, and what was not confirmed is never told. An option that nobody knows is an error.

import { FrondError } from "../errors.ts";
import { transactionOverAwaits } from "./block.ts";
import type { KvListOptions } from "./kv.ts";
import { KeyValues } from "./kv.ts";
import type { Invocation } from "./invocation.ts";
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

  constructor(cell: LiveCell, kv: KeyValues) {
    this.#cell = cell;
    this.#kv = kv;
  }

  /** The value of a key, or undefined; of several keys, those that there are. */
  get<T = unknown>(key: string, options?: StorageOptions): Promise<T | undefined>;
  get<T = unknown>(keys: readonly string[], options?: StorageOptions): Promise<Map<string, T>>;
  get(key: string | readonly string[], options?: StorageOptions): Promise<unknown> {
    return this.#do(options, () => {
      if (typeof key === "string") return this.#kv.get(key);
      const found = [...key].sort(byBytes).map((one) => [one, this.#kv.get(one)] as const);
      return new Map(found.filter(([, value]) => value !== undefined));
    });
  }

  /** Sets a key, or each key of an object: all of them or none. */
  put(key: string, value: unknown, options?: StorageOptions): Promise<void>;
  put(entries: Readonly<Record<string, unknown>>, options?: StorageOptions): Promise<void>;
  put(key: string | Readonly<Record<string, unknown>>, value?: unknown, options?: StorageOptions): Promise<void> {
    if (typeof key === "string") return this.#do(options, () => this.#kv.put(key, value));
    return this.#do(value as StorageOptions | undefined, () => this.#kv.putAll(Object.entries(key)));
  }

  /** Removes a key: true if it was there. Of several keys: how many were there. */
  delete(key: string, options?: StorageOptions): Promise<boolean>;
  delete(keys: readonly string[], options?: StorageOptions): Promise<number>;
  delete(key: string | readonly string[], options?: StorageOptions): Promise<boolean | number> {
    return this.#do(options, () =>
      typeof key === "string" ? this.#kv.delete(key) : key.filter((one) => this.#kv.delete(one)).length,
    );
  }

  /** Entries in order of their keys. */
  list<T = unknown>(options: KvListOptions & StorageOptions = {}): Promise<Map<string, T>> {
    const { allowConcurrency, allowUnconfirmed: _, noCache: __, ...range } = options;
    const concurrent = allowConcurrency === undefined ? undefined : { allowConcurrency };
    return this.#do(concurrent, () => new Map(this.#kv.list<T>(range)));
  }

  /**
   * Arms the alarm of this cell, which is one: a Date or ms since 1970; what is past is due at once. Replaces the one before.
   * Rejects with BAD_OPTION for what is no time, and where the class has no method `alarm`.
   */
  setAlarm(time: Date | number, options?: StorageOptions): Promise<void> {
    return this.#do(options, () => this.#cell.alarms.set(time));
  }

  /** When the alarm is due, in ms since 1970; null: none is armed, or it is running. */
  getAlarm(options?: StorageOptions): Promise<number | null> {
    return this.#do(options, () => this.#cell.alarms.get());
  }

  /** Disarms the alarm. Without effect on one that is running. */
  deleteAlarm(options?: StorageOptions): Promise<void> {
    return this.#do(options, () => this.#cell.alarms.delete());
  }

  // Failures reject, as everything asynchronous does.
  #do<T>(options: StorageOptions | undefined, work: () => T): Promise<T> {
    try {
      checkOptions(options);
      const result = work();
      if (options?.allowConcurrency !== true) this.#cell.gate.closeForTurn();
      return Promise.resolve(result);
    } catch (error) {
      return Promise.reject(error);
    }
  }
}

/** What the work of `storage.transaction` is given: the storage, and a way to take everything back without an error. */
export class StorageTransaction extends AsyncKeyValues {
  rolledBack = false;

  /** Takes back what the transaction wrote, when its work has ended. */
  rollback(): void {
    this.rolledBack = true;
  }
}

/** Thrown inside to undo a transaction whose work has ended well. */
class RolledBack extends Error {
  readonly result: unknown;
  constructor(result: unknown) {
    super("rolled back");
    this.result = result;
  }
}

/** `ctx.storage`. */
export class CellStorage extends AsyncKeyValues {
  readonly sql: SqlStorage;
  readonly kv: KeyValues;
  readonly #cell: LiveCell;

  constructor(cell: LiveCell) {
    const kv = new KeyValues(cell);
    super(cell, kv);
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
  async transaction<T>(work: (transaction: StorageTransaction) => T | Promise<T>): Promise<T> {
    const transaction = new StorageTransaction(this.#cell, this.kv);
    try {
      return await transactionOverAwaits(this.#cell, async (_scope: Invocation) => {
        const result = await work(transaction);
        if (transaction.rolledBack) throw new RolledBack(result);
        return result;
      });
    } catch (error) {
      if (error instanceof RolledBack) return error.result as T;
      throw error;
    }
  }

  /** Resolves when everything that was committed so far is on the disk. */
  sync(): Promise<void> {
    return synced(this.#cell);
  }

  /**
   * Deletes everything: tables, keys, alarms. The cell does not exist any more, its instance goes on with the schema of a
   * new cell. In a sync verb it happens when the verb commits. Rejects with TX_ABORTED inside a transaction.
   */
  deleteAll(options?: StorageOptions): Promise<void> {
    try {
      checkOptions(options);
      erase(this.#cell);
      return Promise.resolve();
    } catch (error) {
      return Promise.reject(error);
    }
  }
}

const OPTIONS = new Set(["allowConcurrency", "allowUnconfirmed", "noCache"]);

function checkOptions(options: StorageOptions | undefined): void {
  for (const name of Object.keys(options ?? {})) {
    if (!OPTIONS.has(name)) throw new FrondError("BAD_OPTION", `storage knows ${[...OPTIONS].join(", ")}, not ${name}`);
  }
}

function byBytes(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}
