// The bucket: the durable store as frond sees it, whatever stands behind it.
//
// Rule: five operations and one condition. `create` succeeds for exactly one caller and says honestly when it does not know;
// everything that must have one winner (log numbers, seals, slot ownership) rests on it. `put` is for keys that have one
// writer. Keys are plain text below the bucket's prefix; who makes them escapes what users named.
// Every call has a deadline, and ends at once when its signal is aborted: an answer that comes later is ignored, its effect
// is not undone.
// Rejected: conditions on overwrite and delete (If-Match differs from store to store), locks, transactions.

/** How a `create` ended. `unknown`: it may have happened, may happen yet, or never; see createUntilKnown. */
export type CreateOutcome = "created" | "exists" | "unknown";

/** What every operation takes. */
export interface BucketCall {
  /** Aborting it rejects the call with its reason. */
  readonly signal?: AbortSignal | undefined;
  /** Time that the call may take, tries included, in ms; default BUCKET_DEADLINE_MS. */
  readonly deadlineMs?: number | undefined;
  /**
   * Tries that a store over a network may make of the call, default BUCKET_TRIES; 1: a request is never sent twice. A
   * `create` is always one try, for only its caller can tell his own object from another's.
   */
  readonly tries?: number | undefined;
}

/** A part of an object: from `from` on (at most `bytes` bytes), or the last `last` bytes. */
export type ByteRange = { readonly from: number; readonly bytes: number } | { readonly last: number };

/** What `get` found. */
export interface Fetched {
  /** The bytes of the range, cut at the end of the object: fewer than asked for when it is shorter. */
  readonly bytes: Buffer;
  /** Bytes of the whole object. */
  readonly size: number;
}

/** One object in a listing. */
export interface Listed {
  readonly key: string;
  readonly size: number;
  /** When it was written, by the store's clock, in ms since 1970. */
  readonly modifiedMs: number;
}

/** Content that is written as it comes, for objects that are not held in memory. */
export type Content = Uint8Array | AsyncIterable<Uint8Array>;

/**
 * A durable store. All methods reject with BUCKET_FAILED (retryable: unreachable, 429, 5xx, deadline), BUCKET_DENIED (not
 * allowed, or wrong credentials) or BUCKET_REFUSED (the store answered what no store should), each naming the key.
 */
export interface Bucket {
  /** `dir:PATH` or `s3://BUCKET/PREFIX`, for messages; never with a secret. */
  readonly url: string;
  /** Creates an object that is not there; for one caller among many. Durable when it says `created`. Never rejects for a failure after the request may have left: that is `unknown`. */
  create(key: string, bytes: Uint8Array, call?: BucketCall): Promise<CreateOutcome>;
  /** Reads an object or a part of it; undefined when there is none. A range behind the end gives no bytes. */
  get(key: string, range?: ByteRange, call?: BucketCall): Promise<Fetched | undefined>;
  /** Writes an object whole, replacing what was there: readers see the one or the other. Durable when it resolves. */
  put(key: string, content: Content, call?: BucketCall): Promise<void>;
  /** Objects whose key begins with `prefix` and stands behind `after`, in the order of their bytes; at most `limit` (default 1,000). */
  list(prefix: string, after?: string, limit?: number, call?: BucketCall): Promise<Listed[]>;
  /** Removes objects; those that are not there are no error. */
  delete(keys: readonly string[], call?: BucketCall): Promise<void>;
  /** Ends what is under way and gives back connections. */
  close(): Promise<void>;
  /** Requests that the store was sent since it was opened, where they are more than the calls: tries, parts, pages. Count. */
  requests?(): number | undefined;
  /** What the store is set up to do that would harm what frond keeps in it, as far as it tells; one sentence each. */
  warnings?(call?: BucketCall): Promise<string[]>;
}
