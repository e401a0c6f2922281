// Listing a directory bucket: a walk in the order of keys.
//
// Rule: objects come in the order of their keys' bytes, as from an object store. A folder stands where its name with a
// slash stands (`a-b`, then what is in `a/`, then `a0`), so that one walk without a final sort is in order; a folder that
// lies wholly before `after` or outside of the prefix is not read.

import fs from "node:fs";
import path from "node:path";
import type { Listed } from "./bucket.ts";
import { codeOf } from "./directoryFiles.ts";
import { partOfName } from "./directoryNames.ts";
import { compareKeys } from "./keys.ts";

/** What is asked of a listing. */
export interface ListRequest {
  readonly prefix: string;
  readonly after: string;
  readonly limit: number;
}

/** Adds the objects below `folder`, whose keys begin with `base`, to `found`, until it holds `limit`. */
export function listFolder(folder: string, base: string, request: ListRequest, found: Listed[]): void {
  for (const { name, key, isFolder } of entriesOf(folder, base)) {
    if (found.length >= request.limit) return;
    const file = path.join(folder, name);
    if (isFolder) {
      if (mayHold(key, request)) listFolder(file, key, request, found);
    } else if (key.startsWith(request.prefix) && compareKeys(key, request.after) > 0) {
      const stats = fs.statSync(file, { throwIfNoEntry: false });
      if (stats !== undefined) found.push({ key, size: stats.size, modifiedMs: Math.floor(stats.mtimeMs) });
    }
  }
}

/** Whether something in the folder whose keys begin with `base` is asked for. */
function mayHold(base: string, { prefix, after }: ListRequest): boolean {
  if (!base.startsWith(prefix) && !prefix.startsWith(base)) return false;
  return after.startsWith(base) || compareKeys(base, after) > 0;
}

interface Entry {
  readonly name: string;
  /** Of a folder: what the keys in it begin with. */
  readonly key: string;
  readonly isFolder: boolean;
}

function entriesOf(folder: string, base: string): Entry[] {
  const entries: Entry[] = [];
  for (const entry of readFolder(folder)) {
    const part = partOfName(entry.name);
    if (part === undefined) continue;
    if (entry.isDirectory()) entries.push({ name: entry.name, key: `${base}${part}/`, isFolder: true });
    else if (entry.isFile()) entries.push({ name: entry.name, key: base + part, isFolder: false });
  }
  return entries.sort((a, b) => compareKeys(a.key, b.key));
}

function readFolder(folder: string): fs.Dirent[] {
  try {
    return fs.readdirSync(folder, { withFileTypes: true });
  } catch (error) {
    // Removed since it was seen.
    if (codeOf(error) === "ENOENT") return [];
    throw error;
  }
}
