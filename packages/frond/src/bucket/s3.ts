// An object store with the interface of S3 as a bucket.
//
// Rule: `create` is a PUT with `If-None-Match: *`, the only condition that is used, and one request. 412 is `exists`; an
// answer that may come from a request which took effect (409, 5xx), or none at all, is `unknown`; what the store refused
// (403, 404, 501) and what never left this machine is an error. All else may be repeated and is, unless the caller forbids.
// Objects are deleted one by one: the request for many demands a checksum, of which stores understand different ones; some
// have no such request; and deletions cost nothing at those who bill requests.
// Rejected: HEAD before PUT (not a condition), If-Match and conditions on deletion (stores differ), ETags as proof of whose
// an object is (they are hashes of the content or not, as the store likes).

import { addAbortSignal, type Readable } from "node:stream";
import type { GetObjectCommandOutput, S3Client } from "@aws-sdk/client-s3";
import { assert } from "../assert.ts";
import { FrondError, isFrondError } from "../errors.ts";
import { BUCKET_DELETES_AT_ONCE, BUCKET_LIST_LIMIT, BUCKET_TRIES, BUCKET_WHOLE_BYTES } from "../limits.ts";
import type { Bucket, BucketCall, ByteRange, Content, CreateOutcome, Fetched, Listed } from "./bucket.ts";
import { checkKey, checkPrefix, compareKeys } from "./keys.ts";
import { checkOpen, closedError, limited } from "./limited.ts";
import type { BucketOptions, Encryption } from "./open.ts";
import { checkRange } from "./range.ts";
import { retried } from "./retry.ts";
import { loadSdk, makeClient, type Sdk } from "./s3Client.ts";
import { harmOf } from "./s3LifeCycle.ts";
import { failureOf, isAbsent, neverLeft, statusOf, type Operation } from "./s3Failure.ts";
import { partsOf, uploadParts, type Target } from "./s3Upload.ts";

/** Objects in one answer to a listing, as S3 has it. Count. */
const PAGE = 1_000;

/**
 * Opens a place in an object store; no request is sent yet. Throws BAD_OPTION when the client's package is missing or the
 * endpoint is none.
 */
export async function openS3Bucket(name: string, prefix: string, options: BucketOptions = {}): Promise<S3Bucket> {
  const sdk = await loadSdk();
  const counts = { requests: 0 };
  const client = await makeClient(sdk, options, () => counts.requests++);
  return new S3Bucket(sdk, client, counts, { name, prefix, encryption: options.encryption });
}

interface S3Place {
  readonly name: string;
  readonly prefix: string;
  readonly encryption: Encryption | undefined;
}

/** See the head of the file. */
export class S3Bucket implements Bucket {
  readonly url: string;
  readonly #sdk: Sdk;
  readonly #client: S3Client;
  readonly #counts: { readonly requests: number };
  readonly #place: S3Place;
  /** What stands before every key. */
  readonly #base: string;
  readonly #closing = new AbortController();
  /** Uploads in parts, until what failed of them is taken back. */
  readonly #uploads = new Set<Promise<void>>();

  constructor(sdk: Sdk, client: S3Client, counts: { readonly requests: number }, place: S3Place) {
    this.url = `s3://${place.name}${place.prefix === "" ? "" : `/${place.prefix}`}`;
    this.#sdk = sdk;
    this.#client = client;
    this.#counts = counts;
    this.#place = place;
    this.#base = place.prefix === "" ? "" : `${place.prefix}/`;
  }

  async create(key: string, bytes: Uint8Array, call?: BucketCall): Promise<CreateOutcome> {
    checkKey(key);
    checkOpen(call, this.#closing.signal);
    const what = this.#what("create", key);
    const command = new this.#sdk.PutObjectCommand({ ...this.#target(key), Body: bytes, IfNoneMatch: "*" });
    try {
      await limited(what, call, this.#closing.signal, (signal) => this.#client.send(command, { abortSignal: signal }));
      return "created";
    } catch (error) {
      call?.signal?.throwIfAborted();
      if (statusOf(error) === 412) return "exists";
      const failure = failureOf(error, "create", what);
      if (failure.code !== "BUCKET_FAILED" || neverLeft(error)) throw failure;
      return "unknown";
    }
  }

  async get(key: string, range?: ByteRange, call?: BucketCall): Promise<Fetched | undefined> {
    checkKey(key);
    checkRange(range);
    const object = { Bucket: this.#place.name, Key: this.#base + key };
    const Range = range === undefined ? undefined : rangeHeader(range);
    return this.#repeat("get", key, call, async (signal) => {
      try {
        const command = new this.#sdk.GetObjectCommand({ ...object, Range });
        const answer = await this.#client.send(command, { abortSignal: signal });
        const bytes = await readBody(answer, signal);
        return { bytes, size: sizeOf(answer, bytes, range, this.#what("get", key)) };
      } catch (error) {
        if (isAbsent(error)) return undefined;
        if (statusOf(error) !== 416) throw error;
        // The range lies behind the end; only HEAD is sure to tell where that is.
        const answer = await this.#client.send(new this.#sdk.HeadObjectCommand(object), { abortSignal: signal });
        return { bytes: Buffer.alloc(0), size: answer.ContentLength ?? 0 };
      }
    });
  }

  async put(key: string, content: Content, call?: BucketCall): Promise<void> {
    checkKey(key);
    const target = this.#target(key);
    if (content instanceof Uint8Array && content.length <= BUCKET_WHOLE_BYTES) {
      const command = new this.#sdk.PutObjectCommand({ ...target, Body: content });
      await this.#repeat("put", key, call, (signal) => this.#client.send(command, { abortSignal: signal }));
      return;
    }
    const what = this.#what("put", key);
    await limited(what, call, this.#closing.signal, async (signal) => {
      const tried = <T>(request: () => Promise<T>): Promise<T> =>
        retried(call?.tries ?? BUCKET_TRIES, signal, () => this.#told("put", what, request));
      const upload = { sdk: this.#sdk, client: this.#client, target, signal, tried };
      const going = uploadParts(upload, partsOf(content, signal));
      this.#uploads.add(going);
      try {
        await going;
      } finally {
        this.#uploads.delete(going);
      }
    });
  }

  async list(prefix: string, after = "", limit = BUCKET_LIST_LIMIT, call?: BucketCall): Promise<Listed[]> {
    checkPrefix(prefix);
    assert(Number.isSafeInteger(limit) && limit >= 1, "a listing asks for at least one object");
    const found: Listed[] = [];
    for (let last = after; found.length < limit;) {
      const MaxKeys = Math.min(PAGE, limit - found.length);
      const page = { Bucket: this.#place.name, Prefix: this.#base + prefix, MaxKeys };
      const command = new this.#sdk.ListObjectsV2Command(
        last === "" ? page : { ...page, StartAfter: this.#base + last },
      );
      const { Contents = [], IsTruncated } = await this.#repeat("list", prefix, call, (signal) =>
        this.#client.send(command, { abortSignal: signal }),
      );
      for (const { Key = "", Size = 0, LastModified } of Contents) {
        const key = Key.slice(this.#base.length);
        if (compareKeys(key, last) <= 0) throw this.#disorder(prefix, last, key);
        found.push({ key, size: Size, modifiedMs: LastModified?.getTime() ?? 0 });
        last = key;
      }
      if (IsTruncated !== true || Contents.length === 0) break;
    }
    return found;
  }

  async delete(keys: readonly string[], call?: BucketCall): Promise<void> {
    for (const key of keys) checkKey(key);
    checkOpen(call, this.#closing.signal);
    const queue = keys.values();
    const work = async (): Promise<void> => {
      for (const key of queue) {
        const command = new this.#sdk.DeleteObjectCommand({ Bucket: this.#place.name, Key: this.#base + key });
        await this.#repeat("delete", key, call, (signal) =>
          this.#client.send(command, { abortSignal: signal }).catch((error: unknown) => {
            if (!isAbsent(error)) throw error;
          }),
        );
      }
    };
    await Promise.all(Array.from({ length: Math.min(BUCKET_DELETES_AT_ONCE, keys.length) }, work));
  }

  async close(): Promise<void> {
    this.#closing.abort(closedError(this.url));
    await Promise.allSettled(this.#uploads);
    this.#client.destroy();
  }

  requests(): number {
    return this.#counts.requests;
  }

  /** Rules of the store that remove objects, or move them to where they cannot be read. That they may not be read is fine. */
  async warnings(call?: BucketCall): Promise<string[]> {
    const { name } = this.#place;
    try {
      const command = new this.#sdk.GetBucketLifecycleConfigurationCommand({ Bucket: name });
      const { Rules = [] } = await this.#repeat("life-cycle", "", { tries: 1, ...call }, (signal) =>
        this.#client.send(command, { abortSignal: signal }),
      );
      return Rules.flatMap((rule) => harmOf(rule, this.#base)).map((harm) => `${this.url}: ${harm}`);
    } catch (error) {
      call?.signal?.throwIfAborted();
      if (isFrondError(error)) return [];
      throw error;
    }
  }

  #what(operation: Operation, key: string): string {
    return `${operation} of ${key} in ${this.url}`;
  }

  #target(key: string): Target {
    const { name, encryption } = this.#place;
    const target: Target = { Bucket: name, Key: this.#base + key };
    if (encryption === undefined) return target;
    if (encryption.kind === "s3") return { ...target, ServerSideEncryption: "AES256" };
    return { ...target, ServerSideEncryption: "aws:kms", SSEKMSKeyId: encryption.keyId };
  }

  /** A request that may be sent again, within the deadline of its call. */
  #repeat<T>(
    operation: Operation,
    key: string,
    call: BucketCall | undefined,
    request: (signal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    const what = this.#what(operation, key);
    return limited(what, call, this.#closing.signal, (signal) =>
      retried(call?.tries ?? BUCKET_TRIES, signal, () => this.#told(operation, what, () => request(signal))),
    );
  }

  async #told<T>(operation: Operation, what: string, request: () => Promise<T>): Promise<T> {
    try {
      return await request();
    } catch (error) {
      throw failureOf(error, operation, what);
    }
  }

  #disorder(prefix: string, last: string, key: string): FrondError {
    const what = `the list of ${prefix} in ${this.url} gave ${key} behind ${last}: frond needs a store that lists in order`;
    return new FrondError("BUCKET_REFUSED", what);
  }
}

function rangeHeader(range: ByteRange): string {
  return "last" in range ? `bytes=-${range.last}` : `bytes=${range.from}-${range.from + range.bytes - 1}`;
}

async function readBody({ Body, ContentLength = 0 }: GetObjectCommandOutput, signal: AbortSignal): Promise<Buffer> {
  if (Body === undefined) return Buffer.alloc(0);
  const bytes = Buffer.allocUnsafe(ContentLength);
  let at = 0;
  for await (const chunk of addAbortSignal(signal, Body as Readable)) {
    const piece = chunk as Buffer;
    if (at + piece.length <= bytes.length) bytes.set(piece, at);
    at += piece.length;
  }
  if (at === bytes.length) return bytes;
  throw new FrondError("BUCKET_FAILED", `the store said ${bytes.length} bytes and sent ${at}`);
}

function sizeOf(answer: GetObjectCommandOutput, bytes: Buffer, range: ByteRange | undefined, what: string): number {
  if (range === undefined) return bytes.length;
  const size = /\/(\d+)$/.exec(answer.ContentRange ?? "")?.[1];
  if (size !== undefined) return Number(size);
  throw new FrondError("BUCKET_REFUSED", `${what} asked for a range and got another: frond needs a store with ranges`);
}
