// Packing as the bucket thread does it, on a bucket in memory: what is made, what goes, what happens when something fails.

import { expect, test } from "vitest";
import type { Bucket } from "../../src/bucket/bucket.ts";
import { countedBucket } from "../../src/bucket/counted.ts";
import { faultyBucket } from "../../src/bucket/faulty.ts";
import { openMemoryBucket } from "../../src/bucket/memory.ts";
import { logKey, packKey } from "../../src/bucket/objectKeys.ts";
import { encodeSeal, encodeSegment } from "../../src/codec/objectWriter.ts";
import { PACK_AFTER_MS, PACK_GRACE_MS, PACK_RETRY_MS, PACK_SEGMENTS } from "../../src/limits.ts";
import { listPacks } from "../../src/log/cover.ts";
import { Compaction } from "../../src/server/upkeep/compaction.ts";
import { eraseCopies, findCopies } from "../../src/server/upkeep/eraseCopies.ts";
import { SlotHistories } from "../../src/server/slots/slotHistory.ts";
import { SlotIndexes } from "../../src/server/slots/slotIndexes.ts";
import type { Address, Epoch, Lsn, RunId, Seq, Slot, Txid } from "../../src/types.ts";
import { cellOf, commitBytes } from "../codec/samples.ts";

const RUN = "5".repeat(32) as RunId;
const SLOT = 9 as Slot;

/** A segment with one commit of one of a few cells. */
function segment(seq: number, pages = 2, cells = 3): Buffer {
  const bytes = commitBytes({
    slot: SLOT,
    epoch: 1 as Epoch,
    txid: seq as Txid,
    time: 1000 + seq,
    cells: [
      cellOf(
        `n/c${seq % cells}`,
        512,
        pages,
        Array.from({ length: pages }, (_, i) => i + 1),
      ),
    ],
    changes: seq <= 3 ? [{ what: "created", address: `n/c${seq % cells}` as Address, value: 0 }] : [],
  });
  const start = { runId: RUN, number: seq, intent: new Uint8Array(16).fill(seq & 255), createdMs: 1 };
  return encodeSegment({ ...start, fromLsn: seq as Lsn, toLsn: (seq + 1) as Lsn }, [{ bytes, slot: SLOT }]);
}

/** A run in a bucket, and what packs it, with a clock in the hand of the test. */
class World {
  readonly bucket: Bucket;
  readonly failures: string[] = [];
  readonly changed: RunId[] = [];
  readonly compaction: Compaction;
  next = 1 as Seq;
  now = 0;

  constructor(bucket: Bucket = openMemoryBucket(), footerBytes?: number) {
    this.bucket = bucket;
    this.compaction = new Compaction({
      bucket,
      sealOf: () => Promise.resolve(this.next),
      changed: (run) => this.changed.push(run),
      failed: (what, error) => this.failures.push(`${what}: ${(error as Error).message}`),
      sleep: () => Promise.resolve(),
      now: () => this.now,
      ...(footerBytes !== undefined && { footerBytes }),
    });
  }

  async come(count: number, pages?: number, cells?: number): Promise<void> {
    for (let i = 0; i < count; i++) {
      await this.bucket.create(logKey(RUN, this.next), segment(this.next, pages, cells));
      this.next = (this.next + 1) as Seq;
    }
  }

  async packs(): Promise<string[]> {
    return (await listPacks(this.bucket, RUN)).map(({ from, to }) => `${from}-${to}`);
  }
}

test("a run that goes on is packed as it grows, and what is in a larger pack goes after a while", async () => {
  const world = new World();
  world.compaction.follow(RUN, () => world.next);
  await world.come(PACK_SEGMENTS - 1);
  await world.compaction.look();
  expect(await world.packs()).toEqual([]);
  for (let i = 0; i < 4; i++) {
    await world.come(i === 0 ? 1 : PACK_SEGMENTS);
    await world.compaction.look();
  }
  expect(await world.packs()).toEqual(["1-33", "1-129", "33-65", "65-97", "97-129"]);
  expect(world.changed.length).toBe(5);
  world.now = PACK_GRACE_MS - 1;
  await world.compaction.look();
  expect(await world.packs()).toHaveLength(5);
  world.now = PACK_GRACE_MS;
  await world.compaction.look();
  expect(await world.packs()).toEqual(["1-129"]);
  // The segments stay: they are what a moment of the past is restored from.
  expect(await world.bucket.list(`log/${RUN}/`)).toHaveLength(128);
  expect(world.failures).toEqual([]);
  await world.compaction.stop();
});

test("few segments are packed when they have waited", async () => {
  const world = new World();
  world.compaction.follow(RUN, () => world.next);
  await world.come(3);
  await world.compaction.look();
  expect(await world.packs()).toEqual([]);
  world.now = PACK_AFTER_MS;
  await world.compaction.look();
  expect(await world.packs()).toEqual(["1-4"]);
  await world.compaction.stop();
});

test("of a run that is over the rest is packed, and never its seal", async () => {
  const world = new World();
  await world.come(PACK_SEGMENTS + 5);
  const seal = encodeSeal({
    runId: RUN,
    number: world.next,
    intent: new Uint8Array(16),
    createdMs: 1,
    toLsn: 99 as Lsn,
  });
  await world.bucket.create(logKey(RUN, world.next), seal);
  world.compaction.over(RUN);
  await world.compaction.look();
  expect(await world.packs()).toEqual([`1-${PACK_SEGMENTS + 1}`, `${PACK_SEGMENTS + 1}-${PACK_SEGMENTS + 6}`]);
  // What an earlier life has left behind, in a larger one now, is found.
  const { bytes } = (await world.bucket.get(packKey(RUN, 1 as Seq, (PACK_SEGMENTS + 1) as Seq))) ?? {};
  await world.bucket.put(packKey(RUN, 2 as Seq, 5 as Seq), bytes as Buffer);
  world.compaction.over(RUN);
  await world.compaction.look();
  world.now = PACK_GRACE_MS;
  await world.compaction.look();
  expect(await world.packs()).toHaveLength(2);
  expect(world.failures).toEqual([]);
  await world.compaction.stop();
});

test("what fails is told, and tried again after a pause", async () => {
  const world = new World();
  await world.come(4);
  const sound = segment(2);
  await world.bucket.put(logKey(RUN, 2 as Seq), sound.subarray(0, -1));
  world.compaction.over(RUN);
  await world.compaction.look();
  expect(world.failures).toEqual([expect.stringContaining(logKey(RUN, 2 as Seq))]);
  await world.bucket.put(logKey(RUN, 2 as Seq), sound);
  await world.compaction.look();
  expect(await world.packs()).toEqual([]);
  world.now = PACK_RETRY_MS;
  await world.compaction.look();
  expect(await world.packs()).toEqual(["1-5"]);
  expect(world.failures).toHaveLength(1);
  await world.compaction.stop();
});

test("an object of another run or number is damage, and is not merged", async () => {
  const world = new World();
  await world.come(2);
  await world.bucket.put(logKey(RUN, 2 as Seq), segment(1));
  world.compaction.over(RUN);
  await world.compaction.look();
  expect(world.failures.join()).toMatch(/0000000002 is segment 1 of run 5+, not segment 2/);
  await world.compaction.stop();
});

test("a create whose reply was lost, and one that somebody else has done, is a pack that is there", async () => {
  const faulty = faultyBucket(openMemoryBucket());
  const world = new World(faulty);
  await world.come(4);
  const repair = faulty.fail(({ operation }) => (operation === "create" ? "lost" : undefined));
  world.compaction.over(RUN);
  await world.compaction.look();
  repair();
  expect(await world.packs()).toEqual(["1-5"]);
  expect(faulty.faults.lost).toBe(1);
  await world.bucket.delete([packKey(RUN, 1 as Seq, 5 as Seq)]);
  const other = new World(world.bucket);
  other.next = world.next;
  for (const { compaction } of [world, other]) compaction.over(RUN);
  await Promise.all([world.compaction.look(), other.compaction.look()]);
  expect(await world.packs()).toEqual(["1-5"]);
  expect([...world.failures, ...other.failures]).toEqual([]);
  await Promise.all([world.compaction.stop(), other.compaction.stop()]);
});

test("the thread is given back while a pack is made", async () => {
  const world = new World();
  await world.come(PACK_SEGMENTS, 1500);
  world.compaction.over(RUN);
  let turns = 0;
  let over = false;
  const turn = (): void => {
    turns += 1;
    if (!over) setImmediate(turn);
  };
  setImmediate(turn);
  await world.compaction.look();
  over = true;
  expect(await world.packs()).toEqual([`1-${PACK_SEGMENTS + 1}`]);
  expect(turns).toBeGreaterThan(3);
  await world.compaction.stop();
});

test("a stop in the middle leaves nothing behind that is half done", async () => {
  const world = new World();
  await world.come(PACK_SEGMENTS, 300);
  world.compaction.over(RUN);
  const looking = world.compaction.look();
  await new Promise((resolve) => setImmediate(resolve));
  await world.compaction.stop();
  await looking;
  expect(await world.packs()).toEqual([]);
  expect(world.failures).toEqual([]);
});

test("who has listed packs that are gone since begins anew; what is gone for good is named", async () => {
  const world = new World();
  await world.come(4);
  world.compaction.over(RUN);
  await world.compaction.look();
  const indexes = new SlotIndexes(world.bucket);
  const sources = [{ run: RUN, epoch: 1 as Epoch, from: 1 as Seq, to: 5 as Seq }];
  const history = { checkpoint: undefined, sources };
  await indexes.packs.of(RUN);
  await world.bucket.delete([packKey(RUN, 1 as Seq, 5 as Seq)]);
  const index = await indexes.read(SLOT, history);
  expect(index.at).toEqual({ epoch: 1, txid: 4 });
  expect(index.cells.get("n/c1" as Address)?.places.map(({ key }) => key)).toEqual([
    logKey(RUN, 1 as Seq),
    logKey(RUN, 4 as Seq),
  ]);
  await world.bucket.delete([logKey(RUN, 3 as Seq)]);
  const anew = new SlotIndexes(world.bucket);
  await expect(anew.read(SLOT, history)).rejects.toMatchObject({
    code: "OBJECT_DAMAGED",
    message: expect.stringContaining(logKey(RUN, 3 as Seq)),
  });
  await world.compaction.stop();
});

test("what does not fit into one object is packed in halves, and packs that do not fit together are left", async () => {
  const halves = new World(openMemoryBucket(), 3_500);
  halves.compaction.follow(RUN, () => halves.next);
  await halves.come(PACK_SEGMENTS, 2, 1000);
  await halves.compaction.look();
  expect(await halves.packs()).toEqual(["1-17"]);

  const bucket = countedBucket(openMemoryBucket());
  const whole = new World(bucket, 8_000);
  whole.compaction.follow(RUN, () => whole.next);
  const gets: number[] = [];
  for (let i = 0; i < 6; i++) {
    await whole.come(PACK_SEGMENTS, 2, 1000);
    const before = bucket.counts().get;
    await whole.compaction.look();
    gets.push(bucket.counts().get - before);
  }
  expect(await whole.packs()).toHaveLength(6);
  // The fourth was tried with those before it, once.
  expect(gets).toEqual([32, 32, 32, 32 + 4, 32, 32]);
  expect([...halves.failures, ...whole.failures]).toEqual([]);
  await Promise.all([halves.compaction.stop(), whole.compaction.stop()]);
});

test("who erases a cell works alone: a pack that was begun before does not bring it back", async () => {
  const memory = openMemoryBucket();
  const held = Promise.withResolvers<void>();
  const begun = Promise.withResolvers<void>();
  const bucket: Bucket = {
    url: memory.url,
    close: () => memory.close(),
    get: (...call) => memory.get(...call),
    put: (...call) => memory.put(...call),
    list: (...call) => memory.list(...call),
    delete: (...call) => memory.delete(...call),
    async create(key, ...call) {
      if (key.startsWith("pack/")) {
        begun.resolve();
        await held.promise;
      }
      return memory.create(key, ...call);
    },
  };
  const world = new World(bucket);
  world.compaction.follow(RUN, () => world.next);
  await world.come(PACK_SEGMENTS);
  const packing = world.compaction.look();
  await begun.promise;
  const through = { epoch: 1 as Epoch, txid: PACK_SEGMENTS as Txid };
  const cell = { slot: SLOT, address: "n/c1" as Address, through };
  const ranges = { ranges: [], covered: undefined };
  const options = { bucket, histories: new SlotHistories(bucket), ranges, breathe: async () => {} };
  const erased = world.compaction.alone((signal) => eraseCopies({ ...options, signal }, cell));
  // Another look does nothing meanwhile.
  void world.compaction.look();
  held.resolve();
  await Promise.all([packing, erased]);
  expect(await world.packs()).toEqual(["1-33"]);
  expect(await findCopies(options, cell)).toMatchObject({ packs: 0 });
  // And it goes on behind it.
  await world.come(PACK_SEGMENTS);
  await world.compaction.look();
  expect(await world.packs()).toEqual(["1-33", "33-65"]);
  await world.compaction.stop();
});
