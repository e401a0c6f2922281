// A bucket that counts: requests by operation, and bytes each way.
//
// Rule: it changes nothing. What it counts is what was asked of the bucket, whether it went well or not; bytes up are those
// handed over, bytes down those received. `requests` is what the store was sent, and is paid for: where one call is
// several requests (tries, parts, pages), the bucket itself says so.

import type { Bucket, BucketCall, ByteRange, Content, CreateOutcome, Fetched, Listed } from "./bucket.ts";

/** What was counted since the bucket was opened. Counts, and bytes. */
export interface BucketCounts {
  create: number;
  get: number;
  put: number;
  list: number;
  delete: number;
  bytesUp: number;
  bytesDown: number;
  /** Requests that the store saw. */
  requests: number;
}

/** A bucket, and what went through it. */
export interface CountedBucket extends Bucket {
  counts(): BucketCounts;
}

/** Wraps `inner`; closing it closes `inner`. */
export function countedBucket(inner: Bucket): CountedBucket {
  return new Counted(inner);
}

class Counted implements CountedBucket {
  readonly url: string;
  readonly #inner: Bucket;
  readonly #counts = { create: 0, get: 0, put: 0, list: 0, delete: 0, bytesUp: 0, bytesDown: 0 };

  constructor(inner: Bucket) {
    this.url = inner.url;
    this.#inner = inner;
  }

  counts(): BucketCounts {
    const counts = this.#counts;
    const calls = counts.create + counts.get + counts.put + counts.list + counts.delete;
    return { ...counts, requests: this.requests() ?? calls };
  }

  requests(): number | undefined {
    return this.#inner.requests?.();
  }

  async warnings(call?: BucketCall): Promise<string[]> {
    return (await this.#inner.warnings?.(call)) ?? [];
  }

  create(key: string, bytes: Uint8Array, call?: BucketCall): Promise<CreateOutcome> {
    this.#counts.create++;
    this.#counts.bytesUp += bytes.length;
    return this.#inner.create(key, bytes, call);
  }

  async get(key: string, range?: ByteRange, call?: BucketCall): Promise<Fetched | undefined> {
    this.#counts.get++;
    const found = await this.#inner.get(key, range, call);
    this.#counts.bytesDown += found?.bytes.length ?? 0;
    return found;
  }

  put(key: string, content: Content, call?: BucketCall): Promise<void> {
    this.#counts.put++;
    if (!(content instanceof Uint8Array)) return this.#inner.put(key, this.#counting(content), call);
    this.#counts.bytesUp += content.length;
    return this.#inner.put(key, content, call);
  }

  list(prefix: string, after?: string, limit?: number, call?: BucketCall): Promise<Listed[]> {
    this.#counts.list++;
    return this.#inner.list(prefix, after, limit, call);
  }

  delete(keys: readonly string[], call?: BucketCall): Promise<void> {
    this.#counts.delete++;
    return this.#inner.delete(keys, call);
  }

  close(): Promise<void> {
    return this.#inner.close();
  }

  async *#counting(content: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    for await (const chunk of content) {
      this.#counts.bytesUp += chunk.length;
      yield chunk;
    }
  }
}
