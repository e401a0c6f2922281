// Joining the cluster of a bucket: what was frozen when it was created, and whether this data directory belongs to it.
//
// Rule: the first node that comes creates the cluster; everybody else takes what is there or refuses. A directory belongs to
// one cluster for ever: with another bucket its cells would get a second history. Nothing is written before the store was
// probed: one that lets two creates of a key succeed would lose cells, and never say so.

import { randomBytes } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { SLOT_HASH } from "../../address.ts";
import type { Bucket } from "../../bucket/bucket.ts";
import { probeBucket } from "../../bucket/probe.ts";
import { createUntilKnown } from "../../bucket/createUntilKnown.ts";
import { CLUSTER_KEY, logKey, parseSlotKey, SLOT_PREFIX } from "../../bucket/objectKeys.ts";
import { type ClusterDocument, decodeCluster, encodeDocument } from "../../codec/documents.ts";
import { FrondError } from "../../errors.ts";
import { SLOTS } from "../../limits.ts";
import type { Epoch, Slot } from "../../types.ts";
import { incomplete } from "../upkeep/backup.ts";
import type { BucketSetup, Started } from "../persist/bucketTalk.ts";

/**
 * Joins, creating the cluster where there is none; `warnings` are what the probe had to say. Throws DATA_FOREIGN,
 * COPY_INCOMPLETE, BUCKET_REFUSED for a store that is no bucket, and what the bucket throws.
 */
export async function joinCluster(
  bucket: Bucket,
  setup: Pick<BucketSetup, "directory" | "cluster" | "brings" | "probe" | "seals" | "opened">,
  signal: AbortSignal,
): Promise<Pick<Started, "cluster" | "slots" | "created"> & { warnings: readonly string[] }> {
  const { directory, cluster, brings, probe } = setup;
  const there = await read(bucket);
  if (there?.copying) throw incomplete(bucket);
  if (cluster !== undefined && there?.id !== cluster) {
    const has = there === undefined ? "holds no cluster" : `holds cluster ${there.id}`;
    const advice = "start it with its own bucket, or with another --data";
    throw new FrondError(
      "DATA_FOREIGN",
      `${directory} belongs to cluster ${cluster}, and ${bucket.url} ${has}: ${advice}`,
    );
  }
  const how = probe === "as needed" && there === undefined ? "whole" : probe;
  const warnings = await probed(bucket, how, signal);
  const slots = await ownedSlots(bucket);
  if (there === undefined && slots.size > 0) {
    const what = `${CLUSTER_KEY} is gone from ${bucket.url}, where ${slots.size} slots have owners`;
    throw new FrondError("OBJECT_DAMAGED", `${what}: bring it back from a copy of the bucket`);
  }
  const found = there ?? (await create(bucket, signal));
  if (found.slots !== SLOTS || found.hash !== SLOT_HASH) {
    const what = `${found.slots} slots by ${found.hash}; this frond has ${SLOTS} by ${SLOT_HASH}`;
    throw new FrondError("DATA_FOREIGN", `the cluster in ${bucket.url} was created with ${what}`);
  }
  await checkNotSetBack(bucket, setup, slots);
  if (cluster === undefined && brings && slots.size > 0) {
    const what = `${directory} has cells that were made without a bucket, and ${bucket.url} has cells already`;
    throw new FrondError("DATA_FOREIGN", `${what}: name an empty bucket, or another --data`);
  }
  return { cluster: found.id, slots: [...slots.keys()], created: there === undefined, warnings };
}

/**
 * Throws DATA_FOREIGN where the directory knows of a later state than the bucket has: one that was made of an earlier copy. What the
 * directory has beyond it would be lost without a word, slot by slot, or be taken for what the bucket has.
 */
async function checkNotSetBack(
  bucket: Bucket,
  { directory, seals, opened }: Pick<BucketSetup, "directory" | "seals" | "opened">,
  slots: ReadonlyMap<Slot, Epoch>,
): Promise<void> {
  const last = [...seals].at(-1);
  const isAhead =
    opened.some(({ slot, epoch }) => epoch > (slots.get(slot) ?? 0)) ||
    // Seals are never removed.
    (last !== undefined && (await bucket.get(logKey(...last), { from: 0, bytes: 1 })) === undefined);
  if (!isAhead) return;
  const what = `${bucket.url} holds an earlier state than ${directory}, as if it was made of an earlier copy`;
  throw new FrondError(
    "DATA_FOREIGN",
    `${what}: bring the later one back, or start with another --data and without what is here`,
  );
}

async function read(bucket: Bucket): Promise<ClusterDocument | undefined> {
  const found = await bucket.get(CLUSTER_KEY);
  return found && decodeCluster(found.bytes, CLUSTER_KEY);
}

/** An object store may be another one behind the same name by now; a folder is what it was. */
async function probed(bucket: Bucket, how: BucketSetup["probe"], signal: AbortSignal): Promise<readonly string[]> {
  if (how === "never" || (how === "as needed" && bucket.url.startsWith("dir:"))) return [];
  return (await probeBucket(bucket, { quick: how !== "whole", signal })).warnings;
}

async function create(bucket: Bucket, signal: AbortSignal): Promise<ClusterDocument> {
  const hex = (): string => randomBytes(16).toString("hex");
  const document = { intent: hex(), id: hex(), slots: SLOTS, hash: SLOT_HASH, createdMs: Date.now() };
  const pause = async (ms: number): Promise<void> => sleep(ms, undefined, { signal }).catch(() => {});
  const { outcome } = await createUntilKnown(bucket, CLUSTER_KEY, encodeDocument(document), { sleep: pause, signal });
  // Two first nodes: the other one was faster.
  const found = outcome === "created" ? document : await read(bucket);
  if (found === undefined)
    throw new FrondError("BUCKET_REFUSED", `${CLUSTER_KEY} was in ${bucket.url}, and is not any more`);
  return found;
}

/** The slots that somebody has owned, and the highest epoch of each. */
async function ownedSlots(bucket: Bucket): Promise<Map<Slot, Epoch>> {
  const slots = new Map<Slot, Epoch>();
  for (let after: string | undefined; ;) {
    const page = await bucket.list(SLOT_PREFIX, after);
    for (const { key } of page) {
      const found = parseSlotKey(key);
      if (found !== undefined) slots.set(found.slot, found.epoch);
    }
    if (page.length < 1000) return slots;
    after = page.at(-1)?.key;
  }
}
