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
import { lockPage } from "../codec/pages.ts";
import { decodeRecord } from "../codec/record.ts";
import { FrondError } from "../errors.ts";
import { FETCH_BYTES, FETCHES_AT_ONCE } from "../limits.ts";
import type { Address } from "../types.ts";
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
  const runs = neighbours(wanted.places);
  removeCell(file);
  fs.mkdirSync(path.dirname(file), { recursive: true, mode: 0o700 });
  const temporary = `${file}.new`;
  const pages = new PageFile(fs.openSync(temporary, "w", 0o600), wanted);
  let bytes = 0;
  try {
    const coming: Promise<Buffer>[] = [];
    let asked = 0;
    const ask = (): void => {
      const fetched = fetchRun(bucket, runs[asked++] as BlockRun);
      // Told when its turn comes, also if an earlier one fails.
      fetched.catch(() => {});
      coming.push(fetched);
    };
    for (const run of runs) {
      while (asked < runs.length && coming.length < FETCHES_AT_ONCE) ask();
      const stored = await (coming.shift() as Promise<Buffer>);
      bytes += stored.length;
      lay(run, stored, pages);
    }
    pages.finish();
  } catch (error) {
    fs.rmSync(temporary, { force: true });
    throw (error as NodeJS.ErrnoException).code === "ENOSPC"
      ? new FrondError("DISK_FULL", `no space to make ${file} anew`, { cause: error })
      : error;
  } finally {
    pages.close();
  }
  fs.renameSync(temporary, file);
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

async function fetchRun(bucket: Bucket, run: BlockRun): Promise<Buffer> {
  const found = await bucket.get(run.key, { from: run.from, bytes: run.bytes });
  if (found === undefined) throw new FrondError("OBJECT_DAMAGED", `${run.key} is gone from ${bucket.url}`);
  if (found.bytes.length < run.bytes) {
    const what = `${run.key} in ${bucket.url} has ${found.size} bytes; a block ends at ${run.from + run.bytes}`;
    throw new FrondError("OBJECT_DAMAGED", what);
  }
  return found.bytes;
}

/** Lays the records of some blocks over what is in the file. */
function lay(run: BlockRun, stored: Buffer, pages: PageFile): void {
  for (const { block, records } of run.blocks) {
    const at = block.offset - run.from;
    const raw = readBlock(stored.subarray(at, at + block.stored), block, run.key);
    for (const place of records) {
      const record = decodeRecord(raw, place.at, place.at + place.length, run.key);
      const { address } = pages.wanted;
      const cell = record.type === "commit" ? record.cells.find((found) => found.address === address) : undefined;
      if (cell === undefined) {
        throw new FrondError("OBJECT_DAMAGED", `${run.key}: the record at ${place.at} is not one of ${address}`);
      }
      pages.lay(cell.pages);
    }
  }
}

/** The file while it is being made. Owns its descriptor. */
class PageFile {
  readonly wanted: WantedCell;
  readonly #fd: number;
  /** One bit for each page. */
  readonly #met: Uint8Array;

  constructor(fd: number, wanted: WantedCell) {
    this.#fd = fd;
    this.wanted = wanted;
    this.#met = new Uint8Array(Math.ceil((wanted.pageCount + 1) / 8));
  }

  lay(set: { count: number; numbers: number[]; offsets: number[]; source: Uint8Array; pageSize: number }): void {
    const { pageSize, pageCount, address } = this.wanted;
    if (set.count > 0 && set.pageSize !== pageSize) {
      const what = `its records have pages of ${set.pageSize} bytes, and its last one says ${pageSize}`;
      throw new FrondError("CELL_DAMAGED", `${address} cannot be made anew: ${what}`);
    }
    for (let i = 0; i < set.count; i++) {
      const number = set.numbers[i] as number;
      if (number > pageCount) continue;
      const offset = set.offsets[i] as number;
      writeAll(this.#fd, set.source, offset, pageSize, (number - 1) * pageSize);
      this.#met[number >> 3] = (this.#met[number >> 3] as number) | (1 << (number & 7));
    }
  }

  /** Checks that every page was met. */
  finish(): void {
    const { pageSize, pageCount, address, places } = this.wanted;
    let missing = 0;
    for (let number = 1; number <= pageCount; number++) {
      const met = ((this.#met[number >> 3] as number) & (1 << (number & 7))) !== 0;
      if (!met && number !== lockPage(pageSize)) missing += 1;
    }
    if (missing > 0) {
      const what = `${missing} of ${pageCount} pages are in none of its ${places.length} records in the bucket`;
      throw new FrondError("CELL_DAMAGED", `${address} cannot be made anew: ${what}`);
    }
    fs.ftruncateSync(this.#fd, pageCount * pageSize);
  }

  close(): void {
    fs.closeSync(this.#fd);
  }
}

function writeAll(fd: number, bytes: Uint8Array, from: number, length: number, position: number): void {
  for (let at = 0; at < length;) at += fs.writeSync(fd, bytes, from + at, length - at, position + at);
}
