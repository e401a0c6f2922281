// A bucket in memory: the contract, and its own clock and copies.

import { describe, expect, test } from "vitest";
import { MemoryStore, openMemoryBucket } from "../../src/bucket/memory.ts";
import { contract } from "./contract.ts";

contract("memory", async () => {
  const store = new MemoryStore();
  return { open: async () => openMemoryBucket(store), remote: undefined };
});

describe("memory", () => {
  test("keeps its own copy of what it is given, and gives copies away", async () => {
    const bucket = openMemoryBucket();
    const bytes = Buffer.from("abc");
    await bucket.create("a", bytes);
    bytes.fill(0);
    const found = await bucket.get("a");
    expect(found?.bytes.toString()).toBe("abc");
    found?.bytes.fill(0);
    expect((await bucket.get("a"))?.bytes.toString()).toBe("abc");
  });

  test("tells the time of its own clock", async () => {
    let now = 5;
    const bucket = openMemoryBucket(new MemoryStore(() => now));
    await bucket.put("a", Buffer.alloc(1));
    now = 7;
    await bucket.put("b", Buffer.alloc(1));
    expect((await bucket.list("")).map(({ modifiedMs }) => modifiedMs)).toEqual([5, 7]);
  });
});
