// A run's log as it stands in the bucket: which numbers are there, and what is in them.
//
// Rule: what a listing shows may be behind what is there, never ahead of it; who must be sure creates. Keys that are not
// frond's are passed over.

import type { Bucket } from "../bucket/bucket.ts";
import { logPrefix, parseLogKey } from "../bucket/objectKeys.ts";
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
  const prefix = logPrefix(run);
  const seqs: Seq[] = [];
  let base = 1 as Seq;
  for (let after: string | undefined; ;) {
    const page = await bucket.list(prefix, after, PAGE);
    for (const { key } of page) {
      const found = parseLogKey(run, key);
      if (found === undefined) continue;
      if ("seq" in found) seqs.push(found.seq);
      else if (found.base > base) base = found.base;
    }
    if (page.length < PAGE) break;
    after = page.at(-1)?.key;
  }
  return { base, seqs: seqs.filter((seq) => seq >= base) };
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
