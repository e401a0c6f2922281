// Watermarks: what must have happened to the log before anybody hears of something.
//
// Rule (law 5): there is one per level that waits: `lsn` for the disk, `bucketLsn` for the bucket. A commit raises those of its
// cell as its level asks: `memory` none, `disk` the first, `bucket` both. They travel with what is told: a call brings the
// caller's to the callee, an answer or an error the callee's to the caller, so a cell that waits for little tells nothing
// early that it has heard from one that waits for more. Whatever leaves the node waits for both.
// Inside the node nothing waits: the log is one sequence, and what comes later is lost first.
// They are plain numbers that are compared and copied, because every call pays for them twice. Rejected: one watermark with
// a level beside it (what was heard at `disk` behind a commit at `bucket` would have to wait for the bucket, too).

import { FrondError } from "../errors.ts";
import type { Durability, Lsn } from "../types.ts";

/** What is to be waited for before this is told. */
export interface Watermarks {
  /** Everything before it must be on the disk. */
  lsn: Lsn;
  /** Everything before it must be in the bucket; never ahead of `lsn`. */
  bucketLsn: Lsn;
}

/** The levels, from the weakest to the strongest. */
export const DURABILITIES: readonly Durability[] = ["memory", "disk", "bucket"];

/** Whoever tells something has heard what `from` knows: it waits for that, too. */
export function hear(from: Watermarks, to: Watermarks): void {
  if (from.lsn > to.lsn) to.lsn = from.lsn;
  if (from.bucketLsn > to.bucketLsn) to.bucketLsn = from.bucketLsn;
}

/** What is told to `to` is behind `lsn` and waits as `level` asks. */
export function raise(to: Watermarks, level: Durability | undefined, lsn: Lsn): void {
  if (level === undefined || level === "memory") return;
  if (lsn > to.lsn) to.lsn = lsn;
  if (level === "bucket" && lsn > to.bucketLsn) to.bucketLsn = lsn;
}

/** The levels, for messages: `"memory", "disk" or "bucket"`. */
export const LEVELS = `"memory", "disk" or "bucket"`;

/** Throws BAD_OPTION for what is no level. */
export function checkLevel(what: string, level: unknown): asserts level is Durability {
  if (isLevel(level)) return;
  throw new FrondError("BAD_OPTION", `${what} is ${JSON.stringify(level)}; it can be ${LEVELS}`);
}

/** It is one of the levels. */
export function isLevel(level: unknown): level is Durability {
  return DURABILITIES.includes(level as Durability);
}
