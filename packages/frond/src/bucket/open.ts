// Opens a bucket by its URL: `dir:PATH` or `s3://BUCKET/PREFIX`.
//
// Rule: what is wrong with a URL or an option is said before anything is opened, and an option that does not belong to the
// store is an error.

import { FrondError } from "../errors.ts";
import type { Bucket } from "./bucket.ts";
import { openDirectoryBucket } from "./directory.ts";
import { checkKey } from "./keys.ts";

/** Server-side encryption: with the store's own keys (SSE-S3), or with one of its key service (SSE-KMS; none named: its default). */
export type Encryption = { readonly kind: "s3" } | { readonly kind: "kms"; readonly keyId?: string | undefined };

/** What an object store needs to be told; a directory takes none of it. */
export interface BucketOptions {
  /** URL of a store that is not Amazon's: `http://127.0.0.1:9000`. */
  readonly endpoint?: string | undefined;
  /** Default: what the environment or the profile says, else `us-east-1`. */
  readonly region?: string | undefined;
  /** Addresses the bucket in the path instead of the host name; default: true when an endpoint is given. */
  readonly pathStyle?: boolean | undefined;
  readonly encryption?: Encryption | undefined;
}

/** Where a bucket URL points. */
export type BucketPlace =
  | { readonly store: "dir"; readonly path: string }
  | { readonly store: "s3"; readonly bucket: string; readonly prefix: string };

/** Longest prefix inside an S3 bucket, in bytes: S3 allows keys of 1,024, and 768 are the cluster's own. */
const MAX_PREFIX_BYTES = 255;

/** Opens the bucket that a URL names. Throws BAD_OPTION for a URL or an option that cannot be, BUCKET_DENIED or BUCKET_FAILED. */
export async function openBucket(url: string, options: BucketOptions = {}): Promise<Bucket> {
  const place = parseBucketUrl(url);
  if (place.store === "dir") {
    const [extra] = Object.entries(options).find(([, value]) => value !== undefined) ?? [];
    if (extra !== undefined) {
      throw new FrondError("BAD_OPTION", `the option "${extra}" is for object stores, and the bucket is ${url}`);
    }
    return openDirectoryBucket(place.path);
  }
  const { openS3Bucket } = await import("./s3.ts");
  return openS3Bucket(place.bucket, place.prefix, options);
}

/** Reads a bucket URL. Throws BAD_OPTION, naming the two forms, for any other. */
export function parseBucketUrl(url: string): BucketPlace {
  const path = /^dir:(.+)$/s.exec(url)?.[1];
  if (path !== undefined && !path.includes("\0")) return { store: "dir", path };
  const [, bucket, rest = ""] = /^s3:\/\/([A-Za-z0-9][A-Za-z0-9._-]{1,253}[A-Za-z0-9])(?:\/(.*))?$/s.exec(url) ?? [];
  if (bucket === undefined) {
    const forms = `a bucket is "dir:PATH" (a folder of this machine) or "s3://BUCKET/PREFIX" (an object store)`;
    // Who writes a secret into a URL shall not find it in a log.
    const shown = url.slice(0, 200).replace(/\/\/.*@/s, "//...@");
    throw new FrondError("BAD_OPTION", `${forms}, and not ${JSON.stringify(shown)}`);
  }
  const prefix = rest.replace(/\/$/, "");
  if (prefix !== "") checkKey(prefix);
  if (Buffer.byteLength(prefix) > MAX_PREFIX_BYTES) {
    throw new FrondError("BAD_OPTION", `the prefix in ${url} has more than ${MAX_PREFIX_BYTES} bytes`);
  }
  return { store: "s3", bucket, prefix };
}
