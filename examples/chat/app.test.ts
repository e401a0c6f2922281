// The chat: two people at real sockets hear each other, also after the room was closed in between, and after a crash.

import { testNode } from "frond/testing";
import { expect, test } from "vitest";
import app, { Room } from "./app.ts";

/** A person at a socket: what it has heard. */
async function join(url: string, name: string) {
  const socket = new WebSocket(`${url.replace("http", "ws")}/room/lobby?name=${name}`);
  const heard: string[] = [];
  socket.addEventListener("message", ({ data }) => {
    const { sender, text } = JSON.parse(String(data)) as { sender: string; text: string };
    heard.push(`${sender}: ${text}`);
  });
  await new Promise((resolve, reject) => {
    socket.addEventListener("open", resolve);
    socket.addEventListener("error", reject);
  });
  return { heard, say: (text: string) => socket.send(text), leave: () => socket.close() };
}

test("the chat example tells everybody in the room, also when the room was closed in between", async () => {
  await using node = await testNode(app);
  const url = await node.listen();
  const ada = await join(url, "ada");
  const bob = await join(url, "bob");
  ada.say("hello");
  await expect.poll(() => bob.heard).toEqual(["ada: hello"]);
  expect(await node.deactivate(Room, "lobby")).toBe(true);
  bob.say("good day");
  await expect.poll(() => ada.heard).toEqual(["ada: hello", "bob: good day"]);
  bob.say(" ");
  ada.leave();
  bob.leave();
});

test("who comes later, or after a crash, is told what was said", async () => {
  await using node = await testNode(app);
  const ada = await join(await node.listen(), "ada");
  ada.say("is anybody there?");
  await expect.poll(() => ada.heard.length).toBe(1);
  await node.crash();
  const bob = await join(await node.listen(), "bob");
  await expect.poll(() => bob.heard).toEqual(["ada: is anybody there?"]);
  bob.leave();
});

test("the chat example gives its page everywhere else", async () => {
  await using node = await testNode(app);
  const page = await node.fetch("/");
  expect([page.status, page.headers.get("content-type")]).toEqual([200, "text/html; charset=utf-8"]);
  expect(await page.text()).toContain("The lobby");
});
