// The user's statements of one open cell: prepared once, executed often.
//
// Rule: everything that depends on the text and the schema alone (is it one statement, may it run, does it write, how
// many parameters, which column each goes to, how many rows can it return) is settled when the text is first seen; an
// execution checks its values, binds, and reads the rows. What was settled is dropped with every statement that changes
// the schema, and by `rolledBack` when such a change was undone.
//
// The guard is told of every execution too: SQLite prepares a stale statement again by itself, and FTS5 prepares
// statements while another one runs (see authorizer.ts).
// Rejected: node:sqlite's own `createTagStore` (no checks between text and execution); an exact LRU (moving an entry
// costs more per execution than a flag, which does as well).

import type { DatabaseSync, SQLInputValue, SQLOutputValue, StatementSync } from "node:sqlite";
import { FrondError } from "../errors.ts";
import { MAX_RESULT_BYTES, MAX_SQL_LENGTH, STATEMENTS_PER_CELL } from "../limits.ts";
import type { SqlGuard } from "./authorizer.ts";
import type { ColumnInfo, ParameterTarget } from "./parameters.ts";
import { mainVerbIndex, resolveParameters } from "./parameters.ts";
import type { Row, RowBound } from "./rows.ts";
import { isOneRowProgram, readRows, rowBoundOf, toObjects } from "./rows.ts";
import { splitTokens } from "./split.ts";
import { headOf, wrapSqlError } from "./sqlerror.ts";
import type { Token } from "./tokens.ts";
import { tokenize } from "./tokens.ts";
import { checkValue } from "./values.ts";

export type { Row } from "./rows.ts";

/** What a statement did whose rows are not read. */
export interface RunResult {
  /** Rows that it inserted, updated or deleted itself (not its triggers). 0 for all but INSERT, UPDATE and DELETE. */
  readonly changes: number;
  /**
   * The rowid of the last row that it inserted, a bigint beyond 2^53. 0 if it is no INSERT or changed nothing. Means
   * nothing for a table WITHOUT ROWID or an upsert that updated: use RETURNING there.
   */
  readonly lastRowId: number | bigint;
}

/**
 * A statement of the user, checked and prepared. Look it up in {@link Statements} for each execution instead of keeping
 * it: a change of the schema replaces it.
 */
export interface Prepared {
  readonly sql: string;
  /** It can change the database: it needs an open transaction. */
  readonly writes: boolean;
  /** It can change the schema. */
  readonly schema: boolean;
  /** Names of the result's columns; empty for a statement that returns none. */
  readonly columns: readonly string[];
  /** For each parameter the column that its value goes to, where that is certain. */
  readonly targets: readonly (ParameterTarget | null)[];
  /**
   * Executes it and drops its rows. Throws BAD_VALUE for wrong arguments, SQL_CONSTRAINT, SQL_ERROR, SQL_DENIED,
   * DISK_FULL or CELL_DAMAGED for what SQLite refused, and SQLite's own error for an I/O error.
   */
  run(args: readonly unknown[]): RunResult;
  /** Executes it and returns its rows as plain objects. Throws as `run`, and RESULT_TOO_LARGE. */
  all(args: readonly unknown[]): Row[];
  /** The same as `all` with each row as an array, which keeps columns of one name apart. */
  values(args: readonly unknown[]): SQLOutputValue[][];
}

const NO_ARGUMENTS: SQLInputValue[] = [];

/** The prepared statements of one database, by their text. Of more than STATEMENTS_PER_CELL the least used go. */
export class Statements {
  readonly #db: DatabaseSync;
  readonly #guard: SqlGuard;
  readonly #cache = new Map<string, CachedStatement>();
  readonly #columns = new Map<string, readonly ColumnInfo[] | undefined>();
  #schemaChanged = false;

  /** `guard` is the authorizer of `db`. Bounds the length of a single value of `db` by MAX_RESULT_BYTES. */
  constructor(db: DatabaseSync, guard: SqlGuard) {
    this.#db = db;
    this.#guard = guard;
    db.limits.length = MAX_RESULT_BYTES;
  }

  /**
   * The statement of this text, prepared. Throws SQL_DENIED for what cells may not do, and SQL_ERROR for text that
   * SQLite does not read, is empty, too long or not well-formed, holds several statements, or names its parameters.
   */
  prepare(sql: string): Prepared {
    const found = this.#cache.get(sql);
    if (found === undefined) return this.#add(sql);
    found.used = true;
    return found;
  }

  /** Forgets every statement and what was read of the schema. */
  clear(): void {
    this.#cache.clear();
    this.#columns.clear();
  }

  /**
   * Call after a rollback, also one to a savepoint: if a statement has changed the schema since the last call, columns
   * that statements were resolved with may be gone again.
   */
  rolledBack(): void {
    if (!this.#schemaChanged) return;
    // After a rollback to a savepoint the change may stand before it and go with the whole transaction.
    this.#schemaChanged = this.#db.isTransaction;
    this.clear();
  }

  #add(sql: string): Prepared {
    const tokens = oneStatement(sql);
    const opened = open(this.#db, this.#guard, sql, tokens);
    const targets = resolveParameters(sql, (table) => this.#columnsOf(table), tokens);
    const statement = new CachedStatement(sql, tokens, opened, targets, () => {
      this.#schemaChanged = true;
      this.clear();
    });
    if (this.#cache.size >= STATEMENTS_PER_CELL) this.#evict();
    this.#cache.set(sql, statement);
    return statement;
  }

  /** Second chance: drops the oldest statement that was not looked up since it was last passed over. */
  #evict(): void {
    for (const [sql, statement] of this.#cache) {
      this.#cache.delete(sql);
      if (!statement.used) return;
      statement.used = false;
      this.#cache.set(sql, statement);
    }
  }

  #columnsOf(table: string): readonly ColumnInfo[] | undefined {
    const key = table.toLowerCase();
    if (!this.#columns.has(key)) this.#columns.set(key, readColumns(this.#db, table));
    return this.#columns.get(key);
  }
}

/** A statement that SQLite and the guard have accepted, with the means to prepare it again. */
interface Opened {
  readonly db: DatabaseSync;
  readonly guard: SqlGuard;
  readonly statement: StatementSync;
  readonly writes: boolean;
  readonly schema: boolean;
}

class CachedStatement implements Prepared {
  readonly sql: string;
  readonly writes: boolean;
  readonly schema: boolean;
  readonly targets: readonly (ParameterTarget | null)[];
  /** It was looked up again since it came, or since {@link Statements} last passed it over. */
  used = false;

  readonly #opened: Opened;
  readonly #verb: string;
  /** Where the statement begins in its text, behind `;` and comments. */
  readonly #start: number;
  readonly #onSchemaChange: () => void;
  #statement: StatementSync;
  #columns: readonly string[] | undefined;
  #bound: RowBound;
  #timesRead = 0;

  constructor(
    sql: string,
    tokens: readonly Token[],
    opened: Opened,
    targets: readonly (ParameterTarget | null)[],
    onSchemaChange: () => void,
  ) {
    this.sql = sql;
    this.writes = opened.writes;
    this.schema = opened.schema;
    this.targets = targets;
    this.#opened = opened;
    this.#verb = tokens[mainVerbIndex(tokens)]?.upper ?? "";
    this.#start = tokens[0]?.start ?? 0;
    this.#onSchemaChange = onSchemaChange;
    this.#statement = opened.statement;
    this.#bound = rowBoundOf(tokens);
  }

  get columns(): readonly string[] {
    this.#columns ??= this.#statement.columns().map((column) => column.name);
    return this.#columns;
  }

  run(args: readonly unknown[]): RunResult {
    const bound = this.#bind(args);
    const { guard } = this.#opened;
    let result;
    guard.enter();
    try {
      result = this.#statement.run(...bound);
    } catch (error) {
      throw this.#failure(error);
    } finally {
      guard.leave();
      if (this.schema) this.#onSchemaChange();
    }
    const isInsert = this.#verb === "INSERT" || this.#verb === "REPLACE";
    const changes = isInsert || this.#verb === "UPDATE" || this.#verb === "DELETE" ? Number(result.changes) : 0;
    return { changes, lastRowId: isInsert && changes > 0 ? this.#exact(result.lastInsertRowid) : 0 };
  }

  all(args: readonly unknown[]): Row[] {
    const rows = this.values(args);
    if (rows.length === 0) return [];
    // A change of the schema that did not come through here.
    if (rows[0]?.length !== this.columns.length) this.#columns = undefined;
    return toObjects(rows, this.columns);
  }

  values(args: readonly unknown[]): SQLOutputValue[][] {
    const bound = this.#bind(args);
    // The proof costs 15 us: not for a statement that is executed once.
    if (this.#timesRead < 2 && ++this.#timesRead === 2) this.#proveOneRow();
    const { guard } = this.#opened;
    guard.enter();
    try {
      return readRows(this.#statement, bound, this.#bound, this.sql);
    } catch (error) {
      throw this.#failure(error);
    } finally {
      guard.leave();
      if (this.schema) this.#onSchemaChange();
    }
  }

  /** The values to bind for `args`. Throws BAD_VALUE. */
  #bind(args: readonly unknown[]): SQLInputValue[] {
    const { targets, sql } = this;
    const count = targets.length;
    if (args.length !== count) throw wrongCount(count, args.length, sql);
    if (this.#verb === "PRAGMA") this.#prepareAgain();
    if (count === 0) return NO_ARGUMENTS;
    const bound: SQLInputValue[] = [];
    for (let i = 0; i < count; i++) bound.push(checkValue(args[i], i, targets[i] ?? null, sql));
    return bound;
  }

  /** A pragma such as defer_foreign_keys takes effect when it is prepared: that must be inside the transaction. */
  #prepareAgain(): void {
    const { db, guard } = this.#opened;
    this.#statement = open(db, guard, this.sql, tokenize(this.sql)).statement;
  }

  #proveOneRow(): void {
    if (this.#verb !== "SELECT" || this.#bound.rows !== Infinity || this.#bound.argument !== -1) return;
    if (isOneRowProgram(this.#opened.db, this.sql.slice(this.#start))) this.#bound = { rows: 1, argument: -1 };
  }

  #failure(error: unknown): unknown {
    const denied = this.#opened.guard.leave();
    if (denied === undefined || error instanceof FrondError) return wrapSqlError(error, this.sql);
    return new FrondError("SQL_DENIED", `${denied}; in: ${headOf(this.sql)}`, { cause: error });
  }

  /** node:sqlite rounds a rowid beyond 2^53: asks for it again. */
  #exact(rowId: number | bigint): number | bigint {
    if (Number.isSafeInteger(rowId)) return rowId;
    const statement = this.#opened.db.prepare("SELECT last_insert_rowid() AS id");
    statement.setReadBigInts(true);
    return statement.get()?.["id"] as bigint;
  }
}

/** The tokens of `sql` if it is one statement that frond executes. Throws SQL_ERROR. */
function oneStatement(sql: string): readonly Token[] {
  if (typeof sql !== "string") throw new FrondError("SQL_ERROR", `SQL is text, not of type ${typeof sql}`);
  if (sql.length > MAX_SQL_LENGTH) {
    throw new FrondError(
      "SQL_ERROR",
      `SQL text of ${sql.length} characters is longer than ${MAX_SQL_LENGTH}; bind values with ?`,
    );
  }
  // SQLite would end the text at a NUL and ignore the rest.
  if (!sql.isWellFormed() || sql.includes("\0")) {
    throw new FrondError(
      "SQL_ERROR",
      `SQL text holds a NUL or half of a surrogate pair; bind such a value as bytes; in: ${headOf(sql)}`,
    );
  }
  const [tokens, ...rest] = splitTokens(tokenize(sql));
  if (tokens === undefined)
    throw new FrondError("SQL_ERROR", `no statement in the SQL text ${JSON.stringify(headOf(sql))}`);
  if (rest.length > 0) {
    throw new FrondError(
      "SQL_ERROR",
      `${rest.length + 1} statements in one text, where one is executed; run a script statement by statement; in: ${headOf(sql)}`,
    );
  }
  const named = tokens.find((token) => token.kind === "param" && token.text[0] !== "?");
  if (named !== undefined) {
    throw new FrondError(
      "SQL_ERROR",
      `named parameter ${named.text}: write ? and pass the values in order; in: ${headOf(sql)}`,
    );
  }
  return tokens;
}

/** Prepares a statement of the user under the guard. Throws SQL_DENIED and SQL_ERROR. */
function open(db: DatabaseSync, guard: SqlGuard, sql: string, tokens: readonly Token[]): Opened {
  let statement: StatementSync | undefined;
  let failure: unknown;
  guard.beginStatement(sql, tokens);
  try {
    if (!guard.isDenied) statement = db.prepare(sql);
  } catch (error) {
    failure = error;
  }
  const { writes, schema, denied } = guard.takeVerdict();
  if (denied !== undefined) throw new FrondError("SQL_DENIED", `${denied}; in: ${headOf(sql)}`, { cause: failure });
  if (statement === undefined) throw wrapSqlError(failure, sql);
  statement.setReturnArrays(true);
  return { db, guard, statement, writes, schema };
}

/** The columns of an ordinary table that an INSERT fills; undefined for everything else. */
function readColumns(db: DatabaseSync, table: string): readonly ColumnInfo[] | undefined {
  const quoted = `"${table.replaceAll('"', '""')}"`;
  const entry = db.prepare(`PRAGMA main.table_list(${quoted})`).get();
  if (entry?.["type"] !== "table") return undefined;
  const columns: ColumnInfo[] = [];
  for (const { name, type, hidden } of db.prepare(`PRAGMA main.table_xinfo(${quoted})`).all()) {
    if (hidden !== 0) continue;
    // ANY converts nothing in a STRICT table, and means NUMERIC in every other one.
    const isAny = entry["strict"] === 1 && String(type).toUpperCase() === "ANY";
    columns.push({ name: String(name), type: isAny ? "" : String(type) });
  }
  return columns;
}

function wrongCount(expected: number, given: number, sql: string): FrondError {
  const word = expected === 1 ? "parameter" : "parameters";
  return new FrondError(
    "BAD_VALUE",
    `the statement has ${expected} ${word} but was given ${given}; in: ${headOf(sql)}`,
  );
}
