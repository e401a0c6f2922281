// Buckets in the S3 server of the tests, each empty and of its own name.

import { randomBytes } from "node:crypto";
import { CreateBucketCommand, S3Client } from "@aws-sdk/client-s3";
import type { BucketOptions } from "../../src/bucket/open.ts";
import type { Radosgw, S3User } from "./radosgw.ts";
import { sharedRadosgw } from "./radosgwShared.ts";

/** A new bucket, and how to reach it. */
export interface S3Place {
  readonly url: string;
  readonly name: string;
  readonly options: BucketOptions;
  readonly server: Radosgw;
  /** The standard client, as the owner, for what frond itself does not do. */
  readonly client: S3Client;
}

/** Makes a bucket; its owner's credentials stand in the environment of this process from then on, as on a server. */
export async function makeS3Place(): Promise<S3Place> {
  const server = await sharedRadosgw();
  actAs(server.owner);
  const name = `frond-${randomBytes(6).toString("hex")}`;
  const client = new S3Client({
    endpoint: server.endpoint,
    region: server.region,
    forcePathStyle: true,
    credentials: server.owner,
  });
  await client.send(new CreateBucketCommand({ Bucket: name }));
  return { url: `s3://${name}/a/prefix`, name, options: { endpoint: server.endpoint }, server, client };
}

/** Lets buckets that are opened from now on use these credentials. */
export function actAs({ accessKeyId, secretAccessKey }: S3User): void {
  process.env["AWS_ACCESS_KEY_ID"] = accessKeyId;
  process.env["AWS_SECRET_ACCESS_KEY"] = secretAccessKey;
}
