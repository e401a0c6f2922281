// The contract of a bucket: what every store must do, whatever stands behind it.
//
// Rule: `contract(...)` is called once per store, so none has tests that another lacks. Where it matters that callers do not
// share a process, other processes take part (hands.ts), if the store can be reached from them.

import { randomBytes } from "node:crypto";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import type { Bucket } from "../../src/bucket/bucket.ts";
import type { BucketOptions } from "../../src/bucket/open.ts";
import { createUntilKnown } from "../../src/bucket/createUntilKnown.ts";
import { isFrondError } from "../../src/errors.ts";
import { MAX_BUCKET_KEY_BYTES } from "../../src/limits.ts";
import { churn, idBytes, sleep, startHands, versionOf, type Hands } from "./hands.ts";

/** A store to try. */
export interface Store {
  /** Another client of the same place, which was empty before the first. */
  open(): Promise<Bucket>;
  /** How other processes reach the place; undefined: they cannot. */
  readonly remote: { readonly url: string; readonly options: BucketOptions } | undefined;
}

/** A source that gives its chunks one after the other, and then, unless `ends`, nothing more for ever. */
async function* chunks(bytes: Buffer, size: number, ends = true): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
  if (!ends) await new Promise<never>(() => undefined);
}

async function inParallel<T>(items: readonly T[], many: number, work: (item: T) => Promise<unknown>): Promise<void> {
  const queue = items.values();
  await Promise.all(
    Array.from({ length: many }, async () => {
      for (const item of queue) await work(item);
    }),
  );
}

/** Declares the tests of the contract for one store. `place` is called once, before them. */
export function contract(name: string, place: () => Promise<Store>): void {
  describe(`${name}, as every bucket`, () => {
    let store: Store;
    let bucket: Bucket;
    let hands: Hands[] = [];

    beforeAll(async () => {
      store = await place();
      bucket = await store.open();
      if (store.remote !== undefined) {
        const { url, options } = store.remote;
        hands = await Promise.all(Array.from({ length: 5 }, () => startHands(url, options)));
      }
    }, 120_000);
    afterAll(async () => {
      for (const hand of hands) hand.end();
      await bucket?.close();
    });

    test("creates once, and says that it exists from then on", async () => {
      expect(await bucket.get("once/a")).toBe(undefined);
      expect(await bucket.create("once/a", Buffer.from("first"))).toBe("created");
      expect(await bucket.create("once/a", Buffer.from("second"))).toBe("exists");
      expect(await bucket.get("once/a")).toEqual({ bytes: Buffer.from("first"), size: 5 });
      const other = await store.open();
      expect(await other.create("once/a", Buffer.from("third"))).toBe("exists");
      expect((await other.get("once/a"))?.bytes.toString()).toBe("first");
      await other.close();
    });

    test("has one winner among 50 claimants of one key, in every round", async () => {
      const rounds = 15;
      for (let round = 0; round < rounds; round++) {
        const key = `claims/${String(round).padStart(4, "0")}`;
        const claimed = await claim(key, round);
        expect(claimed.length).toBe(50);
        const winners = claimed.filter(({ won }) => won);
        expect(winners.length, `${key}: ${winners.length} winners`).toBe(1);
        expect((await bucket.get(key))?.bytes).toEqual(idBytes(winners[0]?.id ?? ""));
      }
    }, 120_000);

    async function claim(key: string, round: number): Promise<{ id: string; won: boolean }[]> {
      if (hands.length > 0) return (await Promise.all(hands.map((hand) => hand.claim(key, 10)))).flat();
      const ids = Array.from({ length: 50 }, (_, index) => `${round}-${index}`);
      const known = ids.map((id) => createUntilKnown(bucket, key, idBytes(id), { sleep }));
      return (await Promise.all(known)).map(({ outcome }, index) => ({
        id: ids[index] as string,
        won: outcome === "created",
      }));
    }

    test("gives parts of an object", async () => {
      const bytes = randomBytes(1000);
      await bucket.put("ranges/a", bytes);
      const part = async (from: number, many: number): Promise<unknown> => {
        return (await bucket.get("ranges/a", { from, bytes: many }))?.bytes;
      };
      expect(await part(0, 10)).toEqual(bytes.subarray(0, 10));
      expect(await part(990, 10)).toEqual(bytes.subarray(990));
      expect(await part(999, 1)).toEqual(bytes.subarray(999));
      expect(await bucket.get("ranges/a", { from: 990, bytes: 100 })).toEqual({
        bytes: bytes.subarray(990),
        size: 1000,
      });
      expect(await bucket.get("ranges/a", { from: 1000, bytes: 1 })).toEqual({ bytes: Buffer.alloc(0), size: 1000 });
      expect(await bucket.get("ranges/a", { from: 5000, bytes: 7 })).toEqual({ bytes: Buffer.alloc(0), size: 1000 });
      expect(await bucket.get("ranges/a", { last: 32 })).toEqual({ bytes: bytes.subarray(968), size: 1000 });
      expect(await bucket.get("ranges/a", { last: 5000 })).toEqual({ bytes, size: 1000 });
      expect(await bucket.get("ranges/none", { last: 32 })).toBe(undefined);
      expect(await bucket.get("ranges/none", { from: 3, bytes: 2 })).toBe(undefined);
    });

    test("keeps an empty object, whole and in parts", async () => {
      expect(await bucket.create("empty/a", Buffer.alloc(0))).toBe("created");
      expect(await bucket.create("empty/a", Buffer.alloc(0))).toBe("exists");
      const empty = { bytes: Buffer.alloc(0), size: 0 };
      expect(await bucket.get("empty/a")).toEqual(empty);
      expect(await bucket.get("empty/a", { from: 0, bytes: 256 })).toEqual(empty);
      expect(await bucket.get("empty/a", { last: 32 })).toEqual(empty);
      await bucket.put("empty/b", chunks(Buffer.alloc(0), 1));
      expect(await bucket.get("empty/b")).toEqual(empty);
      expect((await bucket.list("empty/")).map(({ key, size }) => [key, size])).toEqual([
        ["empty/a", 0],
        ["empty/b", 0],
      ]);
    });

    test("lists in the order of bytes, behind a key, up to a limit", async () => {
      const names = [
        "list/a",
        "list/a-b",
        "list/a/b",
        "list/a/c/d",
        "list/a0",
        "list/b",
        "list/\u{1f600}",
        "list/\ue000",
      ];
      // No key is the folder of another.
      const keys = names.filter((key) => key !== "list/a");
      const before = Date.now();
      for (const key of keys) await bucket.put(key, Buffer.from(key));
      const inOrder = keys.toSorted((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
      const keysOf = async (...args: Parameters<Bucket["list"]>): Promise<string[]> => {
        return (await bucket.list(...args)).map(({ key }) => key);
      };
      expect(await keysOf("list/")).toEqual(inOrder);
      expect(inOrder.slice(0, 4)).toEqual(["list/a-b", "list/a/b", "list/a/c/d", "list/a0"]);
      expect(await keysOf("list/a")).toEqual(inOrder.slice(0, 4));
      expect(await keysOf("list/a/")).toEqual(["list/a/b", "list/a/c/d"]);
      expect(await keysOf("list/a/c/d")).toEqual(["list/a/c/d"]);
      for (const [index, key] of inOrder.entries()) {
        expect(await keysOf("list/", key)).toEqual(inOrder.slice(index + 1));
        expect(await keysOf("list/", key, 2)).toEqual(inOrder.slice(index + 1, index + 3));
      }
      expect(await keysOf("list/", "list/a/c")).toEqual(inOrder.slice(2));
      expect(await keysOf("list/", "list/a/c/e")).toEqual(inOrder.slice(3));
      expect(await keysOf("list/", "a")).toEqual(inOrder);
      expect(await keysOf("list/", "m")).toEqual([]);
      expect(await keysOf("none/")).toEqual([]);
      const [first] = await bucket.list("list/");
      expect(first?.size).toBe(8);
      expect(Math.abs((first?.modifiedMs ?? 0) - before)).toBeLessThan(600_000);
    });

    test("lists and deletes more than a thousand objects", async () => {
      const keys = Array.from({ length: 1_234 }, (_, index) => `many/${String(index).padStart(10, "0")}`);
      await inParallel(keys, 16, (key) => bucket.create(key, Buffer.from(key)));
      const listed = async (after?: string, limit?: number): Promise<string[]> => {
        return (await bucket.list("many/", after, limit)).map(({ key }) => key);
      };
      expect(await listed()).toEqual(keys.slice(0, 1_000));
      expect(await listed(undefined, 5_000)).toEqual(keys);
      expect(await listed(undefined, 1_001)).toEqual(keys.slice(0, 1_001));
      expect(await listed(keys[100], 1_100)).toEqual(keys.slice(101, 1_201));
      expect(await listed(keys[1_000])).toEqual(keys.slice(1_001));
      await bucket.delete(keys.slice(0, 1_200));
      expect(await listed()).toEqual(keys.slice(1_200));
      await bucket.delete(keys.slice(1_150));
      expect(await listed()).toEqual([]);
    }, 120_000);

    test("replaces an object in one step, seen by readers meanwhile", async () => {
      const versions = 60;
      const over = new AbortController();
      const writing = (async () => {
        if (hands.length > 0) await hands[0]?.overwrite("replaced/a", versions);
        else for (let version = 1; version <= versions; version++) await bucket.put("replaced/a", versionOf(version));
      })().finally(() => over.abort());
      let seen = 0;
      await Promise.all(
        Array.from({ length: 4 }, async () => {
          let newest = 0;
          while (!over.signal.aborted) {
            const found = await bucket.get("replaced/a");
            await new Promise(setImmediate);
            if (found === undefined) continue;
            const version = found.bytes[0] ?? 0;
            expect(found.bytes.equals(versionOf(version)), `version ${version} is whole`).toBe(true);
            expect(version).toBeGreaterThanOrEqual(newest);
            newest = version;
            seen++;
          }
        }),
      );
      await writing;
      expect(seen).toBeGreaterThan(0);
      expect((await bucket.get("replaced/a"))?.bytes.equals(versionOf(versions))).toBe(true);
    }, 120_000);

    test("deletes, again and again, and what was never there", async () => {
      await bucket.put("gone/a/b/c", Buffer.from("c"));
      await bucket.put("gone/a/d", Buffer.from("d"));
      await bucket.delete(["gone/a/b/c", "gone/none", "gone/a/none/none"]);
      await bucket.delete(["gone/a/b/c"]);
      await bucket.delete([]);
      expect(await bucket.get("gone/a/b/c")).toBe(undefined);
      expect((await bucket.list("gone/")).map(({ key }) => key)).toEqual(["gone/a/d"]);
      expect(await bucket.create("gone/a/b/c", Buffer.from("anew"))).toBe("created");
      await bucket.delete(["gone/a/b/c", "gone/a/d"]);
      expect(await bucket.list("gone/")).toEqual([]);
    });

    test("creates and deletions of neighbours do not disturb each other", async () => {
      const all = hands.length > 0 ? hands : [1, 2, 3].map(() => ({ churn: churn.bind(undefined, bucket) }));
      await Promise.all(all.map((hand) => hand.churn("churn/a/b", 40)));
      expect(await bucket.list("churn/")).toEqual([]);
    }, 120_000);

    test.each([
      "odd/mailbox%2falice~0123456789abcdef",
      "odd/Upper/UPPER",
      "odd/upper/UPPER",
      "odd/a b+c&d=e?f#g",
      "odd/.hidden/..dots../...",
      "odd/'quotes\"<xml>&amp;\\",
      "odd/%41=41%",
      "odd/žluťoučký/日本/\u{1f600}/e\u0301",
      "odd/@checkpoint/0000000001-0000000002",
      `odd/${`${"k".repeat(150)}/`.repeat(4)}k`,
    ])("keeps the key %j as it is", async (key) => {
      expect(await bucket.create(key, Buffer.from(key))).toBe("created");
      expect(await bucket.create(key, Buffer.from(key))).toBe("exists");
      expect((await bucket.get(key))?.bytes.toString()).toBe(key);
      await bucket.put(key, Buffer.from("other"));
      expect((await bucket.list("odd/")).map((listed) => listed.key)).toEqual([key]);
      expect((await bucket.list(key)).map((listed) => listed.key)).toEqual([key]);
      await bucket.delete([key]);
      expect(await bucket.get(key)).toBe(undefined);
    });

    test.each([
      "",
      "/a",
      "a/",
      "a//b",
      "a/../b",
      "./a",
      "a/.",
      "a\0b",
      "a\nb",
      "\ud800",
      "k".repeat(MAX_BUCKET_KEY_BYTES + 1),
    ])("refuses the key %j", async (key) => {
      const refused = expect.objectContaining({ code: "BAD_OPTION" });
      await expect(bucket.create(key, Buffer.alloc(1))).rejects.toEqual(refused);
      await expect(bucket.put(key, Buffer.alloc(1))).rejects.toEqual(refused);
      await expect(bucket.get(key)).rejects.toEqual(refused);
      await expect(bucket.delete([key])).rejects.toEqual(refused);
    });

    test("streams 20 MB up, and gives them back", async () => {
      const bytes = randomBytes(20_000_000);
      await bucket.put("large/a", chunks(bytes, 300_007), { deadlineMs: 60_000 });
      const found = await bucket.get("large/a", undefined, { deadlineMs: 60_000 });
      expect(found?.size).toBe(bytes.length);
      expect(found?.bytes.equals(bytes)).toBe(true);
      const middle = await bucket.get("large/a", { from: 10_000_001, bytes: 1_000_000 });
      expect(middle?.bytes.equals(bytes.subarray(10_000_001, 11_000_001))).toBe(true);
      await bucket.put("large/a", chunks(Buffer.from("small"), 2));
      expect((await bucket.get("large/a"))?.bytes.toString()).toBe("small");
      await bucket.put("large/b", bytes, { deadlineMs: 60_000 });
      expect((await bucket.get("large/b", { last: 5 }))?.bytes).toEqual(bytes.subarray(-5));
      await bucket.delete(["large/a", "large/b"]);
    }, 120_000);

    test("a source that fails, hangs or is aborted leaves what was there", async () => {
      await bucket.put("kept/a", Buffer.from("before"));
      async function* failing(): AsyncGenerator<Uint8Array> {
        yield randomBytes(9_000_000);
        throw new RangeError("the source failed");
      }
      await expect(bucket.put("kept/a", failing())).rejects.toThrow("the source failed");
      const hanging = (): AsyncGenerator<Uint8Array> => chunks(randomBytes(9_000_000), 1_000_000, false);
      await expect(bucket.put("kept/a", hanging(), { deadlineMs: 300 })).rejects.toSatisfy((error) => {
        return isFrondError(error, "BUCKET_FAILED") && error.retryable && error.message.includes("kept/a");
      });
      const stop = new AbortController();
      const put = bucket.put("kept/a", hanging(), { signal: stop.signal });
      setTimeout(() => stop.abort(new RangeError("not wanted any more")), 100);
      await expect(put).rejects.toThrow("not wanted any more");
      let ended = false;
      async function* endless(): AsyncGenerator<Uint8Array> {
        try {
          for (;;) {
            yield Buffer.from("more");
            await sleep(5);
          }
        } finally {
          ended = true;
        }
      }
      await expect(bucket.put("kept/a", endless(), { deadlineMs: 100 })).rejects.toThrow("within 100 ms");
      await vi.waitFor(() => expect(ended, "the source is told that nobody reads it any more").toBe(true));
      expect((await bucket.get("kept/a"))?.bytes.toString()).toBe("before");
      expect((await bucket.list("kept/")).length).toBe(1);
    });

    test("an aborted signal ends every call with its reason", async () => {
      const call = { signal: AbortSignal.abort(new RangeError("enough")) };
      await expect(bucket.create("aborted/a", Buffer.alloc(1), call)).rejects.toThrow("enough");
      await expect(bucket.put("aborted/a", Buffer.alloc(1), call)).rejects.toThrow("enough");
      await expect(bucket.get("aborted/a", undefined, call)).rejects.toThrow("enough");
      await expect(bucket.list("aborted/", "", 10, call)).rejects.toThrow("enough");
      await expect(bucket.delete(["aborted/a"], call)).rejects.toThrow("enough");
      expect(await bucket.get("aborted/a")).toBe(undefined);
    });

    test("a closed bucket refuses every call", async () => {
      const other = await store.open();
      await other.put("closed/a", Buffer.from("a"));
      await other.close();
      await other.close();
      const refused = expect.objectContaining({ code: "BUCKET_FAILED" });
      await expect(other.get("closed/a")).rejects.toEqual(refused);
      await expect(other.put("closed/a", Buffer.alloc(1))).rejects.toEqual(refused);
      await expect(other.create("closed/b", Buffer.alloc(1))).rejects.toEqual(refused);
    });
  });
}
