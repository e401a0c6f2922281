// Names of files in a directory bucket: `<root>/<part of the key>/.../<last part>`.
//
// Rule: a part of a key never becomes a file name unescaped. Lower-case letters, digits, `_`, `-`, `@`, `+`, `%`, `~` and
// inner dots stand for themselves, every other byte is `=` and two lower-case hexadecimal digits: the name is the same on
// file systems that fold case, and gives the key back. The keys that frond makes hold nothing else than those, so people
// find them under their own names.
// Rejected: percent-encoding (what a key holds of users' names is percent-encoded already: each `%` would become `%25`),
// hashing long names (a listing must give back the key; the makers of keys shorten what users named).

import path from "node:path";
import { FrondError } from "../errors.ts";
import { MAX_BUCKET_PART_BYTES } from "../limits.ts";

/** Folder of files that are being written; no part of a key is escaped to this name. */
export const TEMP_NAME = "=tmp";

const PLAIN = /^[a-z0-9_\-@+%~][a-z0-9_\-@+%~.]*$/;
const PLAIN_BYTE = /[a-z0-9_\-@+%~]/;

/** The file of a key below `root`. Throws BAD_OPTION when a part is too long for a file system. */
export function fileOfKey(root: string, key: string): string {
  return path.join(root, ...key.split("/").map((part) => escapePart(part, key)));
}

/** The name of one part of `key`. */
export function escapePart(part: string, key: string): string {
  const escaped = PLAIN.test(part) ? part : escapeBytes(part);
  if (escaped.length <= MAX_BUCKET_PART_BYTES) return escaped;
  throw new FrondError(
    "BAD_OPTION",
    `a part of the bucket key "${key}" has ${escaped.length} bytes as a file name, ${MAX_BUCKET_PART_BYTES} are possible`,
  );
}

/** The part of a key whose file has this name; undefined for a file that no key has made. */
export function partOfName(name: string): string | undefined {
  if (PLAIN.test(name)) return name;
  const bytes: number[] = [];
  for (let at = 0; at < name.length; at++) {
    const escape = /^=([0-9a-f]{2})/.exec(name.slice(at, at + 3))?.[1];
    bytes.push(escape === undefined ? name.charCodeAt(at) : Number.parseInt(escape, 16));
    if (escape !== undefined) at += 2;
  }
  const part = Buffer.from(bytes).toString();
  return escapeBytes(part) === name ? part : undefined;
}

function escapeBytes(part: string): string {
  let escaped = "";
  for (const byte of Buffer.from(part)) {
    const char = String.fromCharCode(byte);
    const plain = PLAIN_BYTE.test(char) || (char === "." && escaped !== "");
    escaped += plain ? char : `=${byte.toString(16).padStart(2, "0")}`;
  }
  return escaped;
}
