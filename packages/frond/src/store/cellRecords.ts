// One cell as records: all that is known of it, and some or all of its pages.
//
// Rule: the records stand at the position of the cell's last one and hold at most MERGED_RECORD_BYTES of pages each. The first
// says everything that an index knows of the cell, so who reads it knows the same; and names the snapshot over which the
// pages are to be laid, if there is one. The numbers of the pages rise over all of them.

import { PageSet } from "../codec/pages.ts";
import { commitLength, type CommitRecord, encodeCommit, type IndexChange } from "../codec/record.ts";
import { MERGED_RECORD_BYTES } from "../limits.ts";
import type { LogPlace, SnapshotPosition } from "../types.ts";
import type { CellEntry } from "./catalog.ts";

/** Where pages come from. */
export interface PageSource {
  /** Rising. */
  readonly numbers: Iterable<number>;
  /** These pages, one behind the other; they need not stay what they are when the next are read. */
  read(numbers: readonly number[]): Buffer;
}

/** A cell without pages: a tombstone, or one that goes on exactly from its base. */
export const NO_PAGES: PageSource = { numbers: [], read: () => Buffer.alloc(0) };

/** What the index changes of a cell come to. */
export function changesOf(entry: CellEntry): IndexChange[] {
  const { address, createdMs, alarm, failedAlarms, lastId } = entry;
  const created: IndexChange = { what: "created", address, value: createdMs };
  const deleted: IndexChange = { what: "deleted", address, value: lastId };
  if (entry.deleted) return [created, deleted];
  const changes: IndexChange[] = lastId === 0 ? [created] : [deleted, created];
  if (alarm > 0) changes.push({ what: "alarm-set", address, value: alarm });
  if (failedAlarms > 0) changes.push({ what: "alarms-failed", address, value: failedAlarms });
  return changes;
}

/**
 * The records, encoded: one at least. Each is true until the next is asked for: buffers are used again, for what is only thrown
 * away is collected too late where megabytes pass through every few milliseconds.
 */
export function* cellRecords(
  entry: CellEntry,
  pages: PageSource,
  base?: SnapshotPosition,
): Generator<Buffer, void, void> {
  const most = Math.max(1, Math.floor(MERGED_RECORD_BYTES / entry.pageSize));
  const scratch = new Scratch();
  let numbers: number[] = [];
  let first = true;
  for (const number of pages.numbers) {
    if (numbers.length === most) {
      yield record(entry, numbers, pages, first, base, scratch);
      numbers = [];
      first = false;
    }
    numbers.push(number);
  }
  if (first || numbers.length > 0) yield record(entry, numbers, pages, first, base, scratch);
}

function record(
  entry: CellEntry,
  numbers: readonly number[],
  pages: PageSource,
  first: boolean,
  base: SnapshotPosition | undefined,
  scratch: Scratch,
): Buffer {
  const { address, slot, epoch, txid, changedMs, pageSize, pageCount } = entry;
  const set = new PageSet();
  set.reset(pages.read(numbers), pageSize);
  for (const [i, number] of numbers.entries()) set.put(number, i * pageSize);
  // Where its WAL stood, and where its record before, means something on one disk only.
  const image = { walSalt1: 0, walSalt2: 0, walEnd: 0, previous: 0 as LogPlace };
  const cell = { ...image, address, addressBytes: Buffer.from(address), pageCount, pages: set };
  const commit: CommitRecord = {
    slot,
    epoch,
    txid,
    time: changedMs,
    cells: [first ? { ...cell, base } : cell],
    changes: first ? changesOf(entry) : [],
  };
  const bytes = scratch.of(commitLength(commit));
  encodeCommit(commit, bytes, 0);
  return bytes;
}

/** One buffer for one thing after the other. */
export class Scratch {
  #bytes = Buffer.alloc(0);

  /** So many bytes, whatever stands in them; those that were given before are the same. */
  of(length: number): Buffer {
    if (this.#bytes.length < length) this.#bytes = Buffer.allocUnsafeSlow(length);
    return this.#bytes.subarray(0, length);
  }
}
