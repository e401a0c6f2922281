// Parts of objects: where a range begins and ends, the same for every store.

import { assert } from "../assert.ts";
import type { ByteRange } from "./bucket.ts";

/** Where a range begins and ends in an object of `size` bytes. */
export function cut(size: number, range: ByteRange | undefined): { from: number; end: number } {
  if (range === undefined) return { from: 0, end: size };
  if ("last" in range) {
    assert(Number.isSafeInteger(range.last) && range.last >= 1, "a range asks for at least one byte");
    return { from: Math.max(0, size - range.last), end: size };
  }
  const { from, bytes } = range;
  assert(Number.isSafeInteger(from) && from >= 0, "a range begins inside an object");
  assert(Number.isSafeInteger(bytes) && bytes >= 1, "a range asks for at least one byte");
  return { from: Math.min(from, size), end: Math.min(from + bytes, size) };
}

/** Asserts that a range is one: whole numbers, and at least one byte. */
export function checkRange(range: ByteRange | undefined): void {
  cut(0, range);
}
