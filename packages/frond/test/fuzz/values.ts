// Values on their way into columns and back.
//
// Rule: what is accepted is read back as it was; what SQLite or the driver would change in silence is BAD_VALUE. STRICT
// tables may refuse more (SQL_CONSTRAINT), and an integer beyond 2^53 may be too large to be read back (SQL_ERROR).

import fc from "fast-check";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { CellDatabase } from "../../src/store/database.ts";
import { attempt, type Entrance, target, type Target } from "./target.ts";

const COLUMNS = [
  { table: "s", type: "TEXT" },
  { table: "s", type: "INTEGER" },
  { table: "s", type: "REAL" },
  { table: "s", type: "BLOB" },
  { table: "s", type: "ANY" },
  { table: "l", type: "TEXT" },
  { table: "l", type: "INTEGER" },
  { table: "l", type: "REAL" },
  { table: "l", type: "BLOB" },
  { table: "l", type: "NUMERIC" },
] as const;

/** Values that cannot be shrunk or shown as they are, by name. */
const ODD: Readonly<Record<string, () => unknown>> = {
  undefined: () => undefined,
  NaN: () => NaN,
  date: () => new Date(0),
  object: () => ({ a: 1 }),
  list: () => [1],
  symbol: () => Symbol("s"),
  function: () => () => 1,
  view: () => new DataView(new ArrayBuffer(2)),
  "32-bit": () => new Uint32Array([1]),
  "boxed text": () => Object("text"),
  detached: () => {
    const bytes = new Uint8Array(4);
    structuredClone(bytes.buffer, { transfer: [bytes.buffer] });
    return bytes;
  },
  map: () => new Map(),
  proxy: () => new Proxy({}, {}),
};

const integer = fc.oneof(
  fc.integer(),
  fc.constantFrom(0, -0, 2 ** 53 - 1, 2 ** 53, -(2 ** 53), 2 ** 63, 2 ** 64, 1e300),
);
const value = fc.oneof(
  fc.constantFrom<unknown>(null, true, false, Infinity, -Infinity, 5e-324, 0.1, 1e15 + 0.5),
  integer,
  fc.double({ noNaN: true }),
  fc.bigInt({ min: -(2n ** 65n), max: 2n ** 65n }),
  fc.constantFrom(2n ** 63n - 1n, 2n ** 63n, -(2n ** 63n), -(2n ** 63n) - 1n, 2n ** 53n),
  fc.string({ unit: "binary", maxLength: 8 }),
  fc.constantFrom("\ud800", "a\0b", "1", "1e5", " 5 ", "0x10", "é", "😀", ""),
  fc.uint8Array({ maxLength: 8 }),
);

interface ValueCase {
  readonly column: number;
  readonly value: unknown;
  readonly odd: string;
  readonly plain: boolean;
}

export type Bind = (value: unknown) => unknown;

export function valuesTarget(bind: Bind = (bound) => bound): Target {
  return target("values", 2500, (): Entrance<ValueCase> => {
    const folder = fs.mkdtempSync(path.join(os.tmpdir(), "frond-fuzz-"));
    const cell = CellDatabase.open(path.join(folder, "cell.db"), 1024);
    for (const [i, { table, type }] of COLUMNS.entries())
      cell.exec(`CREATE TABLE ${table}${i} (v ${type}) ${table === "s" ? "STRICT" : ""}`);
    cell.begin();
    return {
      input: fc.record({
        column: fc.nat(COLUMNS.length - 1),
        value,
        odd: fc.oneof(
          { weight: 6, arbitrary: fc.constant("") },
          { weight: 1, arbitrary: fc.constantFrom(...Object.keys(ODD)) },
        ),
        plain: fc.boolean(),
      }),
      check(input) {
        const { table, type } = COLUMNS[input.column] as (typeof COLUMNS)[number];
        const name = `${table}${input.column}`;
        const given = input.odd === "" ? input.value : (ODD[input.odd] as () => unknown)();
        cell.exec(`DELETE FROM ${name}`);
        // Where the parameter does not stand alone its column is not known.
        const sql = `INSERT INTO ${name} VALUES (${input.plain ? "?" : "(?)"})`;
        const wrote = attempt(["BAD_VALUE", "SQL_CONSTRAINT"], () => cell.statements.prepare(sql).run([bind(given)]));
        const refused = mustRefuse(given, input.plain ? type : "");
        if ("code" in wrote) {
          if (wrote.code === "BAD_VALUE" && !refused && !mayRefuse(given, type))
            throw new Error("a right value is refused");
          return;
        }
        if (refused) throw new Error(`${String(given)} is accepted`);
        const read = attempt(["SQL_ERROR"], () => cell.statements.prepare(`SELECT v FROM ${name}`).all([])[0]?.["v"]);
        if ("code" in read) {
          if (!isLarge(given)) throw new Error(`${String(given)} cannot be read back`);
          return;
        }
        if (!isSame(given, read.value, type))
          throw new Error(`it is read back as ${typeof read.value} ${String(read.value)}`);
      },
      close() {
        cell.rollback();
        cell.close();
        fs.rmSync(folder, { recursive: true, force: true });
      },
    };
  });
}

function mustRefuse(given: unknown, type: string): boolean {
  if (given === null) return false;
  switch (typeof given) {
    case "string":
      return !given.isWellFormed() || given.includes("\0");
    case "number":
      return Number.isNaN(given) || type === "TEXT";
    case "bigint":
      return type === "TEXT" || given >= 2n ** 63n || given < -(2n ** 63n);
    case "boolean":
      return type === "TEXT";
    default:
      return !(given instanceof Uint8Array) || (given.buffer as ArrayBuffer).detached;
  }
}

/** Numbers that the column cannot hold exactly. */
function mayRefuse(given: unknown, type: string): boolean {
  if (typeof given === "number") return type === "INTEGER" && !Number.isSafeInteger(given);
  return typeof given === "bigint" && type === "REAL";
}

function isLarge(given: unknown): boolean {
  const isNumber = typeof given === "number" || typeof given === "bigint";
  return (isNumber || typeof given === "string") && !(Math.abs(Number(given)) < 2 ** 53);
}

function isSame(given: unknown, read: unknown, type: string): boolean {
  switch (typeof given) {
    case "string":
      // SQLite converts text that looks like a number on its way into a column of numbers: that is SQL, and told so.
      return given === read || !/TEXT|BLOB|ANY/.test(type);
    case "number":
      // As text only where the parameter does not stand alone, so that nobody knows that it goes into TEXT.
      return Number(read) === given || (type === "TEXT" && typeof read === "string");
    case "bigint":
      if (type === "TEXT") return String(given) === read;
      return (
        (typeof read === "bigint" || typeof read === "number") &&
        (BigInt(Math.trunc(Number(read))) === given || BigInt(read) === given || type === "REAL")
      );
    case "boolean":
      return Number(read) === Number(given);
    default:
      if (given === null) return read === null;
      return read instanceof Uint8Array && Buffer.from(read).equals(Buffer.from(given as Uint8Array));
  }
}
