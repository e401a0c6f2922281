// Taking a cell that was erased out of what the bucket has of it.
//
// Rules.
// - Snapshots of the cell go. Of packs and checkpoints the cell's pages go: the object is written again under its key, every other
//   record as it was, and in the place of the cell's own their heads, which say what an index needs and nothing of the content.
// - Segments stay as they are written: they go when the retention has passed. A log that could be changed behind its run would not be
//   what everything else rests on.
// - What is being written at the same moment may still hold the cell: who erases looks again, until nothing is found.
// Rejected: leaving the record out (positions would be given twice), a new key (a listing of packs is what tells which there are).

import type { Bucket } from "../../bucket/bucket.ts";
import { listAll } from "../../bucket/listAll.ts";
import { PACK_PREFIX, parseCheckpointKey, positionOfSnapshot, snapshotPrefix } from "../../bucket/objectKeys.ts";
import type { Entry } from "../../codec/objectEntries.ts";
import { type Footer, readBlock } from "../../codec/objectReader.ts";
import { type Block, ObjectWriter } from "../../codec/objectWriter.ts";
import { FrondError } from "../../errors.ts";
import { FETCH_BYTES } from "../../limits.ts";
import { readFooter } from "../../log/runObjects.ts";
import { fileNameOf } from "../../store/paths.ts";
import { uploadDeadline } from "../../store/snapshot.ts";
import { type Address, comparePositions, type Position, type Slot } from "../../types.ts";
import { CellHistory, type SlotRanges } from "../slots/cellHistory.ts";
import type { SlotHistories } from "../slots/slotHistory.ts";

/** What is to be erased: the cell up to this position. */
export interface ErasedCell {
  readonly slot: Slot;
  readonly address: Address;
  readonly through: Position;
}

/** What the bucket has of the cell. Counts. */
export interface CopiesLeft {
  readonly packs: number;
  readonly checkpoints: number;
  readonly snapshots: number;
  /** Commits that stand in segments. */
  readonly commits: number;
}

/** What copies are looked for with. */
export interface EraseOptions {
  readonly bucket: Bucket;
  readonly histories: SlotHistories;
  readonly ranges: SlotRanges;
  /** Asked after each bit of work, and waited for. */
  readonly breathe: () => Promise<void>;
  readonly signal?: AbortSignal | undefined;
}

/** Takes the cell out of packs, checkpoints and snapshots. Throws what the bucket throws, and OBJECT_DAMAGED. */
export async function eraseCopies(options: EraseOptions, cell: ErasedCell): Promise<void> {
  const { bucket, signal } = options;
  for await (const { key, footer } of holders(options, cell)) await rewrite(options, cell, key, footer);
  const keys: string[] = [];
  for await (const key of snapshotsOf(bucket, cell)) keys.push(key);
  if (keys.length > 0) await bucket.delete(keys, { signal });
}

/** Looks what there is of the cell. Throws as {@link eraseCopies}. */
export async function findCopies(options: EraseOptions, cell: ErasedCell): Promise<CopiesLeft> {
  const { bucket, histories, ranges } = options;
  const { slot, address, through } = cell;
  const left = { packs: 0, checkpoints: 0, snapshots: 0 };
  for await (const { key } of holders(options, cell)) {
    if (parseCheckpointKey(key) === undefined) left.packs += 1;
    else left.checkpoints += 1;
  }
  for await (const _ of snapshotsOf(bucket, cell)) left.snapshots += 1;
  const commits = await new CellHistory(bucket, histories, slot, address).pagesThrough(ranges, through);
  return { ...left, commits };
}

/** The packs and checkpoints that hold pages of the cell. */
async function* holders(
  { bucket, histories, signal }: EraseOptions,
  cell: ErasedCell,
): AsyncGenerator<{ key: string; footer: Footer }> {
  const looked = async (key: string): Promise<{ key: string; footer: Footer } | undefined> => {
    signal?.throwIfAborted();
    const footer = await readFooter(bucket, key);
    if (footer === undefined) return undefined;
    for (const entry of footer.entries.of(cell.slot)) if (isOf(entry, cell)) return { key, footer };
    return undefined;
  };
  for await (const { key } of listAll(bucket, PACK_PREFIX)) {
    const found = await looked(key);
    if (found !== undefined) yield found;
  }
  for (const { key } of await histories.checkpoints(cell.slot)) {
    const found = await looked(key);
    if (found !== undefined) yield found;
  }
}

async function* snapshotsOf(bucket: Bucket, { slot, address, through }: ErasedCell): AsyncGenerator<string> {
  for await (const { key } of listAll(bucket, snapshotPrefix(slot, fileNameOf(address)))) {
    const at = positionOfSnapshot(key);
    if (at !== undefined && comparePositions(at, through) <= 0) yield key;
  }
}

/** The record holds pages of the cell that are to go. */
function isOf(entry: Entry, { slot, address, through }: ErasedCell): boolean {
  if (entry.slot !== slot || entry.length <= entry.headBytes.length || !entry.headBytes.includes(address)) return false;
  const head = entry.head();
  if (head.type !== "commit" || comparePositions(head, through) > 0) return false;
  return head.cells.some((cell) => cell.address === address);
}

async function rewrite(options: EraseOptions, cell: ErasedCell, key: string, footer: Footer): Promise<void> {
  const { bucket, histories, signal } = options;
  const bytes = footer.blocks.reduce((sum, { stored }) => sum + stored, 0);
  await bucket.put(key, without(options, cell, key, footer), { signal, deadlineMs: uploadDeadline(bytes) });
  histories.indexes.rewritten(key);
}

async function* without(
  { bucket, breathe, signal }: EraseOptions,
  cell: ErasedCell,
  key: string,
  footer: Footer,
): AsyncGenerator<Buffer, void, void> {
  const { kind, runId, number, createdMs, entries, blocks, intent } = footer;
  const writer = new ObjectWriter({ kind, runId, number, createdMs, intent });
  let at = 0;
  for (const piece of pieces(blocks)) {
    const from = (piece[0] as Block).offset;
    const length = piece.reduce((sum, { stored }) => sum + stored, 0);
    const found = await bucket.get(key, { from, bytes: length }, { signal });
    if (found === undefined) throw new FrondError("OBJECT_DAMAGED", `${key} is gone from ${bucket.url}`);
    for (const block of piece) {
      const start = block.offset - from;
      const raw = readBlock(found.bytes.subarray(start, start + block.stored), block, key);
      for (let entry = entries.at(at); entry !== undefined && blocks[entry.block] === block; entry = entries.at(++at)) {
        writer.add(isOf(entry, cell) ? entry.headBytes : raw.subarray(entry.at, entry.at + entry.length));
      }
      yield* writer.take();
      await breathe();
    }
  }
  yield* writer.finish();
}

/** Blocks that are fetched together. */
function pieces(blocks: readonly Block[]): Block[][] {
  const all: Block[][] = [];
  let bytes = Infinity;
  for (const block of blocks) {
    if (bytes + block.stored > FETCH_BYTES) {
      all.push([]);
      bytes = 0;
    }
    (all.at(-1) as Block[]).push(block);
    bytes += block.stored;
  }
  return all;
}
