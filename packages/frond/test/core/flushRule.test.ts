// When a segment closes, and when writes are refused: at each limit, and just below it.

import { describe, expect, test } from "vitest";
import { flushRule, UploadLimit } from "../../src/core/flushRule.ts";
import { FLUSH_AWAITED_MS, FLUSH_MS, SEGMENT_BYTES, UPLOAD_QUEUE_BYTES } from "../../src/limits.ts";

describe("a segment closes", () => {
  test("never when it is empty", () => {
    expect(flushRule({ bytes: 0, since: 0, awaited: true }, 1e9)).toEqual({ do: "look again", inMs: Infinity });
  });

  test.for([
    [false, FLUSH_MS],
    [true, FLUSH_AWAITED_MS],
  ] as const)("some time after its first byte (awaited: %s)", ([awaited, ms]) => {
    const segment = { bytes: 1, since: 100, awaited };
    expect(flushRule(segment, 100)).toEqual({ do: "look again", inMs: ms });
    expect(flushRule(segment, 100 + ms - 1)).toEqual({ do: "look again", inMs: 1 });
    expect(flushRule(segment, 100 + ms)).toEqual({ do: "close" });
  });

  test("at once when it is full, or when somebody begins to wait for an old one", () => {
    expect(flushRule({ bytes: SEGMENT_BYTES, since: 0, awaited: false }, 0)).toEqual({ do: "close" });
    expect(flushRule({ bytes: SEGMENT_BYTES - 1, since: 0, awaited: false }, 0)).toMatchObject({ do: "look again" });
    expect(flushRule({ bytes: 1, since: 0, awaited: true }, FLUSH_AWAITED_MS + 300)).toEqual({ do: "close" });
  });
});

test("writes are refused at the limit, and taken again below nine tenths of it", () => {
  const limit = new UploadLimit();
  expect(limit.refuses(UPLOAD_QUEUE_BYTES - 1)).toBe(false);
  expect(limit.refuses(UPLOAD_QUEUE_BYTES)).toBe(true);
  expect(limit.refuses(UPLOAD_QUEUE_BYTES * 0.95)).toBe(true);
  expect(limit.refuses(UPLOAD_QUEUE_BYTES * 0.9 - 1)).toBe(false);
  expect(limit.refuses(UPLOAD_QUEUE_BYTES * 0.95)).toBe(false);
  expect(new UploadLimit(10).refuses(10)).toBe(true);
});
