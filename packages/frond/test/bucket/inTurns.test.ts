// A bucket whose calls block their thread leaves the thread to others between any two of them.

import { expect, test } from "vitest";
import { inTurns } from "../../src/bucket/inTurns.ts";
import { openMemoryBucket } from "../../src/bucket/memory.ts";

test("however many calls are under way, one of them is made in a turn of the event loop", async () => {
  const memory = openMemoryBucket();
  let made = 0;
  const get = memory.get.bind(memory);
  memory.get = (...call) => {
    made += 1;
    return get(...call);
  };
  const bucket = inTurns(memory);
  const inTurn: number[] = [];
  let over = false;
  const count = (): void => {
    inTurn.push(made);
    made = 0;
    if (!over) setImmediate(count);
  };
  setImmediate(count);
  const row = async (): Promise<void> => {
    for (let i = 0; i < 5; i++) await bucket.get("a");
  };
  await Promise.all(Array.from({ length: 16 }, row));
  over = true;
  expect(Math.max(...inTurn)).toBe(1);
  expect(inTurn.reduce((sum, calls) => sum + calls, made)).toBe(80);
});

test("calls are made in the order in which they were asked for", async () => {
  const memory = openMemoryBucket();
  const keys: string[] = [];
  memory.get = async (key) => void keys.push(key) as undefined;
  const bucket = inTurns(memory);
  await Promise.all(["a", "b", "c"].map((key) => bucket.get(key)));
  expect(keys).toEqual(["a", "b", "c"]);
});
