// A folder as a bucket: the contract, and what is its own.

import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { openDirectoryBucket } from "../../src/bucket/directory.ts";
import { escapePart, partOfName } from "../../src/bucket/directoryNames.ts";
import { BUCKET_TEMP_MS, MAX_BUCKET_PART_BYTES } from "../../src/limits.ts";
import { contract } from "./contract.ts";
import { asNobody } from "./nobody.ts";

const base = fs.mkdtempSync(path.join(os.tmpdir(), "frond-bucket-"));
afterAll(() => fs.rmSync(base, { recursive: true, force: true }));

contract("a directory", async () => {
  const folder = path.join(base, "contract");
  return { open: async () => openDirectoryBucket(folder), remote: { url: `dir:${folder}`, options: {} } };
});

describe("a directory", () => {
  let folders = 0;
  const fresh = (): string => path.join(base, `own-${++folders}`);

  test("shows keys as files of the same name, and leaves nothing else", async () => {
    const folder = fresh();
    const bucket = openDirectoryBucket(folder);
    const key = "cell/0007/mailbox%2falice~00/0000000001-0000000042";
    await bucket.create(key, Buffer.from("a"));
    await bucket.create(key, Buffer.from("b"));
    await bucket.put("node/Run", Buffer.from("c"));
    const files = fs.readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
    const paths = files.map((entry) => path.relative(folder, path.join(entry.parentPath, entry.name))).sort();
    expect(paths).toEqual([key, "node/=52un"]);
  });

  test.each(["create", "put", "a streamed put"])(
    "gives its thread back between the pieces of a large object: %s",
    async (how) => {
      const bucket = openDirectoryBucket(fresh());
      const bytes = Buffer.alloc(20 * 1024 * 1024, 7);
      let turns = 0;
      let over = false;
      const count = (): void => {
        turns += 1;
        if (!over) setImmediate(count);
      };
      setImmediate(count);
      const stream = async function* (): AsyncGenerator<Uint8Array> {
        for (let at = 0; at < bytes.length; at += 64 * 1024) yield bytes.subarray(at, at + 64 * 1024);
      };
      if (how === "create") expect(await bucket.create("a", bytes)).toBe("created");
      else await bucket.put("a", how === "put" ? bytes : stream());
      over = true;
      expect(turns).toBeGreaterThanOrEqual(4);
      expect((await bucket.get("a"))?.bytes.equals(bytes)).toBe(true);
      expect(await bucket.create("a", bytes)).toBe("exists");
    },
  );

  test("removes folders with their last object", async () => {
    const folder = fresh();
    const bucket = openDirectoryBucket(folder);
    await bucket.put("a/b/c", Buffer.from("c"));
    await bucket.put("a/d", Buffer.from("d"));
    await bucket.delete(["a/b/c"]);
    expect(fs.readdirSync(path.join(folder, "a"))).toEqual(["d"]);
    await bucket.delete(["a/d"]);
    expect(fs.readdirSync(folder)).toEqual(["=tmp"]);
  });

  test("creates in a folder that another process has removed", async () => {
    const folder = fresh();
    const bucket = openDirectoryBucket(folder);
    await bucket.put("a/b/c", Buffer.from("c"));
    fs.rmSync(path.join(folder, "a"), { recursive: true });
    expect(await bucket.create("a/b/d", Buffer.from("d"))).toBe("created");
    fs.rmSync(path.join(folder, "a"), { recursive: true });
    await bucket.put("a/b/e", Buffer.from("e"));
    expect((await bucket.list("")).map(({ key }) => key)).toEqual(["a/b/e"]);
  });

  test("does not take an empty folder, left by a crash, for an object", async () => {
    const folder = fresh();
    const bucket = openDirectoryBucket(folder);
    fs.mkdirSync(path.join(folder, "a/b"), { recursive: true });
    expect(await bucket.get("a/b")).toBe(undefined);
    expect(await bucket.create("a/b", Buffer.from("b"))).toBe("created");
    fs.mkdirSync(path.join(folder, "a/c"));
    await bucket.put("a/c", Buffer.from("c"));
    expect((await bucket.list("")).map(({ key }) => key)).toEqual(["a/b", "a/c"]);
  });

  test("refuses a key that is the folder of another, and one below another", async () => {
    const bucket = openDirectoryBucket(fresh());
    await bucket.put("a/b", Buffer.from("b"));
    const refused = expect.objectContaining({ code: "BAD_OPTION" });
    await expect(bucket.create("a", Buffer.alloc(1))).rejects.toEqual(refused);
    await expect(bucket.put("a", Buffer.alloc(1))).rejects.toEqual(refused);
    await expect(bucket.create("a/b/c", Buffer.alloc(1))).rejects.toEqual(refused);
    expect(await bucket.get("a")).toBe(undefined);
    expect(await bucket.get("a/b/c")).toBe(undefined);
    await bucket.delete(["a", "a/b/c"]);
    expect((await bucket.list("")).map(({ key }) => key)).toEqual(["a/b"]);
  });

  test("a folder that is gone is a failure, not an empty bucket", async () => {
    const folder = fresh();
    const bucket = openDirectoryBucket(folder);
    await bucket.put("a/b", Buffer.from("b"));
    fs.renameSync(folder, `${folder}-away`);
    fs.mkdirSync(folder);
    const failed = expect.objectContaining({ code: "BUCKET_FAILED", retryable: true });
    await expect(bucket.get("a/b")).rejects.toEqual(failed);
    await expect(bucket.list("")).rejects.toEqual(failed);
    await expect(bucket.create("a/b", Buffer.alloc(1))).rejects.toEqual(failed);
    await expect(bucket.put("a/b", Buffer.alloc(1))).rejects.toEqual(failed);
    await expect(bucket.delete(["a/b"])).rejects.toEqual(failed);
    fs.rmdirSync(folder);
    fs.renameSync(`${folder}-away`, folder);
    expect((await bucket.get("a/b"))?.bytes.toString()).toBe("b");
  });

  test("a folder that somebody has made in the place of one that is gone is not taken for it", async () => {
    const folder = fresh();
    const bucket = openDirectoryBucket(folder);
    await bucket.put("a/b", Buffer.from("b"));
    fs.renameSync(folder, `${folder}-away`);
    const another = openDirectoryBucket(folder);
    await another.put("c/d", Buffer.from("d"));
    const failed = expect.objectContaining({ code: "BUCKET_FAILED", retryable: true });
    await expect(bucket.get("a/b")).rejects.toEqual(failed);
    await expect(bucket.list("")).rejects.toEqual(failed);
    await expect(bucket.create("e/f", Buffer.alloc(1))).rejects.toEqual(failed);
    await expect(bucket.put("c/d", Buffer.alloc(1))).rejects.toEqual(failed);
    await expect(bucket.delete(["c/d"])).rejects.toEqual(failed);
    expect((await another.list("")).map(({ key }) => key)).toEqual(["c/d"]);
    fs.rmSync(folder, { recursive: true });
    fs.renameSync(`${folder}-away`, folder);
    expect((await bucket.get("a/b"))?.bytes.toString()).toBe("b");
  });

  test("removes what was left half written, once it is old", () => {
    const folder = fresh();
    openDirectoryBucket(folder);
    const [young, old] = ["young", "old"].map((name) => path.join(folder, "=tmp", name)) as [string, string];
    for (const file of [young, old]) fs.writeFileSync(file, "half");
    const then = (Date.now() - BUCKET_TEMP_MS - 60_000) / 1000;
    fs.utimesSync(old, then, then);
    openDirectoryBucket(folder);
    expect(fs.readdirSync(path.join(folder, "=tmp"))).toEqual(["young"]);
  });

  test("passes over files that no key has made", async () => {
    const folder = fresh();
    const bucket = openDirectoryBucket(folder);
    await bucket.put("a", Buffer.from("a"));
    for (const name of [".DS_Store", "README", "=4", "=61", "x=41y=zz"]) fs.writeFileSync(path.join(folder, name), "");
    expect((await bucket.list("")).map(({ key }) => key)).toEqual(["a"]);
  });

  test("names of files give their part back, and are their own in any case", () => {
    const parts = ["a", "A", "%41", "=41", "=tmp", "..a", "a.b.", "ž", "\u{1f600}", "a b", "~", "-"];
    const names = parts.map((part) => escapePart(part, part));
    expect(new Set(names.map((name) => name.toLowerCase())).size).toBe(parts.length);
    expect(names.map(partOfName)).toEqual(parts);
    expect(names).not.toContain("=tmp");
    expect(names.filter((name) => name.startsWith("."))).toEqual([]);
  });

  test("refuses a part of a key that is too long for a file name", async () => {
    const bucket = openDirectoryBucket(fresh());
    expect(await bucket.create(`a/${"k".repeat(MAX_BUCKET_PART_BYTES)}`, Buffer.alloc(1))).toBe("created");
    const refused = expect.objectContaining({ code: "BAD_OPTION" });
    await expect(bucket.create(`a/${"k".repeat(MAX_BUCKET_PART_BYTES + 1)}`, Buffer.alloc(1))).rejects.toEqual(refused);
    await expect(bucket.get(`a/${"K".repeat(MAX_BUCKET_PART_BYTES)}`)).rejects.toEqual(refused);
  });

  test("names the path where it may not write", async () => {
    const folder = fresh();
    const bucket = openDirectoryBucket(folder);
    await bucket.put("a/b", Buffer.from("b"));
    const denied = expect.objectContaining({ code: "BUCKET_DENIED", message: expect.stringContaining(folder) });
    await asNobody(base, folder, async () => {
      await expect(bucket.create("a/c", Buffer.alloc(1))).rejects.toEqual(denied);
      await expect(bucket.put("a/c", Buffer.alloc(1))).rejects.toEqual(denied);
      await expect(bucket.delete(["a/b"])).rejects.toEqual(denied);
      expect(() => openDirectoryBucket(path.join(folder, "new"))).toThrow(denied);
      expect((await openDirectoryBucket(folder).get("a/b"))?.bytes.toString()).toBe("b");
    });
  });
});
