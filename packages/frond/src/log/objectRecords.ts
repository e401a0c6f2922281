// The records of an object in the bucket, read in their order.
//
// Rule: an object is fetched in pieces of a stated size, each once, however many slots are asked for one after the other; so
// who reads many objects side by side knows what he holds. A small object comes with its footer, in one request.
// What is not the object that was wanted (another kind, run or number) is damage that names the key.

import type { Bucket } from "../bucket/bucket.ts";
import type { ObjectKind } from "../codec/object.ts";
import type { Entry } from "../codec/objectEntries.ts";
import { decodeFooter, type Footer, footerIn, locateFooter, readBlock, readRecord } from "../codec/objectReader.ts";
import type { Block } from "../codec/objectWriter.ts";
import type { DecodedRecord } from "../codec/record.ts";
import { FrondError } from "../errors.ts";
import { FETCH_BYTES, FOOTER_READ_BYTES, OBJECT_BLOCK_RAW_BYTES } from "../limits.ts";
import type { RunId, Slot } from "../types.ts";
import { intentOfPack, type Part } from "./cover.ts";

/** What an object has to be. */
export interface WantedObject {
  readonly key: string;
  readonly kind: ObjectKind;
  readonly run: RunId;
  /** See {@link Footer.number}. */
  readonly number: number;
  /** Where that follows from its key. */
  readonly intent?: Uint8Array | undefined;
}

/** What a part of a run's log has to be. */
export function wantedOf({ key, kind, run, from, to }: Part): WantedObject {
  const intent = kind === "pack" ? intentOfPack(run, { from, to }) : undefined;
  return { key, kind, run, number: from, intent };
}

/** How an object is read. */
export interface ReadOptions {
  /** Bytes of one request; a larger block is one request. Default FETCH_BYTES. */
  readonly pieceBytes?: number;
  readonly signal?: AbortSignal;
}

/** See the head of the file. */
export class ObjectRecords {
  readonly wanted: WantedObject;
  readonly footer: Footer;
  readonly #bucket: Bucket;
  readonly #o: ReadOptions;
  /** Bytes of the object, and where they begin in it. */
  #piece: Buffer;
  #from: number;
  /** The last block that was inflated. */
  #block: { readonly number: number; readonly raw: Buffer } | undefined;

  private constructor(
    bucket: Bucket,
    wanted: WantedObject,
    footer: Footer,
    piece: { bytes: Buffer; from: number },
    options: ReadOptions,
  ) {
    this.#bucket = bucket;
    this.wanted = wanted;
    this.footer = footer;
    this.#piece = piece.bytes;
    this.#from = piece.from;
    this.#o = options;
  }

  /** Reads the footer; undefined: there is no such object. Throws OBJECT_DAMAGED, OBJECT_NEWER, and what the bucket throws. */
  static async open(
    bucket: Bucket,
    wanted: WantedObject,
    options: ReadOptions = {},
  ): Promise<ObjectRecords | undefined> {
    const { key } = wanted;
    const call = { signal: options.signal };
    const tail = await bucket.get(key, { last: FOOTER_READ_BYTES }, call);
    if (tail === undefined) return undefined;
    const trailer = locateFooter(tail.bytes, tail.size, key);
    const near = footerIn(tail.bytes, tail.size, trailer);
    const stored = near ?? (await bucket.get(key, { from: trailer.from, bytes: trailer.bytes }, call))?.bytes;
    if (stored === undefined) return undefined;
    const footer = decodeFooter(stored, trailer, key);
    checkIs(footer, wanted);
    const whole = tail.bytes.length === tail.size;
    const piece = whole ? { bytes: tail.bytes, from: 0 } : { bytes: Buffer.alloc(0), from: 0 };
    return new ObjectRecords(bucket, wanted, footer, piece, options);
  }

  /** The slots that it has records of, rising. */
  slots(): Slot[] {
    const { entries } = this.footer;
    const slots = new Set<Slot>();
    for (let i = 0; i < entries.length; i++) slots.add(entries.slotAt(i));
    return [...slots];
  }

  /**
   * The records of a slot, as many at a time as lie in one block; their pages point into bytes that nobody writes. `only`: no
   * other slot will be asked for, so nothing behind this one is fetched. Throws as {@link open} does, and OBJECT_DAMAGED
   * where the object is gone.
   */
  async *records(slot: Slot, only = false): AsyncGenerator<DecodedRecord[], void, void> {
    const { entries, blocks } = this.footer;
    const first = entries.firstOf(slot);
    const end = entries.firstOf((slot + 1) as Slot);
    if (end === first) return;
    const last = blocks[only ? (entries.at(end - 1) as Entry).block : blocks.length - 1] as Block;
    for (let at = first; at < end;) {
      const { block } = entries.at(at) as Entry;
      const raw = await this.#inflated(block, last.offset + last.stored);
      const records: DecodedRecord[] = [];
      for (; at < end; at++) {
        const entry = entries.at(at) as Entry;
        if (entry.block !== block) break;
        records.push(readRecord(raw, entry, this.wanted.key));
      }
      yield records;
    }
  }

  /** A block; where it has to be fetched, what lies behind it comes along, up to `end`. */
  async #inflated(number: number, end: number): Promise<Buffer> {
    if (this.#block?.number === number) return this.#block.raw;
    const block = this.footer.blocks[number] as Block;
    const { key } = this.wanted;
    const { offset, stored } = block;
    if (offset < this.#from || offset + stored > this.#from + this.#piece.length) {
      const { pieceBytes = FETCH_BYTES, signal } = this.#o;
      this.#piece = Buffer.alloc(0);
      const bytes = Math.max(stored, Math.min(pieceBytes, end - offset));
      const found = await this.#bucket.get(key, { from: offset, bytes }, { signal });
      if (found === undefined) throw new FrondError("OBJECT_DAMAGED", `${key} is gone from ${this.#bucket.url}`);
      this.#piece = found.bytes;
      this.#from = offset;
    }
    const at = offset - this.#from;
    const raw = readBlock(this.#piece.subarray(at, at + stored), block, key);
    // A large one is a record of its own, which nobody asks for twice.
    this.#block = raw.length > OBJECT_BLOCK_RAW_BYTES ? undefined : { number, raw };
    return raw;
  }
}

/** Throws OBJECT_DAMAGED unless the footer is that of the object that was wanted. */
export function checkIs(footer: Footer, { key, kind, run, number, intent }: WantedObject): void {
  if (footer.kind === kind && footer.runId === run && footer.number === number) {
    if (intent === undefined || Buffer.compare(footer.intent, intent) === 0) return;
    throw new FrondError("OBJECT_DAMAGED", `${key} is the ${kind} of another key`);
  }
  const is = `${footer.kind} ${footer.number} of run ${footer.runId}`;
  throw new FrondError("OBJECT_DAMAGED", `${key} is ${is}, not ${kind} ${number} of run ${run}`);
}
