// What a client knows of an app by its type alone. Checked by tsc: at run time hardly anything happens here.

import * as v from "valibot";
import { expect, expectTypeOf, test } from "vitest";
import { type App, frond } from "../../src/cell/app.ts";
import { Cell } from "../../src/cell/cell.ts";
import type { ArgumentSchema, Exposure } from "../../src/cell/expose.ts";
import { type CallsOf, type Client, connect } from "../../src/client/connect.ts";

interface Item {
  readonly id: number;
  readonly title: string;
}

class Todo extends Cell {
  add(title: string, due?: Date): Item {
    return { id: due?.getTime() ?? 0, title };
  }
  async list(limit = 10): Promise<Item[]> {
    return [{ id: limit, title: "" }];
  }
  secret(): string {
    return "";
  }
}
class Counter extends Cell {
  up(by: bigint): bigint {
    return by;
  }
}

const app = frond({
  cells: { todo: Todo, counter: Counter, other: class Other extends Cell {} },
  expose: {
    todo: {
      add: { args: v.tuple([v.pipe(v.string(), v.trim()), v.optional(v.pipe(v.string(), v.toDate()))]) },
      list: true,
    },
    counter: { up: true },
  },
  authorize(call, origin) {
    expectTypeOf(call.kind).toEqualTypeOf<"todo" | "counter">();
    if (call.kind === "todo") expectTypeOf(call.verb).toEqualTypeOf<"add" | "list">();
    expectTypeOf(call.args).toEqualTypeOf<readonly unknown[]>();
    expectTypeOf(origin.remoteAddress).toEqualTypeOf<string>();
    return call.name !== "";
  },
});

const client = connect<typeof app>("http://localhost:1");
const todo = client.get("todo", "alice");

test("a client has the exposed kinds and verbs, with the types of the class", () => {
  expectTypeOf<keyof CallsOf<typeof app>>().toEqualTypeOf<"todo" | "counter">();
  expectTypeOf(todo.list).toEqualTypeOf<(limit?: number) => Promise<Item[]>>();
  expectTypeOf(client.get("counter", "x").up).toEqualTypeOf<(by: bigint) => Promise<bigint>>();
  expect(todo).toBeTypeOf("object");
});

test("arguments are the schema's input, where there is one", () => {
  expectTypeOf(todo.add).parameters.toEqualTypeOf<[string, (string | undefined)?]>();
  expectTypeOf(todo.add).returns.toEqualTypeOf<Promise<Item>>();
});

test("what is not exposed is no member", () => {
  expectTypeOf(client.get).parameter(0).toEqualTypeOf<"todo" | "counter">();
  expectTypeOf(todo).not.toHaveProperty("secret");
  expectTypeOf(todo).not.toHaveProperty("fetch");
  expectTypeOf(todo).not.toHaveProperty("get");
});

test("a misspelt kind or verb, and a schema of other arguments, do not compile", () => {
  const known = { todo: Todo };
  type Known = typeof known;
  interface Misspelt {
    todo: { add: true; ad: true };
    tood: { add: true };
  }
  type Taken = NonNullable<Parameters<typeof frond<Known, Misspelt>>[0]["expose"]>;
  expectTypeOf<Taken["todo"]["add"]>().toEqualTypeOf<true>();
  expectTypeOf<Taken["todo"]["ad"]>().toBeNever();
  expectTypeOf<Taken["tood"]>().toBeNever();
  type Add = ArgumentSchema<Parameters<Todo["add"]>>;
  expectTypeOf(title).toExtend<Add>();
  expectTypeOf(count).not.toExtend<Add>();
  expectTypeOf<{ todo: { add: { args: typeof title } } }>().toExtend<Exposure<Known>>();
  expectTypeOf<{ todo: { add: { args: typeof count } } }>().not.toExtend<Exposure<Known>>();
});

const title = v.tuple([v.string()]);
const count = v.tuple([v.number()]);

test("an app that exposes nothing gives its clients nothing, and stays an App", () => {
  const closed = frond({ cells: { todo: Todo } });
  expectTypeOf<keyof CallsOf<typeof closed>>().toEqualTypeOf<never>();
  const some: readonly App[] = [closed, app];
  expect(some).toHaveLength(2);
  expectTypeOf(connect<typeof closed>).returns.toEqualTypeOf<Client<typeof closed>>();
});
