// Calls from outside on a running `frond start`: the client, both ways, through the whole process.

import { expect, onTestFinished, test } from "vitest";
import type { App } from "../../src/cell/app.ts";
import { connect, FrondClientError } from "../../src/client/connect.ts";
import { COUNTER_APP, Folder, Running } from "./command.ts";

const EXPOSED = COUNTER_APP.replace(
  "cells: { counter: Counter },",
  `cells: { counter: Counter },
  expose: { counter: { add: true, bytes: true, fail: true } },
  authorize: ({ name }) => name !== "private",`,
);

type Exposed = App<{
  counter: {
    add(n: number): Promise<number>;
    bytes(b: Uint8Array): Promise<Uint8Array>;
    fail(): Promise<never>;
  };
}>;

test.each([
  ["start", false, "the log of the server has the reason"],
  ["start", true, "the log of the server has the reason"],
  ["dev", false, "TypeError: not like this"],
])("frond %s answers calls of exposed verbs (socket: %s)", async (command, socket, told) => {
  const folder = new Folder(EXPOSED);
  onTestFinished(() => folder.remove());
  const running = new Running(folder, [command, "app.ts", "--listen", "0"]);
  onTestFinished(() => running.stop("SIGKILL").then(() => {}));
  const client = connect<Exposed>(await running.ready(), { socket });
  onTestFinished(() => client.close());
  const counter = client.get("counter", "a");
  expect(await counter.add(2)).toBe(2);
  expect(await counter.add(3)).toBe(5);
  expect(await counter.bytes(new Uint8Array([1, 2]))).toEqual(new Uint8Array([2, 1]));
  const failed = await counter.fail().catch((error: unknown) => error);
  expect(failed).toBeInstanceOf(FrondClientError);
  expect(failed).toMatchObject({ code: "FAILED", message: expect.stringContaining(told) });
  await expect(client.get("counter", "private").add(1)).rejects.toMatchObject({ code: "REFUSED" });
  expect(await running.stop()).toBe(0);
});
