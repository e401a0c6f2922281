// The side of the files: what is done with `this.files` in a thread of its own.
//
// Rule: a file gathers in a spool file on this disk, since its name is known only when its last byte is; then it goes into the
// bucket under its hash, and whoever put it hears of it after that. Writing the same bytes again is harmless.
// Whether a file is there already is asked first, for it may be large. Collection must not win against that: a file is
// collected only when no cell references it any more (within the retention) and it was stored longer ago than FILE_KEEP_MS; a
// put that finds it younger than FILE_FRESH_MS, half of that, lets it be, and stores it again otherwise, which makes it
// young. In between, puts and collection of one file come one after the other in this thread; after a deletion whose answer
// did not come, and which may yet happen, the file is not put for FILE_UNSURE_MS. Puts of other nodes are not seen here: so it is
// looked for what nobody names only while no other node lives (fileSweep.ts).
// Rejected: the bucket thread (writing a large file would stand in the way of its lease), the main thread's pool of four
// (it belongs to the syncs of the log), a reference object for each cell that has a file (twice the requests).

import { createHash, type Hash, randomUUID } from "node:crypto";
import fs from "node:fs";
import path from "node:path";
import { assert } from "../../assert.ts";
import type { Bucket, Listed } from "../../bucket/bucket.ts";
import { type BucketCounts, type CountedBucket, countedBucket } from "../../bucket/counted.ts";
import { fileKey } from "../../bucket/objectKeys.ts";
import type { StoredFile } from "../../cell/files.ts";
import { FrondError } from "../../errors.ts";
import {
  BUCKET_DEADLINE_MS,
  BUCKET_PART_BYTES,
  FILE_FRESH_MS,
  FILE_KEEP_MS,
  FILE_PIECE_BYTES,
  FILE_READS_AT_ONCE,
  FILE_UNSURE_MS,
  FILE_UPLOAD_BYTES_PER_S,
  FILE_UPLOADS_AT_ONCE,
} from "../../limits.ts";
import { fullDisk } from "../durably.ts";
import { writeArchive } from "./fileArchive.ts";
import { chunksOfFile } from "./fileChunks.ts";
import { FileSweep } from "./fileSweep.ts";
import type { Archive, FileQuestions, Released, Swept } from "./fileTalk.ts";
import { Places } from "../places.ts";

type Questions = { readonly [K in keyof FileQuestions]: (question: Parameters<FileQuestions[K]>[0]) => unknown };

/** A file that gathers. */
interface Spool {
  readonly path: string;
  readonly fd: number;
  readonly sum: Hash;
  size: number;
}

/** See the head of the file. One per node that has used files. */
export class FileSide implements Questions {
  readonly #open: () => Promise<Bucket>;
  readonly #folder: string;
  readonly #counted: (counts: BucketCounts) => void;
  #opened: Promise<CountedBucket> | undefined;
  readonly #spools = new Map<number, Spool>();
  readonly #uploads = new Places(FILE_UPLOADS_AT_ONCE);
  readonly #reads = new Places(FILE_READS_AT_ONCE);
  /** What is done with a file, by its hash. */
  readonly #turns = new Map<string, Promise<unknown>>();
  /** Files that a deletion without an answer may yet remove, and until when that is thought possible. */
  readonly #unsure = new Map<string, number>();
  #sweep: FileSweep | undefined;
  #sweeping: Promise<unknown> = Promise.resolve();
  #next = 1;

  /**
   * The bucket is opened when it is first needed. `folder` is for spool files of this side alone. `counted` hears what the
   * bucket was asked for so far.
   */
  constructor(open: () => Promise<Bucket>, folder: string, counted: (counts: BucketCounts) => void = () => {}) {
    this.#open = open;
    this.#folder = folder;
    this.#counted = counted;
  }

  begin(): number {
    const file = path.join(this.#folder, `file-${randomUUID()}`);
    const fd = this.#onDisk(() => fs.openSync(file, "wx", 0o600));
    const number = this.#next++;
    this.#spools.set(number, { path: file, fd, sum: createHash("sha256"), size: 0 });
    return number;
  }

  piece({ file, bytes }: { file: number; bytes: Uint8Array }): void {
    const spool = this.#spool(file);
    this.#onDisk(() => {
      for (let at = 0; at < bytes.length;) at += fs.writeSync(spool.fd, bytes, at);
    });
    spool.sum.update(bytes);
    spool.size += bytes.length;
  }

  /** Rejects with what the bucket throws; the file is then gone. */
  async end(file: number): Promise<StoredFile> {
    const spool = this.#spool(file);
    const stored = { hash: spool.sum.digest("hex"), size: spool.size };
    try {
      await this.#inTurn(stored.hash, () => this.#uploads.take(() => this.#ensure(stored, spool.path)));
      return stored;
    } finally {
      this.drop(file);
    }
  }

  drop(file: number): void {
    const spool = this.#spools.get(file);
    if (spool === undefined) return;
    this.#spools.delete(file);
    fs.closeSync(spool.fd);
    fs.rmSync(spool.path, { force: true });
  }

  async read({ hash, from, bytes }: { hash: string; from: number; bytes: number }): Promise<Uint8Array | undefined> {
    const bucket = await this.#bucket();
    const found = await this.#reads.take(() => bucket.get(fileKey(hash), { from, bytes }));
    this.#counted(bucket.counts());
    return found?.bytes;
  }

  collect({ hash, before }: { hash: string; before: number }): Promise<boolean> {
    return this.#inTurn(hash, async () => {
      const bucket = await this.#bucket();
      const found = await look(bucket, hash);
      if (found === undefined) return true;
      if (found.modifiedMs >= Math.min(before, Date.now() - FILE_KEEP_MS)) return false;
      try {
        // Once: a deletion that is repeated may happen twice, the second time after a put.
        await bucket.delete([fileKey(hash)], { tries: 1 });
      } catch (error) {
        this.#unsure.set(hash, Date.now() + FILE_UNSURE_MS);
        throw error;
      }
      return true;
    });
  }

  renew(hash: string): Promise<boolean> {
    return this.#inTurn(hash, async () => {
      const bucket = await this.#bucket();
      this.#checkSure(bucket, hash);
      const found = await look(bucket, hash);
      if (found === undefined) return false;
      if (!isFresh(found)) await this.#uploads.take(() => storeAgain(bucket, found));
      return true;
    });
  }

  sweep({ retentionMs }: { retentionMs: number }): Promise<Swept> {
    return this.#swept((sweep) => sweep.run(retentionMs));
  }

  release({ retentionMs, hashes }: { retentionMs: number; hashes: readonly string[] }): Promise<Released> {
    return this.#swept((sweep) => sweep.release(retentionMs, hashes));
  }

  /** One at a time: they share a file, and two would read everything twice. */
  async #swept<T>(ask: (sweep: FileSweep) => Promise<T>): Promise<T> {
    const bucket = await this.#bucket();
    const collect = (hash: string, before: number): Promise<boolean> => this.collect({ hash, before });
    this.#sweep ??= new FileSweep(bucket, path.join(this.#folder, `names-${randomUUID()}.db`), collect);
    const turn = this.#sweeping.then(() => ask(this.#sweep as FileSweep));
    this.#sweeping = turn.catch(() => {});
    try {
      return await turn;
    } finally {
      this.#counted(bucket.counts());
    }
  }

  archive(archive: Archive): Promise<{ bytes: number }> {
    return writeArchive(archive, (hash, from, bytes) => this.read({ hash, from, bytes }));
  }

  /** A bucket that could not be opened is tried again by whoever needs it next. */
  #bucket(): Promise<CountedBucket> {
    this.#opened ??= this.#open().then(countedBucket, (error: unknown) => {
      this.#opened = undefined;
      throw error;
    });
    return this.#opened;
  }

  async #ensure({ hash, size }: StoredFile, file: string): Promise<void> {
    const bucket = await this.#bucket();
    this.#checkSure(bucket, hash);
    const found = await look(bucket, hash);
    if (found?.size === size && isFresh(found)) return;
    const content = size <= BUCKET_PART_BYTES ? fs.readFileSync(file) : chunksOfFile(file);
    await bucket.put(fileKey(hash), content, { deadlineMs: deadlineOf(size) });
  }

  #checkSure({ url }: Bucket, hash: string): void {
    const until = this.#unsure.get(hash) ?? 0;
    if (Date.now() < until) {
      const what = `${fileKey(hash)} in ${url} was to be removed, and the bucket did not say whether it was`;
      throw new FrondError("BUCKET_FAILED", `${what}; it can be put again in ${FILE_UNSURE_MS / 60_000} minutes`);
    }
    this.#unsure.delete(hash);
  }

  async #inTurn<T>(hash: string, work: () => Promise<T>): Promise<T> {
    const before = this.#turns.get(hash);
    const turn = (before ?? Promise.resolve()).then(work, work);
    this.#turns.set(hash, turn);
    try {
      return await turn;
    } finally {
      const bucket = await this.#opened?.catch(() => undefined);
      if (bucket !== undefined) this.#counted(bucket.counts());
      if (this.#turns.get(hash) === turn) this.#turns.delete(hash);
    }
  }

  #spool(file: number): Spool {
    const spool = this.#spools.get(file);
    assert(spool !== undefined, "pieces come between the beginning and the end of their file");
    return spool;
  }

  #onDisk<T>(work: () => T): T {
    try {
      return work();
    } catch (error) {
      throw fullDisk(error, "a file on its way into the bucket");
    }
  }
}

function isFresh({ modifiedMs }: Listed): boolean {
  return Date.now() - modifiedMs < FILE_FRESH_MS;
}

function deadlineOf(size: number): number {
  return BUCKET_DEADLINE_MS + Math.ceil((1000 * size) / FILE_UPLOAD_BYTES_PER_S);
}

/** Puts a file over itself: that makes it young. */
async function storeAgain(bucket: Bucket, { key, size }: Listed): Promise<void> {
  const part = async (from: number, bytes: number): Promise<Buffer> => {
    const found = await bucket.get(key, { from, bytes });
    if (found?.bytes.length === bytes) return found.bytes;
    throw new FrondError("OBJECT_DAMAGED", `${key} in ${bucket.url} has not the ${size} bytes that were listed`);
  };
  const parts = async function* (): AsyncGenerator<Buffer, void, void> {
    for (let at = 0; at < size; at += FILE_PIECE_BYTES) yield await part(at, Math.min(FILE_PIECE_BYTES, size - at));
  };
  const content = size > BUCKET_PART_BYTES ? parts() : size === 0 ? Buffer.alloc(0) : await part(0, size);
  await bucket.put(key, content, { deadlineMs: 2 * deadlineOf(size) });
}

async function look(bucket: Bucket, hash: string): Promise<Listed | undefined> {
  const key = fileKey(hash);
  const [found] = await bucket.list(key, "", 1);
  return found?.key === key ? found : undefined;
}
