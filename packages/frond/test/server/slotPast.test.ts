// A slot as it was, where a checkpoint stands in front of what was cleaned up: so it is in a copy that was made again, from which
// nothing is ever removed.

import { expect, test } from "vitest";
import type { Bucket } from "../../src/bucket/bucket.ts";
import { openMemoryBucket } from "../../src/bucket/memory.ts";
import { baseKey, checkpointKey, logKey } from "../../src/bucket/objectKeys.ts";
import { encodeSegment, ObjectWriter } from "../../src/codec/objectWriter.ts";
import { SlotHistories } from "../../src/server/slots/slotHistory.ts";
import { SlotIndexes } from "../../src/server/slots/slotIndexes.ts";
import { intentOf } from "../../src/store/snapshot.ts";
import type { Address, Epoch, Lsn, RunId, Seq, Slot, Txid } from "../../src/types.ts";
import { cellOf, claimBytes, commitBytes, sampleClaim } from "../codec/samples.ts";
import { codeOf } from "../cell/nodes.ts";

const RUN = "5".repeat(32) as RunId;
const [SLOT, OTHER] = [3 as Slot, 4 as Slot];
const EPOCH = 1 as Epoch;
const NAME = "n/a";

function record(txid: number, slot = SLOT, pages = [1]): Buffer {
  const at = { slot, epoch: EPOCH, txid: txid as Txid, time: 1000 + txid };
  return commitBytes({ ...at, cells: [cellOf(NAME, 512, pages.length, pages)], changes: [] });
}

async function segment(bucket: Bucket, seq: number, slot = SLOT, pages = [1]): Promise<void> {
  const start = { runId: RUN, number: seq, intent: new Uint8Array(16), createdMs: 1 };
  const lsn = { fromLsn: seq as Lsn, toLsn: (seq + 1) as Lsn };
  const records = [{ bytes: record(seq, slot, pages), slot }];
  await bucket.create(logKey(RUN, seq as Seq), encodeSegment({ ...start, ...lsn }, records));
}

async function checkpoint(bucket: Bucket, seq: number, txid: number): Promise<void> {
  const key = checkpointKey(SLOT, EPOCH, seq as Seq);
  const writer = new ObjectWriter({
    kind: "checkpoint",
    runId: RUN,
    number: seq,
    intent: intentOf(key),
    createdMs: 1,
  });
  const position = { slot: SLOT, epoch: EPOCH, previousEpoch: 0 as Epoch, txid: txid as Txid, time: 1000 + txid };
  writer.add(claimBytes({ ...sampleClaim(), ...position }));
  writer.add(record(txid));
  await bucket.put(key, Buffer.concat(writer.finish()));
}

/** Checkpoints at the first and the fourth commit; the first four segments were cut. */
async function cut(): Promise<Bucket> {
  const bucket = openMemoryBucket();
  await checkpoint(bucket, 2, 1);
  await checkpoint(bucket, 5, 4);
  await bucket.create(baseKey(RUN, 5 as Seq), Buffer.from("cut"));
  return bucket;
}

async function txidAt(bucket: Bucket, txid: number): Promise<number | undefined> {
  const ranges = [{ epoch: EPOCH, run: RUN, from: 1 as Seq, to: 7 as Seq }];
  const limit = { position: { epoch: EPOCH, txid: txid as Txid } };
  const index = await new SlotHistories(bucket).readAt(SLOT, ranges, undefined, limit);
  return index.cells.get(NAME as Address)?.entry.txid;
}

test("a checkpoint in front of what was cut does not stand for what came behind it", async () => {
  const bucket = await cut();
  await segment(bucket, 5);
  await segment(bucket, 6);
  expect(await codeOf(txidAt(bucket, 3))).toBe("HISTORY_GONE");
  expect([await txidAt(bucket, 4), await txidAt(bucket, 5), await txidAt(bucket, 9)]).toEqual([4, 5, 6]);
});

test("nor where nothing of the slot came behind the cut", async () => {
  const bucket = await cut();
  await segment(bucket, 5, OTHER);
  await segment(bucket, 6, OTHER);
  expect(await codeOf(txidAt(bucket, 3))).toBe("HISTORY_GONE");
  expect([await txidAt(bucket, 4), await txidAt(bucket, 9)]).toEqual([4, 4]);
});

test("what was found wrong is read anew, down to what lies where in objects that were written again", async () => {
  const bucket = openMemoryBucket();
  await segment(bucket, 1);
  const indexes = new SlotIndexes(bucket);
  const history = { sources: [{ epoch: EPOCH, run: RUN, from: 1 as Seq, to: 2 as Seq }] };
  const blockOf = async (): Promise<number | undefined> =>
    (await indexes.read(SLOT, history)).cells.get(NAME as Address)?.places[0]?.block.stored;
  const before = await blockOf();
  await bucket.delete([logKey(RUN, 1 as Seq)]);
  await segment(bucket, 1, SLOT, [1, 2, 3]);
  indexes.distrust(SLOT);
  expect(await blockOf()).toBeGreaterThan(before as number);
});
