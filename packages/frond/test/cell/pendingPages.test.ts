// The pages that wait for a cell's first record: they are kept while other captures use the buffer that they came from.

import { expect, test } from "vitest";
import { PendingPages } from "../../src/cell/commit.ts";
import { PageSet } from "../../src/codec/pages.ts";

const PAGE = 512;

/** A commit that writes `byte` all over each of its pages, captured into `buffer`. */
function capture(buffer: Buffer, numbers: readonly number[], byte: number): PageSet {
  const set = new PageSet();
  set.reset(buffer, PAGE);
  for (const [i, number] of numbers.entries()) {
    buffer.fill(byte, i * PAGE, (i + 1) * PAGE);
    set.put(number, i * PAGE);
  }
  return set;
}

function contentOf(set: PageSet): [number, number][] {
  return set.numbers.slice(0, set.count).map((number, i) => [number, set.source[set.offsets[i] as number] as number]);
}

test("pages that wait are copies: the next capture overwrites the buffer that they were read into", () => {
  const shared = Buffer.alloc(8 * PAGE);
  const pending = new PendingPages();
  pending.add(capture(shared, [1, 2, 3], 0xaa));
  pending.add(capture(shared, [3, 4], 0xbb));
  capture(shared, [1, 2, 3, 4, 5], 0xcc);
  const set = pending.take(PAGE, 4);
  expect(contentOf(set).sort()).toEqual([
    [1, 0xaa],
    [2, 0xaa],
    [3, 0xbb],
    [4, 0xbb],
  ]);
  expect(set.byteLength).toBe(4 * PAGE);
});

test("pages behind the end of the database are left out, and taken pages are gone", () => {
  const pending = new PendingPages();
  pending.add(capture(Buffer.alloc(4 * PAGE), [1, 2, 7], 1));
  expect(contentOf(pending.take(PAGE, 2)).map(([number]) => number)).toEqual([1, 2]);
  expect(pending.take(PAGE, 9).count).toBe(0);
});
