// `ctx.storage.sql`: SQL in the shape of a Durable Object's.
//
// Rule: names, results and order are as there; values are checked as everywhere in frond, and an integer that a number cannot
// hold is an error where there it is rounded. Cursors hold their rows: a statement is finished when `exec` returns, so
// none is open across a commit.

import type { SQLOutputValue } from "node:sqlite";
import { FrondError } from "../errors.ts";
import { MAX_SQL_LENGTH } from "../limits.ts";
import { splitStatements } from "../store/split.ts";
import { type Row, toObjects } from "../store/rows.ts";
import type { Prepared } from "../store/statements.ts";
import { type ForeignKeyWord, foreignKeyWord, refuseCascade } from "./foreignKeys.ts";
import { execute } from "./statements.ts";
import type { LiveCell } from "./live.ts";

/** A result of `ctx.storage.sql.exec`. */
export class SqlCursor<T extends object = Row> implements IterableIterator<T> {
  readonly columnNames: string[];
  /** Rows that this cursor gave in all. Count. */
  readonly rowsRead: number;
  /** Rows that the statement changed. Count. */
  readonly rowsWritten: number;
  readonly #values: SQLOutputValue[][];
  #objects: T[] | undefined;
  #next = 0;

  constructor(columnNames: string[], values: SQLOutputValue[][], rowsWritten: number) {
    this.columnNames = columnNames;
    this.#values = values;
    this.rowsRead = values.length;
    this.rowsWritten = rowsWritten;
  }

  next(): IteratorResult<T, undefined> {
    if (this.#next >= this.#values.length) return { done: true, value: undefined };
    return { done: false, value: this.#rows()[this.#next++] as T };
  }

  [Symbol.iterator](): this {
    return this;
  }

  /** The rows not yet read. */
  toArray(): T[] {
    const rest = this.#rows().slice(this.#next);
    this.#next = this.#values.length;
    return rest;
  }

  /** The only row. Throws SQL_ONE_ROW when there are none or more. */
  one(): T {
    const rows = this.toArray();
    if (rows.length === 1) return rows[0] as T;
    throw new FrondError(
      "SQL_ONE_ROW",
      `Expected exactly one result from SQL query, but got ${rows.length === 0 ? "no results" : "multiple results"}.`,
    );
  }

  /** The rows not yet read, each as an array of its values in the order of `columnNames`. */
  *raw(): IteratorObject<unknown[], undefined> {
    while (this.#next < this.#values.length) yield this.#values[this.#next++] as unknown[];
  }

  // Only when asked for: of two columns with one name an object keeps the last, `raw` both.
  #rows(): T[] {
    return (this.#objects ??= toObjects(this.#values, this.columnNames) as T[]);
  }
}

interface Statement {
  readonly sql: string;
  readonly keys: ForeignKeyWord;
}

/** `ctx.storage.sql`. */
export class SqlStorage {
  readonly #cell: LiveCell;
  readonly #scripts = new Map<string, Statement[]>();
  /** Foreign keys are believed to be switched off. */
  #keysOff = false;

  constructor(cell: LiveCell) {
    this.#cell = cell;
  }

  /** Runs a statement, or several separated by `;`: the bindings go to the last one, whose rows the cursor gives. */
  exec<T extends object = Row>(query: string, ...bindings: unknown[]): SqlCursor<T> {
    const statements = this.#split(query);
    const last = statements.length - 1;
    for (let i = 0; i < last; i++) this.#run(statements[i] as Statement, []);
    return this.#run(statements[last] as Statement, bindings) as SqlCursor<T>;
  }

  /** Size of the database, in bytes. */
  get databaseSize(): number {
    this.#cell.enter();
    const sql = "SELECT page_count * page_size AS size FROM pragma_page_count(), pragma_page_size()";
    return this.#cell.db.prepare(sql).get()?.["size"] as number;
  }

  #run({ sql, keys }: Statement, values: unknown[]): SqlCursor {
    if (keys !== undefined) {
      if ("off" in keys) {
        this.#cell.enter();
        this.#keysOff = keys.off;
        return new SqlCursor([], [], 0);
      }
      if (this.#keysOff) refuseCascade(this.#cell, keys.drops);
    }
    return execute(this.#cell, sql, values, toCursor);
  }

  #split(query: string): Statement[] {
    let statements = this.#scripts.get(query);
    if (statements === undefined) {
      if (typeof query !== "string" || query.length > MAX_SQL_LENGTH) {
        throw new FrondError("SQL_ERROR", `exec takes SQL text of at most ${MAX_SQL_LENGTH} characters`);
      }
      statements = splitStatements(query).map((sql) => ({ sql, keys: foreignKeyWord(sql) }));
      if (statements.length === 0) throw new FrondError("SQL_ERROR", "SQL code did not contain a statement.");
      if (this.#scripts.size >= 64) this.#scripts.clear();
      this.#scripts.set(query, statements);
    }
    return statements;
  }
}

function toCursor(prepared: Prepared, values: unknown[]): SqlCursor {
  if (prepared.columns.length === 0) return new SqlCursor([], [], prepared.run(values).changes);
  const rows = prepared.values(values);
  for (const row of rows) toArrayBuffers(row);
  return new SqlCursor([...prepared.columns], rows, prepared.writes ? rows.length : 0);
}

/** Bytes are an ArrayBuffer there. */
function toArrayBuffers(row: unknown[]): void {
  for (let i = 0; i < row.length; i++) {
    const value = row[i];
    if (!(value instanceof Uint8Array)) continue;
    const { buffer, byteOffset, byteLength } = value;
    row[i] = byteLength === buffer.byteLength ? buffer : buffer.slice(byteOffset, byteOffset + byteLength);
  }
}
