// The pages of a cell while they are gathered: in a file, or for a small cell in memory.
//
// Rule: pages are laid over each other as they come, the last one stays, and it is known of each whether it was met: so what
// comes out can be told from what is missing, and what has changed from what has not. In memory there are one bit for each
// page and, of what is read back, what is asked for.

import fs from "node:fs";
import { assert } from "../assert.ts";
import { lockPage, type PageSet } from "../codec/pages.ts";
import { FrondError } from "../errors.ts";
import type { Address } from "../types.ts";
import { Scratch } from "./cellRecords.ts";

/** Which pages are gathered. */
export interface GatheredCell {
  readonly address: Address;
  readonly pageSize: number;
  /** Pages behind it do not count. */
  readonly pageCount: number;
}

/** Where pages are kept: page 1 lies at 0. */
interface PageStore {
  write(bytes: Uint8Array, from: number, length: number, position: number): void;
  read(into: Buffer, from: number, length: number, position: number): void;
}

/** See the head of the file. */
export class Pages {
  readonly #cell: GatheredCell;
  readonly #store: PageStore;
  /** One bit for each page. */
  readonly #met: Uint8Array;
  readonly #scratch = new Scratch();

  constructor(cell: GatheredCell, store: PageStore) {
    this.#cell = cell;
    this.#store = store;
    this.#met = new Uint8Array(Math.ceil((cell.pageCount + 1) / 8));
  }

  lay(set: Pick<PageSet, "count" | "numbers" | "offsets" | "source" | "pageSize">): void {
    const { pageSize, pageCount, address } = this.#cell;
    if (set.count > 0 && set.pageSize !== pageSize) {
      const what = `its records have pages of ${set.pageSize} bytes, and its last one says ${pageSize}`;
      throw new FrondError("CELL_DAMAGED", `${address} cannot be made anew: ${what}`);
    }
    for (let i = 0; i < set.count; i++) {
      const number = set.numbers[i] as number;
      if (number > pageCount) continue;
      this.#store.write(set.source, set.offsets[i] as number, pageSize, (number - 1) * pageSize);
      this.#met[number >> 3] = (this.#met[number >> 3] as number) | (1 << (number & 7));
    }
  }

  /** The page was laid. */
  has(number: number): boolean {
    return ((this.#met[number >> 3] as number) & (1 << (number & 7))) !== 0;
  }

  /** Pages that were never laid, but for the one that no commit writes. Count. */
  get missing(): number {
    const { pageSize, pageCount } = this.#cell;
    let missing = 0;
    for (let number = 1; number <= pageCount; number++) {
      if (!this.has(number) && number !== lockPage(pageSize)) missing += 1;
    }
    return missing;
  }

  /** The numbers of the pages that were laid, rising. */
  *numbers(): Generator<number, void, void> {
    for (let number = 1; number <= this.#cell.pageCount; number++) if (this.has(number)) yield number;
  }

  /** These pages, one behind the other, until the next are read. Numbers rise. */
  read(numbers: readonly number[]): Buffer {
    const { pageSize } = this.#cell;
    const bytes = this.#scratch.of(numbers.length * pageSize);
    for (let i = 0; i < numbers.length;) {
      const first = numbers[i] as number;
      let count = 1;
      while (numbers[i + count] === first + count) count += 1;
      this.#store.read(bytes, i * pageSize, count * pageSize, (first - 1) * pageSize);
      i += count;
    }
    return bytes;
  }
}

/** Pages in a file. Owns its descriptor, and not the file. */
export class PageFile extends Pages {
  readonly #fd: number;
  readonly #bytes: number;

  /** Makes the file, emptying one that is there. */
  constructor(file: string, cell: GatheredCell) {
    const fd = fs.openSync(file, "w+", 0o600);
    super(cell, { write: (...at) => writeAll(fd, ...at), read: (...at) => readAll(fd, ...at) });
    this.#fd = fd;
    this.#bytes = cell.pageCount * cell.pageSize;
  }

  /** Makes the file as long as the cell is. */
  truncate(): void {
    fs.ftruncateSync(this.#fd, this.#bytes);
  }

  close(): void {
    fs.closeSync(this.#fd);
  }
}

/** Pages in memory: all that the cell can have. */
export function pagesInMemory(cell: GatheredCell): Pages {
  const all = Buffer.alloc(cell.pageCount * cell.pageSize);
  return new Pages(cell, {
    write: (bytes, from, length, position) => all.set(bytes.subarray(from, from + length), position),
    read: (into, from, length, position) => void all.copy(into, from, position, position + length),
  });
}

function writeAll(fd: number, bytes: Uint8Array, from: number, length: number, position: number): void {
  for (let at = 0; at < length;) at += fs.writeSync(fd, bytes, from + at, length - at, position + at);
}

function readAll(fd: number, into: Buffer, from: number, length: number, position: number): void {
  for (let at = 0; at < length;) {
    const read = fs.readSync(fd, into, from + at, length - at, position + at);
    assert(read > 0, "what was written to a file of pages is in it");
    at += read;
  }
}
