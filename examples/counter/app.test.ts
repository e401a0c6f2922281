// The counter: counted, lost nothing in a crash, and each path for itself.

import { testNode } from "frond/testing";
import { expect, test } from "vitest";
import app, { Counter } from "./app.ts";

test("the counter example counts, each path for itself, over a crash", async () => {
  await using node = await testNode(app);
  const n = async (path: string, method: string) => (await node.fetch(path, { method })).json();
  expect(await n("/visits", "GET")).toEqual({ n: 0 });
  await Promise.all(Array.from({ length: 10 }, () => n("/visits", "POST")));
  expect(await n("/visits", "POST")).toEqual({ n: 11 });
  await node.crash();
  expect(await n("/visits", "GET")).toEqual({ n: 11 });
  expect(await n("/other", "POST")).toEqual({ n: 1 });
  expect(await node.get(Counter, "/visits").add(5)).toBe(16);
});
