// `frond doctor`, and the probe at a start: what will do passes, what will not is refused with what it did, before a cluster
// is made in it.

import fs from "node:fs";
import path from "node:path";
import { PutBucketLifecycleConfigurationCommand, PutBucketPolicyCommand } from "@aws-sdk/client-s3";
import S3rver from "s3rver";
import { describe, expect, onTestFinished, test } from "vitest";
import { need } from "../../../../test-support/need.ts";
import { CLUSTER_KEY } from "../../src/bucket/objectKeys.ts";
import { openBucket } from "../../src/bucket/open.ts";
import { encodeDocument } from "../../src/codec/documents.ts";
import { SLOT_HASH } from "../../src/address.ts";
import { SLOTS } from "../../src/limits.ts";
import type { S3User } from "../bucket/radosgw.ts";
import { actAs, makeS3Place } from "../bucket/s3Store.ts";
import { temporaryDirectory } from "../cell/nodes.ts";
import { Folder, frond, Running } from "./command.ts";

function folderWithApp(): Folder {
  const folder = new Folder();
  onTestFinished(() => folder.remove());
  return folder;
}

interface Report {
  readonly ok: boolean;
  readonly data: string | null;
  readonly bucket: string | null;
  readonly checks: readonly { check: string; level: string; saw: string; ms: number }[];
}

const levels = ({ checks }: Report): string[] => checks.map(({ check, level }) => `${check} ${level}`);
const HOST = ["version ok", "descriptors ok", "boot ok"];
const STORE = ["rights", "create", "read", "overwrite", "range", "list", "delete"].map((check) => `${check} ok`);
const environmentOf = ({ accessKeyId, secretAccessKey }: S3User): Record<string, string> => ({
  AWS_ACCESS_KEY_ID: accessKeyId,
  AWS_SECRET_ACCESS_KEY: secretAccessKey,
});

/** A store that takes every create, and what reaches it. */
async function ignorant(): Promise<{ args: string[]; env: Record<string, string>; stored: () => string[] }> {
  const directory = temporaryDirectory();
  const user = { accessKeyId: "S3RVER", secretAccessKey: "S3RVER" };
  const configureBuckets = [{ name: "acme" }];
  const server = new S3rver({ address: "127.0.0.1", port: 0, silent: true, directory, configureBuckets });
  const { port } = await server.run();
  onTestFinished(() => server.close());
  const endpoint = `http://127.0.0.1:${port}`;
  const args = ["--bucket", "s3://acme/frond", "--s3-endpoint", endpoint];
  const stored = (): string[] =>
    fs
      .readdirSync(path.join(directory, "acme"), { recursive: true, withFileTypes: true })
      .flatMap((entry) => (entry.isFile() ? [entry.name] : []));
  return { args, env: environmentOf(user), stored };
}

describe("frond doctor", () => {
  test("before anything is there looks at the machine, and at a bucket that is named", async () => {
    const folder = folderWithApp();
    const nothing = await frond(folder, ["doctor"]);
    expect([nothing.code, nothing.err]).toEqual([0, ""]);
    expect(nothing.out).toMatch(/^ok {4}version {6}frond \S+ on Node 24/);
    expect(nothing.out).toMatch(
      /all is well; no bucket was looked at: there is none yet, or name one with --bucket\n$/,
    );
    const bucket = path.join(temporaryDirectory(), "bucket");
    const named = await frond(folder, ["doctor", "--bucket", `dir:${bucket}`, "--json"]);
    expect(named.code).toBe(0);
    const report = JSON.parse(named.out) as Report;
    expect(report).toMatchObject({ ok: true, data: null, bucket: `dir:${bucket}` });
    expect(levels(report)).toEqual([...HOST, "bucket ok", ...STORE, "cluster ok"]);
    expect(report.checks.at(-1)?.saw).toBe("there is none yet: the first start makes it");
    expect(fs.readdirSync(bucket)).toEqual(["=tmp"]);
  });

  test("looks at a data directory and its own bucket, while a node runs and after", async () => {
    const folder = folderWithApp();
    const node = new Running(folder, ["start", "app.ts", "--listen", "0"]);
    onTestFinished(() => void node.child.kill("SIGKILL"));
    const url = await node.ready();
    await fetch(`${url}/a`);
    const during = await frond(folder, ["doctor"]);
    expect([during.code, during.err]).toEqual([0, ""]);
    expect(during.out).toMatch(new RegExp(`\nok    data .*\\.frond/data, served by process ${node.child.pid}, frond`));
    expect(during.out).toMatch(/\nok {4}space .* free of .*\nok {4}bucket .*dir:.*\.frond\/data\/bucket/);
    expect(during.out).toMatch(new RegExp(`\nok    cluster .*; process ${node.child.pid} on .* gave its last sign`));
    expect(await (await fetch(`${url}/a`)).json()).toBe(2);
    expect(await node.stop()).toBe(0);
    const after = JSON.parse((await frond(folder, ["doctor", "--json"])).out) as Report;
    expect(levels(after)).toEqual([...HOST, "data ok", "space ok", "bucket ok", ...STORE, "cluster ok"]);
    expect(after.checks.find(({ check }) => check === "data")?.saw).toMatch(/no node runs on it$/);
    expect(after.checks.at(-1)?.saw).toMatch(/; no node serves it$/);
    // Of another cluster than the one in the bucket.
    const other = path.join(temporaryDirectory(), "bucket");
    fs.cpSync(folder.at(".frond/data/bucket"), other, { recursive: true });
    fs.writeFileSync(path.join(other, CLUSTER_KEY), clusterDocument());
    const foreign = await frond(folder, ["doctor", "--bucket", `dir:${other}`]);
    expect(foreign.code).toBe(1);
    expect(foreign.out).toMatch(/\nFAIL {2}cluster .* belongs to cluster [0-9a-f]{32}.*\n1 of the checks failed\n$/);
    // Its own that is gone, as where its disk is not mounted, is not made anew.
    fs.renameSync(folder.at(".frond/data/bucket"), folder.at("away"));
    const gone = await frond(folder, ["doctor"]);
    expect(gone.out).toMatch(
      /\nFAIL {2}bucket .* is gone, and .* belongs to a cluster: .* mount its disk again.*\n1 of the/,
    );
    expect(fs.existsSync(folder.at(".frond/data/bucket"))).toBe(false);
  });

  test("does not begin with options that mean nothing", async () => {
    const folder = folderWithApp();
    const alone = await frond(folder, ["doctor", "--s3-region", "eu-central-1"]);
    expect([alone.code, alone.err]).toEqual([2, expect.stringMatching(/^error BAD_OPTION: .*name it with --bucket/)]);
    const wrong = await frond(folder, ["doctor", "--bucket", "shop"]);
    expect([wrong.code, wrong.err]).toEqual([2, expect.stringMatching(/^error BAD_OPTION: .*dir:PATH/)]);
    const extra = await frond(folder, ["doctor", "--bucket", "dir:x", "--s3-region", "eu-central-1"]);
    expect([extra.code, extra.out]).toEqual([
      1,
      expect.stringMatching(/FAIL {2}bucket .*"region" is for object stores/),
    ]);
  });
});

describe("a store that ignores the condition", () => {
  test("is refused by frond doctor, which says what it did, and keeps nothing", async () => {
    const { args, env, stored } = await ignorant();
    const { code, out, err } = await frond(folderWithApp(), ["doctor", ...args], env);
    expect([code, err]).toEqual([1, ""]);
    expect(out).toMatch(/\nok {4}rights .*\nFAIL {2}create .*1[0-6] of 16 concurrent creates of one key succeeded/);
    expect(out).toMatch(/\n1 of the checks failed\n$/);
    expect(stored()).toEqual([]);
  });

  test("is refused by frond start with exit code 1, before a cluster is made in it", async () => {
    const { args, env, stored } = await ignorant();
    const { code, out, err } = await frond(folderWithApp(), ["start", "app.ts", "--listen", "0", ...args], env);
    expect(err).toMatch(
      /^error BUCKET_REFUSED: s3:\/\/acme\/frond cannot be used as a bucket: 1\d of 16 .* If-None-Match/,
    );
    expect([code, out]).toEqual([1, ""]);
    expect(stored()).toEqual([]);
  });

  test("is refused also where a cluster stands in it, before a node has a lease there", async () => {
    const { args, env, stored } = await ignorant();
    actAs({ accessKeyId: "S3RVER", secretAccessKey: "S3RVER" });
    const bucket = await openBucket("s3://acme/frond", { endpoint: args.at(-1) });
    await bucket.put(CLUSTER_KEY, clusterDocument());
    const before = stored();
    await bucket.close();
    const { code, err } = await frond(folderWithApp(), ["start", "app.ts", "--listen", "0", ...args], env);
    expect(err).toMatch(/^error BUCKET_REFUSED: .*: [2-4] of 4 concurrent creates of one key succeeded/);
    expect([code, stored()]).toEqual([1, before]);
  });
});

function clusterDocument(): Buffer {
  const id = "0123456789abcdef0123456789abcdef";
  return encodeDocument({ intent: id, id, slots: SLOTS, hash: SLOT_HASH, createdMs: 1 });
}

describe.skipIf(need("radosgw") === undefined)("on radosgw", () => {
  test("all is well, warnings of the store are told, and rights that are missing are named", async () => {
    const place = await makeS3Place();
    const args = ["--bucket", place.url, "--s3-endpoint", place.options.endpoint as string];
    const folder = folderWithApp();
    const well = await frond(folder, ["doctor", ...args, "--json"], environmentOf(place.server.owner));
    expect(levels(JSON.parse(well.out) as Report)).toEqual([...HOST, "bucket ok", ...STORE, "clock ok", "cluster ok"]);

    const rule = { ID: "sweep", Status: "Enabled" as const, Filter: { Prefix: "" }, Expiration: { Days: 30 } };
    const LifecycleConfiguration = { Rules: [rule] };
    await place.client.send(new PutBucketLifecycleConfigurationCommand({ Bucket: place.name, LifecycleConfiguration }));
    const warned = await frond(folder, ["doctor", ...args], environmentOf(place.server.owner));
    expect(warned.code).toBe(0);
    expect(warned.out).toMatch(/\nwarn {2}life cycle .*"sweep" deletes all objects after 30 days: cells would be lost/);
    expect(warned.out).toMatch(/\nit will do; 1 to think about\n$/);
    const node = new Running(folder, ["start", "app.ts", "--listen", "0", ...args], environmentOf(place.server.owner));
    onTestFinished(() => void node.child.kill("SIGKILL"));
    await node.ready();
    expect(node.out).toMatch(/"level":40[^\n]*sweep\\" deletes all objects after 30 days/);
    expect(await node.stop()).toBe(0);

    const Principal = { AWS: [`arn:aws:iam:::user/${place.server.guest.uid}`] };
    const Resource = [`arn:aws:s3:::${place.name}`, `arn:aws:s3:::${place.name}/*`];
    const Statement = [
      { Effect: "Allow", Principal, Action: ["s3:*"], Resource },
      { Effect: "Deny", Principal, Action: ["s3:ListBucket", "s3:DeleteObject"], Resource },
    ];
    const Policy = JSON.stringify({ Version: "2012-10-17", Statement });
    await place.client.send(new PutBucketPolicyCommand({ Bucket: place.name, Policy }));
    const denied = await frond(folder, ["doctor", ...args], environmentOf(place.server.guest));
    expect(denied.code).toBe(1);
    expect(denied.out).toMatch(/\nFAIL {2}rights .*the right s3:ListBucket\n +delete of .*the right s3:DeleteObject/);
    const started = await frond(
      folder,
      ["start", "app.ts", "--listen", "0", ...args],
      environmentOf(place.server.guest),
    );
    expect([started.code, started.err]).toEqual([1, expect.stringMatching(/^error BUCKET_DENIED: .*s3:ListBucket/)]);
  });
});
