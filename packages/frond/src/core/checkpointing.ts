// When a slot is checkpointed, and when a large cell in it is snapshotted anew.
//
// Rules.
// - A checkpoint writes the slot again: it is due when so much has changed that this is worth it, sooner or later when little
//   has, and at the latest after a day: what is behind it keeps segments from going, and a slot is read through it.
// - What came from earlier runs counts as changed since the last checkpoint: how much it is nobody knows, and that it is read
//   again at every start is reason enough, once a day has passed or the ranges are many.
// - One slot after another, the most overdue first; no slot again so soon that its checkpoints cost more than its log.
// - A large cell is not written again with its slot. Its snapshot is, when what has changed since is half as large.
// Rejected: checkpoints by time alone (a busy slot is then read through a day of changes, an idle one written for nothing).

import {
  CHECKPOINT_BYTES_CHANGED,
  CHECKPOINT_DAY_MS,
  CHECKPOINT_PAUSE_MS,
  CHECKPOINT_RANGES,
  CHECKPOINT_SOON_MS,
  CLOCK_MARGIN_MS,
  LARGE_CELL_BYTES,
  SNAPSHOT_DELTA_BYTES,
} from "../limits.ts";

/** Share of a checkpoint's size that has to change before the next is due, and after an hour. */
const SHARE = 1 / 2;
const SHARE_SOON = 1 / 16;

/** What is known of a slot. Times in ms since 1970. */
export interface SlotChange {
  /** Bytes of the records behind the newest checkpoint, as far as they were counted. */
  readonly changedBytes: number;
  /** Time of the first of them, or of the checkpoint when they are an earlier run's; undefined: there are none. */
  readonly sinceMs: number | undefined;
  /** Ranges of logs behind the checkpoint. Count. */
  readonly ranges: number;
  /** The newest checkpoint; undefined: there is none. */
  readonly checkpoint: { readonly bytes: number; readonly modifiedMs: number } | undefined;
}

/** How overdue a checkpoint is: 1 and above, it is due; higher is more urgent. */
export function urgency({ changedBytes, sinceMs, ranges, checkpoint }: SlotChange, now: number): number {
  if (sinceMs === undefined) return 0;
  if (checkpoint !== undefined && ageOf(checkpoint.modifiedMs, now) < CHECKPOINT_PAUSE_MS) return 0;
  const size = checkpoint?.bytes ?? 0;
  const age = ageOf(sinceMs, now);
  const byBytes = changedBytes / Math.max(CHECKPOINT_BYTES_CHANGED, size * SHARE);
  const soon = changedBytes > size * SHARE_SOON ? age / CHECKPOINT_SOON_MS : 0;
  const byAge = Math.max(soon, age / CHECKPOINT_DAY_MS);
  return Math.max(byBytes, byAge, ranges / CHECKPOINT_RANGES);
}

/** What bears a time that has yet to come is from before a clock was set back: it may be as old as can be. */
function ageOf(ms: number, now: number): number {
  return ms > now + CLOCK_MARGIN_MS ? CHECKPOINT_DAY_MS : now - ms;
}

/** The slot that needs a checkpoint most; undefined: none does. */
export function mostUrgent<S>(slots: Iterable<readonly [S, SlotChange]>, now: number): S | undefined {
  let most: S | undefined;
  let highest = 0;
  for (const [slot, change] of slots) {
    const its = urgency(change, now);
    if (its < 1 || its <= highest) continue;
    most = slot;
    highest = its;
  }
  return most;
}

/** A cell in a checkpoint that is being written. */
export interface CellSize {
  /** Bytes of the cell. */
  readonly bytes: number;
  /** Bytes of its records behind its snapshot; undefined: it has none. */
  readonly deltaBytes: number | undefined;
}

/** What counts as large, in bytes; others in tests. */
export interface LargeSizes {
  readonly cell: number;
  readonly delta: number;
}

const LARGE: LargeSizes = { cell: LARGE_CELL_BYTES, delta: SNAPSHOT_DELTA_BYTES };

/** `whole`: with all its pages; `snapshot`: one is written first; `delta`: what has changed since the one that it has. */
export function howToWrite({ bytes, deltaBytes }: CellSize, large = LARGE): "whole" | "snapshot" | "delta" {
  if (bytes <= large.cell) return "whole";
  if (deltaBytes === undefined) return "snapshot";
  return deltaBytes > Math.max(bytes / 2, large.delta) ? "snapshot" : "delta";
}
