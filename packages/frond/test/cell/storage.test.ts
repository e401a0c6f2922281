// The asynchronous methods of ctx.storage in the shape of a Durable Object's, and the input gate that goes with them: what
// stands between a `get` and the `put` behind it meets nobody.

import { expect, test } from "vitest";
import { Cell } from "../../src/cell/cell.ts";
import type { KvListOptions } from "../../src/cell/kv.ts";
import type { StorageOptions } from "../../src/cell/storage.ts";
import { codeOf, commitsIn, failureOf, isSettled, openCells, reopen, SlowDisk } from "./nodes.ts";

const turn = () => new Promise<void>((resolve) => setImmediate(resolve));

class Store extends Cell {
  async get1(key: string, options?: StorageOptions) {
    return this.ctx.storage.get(key, options);
  }
  async getMany(keys: string[], options?: StorageOptions) {
    return this.ctx.storage.get(keys, options);
  }
  async put1(key: string, value: unknown, options?: StorageOptions) {
    return this.ctx.storage.put(key, value, options);
  }
  async putMany(entries: Record<string, unknown>, options?: StorageOptions) {
    return this.ctx.storage.put(entries, options);
  }
  async remove(key: string) {
    return this.ctx.storage.delete(key);
  }
  async removeMany(keys: string[]) {
    return this.ctx.storage.delete(keys);
  }
  async list(options?: KvListOptions & StorageOptions) {
    return this.ctx.storage.list(options);
  }
  putSync(key: string) {
    void this.ctx.storage.put(key, 1);
    if (key === "thrown") throw new Error("taken back");
    return this.ctx.storage.kv.get(key);
  }
  async mutate() {
    const value = { list: [1] };
    const put = this.ctx.storage.put("mutated", value);
    value.list.push(2);
    await put;
    return this.ctx.storage.get("mutated");
  }

  // Counters
  async bump(options?: StorageOptions) {
    const n = (await this.ctx.storage.get<number>("n", options)) ?? 0;
    await this.ctx.storage.put("n", n + 1, options);
  }
  async bumpAfterCall() {
    await this.get(Helper, "h").ping();
    await this.bump();
  }
  async bumpAfterTurn() {
    await turn();
    await this.bump();
  }
  async bumpByThen() {
    await this.get(Helper, "h").ping();
    // Nothing is awaited behind the last await.
    return this.ctx.storage.get<number>("n").then((n = 0) => void this.ctx.storage.put("n", n + 1));
  }
  async bumpList() {
    await this.get(Helper, "h").ping();
    const all = await this.ctx.storage.list<number>({ prefix: "n" });
    await this.ctx.storage.delete("n");
    await this.ctx.storage.put({ n: (all.get("n") ?? 0) + 1 });
  }
  async bumpInScope() {
    await this.get(Helper, "h").ping();
    await this.ctx.blockConcurrencyWhile(() => this.bump());
  }
  async bumpInTransaction() {
    await this.get(Helper, "h").ping();
    await this.ctx.storage.transaction(async (txn) => {
      const n = (await txn.get<number>("n")) ?? 0;
      await turn();
      void txn.put("n", n + 1);
    });
  }
  async getAfterCall() {
    await this.get(Helper, "h").ping();
    await this.ctx.storage.get("n");
  }
  async putAfterCall(how: "verb" | "scope") {
    await this.get(Helper, "h").ping();
    if (how === "verb") void this.ctx.storage.put(how, 1);
    else void (await this.ctx.blockConcurrencyWhile(async () => void this.ctx.storage.put(how, 1)));
  }
  count() {
    return this.ctx.storage.kv.get("n");
  }
  async readTwice() {
    const first = await this.ctx.storage.get("n");
    return [first, this.ctx.storage.kv.get("n"), await this.ctx.storage.get("n")];
  }
  async holdAndAsk() {
    const before = await this.ctx.storage.get("n");
    // Others would be met here.
    for (let i = 0; i < 20; i++) await undefined;
    return before === this.ctx.storage.kv.get("n");
  }
  async sqlAfterCall() {
    await this.get(Helper, "h").ping();
    this.ctx.storage.kv.put("n", ((this.count() as number | undefined) ?? 0) + 1);
  }
}

class Helper extends Cell {
  ping() {
    return "pong";
  }
  async bumpMany(times: number, how: "bump" | "bumpAfterCall") {
    const counter = this.get(Store, "a");
    await Promise.all(Array.from({ length: times }, () => counter[how]()));
  }
}

const cells = { store: Store, helper: Helper };

async function store() {
  const opened = await openCells(cells, {
    fetch: async (request, { get }) => {
      await get(Store, "a").bump();
      return new Response(request.url);
    },
  });
  return { ...opened, a: opened.get(Store, "a") };
}

test("get, put and delete take one key or several", async () => {
  const { a, ...opened } = await store();
  expect(await a.get1("x")).toBeUndefined();
  await a.put1("x", { at: new Date(5) });
  expect(await a.get1("x")).toEqual({ at: new Date(5) });
  await a.putMany({ é: 1, b: 2, a: null });
  expect(await a.getMany(["é", "none", "b", "a", "b"])).toEqual(
    new Map<string, unknown>([
      ["a", null],
      ["b", 2],
      ["é", 1],
    ]),
  );
  expect([...(await a.getMany(["é", "b", "a"])).keys()]).toEqual(["a", "b", "é"]);
  expect(await a.getMany([])).toEqual(new Map());
  expect(await a.remove("none")).toBe(false);
  expect(await a.remove("x")).toBe(true);
  expect(await a.removeMany(["a", "a", "none", "b"])).toBe(2);
  const again = await reopen(opened, cells);
  expect(await again.get(Store, "a").list()).toEqual(new Map([["é", 1]]));
});

test("list gives a Map in the order of the keys", async () => {
  const { a } = await store();
  expect(await a.list()).toEqual(new Map());
  const keys = ["a", "ab", "b", "\ud7ff", "\ud7ffx", "\ue000", "\u{10ffff}", "\u{10ffff}\u{10ffff}"];
  await a.putMany(Object.fromEntries(keys.map((key) => [key, key])));
  const listed = async (options: KvListOptions) => [...(await a.list(options)).keys()];
  expect(await listed({})).toEqual(keys);
  expect(await listed({ prefix: "a" })).toEqual(["a", "ab"]);
  expect(await listed({ prefix: "\ud7ff" })).toEqual(["\ud7ff", "\ud7ffx"]);
  expect(await listed({ prefix: "\u{10ffff}" })).toEqual(["\u{10ffff}", "\u{10ffff}\u{10ffff}"]);
  expect(await listed({ startAfter: "b", reverse: true, limit: 2 })).toEqual(keys.toReversed().slice(0, 2));
  expect((await failureOf(a.list({ start: "a", startAfter: "b" }))).message).toBe(
    "list() cannot be called with both start and startAfter values.",
  );
});

test("put of several keys happens whole or not at all, and delete too", async () => {
  const { a } = await store();
  expect(await codeOf(a.putMany({ a: 1, ["k".repeat(3000)]: 2 }))).toBe("KEY_TOO_LARGE");
  expect((await failureOf(a.putMany({ a: 1, b: undefined }))).message).toMatch(/^put\(\) called with undefined value/);
  await a.put1("x", 1);
  expect(await codeOf(a.removeMany(["x", "nul \0"]))).toBe("BAD_VALUE");
  expect(await a.list()).toEqual(new Map([["x", 1]]));
});

test("what is put is copied when it is put", async () => {
  const { a } = await store();
  expect(await a.mutate()).toEqual({ list: [1] });
});

test("an operation of a sync verb is part of its transaction", async () => {
  const { a, node, directory } = await store();
  expect(await a.putSync("kept")).toBe(1);
  await failureOf(a.putSync("thrown"));
  expect(await a.list()).toEqual(new Map([["kept", 1]]));
  await node.commitLog.flushed();
  expect(commitsIn(directory, "store/a")).toHaveLength(1);
});

test("options that a Durable Object has are taken, others are refused, and so is what is no key", async () => {
  const { a } = await store();
  const all = { allowConcurrency: false, allowUnconfirmed: true, noCache: true };
  await a.put1("x", 1, all);
  await a.putMany({ y: 2 }, all);
  expect(await a.get1("x", all)).toBe(1);
  expect(await a.list({ ...all, limit: 1 })).toEqual(new Map([["x", 1]]));
  const wrong = { noCahce: true } as StorageOptions;
  for (const call of [a.get1("x", wrong), a.getMany(["x"], wrong), a.put1("x", 2, wrong), a.putMany({ x: 2 }, wrong)]) {
    expect((await failureOf(call)).message).toMatch(/noCahce$/);
  }
  expect(await codeOf(a.list({ prefx: "x" } as KvListOptions))).toBe("BAD_OPTION");
  expect(await codeOf(a.get1("x", 5 as StorageOptions))).toBe("BAD_OPTION");
  for (const key of [5, undefined, null, {}] as never[]) {
    expect(await codeOf(a.get1(key)), String(key)).toBe("BAD_VALUE");
    expect(await codeOf(a.remove(key)), String(key)).toBe("BAD_VALUE");
  }
  for (const entries of [5, null, new Map([["x", 2]]), ["x"]] as never[]) {
    expect(await codeOf(a.putMany(entries)), String(entries)).toBe("BAD_VALUE");
  }
  expect(await a.get1("x")).toBe(1);
});

test("a hundred requests that count by get and put at once lose none", async () => {
  const { a, node } = await store();
  const requests = Array.from({ length: 100 }, () =>
    node.handle(new Request("http://test/"), { remoteAddress: "" }).then((response) => response.status),
  );
  expect(await Promise.all(requests)).toEqual(requests.map(() => 200));
  expect(await a.count()).toBe(100);
});

test("nor do calls from another cell, and verbs that go on together after their answers have come", async () => {
  for (const how of ["bump", "bumpAfterCall"] as const) {
    const { a, get } = await store();
    await get(Helper, "other").bumpMany(100, how);
    expect(await a.count(), how).toBe(100);
  }
});

test("nor do verbs that count in different ways at once", async () => {
  const { a } = await store();
  const ways = ["bump", "bumpAfterCall", "bumpAfterTurn", "bumpByThen", "bumpList", "bumpInScope", "bumpInTransaction"];
  const calls = Array.from({ length: 70 }, (_, i) => a[ways[i % ways.length] as "bump"]());
  await Promise.all(calls);
  expect(await a.count()).toBe(70);
});

test("an answer that comes in between waits until the turn has ended", async () => {
  const { a } = await store();
  const other = a.sqlAfterCall();
  expect(await a.holdAndAsk()).toBe(true);
  await other;
  expect(await a.count()).toBe(1);
});

test("an operation that has to wait for its turn is waited for, also when the code does not", async () => {
  const disk = new SlowDisk();
  const { node, get } = await openCells(cells, {
    io: disk,
    fetch: async (request, context) => {
      const a = context.get(Store, "a");
      await (request.url.endsWith("get")
        ? a.getAfterCall()
        : a.putAfterCall(request.url.endsWith("verb") ? "verb" : "scope"));
      return new Response("done");
    },
  });
  const request = (how: string) => node.handle(new Request(`http://test/${how}`), { remoteAddress: "" });
  for (const how of ["verb", "scope"]) {
    disk.hold();
    // The first one takes the turn in which the second one comes on.
    const first = request("get");
    const second = request(how);
    expect(await isSettled(second)).toBe(false);
    disk.release();
    await Promise.all([first, second]);
  }
  expect([...(await get(Store, "a").list()).keys()]).toEqual(["scope", "verb"]);
});

test("allowConcurrency lets others in", async () => {
  const { a } = await store();
  await Promise.all(Array.from({ length: 10 }, () => a.bump({ allowConcurrency: true })));
  expect(await a.count()).toBe(1);
});

test("the gate is open again when the turn has ended", async () => {
  const { a } = await store();
  expect(await a.readTwice()).toEqual([undefined, undefined, undefined]);
  expect(await isSettled(a.count())).toBe(true);
});
