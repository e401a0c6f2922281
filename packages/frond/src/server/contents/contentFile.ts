// The pages of a database file that nobody writes, read as they are asked for.

import fs from "node:fs";
import { assert } from "../../assert.ts";
import { lockPage } from "../../codec/pages.ts";
import type { CellEntry } from "../../store/catalog.ts";
import type { PageSource } from "../../store/cellRecords.ts";

/** See the head of the file. Owns its descriptor. */
export class ContentFile implements PageSource {
  readonly #fd: number;
  readonly #pageSize: number;
  readonly #pageCount: number;

  constructor(file: string, { pageSize, pageCount }: Pick<CellEntry, "pageSize" | "pageCount">) {
    this.#fd = fs.openSync(file, "r");
    this.#pageSize = pageSize;
    this.#pageCount = pageCount;
  }

  /** All but the one that no commit ever writes. */
  get numbers(): Iterable<number> {
    return pageNumbers(this.#pageCount, lockPage(this.#pageSize));
  }

  read(numbers: readonly number[]): Buffer {
    const size = this.#pageSize;
    const bytes = Buffer.allocUnsafe(numbers.length * size);
    for (let i = 0; i < numbers.length;) {
      const first = numbers[i] as number;
      let count = 1;
      while (numbers[i + count] === first + count) count += 1;
      const read = fs.readSync(this.#fd, bytes, i * size, count * size, (first - 1) * size);
      assert(read === count * size, "the file has all the pages that were counted in it");
      i += count;
    }
    return bytes;
  }

  close(): void {
    fs.closeSync(this.#fd);
  }
}

function* pageNumbers(count: number, without: number): Generator<number, void, void> {
  for (let number = 1; number <= count; number++) if (number !== without) yield number;
}
