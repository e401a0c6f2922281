// Values between a client and a server, and JSON that a stranger sends in their place.
//
// Rule: what is sent arrives as it was, or is a ValueError where it was made. What a stranger sends is a ValueError, or a
// value that, sent back, is the same again; a date means the day that it names.

import fc from "fast-check";
import { isDeepStrictEqual } from "node:util";
import { decode, encode, ValueError } from "../../src/client/values.ts";
import { mutate, mutations } from "./mutate.ts";
import { type Entrance, target, type Target } from "./target.ts";

const key = fc.oneof(
  fc.constantFrom("a", "", "$map", "$date", "$plain", "$x", "__proto__", "constructor", "toJSON", "length"),
  fc.string({ maxLength: 3 }),
);
const leaf = fc.oneof(
  fc.constantFrom<unknown>(null, undefined, true, NaN, -0, Infinity, -Infinity, 2 ** 53, new Date(NaN), "\ud800"),
  fc.double(),
  fc.string({ unit: "binary", maxLength: 5 }),
  fc.bigInt(),
  fc.date(),
  fc.uint8Array({ maxLength: 5 }),
);
const sent = fc.letrec<{ value: unknown }>((tie) => ({
  value: fc.oneof(
    { depthSize: "small" },
    { weight: 4, arbitrary: leaf },
    { weight: 2, arbitrary: fc.array(tie("value"), { maxLength: 3 }) },
    { weight: 2, arbitrary: fc.dictionary(key, tie("value"), { maxKeys: 3 }) },
    {
      weight: 1,
      arbitrary: fc.array(fc.tuple(tie("value"), tie("value")), { maxLength: 2 }).map((all) => new Map(all)),
    },
    { weight: 1, arbitrary: fc.array(tie("value"), { maxLength: 2 }).map((all) => new Set(all)) },
  ),
})).value;

const time = fc.oneof(
  fc
    .tuple(fc.integer({ min: 1, max: 13 }), fc.integer({ min: 0, max: 32 }), fc.integer({ min: 0, max: 25 }))
    .map((parts) => {
      const [month, day, hour] = parts.map((part) => String(part).padStart(2, "0"));
      return `2026-${month}-${day}T${hour}:00:00.000Z`;
    }),
  fc.constantFrom("2026-01-01", "+002026-01-01T00:00:00Z", "-000000-01-01T00:00:00Z", "x", "275761-01-01T00:00:00Z"),
);
const form = fc.oneof(
  fc.record({ $date: time }),
  fc.record({ $bigint: fc.constantFrom("7", "-0", "007", "1e3", "0x1", "", " 1", "9".repeat(1001)) }),
  fc.record({ $blob: fc.oneof(fc.base64String(), fc.constantFrom("A", "A===", " AQ==", "_-8=", "é")) }),
  fc.record({ $real: fc.constantFrom("NaN", "-0", "0", "constructor", "Infinity ") }),
  fc.record({ $map: fc.constantFrom<unknown>([[1, 2]], [[1]], {}, [[[], []]], null) }),
  fc.record({
    $plain: fc.oneof(fc.dictionary(key, fc.integer(), { maxKeys: 2 }), fc.constantFrom<unknown>([], null, 1)),
  }),
  fc.record({ $undefined: fc.constantFrom<unknown>(true, false, null) }),
);

interface ClientCase {
  readonly value: unknown;
  readonly form: unknown;
  readonly changes: Parameters<typeof mutate>[1];
  readonly deep: number;
}

export function clientValuesTarget(codec = { encode, decode }): Target {
  return target("client-values", 2500, (): Entrance<ClientCase> => ({
    input: fc.record({
      value: sent,
      form,
      changes: mutations,
      deep: fc.constantFrom(0, 1, 96, 97, 98, 99, 100, 101, 5000),
    }),
    check({ value, form: one, changes, deep }) {
      let nested = value;
      for (let i = 0; i < deep; i++) nested = [nested];
      const text = told(() => JSON.stringify(codec.encode(nested)));
      if (text !== undefined) {
        if (!isDeepStrictEqual(told(() => [codec.decode(JSON.parse(text))])?.[0], plainOf(nested))) {
          throw new Error(`it arrives changed, by way of ${text}`);
        }
        judgeStranger(parsed(mutate(Buffer.from(text), changes).toString()), codec);
      }
      judgeStranger(one, codec);
    },
  }));
}

interface Codec {
  readonly encode: typeof encode;
  readonly decode: typeof decode;
}

function judgeStranger(json: unknown, codec: Codec): void {
  const read = told(() => [codec.decode(json)]);
  if (read === undefined) return;
  const again = codec.decode(JSON.parse(JSON.stringify(codec.encode(read[0]))));
  if (!isDeepStrictEqual(again, read[0]))
    throw new Error(`${JSON.stringify(json)} is another value when it is sent back`);
  const [date] = read;
  const text = (json as { $date?: unknown } | null)?.$date;
  if (!(date instanceof Date) || typeof text !== "string") return;
  if (!sameMoment(date, text)) {
    throw new Error(`${text} is read as ${date.toISOString()}`);
  }
}

/** The text names the day and the time of the date: not the 31st of a month that has 30. */
function sameMoment(date: Date, text: string): boolean {
  const [, day = "", clock = ""] = /-(\d\d)T(\d\d:\d\d:\d\d)/.exec(text) ?? [];
  return Number(day) === date.getUTCDate() && date.toISOString().includes(`T${clock}`);
}

/** What `run` gives; undefined where it is refused with a ValueError. */
function told<T>(run: () => T): T | undefined {
  try {
    return run();
  } catch (error) {
    if (error instanceof ValueError) return undefined;
    throw error;
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

/** Objects have the usual prototype on the other side. */
function plainOf(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(plainOf);
  if (value instanceof Map) return new Map([...value].map(([one, two]) => [plainOf(one), plainOf(two)]));
  if (value instanceof Set) return new Set([...value].map(plainOf));
  if (typeof value !== "object" || value === null || value instanceof Date || value instanceof Uint8Array) return value;
  return Object.fromEntries(Object.entries(value).map(([name, part]) => [name, plainOf(part)]));
}
