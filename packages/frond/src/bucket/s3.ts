// An object store with the interface of S3 as a bucket: planned.

import { FrondError } from "../errors.ts";
import type { Bucket } from "./bucket.ts";
import type { BucketOptions } from "./open.ts";

/** Opens an object store. */
export async function openS3Bucket(bucket: string, prefix: string, _options: BucketOptions): Promise<Bucket> {
  throw new FrondError("BAD_OPTION", `s3://${bucket}/${prefix}: object stores cannot be used yet`);
}
