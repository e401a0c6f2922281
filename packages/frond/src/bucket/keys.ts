// Keys of objects: what may be one, and their order.
//
// Rule: a key is text that every store, every file system and every listing in XML gives back as it was: parts between
// slashes, none of them empty, `.` or `..`, without control characters, of bounded length. No key is the folder of another
// (`a` and `a/b`): an object store would take both, a directory cannot.
// The order of keys is that of their UTF-8 bytes, which is what S3 lists in; JavaScript compares UTF-16 units instead.

import { FrondError } from "../errors.ts";
import { MAX_BUCKET_KEY_BYTES } from "../limits.ts";

/** Control characters, and what is no character: neither survives a listing in XML. */
const UNFIT = /[\p{Cc}\ufffe\uffff]/u;
/** From here on the order of UTF-16 units may differ from that of bytes. */
const HIGH = /[\ud800-\uffff]/;

/** Throws BAD_OPTION unless `key` can be the key of an object. */
export function checkKey(key: string): void {
  checkText(key, "a bucket key");
  for (const part of key.split("/")) {
    if (part === "") throw bad(key, "a bucket key", "has an empty part: it neither begins nor ends with a slash");
    if (part === "." || part === "..") throw bad(key, "a bucket key", `has the part "${part}"`);
  }
}

/** Throws BAD_OPTION unless `prefix` can be the beginning of a key; the empty one is that of all. */
export function checkPrefix(prefix: string): void {
  checkText(prefix, "the prefix of a listing");
  const folders = prefix.split("/").slice(0, -1);
  if (folders.includes("")) throw bad(prefix, "the prefix of a listing", "has an empty part");
}

/** Less than, equal to or more than zero, as `a` stands before, at or behind `b` in the order of bytes. */
export function compareKeys(a: string, b: string): number {
  if (a === b) return 0;
  if (HIGH.test(a) || HIGH.test(b)) return Buffer.compare(Buffer.from(a), Buffer.from(b));
  return a < b ? -1 : 1;
}

function checkText(text: string, what: string): void {
  const bytes = Buffer.byteLength(text);
  if (bytes > MAX_BUCKET_KEY_BYTES) throw bad(text, what, `has ${bytes} bytes, ${MAX_BUCKET_KEY_BYTES} are possible`);
  if (UNFIT.test(text)) throw bad(text, what, "holds a control character");
  if (!text.isWellFormed()) throw bad(text, what, "holds half of a surrogate pair");
}

function bad(text: string, what: string, why: string): FrondError {
  const shown = text.length > 100 ? `${text.slice(0, 100)}...` : text;
  return new FrondError("BAD_OPTION", `${what} ${why}: ${JSON.stringify(shown)}`);
}
