// Reading the sections of a record whose checksum held.
//
// Rule: nothing is taken for granted but that the bytes are as they were written: every count, size, number and address
// is checked against what docs/formats.md allows before it is used, so software that wrote nonsense is found here and
// not in a rebuilt cell. Pages and addresses are not copied.

import { formatAddress, parseAddress } from "../address.ts";
import { MAX_ADDRESS_BYTES, MAX_RECORD_CELLS, MAX_RECORD_CHANGES } from "../limits.ts";
import {
  type Address,
  comparePositions,
  type Epoch,
  formatPosition,
  type LogPlace,
  type Position,
  type RunNumber,
  type SnapshotPosition,
  type Txid,
} from "../types.ts";
import { padded } from "./bytes.ts";
import type { Fields } from "./fields.ts";
import {
  BASE_PAYLOAD,
  BASE_SECTION,
  CELL_SECTION,
  CHANGE_SECTION,
  CLAIM_PAYLOAD,
  CLAIM_SECTION,
  MUST_UNDERSTAND,
  RECORD_HEADER,
  RECORD_HEADER_BYTES,
  SECTION_BASE,
  SECTION_CHANGE,
  SECTION_CLAIM,
  SECTION_HEADER,
  SECTION_HEADER_BYTES,
} from "./layout.ts";
import { PageSet } from "./pages.ts";
import type { DecodedCell, IndexChange } from "./values.ts";
import { isPageSize } from "./wal.ts";

/** SQLite never uses the page number 2^32 - 1. */
const MAX_PAGE_NUMBER = 2 ** 32 - 2;
/** The flags that this version gives to each type of section, by its number. A type without an entry is unknown. */
const SECTION_FLAGS: readonly (number | undefined)[] = [
  undefined,
  MUST_UNDERSTAND,
  0,
  MUST_UNDERSTAND,
  MUST_UNDERSTAND,
];
/** Kinds of index change, by their number less one. */
const CHANGES = ["created", "deleted", "alarm-set", "alarm-cleared", "alarms-failed"] as const;

/** Calls `take` with each section that this version knows; the sections must fill the record exactly. */
function readSections(
  fields: Fields,
  at: number,
  end: number,
  take: (type: number, from: number, to: number) => void,
): void {
  let place = at + RECORD_HEADER_BYTES;
  for (let left = fields.u32(at + RECORD_HEADER.sections); left > 0; left--) {
    if (place + SECTION_HEADER_BYTES > end) throw fields.damaged(place, "a section", "does not fit");
    const type = fields.u16(place + SECTION_HEADER.type);
    const flags = fields.u16(place + SECTION_HEADER.flags);
    const payload = fields.u32(place + SECTION_HEADER.length);
    const from = place + SECTION_HEADER_BYTES;
    if (payload > end - from) throw fields.damaged(place, "the payload of a section", `has ${payload} bytes too many`);
    const to = from + payload;
    const known = SECTION_FLAGS[type];
    if (type === 0) throw fields.damaged(place, "the type of a section", "is 0");
    if (known === undefined ? (flags & MUST_UNDERSTAND) !== 0 : flags !== known) {
      throw fields.newer(place, "a section", `of type ${type} has the flags ${flags}`);
    }
    place += SECTION_HEADER_BYTES + Math.ceil(payload / 4) * 4;
    if (place > end) throw fields.damaged(to, "the padding", "does not fit");
    fields.padding(to, place);
    if (known !== undefined) take(type, from, to);
  }
  if (place !== end) throw fields.damaged(place, "the sections", `leave ${end - place} bytes over`);
}

/** Cells and index changes of the commit whose header is at `at` and whose sections end at `end`. */
export function readCommit(
  fields: Fields,
  at: number,
  end: number,
  head: Position,
): { cells: DecodedCell[]; changes: IndexChange[] } {
  const cells: DecodedCell[] = [];
  const changes: IndexChange[] = [];
  const seen = new Set<Address>();
  const bases = new Map<number, SnapshotPosition>();
  readSections(fields, at, end, (type, from, to) => {
    if (type === SECTION_CLAIM) throw fields.damaged(from, "a CLAIM section", "stands in a commit");
    if (type === SECTION_CHANGE) {
      if (changes.length === MAX_RECORD_CHANGES)
        throw fields.damaged(from, "the number of index changes", "is too large");
      changes.push(readChange(fields, from, to));
      return;
    }
    if (type === SECTION_BASE) return readBase(fields, from, to, head, bases);
    if (cells.length === MAX_RECORD_CELLS) throw fields.damaged(from, "the number of cells", "is too large");
    const cell = readCell(fields, from, to);
    if (seen.has(cell.address)) throw fields.damaged(from, "the cell", `${cell.address} stands in it twice`);
    seen.add(cell.address);
    cells.push(cell);
  });
  for (const [number, base] of bases) {
    const cell = cells[number];
    if (cell === undefined) throw fields.damaged(at, "a BASE section", `is of cell ${number} of ${cells.length}`);
    cells[number] = { ...cell, base };
  }
  return { cells, changes };
}

function readBase(
  fields: Fields,
  from: number,
  to: number,
  head: Position,
  bases: Map<number, SnapshotPosition>,
): void {
  if (to - from !== BASE_PAYLOAD) throw fields.damaged(from, "a BASE section", `has ${to - from} bytes`);
  const cell = fields.u32(from + BASE_SECTION.cell);
  if (bases.has(cell))
    throw fields.damaged(from + BASE_SECTION.cell, "a BASE section", `of cell ${cell} is the second`);
  const attempt = fields.u32(from + BASE_SECTION.attempt);
  const base: SnapshotPosition = {
    epoch: fields.u64(from + BASE_SECTION.epoch, "the epoch of a base", 1) as Epoch,
    txid: fields.u64(from + BASE_SECTION.txid, "the txid of a base", 1) as Txid,
    ...(attempt > 0 && { attempt }),
  };
  if (comparePositions(base, head) > 0) {
    throw fields.damaged(from, "a base", `is ${formatPosition(base)}, behind ${formatPosition(head)}`);
  }
  bases.set(cell, base);
}

function readCell(fields: Fields, from: number, to: number): DecodedCell {
  if (to - from < CELL_SECTION.address) throw fields.damaged(from, "a CELL section", "is too short");
  const addressBytes = fields.u16(from + CELL_SECTION["address bytes"]);
  fields.reserved(from + CELL_SECTION.reserved, 2);
  const pageSize = fields.u32(from + CELL_SECTION["page size"]);
  if (!isPageSize(pageSize)) throw fields.damaged(from + CELL_SECTION["page size"], "the page size", `is ${pageSize}`);
  const pageCount = fields.u32(from + CELL_SECTION["page count"]);
  if (pageCount > MAX_PAGE_NUMBER) {
    throw fields.damaged(from + CELL_SECTION["page count"], "the page count", `is ${pageCount}`);
  }
  const count = fields.u32(from + CELL_SECTION.pages);
  const numbersAt = from + CELL_SECTION.address + padded(addressBytes);
  const pagesAt = numbersAt + 4 * count;
  if (pagesAt + count * pageSize !== to) {
    const what = `is ${count}: with an address of ${addressBytes} bytes and pages of ${pageSize} they do not fill the section`;
    throw fields.damaged(from + CELL_SECTION.pages, "the number of pages", what);
  }
  const address = readAddress(fields, from + CELL_SECTION.address, addressBytes);
  fields.padding(from + CELL_SECTION.address + addressBytes, numbersAt);
  const pages = new PageSet();
  pages.reset(fields.bytes, pageSize);
  for (let i = 0; i < count; i++) {
    const number = fields.u32(numbersAt + 4 * i);
    if (number < 1 || number > pageCount) {
      throw fields.damaged(numbersAt + 4 * i, "a page number", `is ${number}, not from 1 to ${pageCount}`);
    }
    if (!pages.put(number, pagesAt + i * pageSize)) {
      throw fields.damaged(numbersAt + 4 * i, "a page number", `is ${number} for the second time`);
    }
  }
  return {
    address,
    addressBytes: fields.bytes.subarray(from + CELL_SECTION.address, from + CELL_SECTION.address + addressBytes),
    pageSize,
    pageCount,
    walSalt1: fields.u32(from + CELL_SECTION["salt 1"]),
    walSalt2: fields.u32(from + CELL_SECTION["salt 2"]),
    walEnd: fields.u64(from + CELL_SECTION["WAL end"], "the end of the WAL"),
    previous: fields.u64(from + CELL_SECTION.previous, "the previous place") as LogPlace,
    pages,
  };
}

function readChange(fields: Fields, from: number, to: number): IndexChange {
  if (to - from < CHANGE_SECTION.address) throw fields.damaged(from, "a CHANGE section", "is too short");
  const number = fields.u8(from + CHANGE_SECTION.what);
  if (number === 0) throw fields.damaged(from + CHANGE_SECTION.what, "an index change", "is of kind 0");
  const what = CHANGES[number - 1];
  if (what === undefined) throw fields.newer(from + CHANGE_SECTION.what, "an index change", `is of kind ${number}`);
  fields.reserved(from + CHANGE_SECTION.reserved, 1);
  const addressBytes = fields.u16(from + CHANGE_SECTION["address bytes"]);
  const addressEnd = from + CHANGE_SECTION.address + addressBytes;
  if (from + CHANGE_SECTION.address + padded(addressBytes) !== to) {
    throw fields.damaged(from, "a CHANGE section", `does not end with its address of ${addressBytes} bytes`);
  }
  fields.padding(addressEnd, to);
  const value = fields.u64(from + CHANGE_SECTION.value, "the value of an index change");
  if (value !== 0 && what === "alarm-cleared") {
    throw fields.damaged(from + CHANGE_SECTION.value, "the value of an index change", `is ${value} for "${what}"`);
  }
  return { what, address: readAddress(fields, from + CHANGE_SECTION.address, addressBytes), value };
}

/** What the claim says beside its header, which must agree with `head`. */
export function readClaim(
  fields: Fields,
  at: number,
  end: number,
  head: { readonly epoch: Epoch; readonly txid: Txid },
): { previousEpoch: Epoch; run: RunNumber; runId: Uint8Array } {
  let found: { previousEpoch: Epoch; run: RunNumber; runId: Uint8Array } | undefined;
  readSections(fields, at, end, (type, from, to) => {
    if (type !== SECTION_CLAIM) throw fields.damaged(from, `a section of type ${type}`, "stands in a claim");
    if (found !== undefined) throw fields.damaged(from, "the CLAIM section", "stands in it twice");
    if (to - from !== CLAIM_PAYLOAD) throw fields.damaged(from, "the CLAIM section", `has ${to - from} bytes`);
    const previous = fields.u64(from + CLAIM_SECTION["previous epoch"], "the previous epoch");
    if (previous >= head.epoch) {
      throw fields.damaged(from, "the previous epoch", `is ${previous}, not below the claimed ${head.epoch}`);
    }
    const last = fields.u64(from + CLAIM_SECTION["last txid"], "the last txid");
    if (last !== head.txid) {
      throw fields.damaged(
        from + CLAIM_SECTION["last txid"],
        "the last txid",
        `is ${last}; the header has ${head.txid}`,
      );
    }
    found = {
      previousEpoch: previous as Epoch,
      run: fields.u64(from + CLAIM_SECTION.run, "the run number", 1) as RunNumber,
      runId: new Uint8Array(fields.bytes.subarray(from + CLAIM_SECTION["run id"], to)),
    };
  });
  if (found === undefined) throw fields.damaged(at, "the CLAIM section", "is missing");
  return found;
}

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** An address that is written as formatAddress() writes it: another spelling would be a second cell. */
function readAddress(fields: Fields, at: number, length: number): Address {
  if (length > MAX_ADDRESS_BYTES) throw fields.damaged(at, "an address", `has ${length} bytes`);
  const bytes = fields.bytes.subarray(at, at + length);
  try {
    const text = utf8.decode(bytes);
    const address = formatAddress(parseAddress(text));
    if (address === text) return address;
  } catch (error) {
    throw fields.damaged(at, "an address", `is none (${(error as Error).message})`);
  }
  throw fields.damaged(at, "an address", "is not spelled as frond spells it");
}
