// What is merged with what, and when: the packs of a run.
//
// Rules.
// - A run packs its segments 32 at a time, or what there is of them when it waited for a minute: a reader then meets at most
//   31 segments. One alone is left as it is.
// - Four neighbouring packs of one level are merged into one of the next. A level is a power of four of segments. A pack in
//   front of larger ones counts as one of theirs: else small ones in between would keep four from ever standing side by side.
//   So a run has at most three packs of a level, and each record is written again once for each level.
// - What would not fit into one object stays apart: an object is created whole, and who merges holds it in memory.
// Rejected: a manifest that says what the levels are (the keys say it), packs by size (the count of objects is what a reader
// pays for; bytes are bounded by checkpoints), one pack of everything (each record would be written as often as there are packs).

import { MAX_PACK_BYTES, PACK_AFTER_MS, PACK_FAN_IN, PACK_SEGMENTS } from "../limits.ts";
import type { Seq } from "../types.ts";

/** A part of a run's log in one object. */
export interface PackPart {
  /** Segments `from` up to but without `to`. */
  readonly from: Seq;
  readonly to: Seq;
  /** Bytes of the object. */
  readonly bytes: number;
}

/** What there is of a run in the bucket. */
export interface RunParts {
  /** Its packs without those that another one holds whole, in the order of their beginning. */
  readonly packs: readonly PackPart[];
  /** The segments behind the last pack, rising. */
  readonly segments: readonly PackPart[];
  /** Segments are packed however few they are, if they are more than one. */
  readonly rest: boolean;
}

/**
 * The parts that are to be merged next, in order; undefined: nothing is. `tooLarge`: they did not fit into one object when it
 * was tried.
 */
export function nextPack(
  run: RunParts,
  tooLarge: (from: Seq, to: Seq) => boolean = () => false,
): readonly PackPart[] | undefined {
  return nextSegments(run, tooLarge) ?? nextMerge(run.packs, tooLarge);
}

function nextSegments(
  { segments, rest }: RunParts,
  tooLarge: (from: Seq, to: Seq) => boolean,
): readonly PackPart[] | undefined {
  for (let at = 0; at < segments.length; at++) {
    const some = fitting(segments, at, PACK_SEGMENTS);
    // More would fit, and may come.
    if (!rest && at + some.length === segments.length && some.length < PACK_SEGMENTS) return undefined;
    // Half of what does not fit may fit.
    for (let parts = some; parts.length > 1; parts = parts.slice(0, (parts.length + 1) >> 1)) {
      if (!tooLarge(fromOf(parts), toOf(parts))) return parts;
    }
  }
  return undefined;
}

/** As many parts from `at` on as stand side by side and fit into one object, at most `most`. */
function fitting(parts: readonly PackPart[], at: number, most: number): readonly PackPart[] {
  let end = at;
  for (let bytes = 0; end < parts.length && end - at < most; end++) {
    const part = parts[end] as PackPart;
    bytes += part.bytes;
    if (end > at && (bytes > MAX_PACK_BYTES || part.from !== parts[end - 1]?.to)) break;
  }
  return parts.slice(at, end);
}

function nextMerge(
  packs: readonly PackPart[],
  tooLarge: (from: Seq, to: Seq) => boolean,
): readonly PackPart[] | undefined {
  const levels = levelsOf(packs);
  // The lowest level first: it is the last in the row, and what it gives may be the fourth of the next.
  for (let at = packs.length - PACK_FAN_IN; at >= 0; at--) {
    // The first of its level, as far as four are left behind it.
    if (levels[at - 1] === levels[at] && isMergeable(packs, levels, at - 1, tooLarge)) continue;
    if (isMergeable(packs, levels, at, tooLarge)) return packs.slice(at, at + PACK_FAN_IN);
  }
  return undefined;
}

function isMergeable(
  packs: readonly PackPart[],
  levels: readonly number[],
  at: number,
  tooLarge: (from: Seq, to: Seq) => boolean,
): boolean {
  const some = fitting(packs, at, PACK_FAN_IN);
  if (some.length < PACK_FAN_IN || levels[at] !== levels[at + PACK_FAN_IN - 1]) return false;
  return !tooLarge(fromOf(some), toOf(some));
}

/** The level of each pack, falling from the left to the right. */
function levelsOf(packs: readonly PackPart[]): number[] {
  const levels = packs.map(({ from, to }) => Math.floor(Math.log(to - from) / Math.log(PACK_FAN_IN) + 1e-9));
  for (let i = levels.length - 2; i >= 0; i--) levels[i] = Math.max(levels[i] as number, levels[i + 1] as number);
  return levels;
}

function fromOf(parts: readonly PackPart[]): Seq {
  return (parts[0] as PackPart).from;
}

function toOf(parts: readonly PackPart[]): Seq {
  return (parts.at(-1) as PackPart).to;
}

/** Tells when the segments of a run that goes on are packed. One per run. */
export class PackRule {
  #packed = 1 as Seq;
  #since: number | undefined;

  /** The run's next number is `next`. `now` in ms of whichever clock. */
  look(next: Seq, now: number): "rest" | "full ones" | "nothing" {
    const open = next - this.#packed;
    if (open < 2) return "nothing";
    this.#since ??= now;
    if (now - this.#since >= PACK_AFTER_MS) return "rest";
    return open >= PACK_SEGMENTS ? "full ones" : "nothing";
  }

  /** Everything below `to` was packed, or looked at. */
  packed(to: Seq): void {
    if (to > this.#packed) this.#since = undefined;
    this.#packed = Math.max(this.#packed, to) as Seq;
  }
}
