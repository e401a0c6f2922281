// Files of a node with a bucket: they lie there, and an empty disk reads them; on a real S3 server too.

import fs from "node:fs";
import path from "node:path";
import { describe, expect, test } from "vitest";
import { openBucket } from "../../src/bucket/open.ts";
import { Cell } from "../../src/cell/cell.ts";
import type { StoredFile } from "../../src/cell/files.ts";
import { BUCKET_PART_BYTES } from "../../src/limits.ts";
import type { BucketSpec } from "../../src/server/persist/bucketTalk.ts";
import { need } from "../../../../test-support/need.ts";
import { makeS3Place } from "../bucket/s3Store.ts";
import { openIn, temporaryDirectory } from "../cell/nodes.ts";

class Box extends Cell {
  async put(bytes: Uint8Array): Promise<StoredFile> {
    return this.files.put(bytes);
  }
  async bytes(hash: string): Promise<Uint8Array | undefined> {
    const file = await this.files.get(hash);
    return file && new Uint8Array(await file.arrayBuffer());
  }
}

const cells = { box: Box };
const TTL = 3_000;
// Small ones go up whole, large ones in parts.
const contents = [Buffer.from("small"), Buffer.alloc(2 * BUCKET_PART_BYTES + 77, "large file "), Buffer.alloc(0)];

async function throughAnEmptyDisk(bucket: BucketSpec): Promise<void> {
  const first = await openIn(temporaryDirectory(), cells, { bucket, ttlMs: TTL });
  const stored: StoredFile[] = [];
  for (const content of contents) stored.push(await first.get(Box, "a").put(content));
  expect(first.node.files.counts()).toMatchObject({ put: 3, list: 3, get: 0, bytesUp: 2 * BUCKET_PART_BYTES + 82 });
  expect(fs.existsSync(path.join(first.directory, "bucket"))).toBe(false);
  await first.node.stop();
  fs.rmSync(first.directory, { recursive: true });

  const second = await openIn(temporaryDirectory(), cells, { bucket, ttlMs: TTL });
  for (const [i, { hash, size }] of stored.entries()) {
    const bytes = await second.get(Box, "a").bytes(hash);
    expect([i, size, Buffer.compare(bytes as Uint8Array, contents[i] as Buffer)]).toEqual([i, bytes?.length, 0]);
  }
  const archive = path.join(second.directory, "a.tar");
  expect(await second.node.control.exportTo("box/a", archive)).toMatchObject({ files: 3 });
  const { url, ...options } = bucket;
  const open = await openBucket(url, options);
  expect((await open.list("files/")).map(({ key }) => key)).toEqual(
    stored.map(({ hash }) => `files/${hash}`).toSorted(),
  );
  await open.close();
}

test("files lie in the bucket of the node, and an empty disk reads them", async () => {
  await throughAnEmptyDisk({ url: `dir:${path.join(temporaryDirectory(), "bucket")}` });
});

test("those of a directory that had no bucket are there when it gets the one inside of it", async () => {
  const first = await openIn(temporaryDirectory(), cells);
  const { hash } = await first.get(Box, "a").put(Buffer.from("before"));
  await first.node.stop();
  const second = await openIn(first.directory, cells, { bucket: "as before", ttlMs: TTL });
  expect(Buffer.from((await second.get(Box, "a").bytes(hash)) as Uint8Array).toString()).toBe("before");
});

describe.skipIf(need("radosgw") === undefined)("with radosgw", () => {
  test("files are objects of the store, large ones in parts", async () => {
    const { url, options } = await makeS3Place();
    await throughAnEmptyDisk({ url, ...options });
  });
});
