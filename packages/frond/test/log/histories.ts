// Random histories of slots, as a cluster writes them: cells that begin, grow, shrink, end and begin again, slots that go
// from run to run and come back, logs cut into segments. With a model that knows how each cell ends.

import fc from "fast-check";
import type { Bucket } from "../../src/bucket/bucket.ts";
import { logKey } from "../../src/bucket/objectKeys.ts";
import type { LogRange } from "../../src/codec/documents.ts";
import { encodeSegment } from "../../src/codec/objectWriter.ts";
import { PageSet } from "../../src/codec/pages.ts";
import {
  type CellImage,
  claimLength,
  commitLength,
  encodeClaim,
  encodeCommit,
  type IndexChange,
} from "../../src/codec/record.ts";
import type { Address, Epoch, LogPlace, Lsn, RunId, RunNumber, Seq, Slot, Txid } from "../../src/types.ts";

export const RUNS = 2;
export const SLOTS = [3, 700] as const;
const NAMES = ["a", "b", "é/folder/x"];

/** One thing that happens. */
export interface Step {
  readonly what: "write" | "grow" | "shrink" | "end" | "alarm" | "failed" | "cut" | "move";
  readonly slot: number;
  readonly cell: number;
  /** Whatever the step needs to choose. */
  readonly by: number;
}

export const anyHistory: fc.Arbitrary<Step[]> = fc.array(
  fc.record({
    what: fc.constantFrom<Step["what"]>(
      ...(["write", "write", "write", "grow", "shrink", "end", "alarm", "failed", "cut", "cut", "move"] as const),
    ),
    slot: fc.nat(SLOTS.length - 1),
    cell: fc.nat(NAMES.length - 1),
    by: fc.nat(11),
  }),
  { minLength: 1, maxLength: 80, size: "max" },
);

/** How a cell stands in the end. */
export interface ModelCell {
  readonly address: Address;
  epoch: Epoch;
  txid: Txid;
  createdMs: number;
  changedMs: number;
  pageSize: number;
  pageCount: number;
  deleted: boolean;
  alarm: number;
  failedAlarms: number;
  lastId: number;
  readonly pages: Map<number, Buffer>;
}

interface ModelSlot {
  epoch: Epoch;
  txid: Txid;
  /** Who owns it, and where its part of his log begins. */
  run: number;
  from: Seq;
  readonly sources: LogRange[];
  readonly cells: Map<Address, ModelCell>;
}

/** What came of a history. */
export interface History {
  readonly slots: ReadonlyMap<Slot, ModelSlot>;
  /** How many segments each run has. */
  readonly segments: ReadonlyMap<RunId, number>;
}

export function runId(run: number): RunId {
  return String(run + 1).repeat(32) as RunId;
}

/** Plays a history and puts its segments into the bucket. */
export async function play(steps: readonly Step[], bucket: Bucket): Promise<History> {
  const writer = new Writer();
  for (const step of steps) writer.step(step);
  writer.end();
  const segments = new Map<RunId, number>();
  for (const [run, log] of writer.logs.entries()) {
    segments.set(runId(run), log.length);
    for (const [i, records] of log.entries()) {
      const start = { runId: runId(run), number: i + 1, intent: new Uint8Array(16).fill(i), createdMs: 1 };
      const bytes = encodeSegment({ ...start, fromLsn: i as Lsn, toLsn: (i + 1) as Lsn }, records);
      await bucket.create(logKey(runId(run), (i + 1) as Seq), bytes);
    }
  }
  return { slots: writer.slots, segments };
}

type Raw = { readonly bytes: Buffer; readonly slot: Slot };

class Writer {
  readonly slots = new Map<Slot, ModelSlot>();
  /** The segments of each run. */
  readonly logs: Raw[][][] = Array.from({ length: RUNS }, () => []);
  readonly #open: Raw[][] = Array.from({ length: RUNS }, () => []);
  #now = 1_000;

  step({ what, slot: which, cell, by }: Step): void {
    this.#now += 1 + (by % 3);
    const slot = SLOTS[which] as Slot;
    const owned = this.slots.get(slot) ?? this.#take(slot, 0);
    if (what === "cut") return this.#cut(by % RUNS);
    if (what === "move") return void this.#take(slot, (owned.run + 1) % RUNS);
    // Every now and then two cells commit together.
    const cells = by === 7 ? [cell, (cell + 1) % NAMES.length] : [cell];
    this.#commit(slot, owned, cells, what, by);
  }

  end(): void {
    for (let run = 0; run < RUNS; run++) this.#cut(run);
    for (const slot of this.slots.values()) this.#close(slot);
  }

  #cut(run: number): void {
    const open = this.#open[run] as Raw[];
    if (open.length > 0) this.logs[run]?.push(open);
    this.#open[run] = [];
  }

  #seq(run: number): Seq {
    return ((this.logs[run]?.length ?? 0) + 1) as Seq;
  }

  #close({ run, epoch, from, sources }: ModelSlot): void {
    this.#cut(run);
    sources.push({ run: runId(run), epoch, from, to: this.#seq(run) });
  }

  #take(slot: Slot, run: number): ModelSlot {
    const before = this.slots.get(slot);
    if (before !== undefined) this.#close(before);
    const { epoch = 0, txid = 0 as Txid, sources = [], cells = new Map<Address, ModelCell>() } = before ?? {};
    const owned = { epoch: (epoch + 1) as Epoch, txid, run, from: this.#seq(run), sources, cells };
    this.slots.set(slot, owned);
    const bytes = Buffer.alloc(claimLength());
    const claim = { slot, epoch: owned.epoch, txid, time: this.#now, previousEpoch: epoch as Epoch };
    encodeClaim({ ...claim, run: (run + 1) as RunNumber, runId: Buffer.from(runId(run), "hex") }, bytes, 0);
    this.#open[run]?.push({ bytes, slot });
    return owned;
  }

  #commit(slot: Slot, owned: ModelSlot, names: readonly number[], what: Step["what"], by: number): void {
    owned.txid = (owned.txid + 1) as Txid;
    const { epoch, txid } = owned;
    const images: CellImage[] = [];
    const changes: IndexChange[] = [];
    for (const name of names) {
      const address = `n/${NAMES[name]}${slot}` as Address;
      const known = owned.cells.get(address);
      const cell = known === undefined || known.deleted ? this.#begin(address, known, by, changes) : known;
      owned.cells.set(address, cell);
      const numbers = cell === known ? this.#change(cell, what, by, changes) : all(cell.pageCount);
      for (const number of numbers) {
        cell.pages.set(number, Buffer.alloc(cell.pageSize, (this.#now * 31 + number) & 0xff));
      }
      Object.assign(cell, { epoch, txid, changedMs: this.#now });
      images.push(imageOf(cell, numbers));
    }
    const record = { slot, epoch, txid, time: this.#now, cells: images, changes };
    const bytes = Buffer.alloc(commitLength(record));
    encodeCommit(record, bytes, 0);
    this.#open[owned.run]?.push({ bytes, slot });
  }

  #begin(address: Address, known: ModelCell | undefined, by: number, changes: IndexChange[]): ModelCell {
    changes.push({ what: "created", address, value: 0 });
    const alarm = by % 4 === 0 ? this.#now + 50 : 0;
    if (alarm > 0) changes.push({ what: "alarm-set", address, value: alarm });
    return {
      address,
      epoch: 0 as Epoch,
      txid: 0 as Txid,
      createdMs: this.#now,
      changedMs: this.#now,
      pageSize: by % 2 === 0 ? 512 : 1024,
      pageCount: 1 + (by % 5),
      deleted: false,
      alarm,
      failedAlarms: 0,
      lastId: known?.lastId ?? 0,
      pages: new Map(),
    };
  }

  /** Changes a cell; returns the pages that it writes. */
  #change(cell: ModelCell, what: Step["what"], by: number, changes: IndexChange[]): number[] {
    const { address, pageCount } = cell;
    switch (what) {
      case "grow":
        cell.pageCount += 1 + (by % 3);
        return all(cell.pageCount).filter((number) => number === 1 || number > pageCount);
      case "shrink":
        cell.pageCount = Math.max(1, pageCount - 1 - (by % 3));
        for (const number of cell.pages.keys()) if (number > cell.pageCount) cell.pages.delete(number);
        return [1];
      case "end":
        Object.assign(cell, { deleted: true, alarm: 0, failedAlarms: 0, lastId: cell.lastId + by, pageCount: 0 });
        cell.pages.clear();
        changes.push({ what: "deleted", address, value: cell.lastId });
        return [];
      case "alarm":
        cell.alarm = by % 3 === 0 ? 0 : this.#now + by;
        changes.push({ what: cell.alarm === 0 ? "alarm-cleared" : "alarm-set", address, value: cell.alarm });
        return [1];
      case "failed":
        cell.failedAlarms = by % 3;
        changes.push({ what: "alarms-failed", address, value: cell.failedAlarms });
        return [];
      default:
        return all(pageCount).filter((number) => (number + by) % 3 === 0);
    }
  }
}

function all(pageCount: number): number[] {
  return Array.from({ length: pageCount }, (_, i) => i + 1);
}

function imageOf({ address, pageSize, pageCount, pages }: ModelCell, numbers: readonly number[]): CellImage {
  const set = new PageSet();
  set.reset(Buffer.concat(numbers.map((number) => pages.get(number) as Buffer)), pageSize);
  for (const [i, number] of numbers.entries()) set.put(number, i * pageSize);
  const wal = { walSalt1: 7, walSalt2: 8, walEnd: 9, previous: 10 as LogPlace };
  return { ...wal, address, addressBytes: Buffer.from(address), pageCount, pages: set };
}
