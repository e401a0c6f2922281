// Little-endian numbers in bytes, for all formats of frond.
//
// Rule: a 64-bit field holds a safe integer and travels as two 32-bit halves. A reader that meets a larger one says so
// and never rounds it. Rejected: BigInt (an allocation for each field, on the way of every commit).

import { assert } from "../assert.ts";

const WORD = 2 ** 32;
const MAX_HIGH = 2 ** 21 - 1;

/** What {@link getU64} gives for a number above 2^53 - 1. */
export const UNSAFE = -1;

/** Writes a safe integer from 0. Anything else is a broken invariant. */
export function putU64(view: DataView, at: number, value: number): void {
  assert(value >= 0 && Number.isSafeInteger(value), "a 64-bit field holds a safe integer from 0");
  view.setUint32(at, value >>> 0, true);
  view.setUint32(at + 4, Math.floor(value / WORD), true);
}

/** Reads a safe integer, or UNSAFE. */
export function getU64(view: DataView, at: number): number {
  const high = view.getUint32(at + 4, true);
  return high > MAX_HIGH ? UNSAFE : high * WORD + view.getUint32(at, true);
}

/** `bytes` rounded up to whole 32-bit words. */
export function padded(bytes: number): number {
  return (bytes + 3) & ~3;
}

let lastBuffer: ArrayBufferLike | undefined;
let lastView: DataView = new DataView(new ArrayBuffer(0));

/**
 * A view of all of `buffer`, for writers: offsets in it start at the buffer and not at the bytes of a Buffer in it, so
 * the writer adds `byteOffset` and checks the bounds itself. The newest view is kept: records go one after the other
 * into the same buffer, and making a view costs as much as writing a header.
 */
export function wholeView(buffer: ArrayBufferLike): DataView {
  if (buffer !== lastBuffer) {
    lastView = new DataView(buffer);
    lastBuffer = buffer;
  }
  return lastView;
}
