// Buckets that do a thing wrongly, or end in the middle of it.

import type { Bucket, CreateOutcome } from "../../src/bucket/bucket.ts";
import type { CountedBucket } from "../../src/bucket/counted.ts";
import { ObjectWriter } from "../../src/codec/objectWriter.ts";
import type { Seq } from "../../src/types.ts";
import { readWhole } from "../codec/objects.ts";

/** The same checkpoint under another number. */
export function renumbered(object: Buffer, number: Seq): Buffer {
  const { header, footer, bytes } = readWhole(object);
  const writer = new ObjectWriter({ ...header, number, createdMs: footer.createdMs });
  for (const record of bytes) writer.add(record);
  return Buffer.concat(writer.finish());
}

/** The same bucket with other ways to create and to delete. */
function withHands(bucket: CountedBucket, hands: Pick<Bucket, "create" | "delete">): CountedBucket {
  return {
    url: bucket.url,
    create: (...call) => hands.create(...call),
    get: (...call) => bucket.get(...call),
    put: (...call) => bucket.put(...call),
    list: (...call) => bucket.list(...call),
    delete: (...call) => hands.delete(...call),
    close: () => bucket.close(),
    counts: () => bucket.counts(),
  };
}

/** A bucket in which the bases of logs never appear. */
export function withoutBases(bucket: CountedBucket): CountedBucket {
  const create = async (key: string, bytes: Uint8Array): Promise<CreateOutcome> =>
    key.includes("/base-") ? "created" : bucket.create(key, bytes);
  return withHands(bucket, { create, delete: (keys) => bucket.delete(keys) });
}

/** A bucket that is there for so many calls that change something: its user ends in the middle. */
export function thatEnds(bucket: CountedBucket, calls: number): CountedBucket {
  let left = calls;
  const take = (): void => {
    if (left-- <= 0) throw new Ended();
  };
  return withHands(bucket, {
    async create(key, bytes) {
      take();
      return bucket.create(key, bytes);
    },
    async delete(keys) {
      for (const key of keys) {
        take();
        await bucket.delete([key]);
      }
    },
  });
}

export class Ended extends Error {}
