// Value checks at the write: what is refused, and that what is bound reads back as it was.

import { DatabaseSync } from "node:sqlite";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { FrondError } from "../../src/errors.ts";
import type { Affinity, ParameterTarget } from "../../src/store/parameters.ts";
import { checkValue } from "../../src/store/values.ts";
import { openGuarded } from "./guarded.ts";

const SQL = "INSERT INTO message (body) VALUES (?)";

function target(affinity: Affinity): ParameterTarget {
  return { table: "message", column: "body", affinity };
}

/** The message with which `value` is refused; undefined if it is not. */
function refusal(value: unknown, affinity?: Affinity): string | undefined {
  try {
    checkValue(value, 1, affinity === undefined ? null : target(affinity), SQL);
    return undefined;
  } catch (error) {
    expect(error).toBeInstanceOf(FrondError);
    expect((error as FrondError).code).toBe("BAD_VALUE");
    expect((error as FrondError).message).toContain(`; in: ${SQL}`);
    return (error as FrondError).message.replace(`; in: ${SQL}`, "");
  }
}

function detached(): Uint8Array {
  const bytes = new Uint8Array(8);
  structuredClone(bytes.buffer, { transfer: [bytes.buffer] });
  return bytes;
}

class Point {
  x = 1;
}

describe("values that are refused", () => {
  test.each<[unknown, Affinity | undefined, string]>([
    [undefined, undefined, 'parameter 2 is undefined; SQL has null for "no value"'],
    [undefined, "text", 'parameter 2 (message.body) is undefined; SQL has null for "no value"'],
    [Number.NaN, undefined, "parameter 2 is NaN"],
    [Number.NaN, "real", "parameter 2 (message.body) is NaN"],
    [Number.NaN, "text", "parameter 2 (message.body) is NaN"],
    [new Date(0), undefined, "is a Date; store date.getTime() as INTEGER or date.toISOString() as TEXT"],
    [new Date(Number.NaN), "text", "is a Date"],
    [() => 1, undefined, "is a function"],
    [Symbol("s"), undefined, "is a symbol"],
    [{ a: 1 }, undefined, "is an object (Object); bind its fields, or JSON.stringify(value)"],
    [new Point(), undefined, "is an object (Point)"],
    [Object.create(null), undefined, "is an object (null prototype)"],
    [new Map(), undefined, "is an object (Map)"],
    // oxlint-disable-next-line unicorn/new-for-builtins, no-new-wrappers
    [new String("x"), "text", "is an object (String)"],
    [[1, 2], undefined, "is an array"],
    [new Float64Array(1), undefined, "is a Float64Array; bind its bytes"],
    [new DataView(new ArrayBuffer(1)), undefined, "is a DataView; bind its bytes"],
    [new SharedArrayBuffer(1), undefined, "is an object (SharedArrayBuffer)"],
    ["a\ud800b", undefined, "holds half of a surrogate pair"],
    ["\udc00", "blob", "holds half of a surrogate pair"],
    ["a\0b", "text", "parameter 2 (message.body) holds a NUL character at 1"],
    [2n ** 63n, undefined, "is the bigint 9223372036854775808, beyond the 64-bit integers of SQLite"],
    [-(2n ** 63n) - 1n, "integer", "beyond the 64-bit integers of SQLite"],
    [10n ** 200n, undefined, "..., beyond the 64-bit integers of SQLite"],
    [2n ** 53n + 1n, "real", "which a REAL column cannot hold exactly"],
    [5, "text", "parameter 2 (message.body) is the number 5 but the column holds TEXT; use String(value)"],
    [Infinity, "text", "is the number Infinity but the column holds TEXT"],
    [5n, "text", "is the bigint 5 but the column holds TEXT; use String(value)"],
    [true, "text", "is true but the column holds TEXT; use String(value)"],
    [
      2 ** 53,
      "integer",
      "is 9007199254740992, an integer beyond 2^53 that a number does not hold exactly; the column holds INTEGER: use a bigint",
    ],
    [-1e300, "integer", "use a bigint"],
    [1.5, "integer", "is 1.5 but the column holds INTEGER; round it, or declare the column REAL"],
    [Infinity, "integer", "is Infinity but the column holds INTEGER"],
  ])("%s into %s", (value, affinity, expected) => {
    expect(refusal(value, affinity)).toContain(expected);
  });

  test("bytes that were transferred away", () => {
    expect(refusal(detached())).toContain("is a buffer that was transferred away (detached)");
    expect(refusal(detached().buffer)).toContain("is a buffer that was transferred away (detached)");
  });

  test("a long value is shown in part", () => {
    expect(refusal(`${"x".repeat(5000)}\0`)?.length).toBeLessThan(200);
  });

  test("a hostile object is named without running its code", () => {
    const trap = () => expect.unreachable("the value's own code ran");
    const hostile = Object.defineProperties(
      {},
      { toString: { get: trap }, toJSON: { get: trap }, constructor: { get: trap } },
    );
    expect(refusal(hostile)).toContain("is an object");
    expect(refusal(new Proxy({}, { get: trap }))).toContain("is an object");
  });
});

describe("values that are bound", () => {
  const { run } = openGuarded(`
    CREATE TABLE strict (i INTEGER, r REAL, t TEXT, b BLOB, x ANY) STRICT;
    CREATE TABLE loose (i INTEGER, r REAL, t TEXT, n NUMERIC, x)`);
  /** Type and value as SQLite has them, for a value bound in an expression. */
  const bound = (value: unknown) => {
    const [row] = run("SELECT typeof(?1) AS type, CAST(?1 AS TEXT) AS text", value);
    return `${row?.["type"]} ${row?.["text"]}`;
  };
  /** The type with which a column of one of the tables stores a value. */
  const stored = (column: string, value: unknown) => {
    const [table, name] = column.split(".");
    return run(
      `INSERT INTO ${table} (${name}) VALUES (?) RETURNING typeof(${name}) AS type, ${name} AS value`,
      value,
    )[0];
  };

  test.each<[unknown, string]>([
    [5, "integer 5"],
    [0, "integer 0"],
    [-0, "integer 0"],
    [1023, "integer 1023"],
    [1024, "integer 1024"],
    [-1, "integer -1"],
    [2 ** 53 - 1, "integer 9007199254740991"],
    [-(2 ** 53) + 1, "integer -9007199254740991"],
    [2 ** 53, "real 9007199254740992.0"],
    [1.5, "real 1.5"],
    [Infinity, "real Inf"],
    [2n ** 63n - 1n, "integer 9223372036854775807"],
    [-(2n ** 63n), "integer -9223372036854775808"],
    [true, "integer 1"],
    [false, "integer 0"],
    [null, "null null"],
    ["", "text "],
    ["\u{1F600}é", "text \u{1F600}é"],
    [new TextEncoder().encode("abc"), "blob abc"],
    [Buffer.from("xabcx").subarray(1, 4), "blob abc"],
    [new TextEncoder().encode("abc").buffer, "blob abc"],
    [new Uint8Array(0), "blob "],
  ])("%s in an expression is %s", (value, expected) => {
    expect(bound(value)).toBe(expected);
  });

  test("a whole number is an integer to SQL wherever it goes", () => {
    expect(run("SELECT ? / 2 AS half, ? || '' AS text, json_array(?) AS json", 5, 5, 5)).toEqual([
      { half: 2, text: "5", json: "[5]" },
    ]);
    expect(run("SELECT 1 AS found WHERE '5' = CAST(? AS TEXT)", 5)).toHaveLength(1);
    run("INSERT INTO loose (t) VALUES ('7')");
    expect(run("SELECT t FROM loose WHERE t = ?", 7)).toEqual([{ t: "7" }]);
    expect(run("SELECT value FROM json_each('[1,2,3]') LIMIT ?", 2)).toHaveLength(2);
  });

  test.each<[string, unknown, string]>([
    ["strict.i", 5, "integer"],
    ["strict.r", 5, "real"],
    ["strict.r", 5n, "real"],
    ["strict.x", 5, "integer"],
    ["strict.x", 5.5, "real"],
    ["strict.x", "5", "text"],
    ["strict.i", true, "integer"],
    ["strict.i", 2n ** 60n, "integer"],
    ["loose.x", 5, "integer"],
    ["loose.x", true, "integer"],
    ["loose.n", 5, "integer"],
    ["loose.n", 5.5, "real"],
    ["loose.n", Infinity, "real"],
    ["loose.r", 5, "real"],
    ["loose.i", "5", "integer"],
  ])("%s stores %s as %s", (column, value, type) => {
    if (typeof value === "bigint" && type === "integer") {
      expect(() => stored(column, value)).toThrow(/CAST\(column AS TEXT\)/);
    } else {
      expect(stored(column, value)?.["type"]).toBe(type);
    }
  });

  test("what is bound reads back as it was", () => {
    const value = fc.oneof(
      fc.string({ unit: "binary" }),
      fc.integer(),
      fc.maxSafeInteger(),
      fc.double({ noNaN: true }),
      fc.uint8Array(),
      fc.constant(null),
    );
    fc.assert(
      fc.property(value, fc.constantFrom("strict.x", "loose.x", "expression"), (given, place) => {
        if (typeof given === "string" && (given.includes("\0") || !given.isWellFormed())) {
          expect(refusal(given)).toBeDefined();
          return;
        }
        const read = place === "expression" ? run("SELECT ? AS value", given)[0] : stored(place, given);
        // SQLite keeps no sign of zero.
        expect(read?.["value"]).toEqual(Object.is(given, -0) ? 0 : given);
      }),
      { numRuns: 1000 },
    );
  });

  test("node:sqlite still needs each of the checks", () => {
    const db = new DatabaseSync(":memory:");
    const get = (value: unknown) => db.prepare("SELECT ? AS value, typeof(?1) AS type").get(value as string);
    expect(get(5)?.["type"]).toBe("real");
    expect(get(Number.NaN)?.["value"]).toBe(null);
    expect(get(new Date())?.["value"]).toBe(null);
    expect(get("\ud800")?.["value"]).toBe("\ufffd");
    expect(db.prepare("SELECT length(?) AS length").get("a\0b")?.["length"]).toBe(1);
    db.close();
  });
});
