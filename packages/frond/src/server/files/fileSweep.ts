// Removing the files that nobody names.
//
// Rules.
// - Only what is older than the retention and FILE_KEEP_MS is asked after: whoever came to name it since would have made it young.
// - A file goes when every slot was looked at and no cell names it (fileNames.ts). If one cannot be looked at, nothing goes.
// - Each is looked at once more before it goes, in turn with puts of the same bytes (fileSide.ts); puts of another node would not be
//   waited for, so while a second one lives nothing goes.
// - The files of an erased cell go in the same way, only sooner than by the daily look.
// - The time is the store's, as it stamped the lease, or this machine's, whichever is earlier.

import type { Bucket } from "../../bucket/bucket.ts";
import { listAll } from "../../bucket/listAll.ts";
import { FILE_PREFIX, fileKey, hashOfFile, NODE_PREFIX, runOfLease } from "../../bucket/objectKeys.ts";
import { FILE_KEEP_MS, FILE_SWEEP_FILES } from "../../limits.ts";
import { Turns } from "../../log/turns.ts";
import type { RunId } from "../../types.ts";
import { type LookedAt, withoutNamed } from "./fileNames.ts";
import type { Released, Swept } from "./fileTalk.ts";
import { monotonicMs } from "../monotonic.ts";
import { isSealed } from "../runs/otherRuns.ts";

/** The run that has a lease, and when it last renewed it, in ms since 1970 by the clock of the store. */
interface Living {
  readonly run: RunId;
  readonly modifiedMs: number;
}

const NOTHING: Swept = { old: 0, removed: 0, bytes: 0, slots: 0, cells: 0 };

/** See the head of the file. One per file thread. */
export class FileSweep {
  readonly #bucket: Bucket;
  readonly #temporary: string;
  readonly #collect: (hash: string, before: number) => Promise<boolean>;
  readonly #most: number;
  /** Others read and put files in this thread. */
  readonly #turns = new Turns(monotonicMs);
  /** The last file that was asked after, when there were more. */
  #after: string | undefined;

  /** `temporary`: a file that nobody else uses. `collect` removes a file unless it is younger than `before`. `most`: see FILE_SWEEP_FILES. */
  constructor(
    bucket: Bucket,
    temporary: string,
    collect: (hash: string, before: number) => Promise<boolean>,
    most = FILE_SWEEP_FILES,
  ) {
    this.#bucket = bucket;
    this.#temporary = temporary;
    this.#collect = collect;
    this.#most = most;
  }

  /** Looks once. Throws what {@link withoutNamed} throws. */
  async run(retentionMs: number): Promise<Swept> {
    const living = await this.#living();
    if (living === undefined) return { ...NOTHING, refused: "not exactly one node has a lease" };
    const before = oldBefore(living, retentionMs);
    const sizes = await this.#old(before);
    if (sizes.size === 0) return NOTHING;
    const unnamed = new Set(sizes.keys());
    const looked = await this.#withoutNamed(unnamed, living, retentionMs);
    const swept = { ...NOTHING, ...looked, old: sizes.size };
    if (unnamed.size === 0) return swept;
    // It may have taken hours.
    if ((await this.#living()) === undefined) return { ...swept, refused: "another node has come" };
    let [removed, bytes] = [0, 0];
    for (const hash of unnamed) {
      if (!(await this.#collect(hash, before))) continue;
      removed += 1;
      bytes += sizes.get(hash) ?? 0;
    }
    return { ...swept, removed, bytes };
  }

  /** Removes those of these files that are old and not named. Throws what {@link withoutNamed} throws. */
  async release(retentionMs: number, hashes: readonly string[]): Promise<Released> {
    const gone: string[] = [];
    const named: string[] = [];
    const living = await this.#living();
    if (living === undefined) return { gone, named };
    const before = oldBefore(living, retentionMs);
    const old: string[] = [];
    for (const hash of hashes) {
      const modifiedMs = await this.#modifiedMs(hash);
      if (modifiedMs === undefined) gone.push(hash);
      else if (modifiedMs < before) old.push(hash);
    }
    if (old.length === 0) return { gone, named };
    const unnamed = new Set(old);
    await this.#withoutNamed(unnamed, living, retentionMs);
    named.push(...old.filter((hash) => !unnamed.has(hash)));
    if ((await this.#living()) === undefined) return { gone, named };
    for (const hash of unnamed) if (await this.#collect(hash, before)) gone.push(hash);
    return { gone, named };
  }

  #withoutNamed(files: Set<string>, living: Living, retentionMs: number): Promise<LookedAt> {
    const beganMs = beganBefore(living, retentionMs);
    return withoutNamed(files, {
      bucket: this.#bucket,
      living: living.run,
      beganMs,
      goneSinceMs: beganMs - retentionMs,
      temporary: this.#temporary,
      breathe: async () => this.#turns.breathe(),
    });
  }

  async #modifiedMs(hash: string): Promise<number | undefined> {
    const key = fileKey(hash);
    const [found] = await this.#bucket.list(key, undefined, 1);
    return found?.key === key ? found.modifiedMs : undefined;
  }

  /**
   * The one run that has a lease; undefined: there is none, or another one. One whose log is sealed lives no more, and nothing that it
   * names counts: its last renewal came too late to be removed with it.
   */
  async #living(): Promise<Living | undefined> {
    const found: Living[] = [];
    for await (const { key, modifiedMs } of listAll(this.#bucket, NODE_PREFIX)) {
      const run = runOfLease(key);
      if (run !== undefined) found.push({ run, modifiedMs });
    }
    if (found.length < 2) return found[0];
    const living: Living[] = [];
    for (const lease of found) if (!(await isSealed(this.#bucket, lease.run))) living.push(lease);
    return living.length === 1 ? living[0] : undefined;
  }

  /** The files that were stored before a moment, and their sizes: some of them, from where the last look ended. */
  async #old(before: number): Promise<Map<string, number>> {
    const sizes = new Map<string, number>();
    const begin = this.#after ?? "";
    this.#after = undefined;
    for await (const { key, size, modifiedMs } of listAll(this.#bucket, FILE_PREFIX)) {
      const hash = hashOfFile(key);
      if (hash === undefined || key <= begin || modifiedMs >= before) continue;
      if (sizes.size === this.#most) {
        this.#after = [...sizes.keys()].map((its) => FILE_PREFIX + its).at(-1);
        break;
      }
      sizes.set(hash, size);
    }
    return sizes;
  }
}

/** When the retention began. */
function beganBefore({ modifiedMs }: Living, retentionMs: number): number {
  return Math.min(modifiedMs, Date.now()) - retentionMs;
}

/** What was stored before this is old. */
function oldBefore(living: Living, retentionMs: number): number {
  return beganBefore(living, retentionMs) - FILE_KEEP_MS;
}
