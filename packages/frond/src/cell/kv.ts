// `ctx.storage.kv`: keys and values beside the tables, in the shape that Durable Objects have.
//
// Rule: a value is a structured clone, stored in the cell's own database, in the transaction of the verb that puts it.
// The table begins to exist with the first put, so a cell that uses none pays nothing.

import type { StatementSync } from "node:sqlite";
import { deserialize, serialize } from "node:v8";
import { FrondError } from "../errors.ts";
import { MAX_KV_KEY_BYTES, MAX_KV_VALUE_BYTES, MAX_RESULT_BYTES } from "../limits.ts";
import { read, write } from "./statements.ts";
import type { LiveCell } from "./live.ts";

/** Which entries `list` gives. Keys are ordered by their UTF-8 bytes. */
export interface KvListOptions {
  /** First key, inclusive. */
  start?: string;
  /** Last key before the first one listed; not together with `start`. */
  startAfter?: string;
  /** End, exclusive. */
  end?: string;
  prefix?: string;
  reverse?: boolean;
  /** Most entries. Count. */
  limit?: number;
}

const TABLE = "CREATE TABLE IF NOT EXISTS _frond_kv (key TEXT PRIMARY KEY, value BLOB NOT NULL) STRICT, WITHOUT ROWID";

/** Keys and values of one cell. Synchronous. */
export class KeyValues {
  readonly #cell: LiveCell;
  #find: StatementSync | undefined;

  constructor(cell: LiveCell) {
    this.#cell = cell;
  }

  /** The value of a key, or undefined. */
  get<T = unknown>(key: string): T | undefined {
    checkKey(key);
    return read(this.#cell, "kv.get", () => {
      if (!this.#there()) return undefined;
      const row = this.#cell.db.prepare("SELECT value FROM _frond_kv WHERE key = ?").get(key);
      return row && (deserialize(row["value"] as Uint8Array) as T);
    });
  }

  /** Sets a key. Throws KEY_TOO_LARGE, and NOT_CLONEABLE for what structured clones cannot hold. */
  put(key: string, value: unknown): void {
    this.putRows(rowsOf([[key, value]]));
  }

  /** Sets several keys. */
  putRows(rows: readonly KvRow[]): void {
    write(this.#cell, "kv.put", () => {
      this.#cell.db.exec(TABLE);
      const put = this.#cell.db.prepare("INSERT OR REPLACE INTO _frond_kv VALUES (?, ?)");
      for (const [key, bytes] of rows) put.run(key, bytes);
    });
  }

  /** Removes a key; true if it was there. */
  delete(key: string): boolean {
    checkKey(key);
    if (!read(this.#cell, "kv.delete", () => this.#there())) return false;
    return write(
      this.#cell,
      "kv.delete",
      () => this.#cell.db.prepare("DELETE FROM _frond_kv WHERE key = ?").run(key).changes === 1,
    );
  }

  /** Removes several keys; how many were there. Throws before any of them is removed. */
  deleteAll(keys: readonly string[]): number {
    for (const key of keys) checkKey(key);
    return keys.filter((key) => this.delete(key)).length;
  }

  /** Entries in order of their keys. */
  list<T = unknown>(options: KvListOptions = {}): IteratorObject<[string, T], undefined> {
    const { where, values } = conditions(options);
    const sql = `SELECT key, value FROM _frond_kv${where} ORDER BY key ${options.reverse === true ? "DESC" : "ASC"} LIMIT ?`;
    return read(this.#cell, "kv.list", () => {
      if (!this.#there()) return [].values();
      const entries: [string, T][] = [];
      let bytes = 0;
      for (const row of this.#cell.db.prepare(sql).iterate(...values, options.limit ?? -1)) {
        const value = row["value"] as Uint8Array;
        bytes += value.length;
        if (bytes > MAX_RESULT_BYTES) throw tooMuch();
        entries.push([row["key"] as string, deserialize(value) as T]);
      }
      return entries.values();
    });
  }

  #there(): boolean {
    // Asked each time: a roll-back may have taken the table away again.
    this.#find ??= this.#cell.db.prepare("SELECT 1 FROM sqlite_schema WHERE name = '_frond_kv'");
    return this.#find.get() !== undefined;
  }
}

const LIST_OPTIONS = new Set(["start", "startAfter", "end", "prefix", "reverse", "limit"]);

function conditions(options: KvListOptions): { where: string; values: string[] } {
  for (const name of Object.keys(options)) {
    if (!LIST_OPTIONS.has(name))
      throw new FrondError("BAD_OPTION", `kv.list takes ${[...LIST_OPTIONS].join(", ")}, not ${name}`);
  }
  const { start, startAfter, end, prefix, limit } = options;
  if (limit !== undefined && !(Number.isSafeInteger(limit) && limit >= 0)) {
    throw new FrondError("BAD_OPTION", `the limit of kv.list is a number of entries, not ${String(limit)}`);
  }
  for (const bound of [start, startAfter, end, prefix]) if (bound !== undefined) checkText(bound);
  if (start !== undefined && startAfter !== undefined) {
    throw new FrondError("BAD_OPTION", "list() cannot be called with both start and startAfter values.");
  }
  const parts: string[] = [];
  const values: string[] = [];
  const add = (condition: string, value: string | undefined): void => {
    if (value === undefined) return;
    parts.push(condition);
    values.push(value);
  };
  add("key >= ?", start);
  add("key > ?", startAfter);
  add("key < ?", end);
  add("key >= ?", prefix);
  add("key < ?", prefix === undefined ? undefined : endOf(prefix));
  return { where: parts.length === 0 ? "" : ` WHERE ${parts.join(" AND ")}`, values };
}

/** The first text behind all that begin with `prefix`, in the order of UTF-8, which is that of code points; undefined: none. */
function endOf(prefix: string): string | undefined {
  const points = [...prefix];
  for (let last = points.pop(); last !== undefined; last = points.pop()) {
    const point = last.codePointAt(0) as number;
    // Half surrogate pairs are no characters.
    const next = point === 0xd7ff ? 0xe000 : point + 1;
    if (next <= 0x10ffff) return points.join("") + String.fromCodePoint(next);
  }
  return undefined;
}

/** A key and its value as stored. */
export type KvRow = readonly [key: string, bytes: Buffer];

/** What is to be stored. Throws KEY_TOO_LARGE, BAD_VALUE, and NOT_CLONEABLE for what structured clones cannot hold. */
export function rowsOf(entries: readonly (readonly [string, unknown])[]): KvRow[] {
  return entries.map(([key, value]) => [key, encode(key, value)]);
}

function encode(key: string, value: unknown): Buffer {
  checkKey(key);
  if (value === undefined) {
    const what = `it is no value of the key ${JSON.stringify(key)}; use delete`;
    throw new FrondError("BAD_VALUE", `put() called with undefined value: ${what}`);
  }
  let bytes: Buffer;
  try {
    bytes = serialize(value);
  } catch (error) {
    throw new FrondError(
      "NOT_CLONEABLE",
      `kv.put(${JSON.stringify(key)}): the value cannot be cloned: ${(error as Error).message}`,
      { cause: error },
    );
  }
  if (bytes.length > MAX_KV_VALUE_BYTES) {
    throw new FrondError(
      "KEY_TOO_LARGE",
      `kv.put(${JSON.stringify(key)}): the value takes ${bytes.length} bytes; at most ${MAX_KV_VALUE_BYTES}, larger ones belong into a table`,
    );
  }
  return bytes;
}

function tooMuch(): FrondError {
  const what = `the values that kv.list would give take more than ${MAX_RESULT_BYTES} bytes`;
  return new FrondError("RESULT_TOO_LARGE", `${what}; ask for fewer with start and limit`);
}

function checkText(key: string): void {
  if (typeof key === "string" && key.isWellFormed() && !key.includes("\0")) return;
  const shown = typeof key === "string" ? JSON.stringify(key) : typeof key;
  throw new FrondError("BAD_VALUE", `a key of kv is text without NUL or half surrogate pairs, not ${shown}`);
}

function checkKey(key: string): void {
  checkText(key);
  if (Buffer.byteLength(key) > MAX_KV_KEY_BYTES) {
    throw new FrondError(
      "KEY_TOO_LARGE",
      `a key of kv is at most ${MAX_KV_KEY_BYTES} bytes long; ${JSON.stringify(key.slice(0, 40))}... is longer`,
    );
  }
}
