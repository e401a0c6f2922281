// Verbs and stubs: what can be called from outside of a cell, and what cannot.

import { inspect } from "node:util";
import { expect, test } from "vitest";
import { frond } from "../../src/cell/app.ts";
import { Cell } from "../../src/cell/cell.ts";
import type { CellClass } from "../../src/cell/cell.ts";
import { codeOf, failureOf, openCells } from "./nodes.ts";

class Animal extends Cell {
  sound(): string {
    return "none";
  }
  legs() {
    return 4;
  }
  hiddenBelow(): unknown {
    return "a verb here";
  }
}

class Dog extends Animal {
  #secret() {
    return "secret";
  }
  static breed() {
    return "static";
  }
  override sound() {
    return `${super.sound()} but woof`;
  }
  get age() {
    return 7;
  }
  _private() {
    return "private";
  }
  callPrivate() {
    return [this.#secret(), this._private(), this.arrow()];
  }
  arrow = () => "a field";
  override alarm() {
    return "a hook";
  }
  override webSocketMessage() {
    return "a hook";
  }
  async later(...args: unknown[]) {
    await Promise.resolve();
    return args;
  }
  override fetch(request: Request) {
    return new Response(`${request.method} ${this.name}`);
  }
}

// As code without types can write it: a getter in place of an inherited method.
Object.defineProperty(Dog.prototype, "hiddenBelow", { get: () => () => "a getter here" });

type Loose = Record<string, (...args: unknown[]) => Promise<unknown>>;

async function dog() {
  const opened = await openCells({ animal: Animal, dog: Dog });
  const stub = opened.get(Dog, "rex");
  return { ...opened, stub, loose: stub as unknown as Loose };
}

test("verbs are the public methods of the class, inherited ones included", async () => {
  const { stub, get } = await dog();
  expect(await stub.sound()).toBe("none but woof");
  expect(await stub.legs()).toBe(4);
  expect(await stub.later(1, "two")).toEqual([1, "two"]);
  expect(await stub.callPrivate()).toEqual(["secret", "private", "a field"]);
  expect(await get(Animal, "cat").hiddenBelow()).toBe("a verb here");
});

test("what is no verb cannot be called: private names, fields, getters, statics, hooks, members of Cell", async () => {
  const { loose } = await dog();
  const none = ["_private", "#secret", "arrow", "age", "breed", "alarm", "webSocketMessage", "hiddenBelow", "sound2"];
  const members = ["ctx", "name", "sql", "get", "transaction", "vacuum"];
  for (const name of [...none, ...members, "__proto__x", "secret"]) {
    const failure = await failureOf((loose[name] as () => Promise<unknown>)());
    expect(failure.code, name).toBe("UNKNOWN_VERB");
  }
  const failure = await failureOf((loose["bark"] as () => Promise<unknown>)());
  expect(failure.message).toContain("sound, callPrivate, later, legs");
  await expect((loose["legz"] as () => Promise<unknown>)()).rejects.toThrow('no verb "legz"; did you mean legs?');
});

test("a stub can be awaited, returned, logged and compared without calling anything", async () => {
  const { stub, loose, get } = await dog();
  expect(await stub).toBe(stub);
  expect(await (async () => stub)()).toBe(stub);
  expect(JSON.stringify({ stub })).toBe('{"stub":{}}');
  expect(inspect(stub)).toContain("Stub");
  expect(String(stub)).toBe("[object Object]");
  expect(loose["then"]).toBeUndefined();
  expect((stub as unknown as Record<symbol, unknown>)[Symbol.iterator]).toBeUndefined();
  expect(get(Dog, "rex")).not.toBe(stub);
});

test("fetch passes a request on, and is no verb where the class has none", async () => {
  const { stub, get } = await dog();
  const response = await stub.fetch(new Request("http://test/", { method: "PUT" }));
  expect(await response.text()).toBe("PUT rex");
  expect(await codeOf(get(Animal, "cat").fetch(new Request("http://test/")))).toBe("UNKNOWN_VERB");
});

test("a class that is not among the cells of the app has no stubs", async () => {
  const { get } = await dog();
  class Stranger extends Cell {}
  const call = () => get(Stranger, "x");
  expect(call).toThrow(/Stranger is not among the cells of the app/);
  for (const wrong of [undefined, null, {}, "Dog", Cell] as unknown as CellClass[]) {
    expect(() => get(wrong, "x")).toThrow(expect.objectContaining({ code: "UNKNOWN_KIND" }));
  }
});

test("a class that could not work is refused when the app is defined", () => {
  const withMember = (name: string): CellClass => {
    const type = class extends Cell {};
    Object.defineProperty(type.prototype, name, { value: () => {} });
    return type;
  };
  const withStatic = (name: string, value: unknown): CellClass =>
    Object.assign(class extends Cell {}, { [name]: value });
  const wrong: [string, CellClass][] = [
    ...["ctx", "get", "name", "transaction", "then", "toString"].map((name): [string, CellClass] => [
      `${name} is the name of a member of Cell`,
      withMember(name),
    ]),
    ["pageSize", withStatic("pageSize", 1000)],
    ["pageSize", withStatic("pageSize", "4096")],
    ["durability", withStatic("durability", "tape")],
    ["is not a class", Date as unknown as CellClass],
    ["is not a class", "Dog" as unknown as CellClass],
  ];
  for (const [message, type] of wrong) {
    expect(() => frond({ cells: { wrong: type } }), message).toThrow(message);
  }
  expect(() => frond({ cells: { a: Dog, b: Dog } })).toThrow("two kinds");
  expect(() => frond({ cells: { "no kind": Dog } })).toThrow("no kind");
  expect(() => frond({ cells: {}, fecth: () => new Response() } as never)).toThrow("fecth");
  expect(() => frond({ cell: { dog: Dog } } as never)).toThrow('not "cell"');
  expect(() => frond(undefined as never)).toThrow("frond() takes");
});
