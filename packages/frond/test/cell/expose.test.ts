// The definition of what programs outside may call: what is refused before the first request.

import * as v from "valibot";
import { describe, expect, test } from "vitest";
import { frond } from "../../src/cell/app.ts";
import { Cell } from "../../src/cell/cell.ts";

class Todo extends Cell {
  add(title: string): string {
    return title;
  }
  override fetch(): Response {
    return new Response("");
  }
  override alarm(): void {}
  _own(): void {}
}

const cells = { todo: Todo };
const authorize = (): boolean => true;
const define = (options: object) => () => frond({ cells, ...options } as never);

describe("what can be known wrong about expose is an error when the app is defined", () => {
  test.each<[string, object, string]>([
    ["no authorize", { expose: { todo: { add: true } } }, "expose needs authorize"],
    ["authorize that is no function", { expose: {}, authorize: true }, "expose needs authorize"],
    ["authorize alone", { authorize }, "authorize stands without expose"],
    ["origins alone", { origins: [] }, "origins stands without expose"],
    [
      "a kind that is none",
      { expose: { tood: { add: true } }, authorize },
      "expose.tood is none of the cells; did you mean todo?",
    ],
    ["a kind like nothing", { expose: { mailbox: { add: true } }, authorize }, "; there are: todo"],
    [
      "a verb that is none",
      { expose: { todo: { addd: true } }, authorize },
      "expose.todo.addd is no verb of Todo; did you mean add?",
    ],
    ["fetch", { expose: { todo: { fetch: true } }, authorize }, "expose.todo.fetch is no verb of Todo"],
    ["a hook", { expose: { todo: { alarm: true } }, authorize }, "expose.todo.alarm is no verb"],
    ["a private name", { expose: { todo: { _own: true } }, authorize }, "expose.todo._own is no verb"],
    ["a member of Cell", { expose: { todo: { transaction: true } }, authorize }, "is no verb"],
    ["what every object has", { expose: { todo: { toString: true } }, authorize }, "is no verb"],
    ["false", { expose: { todo: { add: false } }, authorize }, "expose.todo.add is true or { args: schema }"],
    [
      "another key",
      { expose: { todo: { add: { schema: v.tuple([v.string()]) } } }, authorize },
      "is true or { args: schema }",
    ],
    [
      "args that is no schema",
      { expose: { todo: { add: { args: { parse() {} } } } }, authorize },
      "is no Standard Schema",
    ],
    ["a list of verbs", { expose: { todo: ["add"] }, authorize }, "expose.todo is no object"],
    ["an origin with a path", { expose: {}, authorize, origins: ["https://a.example/"] }, "origins: "],
    [
      "an origin with a port that is left out",
      { expose: {}, authorize, origins: ["https://a.example:443"] },
      "origins: ",
    ],
    ["every origin", { expose: {}, authorize, origins: ["*"] }, "origins: "],
    ["the origin of nowhere", { expose: {}, authorize, origins: ["null"] }, "origins: "],
  ])("%s", (_what, options, message) => {
    expect(define(options)).toThrow(message);
    expect(define(options)).toThrow(expect.objectContaining({ code: "BAD_OPTION" }));
  });

  test("what is right is taken, and an option that is undefined is not there", () => {
    const origins = ["https://a.example", "http://localhost:5173", "capacitor://localhost"];
    const expose = { todo: { add: { args: v.tuple([v.string()]) } } };
    expect(define({ expose, authorize, origins })).not.toThrow();
    expect(define({ expose: undefined, authorize: undefined })).not.toThrow();
    expect(frond({ cells }).exposure).toBe(undefined);
  });
});
