// Which files the cells of a cluster name, read out of the bucket alone.
//
// Rule: a file is needed by a moment that one can go back to only if it was stored, or stored again, since the retention began (then it
// is young, and nobody asks here), or if a cell named it when the retention began. For whatever brings a name into a cell stores the
// file again where it is not young: `put`, an import, and a restore, where the cell does not name it by itself (renew in
// fileSide.ts). So each slot is read as it was then; and as it is now, should a clock have gone wrong in between. Rows of references
// that are gone count (store/fileRows.ts): a state that is restored brings them back.
// All slots that were ever owned are read, whoever owns them; what is not in the bucket yet names young files only. One that
// cannot be read ends the look: nobody may conclude anything from the rest.
// Rejected: asking the cells (each would be opened, on the thread of all requests), an object for each cell and file (twice the
// requests of every put, for something that few files come to), a list of names in the records (a second truth, which old
// records do not have).

import fs from "node:fs";
import { DatabaseSync } from "node:sqlite";
import type { Bucket } from "../../bucket/bucket.ts";
import { listAll } from "../../bucket/listAll.ts";
import { parseSlotKey, SLOT_PREFIX } from "../../bucket/objectKeys.ts";
import type { LogRange, SlotDocument } from "../../codec/documents.ts";
import { FrondError, isFrondError } from "../../errors.ts";
import { LARGE_CELL_BYTES } from "../../limits.ts";
import { listRunLog } from "../../log/runObjects.ts";
import { BlockReader } from "../../store/blockReader.ts";
import type { CellEntry } from "../../store/catalog.ts";
import { cellIn, checkWhole, fetchCell, type RecordPlace } from "../../store/fetch.ts";
import { fileRows } from "../../store/fileRows.ts";
import { pagesInMemory } from "../../store/pageFile.ts";
import { removeCell } from "../../store/restore.ts";
import { comparePositions, type Position, type RunId, type Seq, type Slot } from "../../types.ts";
import { allErased, erasureHash } from "../upkeep/erasureRecords.ts";
import { SlotHistories, slotOwned } from "../slots/slotHistory.ts";
import type { IndexedCell, SlotIndex } from "../slots/slotIndex.ts";

/** What is looked with. */
export interface NamesOptions {
  readonly bucket: Bucket;
  /** The one run that lives. */
  readonly living: RunId;
  /** When the retention began, and since when references that are gone count; in ms since 1970. */
  readonly beganMs: number;
  readonly goneSinceMs: number;
  /** A file that nobody else uses. */
  readonly temporary: string;
  /** Asked after each cell, and waited for. */
  readonly breathe: () => Promise<void>;
}

/** What was looked at. Counts. */
export interface LookedAt {
  readonly slots: number;
  readonly cells: number;
}

/** What every table of files has in its schema, which SQLite keeps as text. */
const TRACE = Buffer.from("_frond_file");

/**
 * Takes all hashes out of `files` that a cell names; ends early when none is left. Throws OBJECT_DAMAGED and CELL_DAMAGED for a slot that
 * cannot be read, SLOT_OWNED when a run may still have something that is not in the bucket, DISK_FULL, and what the bucket throws.
 */
export async function withoutNamed(files: Set<string>, options: NamesOptions): Promise<LookedAt> {
  return new Look(files, options).run();
}

class Look {
  readonly #o: NamesOptions;
  readonly #files: Set<string>;
  readonly #histories: SlotHistories;
  #erased: ReadonlyMap<string, Position> = new Map();
  #cells = 0;

  constructor(files: Set<string>, options: NamesOptions) {
    this.#o = options;
    this.#files = files;
    this.#histories = new SlotHistories(options.bucket);
  }

  async run(): Promise<LookedAt> {
    const { bucket, temporary } = this.#o;
    this.#erased = await allErased(bucket);
    const slots = new Set<Slot>();
    for await (const { key } of listAll(bucket, SLOT_PREFIX)) {
      const slot = parseSlotKey(key)?.slot;
      if (slot !== undefined) slots.add(slot);
    }
    let looked = 0;
    try {
      for (const slot of slots) {
        if (this.#files.size === 0) break;
        await this.#lookAt(slot);
        looked += 1;
      }
    } finally {
      removeCell(temporary);
    }
    return { slots: looked, cells: this.#cells };
  }

  async #lookAt(slot: Slot): Promise<void> {
    const { indexes } = this.#histories;
    const record = await this.#histories.newest(slot);
    // It was listed: somebody owns it.
    if (record === undefined) throw slotOwned(`the records of slot ${slot} have gone while they were read`);
    const ranges = await this.#rangesOf(record);
    const checkpoint = await this.#histories.newestCheckpoint(slot, record.covered, record.epoch);
    const now = await this.#histories.read(slot, ranges, checkpoint);
    indexes.drop(slot);
    await this.#lookInto([...now.cells.values()].filter((cell) => this.#counts(cell)));
    const then = await this.#atTheBeginning(record, ranges);
    const others = [...then.cells.values()].filter((cell) => {
      const present = now.cells.get(cell.entry.address)?.entry;
      return this.#counts(cell) && (present === undefined || comparePositions(present, cell.entry) !== 0);
    });
    await this.#lookInto(others);
  }

  async #rangesOf({ run, epoch, from, sources }: SlotDocument): Promise<LogRange[]> {
    const isSealed = run !== this.#o.living;
    const to = isSealed ? await this.#histories.sealOf(run) : await behindLast(this.#o.bucket, run);
    return to > from ? [...sources, { epoch, run, from, to }] : [...sources];
  }

  /** A slot whose history does not reach so far back begins with its oldest checkpoint. */
  async #atTheBeginning({ slot, covered }: SlotDocument, ranges: readonly LogRange[]): Promise<SlotIndex> {
    const { beganMs: time } = this.#o;
    try {
      return await this.#histories.readAt(slot, ranges, covered, { time });
    } catch (error) {
      const [checkpoint] = await this.#histories.checkpoints(slot);
      if (!isFrondError(error, "HISTORY_GONE") || checkpoint === undefined) throw error;
      return this.#histories.indexes.readUpTo(slot, { checkpoint, sources: [] }, { time: Infinity });
    }
  }

  /** Nobody can go back to what was erased. */
  #counts({ entry }: IndexedCell): boolean {
    const through = this.#erased.get(erasureHash(entry.address));
    return !entry.deleted && (through === undefined || comparePositions(entry, through) > 0);
  }

  async #lookInto(cells: IndexedCell[]): Promise<void> {
    const sorted = cells.toSorted((a, b) => (a.entry.address < b.entry.address ? -1 : 1));
    const small = sorted.filter(isSmall).flatMap(({ places }) => places);
    const reader = new BlockReader(this.#o.bucket, small);
    for (const cell of sorted) {
      if (this.#files.size === 0) return;
      const isThere = isSmall(cell) ? await this.#gather(cell, reader) : await this.#fetch(cell);
      if (isThere) this.#takeRows(cell.entry);
      this.#cells += 1;
      await this.#o.breathe();
    }
  }

  /** Makes the file of a cell; false: there is no table in it. */
  async #gather({ entry, places }: IndexedCell, reader: BlockReader): Promise<boolean> {
    const pages = pagesInMemory(entry);
    for (const place of places) pages.lay(cellIn(await reader.record(place), entry.address, place).pages);
    checkWhole({ ...entry, places }, pages);
    const bytes = pages.read([...pages.numbers()]);
    if (!bytes.includes(TRACE)) return false;
    removeCell(this.#o.temporary);
    try {
      fs.writeFileSync(this.#o.temporary, bytes, { mode: 0o600 });
    } catch (error) {
      throw spaceFor(error, entry);
    }
    return true;
  }

  async #fetch(cell: IndexedCell): Promise<boolean> {
    const places: RecordPlace[] = await this.#histories.indexes.placesOf(cell);
    await fetchCell(this.#o.bucket, { ...cell.entry, places }, this.#o.temporary);
    return true;
  }

  #takeRows({ address }: CellEntry): void {
    const { temporary, goneSinceMs } = this.#o;
    let db: DatabaseSync | undefined;
    try {
      db = new DatabaseSync(temporary, { allowExtension: false });
      db.exec("PRAGMA locking_mode = EXCLUSIVE; PRAGMA synchronous = OFF; PRAGMA trusted_schema = OFF");
      for (const { hash } of fileRows(db, goneSinceMs)) this.#files.delete(hash);
    } catch (error) {
      const what = `which files ${address} names cannot be read out of the bucket: ${(error as Error).message}`;
      throw new FrondError("CELL_DAMAGED", what, { cause: error });
    } finally {
      db?.close();
    }
  }
}

function isSmall({ entry, base }: IndexedCell): boolean {
  return base === undefined && entry.pageCount * entry.pageSize <= LARGE_CELL_BYTES;
}

function spaceFor(error: unknown, { address }: CellEntry): unknown {
  if ((error as NodeJS.ErrnoException).code !== "ENOSPC") return error;
  return new FrondError("DISK_FULL", `no space to look which files ${address} names`, { cause: error });
}

async function behindLast(bucket: Bucket, run: RunId): Promise<Seq> {
  const { base, seqs } = await listRunLog(bucket, run);
  return ((seqs.at(-1) ?? base - 1) + 1) as Seq;
}
