// Which objects hold a part of a run's log: packs where there are some, segments elsewhere.
//
// Rule: the key of a pack states the segments that were merged in it, so a listing of packs is all that a reader has to know.
// From where it stands it takes the pack that holds that segment and reaches furthest, else the segment itself. A pack may
// begin before: what it merges of earlier segments the reader has met already, and a merged record says how its cell stands
// in the end, so nothing changes by it.
// Rejected: a manifest (one more object to keep in step with the others, and the only one that would be overwritten).

import { createHash } from "node:crypto";
import type { Bucket, BucketCall } from "../bucket/bucket.ts";
import { logKey, logPrefix, packKey, packPrefix, parseLogKey, parsePackKey } from "../bucket/objectKeys.ts";
import { INTENT_BYTES } from "../codec/object.ts";
import type { RunId, Seq } from "../types.ts";

/** Segments of one run: numbers `from` up to but without `to`. */
export interface SeqRange {
  readonly from: Seq;
  readonly to: Seq;
}

/** A pack in a listing, or a segment. */
export interface ListedPack extends SeqRange {
  /** Bytes of the object. */
  readonly bytes: number;
}

/** One object of a run, and what it holds. */
export interface Part extends SeqRange {
  readonly kind: "segment" | "pack";
  readonly key: string;
  readonly run: RunId;
}

/**
 * The objects that hold `range`, in the order in which they are read. `furthest`: no pack that reaches beyond it is taken;
 * by default the end of the range. A pack in use must not hold more of the run's log than counts.
 */
export function cover(run: RunId, packs: readonly SeqRange[], range: SeqRange, furthest = range.to): Part[] {
  const parts: Part[] = [];
  for (let at = range.from; at < range.to;) {
    let best: SeqRange | undefined;
    for (const pack of packs) {
      if (pack.from > at || pack.to <= at || pack.to > furthest) continue;
      if (best === undefined || pack.to > best.to || (pack.to === best.to && pack.from > best.from)) best = pack;
    }
    const next = best ?? { from: at, to: (at + 1) as Seq };
    const key = best === undefined ? logKey(run, at) : packKey(run, best.from, best.to);
    parts.push({ kind: best === undefined ? "segment" : "pack", key, run, from: next.from, to: next.to });
    at = next.to;
  }
  return parts;
}

/** The packs that another one holds whole: nobody needs them. */
export function superseded<P extends SeqRange>(packs: readonly P[]): P[] {
  return packs.filter((pack) =>
    packs.some(
      (other) => other.from <= pack.from && other.to >= pack.to && other.to - other.from > pack.to - pack.from,
    ),
  );
}

/** The intent of a pack names what it holds: two that want the same pack want the same object, and no other one passes for it. */
export function intentOfPack(run: RunId, { from, to }: SeqRange): Uint8Array {
  const hash = createHash("sha256").update(`pack ${run} ${from}-${to}`).digest();
  return hash.subarray(0, INTENT_BYTES);
}

const PAGE = 1000;

/** Lists the packs of a run, in the order of their beginning. */
export async function listPacks(bucket: Bucket, run: RunId, call: BucketCall = {}): Promise<ListedPack[]> {
  const prefix = packPrefix(run);
  const packs: ListedPack[] = [];
  for (let after: string | undefined; ;) {
    const page = await bucket.list(prefix, after, PAGE, call);
    for (const { key, size } of page) {
      const range = parsePackKey(run, key);
      if (range !== undefined) packs.push({ ...range, bytes: size });
    }
    if (page.length < PAGE) return packs;
    after = page.at(-1)?.key;
  }
}

/** Lists the segments of a run in `range`, which ends before its seal; those that were cleaned up are not there. */
export async function listSegments(
  bucket: Bucket,
  run: RunId,
  range: SeqRange,
  call: BucketCall = {},
): Promise<ListedPack[]> {
  const segments: ListedPack[] = [];
  for (let after = logKey(run, (range.from - 1) as Seq); ;) {
    const page = await bucket.list(logPrefix(run), after, PAGE, call);
    for (const { key, size } of page) {
      const found = parseLogKey(run, key);
      if (found === undefined || !("seq" in found)) continue;
      if (found.seq >= range.to) return segments;
      segments.push({ from: found.seq, to: (found.seq + 1) as Seq, bytes: size });
    }
    const last = page.at(-1);
    if (page.length < PAGE || last === undefined) return segments;
    after = last.key;
  }
}
