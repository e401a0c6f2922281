// What opens a bucket in a thread whose bucket is to be faulty; see bucketStandIn.ts.

import { BroadcastChannel, workerData } from "node:worker_threads";
import type { Bucket, BucketCall } from "../bucket/bucket.ts";
import { faultyBucket } from "../bucket/faulty.ts";
import { type BucketOptions, openBucket as openReal } from "../bucket/open.ts";
import { retried } from "../bucket/retry.ts";
import { BUCKET_TRIES } from "../limits.ts";
import type { BucketFaults, StandIn } from "./bucketStandIn.ts";
import { noteUploads } from "./uploadTimes.ts";

export { parseBucketUrl } from "../bucket/open.ts";

const NEVER = new AbortController().signal;
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
  const { faults, seed, times } = (workerData as { standIn: StandIn }).standIn;
  const opened = faults === undefined ? bucket : withFaults(bucket, faults, seed);
  noteUploads(opened, times);
  return opened;
}

function withFaults(bucket: Bucket, faults: BucketFaults, seed: number): Bucket {
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
  return patient(faulty);
}

/** As a client of an object store: what may be repeated is tried a few times. */
function patient(bucket: Bucket): Bucket {
  const again = <T>(call: BucketCall | undefined, work: () => Promise<T>): Promise<T> =>
    retried(call?.tries ?? BUCKET_TRIES, call?.signal ?? NEVER, work);
  return {
    url: bucket.url,
    create: (key, bytes, call) => bucket.create(key, bytes, call),
    get: (key, range, call) => again(call, () => bucket.get(key, range, call)),
    put: (key, content, call) =>
      content instanceof Uint8Array
        ? again(call, () => bucket.put(key, content, call))
        : bucket.put(key, content, call),
    list: (prefix, after, limit, call) => again(call, () => bucket.list(prefix, after, limit, call)),
    delete: (keys, call) => again(call, () => bucket.delete(keys, call)),
    close: () => bucket.close(),
  };
}
