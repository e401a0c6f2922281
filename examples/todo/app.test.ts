// The to-do list: kept over a crash, tidied up after a day, and shown live.

import { testNode } from "frond/testing";
import { expect, test } from "vitest";
import app, { TodoList } from "./app.ts";

test("what is done is removed a day later, also after a crash", async () => {
  await using node = await testNode(app, { clock: true });
  const list = node.get(TodoList, "ada");
  await list.add("write a tutorial");
  await list.finish(await list.add("read the design"));
  await node.crash();
  expect((await list.items()).map(({ text, done }) => [text, done])).toEqual([
    ["write a tutorial", 0],
    ["read the design", 1],
  ]);
  await node.advance(24 * 60 * 60 * 1000);
  expect((await list.items()).map(({ text }) => text)).toEqual(["write a tutorial"]);
});

test("every open page is told, and only by its own list", async () => {
  await using node = await testNode(app);
  const url = await node.listen();
  const socket = new WebSocket(`${url.replace("http", "ws")}/ada/live`);
  const shown: { text: string }[][] = [];
  socket.addEventListener("message", ({ data }) => shown.push(JSON.parse(String(data)) as { text: string }[]));
  await new Promise((resolve) => socket.addEventListener("open", resolve));
  await fetch(`${url}/bob/add`, { method: "POST", body: "not for ada" });
  await fetch(`${url}/ada/add`, { method: "POST", body: "milk" });
  await expect.poll(() => shown.map((items) => items.map(({ text }) => text))).toEqual([["milk"]]);
  socket.close();
});
