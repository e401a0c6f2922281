// A folder of a local file system as a bucket.
//
// Rule: an object is a file that appears whole: it is written under a temporary name, synced, and only then linked to its
// name (`create`: fails if the name is taken, for all but one) or renamed to it (`put`). The folders on the way are synced
// before anybody hears of it, so that a loss of power takes nothing back; only leases (`node/...`) are not synced, since
// what stops the power stops all clocks.
// Why every call to the file system is a synchronous one: a bucket runs in a thread of its own, and the pool of libuv has
// four places that belong to the syncs of the commit log.
// What is large is written and synced in pieces, with a turn of the event loop behind each: one sync of a gigabyte takes seconds.
// Folders come with their first object and go with their last. A root that is gone is a failure, not an empty bucket: the
// disk may have been unmounted. So is another folder in its place, which whoever opens the bucket meanwhile makes: what was
// written there would be missing in the bucket when it is back.
// Rejected: O_EXCL on the final name (readers would see half an object), network file systems (their link is not always
// atomic, and a lost reply is answered EEXIST to its own winner).

import { randomUUID } from "node:crypto";
import fs from "node:fs";
import path from "node:path";
import { setImmediate as nextTurn } from "node:timers/promises";
import { assert } from "../assert.ts";
import { FrondError } from "../errors.ts";
import { BUCKET_LIST_LIMIT, BUCKET_TEMP_MS } from "../limits.ts";
import type { Bucket, BucketCall, ByteRange, Content, CreateOutcome, Fetched, Listed } from "./bucket.ts";
import {
  codeOf,
  failureOf,
  isFile,
  isFolder,
  openToRead,
  readRange,
  removedEmpty,
  removeFile,
  syncFolder,
  syncIfThere,
  writeAll,
  writeFile,
} from "./directoryFiles.ts";
import { listFolder } from "./directoryList.ts";
import { fileOfKey, TEMP_NAME } from "./directoryNames.ts";
import { checkKey, checkPrefix } from "./keys.ts";
import { checkOpen, closedError, limited, untilAborted } from "./limited.ts";

/** Objects that one writer overwrites as a sign of life: not synced. */
const LEASES = "node/";
/** Bytes that are written and synced at once. */
const PIECE_BYTES = 4 * 1024 * 1024;
/** How often a folder may vanish under a call before the call fails. Count. */
const TRIES = 1_000;
/** Folders whose entries are known to be durable; forgotten when there are more. Count. */
const KNOWN_FOLDERS = 10_000;

/**
 * Opens a folder as a bucket, and makes it where it is missing. All of its calls block their thread while the disk works:
 * for a thread of its own. A folder that may only be read can be opened, for reading. Throws BUCKET_DENIED when the folder
 * may not be made, BUCKET_FAILED for what else a file system may answer.
 */
export function openDirectoryBucket(folder: string): Bucket {
  return new DirectoryBucket(path.resolve(folder));
}

class DirectoryBucket implements Bucket {
  readonly url: string;
  readonly #root: string;
  readonly #temp: string;
  /** Tells the folder from one that was made in its place; stays what it is when the folder is moved or mounted again. */
  readonly #inode: number;
  readonly #closing = new AbortController();
  readonly #known = new Set<string>();

  constructor(root: string) {
    this.url = `dir:${root}`;
    this.#root = root;
    this.#temp = path.join(root, TEMP_NAME);
    this.#do("opening a bucket", () => {
      fs.mkdirSync(this.#temp, { recursive: true, mode: 0o700 });
      removeLeftovers(this.#temp);
      syncFolder(root);
    });
    this.#inode = fs.statSync(this.#temp).ino;
    this.#known.add(root);
  }

  async create(key: string, bytes: Uint8Array, call?: BucketCall): Promise<CreateOutcome> {
    const file = this.#begin(key, call);
    const what = `create of ${key}`;
    const temp = this.#tempFile();
    try {
      if (bytes.length > PIECE_BYTES) {
        await limited(`${what} in ${this.url}`, call, this.#closing.signal, (signal) =>
          this.#stream(temp, key, untilAborted(piecesOf(bytes), signal)),
        );
      } else this.#do(what, () => writeFile(temp, bytes));
      return this.#do(what, () => this.#link(temp, file, key));
    } finally {
      fs.rmSync(temp, { force: true });
    }
  }

  async get(key: string, range?: ByteRange, call?: BucketCall): Promise<Fetched | undefined> {
    const file = this.#begin(key, call);
    return this.#do(`get of ${key}`, () => {
      const fd = openToRead(file);
      if (fd === undefined) {
        this.#checkRoot();
        return undefined;
      }
      try {
        const stats = fs.fstatSync(fd);
        return stats.isFile() ? { bytes: readRange(fd, stats.size, range), size: stats.size } : undefined;
      } finally {
        fs.closeSync(fd);
      }
    });
  }

  async put(key: string, content: Content, call?: BucketCall): Promise<void> {
    const file = this.#begin(key, call);
    const synced = !key.startsWith(LEASES);
    const temp = this.#tempFile();
    const enter = (): void => {
      this.#enter(file, key, () => fs.renameSync(temp, file));
      if (synced) syncIfThere(path.dirname(file));
    };
    try {
      if (content instanceof Uint8Array && content.length <= PIECE_BYTES) {
        this.#do(`put of ${key}`, () => {
          writeFile(temp, content, synced);
          enter();
        });
      } else {
        const source = content instanceof Uint8Array ? piecesOf(content) : content;
        await limited(`put of ${key} in ${this.url}`, call, this.#closing.signal, async (signal) => {
          await this.#stream(temp, key, untilAborted(source, signal));
          this.#do(`put of ${key}`, enter);
        });
      }
    } finally {
      fs.rmSync(temp, { force: true });
    }
  }

  async list(prefix: string, after = "", limit = BUCKET_LIST_LIMIT, call?: BucketCall): Promise<Listed[]> {
    checkPrefix(prefix);
    assert(Number.isSafeInteger(limit) && limit >= 1, "a listing asks for at least one object");
    checkOpen(call, this.#closing.signal);
    return this.#do(`list of ${prefix}`, () => {
      const found: Listed[] = [];
      this.#checkRoot();
      listFolder(this.#root, "", { prefix, after, limit }, found);
      return found;
    });
  }

  async delete(keys: readonly string[], call?: BucketCall): Promise<void> {
    const files = keys.map((key) => this.#begin(key, call));
    this.#do(`delete of ${keys[0] ?? "nothing"}${keys.length > 1 ? " and others" : ""}`, () => {
      this.#checkRoot();
      files.forEach(removeFile);
      for (const folder of new Set(files.map((file) => path.dirname(file)))) this.#leave(folder);
    });
  }

  async close(): Promise<void> {
    this.#closing.abort(closedError(this.url));
  }

  /** The file of a key, for a call that may begin. */
  #begin(key: string, call: BucketCall | undefined): string {
    checkKey(key);
    checkOpen(call, this.#closing.signal);
    return fileOfKey(this.#root, key);
  }

  #tempFile(): string {
    return path.join(this.#temp, `${process.pid}-${randomUUID()}`);
  }

  /** Runs `work`; what the file system answers becomes an error of a bucket. */
  #do<T>(what: string, work: () => T): T {
    try {
      return work();
    } catch (error) {
      throw failureOf(error, `${what} in ${this.url}`);
    }
  }

  async #stream(temp: string, key: string, content: AsyncIterable<Uint8Array>): Promise<void> {
    const fd = this.#do(`put of ${key}`, () => fs.openSync(temp, "wx", 0o600));
    try {
      let unsynced = 0;
      for await (const chunk of content) {
        unsynced += chunk.length;
        const isMuch = unsynced >= PIECE_BYTES;
        this.#do(`put of ${key}`, () => {
          writeAll(fd, chunk);
          if (isMuch) fs.fdatasyncSync(fd);
        });
        if (!isMuch) continue;
        unsynced = 0;
        await nextTurn();
      }
      this.#do(`put of ${key}`, () => fs.fsyncSync(fd));
    } finally {
      fs.closeSync(fd);
    }
  }

  /** Makes the folder of `file` and runs `place` in it; false: the name was taken. The folder may be removed in between. */
  #enter(file: string, key: string, place: () => void): boolean {
    const folder = path.dirname(file);
    for (let tries = 1; ; tries++) {
      this.#checkRoot();
      try {
        this.#makeFolder(folder);
        place();
        return true;
      } catch (error) {
        const code = codeOf(error);
        if (code === "ENOTDIR" || (isFolder(file) && !removedEmpty(file))) throw folderOfAnother(key, error);
        if (code === "EEXIST" && isFile(file)) return false;
        const again = code === "ENOENT" || code === "EEXIST" || code === "EISDIR";
        if (!again || tries === TRIES) throw error;
        this.#forget();
      }
    }
  }

  /** Makes a folder and those above it; each is an entry of a synced folder when this returns. */
  #makeFolder(folder: string): void {
    if (this.#known.has(folder)) return;
    const parent = path.dirname(folder);
    this.#makeFolder(parent);
    try {
      fs.mkdirSync(folder, { mode: 0o700 });
    } catch (error) {
      if (codeOf(error) !== "EEXIST") throw error;
      // Neither: somebody has just removed it, which the sync of its entry or the file in it will meet.
      if (isFile(folder)) throw Object.assign(new Error(`${folder} is a file`), { code: "ENOTDIR" });
    }
    syncFolder(parent);
    if (this.#known.size >= KNOWN_FOLDERS) this.#forget();
    this.#known.add(folder);
  }

  #forget(): void {
    this.#known.clear();
    this.#known.add(this.#root);
  }

  /** Links a written file to its name; the folder is synced after it, for who lost as well: he must not see it vanish. */
  #link(temp: string, file: string, key: string): CreateOutcome {
    let outcome: CreateOutcome;
    try {
      outcome = this.#enter(file, key, () => fs.linkSync(temp, file)) ? "created" : "exists";
    } catch (error) {
      if (codeOf(error) === "EIO") return "unknown";
      throw error;
    }
    try {
      syncIfThere(path.dirname(file));
      return outcome;
    } catch {
      return "unknown";
    }
  }

  /** Removes a folder that removals left empty, with those above that it leaves so, and makes all of it durable. */
  #leave(folder: string): void {
    let at = folder;
    for (; at !== this.#root && removedEmpty(at); at = path.dirname(at)) this.#known.delete(at);
    syncIfThere(at);
  }

  #checkRoot(): void {
    if (fs.statSync(this.#temp, { throwIfNoEntry: false })?.ino === this.#inode) return;
    const what = `the folder ${this.#root} is gone, or is no bucket any more: bring it back, or mount its disk again`;
    throw new FrondError("BUCKET_FAILED", what);
  }
}

async function* piecesOf(bytes: Uint8Array): AsyncGenerator<Uint8Array, void, void> {
  for (let at = 0; at < bytes.length; at += PIECE_BYTES) yield bytes.subarray(at, at + PIECE_BYTES);
}

function folderOfAnother(key: string, cause: unknown): FrondError {
  const what = `the bucket key "${key}" cannot be written: no key may be the folder of another`;
  return new FrondError("BAD_OPTION", what, { cause });
}

function removeLeftovers(temp: string): void {
  for (const name of fs.readdirSync(temp)) {
    const file = path.join(temp, name);
    const stats = fs.statSync(file, { throwIfNoEntry: false });
    if (stats !== undefined && Date.now() - stats.mtimeMs > BUCKET_TEMP_MS) fs.rmSync(file, { force: true });
  }
}
