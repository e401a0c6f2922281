// When a slot is checkpointed, and a large cell snapshotted: at each limit, and just below it.

import { describe, expect, test } from "vitest";
import { howToWrite, mostUrgent, type SlotChange, urgency } from "../../src/core/checkpointing.ts";
import {
  CHECKPOINT_BYTES_CHANGED,
  CHECKPOINT_DAY_MS,
  CHECKPOINT_PAUSE_MS,
  CHECKPOINT_RANGES,
  CHECKPOINT_SOON_MS,
  CLOCK_MARGIN_MS,
  LARGE_CELL_BYTES,
  SNAPSHOT_DELTA_BYTES,
} from "../../src/limits.ts";

const NOW = 1e12;
const LARGE = 64 * CHECKPOINT_BYTES_CHANGED;
const OLD = { bytes: LARGE, modifiedMs: NOW - 2 * CHECKPOINT_DAY_MS };
const change = (facts: Partial<SlotChange>): SlotChange => ({
  changedBytes: 1,
  sinceMs: NOW - 1,
  ranges: 1,
  checkpoint: OLD,
  ...facts,
});
const isDue = (facts: Partial<SlotChange>): boolean => urgency(change(facts), NOW) >= 1;

describe("a slot is checkpointed", () => {
  test("when half of it was logged, and a quarter of a megabyte at least", () => {
    expect(isDue({ changedBytes: LARGE / 2 })).toBe(true);
    expect(isDue({ changedBytes: LARGE / 2 - 1 })).toBe(false);
    expect(isDue({ changedBytes: CHECKPOINT_BYTES_CHANGED, checkpoint: undefined })).toBe(true);
    expect(isDue({ changedBytes: CHECKPOINT_BYTES_CHANGED - 1, checkpoint: { ...OLD, bytes: 10 } })).toBe(false);
  });

  test("after an hour when more than a sixteenth of it was logged", () => {
    const sinceMs = NOW - CHECKPOINT_SOON_MS;
    expect(isDue({ changedBytes: LARGE / 16 + 1, sinceMs })).toBe(true);
    expect(isDue({ changedBytes: LARGE / 16, sinceMs })).toBe(false);
    expect(isDue({ changedBytes: LARGE / 16 + 1, sinceMs: sinceMs + 1 })).toBe(false);
  });

  test("after a day when anything was logged, or earlier runs left something", () => {
    const sinceMs = NOW - CHECKPOINT_DAY_MS;
    expect(isDue({ sinceMs })).toBe(true);
    expect(isDue({ sinceMs: sinceMs + 1 })).toBe(false);
    expect(isDue({ sinceMs, changedBytes: 0 })).toBe(true);
    expect(isDue({ sinceMs: 0, changedBytes: 0, checkpoint: undefined })).toBe(true);
    expect(isDue({ sinceMs: undefined, changedBytes: 0, ranges: 0 })).toBe(false);
  });

  test("when it is read through too many ranges of logs", () => {
    expect(isDue({ ranges: CHECKPOINT_RANGES })).toBe(true);
    expect(isDue({ ranges: CHECKPOINT_RANGES - 1 })).toBe(false);
  });

  test("when it bears a time that has yet to come, for a clock was set back", () => {
    const ahead = { ...OLD, modifiedMs: NOW + CLOCK_MARGIN_MS + 1 };
    expect(isDue({ changedBytes: LARGE, checkpoint: ahead })).toBe(true);
    expect(isDue({ changedBytes: LARGE, checkpoint: { ...ahead, modifiedMs: NOW + CLOCK_MARGIN_MS } })).toBe(false);
    expect(isDue({ sinceMs: ahead.modifiedMs })).toBe(true);
    expect(isDue({ sinceMs: ahead.modifiedMs - 1 })).toBe(false);
  });

  test("never again so soon", () => {
    const lately = { ...OLD, modifiedMs: NOW - CHECKPOINT_PAUSE_MS + 1 };
    expect(isDue({ changedBytes: 1e9, ranges: 99, checkpoint: lately })).toBe(false);
    expect(isDue({ changedBytes: 1e9, checkpoint: { ...lately, modifiedMs: lately.modifiedMs - 1 } })).toBe(true);
  });

  test("before others that need it less", () => {
    const slots = [1, 2, 4, 3].map((n) => [n, change({ changedBytes: n * LARGE })] as const);
    expect(mostUrgent(slots, NOW)).toBe(4);
    expect(mostUrgent([[1, change({})]], NOW)).toBeUndefined();
  });
});

test("a large cell has a snapshot, and a new one when what has changed since is half as large", () => {
  expect(howToWrite({ bytes: LARGE_CELL_BYTES, deltaBytes: undefined })).toBe("whole");
  expect(howToWrite({ bytes: LARGE_CELL_BYTES, deltaBytes: 1e9 })).toBe("whole");
  expect(howToWrite({ bytes: LARGE_CELL_BYTES + 1, deltaBytes: undefined })).toBe("snapshot");
  const bytes = 4 * LARGE_CELL_BYTES;
  expect(howToWrite({ bytes, deltaBytes: bytes / 2 })).toBe("delta");
  expect(howToWrite({ bytes, deltaBytes: bytes / 2 + 1 })).toBe("snapshot");
  expect(LARGE_CELL_BYTES / 2).toBeGreaterThan(SNAPSHOT_DELTA_BYTES);
});
