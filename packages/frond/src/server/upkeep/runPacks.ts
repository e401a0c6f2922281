// Which packs runs have in the bucket, as far as it was listed.
//
// Rule: a listing may be old. A pack that came since is one object for many that are read instead; one that went was merged
// into a larger one, and who misses it lists anew. So whoever makes or removes packs says so, and nobody else has to.

import type { Bucket } from "../../bucket/bucket.ts";
import { MAX_LISTED_RUNS } from "../../limits.ts";
import { listPacks, type ListedPack } from "../../log/cover.ts";
import type { RunId } from "../../types.ts";

/** See the head of the file. One per bucket thread. */
export class RunPacks {
  readonly #bucket: Bucket;
  readonly #listed = new Map<RunId, Promise<readonly ListedPack[]>>();

  constructor(bucket: Bucket) {
    this.#bucket = bucket;
  }

  /** The packs of a run. */
  of(run: RunId): Promise<readonly ListedPack[]> {
    const known = this.#listed.get(run);
    if (known !== undefined) return known;
    const listing = listPacks(this.#bucket, run);
    this.#listed.set(run, listing);
    listing.catch(() => this.#forget(run, listing));
    for (const oldest of this.#listed.keys()) {
      if (this.#listed.size <= MAX_LISTED_RUNS) break;
      this.#listed.delete(oldest);
    }
    return listing;
  }

  /** The run has other packs now. */
  drop(run: RunId): void {
    this.#listed.delete(run);
  }

  dropAll(): void {
    this.#listed.clear();
  }

  #forget(run: RunId, listing: Promise<unknown>): void {
    if (this.#listed.get(run) === listing) this.#listed.delete(run);
  }
}
