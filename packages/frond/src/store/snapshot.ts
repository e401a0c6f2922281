// A snapshot: one large cell, whole, as of a position. Written once, so that checkpoints need not hold the cell again.
//
// Rules.
// - It is made from what is in the bucket and from nothing else: so it holds confirmed state only, and nothing that happens to
//   the cell's own file meanwhile matters.
// - It depends on the cell and its position alone, which its key names: a put that lands late, or twice, changes nothing. A content from
//   outside has no record yet, and another may be put in at the same position instead: each attempt has a key of its own.
// - The pages pass through a temporary file, in page order into the object: memory holds a few megabytes, however large the
//   cell is. The thread is given back after every record.

import { createHash } from "node:crypto";
import fs from "node:fs";
import type { Bucket } from "../bucket/bucket.ts";
import { snapshotKey } from "../bucket/objectKeys.ts";
import { INTENT_BYTES } from "../codec/object.ts";
import { ObjectWriter } from "../codec/objectWriter.ts";
import { FILE_UPLOAD_BYTES_PER_S } from "../limits.ts";
import type { RunId, SnapshotPosition } from "../types.ts";
import type { CellEntry } from "./catalog.ts";
import { cellRecords, type PageSource } from "./cellRecords.ts";
import { checkWhole, fullDisk, layPlaces, type RecordPlace } from "./fetch.ts";
import { PageFile } from "./pageFile.ts";
import { fileNameOf } from "./paths.ts";

/** A cell as the bucket has it. */
export interface StoredCell {
  readonly entry: CellEntry;
  /** Records that hold its pages, the oldest first. */
  readonly places: readonly RecordPlace[];
}

/** What writing a large object needs. */
export interface WriteOptions {
  readonly runId: RunId;
  /** A file that nobody else uses: it is made, and gone afterwards. */
  readonly temporary: string;
  /** Asked after each bit of work, and waited for: the thread does other things too. */
  readonly breathe: () => Promise<void>;
  readonly signal?: AbortSignal | undefined;
}

/** Where the snapshot of a cell stands. */
export function snapshotKeyOf(entry: Pick<CellEntry, "slot" | "address">, at: SnapshotPosition): string {
  return snapshotKey(entry.slot, fileNameOf(entry.address), at, at.attempt);
}

/**
 * Writes the snapshot of a cell at the position of its entry, and tells its key. Throws CELL_DAMAGED when pages are missing in
 * the bucket, OBJECT_DAMAGED, DISK_FULL, and what the bucket throws.
 */
export async function writeSnapshot(bucket: Bucket, cell: StoredCell, options: WriteOptions): Promise<string> {
  const { entry, places } = cell;
  const { temporary, signal } = options;
  const key = snapshotKeyOf(entry, { epoch: entry.epoch, txid: entry.txid });
  const wanted = { ...entry, places };
  try {
    const pages = openTemporary(temporary, entry);
    try {
      await layPlaces(bucket, wanted, pages, signal);
      checkWhole(wanted, pages);
      const deadlineMs = uploadDeadline(entry.pageCount * entry.pageSize);
      const source = { numbers: pages.numbers(), read: (numbers: readonly number[]) => pages.read(numbers) };
      await bucket.put(key, snapshotChunks(key, entry, source, options), { signal, deadlineMs });
    } finally {
      pages.close();
    }
  } catch (error) {
    throw fullDisk(error, temporary);
  }
  return key;
}

/**
 * Writes the snapshot of a cell that is to have this content, at a position that none of its records has: the record that names it
 * comes after. Throws what the bucket throws.
 */
export async function writeContent(
  bucket: Bucket,
  entry: CellEntry & SnapshotPosition,
  source: PageSource,
  options: Omit<WriteOptions, "temporary">,
): Promise<void> {
  const key = snapshotKeyOf(entry, entry);
  const deadlineMs = uploadDeadline(entry.pageCount * entry.pageSize);
  await bucket.put(key, snapshotChunks(key, entry, source, options), { signal: options.signal, deadlineMs });
}

async function* snapshotChunks(
  key: string,
  entry: CellEntry,
  source: PageSource,
  { runId, breathe }: Pick<WriteOptions, "runId" | "breathe">,
): AsyncGenerator<Buffer, void, void> {
  const writer = new ObjectWriter({
    kind: "snapshot",
    runId,
    number: entry.txid,
    createdMs: entry.changedMs,
    intent: intentOf(key),
  });
  for (const record of cellRecords(entry, source)) {
    writer.add(record);
    yield* writer.take();
    await breathe();
  }
  yield* writer.finish();
}

/** A temporary file that has no name any more: it goes with whoever has it open. */
export function openTemporary(temporary: string, entry: CellEntry): PageFile {
  const pages = new PageFile(temporary, entry);
  fs.rmSync(temporary, { force: true });
  return pages;
}

/** Two that want this object want the same one. */
export function intentOf(key: string): Buffer {
  return createHash("sha256").update(key).digest().subarray(0, INTENT_BYTES);
}

/** How long a put of so many bytes is waited for, in ms. */
export function uploadDeadline(bytes: number): number {
  return 60_000 + Math.ceil(bytes / FILE_UPLOAD_BYTES_PER_S) * 1_000;
}
