// Reading many records of many objects: each block is fetched once, with those of its neighbours that are needed too.
//
// Rule: who reads says beforehand which records he needs, and reads them about in the order in which they lie. So the cells of a
// slot, which lie side by side in checkpoints and packs, cost a request for every few megabytes and not one for each cell.
// What is held is bounded; what was dropped is fetched again.

import type { Bucket } from "../bucket/bucket.ts";
import { readBlock } from "../codec/objectReader.ts";
import type { Block } from "../codec/objectWriter.ts";
import { type DecodedRecord, decodeRecord } from "../codec/record.ts";
import { FrondError } from "../errors.ts";
import { FETCH_BYTES, PACK_READ_BYTES } from "../limits.ts";
import type { RecordPlace } from "./fetch.ts";

interface Piece {
  readonly key: string;
  readonly from: number;
  readonly bytes: Buffer;
}

/** See the head of the file. */
export class BlockReader {
  readonly #bucket: Bucket;
  readonly #signal: AbortSignal | undefined;
  /** The blocks that are needed of each object, in their order. */
  readonly #needed = new Map<string, Block[]>();
  /** Used last, last. */
  readonly #pieces: Piece[] = [];
  #held = 0;
  /** The last block that was inflated. */
  #block: { readonly key: string; readonly offset: number; readonly raw: Buffer } | undefined;

  constructor(bucket: Bucket, places: Iterable<RecordPlace>, signal?: AbortSignal) {
    this.#bucket = bucket;
    this.#signal = signal;
    const needed = new Map<string, Map<number, Block>>();
    for (const { key, block } of places) {
      const blocks = needed.get(key) ?? new Map<number, Block>();
      needed.set(key, blocks.set(block.offset, block));
    }
    for (const [key, blocks] of needed) {
      this.#needed.set(
        key,
        [...blocks.values()].sort((a, b) => a.offset - b.offset),
      );
    }
  }

  /** A record, whose pages point into bytes that nobody writes. Throws OBJECT_DAMAGED, and what the bucket throws. */
  async record({ key, block, at, length }: RecordPlace): Promise<DecodedRecord> {
    const { offset } = block;
    if (this.#block?.key !== key || this.#block.offset !== offset) {
      const piece = await this.#piece(key, block);
      const start = offset - piece.from;
      const raw = readBlock(piece.bytes.subarray(start, start + block.stored), block, key);
      this.#block = { key, offset, raw };
    }
    return decodeRecord(this.#block.raw, at, at + length, key);
  }

  async #piece(key: string, block: Block): Promise<Piece> {
    const end = block.offset + block.stored;
    const at = this.#pieces.findLastIndex(
      (piece) => piece.key === key && piece.from <= block.offset && piece.from + piece.bytes.length >= end,
    );
    const piece = at === -1 ? await this.#fetch(key, block) : (this.#pieces.splice(at, 1)[0] as Piece);
    this.#pieces.push(piece);
    if (at === -1) this.#held += piece.bytes.length;
    while (this.#held > PACK_READ_BYTES && this.#pieces.length > 1) {
      this.#held -= (this.#pieces.shift() as Piece).bytes.length;
    }
    return piece;
  }

  async #fetch(key: string, block: Block): Promise<Piece> {
    const bytes = this.#reach(key, block) - block.offset;
    const found = await this.#bucket.get(key, { from: block.offset, bytes }, { signal: this.#signal });
    if (found === undefined) throw new FrondError("OBJECT_DAMAGED", `${key} is gone from ${this.#bucket.url}`);
    return { key, from: block.offset, bytes: found.bytes };
  }

  /** Where the needed blocks end that follow this one without gaps, as far as one request goes. */
  #reach(key: string, { offset, stored }: Block): number {
    const blocks = this.#needed.get(key) ?? [];
    let end = offset + stored;
    for (let i = firstBehind(blocks, offset); i < blocks.length; i++) {
      const next = blocks[i] as Block;
      if (next.offset !== end || end + next.stored - offset > FETCH_BYTES) break;
      end += next.stored;
    }
    return end;
  }
}

function firstBehind(blocks: readonly Block[], offset: number): number {
  let [low, high] = [0, blocks.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((blocks[middle] as Block).offset <= offset) low = middle + 1;
    else high = middle;
  }
  return low;
}
