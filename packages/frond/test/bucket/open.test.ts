// Bucket URLs and options: the two forms, and what is refused.

import { spawnSync } from "node:child_process";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { openBucket, parseBucketUrl, type BucketOptions } from "../../src/bucket/open.ts";

const base = fs.mkdtempSync(path.join(os.tmpdir(), "frond-open-"));
afterAll(() => fs.rmSync(base, { recursive: true, force: true }));

describe("a bucket URL", () => {
  test("names a folder or a place in an object store", () => {
    expect(parseBucketUrl("dir:bucket")).toEqual({ store: "dir", path: "bucket" });
    expect(parseBucketUrl("dir:/var/lib/a b")).toEqual({ store: "dir", path: "/var/lib/a b" });
    expect(parseBucketUrl("s3://acme")).toEqual({ store: "s3", bucket: "acme", prefix: "" });
    expect(parseBucketUrl("s3://acme/")).toEqual({ store: "s3", bucket: "acme", prefix: "" });
    expect(parseBucketUrl("s3://acme.eu/frond/live/")).toEqual({
      store: "s3",
      bucket: "acme.eu",
      prefix: "frond/live",
    });
  });

  test.each([
    "",
    "bucket",
    "/var/bucket",
    "dir:",
    "dir:a\0b",
    "s3:acme",
    "s3://",
    "s3:///a",
    "S3://acme",
    "http://a/b",
  ])("refuses %j and names the two forms", (url) => {
    const forms = expect.objectContaining({ code: "BAD_OPTION", message: expect.stringContaining("dir:PATH") });
    expect(() => parseBucketUrl(url)).toThrow(forms);
    expect(() => parseBucketUrl(url)).toThrow("s3://BUCKET/PREFIX");
  });

  test.each(["s3://acme//a", "s3://acme/a//b", "s3://acme/../b", `s3://acme/${"p".repeat(256)}`])(
    "refuses %j",
    (url) => {
      expect(() => parseBucketUrl(url)).toThrow(expect.objectContaining({ code: "BAD_OPTION" }));
    },
  );

  test("a secret in a URL is not repeated", () => {
    expect(() => parseBucketUrl("s3://AKIA:geheim@acme/a")).toThrow(
      expect.objectContaining({ message: expect.not.stringContaining("geheim") }),
    );
  });

  test("opens a directory", async () => {
    const bucket = await openBucket(`dir:${base}/a`);
    expect(bucket.url).toBe(`dir:${base}/a`);
    expect(await bucket.create("b", Buffer.from("b"))).toBe("created");
    expect(fs.readFileSync(`${base}/a/b`, "utf8")).toBe("b");
    await bucket.close();
  });

  test("without the package for object stores says what installs it, and a directory does not need it", () => {
    const open = new URL("../../src/bucket/open.ts", import.meta.url).href;
    const script = `
      import { registerHooks } from "node:module";
      const parentURL = ${JSON.stringify(new URL("open.js", `file://${base}/`).href)};
      registerHooks({
        resolve: (name, context, next) => next(name, name.startsWith("@aws-sdk/") ? { ...context, parentURL } : context),
      });
      const { openBucket } = await import(${JSON.stringify(open)});
      await openBucket(${JSON.stringify(`dir:${base}/c`)});
      const error = await openBucket("s3://acme/a").catch((thrown) => thrown);
      console.log(error.code, error.message);`;
    const { stdout, stderr } = spawnSync(process.execPath, ["--input-type=module", "-e", script], { encoding: "utf8" });
    expect(stderr).toBe("");
    expect(stdout).toContain("BAD_OPTION");
    expect(stdout).toContain("npm install @aws-sdk/client-s3");
  });

  test.each<[string, BucketOptions]>([
    ["endpoint", { endpoint: "http://127.0.0.1:1" }],
    ["region", { region: "eu-central-1" }],
    ["pathStyle", { pathStyle: true }],
    ["encryption", { encryption: { kind: "s3" } }],
  ])("a directory takes no option %s", async (name, options) => {
    await expect(openBucket(`dir:${base}/b`, options)).rejects.toEqual(
      expect.objectContaining({ code: "BAD_OPTION", message: expect.stringContaining(`"${name}"`) }),
    );
    expect(fs.existsSync(`${base}/b`)).toBe(false);
  });
});
