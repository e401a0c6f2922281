// A large cell in a directory bucket, written in segments as a node does it, and its file beside it to compare with.

import { randomFillSync } from "node:crypto";
import fs from "node:fs";
import path from "node:path";
import type { Bucket } from "../../src/bucket/bucket.ts";
import { openBucket } from "../../src/bucket/open.ts";
import { logKey } from "../../src/bucket/objectKeys.ts";
import { encodeSegment } from "../../src/codec/objectWriter.ts";
import { PageSet } from "../../src/codec/pages.ts";
import { claimLength, commitLength, type CommitRecord, encodeClaim, encodeCommit } from "../../src/codec/record.ts";
import type { IndexedCell } from "../../src/server/slots/slotIndex.ts";
import { SlotIndexes } from "../../src/server/slots/slotIndexes.ts";
import { writeCheckpoint } from "../../src/store/checkpoint.ts";
import { type WriteOptions, writeSnapshot } from "../../src/store/snapshot.ts";
import type { Address, Epoch, LogPlace, Lsn, Position, RunId, RunNumber, Seq, Slot, Txid } from "../../src/types.ts";

export const PAGE = 4096;
const SLOT = 3 as Slot;
const RUN = { run: 1 as RunNumber, runId: "5".repeat(32) as RunId };
const EPOCH = 1 as Epoch;
const ADDRESS = "n/large" as Address;
/** Pages in one commit. */
const COMMIT_PAGES = 1000;

/** See the head of the file. */
export class LargeCell {
  readonly bucket: Bucket;
  readonly indexes: SlotIndexes;
  /** What the cell is. */
  readonly file: string;
  readonly #folder: string;
  readonly #pages: number;
  readonly #fd: number;
  #seq = 1;
  #txid = 0;
  #base: Position | undefined;
  #checkpoint: number | undefined;
  #left = 0;

  private constructor(folder: string, pages: number, bucket: Bucket) {
    this.bucket = bucket;
    this.indexes = new SlotIndexes(bucket);
    this.#folder = folder;
    this.#pages = pages;
    this.file = path.join(folder, "cell.db");
    this.#fd = fs.openSync(this.file, "w+");
    fs.mkdirSync(path.join(folder, "tmp"), { recursive: true });
  }

  /** Makes a cell of so many pages, all of them in the log. */
  static async open(folder: string, pages: number, wrap: (bucket: Bucket) => Bucket): Promise<LargeCell> {
    const bucket = wrap(await openBucket(`dir:${path.join(folder, "bucket")}`));
    const cell = new LargeCell(folder, pages, bucket);
    for (let from = 1; from <= pages; from += COMMIT_PAGES) {
      const count = Math.min(COMMIT_PAGES, pages - from + 1);
      await cell.#commit(Array.from({ length: count }, (_, i) => from + i));
    }
    return cell;
  }

  /** Changes so many pages, here and there. */
  async change(count: number): Promise<void> {
    await this.#commit(Array.from({ length: count }, (_, i) => 1 + i * Math.floor(this.#pages / count)));
  }

  /** The first segment is gone from the history. */
  async leaveOut(): Promise<void> {
    this.#left = 1;
  }

  /** The cell as the bucket has it. */
  async indexed(): Promise<IndexedCell> {
    const from = (this.#checkpoint ?? 1 + this.#left) as Seq;
    const sources = [{ run: RUN.runId, epoch: EPOCH, from, to: this.#seq as Seq }];
    const index = await this.indexes.read(SLOT, { checkpoint: this.#listed(), sources });
    return index.cells.get(ADDRESS) as IndexedCell;
  }

  /** Writes a checkpoint, and a snapshot before it; or the cell whole into the checkpoint. */
  async write({ snapshot, whole = false }: { snapshot: boolean; whole?: boolean }): Promise<void> {
    const cell = await this.indexed();
    const { entry } = cell;
    const all = await this.indexes.placesOf(cell);
    const at = { epoch: entry.epoch, txid: entry.txid };
    if (snapshot) await writeSnapshot(this.bucket, { entry, places: all }, this.#writing());
    const kept = whole
      ? { entry, places: all, base: undefined }
      : { entry, places: snapshot ? [] : cell.places, base: snapshot ? at : this.#base };
    const facts = { slot: SLOT, epoch: EPOCH, seq: this.#seq as Seq, lastMs: entry.changedMs, run: RUN.run };
    await writeCheckpoint(this.bucket, { ...facts, at, cells: [kept] }, this.#writing());
    if (snapshot) this.#base = at;
    this.#checkpoint = this.#seq;
    this.indexes.drop(SLOT);
  }

  async keys(): Promise<string[]> {
    return (await this.bucket.list("")).map(({ key }) => key);
  }

  #listed(): { key: string; epoch: Epoch; seq: Seq; bytes: number; modifiedMs: number } | undefined {
    if (this.#checkpoint === undefined) return undefined;
    const digits = String(this.#checkpoint).padStart(10, "0");
    const facts = { epoch: EPOCH, seq: this.#checkpoint as Seq, bytes: 0, modifiedMs: 0 };
    return { key: `cell/0003/@checkpoint/0000000001-${digits}`, ...facts };
  }

  #writing(): WriteOptions {
    const temporary = path.join(this.#folder, "tmp", "pages");
    return { runId: RUN.runId, temporary, breathe: () => new Promise((resolve) => setImmediate(resolve)) };
  }

  async #commit(numbers: readonly number[]): Promise<void> {
    const pages = new PageSet();
    const source = randomFillSync(Buffer.allocUnsafe(numbers.length * PAGE));
    pages.reset(source, PAGE);
    for (const [i, number] of numbers.entries()) {
      pages.put(number, i * PAGE);
      fs.writeSync(this.#fd, source, i * PAGE, PAGE, (number - 1) * PAGE);
    }
    this.#txid += 1;
    const image = { walSalt1: 0, walSalt2: 0, walEnd: 0, previous: 0 as LogPlace };
    const cell = { ...image, address: ADDRESS, addressBytes: Buffer.from(ADDRESS), pageCount: this.#pages, pages };
    const isFirst = this.#txid === 1;
    const record: CommitRecord = {
      slot: SLOT,
      epoch: EPOCH,
      txid: this.#txid as Txid,
      time: 17e11 + this.#txid,
      cells: [cell],
      changes: isFirst
        ? [
            {
              what: "created",
              address: ADDRESS,
              value: 0,
            },
          ]
        : [],
    };
    const bytes = Buffer.alloc(commitLength(record));
    encodeCommit(record, bytes, 0);
    const start = { runId: RUN.runId, number: this.#seq, intent: new Uint8Array(16).fill(this.#seq & 255) };
    const lsn = { fromLsn: this.#seq as Lsn, toLsn: (this.#seq + 1) as Lsn, createdMs: 1 };
    const records = [...(isFirst ? [claim()] : []), { bytes, slot: SLOT }];
    await this.bucket.create(logKey(RUN.runId, this.#seq as Seq), encodeSegment({ ...start, ...lsn }, records));
    this.#seq += 1;
  }
}

function claim(): { bytes: Buffer; slot: Slot } {
  const bytes = Buffer.alloc(claimLength());
  const facts = { slot: SLOT, epoch: EPOCH, txid: 0 as Txid, time: 1_700_000_000_000, previousEpoch: 0 as Epoch };
  encodeClaim({ ...facts, run: RUN.run, runId: Buffer.from(RUN.runId, "hex") }, bytes, 0);
  return { bytes, slot: SLOT };
}
