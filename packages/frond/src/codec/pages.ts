// The pages of one commit: which pages changed, and where the bytes of their last version are.
//
// Rule: a PageSet points into bytes that somebody else owns and never copies them. It is used again for the next commit
// of its cell, so what it says is true only until then, and only while the source is left alone.
// Parallel arrays because the common commit has one or two pages and must not allocate. They keep their length when the
// set shrinks; `count` alone says how many entries are valid.
// Rejected: a Map from the start (hashing costs more than looking through a few numbers), sorting (nobody needs order).

/** Above this count of pages a Map finds an earlier version faster than a look through the numbers. */
const LINEAR_PAGES = 16;
/** Arrays that a large commit has grown beyond this count are given back at the next reset. */
const KEPT_PAGES = 1024;
const NOTHING = new Uint8Array(0);

/** SQLite's locks lie on the byte at 1 GiB; the page around it holds nothing and is never written. */
const PENDING_BYTE = 2 ** 30;

/** The number of the page that no commit ever writes. A database of fewer pages has none. */
export function lockPage(pageSize: number): number {
  return PENDING_BYTE / pageSize + 1;
}

/** The last version of each page of one commit. Page `numbers[i]` lies at `source[offsets[i]]`, for `i < count`. */
export class PageSet {
  /** How many entries of `numbers` and `offsets` are valid; what stands behind them is left over. */
  count = 0;
  numbers: number[] = [];
  offsets: number[] = [];
  /** The bytes that the offsets count in. */
  source: Uint8Array = NOTHING;
  /** Bytes of one page. */
  pageSize = 0;
  #places: Map<number, number> | undefined;

  /** Sum of the sizes of the pages, in bytes. */
  get byteLength(): number {
    return this.count * this.pageSize;
  }

  /** Empties the set and makes it count in `source`. */
  reset(source: Uint8Array, pageSize: number): void {
    this.source = source;
    this.pageSize = pageSize;
    this.count = 0;
    this.#places = undefined;
    if (this.numbers.length > KEPT_PAGES) {
      this.numbers = [];
      this.offsets = [];
    }
  }

  /** States where page `number` lies; replaces an earlier version. True if the set did not have the page yet. */
  put(number: number, offset: number): boolean {
    const place = this.#find(number);
    if (place !== -1) {
      this.offsets[place] = offset;
      return false;
    }
    this.numbers[this.count] = number;
    this.offsets[this.count] = offset;
    this.#places?.set(number, this.count);
    this.count += 1;
    return true;
  }

  /** Forgets the pages whose number is above `last`: those that the commit has cut off. */
  dropAbove(last: number): void {
    let kept = 0;
    for (let i = 0; i < this.count; i++) {
      const number = this.numbers[i] as number;
      if (number > last) continue;
      this.numbers[kept] = number;
      this.offsets[kept] = this.offsets[i] as number;
      kept += 1;
    }
    if (kept === this.count) return;
    this.count = kept;
    this.#places = undefined;
  }

  #find(number: number): number {
    if (this.count <= LINEAR_PAGES) {
      for (let i = 0; i < this.count; i++) if (this.numbers[i] === number) return i;
      return -1;
    }
    if (this.#places === undefined) {
      this.#places = new Map();
      for (let i = 0; i < this.count; i++) this.#places.set(this.numbers[i] as number, i);
    }
    return this.#places.get(number) ?? -1;
  }
}
