// A cell of forty megabytes in the bucket: its snapshot, what has changed since in the checkpoint of its slot, and the file
// made anew from both; in pieces, so that nothing holds the whole of it.

import fs from "node:fs";
import path from "node:path";
import { expect, test } from "vitest";
import type { Bucket } from "../../src/bucket/bucket.ts";
import { FETCH_BYTES, MERGED_RECORD_BYTES } from "../../src/limits.ts";
import { fetchCell } from "../../src/store/fetch.ts";
import { temporaryDirectory } from "../cell/nodes.ts";
import { LargeCell, PAGE } from "./largeCell.ts";

const PAGES = (40 * 1024 * 1024) / PAGE;
/** A record has page numbers and addresses besides its pages. */
const RECORD_BYTES = MERGED_RECORD_BYTES + MERGED_RECORD_BYTES / 16;

test("a large cell is snapshotted, changed, checkpointed and made anew", { timeout: 60_000 }, async () => {
  const folder = temporaryDirectory();
  const largest = { get: 0, chunk: 0 };
  const cell = await LargeCell.open(folder, PAGES, (bucket) => watched(bucket, largest));
  await cell.write({ snapshot: true });
  const keys = await cell.keys();
  expect(keys.filter((key) => /^cell\/0003\/n%2flarge\/\d{10}-\d{16}$/.test(key))).toHaveLength(1);
  await same(cell, folder);

  await cell.change(200);
  await cell.write({ snapshot: false });
  expect(await cell.keys()).toHaveLength(keys.length + 2);
  await same(cell, folder);
  const { places, base } = await cell.indexed();
  expect(base).toBeDefined();
  expect(places).toHaveLength(1);

  expect(largest.get).toBeLessThanOrEqual(FETCH_BYTES + 2 * RECORD_BYTES);
  expect(largest.chunk).toBeLessThanOrEqual(RECORD_BYTES);
  expect(fs.readdirSync(path.join(folder, "tmp"))).toEqual([]);
});

test("a page that is nowhere is not passed over", async () => {
  const cell = await LargeCell.open(temporaryDirectory(), 3_000, (bucket) => bucket);
  await cell.leaveOut();
  await expect(cell.write({ snapshot: true })).rejects.toMatchObject({ code: "CELL_DAMAGED" });
  await expect(cell.write({ snapshot: false, whole: true })).rejects.toMatchObject({ code: "CELL_DAMAGED" });
  expect((await cell.keys()).filter((key) => key.startsWith("cell/"))).toEqual([]);
});

async function same(cell: LargeCell, folder: string): Promise<void> {
  const file = path.join(folder, "cells", "made.db");
  const found = await cell.indexed();
  const { address, pageSize, pageCount } = found.entry;
  const places = await cell.indexes.placesOf(found);
  await fetchCell(cell.bucket, { address, pageSize, pageCount, places }, file);
  expect(fs.readFileSync(file).equals(fs.readFileSync(cell.file))).toBe(true);
}

/** The largest part that was read, and the largest chunk of a stream. */
function watched(bucket: Bucket, largest: { get: number; chunk: number }): Bucket {
  return {
    url: bucket.url,
    create: (...call) => bucket.create(...call),
    async get(key, ...rest) {
      const found = await bucket.get(key, ...rest);
      largest.get = Math.max(largest.get, found?.bytes.length ?? 0);
      return found;
    },
    async put(key, content, ...rest) {
      if (content instanceof Uint8Array) throw new Error("a large object is streamed");
      await bucket.put(key, measured(content, largest), ...rest);
    },
    list: (...call) => bucket.list(...call),
    delete: (...call) => bucket.delete(...call),
    close: () => bucket.close(),
  };
}

async function* measured(chunks: AsyncIterable<Uint8Array>, largest: { chunk: number }): AsyncGenerator<Uint8Array> {
  for await (const chunk of chunks) {
    largest.chunk = Math.max(largest.chunk, chunk.length);
    yield chunk;
  }
}
