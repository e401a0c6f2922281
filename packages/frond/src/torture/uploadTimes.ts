// How long uploads took, and so how old what a lost disk takes with it may be.
//
// Rule (DESIGN, "below `bucket`"): at most the last flush interval and one upload. The bound is not taken from what the node says of
// itself: the thread of its bucket notes in a file when it began and ended to create each object of a log, outside of
// everything that is under test. A commit waits at most for an interval or for the upload that goes on, whichever is
// longer, and then for its own.

import fs from "node:fs";
import type { Bucket } from "../bucket/bucket.ts";
import { LOG_PREFIX } from "../bucket/objectKeys.ts";
import { FLUSH_MS } from "../limits.ts";

interface Note {
  readonly key: string;
  /** In ms since 1970. */
  readonly began: number;
  readonly ended?: number;
}

/** Notes in `file` from now on. */
export function noteUploads(bucket: Bucket, file: string): void {
  const note = (line: Note): void => fs.appendFileSync(file, `${JSON.stringify(line)}\n`);
  const create = bucket.create.bind(bucket);
  bucket.create = async (key, bytes, call) => {
    if (!key.startsWith(LOG_PREFIX)) return create(key, bytes, call);
    const began = Date.now();
    note({ key, began });
    try {
      return await create(key, bytes, call);
    } finally {
      note({ key, began, ended: Date.now() });
    }
  };
}

/** How old a commit may be, in ms, that is not in the bucket at `at`. */
export function oldestUnconfirmed(file: string, at: number): number {
  const took = new Map<string, number>();
  for (const line of fs.existsSync(file) ? fs.readFileSync(file, "utf8").split("\n") : []) {
    if (line === "") continue;
    const { key, began, ended = at } = JSON.parse(line) as Note;
    took.set(`${key} ${began}`, Math.min(ended, at) - began);
  }
  const longest = Math.max(0, ...took.values());
  return Math.max(FLUSH_MS, longest) + longest;
}
