// What the bucket thread is asked about the past of cells: their history, what they were, and what is left of those that were erased.
//
// Rule: who asks about the past asks about everything up to now, so the bucket is waited for until it has that.

import { slotOf } from "../../address.ts";
import type { ErasureDocument } from "../../codec/documents.ts";
import type { CellEntry } from "../../store/catalog.ts";
import type { Address } from "../../types.ts";
import type { CopiesLeft, ErasedCell } from "../upkeep/eraseCopies.ts";
import type { Keeper } from "./keeper.ts";
import type { CellCommit, HistoryQuery } from "../operator/nodeControl.ts";
import type { HistoryLimit } from "../slots/slotIndex.ts";

/** See the head of the file. */
export class PastDoor {
  readonly #keeper: Keeper;

  constructor(keeper: Keeper) {
    this.#keeper = keeper;
  }

  /** The commits of a cell that can be gone back to. Rejects as cellHistory.ts throws. */
  async history(address: Address, query: HistoryQuery): Promise<CellCommit[]> {
    await this.#keeper.everythingThere();
    return this.#keeper.ask("history", { slot: slotOf(address), address, query });
  }

  /** Makes a file of a cell as it was, and tells what is known of it then. Rejects with CELL_MISSING, HISTORY_GONE. */
  async restore(address: Address, at: HistoryLimit, file: string): Promise<CellEntry> {
    await this.#keeper.everythingThere();
    return this.#keeper.ask("restoreCell", { slot: slotOf(address), address, at, file });
  }

  /** Writes the snapshot of a cell that is to have the content of a file. Rejects with what the bucket throws. */
  async putContent(entry: CellEntry, file: string): Promise<void> {
    await this.#keeper.ask("putContent", { entry, file });
  }

  /** Writes an erasure down, behind what it erases. */
  async putErasure(document: ErasureDocument): Promise<void> {
    await this.#keeper.everythingThere();
    await this.#keeper.ask("putErasure", document);
  }

  erasures(): Promise<ErasureDocument[]> {
    return this.#keeper.ask("erasures", undefined);
  }

  /** Takes an erased cell out of packs, checkpoints and snapshots. */
  async eraseCopies(cell: ErasedCell): Promise<void> {
    await this.#keeper.ask("eraseCopies", cell);
  }

  /** Looks what there is of an erased cell. */
  findCopies(cell: ErasedCell): Promise<CopiesLeft> {
    return this.#keeper.ask("findCopies", cell);
  }
}
