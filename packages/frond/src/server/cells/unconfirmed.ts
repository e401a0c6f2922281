// What cells that were closed have left to wait for: commits that are on the disk and not yet in the bucket.
//
// Rule: a cell may be closed, or given up, before the bucket has what it wrote or heard of, since that can take as long as
// the bucket is away; the instance after it goes on with its watermarks, so nobody hears early of what stands in its file.
// What has been confirmed meanwhile is thrown out when as much again has come in.
// Rejected: closing cells only when the bucket has everything (a bucket that is away would fill the memory with open cells).

import type { LiveCell, Unconfirmed as Left } from "../../cell/live.ts";
import type { CommitLog } from "../../log/log.ts";
import type { Address } from "../../types.ts";

/** Entries that are held without a look at them. Count. */
const FEW = 1024;

/** See the head of the file. One per node. */
export class Unconfirmed {
  readonly #log: CommitLog;
  readonly #left = new Map<Address, Left>();
  #most = FEW;

  constructor(log: CommitLog) {
    this.#log = log;
  }

  /** Entries that are held. Count. */
  get size(): number {
    return this.#left.size;
  }

  /** A cell is closed. */
  keep({ address, bucketLsn, lastLsn }: Left & Pick<LiveCell, "address">): void {
    const left = { bucketLsn, lastLsn };
    if (this.#confirmed(left)) return;
    this.#left.set(address, left);
    if (this.#left.size < this.#most) return;
    for (const [other, known] of this.#left) if (this.#confirmed(known)) this.#left.delete(other);
    this.#most = Math.max(FEW, this.#left.size * 2);
  }

  /** What a cell that is opened has to wait for. */
  of(address: Address): Left | undefined {
    return this.#left.get(address);
  }

  #confirmed({ bucketLsn, lastLsn }: Left): boolean {
    const { confirmed } = this.#log;
    return bucketLsn <= confirmed && lastLsn <= confirmed;
  }
}
