// A run's log as it stands in the bucket: which numbers are there, and what is in them.
//
// Rule: what a listing shows may be behind what is there, never ahead of it; who must be sure creates. Keys that are not
// frond's are passed over.

import type { Bucket } from "../bucket/bucket.ts";
import { logKey, logPrefix, parseLogKey } from "../bucket/objectKeys.ts";
import { decodeObjectHeader, OBJECT_HEADER_BYTES, type ObjectHeader } from "../codec/object.ts";
import { decodeFooter, type Footer, footerIn, locateFooter } from "../codec/objectReader.ts";
import { FrondError } from "../errors.ts";
import { FOOTER_READ_BYTES } from "../limits.ts";
import type { RunId, Seq } from "../types.ts";

/** The numbers of a run's log that are in the bucket. */
export interface RunLog {
  /** Numbers below it were cleaned up. At least 1. */
  readonly base: Seq;
  /** Rising; segments, and perhaps the seal. */
  readonly seqs: readonly Seq[];
}

const PAGE = 1000;

/** Lists a run's log. */
export async function listRunLog(bucket: Bucket, run: RunId): Promise<RunLog> {
  const seqs: Seq[] = [];
  const rest = await listOn(bucket, run, undefined, seqs);
  return { base: rest, seqs: seqs.filter((seq) => seq >= rest) };
}

/**
 * The end of a run's log: its last numbers, up to a page of them, in a few requests however long it is. Where the log is longer `base`
 * is the first of them, and what is in front of it was not looked at: a log has no gaps.
 */
export async function endOfRunLog(bucket: Bucket, run: RunId): Promise<RunLog> {
  let low = await pageOf(bucket, run, undefined);
  if (!goesOn(low)) return listedFrom(bucket, run, low, false);
  // Steps that double, until one goes beyond the end; then halves of what is left.
  let beyond: Seq | undefined;
  for (let step = PAGE; ;) {
    const at = ((low.seqs.at(-1) as Seq) + step) as Seq;
    const page = await pageOf(bucket, run, at);
    if (goesOn(page)) low = page;
    else if (page.seqs.length > 0) return listedFrom(bucket, run, page, true);
    else if (step === 0) return listedFrom(bucket, run, { ...page, seqs: low.seqs }, true);
    else beyond = at;
    step = beyond === undefined ? step * 2 : Math.floor((beyond - (low.seqs.at(-1) as Seq)) / 2);
  }
}

interface Page {
  readonly seqs: readonly Seq[];
  readonly bases: readonly Seq[];
  /** The key to list on from; undefined: there is no more. */
  readonly next: string | undefined;
}

/** The numbers of a log behind one of them; its bases stand behind all numbers. */
async function pageOf(bucket: Bucket, run: RunId, after: Seq | undefined): Promise<Page> {
  const page = await bucket.list(logPrefix(run), after && logKey(run, after), PAGE);
  const [seqs, bases]: Seq[][] = [[], []];
  for (const { key } of page) {
    const found = parseLogKey(run, key);
    if (found !== undefined && "seq" in found) seqs?.push(found.seq);
    else if (found !== undefined) bases?.push(found.base);
  }
  return { seqs: seqs ?? [], bases: bases ?? [], next: page.length < PAGE ? undefined : page.at(-1)?.key };
}

/** Further numbers may stand behind the page. */
function goesOn({ seqs, bases, next }: Page): boolean {
  return next !== undefined && bases.length === 0 && seqs.length > 0;
}

async function listedFrom(bucket: Bucket, run: RunId, page: Page, skipped: boolean): Promise<RunLog> {
  const seqs = [...page.seqs];
  const rest = page.next === undefined ? 1 : await listOn(bucket, run, page.next, seqs);
  const base = Math.max(rest, ...page.bases, skipped ? (page.seqs[0] as Seq) : 1) as Seq;
  return { base, seqs: seqs.filter((seq) => seq >= base) };
}

/** Lists a log to its end: adds its numbers to `seqs`, tells its base. */
async function listOn(bucket: Bucket, run: RunId, from: string | undefined, seqs: Seq[]): Promise<Seq> {
  let base = 1 as Seq;
  for (let after = from; ;) {
    const page = await bucket.list(logPrefix(run), after, PAGE);
    for (const { key } of page) {
      const found = parseLogKey(run, key);
      if (found === undefined) continue;
      if ("seq" in found) seqs.push(found.seq);
      else if (found.base > base) base = found.base;
    }
    if (page.length < PAGE) return base;
    after = page.at(-1)?.key;
  }
}

/** The base of a run's log, and all that were ever raised and are still there. */
export async function listBases(
  bucket: Bucket,
  run: RunId,
): Promise<{ readonly base: Seq; readonly bases: readonly Seq[] }> {
  const bases: Seq[] = [];
  for (const { key } of await bucket.list(`${logPrefix(run)}base-`)) {
    const found = parseLogKey(run, key);
    if (found !== undefined && "base" in found) bases.push(found.base);
  }
  return { base: Math.max(1, ...bases) as Seq, bases };
}

/** What the object says it is; undefined when it is not there. Throws OBJECT_DAMAGED, OBJECT_NEWER. */
export async function readHeader(bucket: Bucket, key: string): Promise<ObjectHeader | undefined> {
  const found = await bucket.get(key, { from: 0, bytes: OBJECT_HEADER_BYTES });
  return found && decodeObjectHeader(found.bytes, key);
}

/** The footer of an object, by one request or, where it is long, two; undefined when it is not there. Throws OBJECT_DAMAGED, OBJECT_NEWER. */
export async function readFooter(bucket: Bucket, key: string): Promise<Footer | undefined> {
  const tail = await bucket.get(key, { last: FOOTER_READ_BYTES });
  if (tail === undefined) return undefined;
  const trailer = locateFooter(tail.bytes, tail.size, key);
  const near = footerIn(tail.bytes, tail.size, trailer);
  if (near !== undefined) return decodeFooter(near, trailer, key);
  const whole = await bucket.get(key, { from: trailer.from, bytes: trailer.bytes });
  if (whole === undefined) throw new FrondError("OBJECT_DAMAGED", `${key} is gone from ${bucket.url}`);
  return decodeFooter(whole.bytes, trailer, key);
}
