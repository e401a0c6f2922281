// What may leave the bucket, and what has to be done first.
//
// Rules.
// - One can go back to any moment within the retention. For that each slot keeps its checkpoints of that time and one that is
//   older, its base; and of the logs everything that is not covered by the base of its slot. A slot without a base keeps all.
// - A part of a log is spent when all that is in it is: every record of every slot. It is looked into: no list of who needs
//   what has to be right for nothing to be lost.
// - Logs are cut from below and nowhere else. The base of a log is raised, durably, before anything below it goes: whoever
//   creates a number that was there, late, reads the base and knows that it is void.
// - The last number of a log stays: it tells where the log has ended, or goes on. A seal is never removed, for it is the last.
// - Snapshots go when no checkpoint that stays names them, and the base of their slot is so much younger than they are that
//   whatever record may name them is in it.
// - Of the records of a slot the newest stays. Those before it stay for a while: who has just read one is to find it.
// - Ages are judged by one clock, the store's, and by the commits' own times.
// Rejected: reference counts, and lists of what is needed (they have to be right at every moment, and are one more thing to
// write), keeping only the newest checkpoint (then one can go back no further than it).

import { SLOT_RECORD_KEEP_MS, SNAPSHOT_KEEP_MS } from "../limits.ts";
import type { Epoch, Seq, Slot } from "../types.ts";
import type { Covered } from "./claiming.ts";

/** An object in a listing; `modifiedMs` by the store's clock. */
export interface Aged {
  readonly key: string;
  readonly modifiedMs: number;
}

/** How old a thing may be. Times in ms. */
export interface RetentionMoment {
  /** By the store's clock. */
  readonly now: number;
  readonly retentionMs: number;
}

/** The newest checkpoint that is older than the retention. `checkpoints`: those of a slot, the oldest first. */
export function slotBase<C extends Aged & Covered>(
  checkpoints: readonly C[],
  { now, retentionMs }: RetentionMoment,
): C | undefined {
  return checkpoints.findLast(({ modifiedMs }) => modifiedMs <= now - retentionMs);
}

/** The checkpoints in front of the base. */
export function oldCheckpoints<C extends Aged & Covered>(checkpoints: readonly C[], base: C | undefined): readonly C[] {
  return base === undefined ? [] : checkpoints.slice(0, checkpoints.indexOf(base));
}

/** The records of a slot, the oldest first, that a newer one has replaced for a while. */
export function oldRecords(records: readonly Aged[], { now }: RetentionMoment): readonly Aged[] {
  return records.filter((_, i) => {
    const next = records[i + 1];
    return next !== undefined && next.modifiedMs <= now - SLOT_RECORD_KEEP_MS;
  });
}

/** What a part of a log holds. */
export interface LogContent {
  /** Segments below this number are in it. */
  readonly to: Seq;
  /** The highest epoch of each slot of which it holds records. */
  readonly epochs: ReadonlyMap<Slot, Epoch>;
  /** Time of the latest commit in it, in ms since 1970. */
  readonly lastMs: number;
}

/** Nobody needs this part of a log any more, neither for what is nor to go back. */
export function isSpent(
  { to, epochs, lastMs }: LogContent,
  bases: ReadonlyMap<Slot, Covered>,
  { now, retentionMs }: RetentionMoment,
): boolean {
  if (lastMs > now - retentionMs) return false;
  for (const [slot, epoch] of epochs) {
    const base = bases.get(slot);
    if (base === undefined || base.epoch < epoch || (base.epoch === epoch && base.seq < to)) return false;
  }
  return true;
}

/** Up to where the base of a log may be raised: behind spent parts, and to no number that is not there. */
export function highestBase(spentTo: Seq, numbers: readonly Seq[]): Seq {
  return Math.min(spentTo, numbers.at(-1) ?? 1) as Seq;
}

/** The snapshots of a slot that nobody needs. `named`: those that its checkpoints name; `base`: its base checkpoint. */
export function oldSnapshots(
  snapshots: readonly Aged[],
  named: ReadonlySet<string>,
  base: Aged | undefined,
): readonly Aged[] {
  if (base === undefined) return [];
  const oldest = base.modifiedMs - SNAPSHOT_KEEP_MS;
  return snapshots.filter(({ key, modifiedMs }) => !named.has(key) && modifiedMs <= oldest);
}
