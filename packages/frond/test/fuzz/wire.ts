// Values on their way through JSON, and failures of any shape.
//
// Rule: what JSON can hold comes back as it was, bytes as the same bytes; everything else is refused with a code or told
// in a form of its own. A failure can be anything that code may throw, and telling it never fails itself: it happens
// where nobody is left to catch.

import fc from "fast-check";
import { isDeepStrictEqual } from "node:util";
import { errorToWire, fromWire, toWire } from "../../src/server/operator/wire.ts";
import { attempt, type Entrance, target, type Target } from "./target.ts";

const key = fc.oneof(
  fc.constantFrom("a", "b", "", "__proto__", "constructor", "toJSON", "$blob", "$real", "$map", "then"),
  fc.string({ maxLength: 4 }),
);
const leaf = fc.oneof(
  fc.constantFrom(null, true, false, 0, -1, 1.5, 2 ** 53, ""),
  fc.string({ unit: "binary", maxLength: 6 }),
  fc.uint8Array({ maxLength: 9 }),
);

/** Anything that JSON, or {"$blob"}, can hold. */
const plain = fc.letrec<{ value: unknown }>((tie) => ({
  value: fc.oneof(
    { depthSize: "small" },
    leaf,
    fc.array(tie("value"), { maxLength: 3 }),
    fc.dictionary(key, tie("value"), { maxKeys: 3 }),
  ),
})).value;

/** Anything at all. */
const anything = fc.oneof(
  plain,
  fc.anything({
    withBigInt: true,
    withDate: true,
    withMap: true,
    withSet: true,
    withSparseArray: true,
    withTypedArray: true,
  }),
  fc.constantFrom<unknown>(
    NaN,
    Infinity,
    Symbol("s"),
    undefined,
    /x/g,
    new Date(NaN),
    circle(),
    deep(20_000),
    deep(500),
  ),
  fc.constantFrom<unknown>(() => 1, Object.create(null), new Proxy({}, {}), new ArrayBuffer(3), shared()),
);

/** What code throws and nobody can look at, by name: fast-check itself would stumble over it. */
const HOSTILE: Readonly<Record<string, () => unknown>> = {
  proxy: () => new Proxy({}, { get: fail, ownKeys: fail, getPrototypeOf: fail, has: fail }),
  getter: () => ({
    get code() {
      return fail();
    },
  }),
  message: () => Object.defineProperty(new Error("x"), "message", { get: fail }),
  name: () => Object.defineProperty(new Error("x"), "name", { value: Symbol("n") }),
  code: () => Object.defineProperty(new Error("x"), "code", { get: fail }),
};

/** What code throws. */
const thrown = fc.oneof(
  anything,
  fc.constantFrom(...Object.keys(HOSTILE)),
  fc.record({ message: anything, code: anything, name: anything }).map((facts) => {
    const error = new Error("x");
    for (const [name, value] of Object.entries(facts)) Object.defineProperty(error, name, { value });
    return error;
  }),
);

interface WireCase {
  readonly plain: unknown;
  readonly value: unknown;
  readonly thrown: unknown;
  readonly typed: unknown;
}

/** JSON as a person, or a program that means harm, types it. */
const typed = fc.oneof(
  plain,
  fc.dictionary(fc.constantFrom("$blob", "__proto__", "x"), fc.oneof(plain, fc.string(), fc.base64String()), {
    maxKeys: 2,
  }),
);

export function wireTarget(wire = { toWire, fromWire, errorToWire }): Target {
  return target("wire", 1500, (): Entrance<WireCase> => ({
    input: fc.record({ plain, value: anything, thrown, typed }),
    check(input) {
      judgePlain(input.plain, wire);
      const told = attempt(["NOT_CLONEABLE"], () => wire.toWire(input.value));
      if ("value" in told) JSON.stringify(told.value);
      judgeTyped(input.typed, wire);
      const make = typeof input.thrown === "string" && HOSTILE[input.thrown];
      const failure = wire.errorToWire(make ? make() : input.thrown);
      const { code, message, retryable, overloaded, remote } = failure;
      const texts = typeof code === "string" && code !== "" && typeof message === "string";
      const traits = [retryable, overloaded, remote].every((trait) => typeof trait === "boolean");
      if (!texts || !traits) throw new Error(`a failure is told as ${JSON.stringify(failure)}`);
    },
  }));
}

interface Wire {
  readonly toWire: typeof toWire;
  readonly fromWire: typeof fromWire;
}

function judgePlain(value: unknown, wire: Wire): void {
  if (holdsForm(value)) return;
  const text = JSON.stringify(wire.toWire(value));
  const back = wire.fromWire(JSON.parse(text));
  if (!isDeepStrictEqual(back, normal(value))) throw new Error(`it comes back changed, by way of ${text}`);
}

function judgeTyped(value: unknown, wire: Wire): void {
  const parsed: unknown = JSON.parse(JSON.stringify(value));
  const read = attempt(["BAD_OPTION"], () => wire.fromWire(parsed));
  if ("code" in read) return;
  // Bytes that were typed are the bytes that would be written: nothing was left out.
  const text = parsed !== null && typeof parsed === "object" ? (parsed as Record<string, unknown>)["$blob"] : undefined;
  if (!(read.value instanceof Uint8Array) || typeof text !== "string") return;
  const same = text.replaceAll("-", "+").replaceAll("_", "/").replace(/=+$/, "");
  if (Buffer.from(read.value).toString("base64").replace(/=+$/, "") !== same) {
    throw new Error(`${text} is read as ${read.value.length} bytes`);
  }
}

/** An object of its own that looks like one of the forms is told like that form; people are told so. */
function holdsForm(value: unknown): boolean {
  if (typeof value !== "object" || value === null || value instanceof Uint8Array) return false;
  return Object.entries(value).some(([name, part]) => name.startsWith("$") || holdsForm(part));
}

/** What JSON makes of numbers and prototypes: -0 is 0, and every object has the usual prototype. */
function normal(value: unknown): unknown {
  if (value instanceof Uint8Array || typeof value !== "object" || value === null) return value === 0 ? 0 : value;
  if (Array.isArray(value)) return value.map(normal);
  return Object.fromEntries(Object.entries(value).map(([name, part]) => [name, normal(part)]));
}

function fail(): never {
  throw new TypeError("a getter that throws");
}

function circle(): unknown {
  const one: Record<string, unknown> = {};
  one["self"] = [one];
  return one;
}

function deep(depth: number): unknown {
  let value: unknown = 1;
  for (let i = 0; i < depth; i++) value = [value];
  return value;
}

function shared(): unknown {
  const one = { a: 1 };
  return [one, one, { one }];
}
