// How the result of a statement is read: bounded, and as plain objects.
//
// Rule: a result above MAX_RESULT_BYTES fails before much more than that is in memory, so that a forgotten LIMIT or a
// join without a condition cannot take the process along. node:sqlite's `iterate` can be given up at any row but costs
// 1 us and 0.4 us a row more than `all`. So `all` reads what has few rows by proof: at most one where SQLite's own
// bytecode halts right behind its only ResultRow; at most SMALL_RESULT by a LIMIT; and what RETURNING gives, rows that
// the statement has just written. Single values are bounded by `limits.length` (see statements.ts).
//
// Rows come as arrays and become objects here. node:sqlite's row objects have no prototype and are dictionaries inside
// V8: making them, JSON.stringify and structuredClone all cost more (a row of five columns: 1.4 us against 1.1, 0.6
// against 0.35, 1.8 against 1.6), and users meet `[Object: null prototype]` in logs and failing `hasOwnProperty`. Only a
// result with a column named `__proto__` keeps rows without a prototype, since there that name is no trap.
// Rejected: a LIMIT around the user's query (renames columns); trusting the size of earlier results (parameters change).

import type { DatabaseSync, SQLInputValue, SQLOutputValue, StatementSync } from "node:sqlite";
import { FrondError } from "../errors.ts";
import { MAX_RESULT_BYTES } from "../limits.ts";
import { mainVerbIndex, numberParameters } from "./parameters.ts";
import { headOf } from "./sqlerror.ts";
import type { Token } from "./tokens.ts";

/** One row of a result: its columns by name; of two columns with one name the last. */
export type Row = Record<string, SQLOutputValue>;

/** Most rows that are read at once, without looking at the size in between. Count. */
const SMALL_RESULT = 100;
/** What a value, and a row, cost besides the characters and bytes that they hold. Bytes, roughly. */
const VALUE_BYTES = 16;
const ROW_BYTES = 32;

/** The most rows that a statement can return: a number, or the number of the parameter that holds it. */
export interface RowBound {
  readonly rows: number;
  /** Index of the argument that bounds the rows; -1 for none. */
  readonly argument: number;
}

const UNBOUNDED: RowBound = { rows: Infinity, argument: -1 };

/** The bound that the text of a statement shows. */
export function rowBoundOf(tokens: readonly Token[]): RowBound {
  const at = mainVerbIndex(tokens);
  // RETURNING: the rows are those that the statement has changed.
  if (/^(INSERT|REPLACE|UPDATE|DELETE)$/.test(tokens[at]?.upper ?? "")) return { rows: SMALL_RESULT, argument: -1 };
  let depth = 0;
  let limit = -1;
  for (let i = Math.max(at, 0); i < tokens.length; i++) {
    const { text, upper } = tokens[i] as Token;
    if (text === "(") depth++;
    else if (text === ")") depth--;
    else if (upper === "LIMIT" && depth === 0) limit = i + 1;
    // LIMIT skip, count
    else if (text === "," && depth === 0 && i === limit + 1) limit = i + 1;
  }
  const behind = tokens[limit + 1];
  const isAlone = behind === undefined || behind.text === ";" || behind.upper === "OFFSET";
  const token = tokens[limit];
  if (limit === -1 || token === undefined || !isAlone) return UNBOUNDED;
  if (token.kind === "number") return { rows: Number(token.text.replaceAll("_", "")), argument: -1 };
  return { rows: Infinity, argument: (numberParameters(tokens).numbers.get(limit) ?? 0) - 1 };
}

/** True if SQLite's program for `sql`, which begins with its verb, can return only one row: nothing follows its one ResultRow but the end. */
export function isOneRowProgram(db: DatabaseSync, sql: string): boolean {
  const statement = db.prepare(`EXPLAIN ${sql}`);
  let results = 0;
  let isLast = false;
  let previous: SQLOutputValue | undefined;
  for (const { opcode } of statement.all()) {
    if (opcode === "ResultRow") results++;
    if (previous === "ResultRow") isLast = opcode === "Halt";
    previous = opcode;
  }
  return results === 1 && isLast;
}

/**
 * Executes a statement that returns arrays and reads its rows. `bound` limits their number where one is known.
 * Throws RESULT_TOO_LARGE above MAX_RESULT_BYTES, and what node:sqlite throws.
 */
export function readRows(
  statement: StatementSync,
  args: SQLInputValue[],
  bound: RowBound,
  sql: string,
): SQLOutputValue[][] {
  let bytes = 0;
  // The statement was told to return arrays, which the types of node:sqlite do not show.
  if (bound.rows <= 1) {
    // One step instead of two, and no array around: 1.3 us instead of 1.5.
    const row = statement.get(...args) as unknown as SQLOutputValue[] | undefined;
    if (row === undefined) return [];
    if (sizeOf(row) > MAX_RESULT_BYTES) throw tooLarge(1, sql);
    return [row];
  }
  if (isSmall(bound, args)) {
    const all = statement.all(...args) as unknown as SQLOutputValue[][];
    for (let i = 0; i < all.length; i++) bytes += sizeOf(all[i] as SQLOutputValue[]);
    if (bytes > MAX_RESULT_BYTES) throw tooLarge(all.length, sql);
    return all;
  }
  const rows: SQLOutputValue[][] = [];
  const iterator = statement.iterate(...args);
  try {
    for (const row of iterator as unknown as Iterable<SQLOutputValue[]>) {
      bytes += sizeOf(row);
      if (bytes > MAX_RESULT_BYTES) throw tooLarge(rows.length, sql);
      rows.push(row);
    }
  } catch (error) {
    // After an error of its own, node:sqlite leaves the statement in the middle of its execution: it would hold up a
    // checkpoint, and report the same error again when it is next executed.
    iterator.return?.();
    throw error;
  }
  return rows;
}

/** Objects for the rows of a result whose columns have these names. */
export function toObjects(rows: readonly SQLOutputValue[][], columns: readonly string[]): Row[] {
  const isPlain = !columns.includes("__proto__");
  const objects: Row[] = [];
  for (const row of rows) {
    const object: Row = isPlain ? {} : (Object.create(null) as Row);
    for (let i = 0; i < columns.length; i++) object[columns[i] as string] = row[i] as SQLOutputValue;
    objects.push(object);
  }
  return objects;
}

function isSmall(bound: RowBound, args: readonly SQLInputValue[]): boolean {
  if (bound.rows <= SMALL_RESULT) return true;
  const limit = bound.argument === -1 ? null : args[bound.argument];
  // A negative LIMIT is none.
  return (typeof limit === "bigint" || typeof limit === "number") && limit >= 0 && limit <= SMALL_RESULT;
}

function sizeOf(row: readonly SQLOutputValue[]): number {
  let bytes = ROW_BYTES;
  for (let i = 0; i < row.length; i++) {
    const value = row[i];
    bytes += VALUE_BYTES;
    if (typeof value === "string") bytes += value.length;
    else if (value instanceof Uint8Array) bytes += value.byteLength;
  }
  return bytes;
}

function tooLarge(rows: number, sql: string): FrondError {
  const limit = `${MAX_RESULT_BYTES / 1024 / 1024} MiB`;
  return new FrondError(
    "RESULT_TOO_LARGE",
    `the result is larger than ${limit} (${rows} rows were read so far); select fewer rows with LIMIT or fewer columns; in: ${headOf(sql)}`,
  );
}
