// A bucket in memory: for tests and for the simulator.
//
// Rule: it does what the others do, at once, and forgets everything with its process. Bytes are copied on their way in and
// out, so that nobody changes an object by changing his buffer.

import { assert } from "../assert.ts";
import { BUCKET_LIST_LIMIT } from "../limits.ts";
import type { Bucket, BucketCall, ByteRange, Content, CreateOutcome, Fetched, Listed } from "./bucket.ts";
import { checkKey, checkPrefix, compareKeys } from "./keys.ts";
import { checkOpen, closedError, limited, untilAborted } from "./limited.ts";
import { cut } from "./range.ts";

interface Stored {
  readonly bytes: Buffer;
  readonly modifiedMs: number;
}

/** What a bucket in memory holds: it outlives those that open it. */
export class MemoryStore {
  /** In ms since 1970. */
  readonly now: () => number;
  readonly objects = new Map<string, Stored>();
  /** The keys of all objects, in their order. */
  readonly keys: string[] = [];

  constructor(now: () => number = Date.now) {
    this.now = now;
  }
}

/** Opens a bucket in memory; several may be open on one store. */
export function openMemoryBucket(store: MemoryStore = new MemoryStore()): Bucket {
  return new MemoryBucket(store);
}

class MemoryBucket implements Bucket {
  readonly url = "memory:";
  readonly #store: MemoryStore;
  readonly #closing = new AbortController();

  constructor(store: MemoryStore) {
    this.#store = store;
  }

  async create(key: string, bytes: Uint8Array, call?: BucketCall): Promise<CreateOutcome> {
    this.#begin(key, call);
    if (this.#store.objects.has(key)) return "exists";
    this.#set(key, Buffer.from(bytes));
    return "created";
  }

  async get(key: string, range?: ByteRange, call?: BucketCall): Promise<Fetched | undefined> {
    this.#begin(key, call);
    const stored = this.#store.objects.get(key);
    const { from, end } = cut(stored?.bytes.length ?? 0, range);
    return stored && { bytes: Buffer.from(stored.bytes.subarray(from, end)), size: stored.bytes.length };
  }

  async put(key: string, content: Content, call?: BucketCall): Promise<void> {
    this.#begin(key, call);
    if (content instanceof Uint8Array) return this.#set(key, Buffer.from(content));
    await limited(`put of ${key} in ${this.url}`, call, this.#closing.signal, async (signal) => {
      const chunks: Buffer[] = [];
      for await (const chunk of untilAborted(content, signal)) chunks.push(Buffer.from(chunk));
      this.#set(key, Buffer.concat(chunks));
    });
  }

  async list(prefix: string, after = "", limit = BUCKET_LIST_LIMIT, call?: BucketCall): Promise<Listed[]> {
    checkPrefix(prefix);
    assert(Number.isSafeInteger(limit) && limit >= 1, "a listing asks for at least one object");
    checkOpen(call, this.#closing.signal);
    const found: Listed[] = [];
    const start = compareKeys(prefix, after) > 0 ? this.#placeOf(prefix) : this.#placeOf(after);
    for (let at = start; at < this.#store.keys.length && found.length < limit; at++) {
      const key = this.#store.keys[at] as string;
      if (key === after) continue;
      if (!key.startsWith(prefix)) break;
      const { bytes, modifiedMs } = this.#store.objects.get(key) as Stored;
      found.push({ key, size: bytes.length, modifiedMs });
    }
    return found;
  }

  async delete(keys: readonly string[], call?: BucketCall): Promise<void> {
    for (const key of keys) {
      this.#begin(key, call);
      if (this.#store.objects.delete(key)) this.#store.keys.splice(this.#placeOf(key), 1);
    }
  }

  async close(): Promise<void> {
    this.#closing.abort(closedError(this.url));
  }

  #begin(key: string, call: BucketCall | undefined): void {
    checkKey(key);
    checkOpen(call, this.#closing.signal);
  }

  #set(key: string, bytes: Buffer): void {
    if (!this.#store.objects.has(key)) this.#store.keys.splice(this.#placeOf(key), 0, key);
    this.#store.objects.set(key, { bytes, modifiedMs: this.#store.now() });
  }

  /** Index of the first key that is not before `key`. */
  #placeOf(key: string): number {
    let low = 0;
    let high = this.#store.keys.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (compareKeys(this.#store.keys[middle] as string, key) < 0) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
