// The commits of one cell that can be gone back to, the newest first, and a cell as it was at one of them.
//
// Rule: a history is read out of footers alone, from the newest object backwards, and no further than was asked for. A pack
// that does not hold the cell stands for all of its segments; one that does only tells that a look at them is worth it, for it
// knows no commit but the last. Where they are gone that one is what is left, and behind everything what the oldest
// checkpoint holds of the cell.
// A commit is told once: positions only fall.

import type { Bucket } from "../../bucket/bucket.ts";
import type { LogRange } from "../../codec/documents.ts";
import type { Footer } from "../../codec/objectReader.ts";
import type { Covered } from "../../core/claiming.ts";
import { coversAsMuch } from "../../core/claiming.ts";
import { FrondError } from "../../errors.ts";
import { FETCHES_AT_ONCE } from "../../limits.ts";
import { cover, listPacks, type ListedPack, type Part } from "../../log/cover.ts";
import { type Address, comparePositions, type Epoch, formatPosition, type Position, type Slot } from "../../types.ts";
import type { CellCommit, HistoryQuery } from "../operator/nodeControl.ts";
import type { SlotHistories } from "./slotHistory.ts";
import type { HistoryLimit, IndexedCell, SlotIndex } from "./slotIndex.ts";

/** All of a slot's history that can be gone back to. */
export interface SlotRanges {
  readonly ranges: readonly LogRange[];
  /** What is left out of them stands in checkpoints that cover as much as this. */
  readonly covered: Covered | undefined;
}

/** See the head of the file. One for each question. */
export class CellHistory {
  readonly #bucket: Bucket;
  readonly #histories: SlotHistories;
  readonly #slot: Slot;
  readonly #address: Address;
  readonly #addressBytes: Buffer;

  constructor(bucket: Bucket, histories: SlotHistories, slot: Slot, address: Address) {
    this.#bucket = bucket;
    this.#histories = histories;
    this.#slot = slot;
    this.#address = address;
    this.#addressBytes = Buffer.from(address);
  }

  /** Those behind the position `after`. Throws CELL_MISSING when there is none at all, and what the bucket throws. */
  async commits(
    { ranges, covered }: SlotRanges,
    { limit, sinceMs = 0 }: HistoryQuery,
    after: Position | undefined,
  ): Promise<CellCommit[]> {
    const found: CellCommit[] = [];
    let any = false;
    for await (const commit of this.#all(ranges, covered)) {
      if (after !== undefined && comparePositions(positionOf(commit), after) <= 0) break;
      any = true;
      const last = found.at(-1);
      if (last !== undefined && comparePositions(positionOf(commit), positionOf(last)) >= 0) continue;
      if (commit.timeMs < sinceMs || found.length === limit) break;
      found.push(commit);
    }
    if (any) return found;
    throw new FrondError("CELL_MISSING", `the bucket knows of no cell ${this.#address}`);
  }

  /** How many commits up to a position still have pages in segments. */
  async pagesThrough({ ranges }: SlotRanges, through: Position): Promise<number> {
    let count = 0;
    for await (const commit of this.#logged(ranges)) {
      if (commit.pages > 0 && comparePositions(positionOf(commit), through) <= 0) count += 1;
    }
    return count;
  }

  async *#all(ranges: readonly LogRange[], covered: Covered | undefined): AsyncGenerator<CellCommit> {
    yield* this.#logged(ranges);
    yield* this.#oldest(covered);
  }

  async *#logged(ranges: readonly LogRange[]): AsyncGenerator<CellCommit> {
    try {
      for (const range of ranges.toReversed()) {
        if (range.from < range.to) yield* this.#within(range, await listPacks(this.#bucket, range.run));
      }
    } catch (error) {
      // Cleaned up meanwhile: what lies before can be gone back to by a checkpoint, if at all.
      if (!(error instanceof Gone)) throw error;
    }
  }

  /** The commits in a part of a run's log. Throws Gone where there is an object that is needed and not there. */
  async *#within(range: LogRange, packs: readonly ListedPack[]): AsyncGenerator<CellCommit> {
    const parts = cover(range.run, packs, range).reverse();
    for (let at = 0; at < parts.length;) {
      const part = parts[at] as Part;
      if (part.kind === "pack") {
        yield* this.#pack(range, part, packs);
        at += 1;
        continue;
      }
      const next = parts.findIndex(({ kind }, i) => i > at && kind === "pack");
      const end = Math.min(at + FETCHES_AT_ONCE, next === -1 ? parts.length : next);
      const footers = await Promise.all(parts.slice(at, end).map((its) => this.#histories.indexes.footer(its)));
      for (const footer of footers) {
        if (footer === undefined) throw new Gone();
        yield* this.#commitsIn(footer, range.epoch, false);
      }
      at = end;
    }
  }

  async *#pack(range: LogRange, part: Part, packs: readonly ListedPack[]): AsyncGenerator<CellCommit> {
    const { from, to } = part;
    const footer = await this.#histories.indexes.footer(part);
    const merged = footer === undefined ? undefined : this.#commitsIn(footer, range.epoch, true);
    if (merged?.length === 0) return;
    const smaller = packs.filter((pack) => pack.to - pack.from < to - from);
    try {
      yield* this.#within({ ...range, from: from > range.from ? from : range.from, to }, smaller);
    } catch (error) {
      if (!(error instanceof Gone) || merged === undefined) throw error;
      yield* merged;
    }
  }

  /** What the object holds of the cell, the newest first. */
  #commitsIn({ entries }: Footer, epoch: Epoch, merged: boolean): CellCommit[] {
    const found: CellCommit[] = [];
    for (const entry of entries) {
      if (entry.slot !== this.#slot || !entry.headBytes.includes(this.#addressBytes)) continue;
      const head = entry.head();
      const cell = head.type === "commit" ? head.cells.find(({ address }) => address === this.#address) : undefined;
      if (head.type !== "commit" || cell === undefined || (epoch !== 0 && head.epoch !== epoch)) continue;
      const pages = Math.floor((entry.length - entry.headBytes.length) / (cell.pageSize + PAGE_NUMBER_BYTES));
      const last = found.at(-1);
      if (last?.epoch === head.epoch && last.txid === head.txid) {
        // A further part of a merged record.
        found[found.length - 1] = { ...last, pages: last.pages + pages };
        continue;
      }
      const changes = head.changes.filter(({ address }) => address === this.#address).map(({ what }) => what);
      const [bytes, what] = [cell.pageCount * cell.pageSize, whatOf(changes, merged)];
      found.push({ epoch: head.epoch, txid: head.txid, timeMs: head.time, pages, bytes, what });
    }
    return found.reverse();
  }

  /** The cell as the oldest checkpoint has it that can be gone back to. */
  async *#oldest(covered: Covered | undefined): AsyncGenerator<CellCommit> {
    const all = await this.#histories.checkpoints(this.#slot);
    const oldest = all.find((checkpoint) => covered === undefined || coversAsMuch(checkpoint, covered));
    const footer = oldest && (await this.#histories.indexes.checkpoint(oldest));
    if (footer === undefined) return;
    for (const commit of this.#commitsIn(footer, 0 as Epoch, true)) {
      yield { ...commit, what: commit.what === "deleted" ? "deleted" : "changed" };
    }
  }
}

/** The number of a page in a record, in bytes. */
const PAGE_NUMBER_BYTES = 4;

function positionOf({ epoch, txid }: CellCommit): Position {
  return { epoch, txid } as Position;
}

function whatOf(changes: readonly string[], merged: boolean): CellCommit["what"] {
  const last = changes.findLast((what) => what === "created" || what === "deleted");
  if (last === "deleted") return "deleted";
  if (last === undefined) return "changed";
  return changes.includes("deleted") && !merged ? "replaced" : "created";
}

/** An object is not there any more. */
class Gone extends Error {}

/** The cell in a slot as it was. Throws CELL_MISSING when it did not exist then. */
export function cellAt(index: SlotIndex, address: Address, limit: HistoryLimit): IndexedCell {
  const cell = index.cells.get(address);
  if (cell !== undefined && !cell.entry.deleted) return cell;
  const when = "time" in limit ? timeText(limit.time) : `at ${formatPosition(limit.position)}`;
  const deleted = cell && `: it was deleted ${timeText(cell.entry.changedMs)}`;
  throw new FrondError("CELL_MISSING", `there was no cell ${address} ${when}${deleted ?? ""}`);
}

function timeText(ms: number): string {
  return ms > LAST_TIME ? "at the end" : `at ${new Date(ms).toISOString()}`;
}

/** The last time that a Date can hold, in ms since 1970. */
const LAST_TIME = 8.64e15;
