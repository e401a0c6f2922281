// Large objects go up in parts.
//
// Rule: no more than a few parts are in memory, whatever the size of the object; nothing is to be seen under the key until
// all are there; what fails is taken back, since a store keeps parts of uploads that nobody ends, and bills them. (Those of
// a process that was killed remain: a life-cycle rule of the store's for incomplete uploads removes them.)
// Rejected: @aws-sdk/lib-storage (a further package for this one file, with retries of its own).

import type { PutObjectCommandInput, S3Client } from "@aws-sdk/client-s3";
import { BUCKET_PART_BYTES } from "../limits.ts";
import type { Content } from "./bucket.ts";
import { untilAborted } from "./limited.ts";
import type { Sdk } from "./s3Client.ts";

/** Where an object goes, and how it is encrypted. */
export type Target = Pick<PutObjectCommandInput, "Bucket" | "Key" | "ServerSideEncryption" | "SSEKMSKeyId">;

/** An upload, and what it needs. `tried` sends a request as often as it may be. */
export interface Upload {
  readonly sdk: Sdk;
  readonly client: S3Client;
  readonly target: Target;
  readonly signal: AbortSignal;
  readonly tried: <T>(request: () => Promise<T>) => Promise<T>;
}

/** Time to take back an upload that failed, in ms. */
const ABORT_MS = 2_000;

/** Content in parts, all but the last of BUCKET_PART_BYTES; an empty one is no part at all. */
export async function* partsOf(content: Content, signal: AbortSignal): AsyncGenerator<Uint8Array> {
  if (content instanceof Uint8Array) {
    for (let at = 0; at < content.length; at += BUCKET_PART_BYTES) yield content.subarray(at, at + BUCKET_PART_BYTES);
    return;
  }
  let part = Buffer.allocUnsafe(BUCKET_PART_BYTES);
  let filled = 0;
  for await (const chunk of untilAborted(content, signal)) {
    for (let at = 0; at < chunk.length;) {
      const taken = chunk.subarray(at, at + BUCKET_PART_BYTES - filled);
      part.set(taken, filled);
      filled += taken.length;
      at += taken.length;
      if (filled < BUCKET_PART_BYTES) continue;
      yield part;
      part = Buffer.allocUnsafe(BUCKET_PART_BYTES);
      filled = 0;
    }
  }
  if (filled > 0) yield part.subarray(0, filled);
}

/** Uploads an object whole if it has one part, else part by part. */
export async function uploadParts(upload: Upload, parts: AsyncGenerator<Uint8Array>): Promise<void> {
  const { sdk, client, target, signal, tried } = upload;
  const first = await parts.next();
  const second = first.done === true ? first : await parts.next();
  if (second.done !== true) return uploadMany(upload, [first.value as Uint8Array, second.value], parts);
  const Body = first.done === true ? Buffer.alloc(0) : first.value;
  await tried(() => client.send(new sdk.PutObjectCommand({ ...target, Body }), { abortSignal: signal }));
}

async function uploadMany(
  upload: Upload,
  begun: readonly Uint8Array[],
  rest: AsyncGenerator<Uint8Array>,
): Promise<void> {
  const { sdk, client, target, signal, tried } = upload;
  const call = { abortSignal: signal };
  const begin = new sdk.CreateMultipartUploadCommand(target);
  const { UploadId } = await tried(() => client.send(begin, call));
  const place = { Bucket: target.Bucket, Key: target.Key, UploadId };
  const done: { PartNumber: number; ETag: string | undefined }[] = [];
  const send = async (Body: Uint8Array): Promise<void> => {
    const PartNumber = done.length + 1;
    const part = new sdk.UploadPartCommand({ ...place, PartNumber, Body });
    done.push({ PartNumber, ETag: (await tried(() => client.send(part, call))).ETag });
  };
  try {
    for (const part of begun) await send(part);
    for await (const part of rest) await send(part);
    const end = new sdk.CompleteMultipartUploadCommand({ ...place, MultipartUpload: { Parts: done } });
    await tried(() => client.send(end, call));
  } catch (error) {
    const abort = new sdk.AbortMultipartUploadCommand(place);
    await client.send(abort, { abortSignal: AbortSignal.timeout(ABORT_MS) }).catch(() => undefined);
    throw error;
  }
}
