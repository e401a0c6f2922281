// The probe: good stores pass and are left as they were, each bad one is refused with what it did.

import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { PutBucketLifecycleConfigurationCommand, PutBucketPolicyCommand, type LifecycleRule } from "@aws-sdk/client-s3";
import S3rver from "s3rver";
import { afterAll, describe, expect, test } from "vitest";
import type { Bucket } from "../../src/bucket/bucket.ts";
import { countedBucket } from "../../src/bucket/counted.ts";
import { openDirectoryBucket } from "../../src/bucket/directory.ts";
import { faultyBucket } from "../../src/bucket/faulty.ts";
import { MemoryStore, openMemoryBucket } from "../../src/bucket/memory.ts";
import { openBucket } from "../../src/bucket/open.ts";
import { probeBucket, type ProbeCheck } from "../../src/bucket/probe.ts";
import { harmOf } from "../../src/bucket/s3LifeCycle.ts";
import { need } from "../../../../test-support/need.ts";
import { asNobody } from "./nobody.ts";
import { actAs, makeS3Place } from "./s3Store.ts";

const base = fs.mkdtempSync(path.join(os.tmpdir(), "frond-probe-"));
afterAll(() => fs.rmSync(base, { recursive: true, force: true }));

const CHECKS = ["rights", "create", "read", "overwrite", "range", "list", "delete"];

/** Probes a bucket that must pass, and looks that nothing is left. */
async function passes(bucket: Bucket): Promise<void> {
  const before = await bucket.list("");
  const { url, checks, warnings } = await probeBucket(bucket);
  expect(url).toBe(bucket.url);
  expect(checks.map(({ check, ok }) => [check, ok])).toEqual(CHECKS.map((check) => [check, true]));
  expect(warnings).toEqual([]);
  expect(await bucket.list("")).toEqual(before);
}

/** What the probe says of a bucket that must fail. */
async function failure(bucket: Bucket): Promise<{ code: string; message: string; last: ProbeCheck | undefined }> {
  let last: ProbeCheck | undefined;
  const error: unknown = await probeBucket(bucket, { onCheck: (check) => (last = check) }).then(
    () => new Error("it passed"),
    (thrown: unknown) => thrown,
  );
  const { code = "", message } = error as Error & { code?: string };
  return { code, message, last };
}

describe("the probe lets pass", () => {
  test("memory", async () => {
    const bucket = openMemoryBucket();
    await bucket.put("kept", Buffer.from("kept"));
    await passes(bucket);
  });

  test("a directory, and leaves no folder in it", async () => {
    const folder = path.join(base, "good");
    await passes(openDirectoryBucket(folder));
    expect(fs.readdirSync(folder)).toEqual(["=tmp"]);
  });

  test("a store that is slow and often fails, but is honest", async () => {
    const bucket = faultyBucket(openMemoryBucket(), { seed: 3 });
    bucket.fail(({ operation, number }) => (operation === "create" && number % 3 === 0 ? "lost" : undefined));
    await passes(bucket);
    expect(bucket.faults.lost).toBeGreaterThan(5);
  });

  test("what is wrapped for counting, in fewer than 200 requests", async () => {
    const bucket = countedBucket(openMemoryBucket());
    await probeBucket(bucket);
    expect(bucket.counts().requests).toBeLessThan(200);
    const before = bucket.counts().requests;
    expect((await probeBucket(bucket, { quick: true })).checks).toMatchObject([{ check: "create", ok: true }]);
    expect(bucket.counts().requests - before).toBeLessThan(15);
  });
});

describe("the probe refuses", () => {
  /** A bucket in memory of which some methods do something else. */
  function broken(methods: (inner: Bucket) => Partial<Bucket>): Bucket {
    const inner = openMemoryBucket();
    return Object.assign(openMemoryBucket(), {
      create: inner.create.bind(inner),
      get: inner.get.bind(inner),
      put: inner.put.bind(inner),
      list: inner.list.bind(inner),
      delete: inner.delete.bind(inner),
      ...methods(inner),
    });
  }

  test("s3rver, which ignores the condition", async () => {
    const directory = path.join(base, "s3rver");
    const server = new S3rver({
      address: "127.0.0.1",
      port: 0,
      silent: true,
      directory,
      configureBuckets: [{ name: "acme" }],
    });
    const { port } = await server.run();
    // The only credentials that it knows.
    actAs({ accessKeyId: "S3RVER", secretAccessKey: "S3RVER" });
    const bucket = await openBucket("s3://acme/frond", { endpoint: `http://127.0.0.1:${port}` });
    const { code, message, last } = await failure(bucket);
    expect(code).toBe("BUCKET_REFUSED");
    expect(message).toContain("s3://acme/frond cannot be used as a bucket");
    expect(message).toMatch(/\b1[0-6] of 16 concurrent creates of one key succeeded: it ignores If-None-Match/);
    expect(last).toEqual(expect.objectContaining({ check: "create", ok: false, saw: message }));
    expect(await bucket.list("")).toEqual([]);
    await bucket.close();
    await server.close();
  });

  test.each<[string, (inner: Bucket) => Partial<Bucket>, string]>([
    [
      "creates of which none succeeds",
      () => ({ create: async () => "exists", get: async () => ({ bytes: Buffer.from("other"), size: 5 }) }),
      "0 of 16 concurrent creates",
    ],
    [
      "creates that look before they write",
      (inner) => ({
        async create(key, bytes) {
          if ((await inner.get(key)) !== undefined) return "exists";
          await inner.put(key, bytes);
          return "created";
        },
      }),
      "16 of 16 concurrent creates",
    ],
    [
      "creates whose losers overwrite the winner",
      (inner) => ({
        async create(key, bytes) {
          const said = await inner.create(key, bytes);
          await inner.put(key, bytes);
          return said;
        },
        async get(key, range) {
          const found = await inner.get(key, range);
          return found && { ...found, bytes: Buffer.concat([found.bytes, Buffer.from("x")]) };
        },
      }),
      "there is what one of the others wrote",
    ],
    [
      "reads that remember that there was nothing",
      (inner) => {
        const missing = new Set<string>();
        return {
          async get(key, range) {
            const found = await inner.get(key, range);
            if (found === undefined) missing.add(key);
            return missing.has(key) ? undefined : found;
          },
        };
      },
      "not to be read after it was written",
    ],
    [
      "reads that remember what there was",
      (inner) => {
        const seen = new Map<string, Buffer>();
        return {
          async get(key, range) {
            const found = await inner.get(key, range);
            if (found === undefined || range !== undefined) return found;
            const bytes = seen.get(key) ?? found.bytes;
            seen.set(key, bytes);
            return { bytes, size: bytes.length };
          },
        };
      },
      "still the old one",
    ],
    ["ranges that are ignored", (inner) => ({ get: (key) => inner.get(key) }), `the range {"from":3,"bytes":4}`],
    [
      "lists without order",
      (inner) => ({ list: async (prefix, after, limit) => (await inner.list(prefix, after, limit)).toReversed() }),
      "a list behind nothing",
    ],
    [
      "lists that begin at the beginning",
      (inner) => ({ list: (prefix) => inner.list(prefix) }),
      "a list behind list/0",
    ],
    ["deletions that do nothing", () => ({ delete: async () => undefined }), "still there after their deletion"],
  ])("%s", async (_name, methods, what) => {
    const { code, message, last } = await failure(broken(methods));
    expect({ code, message }).toEqual({ code: "BUCKET_REFUSED", message: expect.stringContaining(what) });
    expect(last?.ok).toBe(false);
  });

  test("a store that is away, as a failure that may pass", async () => {
    for (const away of [true, "silent"] as const) {
      const bucket = faultyBucket(openMemoryBucket());
      bucket.away = away;
      const error: unknown = await probeBucket(bucket, { deadlineMs: 20 }).catch((thrown: unknown) => thrown);
      expect(error).toEqual(expect.objectContaining({ code: "BUCKET_FAILED", retryable: true }));
    }
  });

  test("a directory without the right to write, by name", async () => {
    const folder = path.join(base, "readonly");
    const bucket = openDirectoryBucket(folder);
    await asNobody(base, folder, async () => {
      const { code, message } = await failure(bucket);
      expect(code).toBe("BUCKET_DENIED");
      expect(message).toMatch(/^put of probe\/.* is not allowed: EACCES/);
      expect(message).toContain(folder);
    });
  });

  test("ends with its signal", async () => {
    const store = new MemoryStore();
    const stop = new AbortController();
    const onCheck = (): void => stop.abort(new RangeError("enough"));
    const probing = probeBucket(openMemoryBucket(store), { signal: stop.signal, onCheck });
    await expect(probing).rejects.toThrow("enough");
    expect(store.objects.size).toBe(0);
  });
});

describe.skipIf(need("radosgw") === undefined)("with radosgw, the probe", () => {
  test("lets it pass", async () => {
    const place = await makeS3Place();
    const bucket = await openBucket(place.url, place.options);
    await passes(bucket);
    await bucket.close();
  }, 120_000);

  test.each([
    [["s3:PutObject"], ["put of probe/"]],
    [["s3:GetObject"], ["get of probe/"]],
    [
      ["s3:ListBucket", "s3:DeleteObject"],
      ["list of probe/", "delete of probe/"],
    ],
  ])("names %j where it is missing", async (missing, operations) => {
    const place = await makeS3Place();
    const Principal = { AWS: [`arn:aws:iam:::user/${place.server.guest.uid}`] };
    const Resource = [`arn:aws:s3:::${place.name}`, `arn:aws:s3:::${place.name}/*`];
    const Statement = [
      { Effect: "Allow", Principal, Action: ["s3:*"], Resource },
      { Effect: "Deny", Principal, Action: missing, Resource },
    ];
    const Policy = JSON.stringify({ Version: "2012-10-17", Statement });
    await place.client.send(new PutBucketPolicyCommand({ Bucket: place.name, Policy }));
    actAs(place.server.guest);
    const bucket = await openBucket(place.url, place.options);
    const { code, message } = await failure(bucket);
    expect(code).toBe("BUCKET_DENIED");
    for (const right of missing) expect(message).toContain(`it needs the right ${right}`);
    expect(message.split("\n").map((line) => line.slice(0, line.indexOf("/") + 1))).toEqual(operations);
    await bucket.close();
  });

  test("warns of a life-cycle rule that deletes what frond writes", async () => {
    const place = await makeS3Place();
    const rule: LifecycleRule = { ID: "sweep", Status: "Enabled", Filter: { Prefix: "a/" }, Expiration: { Days: 30 } };
    const LifecycleConfiguration = { Rules: [rule] };
    await place.client.send(new PutBucketLifecycleConfigurationCommand({ Bucket: place.name, LifecycleConfiguration }));
    const bucket = await openBucket(place.url, place.options);
    const { warnings } = await probeBucket(bucket);
    expect(warnings).toEqual([
      expect.stringContaining('the life-cycle rule "sweep" deletes objects below "a/" after 30 days'),
    ]);
    const { warnings: elsewhere } = await probeBucket(await openBucket(`s3://${place.name}/b`, place.options));
    expect(elsewhere).toEqual([]);
    await bucket.close();
  });
});

describe("a life-cycle rule", () => {
  const harms = (rule: LifecycleRule, prefix = "a/prefix/"): number => harmOf(rule, prefix).length;
  const days = { Expiration: { Days: 7 }, Status: "Enabled" } as const;

  test("is warned about when it reaches what frond writes, and no other", () => {
    expect(harms({ ...days })).toBe(1);
    expect(harms({ ...days, Filter: { Prefix: "" } })).toBe(1);
    expect(harms({ ...days, Filter: { Prefix: "a/pre" } })).toBe(1);
    expect(harms({ ...days, Filter: { Prefix: "a/prefix/log/" } })).toBe(1);
    expect(harms({ ...days, Prefix: "a/" })).toBe(1);
    expect(harms({ ...days, Filter: { And: { Prefix: "a/", ObjectSizeGreaterThan: 5 } } })).toBe(1);
    expect(harms({ ...days, Filter: { Prefix: "b/" } })).toBe(0);
    expect(harms({ ...days, Filter: { Tag: { Key: "temp", Value: "1" } } })).toBe(0);
    expect(harms({ ...days, Filter: { And: { Prefix: "a/", Tags: [{ Key: "temp", Value: "1" }] } } })).toBe(0);
    expect(harms({ ...days, Status: "Disabled" })).toBe(0);
    expect(harms({ ...days, Filter: { Prefix: "b/" } }, "")).toBe(1);
  });

  test("may move objects, but not to where they cannot be read, and may remove what is old or unfinished", () => {
    expect(harms({ Status: "Enabled", Transitions: [{ Days: 30, StorageClass: "STANDARD_IA" }] })).toBe(0);
    expect(harms({ Status: "Enabled", Transitions: [{ Days: 30, StorageClass: "DEEP_ARCHIVE" }] })).toBe(1);
    expect(harms({ Status: "Enabled", Expiration: { Date: new Date(0) } })).toBe(1);
    expect(harms({ Status: "Enabled", AbortIncompleteMultipartUpload: { DaysAfterInitiation: 1 } })).toBe(0);
    expect(harms({ Status: "Enabled", NoncurrentVersionExpiration: { NoncurrentDays: 1 } })).toBe(0);
  });
});
