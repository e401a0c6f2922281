// What crosses from one cell to another: structured clones of arguments, results and errors.

import { expect, test } from "vitest";
import { Cell } from "../../src/cell/cell.ts";
import { FrondError } from "../../src/errors.ts";
import { codeOf, failureOf, openCells } from "./nodes.ts";

class ValidationError extends Error {
  override readonly name = "ValidationError";
  readonly code = "E_INVALID";
  readonly retryable = true;
  readonly fields = { email: ["is empty"] };
  readonly check = () => false;
  readonly nothing = undefined;
}

interface Item {
  tags: string[];
}

class Vault extends Cell {
  items: Item[] = [];
  thrown: unknown;

  keep(item: Item) {
    this.items.push(item);
    return item;
  }
  kept() {
    return this.items;
  }
  async keptLater() {
    await Promise.resolve();
    return this.items;
  }
  echo(...args: unknown[]) {
    return args;
  }
  kinds(...args: unknown[]) {
    return args.map((arg) => Object.prototype.toString.call(arg));
  }
  giveFunction() {
    return { f: () => 1 };
  }
  async giveFunctionLater() {
    await Promise.resolve();
    return () => 1;
  }
  fail(how: string) {
    this.sql`CREATE TABLE IF NOT EXISTS t (v TEXT) STRICT`;
    switch (how) {
      case "custom":
        this.thrown = new ValidationError("not valid", { cause: new RangeError("too small", { cause: { limit: 3 } }) });
        break;
      case "type":
        this.thrown = new TypeError("wrong type", { cause: () => "not cloneable" });
        break;
      case "cycle": {
        const error = new Error("round and round");
        error.cause = error;
        this.thrown = error;
        break;
      }
      case "sql":
        this.sql`INSERT INTO nowhere VALUES (1)`;
        break;
      case "frond":
        this.thrown = new FrondError("OVERLOADED", "by hand", { cause: new Error("why") });
        break;
      case "object":
        this.thrown = { reason: "an object" };
        break;
      case "symbol":
        this.thrown = Symbol("thrown");
        break;
      case "bare":
        this.thrown = Object.assign(Object.create(null), { f: () => {} });
        break;
      default:
        this.thrown = how;
    }
    throw this.thrown;
  }
  async failLater(how: string) {
    await Promise.resolve();
    this.fail(how);
  }
  mutateThrown() {
    (this.thrown as Error).message = "changed afterwards";
  }
}

class Asker extends Cell {
  async keepAndChange() {
    const item = { tags: ["a"] };
    const call = this.get(Vault, "v").keep(item);
    // The call took its copy when it was made.
    item.tags.push("b");
    const result = await call;
    result.tags.push("c");
    return [item, result];
  }
}

async function vault() {
  const opened = await openCells({ vault: Vault, asker: Asker });
  return { ...opened, v: opened.get(Vault, "v") };
}

test("arguments and results are copies: changing one's own changes nobody else's", async () => {
  const { v, get } = await vault();
  const item = { tags: ["own"] };
  const kept = await v.keep(item);
  expect(kept).toEqual(item);
  expect(kept).not.toBe(item);
  item.tags.push("changed by the caller");
  kept.tags.push("changed by the one who got it");
  expect(await v.kept()).toEqual([{ tags: ["own"] }]);
  for (const result of [await v.kept(), await v.keptLater()]) result[0]?.tags.push("again");
  expect(await v.kept()).toEqual([{ tags: ["own"] }]);
  const [mine, result] = (await get(Asker, "a").keepAndChange()) as [Item, Item];
  expect(mine.tags).toEqual(["a", "b"]);
  expect(result.tags).toEqual(["a", "c"]);
  expect(await v.kept()).toEqual([{ tags: ["own"] }, { tags: ["a"] }]);
});

test("what structured clones hold goes through whole", async () => {
  const { v } = await vault();
  const cycle: unknown[] = [];
  cycle.push(cycle);
  const values = [
    new Map([["k", new Date(3)]]),
    new Set([1n, "x"]),
    new Uint8Array([1, 2, 3]),
    new Float64Array([0.5]),
    /re/gi,
    new Error("as a value"),
    cycle,
    undefined,
    null,
    -0,
    Number.NaN,
    { a: { b: [undefined] } },
    new Blob(["blob"]).size,
  ];
  expect(await v.echo(...values)).toEqual(values);
  expect(await v.kinds(...values.slice(0, 3))).toEqual(["[object Map]", "[object Set]", "[object Uint8Array]"]);
  expect(await v.echo()).toEqual([]);
});

test("what cannot be cloned fails with NOT_CLONEABLE, naming the verb", async () => {
  const { v } = await vault();
  for (const wrong of [() => 1, Symbol("s"), { f: () => 1 }, new WeakMap(), Promise.resolve()]) {
    const failure = await failureOf(v.echo(wrong));
    expect(failure).toMatchObject({ code: "NOT_CLONEABLE", remote: false });
    expect(failure.message).toContain("an argument of echo");
  }
  expect((await failureOf(v.giveFunction())).message).toContain("the result of giveFunction");
  expect(await codeOf(v.giveFunctionLater())).toBe("NOT_CLONEABLE");
});

test("an error arrives with name, message, stack, causes and own fields, marked remote", async () => {
  const { v } = await vault();
  for (const verb of ["fail", "failLater"] as const) {
    const error = (await failureOf(v[verb]("custom"))) as Error & Record<string, unknown>;
    expect(error).toBeInstanceOf(Error);
    expect(error).toMatchObject({
      name: "ValidationError",
      message: "not valid",
      code: "E_INVALID",
      retryable: true,
      fields: { email: ["is empty"] },
      remote: true,
    });
    expect(error.stack).toContain("clone.test.ts");
    expect(error["check"]).toBeUndefined();
    const cause = error.cause as Error;
    expect(cause).toBeInstanceOf(RangeError);
    expect(cause.message).toBe("too small");
    expect(cause.cause).toEqual({ limit: 3 });
    await v.mutateThrown();
    expect(error.message).toBe("not valid");
  }
});

test("an error arrives whatever it holds, and what is thrown need not be an error", async () => {
  const { v } = await vault();
  const type = await failureOf(v.fail("type"));
  expect(type.message).toBe("wrong type");
  expect(type.name).toBe("TypeError");
  const cycle = await failureOf(v.fail("cycle"));
  expect(cycle.message).toBe("round and round");
  expect((cycle.cause as Error).message).toBe("round and round");
  expect(await failureOf(v.fail("a text"))).toBe("a text");
  expect(await failureOf(v.fail("object"))).toEqual({ reason: "an object" });
  expect((await failureOf(v.fail("symbol"))).message).toContain("symbol");
  expect((await failureOf(v.fail("bare"))).message).toContain("object");
});

test("an error of frond stays one, with code, retryable and overloaded", async () => {
  const { v } = await vault();
  const sql = await failureOf(v.fail("sql"));
  expect(sql).toBeInstanceOf(FrondError);
  expect(sql).toMatchObject({ code: "SQL_ERROR", retryable: false, overloaded: false, remote: true });
  const frond = await failureOf(v.fail("frond"));
  expect(frond).toBeInstanceOf(FrondError);
  expect(frond).toMatchObject({
    code: "OVERLOADED",
    retryable: true,
    overloaded: true,
    remote: true,
    name: "FrondError",
  });
  expect((frond.cause as Error).message).toBe("why");
});
