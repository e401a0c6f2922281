// What opens a bucket in a thread whose bucket is to be faulty; see bucketStandIn.ts.

import { BroadcastChannel, workerData } from "node:worker_threads";
import type { Bucket } from "../bucket/bucket.ts";
import { faultyBucket } from "../bucket/faulty.ts";
import { type BucketOptions, openBucket as openReal } from "../bucket/open.ts";
import type { StandIn } from "./bucketStandIn.ts";

export { parseBucketUrl } from "../bucket/open.ts";

/** On which the order to begin goes from thread to thread. */
const CHANNEL = "frond torture: faults";

/** What was to begin by order begins. */
export function faultsBegin(): void {
  const channel = new BroadcastChannel(CHANNEL);
  channel.postMessage("begin");
  channel.close();
}

/** Opens the bucket that a URL names, with the faults that the thread was started with. */
export async function openBucket(url: string, options?: BucketOptions): Promise<Bucket> {
  const bucket = await openReal(url, options);
  const { faults, seed } = (workerData as { standIn: StandIn }).standIn;
  if (faults === undefined) return bucket;
  const { plan, firstCreates, from } = faults;
  const faulty = faultyBucket(bucket, { seed });
  const begin = (): void => {
    faulty.plan = plan;
    const met = new Set<string>();
    faulty.fail(({ operation, key }) => {
      if (firstCreates === undefined || operation !== "create" || met.has(key)) return undefined;
      met.add(key);
      return firstCreates;
    });
  };
  if (from === "start") begin();
  else {
    const channel = new BroadcastChannel(CHANNEL).unref();
    channel.onmessage = begin;
  }
  return faulty;
}
