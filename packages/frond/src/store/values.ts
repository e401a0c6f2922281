// The check that every bound value passes.
//
// Rule: nothing silently wrong gets in. node:sqlite binds NaN as NULL, takes a Date in first place for a set of named
// parameters, turns half a surrogate pair into U+FFFD, keeps a NUL that SQLite's own text functions stop at, and stores
// 5 in a TEXT column as "5.0". Each of these is an error here that names the parameter, the column where it is known,
// and the rule.
//
// Numbers. JavaScript has one number type, SQLite two, and node:sqlite binds every number as REAL: `typeof(?)` of 5 is
// then 'real', `5 || ''` is '5.0', json_array(5) is [5.0], an untyped column keeps 5.0, and a TEXT column never equals
// 5. Users mean 5. So a safe integer is bound as a bigint (SQLite's INTEGER, as Bun, Deno and D1 do) unless it goes to
// a column that converts it anyway. That costs 30-70 ns of the 1 us of a statement; small ones come from a table.
// The other way round, `? / 2` of 5 is now 2, as 5 / 2 is in SQL: write `? / 2.0` for the other division.
//
// Rejected: JSON for objects and ISO text for dates (a write that converts in silence reads back as something else).

import type { SQLInputValue } from "node:sqlite";
import { FrondError } from "../errors.ts";
import type { ParameterTarget } from "./parameters.ts";
import { headOf } from "./sqlerror.ts";

const SMALL = 1024;
const smallIntegers: readonly bigint[] = Array.from({ length: SMALL }, (_, i) => BigInt(i));
const INT64_MAX = 2n ** 63n - 1n;
const INT64_MIN = -(2n ** 63n);
const SAFE_MAX = BigInt(Number.MAX_SAFE_INTEGER);
/** Longest part of a refused value that a message shows, in characters. */
const SHOWN_LENGTH = 40;

/**
 * What to bind for `value`, the argument at `index` (0 for the first parameter) of the statement `sql`, whose value
 * goes to `target` if that is known.
 *
 * Accepted: null, strings, numbers, bigints, booleans (as 1 and 0), Uint8Array and ArrayBuffer.
 * Throws BAD_VALUE for every other value, for text that is not well-formed or holds NUL, for NaN, for integers that
 * SQLite or the column cannot hold exactly, and for numbers, bigints and booleans into a TEXT column.
 */
export function checkValue(value: unknown, index: number, target: ParameterTarget | null, sql: string): SQLInputValue {
  switch (typeof value) {
    case "string":
      if (value.isWellFormed() && !value.includes("\0")) return value;
      break;
    case "number":
      if (target === null || target.affinity === "blob") {
        if (Number.isSafeInteger(value))
          return value >= 0 && value < SMALL ? (smallIntegers[value] as bigint) : BigInt(value);
        if (!Number.isNaN(value)) return value;
      } else if (target.affinity === "integer") {
        if (Number.isSafeInteger(value)) return value;
      } else if (target.affinity !== "text" && !Number.isNaN(value)) {
        return value;
      }
      break;
    case "boolean":
      if (target?.affinity !== "text") return value ? 1n : 0n;
      break;
    case "bigint":
      if (isBindableBigint(value, target)) return value;
      break;
    case "object":
      if (value === null) return null;
      if (value instanceof Uint8Array && !isDetached(value.buffer)) return value;
      if (value instanceof ArrayBuffer && !value.detached) return new Uint8Array(value);
      break;
    default:
  }
  throw new FrondError("BAD_VALUE", `${place(index, target)} ${complaint(value, target)}; in: ${headOf(sql)}`);
}

function isBindableBigint(value: bigint, target: ParameterTarget | null): boolean {
  if (target?.affinity === "text") return false;
  // A REAL column would round it in silence.
  if (target?.affinity === "real") return value <= SAFE_MAX && value >= -SAFE_MAX;
  return value <= INT64_MAX && value >= INT64_MIN;
}

function isDetached(buffer: ArrayBufferLike): boolean {
  return buffer instanceof ArrayBuffer && buffer.detached;
}

function place(index: number, target: ParameterTarget | null): string {
  const column = target === null ? "" : ` (${target.table}.${target.column})`;
  return `parameter ${index + 1}${column}`;
}

/** What is wrong with a value that was refused, and what to do. */
function complaint(value: unknown, target: ParameterTarget | null): string {
  switch (typeof value) {
    case "undefined":
      return 'is undefined; SQL has null for "no value"';
    case "string":
      if (!value.isWellFormed()) return `holds half of a surrogate pair, which is not text: ${shown(value)}`;
      return `holds a NUL character at ${value.indexOf("\0")}, where SQL functions end the text; bind bytes or remove it: ${shown(value)}`;
    case "number":
      return numberComplaint(value, target);
    case "bigint":
      if (target?.affinity === "text")
        return `is the bigint ${shown(value)} but the column holds TEXT; use String(value)`;
      if (target?.affinity === "real") return `is the bigint ${shown(value)}, which a REAL column cannot hold exactly`;
      return `is the bigint ${shown(value)}, beyond the 64-bit integers of SQLite`;
    case "boolean":
      return `is ${value} but the column holds TEXT; use String(value)`;
    case "function":
    case "symbol":
      return `is a ${typeof value}, which has no place in SQL`;
    default:
      return objectComplaint(value as object);
  }
}

function numberComplaint(value: number, target: ParameterTarget | null): string {
  if (Number.isNaN(value)) return 'is NaN; SQL has no such number, and null for "no value"';
  if (target?.affinity === "text") return `is the number ${value} but the column holds TEXT; use String(value)`;
  if (Number.isInteger(value)) {
    return `is ${value}, an integer beyond 2^53 that a number does not hold exactly; the column holds INTEGER: use a bigint`;
  }
  return `is ${value} but the column holds INTEGER; round it, or declare the column REAL`;
}

function objectComplaint(value: object): string {
  if (value instanceof Date) return "is a Date; store date.getTime() as INTEGER or date.toISOString() as TEXT";
  if (Array.isArray(value)) return "is an array; use one parameter for each item, or JSON.stringify(value)";
  if (value instanceof ArrayBuffer || value instanceof Uint8Array)
    return "is a buffer that was transferred away (detached)";
  if (ArrayBuffer.isView(value)) {
    return `is a ${kindOf(value)}; bind its bytes: new Uint8Array(view.buffer, view.byteOffset, view.byteLength)`;
  }
  return `is an object (${kindOf(value)}); bind its fields, or JSON.stringify(value)`;
}

/** The name in `[object Name]`, or the name of the class if it has one. Never runs a getter of the value's own. */
function kindOf(value: object): string {
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype === null) return "null prototype";
  const constructor: unknown = Object.getOwnPropertyDescriptor(prototype as object, "constructor")?.value;
  return typeof constructor === "function" && constructor.name !== "" ? constructor.name : "object";
}

function shown(value: string | bigint): string {
  if (typeof value === "string")
    return JSON.stringify(value.length > SHOWN_LENGTH ? `${value.slice(0, SHOWN_LENGTH)}...` : value);
  const text = value.toString();
  return text.length > SHOWN_LENGTH ? `${text.slice(0, SHOWN_LENGTH)}...` : text;
}
