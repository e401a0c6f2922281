// What really happened to the cells of a slot: every commit that survives, and how the cells stood at each.

import type { PageSet } from "../../src/codec/pages.ts";
import { PageSet as Pages } from "../../src/codec/pages.ts";
import type { CellImage, IndexChange } from "../../src/codec/record.ts";
import { type HistoryLimit, isBehind } from "../../src/server/slots/slotIndex.ts";
import type { CellEntry } from "../../src/store/catalog.ts";
import type { Random } from "../../src/torture/random.ts";
import type { Address, Epoch, LogPlace, Lsn, Position, RunId, Txid } from "../../src/types.ts";

/** How a cell stands. Never changed: each commit makes another. */
export interface CellState {
  readonly address: Address;
  readonly epoch: Epoch;
  readonly txid: Txid;
  readonly createdMs: number;
  readonly changedMs: number;
  readonly pageSize: number;
  readonly pageCount: number;
  readonly deleted: boolean;
  readonly alarm: number;
  readonly failedAlarms: number;
  readonly lastId: number;
  readonly pages: ReadonlyMap<number, Buffer>;
}

export type SlotState = ReadonlyMap<Address, CellState>;

/** One commit. */
export interface Commit extends Position {
  readonly time: number;
  readonly run: RunId;
  /** Behind it, in the log of its run. */
  readonly lsn: Lsn;
  readonly cells: readonly CellState[];
}

/** The surviving commits of a slot. */
export class SlotTruth {
  commits: Commit[] = [];

  /** How the cells stand behind all commits for which `counts` holds, up to the first that is behind the limit. */
  state(counts: (commit: Commit) => boolean = () => true, limit?: HistoryLimit): Map<Address, CellState> {
    const cells = new Map<Address, CellState>();
    for (const commit of this.commits) {
      if (isBehind(limit, commit)) break;
      if (!counts(commit)) continue;
      for (const cell of commit.cells) cells.set(cell.address, cell);
    }
    return cells;
  }

  /** What a run had logged and not uploaded is lost. */
  lose(run: RunId, uploaded: Lsn): number {
    const before = this.commits.length;
    this.commits = this.commits.filter((commit) => commit.run !== run || commit.lsn <= uploaded);
    return before - this.commits.length;
  }
}

/** A change of a cell that chance decides, and what a record says of it. */
export function changeCell(
  random: Random,
  address: Address,
  known: CellState | undefined,
  at: Position & { readonly time: number },
): { state: CellState; image: CellImage; changes: IndexChange[] } {
  const changes: IndexChange[] = [];
  const { epoch, txid, time } = at;
  const next = known === undefined || known.deleted ? born(random, address, known, time, changes) : { ...known };
  Object.assign(next, { epoch, txid, changedMs: time });
  const pages = new Map(next.pages);
  let numbers = all(next.pageCount);
  if (known !== undefined && !known.deleted) {
    numbers = alter(random, next, changes, time);
    for (const number of pages.keys()) if (number > next.pageCount) pages.delete(number);
  }
  for (const number of numbers) pages.set(number, Buffer.alloc(next.pageSize, random.between(0, 255)));
  const state = { ...next, pages };
  return { state, image: imageOf(state, numbers), changes };
}

type Draft = { -readonly [K in keyof CellState]: CellState[K] };

function born(
  random: Random,
  address: Address,
  known: CellState | undefined,
  time: number,
  changes: IndexChange[],
): Draft {
  changes.push({ what: "created", address, value: 0 });
  const alarm = random.chance(0.3) ? time + 50 : 0;
  if (alarm > 0) changes.push({ what: "alarm-set", address, value: alarm });
  const nothing = { epoch: 0 as Epoch, txid: 0 as Txid, deleted: false, failedAlarms: 0, pages: new Map() };
  const size = { pageSize: random.pick([512, 1024]), pageCount: random.between(1, 8) };
  return { ...nothing, ...size, address, createdMs: time, changedMs: time, alarm, lastId: known?.lastId ?? 0 };
}

/** Returns the pages that are written. */
function alter(random: Random, cell: Draft, changes: IndexChange[], time: number): number[] {
  const { address, pageCount } = cell;
  switch (random.weighted({ write: 8, grow: 2, shrink: 2, end: 1, alarm: 1, failed: 1 })) {
    case "grow":
      cell.pageCount += random.between(1, 3);
      return all(cell.pageCount).filter((number) => number === 1 || number > pageCount);
    case "shrink":
      cell.pageCount = Math.max(1, pageCount - random.between(1, 3));
      return [1];
    case "end":
      Object.assign(cell, {
        deleted: true,
        alarm: 0,
        failedAlarms: 0,
        lastId: cell.lastId + random.between(0, 1),
        pageCount: 0,
      });
      changes.push({ what: "deleted", address, value: cell.lastId });
      return [];
    case "alarm":
      cell.alarm = random.chance(0.3) ? 0 : time + random.between(1, 99);
      changes.push({ what: cell.alarm === 0 ? "alarm-cleared" : "alarm-set", address, value: cell.alarm });
      return [1];
    case "failed":
      cell.failedAlarms = random.between(0, 2);
      changes.push({ what: "alarms-failed", address, value: cell.failedAlarms });
      return [];
    default:
      return all(pageCount).filter(() => random.chance(0.3));
  }
}

function all(pageCount: number): number[] {
  return Array.from({ length: pageCount }, (_, i) => i + 1);
}

function imageOf({ address, pageSize, pageCount, pages }: CellState, numbers: readonly number[]): CellImage {
  const set: PageSet = new Pages();
  set.reset(Buffer.concat(numbers.map((number) => pages.get(number) as Buffer)), pageSize);
  for (const [i, number] of numbers.entries()) set.put(number, i * pageSize);
  const wal = { walSalt1: 7, walSalt2: 8, walEnd: 9, previous: 10 as LogPlace };
  return { ...wal, address, addressBytes: Buffer.from(address), pageCount, pages: set };
}

/** The bytes of a cell's file. */
export function contentOf({ pageCount, pages }: CellState): Buffer {
  return Buffer.concat(all(pageCount).map((number) => pages.get(number) as Buffer));
}

/** What an entry says that is not so; undefined: nothing. */
export function wrongInEntry(entry: CellEntry | undefined, state: CellState): string | undefined {
  const { pages: _, ...facts } = state;
  if (entry === undefined) return `${state.address} is not there`;
  const says = Object.fromEntries(Object.keys(facts).map((name) => [name, entry[name as keyof CellEntry]]));
  return JSON.stringify(says) === JSON.stringify(facts)
    ? undefined
    : `${state.address} is ${JSON.stringify(says)}, not ${JSON.stringify(facts)}`;
}
