// A bucket with faults: without any it is as every bucket; each fault does what it says and no more.

import { describe, expect, test } from "vitest";
import { countedBucket } from "../../src/bucket/counted.ts";
import { faultyBucket, type Fault, type FaultyBucket } from "../../src/bucket/faulty.ts";
import { MemoryStore, openMemoryBucket } from "../../src/bucket/memory.ts";
import { FakeClock } from "../../src/clock.ts";
import { BUCKET_DEADLINE_MS } from "../../src/limits.ts";
import { contract } from "./contract.ts";

contract("a faulty bucket without faults", async () => {
  const store = new MemoryStore();
  return { open: async () => faultyBucket(openMemoryBucket(store)), remote: undefined };
});

contract("a counted bucket", async () => {
  const store = new MemoryStore();
  return { open: async () => countedBucket(openMemoryBucket(store)), remote: undefined };
});

const failed = expect.objectContaining({ code: "BUCKET_FAILED", retryable: true });

/** A bucket in which every call meets `fault`, and the one without faults behind it. */
function always(fault: Fault): { bucket: FaultyBucket; inner: ReturnType<typeof openMemoryBucket> } {
  const inner = openMemoryBucket();
  const bucket = faultyBucket(inner);
  bucket.fail(() => fault);
  return { bucket, inner };
}

describe("faults", () => {
  test("a lost reply: the effect is there, nobody hears of it", async () => {
    const { bucket, inner } = always("lost");
    expect(await bucket.create("a", Buffer.from("a"))).toBe("unknown");
    await expect(bucket.put("b", Buffer.from("b"))).rejects.toEqual(failed);
    await expect(bucket.get("a")).rejects.toEqual(failed);
    expect((await inner.list("")).map(({ key }) => key)).toEqual(["a", "b"]);
    await expect(bucket.delete(["a"])).rejects.toEqual(failed);
    expect(await inner.get("a")).toBe(undefined);
    expect(bucket.faults.lost).toBe(4);
  });

  test("a late arrival: first the failure, then the effect, over whatever stands there", async () => {
    const { bucket, inner } = always("late");
    const bytes = Buffer.from("late");
    expect(await bucket.create("a", bytes)).toBe("unknown");
    bytes.fill(0);
    await expect(bucket.put("b", Buffer.from("late"))).rejects.toEqual(failed);
    await inner.put("b", Buffer.from("newer"));
    expect(await inner.get("a")).toBe(undefined);
    expect(bucket.pending).toBe(2);
    await bucket.settle();
    expect(bucket.pending).toBe(0);
    expect((await inner.get("a"))?.bytes.toString()).toBe("late");
    expect((await inner.get("b"))?.bytes.toString()).toBe("late");
  });

  test("a late arrival comes by itself, unless the bucket is closed first", async () => {
    const inner = openMemoryBucket();
    const clock = new FakeClock();
    const bucket = faultyBucket(inner, { clock });
    bucket.plan = { late: 1, lateMs: [100, 200] };
    expect(await bucket.create("a", Buffer.from("a"))).toBe("unknown");
    clock.advance(99);
    expect(await inner.get("a")).toBe(undefined);
    clock.advance(101);
    await new Promise(setImmediate);
    expect((await inner.get("a"))?.size).toBe(1);

    const store = new MemoryStore();
    const closed = faultyBucket(openMemoryBucket(store), { clock });
    closed.plan = { late: 1 };
    await closed.create("a", Buffer.from("a"));
    await closed.close();
    clock.advance(1_000);
    expect(store.objects.size).toBe(0);
  });

  test("a busy store does nothing, and does not say so of a create", async () => {
    const { bucket, inner } = always("busy");
    expect(await bucket.create("a", Buffer.from("a"))).toBe("unknown");
    await expect(bucket.list("")).rejects.toEqual(failed);
    expect(await inner.list("")).toEqual([]);
  });

  test("a denied call has no effect", async () => {
    const { bucket, inner } = always("denied");
    const denied = expect.objectContaining({ code: "BUCKET_DENIED", retryable: false });
    await expect(bucket.create("a", Buffer.from("a"))).rejects.toEqual(denied);
    await expect(bucket.get("a")).rejects.toEqual(denied);
    expect(await inner.list("")).toEqual([]);
  });

  test("a silent store: the call ends with its deadline or its signal", async () => {
    const { bucket } = always("silent");
    expect(await bucket.create("a", Buffer.from("a"), { deadlineMs: 20 })).toBe("unknown");
    await expect(bucket.get("a", undefined, { deadlineMs: 20 })).rejects.toEqual(failed);
    const call = { signal: AbortSignal.timeout(20) };
    await expect(bucket.create("a", Buffer.from("a"), call)).rejects.toThrow(
      expect.objectContaining({ name: "TimeoutError" }),
    );
  });

  test("a call that states no deadline has one", async () => {
    const clock = new FakeClock();
    const bucket = faultyBucket(openMemoryBucket(), { clock });
    bucket.away = "silent";
    let ended = false;
    const create = bucket.create("a", Buffer.from("a")).finally(() => (ended = true));
    clock.advance(BUCKET_DEADLINE_MS - 1);
    await new Promise(setImmediate);
    expect(ended).toBe(false);
    clock.advance(1);
    expect(await create).toBe("unknown");
  });

  test("an absent store refuses or is silent, until it is back", async () => {
    const bucket = faultyBucket(openMemoryBucket());
    bucket.away = true;
    await expect(bucket.create("a", Buffer.from("a"))).rejects.toEqual(failed);
    await expect(bucket.get("a")).rejects.toEqual(failed);
    bucket.away = "silent";
    expect(await bucket.create("a", Buffer.from("a"), { deadlineMs: 20 })).toBe("unknown");
    bucket.away = false;
    expect(await bucket.create("a", Buffer.from("a"))).toBe("created");
    expect(bucket.faults.away).toBe(3);
  });

  test("a hook chooses the call, and can be taken back", async () => {
    const bucket = faultyBucket(openMemoryBucket());
    const seen: string[] = [];
    const back = bucket.fail(({ operation, key, number }) => {
      seen.push(`${number} ${operation} ${key}`);
      return operation === "get" && key === "b" ? "busy" : undefined;
    });
    await bucket.put("b", Buffer.from("b"));
    await expect(bucket.get("b")).rejects.toEqual(failed);
    back();
    expect((await bucket.get("b"))?.size).toBe(1);
    expect(seen).toEqual(["1 put b", "2 get b"]);
  });

  test("the same seed brings the same faults, another seed others", async () => {
    const outcomes = async (seed: number): Promise<string> => {
      const bucket = faultyBucket(openMemoryBucket(), { seed });
      bucket.plan = { lost: 0.2, late: 0.2, busy: 0.2 };
      let told = "";
      for (let at = 0; at < 300; at++) told += (await bucket.create(`a/${at}`, Buffer.from("a")))[0] as string;
      const { lost, late, busy } = bucket.faults;
      for (const count of [lost, late, busy]) expect(count).toBeGreaterThan(30);
      expect(lost + late + busy).toBe([...told].filter((letter) => letter === "u").length);
      await bucket.close();
      return told;
    };
    expect(await outcomes(7)).toBe(await outcomes(7));
    expect(await outcomes(7)).not.toBe(await outcomes(8));
  });

  test("latency is that of its clock", async () => {
    const clock = new FakeClock();
    const bucket = faultyBucket(openMemoryBucket(), { clock });
    bucket.plan = { latencyMs: [50, 50] };
    let outcome = "none yet";
    const create = bucket.create("a", Buffer.from("a")).then((said) => (outcome = said));
    clock.advance(49);
    await new Promise(setImmediate);
    expect(outcome).toBe("none yet");
    clock.advance(1);
    await create;
    expect(outcome).toBe("created");
  });
});

describe("counts", () => {
  test("calls by operation, bytes each way, and the requests of the store", async () => {
    async function* content(): AsyncGenerator<Uint8Array> {
      yield Buffer.alloc(30);
      yield Buffer.alloc(12);
    }
    const inner = openMemoryBucket();
    const bucket = countedBucket(inner);
    await bucket.create("a", Buffer.alloc(100));
    await bucket.create("a", Buffer.alloc(100));
    await bucket.put("b", Buffer.alloc(10));
    await bucket.put("c", content());
    await bucket.get("a", { from: 90, bytes: 50 });
    await bucket.get("none");
    await bucket.list("");
    await bucket.delete(["a", "b"]);
    const calls = { create: 2, get: 2, put: 2, list: 1, delete: 1, bytesUp: 252, bytesDown: 10 };
    expect(bucket.counts()).toEqual({ ...calls, requests: 8 });
    const many = countedBucket(Object.assign(openMemoryBucket(), { requests: () => 77 }));
    expect(many.counts().requests).toBe(77);
  });
});
