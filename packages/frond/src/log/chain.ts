// The history of one cell, read backwards: each record names the place of the record before it.
//
// Rule: a cell's pages are the newest version of each page in its chain of records, cut at its present size; the walk ends
// when every page was met. So a rebuild reads this cell's records and no other's, without an index of the log.
// Rejected: an index of every record (grows with the history), a scan of the whole log (grows with the other cells).

import fs from "node:fs";
import { lockPage } from "../codec/pages.ts";
import { decodeRecord, type DecodedCell, peekLength, RECORD_HEADER_BYTES } from "../codec/record.ts";
import { FrondError } from "../errors.ts";
import { type Address, type LogPlace, placeFile, placeOffset } from "../types.ts";

/** Everything that the log knows of a cell's present content. */
export interface CellContent {
  readonly pageSize: number;
  readonly pageCount: number;
  /** Page number to page bytes; holds every page from 1 to pageCount, but for the one that is never written. */
  readonly pages: Map<number, Uint8Array>;
  /** Records read. */
  readonly records: number;
}

/** Collects the content of `address` as of the record at `last`. Throws CELL_DAMAGED when the chain has a hole. */
export function readChain(
  pathOfFile: (file: number) => string | undefined,
  address: Address,
  last: LogPlace,
): CellContent {
  const open: OpenFile = { number: 0, fd: -1 };
  try {
    return walk(open, pathOfFile, address, last);
  } finally {
    if (open.fd !== -1) fs.closeSync(open.fd);
  }
}

/** The file that is being read. One is enough, however many a chain goes through: it only goes back. */
interface OpenFile {
  number: number;
  fd: number;
}

function walk(
  open: OpenFile,
  pathOfFile: (file: number) => string | undefined,
  address: Address,
  last: LogPlace,
): CellContent {
  const pages = new Map<number, Uint8Array>();
  let newest: DecodedCell | undefined;
  let records = 0;
  for (let place = last; place !== 0;) {
    const cell = readCell(open, pathOfFile, address, place);
    newest ??= cell;
    records += 1;
    for (let i = 0; i < cell.pages.count; i++) {
      const number = cell.pages.numbers[i] as number;
      if (number > newest.pageCount || pages.has(number)) continue;
      const offset = cell.pages.offsets[i] as number;
      pages.set(number, cell.pages.source.subarray(offset, offset + cell.pageSize));
    }
    if (pages.size === writtenPages(newest)) {
      return { pageSize: newest.pageSize, pageCount: newest.pageCount, pages, records };
    }
    if (cell.previous >= place) throw hole(address, place, "it names a later record as the one before it");
    place = cell.previous;
  }
  const missing = newest ? writtenPages(newest) - pages.size : 0;
  throw hole(address, last, `${missing} of ${newest?.pageCount ?? 0} pages are in none of its ${records} records`);
}

function writtenPages({ pageCount, pageSize }: DecodedCell): number {
  return pageCount < lockPage(pageSize) ? pageCount : pageCount - 1;
}

function readCell(
  open: OpenFile,
  pathOfFile: (file: number) => string | undefined,
  address: Address,
  place: LogPlace,
): DecodedCell {
  const number = placeFile(place);
  const path = pathOfFile(number);
  if (path === undefined) throw hole(address, place, `log file ${number} does not exist`);
  if (open.number !== number) {
    if (open.fd !== -1) fs.closeSync(open.fd);
    open.fd = -1;
    open.fd = openFile(path, () => hole(address, place, `log file ${number} is gone`));
    open.number = number;
  }
  const { fd } = open;
  const offset = placeOffset(place);
  const head = readAt(fd, offset, RECORD_HEADER_BYTES);
  try {
    const bytes = readAt(fd, offset, peekLength(head, 0, path));
    const record = decodeRecord(bytes, 0, bytes.length, path);
    const cell = record.type === "commit" ? record.cells.find((c) => c.address === address) : undefined;
    if (cell === undefined) throw hole(address, place, "the record there is of another cell");
    return cell;
  } catch (error) {
    if (error instanceof FrondError && error.code !== "CELL_DAMAGED") throw hole(address, place, error.message, error);
    throw error;
  }
}

function openFile(path: string, gone: () => FrondError): number {
  try {
    return fs.openSync(path, "r");
  } catch (error) {
    throw (error as NodeJS.ErrnoException).code === "ENOENT" ? gone() : error;
  }
}

function readAt(fd: number, offset: number, length: number): Buffer {
  const bytes = Buffer.allocUnsafe(length);
  let got = 0;
  while (got < length) {
    const read = fs.readSync(fd, bytes, got, length - got, offset + got);
    if (read === 0) break;
    got += read;
  }
  return bytes.subarray(0, got);
}

function hole(address: Address, place: LogPlace, what: string, cause?: unknown): FrondError {
  return new FrondError(
    "CELL_DAMAGED",
    `the history of ${address} cannot be read at log file ${placeFile(place)}, offset ${placeOffset(place)}: ${what}`,
    { cause },
  );
}
