// Values as JSON at their bounds: how deep, which base64, and failures that nobody can look at.

import { describe, expect, test } from "vitest";
import { MAX_JSON_DEPTH } from "../../src/limits.ts";
import { errorToWire, fromWire, toWire } from "../../src/server/operator/wire.ts";

function nested(depth: number): unknown {
  let value: unknown = 1;
  for (let i = 0; i < depth; i++) value = i % 2 === 0 ? [value] : { value };
  return value;
}

describe("depth", () => {
  test("a value as deep as MAX_JSON_DEPTH passes both ways, a deeper one is refused", () => {
    const deepest = nested(MAX_JSON_DEPTH);
    expect(fromWire(toWire(deepest))).toEqual(deepest);
    expect(() => toWire(nested(MAX_JSON_DEPTH + 1))).toThrow(/nested deeper than 1000/);
    expect(() => fromWire(nested(MAX_JSON_DEPTH + 1))).toThrow(/nested deeper than 1000/);
    expect(() => fromWire(nested(1_000_000))).toThrow(/nested deeper than 1000/);
  });

  test("an object that stands in a value twice does not contain itself", () => {
    const one = { a: 1 };
    expect(toWire([one, { one }, one])).toEqual([{ a: 1 }, { one: { a: 1 } }, { a: 1 }]);
  });
});

describe("base64", () => {
  test.each(["", "AQI=", "AQI", "_-8", "/+8="])("%j is bytes", (text) => {
    expect(fromWire({ $blob: text })).toEqual(new Uint8Array(Buffer.from(text, "base64")));
  });

  test.each(["#", "AQI=AQI=", "A", "AQ I=", "AR=="])("%j is refused, for other bytes would arrive", (text) => {
    expect(() => fromWire([{ $blob: text }])).toThrow(/does not hold base64/);
  });
});

describe("a failure that cannot be looked at", () => {
  const fail = (): never => {
    throw new Error("no");
  };
  const circle: Record<string, unknown> = {};
  circle["self"] = circle;
  test.each([
    ["an object that contains itself", circle],
    ["a proxy", new Proxy({}, { get: fail, getPrototypeOf: fail })],
    ["a getter", Object.defineProperty(new Error("x"), "message", { get: fail })],
    ["a depth without end", nested(100_000)],
  ])("is told all the same: %s", (_what, value) => {
    const told = errorToWire(value);
    expect(told).toMatchObject({ code: "THROWN", message: expect.stringContaining("cannot be told"), remote: true });
  });

  test("a message that is no text becomes one", () => {
    const error = Object.defineProperty(new Error("x"), "message", { value: { toString: () => "text" } });
    expect(errorToWire(error).message).toBe("text");
    expect(errorToWire(undefined).message).toBe("undefined");
  });
});
