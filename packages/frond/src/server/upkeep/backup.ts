// A copy of a whole cluster in another bucket.
//
// Rules.
// - What had been confirmed before the copy began can be read out of the copy, though nodes write and clean up meanwhile. What tells
//   where a history lies (slot records, checkpoints) is listed first and copied last; what it needs was there before it was, and is
//   listed after it. Where something is gone that was listed, newer objects stand in its place: then it begins anew.
// - Leases are not copied: the copy is nobody's. Where the log of a run has not ended in it, the first node that starts on the copy
//   sees no lease, and ends it.
// - An object that is there with the same size is there: a copy that was broken off goes on, and one that is made again brings what is
//   new, also without a cell what was written again because that was erased. Nothing is ever removed from it.
// - Until the first copy is complete its cluster says so, and no node starts on it.
// Rejected: a list of what is needed instead of everything (it has to be right, and is as long), a snapshot of the store (few have one).

import type { Bucket, Listed } from "../../bucket/bucket.ts";
import { compareKeys } from "../../bucket/keys.ts";
import { listAll } from "../../bucket/listAll.ts";
import {
  CELL_PREFIX,
  CLUSTER_KEY,
  ERASED_PREFIX,
  FILE_PREFIX,
  LOG_PREFIX,
  NODE_PREFIX,
  PACK_PREFIX,
  parseCheckpointKey,
  parseSlotKey,
  SLOT_PREFIX,
} from "../../bucket/objectKeys.ts";
import { type ClusterDocument, decodeCluster, encodeDocument } from "../../codec/documents.ts";
import { FrondError } from "../../errors.ts";
import {
  BACKUP_AT_ONCE,
  BACKUP_PASSES,
  BUCKET_DEADLINE_MS,
  BUCKET_PART_BYTES,
  FILE_UPLOAD_BYTES_PER_S,
} from "../../limits.ts";
import type { Slot } from "../../types.ts";

/** How far a copy has come. Counts and bytes. */
export interface BackupCounts {
  /** Objects that are in the copy, because they were there or came. */
  objects: number;
  /** Those that came, and their bytes. */
  copied: number;
  bytes: number;
  /** Looks over the whole bucket. */
  passes: number;
}

/** Whence and whereto. */
export interface BackupOptions {
  readonly from: Bucket;
  readonly to: Bucket;
  readonly progress?: (counts: Readonly<BackupCounts>) => void;
}

/**
 * Copies. Throws DATA_FOREIGN for a target that is no copy of this cluster, or was one and goes its own way; BUCKET_IN_USE for one that
 * a node serves; COPY_INCOMPLETE for a source that is half a copy; BUCKET_FAILED, and what the buckets throw.
 */
export async function backup(options: BackupOptions): Promise<BackupCounts & { readonly cluster: string }> {
  const { from, to } = options;
  const cluster = await clusterIn(from);
  if (cluster === undefined) throw new FrondError("DATA_FOREIGN", `${from.url} holds no cluster that could be copied`);
  if (cluster.copying) throw incomplete(from);
  const before = await checkTarget(to, cluster);
  if (before === undefined) await to.put(CLUSTER_KEY, encodeDocument({ ...cluster, copying: true }));
  const counts: BackupCounts = { objects: 0, copied: 0, bytes: 0, passes: 0 };
  while (!(await new Pass(options, counts).run())) {
    if (counts.passes < BACKUP_PASSES) continue;
    throw new FrondError("BUCKET_FAILED", `objects kept going from ${from.url} while they were copied; try again`);
  }
  if (before === undefined || before.copying) await to.put(CLUSTER_KEY, encodeDocument(cluster));
  return { ...counts, cluster: cluster.id };
}

/** The copy in `bucket` is not whole. */
export function incomplete(bucket: Bucket): FrondError {
  return new FrondError("COPY_INCOMPLETE", `${bucket.url} is a copy that is not whole: run frond backup --to it again`);
}

async function clusterIn(bucket: Bucket): Promise<ClusterDocument | undefined> {
  const found = await bucket.get(CLUSTER_KEY);
  return found && decodeCluster(found.bytes, CLUSTER_KEY);
}

/** The cluster that the target is a copy of already. */
async function checkTarget(to: Bucket, { id }: ClusterDocument): Promise<ClusterDocument | undefined> {
  const there = await clusterIn(to);
  if (there !== undefined && there.id !== id) {
    throw new FrondError("DATA_FOREIGN", `${to.url} holds another cluster, ${there.id}: name an empty place`);
  }
  const [foreign] = there === undefined ? await to.list("", undefined, 1) : [];
  if (foreign !== undefined) {
    throw new FrondError("DATA_FOREIGN", `${to.url} is not empty, it has ${foreign.key}: name an empty place`);
  }
  const [lease] = await to.list(NODE_PREFIX, undefined, 1);
  if (lease === undefined) return there;
  throw new FrondError("BUCKET_IN_USE", `${to.url} has ${lease.key}: a node serves it, or did; a copy goes elsewhere`);
}

/**
 * The prefixes of what is copied as it is listed. Below `cell/` and `slot/` lies what is copied last. Logs first: their last commits are
 * younger than the beginning, and name files and snapshots that stood before them.
 */
const LEAVES = [LOG_PREFIX, PACK_PREFIX, CELL_PREFIX, FILE_PREFIX, ERASED_PREFIX];

/** What stands for ever as it was created. Of the others some are written again without a cell that was erased. */
const NEVER_CHANGED = [LOG_PREFIX, SLOT_PREFIX, FILE_PREFIX];

/** One look over the bucket. */
class Pass {
  readonly #o: BackupOptions;
  readonly #counts: BackupCounts;
  /** What tells where histories lie, as it was when the pass began. */
  readonly #heads = new Map<string, Listed>();
  #gone = false;

  constructor(options: BackupOptions, counts: BackupCounts) {
    this.#o = options;
    this.#counts = counts;
  }

  /** False: something that was listed is gone. */
  async run(): Promise<boolean> {
    const { from, to } = this.#o;
    this.#counts.passes += 1;
    this.#counts.objects = 0;
    for (const prefix of [SLOT_PREFIX, CELL_PREFIX]) {
      for await (const listed of listAll(from, prefix)) if (isHead(listed.key)) this.#heads.set(listed.key, listed);
    }
    await this.#checkNotAhead();
    for (const prefix of LEAVES) {
      const leaves = filtered(listAll(from, prefix), ({ key }) => !isHead(key));
      await this.#copyAll(absentIn(leaves, listAll(to, prefix), this.#isThere));
    }
    const heads = [...this.#heads.values()];
    for (const prefix of [CELL_PREFIX, SLOT_PREFIX]) {
      const some = heads.filter(({ key }) => key.startsWith(prefix));
      await this.#copyAll(absentIn(some, listAll(to, prefix), this.#isThere));
    }
    return !this.#gone;
  }

  /** A slot that has gone on in the copy belongs to who has started it there. */
  async #checkNotAhead(): Promise<void> {
    const newest = new Map<Slot, number>();
    for (const key of this.#heads.keys()) {
      const is = parseSlotKey(key);
      if (is !== undefined) newest.set(is.slot, Math.max(is.epoch, newest.get(is.slot) ?? 0));
    }
    for await (const { key } of listAll(this.#o.to, SLOT_PREFIX)) {
      const is = parseSlotKey(key);
      if (is !== undefined && is.epoch > (newest.get(is.slot) ?? 0)) throw ahead(this.#o.to, key);
    }
  }

  /** The object is there already. False: in another state. */
  readonly #isThere = (ours: Listed, there: Listed): boolean => {
    if (ours.size === there.size) {
      this.#counts.objects += 1;
      return true;
    }
    if (NEVER_CHANGED.some((prefix) => ours.key.startsWith(prefix))) throw ahead(this.#o.to, there.key);
    return false;
  };

  async #copyAll(objects: AsyncIterable<Listed>): Promise<void> {
    const under = new Set<Promise<void>>();
    for await (const listed of objects) {
      while (under.size >= BACKUP_AT_ONCE) await Promise.race(under);
      const copying = this.#copy(listed);
      // Told by whoever waits for it.
      copying.catch(() => {});
      under.add(copying);
      void copying.then(
        () => under.delete(copying),
        () => {},
      );
    }
    await Promise.all(under);
  }

  async #copy({ key, size }: Listed): Promise<void> {
    const { from, to, progress } = this.#o;
    const first = await from.get(key, { from: 0, bytes: BUCKET_PART_BYTES });
    if (first === undefined) {
      this.#gone = true;
      return;
    }
    const whole = first.size <= first.bytes.length;
    const deadlineMs = BUCKET_DEADLINE_MS + Math.ceil((1000 * size) / FILE_UPLOAD_BYTES_PER_S);
    await to.put(key, whole ? first.bytes : parts(from, key, first.bytes, first.size), { deadlineMs });
    this.#counts.objects += 1;
    this.#counts.copied += 1;
    this.#counts.bytes += first.size;
    progress?.(this.#counts);
  }
}

function ahead(to: Bucket, key: string): FrondError {
  const what = `${key} in ${to.url} is not what is copied: a node has been started there since`;
  return new FrondError("DATA_FOREIGN", `${what}; a copy goes to another place`);
}

function isHead(key: string): boolean {
  return key.startsWith(SLOT_PREFIX) || parseCheckpointKey(key) !== undefined;
}

async function* parts(bucket: Bucket, key: string, first: Buffer, size: number): AsyncGenerator<Buffer> {
  yield first;
  for (let at = first.length; at < size;) {
    const next = await bucket.get(key, { from: at, bytes: BUCKET_PART_BYTES });
    if (next === undefined || next.bytes.length === 0) {
      throw new FrondError("BUCKET_FAILED", `${key} went from ${bucket.url} while it was copied; try again`);
    }
    yield next.bytes;
    at += next.bytes.length;
  }
}

async function* filtered(all: AsyncIterable<Listed>, wanted: (listed: Listed) => boolean): AsyncGenerator<Listed> {
  for await (const listed of all) if (wanted(listed)) yield listed;
}

/** Those of `ours` that are not in `there`, or not `same` there. Both are sorted by key. */
async function* absentIn(
  ours: AsyncIterable<Listed> | Iterable<Listed>,
  there: AsyncGenerator<Listed>,
  same: (ours: Listed, there: Listed) => boolean,
): AsyncGenerator<Listed> {
  let next = await there.next();
  for await (const listed of ours) {
    while (next.done !== true && compareKeys(next.value.key, listed.key) < 0) next = await there.next();
    if (next.done === true || next.value.key !== listed.key || !same(listed, next.value)) yield listed;
  }
}
