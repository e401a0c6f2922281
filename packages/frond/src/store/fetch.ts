// A cell's file made anew from the bucket: its pages out of the records of snapshots, packs and segments.
//
// Rule: records are laid over each other from the oldest to the newest, and the file takes its place only when every page
// was met, so what is opened is exactly the position that was asked for. Blocks that lie side by side are one request; a
// few requests are under way at a time and at most as many are held, so a cell of a gigabyte takes no more memory than a
// small one. Each record's checksum is looked at again here.
// Rejected: pages gathered in memory from the newest record backwards (fewer bytes to write where pages changed often, but
// memory grows with the cell).

import fs from "node:fs";
import path from "node:path";
import type { Bucket } from "../bucket/bucket.ts";
import { readBlock } from "../codec/objectReader.ts";
import type { Block } from "../codec/objectWriter.ts";
import { type DecodedCell, type DecodedRecord, decodeRecord } from "../codec/record.ts";
import { FrondError } from "../errors.ts";
import { FETCH_BYTES, FETCHES_AT_ONCE } from "../limits.ts";
import type { Address } from "../types.ts";
import { PageFile } from "./pageFile.ts";
import { removeCell } from "./restore.ts";

/** Where a record lies in the bucket. */
export interface RecordPlace {
  /** Key of the object. */
  readonly key: string;
  readonly block: Block;
  /** Offset of the record in the block as it was before it was compressed, and its length, in bytes. */
  readonly at: number;
  readonly length: number;
}

/** What the file of a cell has to be. */
export interface WantedCell {
  readonly address: Address;
  readonly pageSize: number;
  readonly pageCount: number;
  /** Records that hold its pages, the oldest first. */
  readonly places: readonly RecordPlace[];
}

/** What it took. Counts; bytes as they were fetched. */
export interface FetchCost {
  readonly gets: number;
  readonly bytes: number;
}

/**
 * Writes the cell's file anew. Throws CELL_DAMAGED when pages are missing, OBJECT_DAMAGED for an object that is gone or not
 * what it should be, DISK_FULL, and what the bucket throws; the file is then not there.
 */
export async function fetchCell(bucket: Bucket, wanted: WantedCell, file: string): Promise<FetchCost> {
  removeCell(file);
  const temporary = `${file}.new`;
  let cost: FetchCost;
  const pages = begin(temporary, wanted);
  try {
    cost = await layPlaces(bucket, wanted, pages);
    checkWhole(wanted, pages);
    pages.truncate();
  } catch (error) {
    fs.rmSync(temporary, { force: true });
    throw fullDisk(error, file);
  } finally {
    pages.close();
  }
  fs.renameSync(temporary, file);
  return cost;
}

function begin(file: string, wanted: WantedCell): PageFile {
  try {
    fs.mkdirSync(path.dirname(file), { recursive: true, mode: 0o700 });
    return new PageFile(file, wanted);
  } catch (error) {
    throw fullDisk(error, file);
  }
}

/** Throws CELL_DAMAGED unless every page was met. */
export function checkWhole({ address, pageCount, places }: WantedCell, pages: Pick<PageFile, "missing">): void {
  const { missing } = pages;
  if (missing === 0) return;
  const what = `${missing} of ${pageCount} pages are in none of its ${places.length} records in the bucket`;
  throw new FrondError("CELL_DAMAGED", `${address} cannot be made anew: ${what}`);
}

export function fullDisk(error: unknown, file: string): unknown {
  if ((error as NodeJS.ErrnoException).code !== "ENOSPC") return error;
  return new FrondError("DISK_FULL", `no space to make ${file} anew`, { cause: error });
}

/** Lays the pages of the cell's records over each other, the oldest first. Throws as {@link fetchCell} does. */
export async function layPlaces(
  bucket: Bucket,
  { address, places }: Pick<WantedCell, "address" | "places">,
  pages: Pick<PageFile, "lay">,
  signal?: AbortSignal,
): Promise<FetchCost> {
  const runs = neighbours(places);
  const coming: Promise<Buffer>[] = [];
  let [asked, bytes] = [0, 0];
  const ask = (): void => {
    const fetched = fetchRun(bucket, runs[asked++] as BlockRun, signal);
    // Told when its turn comes, also if an earlier one fails.
    fetched.catch(() => {});
    coming.push(fetched);
  };
  for (const run of runs) {
    while (asked < runs.length && coming.length < FETCHES_AT_ONCE) ask();
    const stored = await (coming.shift() as Promise<Buffer>);
    bytes += stored.length;
    lay(run, stored, address, pages);
  }
  return { gets: runs.length, bytes };
}

/** Blocks that lie side by side in one object, and the records in them. */
interface BlockRun {
  readonly key: string;
  readonly from: number;
  bytes: number;
  readonly blocks: { readonly block: Block; readonly records: RecordPlace[] }[];
}

function neighbours(places: readonly RecordPlace[]): BlockRun[] {
  const runs: BlockRun[] = [];
  for (const place of places) {
    const { key, block } = place;
    const run = runs.at(-1);
    const last = run?.blocks.at(-1);
    if (run?.key === key && last?.block.offset === block.offset) {
      last.records.push(place);
    } else if (run?.key === key && run.from + run.bytes === block.offset && run.bytes + block.stored <= FETCH_BYTES) {
      run.bytes += block.stored;
      run.blocks.push({ block, records: [place] });
    } else {
      runs.push({ key, from: block.offset, bytes: block.stored, blocks: [{ block, records: [place] }] });
    }
  }
  return runs;
}

async function fetchRun(bucket: Bucket, run: BlockRun, signal: AbortSignal | undefined): Promise<Buffer> {
  const found = await bucket.get(run.key, { from: run.from, bytes: run.bytes }, { signal });
  if (found === undefined) throw new FrondError("OBJECT_DAMAGED", `${run.key} is gone from ${bucket.url}`);
  if (found.bytes.length < run.bytes) {
    const what = `${run.key} in ${bucket.url} has ${found.size} bytes; a block ends at ${run.from + run.bytes}`;
    throw new FrondError("OBJECT_DAMAGED", what);
  }
  return found.bytes;
}

/** Lays the records of some blocks over what is in the file. */
function lay(run: BlockRun, stored: Buffer, address: Address, pages: Pick<PageFile, "lay">): void {
  for (const { block, records } of run.blocks) {
    const at = block.offset - run.from;
    const raw = readBlock(stored.subarray(at, at + block.stored), block, run.key);
    for (const place of records) {
      const record = decodeRecord(raw, place.at, place.at + place.length, run.key);
      pages.lay(cellIn(record, address, place).pages);
    }
  }
}

/** What a record says of a cell. Throws OBJECT_DAMAGED when it is not one of the cell's. */
export function cellIn(record: DecodedRecord, address: Address, { key, at }: RecordPlace): DecodedCell {
  const cell = record.type === "commit" ? record.cells.find((found) => found.address === address) : undefined;
  if (cell === undefined)
    throw new FrondError("OBJECT_DAMAGED", `${key}: the record at ${at} is not one of ${address}`);
  return cell;
}
