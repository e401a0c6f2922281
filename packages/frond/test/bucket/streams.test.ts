// Streams into a bucket: what has passed is not held on to, however long the stream is; and an abort ends the waiting.

import { setImmediate as nextTurn } from "node:timers/promises";
import v8 from "node:v8";
import vm from "node:vm";
import { expect, test } from "vitest";
import { untilAborted } from "../../src/bucket/limited.ts";

v8.setFlagsFromString("--expose-gc");
const collect = vm.runInNewContext("gc") as () => void;

test("chunks that have passed can be collected while the stream goes on", async () => {
  const passed: WeakRef<object>[] = [];
  async function* source(): AsyncGenerator<object> {
    for (let i = 0; i < 100; i++) {
      const chunk = { bytes: new Uint8Array(1000) };
      passed.push(new WeakRef(chunk));
      yield chunk;
      await nextTurn();
    }
    collect();
    await nextTurn();
    collect();
    expect(passed.filter((chunk) => chunk.deref() !== undefined).length).toBeLessThan(10);
  }
  let count = 0;
  for await (const _ of untilAborted(source(), new AbortController().signal)) count += 1;
  expect(count).toBe(100);
});

test("an abort is heard while a chunk is waited for, and before the next one", async () => {
  const controller = new AbortController();
  async function* hangs(): AsyncGenerator<number> {
    yield 1;
    await new Promise(() => {});
  }
  const items = untilAborted(hangs(), controller.signal);
  expect(await items.next()).toEqual({ done: false, value: 1 });
  const waiting = items.next();
  controller.abort(new Error("enough"));
  await expect(waiting).rejects.toThrow("enough");
  const more = untilAborted(hangs(), controller.signal);
  await expect(more.next()).rejects.toThrow("enough");
});
