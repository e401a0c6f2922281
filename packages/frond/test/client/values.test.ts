// Values on their way between client and server: what goes in comes out, and what a stranger sends is a value or an error.

import assert from "node:assert/strict";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { decode, encode, MAX_BIGINT_DIGITS, MAX_VALUE_DEPTH, ValueError } from "../../src/client/values.ts";

const carry = (value: unknown): unknown => decode(JSON.parse(JSON.stringify(encode(value))));

// Names that could be taken for a form, or for something of the language.
const key = fc.oneof(
  fc.string(),
  fc.constantFrom("$blob", "$plain", "$map", "$", "$date", "constructor", "toString", "hasOwnProperty", "then"),
);
const leaf = fc.oneof(
  fc.string({ unit: "binary" }),
  fc.double(),
  fc.integer(),
  fc.boolean(),
  fc.bigInt({ min: -(10n ** 50n), max: 10n ** 50n }),
  fc.constantFrom(null, undefined, NaN, -0, Infinity, -Infinity, "\ud800"),
  fc.date({ noInvalidDate: false }),
  fc.uint8Array(),
);
const { value } = fc.letrec<{ value: unknown }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 5, depthSize: "small" },
    leaf,
    fc.array(tie("value"), { maxLength: 5 }),
    fc.dictionary(
      key.filter((name) => name !== "__proto__"),
      tie("value"),
      { maxKeys: 4, noNullPrototype: true },
    ),
    fc.array(fc.tuple(tie("value"), tie("value")), { maxLength: 4 }).map((pairs) => new Map(pairs)),
    fc.array(tie("value"), { maxLength: 4 }).map((parts) => new Set(parts)),
  ),
}));

describe("a value goes through exactly as it is", () => {
  test("whatever it is made of", () => {
    fc.assert(
      fc.property(value, (one) => {
        // Not toStrictEqual: it takes a key `constructor` for the class.
        assert.deepStrictEqual(carry(one), one);
      }),
      { numRuns: 500 },
    );
  });

  test("what JSON holds stays as it stands there", () => {
    fc.assert(
      fc.property(fc.json(), (text) => {
        fc.pre(!text.includes('"$') && !text.includes("__proto__"));
        const one: unknown = JSON.parse(text);
        fc.pre(!Object.is(one, -0) && !text.includes("-0"));
        assert.deepStrictEqual(encode(one), one);
      }),
    );
  });

  test("an object that looks like a form is no form", () => {
    for (const one of [{ $blob: "AA==" }, { $blob: 5 }, { $plain: { $date: null } }, { $: 1 }, { $map: [] }]) {
      expect(carry(one)).toStrictEqual(one);
    }
  });

  test("holes become undefined, buffers become bytes of their own", () => {
    // oxlint-disable-next-line no-sparse-arrays
    expect(carry([, 1])).toStrictEqual([undefined, 1]);
    const bytes = carry(Buffer.alloc(100_000, 7)) as Uint8Array;
    expect(bytes.constructor).toBe(Uint8Array);
    expect(bytes.length).toBe(100_000);
    expect(bytes.every((byte) => byte === 7)).toBe(true);
  });
});

describe("what has no form is an error where it is made", () => {
  const circle: unknown[] = [];
  circle.push(circle);
  test.each<[string, unknown]>([
    ["a function", () => 1],
    ["a symbol", Symbol("s")],
    ["a promise", Promise.resolve(1)],
    ["an error", new Error("secret")],
    ["a regular expression", /a/],
    ["other typed arrays", new Float64Array(1)],
    ["a value that contains itself", circle],
    ["a bigint of too many digits", 10n ** BigInt(MAX_BIGINT_DIGITS)],
    ["an own __proto__", JSON.parse('{"__proto__": 1}')],
  ])("%s", (_what, one) => {
    expect(() => encode([one])).toThrow(ValueError);
  });

  test("nesting is bounded alike on both sides", () => {
    const nest = (levels: number): unknown => {
      let one: unknown = undefined;
      for (let i = 0; i < levels; i++) one = { a: one };
      return one;
    };
    expect(carry(nest(MAX_VALUE_DEPTH - 1))).toStrictEqual(nest(MAX_VALUE_DEPTH - 1));
    expect(() => encode(nest(MAX_VALUE_DEPTH))).toThrow(ValueError);
    expect(() => decode(nest(MAX_VALUE_DEPTH + 1))).toThrow(ValueError);
  });
});

describe("what a stranger sends is a value or an error", () => {
  test("any JSON", () => {
    fc.assert(
      fc.property(fc.json({ maxDepth: 6 }), (text) => {
        let one: unknown;
        try {
          one = decode(JSON.parse(text));
        } catch (error) {
          expect(error).toBeInstanceOf(ValueError);
          return;
        }
        assert.deepStrictEqual(carry(one), one);
      }),
      { numRuns: 300 },
    );
  });

  const forms = ["$blob", "$real", "$bigint", "$date", "$map", "$set", "$undefined", "$plain", "$", "$constructor"];
  test("any content of any form", () => {
    fc.assert(
      fc.property(fc.constantFrom(...forms), fc.jsonValue(), (form, content) => {
        try {
          decode({ [form]: content });
        } catch (error) {
          expect(error).toBeInstanceOf(ValueError);
        }
      }),
      { numRuns: 500 },
    );
  });

  test.each<[string, string]>([
    ["bytes that are a number", '{"$blob": 5}'],
    ["bytes that are no base64", '{"$blob": "***"}'],
    ["a form that is none", '{"$function": "x"}'],
    ["a form by the name of a member", '{"$toString": 1}'],
    ["a map without pairs", '{"$map": [[1]]}'],
    ["a date in words", '{"$date": "tomorrow"}'],
    ["a date that is none", '{"$date": "2026-13-41T00:00:00Z"}'],
    ["a day that is none", '{"$date": "2026-02-31T00:00:00Z"}'],
    ["a bigint in another notation", '{"$bigint": "0x10"}'],
    ["a very long bigint", `{"$bigint": "${"9".repeat(100_000)}"}`],
    ["a real by the name of a member", '{"$real": "constructor"}'],
    ["a prototype", '{"a": {"__proto__": {"admin": true}}}'],
    ["a prototype in disguise", '{"$plain": {"__proto__": {"admin": true}}}'],
    ["very deep nesting", `${"[".repeat(100_000)}${"]".repeat(100_000)}`],
    ["very deep forms", `${'{"$plain":'.repeat(50_000)}1${"}".repeat(50_000)}`],
  ])("%s is an error", (_what, text) => {
    expect(() => decode(JSON.parse(text))).toThrow(ValueError);
    expect(({} as { admin?: unknown }).admin).toBe(undefined);
  });

  test("names of the language are plain keys", () => {
    const one = decode(JSON.parse('{"constructor": {"prototype": {"x": 1}}, "toString": 2, "then": 3}')) as object;
    expect(Object.getPrototypeOf(one)).toBe(Object.prototype);
    expect(Object.hasOwn(one, "constructor")).toBe(true);
    expect(({} as { x?: unknown }).x).toBe(undefined);
  });
});
