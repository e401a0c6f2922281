// How the index of a slot is read: what is asked of the bucket side by side.

import { expect, test } from "vitest";
import type { Bucket } from "../../src/bucket/bucket.ts";
import { temporaryDirectory } from "../cell/nodes.ts";
import { LargeCell } from "../store/largeCell.ts";

/** A bucket that is asked through `get`. */
function asking(inner: Bucket, get: Bucket["get"]): Bucket {
  return {
    url: inner.url,
    get,
    create: (...call) => inner.create(...call),
    put: (...call) => inner.put(...call),
    list: (...call) => inner.list(...call),
    delete: (...call) => inner.delete(...call),
    close: () => inner.close(),
  };
}

test("what came behind a checkpoint is asked for beside it", { timeout: 10_000 }, async () => {
  let logAsked = Promise.withResolvers<void>();
  const cell = await LargeCell.open(temporaryDirectory(), 3, (inner) =>
    asking(inner, async (key, ...call) => {
      if (key.startsWith("log/")) logAsked.resolve();
      if (key.includes("/@checkpoint/")) await logAsked.promise;
      return inner.get(key, ...call);
    }),
  );
  await cell.write({ snapshot: false, whole: true });
  await cell.change(1);
  logAsked = Promise.withResolvers();
  const found = await cell.indexed();
  expect(found.entry.txid).toBe(2);
  expect(found.places).toHaveLength(2);
  await cell.bucket.close();
});
