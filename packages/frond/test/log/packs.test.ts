// Packs against the segments that they were made of: whatever was merged, in whichever order, a reader finds the same cells
// with the same bytes; and a merge that forgets one of its rules is found out.

import fc from "fast-check";
import { createHash } from "node:crypto";
import fs from "node:fs";
import path from "node:path";
import { expect, test } from "vitest";
import type { Bucket } from "../../src/bucket/bucket.ts";
import { countedBucket } from "../../src/bucket/counted.ts";
import { openMemoryBucket } from "../../src/bucket/memory.ts";
import { logKey, packKey } from "../../src/bucket/objectKeys.ts";
import { encodeSegment } from "../../src/codec/objectWriter.ts";
import { type CommitRecord, type DecodedRecord, decodeRecord } from "../../src/codec/record.ts";
import { MAX_PACK_PAGE_BYTES, MERGED_RECORD_BYTES } from "../../src/limits.ts";
import { cover, listPacks, type SeqRange } from "../../src/log/cover.ts";
import { SlotMerge } from "../../src/log/merge.ts";
import { makePack, type PackOptions } from "../../src/log/pack.ts";
import { SlotIndexes } from "../../src/server/slots/slotIndexes.ts";
import { fetchCell } from "../../src/store/fetch.ts";
import type { Address, Epoch, Lsn, RunId, Seq, Slot, Txid } from "../../src/types.ts";
import { temporaryDirectory } from "../cell/nodes.ts";
import { rawFooter } from "../codec/objects.ts";
import { cellOf, commitBytes } from "../codec/samples.ts";
import { anyHistory, type History, type ModelCell, play, RUNS, runId, type Step } from "./histories.ts";

/** Where to pack: a part of a run's log, in thousandths. */
interface Plan {
  readonly run: number;
  readonly from: number;
  readonly to: number;
}

const anyPlans: fc.Arbitrary<Plan[]> = fc.array(
  fc.record({ run: fc.nat(RUNS - 1), from: fc.nat(999), to: fc.nat(999) }),
  { maxLength: 6 },
);

/** Small records, so that a cell of two pages has several. */
const small = { newMerge: (slot: Slot) => new SlotMerge(slot, 1024) };

function rangeOf({ run, from, to }: Plan, { segments }: History): SeqRange | undefined {
  const count = segments.get(runId(run)) ?? 0;
  const ends = [from, to].map((at) => 1 + Math.round((at * count) / 999)).sort((a, b) => a - b);
  const [first, last] = ends as [number, number];
  return first < last ? { from: first as Seq, to: last as Seq } : undefined;
}

async function pack(bucket: Bucket, run: RunId, range: SeqRange, known: SeqRange[], how: PackOptions): Promise<Buffer> {
  const inside = known.filter(({ from, to }) => from >= range.from && to <= range.to);
  const bytes = await makePack(bucket, cover(run, inside, range), how);
  if (bytes === undefined) throw new Error("a small pack does not fit");
  return bytes;
}

/** Makes the packs that are planned, each out of the packs before where they fit. */
async function packAll(bucket: Bucket, history: History, plans: readonly Plan[], how: PackOptions): Promise<void> {
  for (const plan of plans) {
    const run = runId(plan.run);
    const range = rangeOf(plan, history);
    if (range === undefined) continue;
    const packs = await listPacks(bucket, run);
    await bucket.create(packKey(run, range.from, range.to), await pack(bucket, run, range, packs, how));
  }
}

/** What a reader finds that is not as the model has it; undefined: nothing. */
async function difference(bucket: Bucket, history: History): Promise<string | undefined> {
  const file = path.join(temporaryDirectory(), "cell.db");
  const indexes = new SlotIndexes(bucket);
  for (const [slot, { cells, sources, epoch, txid }] of history.slots) {
    const index = await indexes.read(slot, { checkpoint: undefined, sources });
    if (index.at.epoch !== epoch || index.at.txid !== txid) return `slot ${slot} stands at ${JSON.stringify(index.at)}`;
    if (index.cells.size !== cells.size) return `slot ${slot} has ${index.cells.size} cells of ${cells.size}`;
    for (const cell of cells.values()) {
      const found = index.cells.get(cell.address);
      const wrong = found === undefined ? "is not there" : await wrongIn(bucket, found, cell, file);
      if (wrong !== undefined) return `${cell.address} ${wrong}`;
    }
  }
  return undefined;
}

type Found = NonNullable<ReturnType<Awaited<ReturnType<SlotIndexes["read"]>>["cells"]["get"]>>;

async function wrongIn(
  bucket: Bucket,
  { entry, places }: Found,
  cell: ModelCell,
  file: string,
): Promise<string | undefined> {
  const { pages, address, ...facts } = cell;
  const known = Object.fromEntries(Object.keys(facts).map((name) => [name, entry[name as keyof typeof facts]]));
  if (JSON.stringify(known) !== JSON.stringify(facts)) return `is ${JSON.stringify(known)}`;
  if (cell.deleted) return places.length === 0 ? undefined : "has pages though it is gone";
  const { pageSize, pageCount } = cell;
  try {
    await fetchCell(bucket, { address, pageSize, pageCount, places }, file);
  } catch (error) {
    return `cannot be fetched: ${(error as Error).message}`;
  }
  const wanted = Buffer.concat(Array.from({ length: pageCount }, (_, i) => pages.get(i + 1) as Buffer));
  return fs.readFileSync(file).equals(wanted) ? undefined : "has other bytes";
}

test("through any packs and segments a reader finds the cells as they are", async () => {
  const property = fc.asyncProperty(anyHistory, anyPlans, async (steps, plans) => {
    const bucket = openMemoryBucket();
    const history = await play(steps, bucket);
    expect(await difference(bucket, history)).toBeUndefined();
    await packAll(bucket, history, plans, small);
    expect(await difference(bucket, history)).toBeUndefined();
  });
  await fc.assert(property, { numRuns: 150, endOnFailure: true });
});

test("a pack is the same, whatever it was made of", async () => {
  const property = fc.asyncProperty(anyHistory, anyPlans, fc.nat(RUNS - 1), async (steps, plans, run) => {
    const bucket = openMemoryBucket();
    const history = await play(steps, bucket);
    const whole = rangeOf({ run, from: 0, to: 999 }, history);
    if (whole === undefined) return;
    const direct = await pack(bucket, runId(run), whole, [], small);
    await packAll(bucket, history, plans, small);
    const merged = await pack(bucket, runId(run), whole, await listPacks(bucket, runId(run)), small);
    expect(merged.equals(direct)).toBe(true);
  });
  await fc.assert(property, { numRuns: 150, endOnFailure: true });
});

/** Merges everything wrongly in one way. */
type Merging = NonNullable<PackOptions["newMerge"]>;

class KeepsOldPages extends SlotMerge {
  override add(record: DecodedRecord): void {
    const before = new Map([...this.cells].map(([address, cell]) => [address, new Map(cell.pages)]));
    super.add(record);
    for (const [address, pages] of before) {
      const cell = this.cells.get(address);
      for (const [number, page] of pages) if (cell?.pages.has(number) === false) cell.pages.set(number, page);
    }
  }
}

class LosesTombstones extends SlotMerge {
  override *records(): Generator<Buffer, void, void> {
    for (const bytes of super.records()) {
      const record = decodeRecord(bytes, 0, bytes.length, "a merged record");
      const gone = record.type === "commit" && record.changes.at(-1)?.what === "deleted";
      if (!gone) yield bytes;
    }
  }
}

class TurnsPartsRound extends SlotMerge {
  override *records(): Generator<Buffer, void, void> {
    const all = [...super.records()];
    yield* all.reverse();
  }
}

class ForgetsTheBeginning extends SlotMerge {
  override add(record: DecodedRecord): void {
    const changes = record.type === "commit" ? record.changes.filter(({ what }) => what !== "created") : [];
    super.add(record.type === "commit" ? { ...record, changes } : record);
  }
}

class ForgetsAlarms extends SlotMerge {
  override add(record: DecodedRecord): void {
    const changes = record.type === "commit" ? record.changes.filter(({ what }) => !what.startsWith("alarm")) : [];
    super.add(record.type === "commit" ? { ...record, changes } : record);
  }
}

class KeepsFirstVersions extends SlotMerge {
  override add(record: DecodedRecord): void {
    for (const cell of record.type === "commit" ? record.cells : []) {
      const known = this.cells.get(cell.address);
      for (let i = 0; known?.pageSize === cell.pageSize && i < cell.pages.count; i++) {
        const page = known.pages.get(cell.pages.numbers[i] as number);
        if (page !== undefined) cell.pages.source.set(page, cell.pages.offsets[i]);
      }
    }
    super.add(record);
  }
}

const BROKEN: [string, Merging][] = [
  ["keeps pages of before `created`", (slot) => new KeepsOldPages(slot, 1024)],
  ["drops tombstones", (slot) => new LosesTombstones(slot, 1024)],
  ["writes parts in the wrong order", (slot) => new TurnsPartsRound(slot, 1024)],
  ["forgets that a cell began", (slot) => new ForgetsTheBeginning(slot, 1024)],
  ["keeps the first version of a page", (slot) => new KeepsFirstVersions(slot, 1024)],
  ["forgets alarms", (slot) => new ForgetsAlarms(slot, 1024)],
];

test.each(BROKEN)("a merge that %s is found out", async (_, newMerge) => {
  const cases = fc.sample(fc.tuple(anyHistory, anyPlans), { numRuns: 300, seed: 7 });
  for (const [steps, plans] of cases) if (await isFoundOut(steps, plans, newMerge)) return;
  throw new Error("nothing in 300 histories differs");
});

async function isFoundOut(steps: Step[], plans: Plan[], newMerge: Merging): Promise<boolean> {
  const bucket = openMemoryBucket();
  const history = await play(steps, bucket);
  try {
    await packAll(bucket, history, plans, { newMerge });
  } catch {
    return true;
  }
  return (await difference(bucket, history)) !== undefined;
}

/** A commit of one cell with pages of noise: nothing in it can be compressed. */
function noise(txid: number, numbers: readonly number[], pageCount: number, changes: CommitRecord["changes"]): Buffer {
  const image = cellOf("n/large", 4096, pageCount, numbers);
  for (let at = 0; at < image.pages.source.length; at += 32) {
    image.pages.source.set(createHash("sha256").update(`${txid} ${at}`).digest(), at);
  }
  const place = { slot: 1 as Slot, epoch: 1 as Epoch, txid: txid as Txid, time: txid };
  return commitBytes({ ...place, cells: [image], changes });
}

test("a large cell has several records, and objects are fetched in pieces", async () => {
  const bucket = countedBucket(openMemoryBucket());
  const run = runId(0);
  const all = Array.from({ length: 700 }, (_, i) => i + 1);
  const odd = all.filter((number) => number % 2 === 1);
  const created = { what: "created" as const, address: "n/large" as Address, value: 0 };
  for (const [i, bytes] of [noise(1, all, 700, [created]), noise(2, odd, 700, [])].entries()) {
    const start = { runId: run, number: i + 1, intent: new Uint8Array(16), createdMs: 1 };
    const segment = encodeSegment({ ...start, fromLsn: i as Lsn, toLsn: (i + 1) as Lsn }, [{ bytes, slot: 1 }]);
    await bucket.create(logKey(run, (i + 1) as Seq), segment);
  }
  const range = { from: 1 as Seq, to: 3 as Seq };
  const before = bucket.counts().get;
  const made = (await makePack(bucket, cover(run, [], range))) as Buffer;
  // Each has a footer, and one block that is larger than any piece.
  expect(bucket.counts().get - before).toBe(4);
  await bucket.create(packKey(run, range.from, range.to), made);
  const sources = [{ run, epoch: 1 as Epoch, ...range }];
  const index = await new SlotIndexes(bucket).read(1 as Slot, { checkpoint: undefined, sources });
  const { entry, places } = index.cells.get("n/large" as Address) as Found;
  expect(places.map(({ key }) => key)).toEqual(Array.from({ length: 3 }, () => packKey(run, range.from, range.to)));
  expect(Math.max(...places.map(({ length }) => length))).toBeLessThan(MERGED_RECORD_BYTES + 10_000);
  expect([entry.createdMs, entry.changedMs, entry.txid, index.places]).toEqual([1, 2, 2, 3]);
  const file = path.join(temporaryDirectory(), "cell.db");
  const { address, pageSize, pageCount } = entry;
  await fetchCell(bucket, { address, pageSize, pageCount, places }, file);
  const again = noise(2, odd, 700, []);
  const second = decodeRecord(again, 0, again.length, "the second commit");
  const pages = second.type === "commit" ? second.cells[0]?.pages : undefined;
  const found = fs.readFileSync(file);
  expect(found.length).toBe(700 * 4096);
  for (const [i, number] of odd.entries()) {
    const offset = pages?.offsets[i] as number;
    const page = found.subarray((number - 1) * 4096, number * 4096);
    expect(page.equals(pages?.source.subarray(offset, offset + 4096) as Uint8Array)).toBe(true);
  }
});

test("what would have too large a footer is not made", async () => {
  const bucket = openMemoryBucket();
  const step = (cell: number): Step => ({ what: "write", slot: 0, cell, by: 1 });
  const { segments } = await play([step(0), step(1), step(2)], bucket);
  const parts = cover(runId(0), [], { from: 1 as Seq, to: ((segments.get(runId(0)) ?? 0) + 1) as Seq });
  const made = (await makePack(bucket, parts)) as Buffer;
  const footer = rawFooter(made).length;
  expect(await makePack(bucket, parts, { footerBytes: footer })).toEqual(made);
  expect(await makePack(bucket, parts, { footerBytes: footer - 1 })).toBeUndefined();
});

test("of what compresses well no more is held than fits into memory", async () => {
  const bucket = openMemoryBucket();
  const run = runId(0);
  const pages = 480;
  const count = Math.ceil((MAX_PACK_PAGE_BYTES + 1) / (pages * 65_536));
  for (let seq = 1; seq <= count; seq++) {
    const numbers = Array.from({ length: pages }, (_, i) => (seq - 1) * pages + i + 1);
    const cells = [cellOf("n/large", 65_536, seq * pages, numbers)];
    const at = { slot: 1 as Slot, epoch: 1 as Epoch, txid: seq as Txid, time: seq };
    const start = { runId: run, number: seq, intent: new Uint8Array(16), createdMs: 1 };
    const lsn = { fromLsn: seq as Lsn, toLsn: (seq + 1) as Lsn };
    const segment = encodeSegment({ ...start, ...lsn }, [
      { bytes: commitBytes({ ...at, cells, changes: [] }), slot: 1 },
    ]);
    await bucket.create(logKey(run, seq as Seq), segment);
  }
  const made = (to: number): Promise<Buffer | undefined> =>
    makePack(bucket, cover(run, [], { from: 1 as Seq, to: to as Seq }));
  expect((await made(count))?.length).toBeLessThan(MAX_PACK_PAGE_BYTES / 100);
  expect(await made(count + 1)).toBeUndefined();
});
