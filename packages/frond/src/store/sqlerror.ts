// What node:sqlite throws, as errors of frond.
//
// Rule: the user's mistakes, a full disk and a damaged file are told apart by SQLite's result code, never by its text.
// The original stays the `cause`; the message keeps SQLite's own sentence, its code and the head of the statement.
// An I/O error is passed on as it came: it says nothing about the statement, and the store that owns the file has to
// see it and end the run. Errors that are not SQLite's pass through as well.

import { FrondError } from "../errors.ts";
import type { ErrorCode } from "../errors.ts";
import { MAX_RESULT_BYTES } from "../limits.ts";

/** SQLite's primary result codes that mean more than "the statement was wrong". */
const SQLITE_IOERR = 10;
const SQLITE_CORRUPT = 11;
const SQLITE_FULL = 13;
const SQLITE_TOOBIG = 18;
const SQLITE_CONSTRAINT = 19;
const SQLITE_AUTH = 23;
const SQLITE_NOTADB = 26;
/** "Corrupt" of a virtual table (an FTS5 index that disagrees with its content) and of sqlite_sequence: the user's rows. */
const SQLITE_CORRUPT_VTAB = 267;
const SQLITE_CORRUPT_SEQUENCE = 523;

/** The bound that statements.ts sets for a single value. */
const MAX_VALUE = `${MAX_RESULT_BYTES / 1024 / 1024} MiB`;
/** Longest part of a statement that a message shows, in characters. */
const HEAD_LENGTH = 120;

/** The beginning of a statement on one line, for messages. */
export function headOf(sql: string): string {
  const line = sql
    .slice(0, HEAD_LENGTH * 4)
    .replace(/\s+/g, " ")
    .trim();
  return line.length > HEAD_LENGTH ? `${line.slice(0, HEAD_LENGTH)}...` : line;
}

/** SQLite's extended result code of an error that node:sqlite threw; undefined for every other error. */
export function sqliteCode(error: unknown): number | undefined {
  if (!(error instanceof Error) || !("code" in error) || error.code !== "ERR_SQLITE_ERROR") return undefined;
  return "errcode" in error && typeof error.errcode === "number" ? error.errcode : undefined;
}

/** True for an I/O error of SQLite, which {@link wrapSqlError} passes through. */
export function isSqliteIoError(error: unknown): boolean {
  return ((sqliteCode(error) ?? 0) & 0xff) === SQLITE_IOERR;
}

/**
 * The error to throw for one that came while `sql` was prepared or executed: a FrondError for what SQLite refused, the
 * error itself where it is one already, is an I/O error, or has nothing to do with SQLite.
 */
export function wrapSqlError(error: unknown, sql: string): unknown {
  if (isOutOfRange(error)) {
    const message = `${error.message}; select CAST(column AS TEXT) and use BigInt(text); in: ${headOf(sql)}`;
    return new FrondError("SQL_ERROR", message, { cause: error });
  }
  const code = sqliteCode(error);
  if (code === undefined || isSqliteIoError(error)) return error;
  const message =
    (code & 0xff) === SQLITE_TOOBIG ? `a value or a row is larger than ${MAX_VALUE}` : (error as Error).message;
  return new FrondError(frondCode(code), `${message} (SQLite code ${code}) in: ${headOf(sql)}`, { cause: error });
}

function frondCode(code: number): ErrorCode {
  if (code === SQLITE_CORRUPT_VTAB || code === SQLITE_CORRUPT_SEQUENCE) return "SQL_ERROR";
  switch (code & 0xff) {
    case SQLITE_CONSTRAINT:
      return "SQL_CONSTRAINT";
    case SQLITE_FULL:
      return "DISK_FULL";
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return "CELL_DAMAGED";
    case SQLITE_TOOBIG:
      return "RESULT_TOO_LARGE";
    case SQLITE_AUTH:
      return "SQL_DENIED";
    default:
      return "SQL_ERROR";
  }
}

/** node:sqlite's refusal to give a 64-bit integer as a number. */
function isOutOfRange(error: unknown): error is Error {
  return error instanceof RangeError && "code" in error && error.code === "ERR_OUT_OF_RANGE";
}
