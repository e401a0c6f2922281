// Records to try the codec with: one fixed one, and arbitrary ones.

import fc from "fast-check";
import { formatAddress } from "../../src/address.ts";
import { PageSet } from "../../src/codec/pages.ts";
import {
  type CellImage,
  type ClaimRecord,
  claimLength,
  commitLength,
  type CommitRecord,
  encodeClaim,
  encodeCommit,
  type IndexChange,
} from "../../src/codec/record.ts";
import { SLOTS } from "../../src/limits.ts";
import type { Address, Epoch, LogPlace, RunNumber, Slot, Txid } from "../../src/types.ts";

/** A cell with pages whose bytes tell them apart. */
export function cellOf(text: string, pageSize: number, pageCount: number, numbers: readonly number[]): CellImage {
  const pages = new PageSet();
  const source = Buffer.alloc(numbers.length * pageSize);
  pages.reset(source, pageSize);
  for (const [i, number] of numbers.entries()) {
    source.fill((number * 7 + 1) & 0xff, i * pageSize, (i + 1) * pageSize);
    pages.put(number, i * pageSize);
  }
  return {
    address: text as Address,
    addressBytes: Buffer.from(text),
    walSalt1: 0x1122_3344,
    walSalt2: 0xfedc_ba98,
    walEnd: 32 + 1640,
    pageCount,
    previous: (3 * 2 ** 32 + 104) as LogPlace,
    pages,
  };
}

/** Two cells, three pages, two index changes. */
export function sampleCommit(): CommitRecord {
  return {
    slot: 5 as Slot,
    epoch: 2 as Epoch,
    txid: 42 as Txid,
    time: 1_767_225_600_123,
    cells: [cellOf("mailbox/alice", 512, 9, [1, 7]), cellOf("mailbox/alice/folder/in%2fbox", 1024, 3, [3])],
    changes: [
      { what: "created", address: "mailbox/alice" as Address, value: 0 },
      { what: "alarm-set", address: "mailbox/alice" as Address, value: 1_767_229_200_000 },
    ],
  };
}

export function sampleClaim(): ClaimRecord {
  return {
    slot: 1023 as Slot,
    epoch: 2 as Epoch,
    txid: 41 as Txid,
    time: 1_767_225_600_000,
    previousEpoch: 1 as Epoch,
    run: 7 as RunNumber,
    runId: Uint8Array.from({ length: 16 }, (_, i) => i),
  };
}

export function commitBytes(record: CommitRecord): Buffer {
  const bytes = Buffer.alloc(commitLength(record), 0xee);
  encodeCommit(record, bytes, 0);
  return bytes;
}

export function claimBytes(record: ClaimRecord): Buffer {
  const bytes = Buffer.alloc(claimLength(), 0xee);
  encodeClaim(record, bytes, 0);
  return bytes;
}

const u32 = fc.integer({ min: 0, max: 2 ** 32 - 1 });
const u53 = fc.maxSafeNat();

const name = fc
  .string({ unit: "binary", minLength: 1, maxLength: 20 })
  .filter((text) => text.isWellFormed() && !text.includes("\0"));
const kind = fc.stringMatching(/^[a-z][a-z0-9_-]{0,8}$/);
const address = fc.array(fc.record({ kind, name }), { minLength: 1, maxLength: 3 }).map(formatAddress);

const cell: fc.Arbitrary<CellImage> = fc
  .record({
    address,
    pageSize: fc.constantFrom(512, 1024, 4096),
    pageCount: fc.integer({ min: 40, max: 2 ** 32 - 2 }),
    numbers: fc.uniqueArray(fc.integer({ min: 1, max: 40 }), { maxLength: 25 }),
    walSalt1: u32,
    walSalt2: u32,
    walEnd: u53,
    previous: u53.map((n) => n as LogPlace),
  })
  .map(({ numbers, pageSize, pageCount, ...rest }) => ({
    ...cellOf(rest.address, pageSize, pageCount, numbers),
    ...rest,
  }));

const change: fc.Arbitrary<IndexChange> = fc.oneof(
  fc.record({ what: fc.constantFrom("deleted", "alarm-set", "alarms-failed"), address, value: u53 }),
  fc.record({ what: fc.constantFrom("created", "alarm-cleared"), address, value: fc.constant(0) }),
);

const head = {
  slot: fc.integer({ min: 0, max: SLOTS - 1 }).map((n) => n as Slot),
  time: u53,
};

export const anyCommit: fc.Arbitrary<CommitRecord> = fc
  .record({
    ...head,
    epoch: fc.maxSafeNat().map((n) => Math.max(1, n) as Epoch),
    txid: fc.maxSafeNat().map((n) => Math.max(1, n) as Txid),
    cells: fc.uniqueArray(cell, { maxLength: 4, selector: (c) => c.address }),
    changes: fc.array(change, { maxLength: 4 }),
  })
  .map((record) => (record.time % 3 === 0 ? asMerged(record) : record));

/** The record as if it stood for several: with times of creation, and bases for some of its cells. */
function asMerged({ cells, changes, ...rest }: CommitRecord): CommitRecord {
  const { epoch, txid, time } = rest;
  const bases = [{ epoch, txid }, { epoch: 1 as Epoch, txid: Math.min(7, txid) as Txid }, undefined];
  return {
    ...rest,
    cells: cells.map((one) => ({ ...one, base: bases[one.walSalt1 % bases.length] })),
    changes: changes.map((one) => (one.what === "created" ? { ...one, value: time } : one)),
  };
}

export const anyClaim: fc.Arbitrary<ClaimRecord> = fc
  .record({
    ...head,
    previousEpoch: fc.integer({ min: 0, max: 2 ** 40 }).map((n) => n as Epoch),
    txid: u53.map((n) => n as Txid),
    run: fc.maxSafeNat().map((n) => Math.max(1, n) as RunNumber),
    runId: fc.uint8Array({ minLength: 16, maxLength: 16 }),
    step: fc.integer({ min: 1, max: 2 ** 40 }),
  })
  .map(({ step, ...rest }) => ({ ...rest, epoch: (rest.previousEpoch + step) as Epoch }));
