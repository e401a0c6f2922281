// An object store that fails, refuses or is not there, and what its requests look like.

import { inspect } from "node:util";
import { HeadObjectCommand, ListMultipartUploadsCommand, PutBucketPolicyCommand } from "@aws-sdk/client-s3";
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import type { Bucket } from "../../src/bucket/bucket.ts";
import { createUntilKnown } from "../../src/bucket/createUntilKnown.ts";
import { openBucket } from "../../src/bucket/open.ts";
import { BUCKET_DELETES_AT_ONCE, BUCKET_PART_BYTES, BUCKET_TRIES, BUCKET_WHOLE_BYTES } from "../../src/limits.ts";
import { need } from "../../../../test-support/need.ts";
import { idBytes, sleep } from "./hands.ts";
import { startProxy, type Conduct, type Proxy, type Seen } from "./proxy.ts";
import { actAs, makeS3Place, type S3Place } from "./s3Store.ts";

const failed = expect.objectContaining({ code: "BUCKET_FAILED", retryable: true });
const denied = (right: string): unknown =>
  expect.objectContaining({ code: "BUCKET_DENIED", message: expect.stringContaining(right) });
const refused = (what: string): unknown =>
  expect.objectContaining({ code: "BUCKET_REFUSED", message: expect.stringContaining(what) });

describe.skipIf(need("radosgw") === undefined)("an object store that fails", () => {
  let place: S3Place;
  let proxy: Proxy;
  let bucket: Bucket;
  /** The same place, without the proxy. */
  let direct: Bucket;

  beforeAll(async () => {
    place = await makeS3Place();
    proxy = await startProxy(place.server.endpoint);
    bucket = await openBucket(place.url, { endpoint: proxy.endpoint });
    direct = await openBucket(place.url, place.options);
  }, 120_000);
  afterAll(async () => {
    await bucket?.close();
    await direct?.close();
    await proxy?.close();
  });
  beforeEach(() => {
    proxy.conduct = () => "pass";
    actAs(place.server.owner);
  });

  /** Requests meet these, one after the other, then pass. */
  const meet = (...conducts: Conduct[]): void => {
    proxy.conduct = () => conducts.shift() ?? "pass";
  };
  const busy = { status: 503, code: "SlowDown" };

  test("a create whose answer is lost is unknown, not repeated, and found to be ours", async () => {
    const before = proxy.seen.length;
    meet("lose");
    expect(await bucket.create("lost/a", idBytes("ours"))).toBe("unknown");
    expect(proxy.seen.length).toBe(before + 1);
    expect(await bucket.create("lost/a", idBytes("ours"))).toBe("exists");
    expect(await createUntilKnown(bucket, "lost/a", idBytes("ours"), { sleep })).toEqual({
      outcome: "created",
      attempts: 1,
    });
    meet("lose", busy, busy, busy, busy, busy);
    expect((await createUntilKnown(bucket, "lost/b", idBytes("ours"), { sleep })).outcome).toBe("created");
  });

  test.each([
    [503, "SlowDown"],
    [500, "InternalError"],
    [409, "ConditionalRequestConflict"],
    [429, "TooManyRequests"],
    [408, "RequestTimeout"],
    [400, "RequestTimeout"],
  ])("a create that is answered %d %s is unknown", async (status, code) => {
    meet({ status, code });
    expect(await bucket.create(`unknown/${status}-${code}`, idBytes("ours"))).toBe("unknown");
    expect(await bucket.create(`unknown/${status}-${code}`, idBytes("ours"))).toBe("created");
  });

  test("a create that is not answered is unknown at its deadline", async () => {
    meet("silent");
    expect(await bucket.create("silent/a", idBytes("ours"), { deadlineMs: 300 })).toBe("unknown");
    meet("silent");
    const call = { signal: AbortSignal.timeout(300) };
    await expect(bucket.create("silent/a", idBytes("ours"), call)).rejects.toThrow(
      expect.objectContaining({ name: "TimeoutError" }),
    );
    meet("silent");
    await expect(bucket.get("silent/a", undefined, { deadlineMs: 300 })).rejects.toEqual(failed);
  });

  test("a store that cannot do conditions refuses a create", async () => {
    meet({ status: 501, code: "NotImplemented" });
    await expect(bucket.create("cannot/a", idBytes("ours"))).rejects.toEqual(refused("NotImplemented"));
  });

  test("a create that found nobody to talk to says that nothing happened", async () => {
    const gone = await startProxy(place.server.endpoint);
    await gone.close();
    const lonely = await openBucket(place.url, { endpoint: gone.endpoint });
    await expect(lonely.create("a", idBytes("ours"))).rejects.toEqual(failed);
    await expect(lonely.create("a", idBytes("ours"))).rejects.toThrow("ECONNREFUSED");
    await lonely.close();
    const nameless = await openBucket(place.url, { endpoint: "http://store.invalid" });
    await expect(nameless.create("a", idBytes("ours"))).rejects.toEqual(failed);
    await nameless.close();
  });

  test("what may be repeated is, with the reason of the last failure", async () => {
    await direct.put("again/a", Buffer.alloc(100_000, "a"));
    const asked = (): number => proxy.seen.length;
    meet(busy, "lose", "cut");
    expect((await bucket.get("again/a"))?.bytes.equals(Buffer.alloc(100_000, "a"))).toBe(true);
    meet(busy, "lose");
    await bucket.put("again/b", Buffer.from("b"));
    meet("lose", busy);
    expect((await bucket.list("again/")).map(({ key }) => key)).toEqual(["again/a", "again/b"]);
    meet("lose", busy);
    await bucket.delete(["again/b"]);
    expect(await bucket.get("again/b")).toBe(undefined);

    proxy.conduct = () => busy;
    const before = asked();
    await expect(bucket.get("again/a")).rejects.toEqual(failed);
    expect(asked()).toBe(before + BUCKET_TRIES);
    await expect(bucket.get("again/a")).rejects.toThrow("503 SlowDown");
  });

  test("a call that must not be repeated is not", async () => {
    const before = proxy.seen.length;
    meet(busy, busy, busy, busy);
    await expect(bucket.put("node/a", Buffer.from("a"), { tries: 1 })).rejects.toEqual(failed);
    await expect(bucket.get("node/a", undefined, { tries: 1 })).rejects.toEqual(failed);
    await expect(bucket.list("node/", "", 1, { tries: 1 })).rejects.toEqual(failed);
    await expect(bucket.delete(["node/a"], { tries: 1 })).rejects.toEqual(failed);
    expect(proxy.seen.length).toBe(before + 4);
  });

  test("a large upload repeats the part that failed, and no other", async () => {
    const before = proxy.seen.length;
    const conducts: Conduct[] = ["pass", "pass", busy, "lose"];
    meet(...conducts);
    const bytes = Buffer.alloc(BUCKET_WHOLE_BYTES + 1, "abcdefg");
    await bucket.put("large/a", bytes, { deadlineMs: 30_000 });
    // Begin, three parts of which the second took three tries, end.
    expect(proxy.seen.slice(before).map(kindOf)).toEqual(["POST", "1", "2", "2", "2", "3", "POST"]);
    const found = await direct.get("large/a", { from: BUCKET_PART_BYTES - 5, bytes: 10 });
    expect(found).toEqual({ bytes: bytes.subarray(BUCKET_PART_BYTES - 5, BUCKET_PART_BYTES + 5), size: bytes.length });
  });

  const kindOf = ({ method, url }: Seen): string => /partNumber=(\d+)/.exec(url)?.[1] ?? method;

  test("an upload that fails leaves no parts behind", async () => {
    proxy.conduct = ({ url }) => (url.includes("partNumber=2") ? busy : "pass");
    const bytes = Buffer.alloc(BUCKET_WHOLE_BYTES + 1);
    await expect(bucket.put("large/b", bytes, { deadlineMs: 30_000 })).rejects.toEqual(failed);
    const stop = new AbortController();
    proxy.conduct = ({ url }) => {
      if (url.includes("partNumber=2")) stop.abort(new RangeError("enough"));
      return "pass";
    };
    await expect(bucket.put("large/c", bytes, { signal: stop.signal })).rejects.toThrow("enough");
    const other = await openBucket(place.url, { endpoint: proxy.endpoint });
    proxy.conduct = ({ url }) => {
      if (!url.includes("partNumber=2")) return "pass";
      void other.close();
      return "pass";
    };
    const begun = async (): Promise<unknown[]> => {
      const { Uploads = [] } = await place.client.send(new ListMultipartUploadsCommand({ Bucket: place.name }));
      return Uploads.map(({ Key }) => Key);
    };
    await expect(other.put("large/d", bytes)).rejects.toThrow("was closed");
    await other.close();
    expect(await begun()).not.toContain("a/prefix/large/d");
    await vi.waitFor(async () => expect(await begun()).toEqual([]));
    expect(await direct.list("large/", "large/a")).toEqual([]);
  });

  test("small objects go up whole, streamed or not", async () => {
    const before = proxy.seen.length;
    async function* content(): AsyncGenerator<Uint8Array> {
      yield Buffer.alloc(BUCKET_PART_BYTES - 1);
      yield Buffer.alloc(1);
    }
    await bucket.put("whole/a", content());
    await bucket.put("whole/b", Buffer.alloc(BUCKET_WHOLE_BYTES));
    expect(proxy.seen.slice(before).map(({ method, url }) => `${method} ${url.includes("uploadId")}`)).toEqual([
      "PUT false",
      "PUT false",
    ]);
    expect((await direct.list("whole/")).map(({ size }) => size)).toEqual([BUCKET_PART_BYTES, BUCKET_WHOLE_BYTES]);
  });

  test("requests are counted as the store sees them", async () => {
    const counted = await openBucket(place.url, { endpoint: proxy.endpoint });
    const before = proxy.seen.length;
    meet("pass", busy, busy);
    await counted.create("counted/a", Buffer.alloc(10));
    await counted.get("counted/a");
    await counted.get("counted/a", { from: 10, bytes: 1 });
    await counted.delete(["counted/a", "counted/b"]);
    expect(counted.requests?.()).toBe(8);
    expect(proxy.seen.length - before).toBe(8);
    await counted.close();
  });

  test("a few deletions are under way at once, however many there are", async () => {
    const other = await startProxy(place.server.endpoint);
    const deleting = await openBucket(place.url, { endpoint: other.endpoint });
    await deleting.delete(Array.from({ length: 4 * BUCKET_DELETES_AT_ONCE }, (_, index) => `many/${index}`));
    expect(other.seen.length).toBe(4 * BUCKET_DELETES_AT_ONCE);
    expect(other.busiest).toBeGreaterThan(1);
    expect(other.busiest).toBeLessThanOrEqual(BUCKET_DELETES_AT_ONCE);
    await deleting.close();
    await other.close();
  });

  test("wrong credentials are denied, and no secret is in the error", async () => {
    const { accessKeyId } = place.server.owner;
    actAs({ accessKeyId, secretAccessKey: "not-the-secret" });
    process.env["AWS_SESSION_TOKEN"] = "the-session-token";
    const wrong = await openBucket(place.url, { endpoint: proxy.endpoint });
    const calls = [
      () => wrong.get("a"),
      () => wrong.create("a", Buffer.alloc(1)),
      () => wrong.put("a", Buffer.alloc(1)),
    ] as const;
    for (const call of calls) {
      const error: unknown = await call().catch((thrown: unknown) => thrown);
      expect(error).toEqual(expect.objectContaining({ code: "BUCKET_DENIED", retryable: false }));
      const told = inspect(error, { depth: 20, showHidden: true });
      for (const secret of ["not-the-secret", "the-session-token", "Signature="]) expect(told).not.toContain(secret);
    }
    delete process.env["AWS_SESSION_TOKEN"];
    await wrong.close();
  });

  test("no credentials at all are denied, with what to set", async () => {
    const kept = { ...process.env };
    for (const name of Object.keys(process.env)) if (name.startsWith("AWS_")) delete process.env[name];
    const none = { AWS_EC2_METADATA_DISABLED: "true", AWS_CONFIG_FILE: "none", AWS_SHARED_CREDENTIALS_FILE: "none" };
    Object.assign(process.env, none);
    const nobody = await openBucket(place.url, { endpoint: proxy.endpoint });
    await expect(nobody.create("a", Buffer.alloc(1))).rejects.toEqual(denied("AWS_ACCESS_KEY_ID"));
    await expect(nobody.list("")).rejects.toEqual(denied("AWS_ACCESS_KEY_ID"));
    await nobody.close();
    for (const name of Object.keys(none)) delete process.env[name];
    Object.assign(process.env, kept);
  });

  test("names the right that is missing", async () => {
    await direct.put("rights/a", Buffer.from("a"));
    const allow = (...actions: string[]): Promise<unknown> => {
      const Principal = { AWS: [`arn:aws:iam:::user/${place.server.guest.uid}`] };
      const Resource = [`arn:aws:s3:::${place.name}`, `arn:aws:s3:::${place.name}/*`];
      const Statement = [{ Effect: "Allow", Principal, Action: actions, Resource }];
      const Policy = JSON.stringify({ Version: "2012-10-17", Statement });
      return place.client.send(new PutBucketPolicyCommand({ Bucket: place.name, Policy }));
    };
    actAs(place.server.guest);
    const guest = await openBucket(place.url, { endpoint: proxy.endpoint });
    await allow("s3:GetObject");
    expect((await guest.get("rights/a"))?.bytes.toString()).toBe("a");
    await expect(guest.create("rights/b", Buffer.alloc(1))).rejects.toEqual(denied("s3:PutObject"));
    await expect(guest.put("rights/b", Buffer.alloc(1))).rejects.toEqual(denied("s3:PutObject"));
    await expect(guest.delete(["rights/a"])).rejects.toEqual(denied("s3:DeleteObject"));
    await expect(guest.list("rights/")).rejects.toEqual(denied("s3:ListBucket"));
    await allow("s3:PutObject", "s3:ListBucket");
    expect(await guest.create("rights/b", Buffer.alloc(1))).toBe("created");
    expect((await guest.list("rights/")).length).toBe(2);
    await expect(guest.get("rights/a")).rejects.toEqual(denied("s3:GetObject"));
    await guest.close();
  });

  test("a bucket that is not there is no empty one", async () => {
    const none = await openBucket("s3://frond-none/a", place.options);
    await expect(none.get("a")).rejects.toEqual(refused("create the bucket"));
    await expect(none.list("")).rejects.toEqual(refused("create the bucket"));
    await expect(none.create("a", Buffer.alloc(1))).rejects.toEqual(refused("create the bucket"));
    await none.close();
  });

  test("objects are encrypted by the store as the option says, in parts too", async () => {
    const large = Buffer.alloc(BUCKET_WHOLE_BYTES + 1, "abc");
    const keyId = "frond-key";
    const kms = await openBucket(place.url, { endpoint: proxy.endpoint, encryption: { kind: "kms", keyId } });
    expect(await kms.create("kms/a", Buffer.from("secret"))).toBe("created");
    await kms.put("kms/b", large, { deadlineMs: 30_000 });
    for (const key of ["kms/a", "kms/b"]) {
      const head = await place.client.send(new HeadObjectCommand({ Bucket: place.name, Key: `a/prefix/${key}` }));
      expect([head.ServerSideEncryption, head.SSEKMSKeyId]).toEqual(["aws:kms", keyId]);
    }
    expect((await kms.get("kms/a"))?.bytes.toString()).toBe("secret");
    expect((await kms.get("kms/b", { from: 9_000_000, bytes: 6 }))?.bytes.toString()).toBe("abcabc");
    await kms.close();
    const own = await openBucket(place.url, { endpoint: proxy.endpoint, encryption: { kind: "s3" } });
    meet(busy);
    expect(await own.create("own/a", Buffer.from("a"))).toBe("unknown");
    expect(proxy.seen.at(-1)?.headers["x-amz-server-side-encryption"]).toBe("AES256");
    await own.close();
  });

  test("requests say the region, and nothing that older stores do not understand", async () => {
    const regions: (string | undefined)[] = [];
    for (const region of [undefined, "eu-central-1"]) {
      const other = await openBucket(place.url, { endpoint: proxy.endpoint, region });
      meet(busy, busy);
      await other.create("a", Buffer.alloc(3_000_000));
      const { headers } = proxy.seen.at(-1) as Seen;
      regions.push(/\/(\w+-\w+-\d)\/s3\/aws4_request/.exec(headers.authorization ?? "")?.[1]);
      const names = Object.keys(headers).filter((name) => /checksum|trailer|expect|transfer-encoding/.test(name));
      expect(names).toEqual([]);
      expect(headers["if-none-match"]).toBe("*");
      await other.close();
    }
    expect(regions).toEqual(["us-east-1", "eu-central-1"]);
  });

  test("the bucket stands in the path or in the host name, as the option says", async () => {
    const names: unknown[] = [];
    for (const pathStyle of [undefined, true, false]) {
      const other = await openBucket("s3://acme/a", { endpoint: "http://store.invalid", pathStyle });
      const error = await other.get("a", undefined, { tries: 1 }).catch((thrown: Error) => thrown);
      names.push(/(?:acme\.)?store\.invalid/.exec((error as Error).message)?.[0]);
      await other.close();
    }
    expect(names).toEqual(["store.invalid", "store.invalid", "acme.store.invalid"]);
  });

  test.each(["store.example", "ftp://store.example", "http://user:geheim@store.example"])(
    "refuses the endpoint %s",
    async (endpoint) => {
      const error: unknown = await openBucket(place.url, { endpoint }).catch((thrown: unknown) => thrown);
      expect(error).toEqual(expect.objectContaining({ code: "BAD_OPTION" }));
      expect((error as Error).message).not.toContain("geheim");
    },
  );
});
