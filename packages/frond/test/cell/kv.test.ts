// ctx.storage.kv: keys and values beside the tables, in the shape of a Durable Object.

import { expect, test } from "vitest";
import { Cell } from "../../src/cell/cell.ts";
import type { KvListOptions } from "../../src/cell/kv.ts";
import { codeOf, failureOf, openCells, reopen } from "./nodes.ts";

class Store extends Cell {
  put(key: string, value: unknown) {
    this.ctx.storage.kv.put(key, value);
  }
  putMany(...keys: string[]) {
    for (const key of keys) this.put(key, key.toUpperCase());
  }
  putAndThrow(key: string) {
    this.put(key, 1);
    throw new Error("taken back");
  }
  putInTransaction(key: string) {
    try {
      this.transaction(() => this.putAndThrow(key));
    } catch {
      // Only the transaction is undone.
    }
    this.put(`${key} after`, 1);
  }
  read(key: string) {
    return this.ctx.storage.kv.get(key);
  }
  remove(key: string) {
    return this.ctx.storage.kv.delete(key);
  }
  keys(options?: KvListOptions) {
    return [...this.ctx.storage.kv.list(options)].map(([key]) => key);
  }
  entries() {
    return [...this.ctx.storage.kv.list<string>()];
  }
  putMutating() {
    const value = { list: [1] };
    this.put("mutated", value);
    value.list.push(2);
    (this.read("mutated") as { list: number[] }).list.push(3);
    return this.read("mutated");
  }
  tables() {
    return this.sql.all`SELECT name FROM sqlite_schema`;
  }
  putFunction() {
    this.put("f", () => {});
  }
}

async function store() {
  const opened = await openCells({ store: Store });
  return { ...opened, a: opened.get(Store, "a") };
}

test("a value of kv is a structured clone that lasts", async () => {
  const { a, ...opened } = await store();
  const value = {
    date: new Date(5),
    map: new Map<unknown, unknown>([[1, new Set(["x"])]]),
    bytes: new Uint8Array([1, 2, 3]),
    big: 2n ** 70n,
    none: null,
    nested: [undefined, -0, { "": "" }],
  };
  await a.put("k", value);
  await a.put("", "the empty key");
  expect(await a.read("k")).toEqual(value);
  expect(await a.read("none")).toBeUndefined();
  expect(await a.putMutating()).toEqual({ list: [1] });
  const again = (await reopen(opened, { store: Store })).get(Store, "a");
  expect(await again.read("k")).toEqual(value);
  expect(await again.read("")).toBe("the empty key");
});

test("kv takes part in the transaction of the verb", async () => {
  const { a } = await store();
  await failureOf(a.putAndThrow("x"));
  expect(await a.read("x")).toBeUndefined();
  // The roll-back took the table itself away; the next put makes it again.
  expect(await a.tables()).toEqual([]);
  await a.putInTransaction("x");
  expect(await a.keys()).toEqual(["x after"]);
});

test("delete tells whether the key was there", async () => {
  const { a } = await store();
  expect(await a.remove("x")).toBe(false);
  await a.put("x", 1);
  expect(await a.remove("x")).toBe(true);
  expect(await a.remove("x")).toBe(false);
  expect(await a.read("x")).toBeUndefined();
});

test("list takes the options of a Durable Object", async () => {
  const { a } = await store();
  expect(await a.keys()).toEqual([]);
  await a.putMany("b", "a", "ab", "é", "c%", "c_", "\u{1f600}", "~");
  expect(await a.keys()).toEqual(["a", "ab", "b", "c%", "c_", "~", "é", "\u{1f600}"]);
  expect(await a.entries()).toContainEqual(["ab", "AB"]);
  const cases: [KvListOptions, string[]][] = [
    [{ start: "ab" }, ["ab", "b", "c%", "c_", "~", "é", "\u{1f600}"]],
    [{ startAfter: "ab", end: "~" }, ["b", "c%", "c_"]],
    [{ start: "b", end: "b" }, []],
    [{ prefix: "a" }, ["a", "ab"]],
    [{ prefix: "c%" }, ["c%"]],
    [{ prefix: "" }, ["a", "ab", "b", "c%", "c_", "~", "é", "\u{1f600}"]],
    [{ prefix: "c", reverse: true }, ["c_", "c%"]],
    [{ reverse: true, limit: 2 }, ["\u{1f600}", "é"]],
    [{ limit: 0 }, []],
    [{ limit: 100, prefix: "\u{1f600}" }, ["\u{1f600}"]],
    [{ prefix: "a", start: "ab" }, ["ab"]],
  ];
  for (const [options, keys] of cases) expect(await a.keys(options), JSON.stringify(options)).toEqual(keys);
});

test("kv refuses keys, values and options that it cannot keep", async () => {
  const { a } = await store();
  for (const key of ["nul \0", "half \udc00", 5, undefined, 1n] as string[]) {
    expect(await codeOf(a.put(key, 1))).toBe("BAD_VALUE");
    expect(await codeOf(a.read(key))).toBe("BAD_VALUE");
    expect(await codeOf(a.remove(key))).toBe("BAD_VALUE");
    if (key !== undefined) expect(await codeOf(a.keys({ prefix: key }))).toBe("BAD_VALUE");
  }
  expect(await codeOf(a.put("k", undefined))).toBe("BAD_VALUE");
  expect(await codeOf(a.putFunction())).toBe("NOT_CLONEABLE");
  expect(await codeOf(a.put("k".repeat(2049), 1))).toBe("KEY_TOO_LARGE");
  expect(await codeOf(a.put("k", new Uint8Array(2 * 1024 * 1024)))).toBe("KEY_TOO_LARGE");
  await a.put("k".repeat(2048), new Uint8Array(2 * 1024 * 1024 - 64));
  expect(await codeOf(a.keys({ start: "a", startAfter: "b" }))).toBe("BAD_OPTION");
  expect(await codeOf(a.keys({ limit: -1 }))).toBe("BAD_OPTION");
  expect(await codeOf(a.keys({ limit: Number.NaN }))).toBe("BAD_OPTION");
  const failure = await failureOf(a.keys({ prefx: "a" } as KvListOptions));
  expect(failure.code).toBe("BAD_OPTION");
  expect(failure.message).toContain("prefx");
});
