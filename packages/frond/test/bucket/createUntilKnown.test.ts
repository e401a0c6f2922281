// A create whose outcome is known: through lost replies, late arrivals and absence.

import { describe, expect, test } from "vitest";
import { createUntilKnown } from "../../src/bucket/createUntilKnown.ts";
import { faultyBucket, type Fault, type FaultyBucket } from "../../src/bucket/faulty.ts";
import { MemoryStore, openMemoryBucket } from "../../src/bucket/memory.ts";
import { pause } from "../../src/bucket/retry.ts";
import { BUCKET_INTENT_BYTES, BUCKET_RETRY_MAX_MS, BUCKET_RETRY_MS } from "../../src/limits.ts";
import { idBytes } from "./hands.ts";

const ours = idBytes("ours");
const sleep = (): Promise<void> => new Promise(setImmediate);

/** A bucket in which the calls meet these faults, one after the other, then none. */
function meeting(...faults: (Fault | undefined)[]): { bucket: FaultyBucket; store: MemoryStore; calls: string[] } {
  const store = new MemoryStore();
  const bucket = faultyBucket(openMemoryBucket(store));
  const calls: string[] = [];
  bucket.fail(({ operation, number }) => {
    calls.push(operation);
    return faults[number - 1];
  });
  return { bucket, store, calls };
}

const created = (attempts: number): unknown => ({ outcome: "created", attempts });
const exists = (attempts: number): unknown => ({ outcome: "exists", attempts });

describe("a create whose outcome is known", () => {
  test("is one request when all goes well", async () => {
    const { bucket, calls } = meeting();
    expect(await createUntilKnown(bucket, "a", ours, { sleep })).toEqual(created(1));
    expect(calls).toEqual(["create"]);
  });

  test("somebody else's object stays his", async () => {
    const { bucket, calls } = meeting();
    await standing(bucket, idBytes("theirs"));
    expect(await createUntilKnown(bucket, "a", ours, { sleep })).toEqual(exists(1));
    expect(calls).toEqual(["put", "create", "get"]);
  });

  test("a lost reply is found out by reading back", async () => {
    const { bucket, calls } = meeting("lost");
    expect(await createUntilKnown(bucket, "a", ours, { sleep })).toEqual(created(1));
    expect(calls).toEqual(["create", "get"]);
  });

  test("an absent key is still open: the same is created again", async () => {
    const { bucket, store } = meeting("late");
    expect(await createUntilKnown(bucket, "a", ours, { sleep })).toEqual(created(2));
    await bucket.settle();
    expect(store.objects.get("a")?.bytes).toEqual(ours);
  });

  test("an own request that arrives before its repetition is no loss", async () => {
    const { bucket } = meeting("late");
    expect(await createUntilKnown(bucket, "a", ours, { sleep: () => bucket.settle() })).toEqual(created(2));
  });

  test("somebody else may win while it is open, and our late request does not change that", async () => {
    const { bucket, store } = meeting("late");
    const other = openMemoryBucket(store);
    const meanwhile = async (): Promise<void> => void (await other.create("a", idBytes("theirs")));
    expect(await createUntilKnown(bucket, "a", ours, { sleep: meanwhile })).toEqual(exists(2));
    await bucket.settle();
    expect(store.objects.get("a")?.bytes).toEqual(idBytes("theirs"));
  });

  test("what an earlier life of the process has created is ours", async () => {
    const { bucket } = meeting();
    await standing(bucket, ours);
    expect(await createUntilKnown(bucket, "a", ours, { sleep })).toEqual(created(1));
  });

  test("an object that begins as ours but has another size is not", async () => {
    const { bucket } = meeting();
    await standing(bucket, Buffer.concat([ours, Buffer.from("more")]));
    expect(await createUntilKnown(bucket, "a", ours, { sleep })).toEqual(exists(1));
  });

  test("an object shorter than the part that is compared is compared whole", async () => {
    const { bucket } = meeting("lost");
    const short = ours.subarray(0, BUCKET_INTENT_BYTES / 2);
    expect(await createUntilKnown(bucket, "a", short, { sleep })).toEqual(created(1));
  });

  test("an object that was there and is gone was somebody's: the key is not used again", async () => {
    const { bucket, store } = meeting();
    await standing(bucket, idBytes("theirs"));
    const gone = Object.assign(faultyBucket(bucket), {
      get: async () => {
        await bucket.delete(["a"]);
        return undefined;
      },
    });
    expect(await createUntilKnown(gone, "a", ours, { sleep })).toEqual(exists(1));
    expect(store.objects.size).toBe(0);
  });

  test("reading back may fail as often as it likes", async () => {
    const { bucket } = meeting("lost", "busy", undefined, "busy", "lost", "busy");
    expect(await createUntilKnown(bucket, "a", ours, { sleep })).toEqual(created(4));
  });

  test("goes on while the bucket is away, and tells of it", async () => {
    const bucket = faultyBucket(openMemoryBucket());
    bucket.away = true;
    const told: string[] = [];
    const onOpen = (attempt: number, failure: unknown): void => {
      told.push(`${attempt} ${(failure as { code: string }).code}`);
      if (attempt === 5) bucket.away = false;
    };
    expect(await createUntilKnown(bucket, "a", ours, { sleep, onOpen })).toEqual(created(6));
    expect(told).toEqual([1, 2, 3, 4, 5].map((attempt) => `${attempt} BUCKET_FAILED`));
  });

  test("ends with its signal, in a pause too", async () => {
    const bucket = faultyBucket(openMemoryBucket());
    bucket.away = true;
    const stop = new AbortController();
    const wait = async (): Promise<void> => stop.abort(new RangeError("stopping"));
    await expect(createUntilKnown(bucket, "a", ours, { sleep: wait, signal: stop.signal })).rejects.toThrow("stopping");
    const early = createUntilKnown(bucket, "a", ours, { sleep, signal: AbortSignal.abort(new RangeError("before")) });
    await expect(early).rejects.toThrow("before");
  });

  test("a denial ends it while nothing is open, and not later", async () => {
    const denied = meeting("denied");
    await expect(createUntilKnown(denied.bucket, "a", ours, { sleep })).rejects.toEqual(
      expect.objectContaining({ code: "BUCKET_DENIED" }),
    );
    const open = meeting("late", "denied", "denied");
    expect(await createUntilKnown(open.bucket, "a", ours, { sleep })).toEqual(created(3));
  });

  test("a key that cannot be is refused", async () => {
    const refused = expect.objectContaining({ code: "BAD_OPTION" });
    await expect(createUntilKnown(openMemoryBucket(), "a//b", ours, { sleep })).rejects.toEqual(refused);
  });

  test("has one winner under every fault at once, and late requests change nothing", async () => {
    const store = new MemoryStore();
    const bucket = faultyBucket(openMemoryBucket(store), { seed: 20 });
    bucket.plan = { lost: 0.25, late: 0.25, busy: 0.25, lateMs: [1, 20], latencyMs: [0, 2] };
    for (let round = 0; round < 40; round++) {
      const key = `a/${round}`;
      const ids = Array.from({ length: 5 }, (_, index) => `${round}-${index}`);
      const known = await Promise.all(ids.map((id) => createUntilKnown(bucket, key, idBytes(id), { sleep })));
      const winners = ids.filter((_, index) => known[index]?.outcome === "created");
      expect(winners.length, `${key}: ${winners.join(", ")}`).toBe(1);
      await bucket.settle();
      expect(store.objects.get(key)?.bytes).toEqual(idBytes(winners[0] as string));
    }
    for (const fault of ["lost", "late", "busy"] as const) expect(bucket.faults[fault]).toBeGreaterThan(50);
  });

  test("pauses double up to a limit, each with its jitter", () => {
    expect([1, 2, 3].map((attempt) => pause(attempt, 0))).toEqual([0.5, 1, 2].map((half) => half * BUCKET_RETRY_MS));
    expect(pause(1, 0.999)).toBeLessThan(BUCKET_RETRY_MS);
    expect(pause(10_000, 0)).toBe(BUCKET_RETRY_MAX_MS / 2);
  });
});

/** Puts an object at the key that the tests claim. */
async function standing(bucket: FaultyBucket, bytes: Buffer): Promise<void> {
  await bucket.put("a", bytes);
}
