// An object store as a bucket: the contract, on a real S3 server.

import { describe } from "vitest";
import { openBucket } from "../../src/bucket/open.ts";
import { need } from "../../../../test-support/need.ts";
import { contract } from "./contract.ts";
import { makeS3Place } from "./s3Store.ts";

describe.skipIf(need("radosgw") === undefined)("with radosgw", () => {
  contract("an object store", async () => {
    const { url, options } = await makeS3Place();
    return { open: () => openBucket(url, options), remote: { url, options } };
  });
});
