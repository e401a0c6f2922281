// A checkpoint: a slot whole, as of everything that stands before a number of its owner's log.
//
// Rules.
// - It is made from what is in the bucket, and what is in it is confirmed: who writes it sees to that. Only what a directory held
//   before it had a bucket comes from its files.
// - First a claim that carries the slot's position, then the cells, sorted by the bytes of their addresses: small ones with all
//   their pages, large ones with the pages that have changed since their snapshot, which is named and stands already.
//   Tombstones have no pages.
// - In memory are a few megabytes and the pages of one small cell; those of a large one pass through a temporary file.
// - It is streamed. Who reads half of one finds no end and believes nothing of it.
// Rejected: copying the records of cells that have not changed (they would have to be told from merged ones, and are cheap to
// write), a checkpoint of what has changed since the one before (a chain, whose beginning cannot be removed).

import type { Bucket } from "../bucket/bucket.ts";
import { checkpointKey } from "../bucket/objectKeys.ts";
import { ObjectWriter } from "../codec/objectWriter.ts";
import { claimLength, encodeClaim } from "../codec/record.ts";
import type { Epoch, Position, RunNumber, Seq, Slot, SnapshotPosition } from "../types.ts";
import { BlockReader } from "./blockReader.ts";
import { cellRecords, NO_PAGES, type PageSource } from "./cellRecords.ts";
import { cellIn, checkWhole, fullDisk, layPlaces } from "./fetch.ts";
import { type Pages, pagesInMemory } from "./pageFile.ts";
import { intentOf, openTemporary, type StoredCell, uploadDeadline, type WriteOptions } from "./snapshot.ts";

/** A cell as it goes into a checkpoint. */
export interface CheckpointCell extends StoredCell {
  /** Its snapshot; `places` are then those of the records behind it, else those of all its pages. */
  readonly base: SnapshotPosition | undefined;
  /** Opens its pages, all of them, where they are not in the bucket yet: then the places are none. */
  readonly open?: () => PageSource & { close(): void };
}

/** What is written. */
export interface CheckpointPlan {
  readonly slot: Slot;
  /** In the key: of the owner's epoch, everything below `seq`; all epochs before. */
  readonly epoch: Epoch;
  readonly seq: Seq;
  /** The slot's last record, and its time. */
  readonly at: Position;
  readonly lastMs: number;
  /** Who writes. */
  readonly run: RunNumber;
  readonly cells: readonly CheckpointCell[];
}

/**
 * Writes a checkpoint and tells its bytes. Throws CELL_DAMAGED when pages are missing in the bucket, OBJECT_DAMAGED, DISK_FULL,
 * and what the bucket throws.
 */
export async function writeCheckpoint(bucket: Bucket, plan: CheckpointPlan, options: WriteOptions): Promise<number> {
  const key = checkpointKey(plan.slot, plan.epoch, plan.seq);
  const { signal, temporary } = options;
  let raw = 0;
  for (const { entry, places } of plan.cells) {
    raw += entry.pageSize * entry.pageCount;
    for (const { length } of places) raw += length;
  }
  const written = { bytes: 0 };
  try {
    const chunks = counted(checkpointChunks(bucket, key, plan, options), written);
    await bucket.put(key, chunks, { signal, deadlineMs: uploadDeadline(raw) });
  } catch (error) {
    throw fullDisk(error, temporary);
  }
  return written.bytes;
}

async function* counted(chunks: AsyncIterable<Buffer>, written: { bytes: number }): AsyncGenerator<Buffer, void, void> {
  written.bytes = 0;
  for await (const chunk of chunks) {
    written.bytes += chunk.length;
    yield chunk;
  }
}

async function* checkpointChunks(
  bucket: Bucket,
  key: string,
  plan: CheckpointPlan,
  options: WriteOptions,
): AsyncGenerator<Buffer, void, void> {
  const { runId, breathe, signal } = options;
  const writer = new ObjectWriter({
    kind: "checkpoint",
    runId,
    number: plan.seq,
    createdMs: plan.lastMs,
    intent: intentOf(key),
  });
  writer.add(claimOf(plan, runId));
  const cells = plan.cells.toSorted((a, b) =>
    Buffer.compare(Buffer.from(a.entry.address), Buffer.from(b.entry.address)),
  );
  const small = cells.filter(({ base }) => base === undefined);
  const reader = new BlockReader(bucket, placesOf(small), signal);
  for (const cell of cells) {
    const { entry, base } = cell;
    const pages = await gather(bucket, cell, reader, options);
    try {
      for (const record of cellRecords(entry, pages ?? NO_PAGES, base)) {
        writer.add(record);
        yield* writer.take();
        await breathe();
      }
    } finally {
      pages?.close();
    }
  }
  yield* writer.finish();
}

function* placesOf(cells: readonly CheckpointCell[]): Generator<CheckpointCell["places"][number], void, void> {
  for (const { places } of cells) yield* places;
}

async function gather(
  bucket: Bucket,
  cell: CheckpointCell,
  reader: BlockReader,
  { temporary, signal }: WriteOptions,
): Promise<(PageSource & { close(): void }) | undefined> {
  const { entry, places, base } = cell;
  if (cell.open !== undefined) return cell.open();
  if (entry.deleted || (base !== undefined && places.length === 0)) return undefined;
  if (base !== undefined) {
    const pages = openTemporary(temporary, entry);
    try {
      await layPlaces(bucket, { ...entry, places }, pages, signal);
      return { ...sourceOf(pages), close: () => pages.close() };
    } catch (error) {
      pages.close();
      throw error;
    }
  }
  const pages = pagesInMemory(entry);
  for (const place of places) pages.lay(cellIn(await reader.record(place), entry.address, place).pages);
  checkWhole({ ...entry, places }, pages);
  return { ...sourceOf(pages), close: () => {} };
}

function sourceOf(pages: Pages): PageSource {
  return { numbers: pages.numbers(), read: (numbers) => pages.read(numbers) };
}

/** The slot's position, as a claim: it needs a previous epoch, and says nothing by it. */
function claimOf({ slot, at, lastMs, run }: CheckpointPlan, runId: WriteOptions["runId"]): Buffer {
  const { epoch, txid } = at;
  const claim = { slot, epoch, txid, time: lastMs, previousEpoch: (epoch - 1) as Epoch, run };
  const bytes = Buffer.allocUnsafe(claimLength());
  encodeClaim({ ...claim, runId: Buffer.from(runId, "hex") }, bytes, 0);
  return bytes;
}
