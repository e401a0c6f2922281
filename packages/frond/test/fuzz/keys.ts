// Keys and values of a cell, against a Map.
//
// Rule: whatever is put is got back as a structured clone; a list has the keys of the model in the order of their UTF-8
// bytes; what is no key is refused with a code, before anything changes.

import fc from "fast-check";
import { isDeepStrictEqual } from "node:util";
import { MAX_KV_KEY_BYTES, MAX_KV_VALUE_BYTES } from "../../src/limits.ts";
import { Box, openBoxes, type Outcome, type Step } from "./nodes.ts";
import { type Entrance, target, type Target } from "./target.ts";

const key = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.constantFrom("a", "ab", "b", "é", "e\u0301", "😀", "\uffff", "%", "_", "A", "'", "\u0001"),
  },
  { weight: 2, arbitrary: fc.string({ unit: "binary", maxLength: 4 }) },
  {
    weight: 1,
    arbitrary: fc.constantFrom<unknown>(
      "",
      "\0",
      "a\0",
      "\ud800",
      "k".repeat(2048),
      "k".repeat(2049),
      "é".repeat(1025),
    ),
  },
  { weight: 1, arbitrary: fc.constantFrom<unknown>(1, null, undefined, ["a"], {}, 1n) },
);
const value = fc.oneof(
  {
    weight: 60,
    arbitrary: fc.anything({
      withBigInt: true,
      withDate: true,
      withMap: true,
      withSet: true,
      withTypedArray: true,
      withSparseArray: true,
      maxDepth: 2,
    }),
  },
  { weight: 10, arbitrary: fc.constantFrom<unknown>(null, undefined, -0, NaN, "\ud800", new Date(0), /x/g, 2n ** 70n) },
  { weight: 1, arbitrary: fc.constantFrom(2 ** 21 - 100, 2 ** 21 + 1).map((length) => "x".repeat(length)) },
);
const bound = fc.option(key, { nil: undefined });
const options = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record(
      {
        start: bound,
        startAfter: bound,
        end: bound,
        prefix: bound,
        reverse: fc.constantFrom<unknown>(true, false, undefined, 1),
        limit: fc.constantFrom<unknown>(0, 1, 2, undefined, -1, 0.5, Infinity, "1", 2 ** 53, null),
      },
      { requiredKeys: [] },
    ),
  },
  { weight: 1, arbitrary: fc.constantFrom<unknown>({ unknown: 1 }, { limits: 1 }, undefined) },
);
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 3, arbitrary: fc.record({ do: fc.constant("put" as const), key, value }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constantFrom("get" as const, "delete" as const), key }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("list" as const), options }) },
);

export type Play = (steps: Step[]) => Promise<Outcome[]>;

export function keysTarget(broken: (play: Play) => Play = (play) => play): Target {
  return target("keys", 300, async (): Promise<Entrance<Step[]>> => {
    const { get, close } = await openBoxes();
    const play = broken(async (steps) => await get(Box, "keys").play(steps));
    return {
      input: fc.array(step, { maxLength: 10, size: "max" }),
      async check(steps) {
        const outcomes = await play(steps);
        const model = new Map<string, unknown>();
        for (const [i, outcome] of outcomes.entries()) judge(steps[i] as Step, outcome, model);
      },
      close,
    };
  });
}

function judge(one: Step, outcome: Outcome, model: Map<string, unknown>): void {
  const wanted = expected(one, model);
  const codes = Array.isArray(wanted.codes) ? wanted.codes : [];
  if ("code" in outcome) {
    if (!codes.includes(outcome.code))
      throw new Error(`${one.do} is refused with ${outcome.code}, not ${codes.join()}`);
    return;
  }
  if (codes.length > 0) throw new Error(`${one.do} is not refused with ${codes.join(" or ")}`);
  if (!isDeepStrictEqual(outcome.value, wanted.value)) throw new Error(`${one.do} gives another value`);
}

/** What the model gives: a value, or the codes of which one must come. Changes the model. */
function expected(one: Step, model: Map<string, unknown>): { value?: unknown; codes?: string[] } {
  if (one.do === "list") return expectedList(one.options ?? {}, model);
  const wrong = wrongKey(one.key);
  if (wrong !== undefined) return { codes: one.do === "put" ? [wrong, "BAD_VALUE", "KEY_TOO_LARGE"] : [wrong] };
  const name = one.key as string;
  if (one.do === "get") return { value: model.get(name) };
  if (one.do === "delete") return { value: model.delete(name) };
  if (one.value === undefined) return { codes: ["BAD_VALUE"] };
  if (typeof one.value === "string" && one.value.length > MAX_KV_VALUE_BYTES) return { codes: ["KEY_TOO_LARGE"] };
  model.set(name, structuredClone(one.value));
  return { value: undefined };
}

function wrongKey(given: unknown): string | undefined {
  if (typeof given !== "string" || !given.isWellFormed() || given.includes("\0")) return "BAD_VALUE";
  return Buffer.byteLength(given) > MAX_KV_KEY_BYTES ? "KEY_TOO_LARGE" : undefined;
}

function expectedList(given: object, model: Map<string, unknown>): { value?: unknown; codes?: string[] } {
  const { start, startAfter, end, prefix, reverse, limit, ...rest } = given as Record<string, unknown>;
  const bounds = [start, startAfter, end, prefix].filter((one) => one !== undefined);
  const codes: string[] = [];
  if (Object.keys(rest).length > 0 || (start !== undefined && startAfter !== undefined)) codes.push("BAD_OPTION");
  if (limit !== undefined && !(Number.isSafeInteger(limit) && (limit as number) >= 0)) codes.push("BAD_OPTION");
  if (bounds.some((one) => wrongKey(one) === "BAD_VALUE")) codes.push("BAD_VALUE");
  if (codes.length > 0) return { codes };
  const order = (a: string, b: string): number => Buffer.compare(Buffer.from(a), Buffer.from(b));
  const found = [...model]
    .filter(([name]) => start === undefined || order(name, start as string) >= 0)
    .filter(([name]) => startAfter === undefined || order(name, startAfter as string) > 0)
    .filter(([name]) => end === undefined || order(name, end as string) < 0)
    .filter(([name]) => prefix === undefined || name.startsWith(prefix as string))
    .sort(([a], [b]) => order(a, b));
  if (reverse === true) found.reverse();
  return { value: found.slice(0, (limit as number | undefined) ?? found.length) };
}
