// Erasing cells: what they held goes from everywhere that this cluster keeps, as far as each place lets it, and it is told what is left.
//
// Rules.
// - The cell is deleted first, like by frond delete; when the bucket has that, an erasure is written down there, and from then on nobody
//   is given what was before. What follows may be interrupted anywhere: it is done again, now and then, until nothing is left.
// - The log of the bucket keeps its segments until the retention has passed; that of this disk goes as soon as its files are full.
// - A file (this.files) goes when it is older than the retention and FILE_KEEP_MS and no other cell names it: as any other file does
//   that nobody names (fileSweep.ts). Before that one cannot know whether a cell that was deleted since had named it.
// - When nothing is left the address is not in the erasure any more, only its hash.
// Copies elsewhere (frond backup, exports) are not known here.

import { formatAddress, parseAddress, slotOf } from "../../address.ts";
import { eraseFromOutside } from "../../cell/maintenance.ts";
import type { ErasureDocument } from "../../codec/documents.ts";
import { FrondError } from "../../errors.ts";
import { ERASE_LOOK_MS, ERASE_MARGIN_MS, FIRST_ERASE_LOOK_MS, RETENTION_MS } from "../../limits.ts";
import type { CellEntry } from "../../store/catalog.ts";
import { fileRows } from "../../store/fileRows.ts";
import type { Address, Position } from "../../types.ts";
import type { CopiesLeft } from "../upkeep/eraseCopies.ts";
import { erasureHash } from "../upkeep/erasureRecords.ts";
import type { Keeper } from "../persist/keeper.ts";
import type { Node } from "../node.ts";
import type { ErasureState } from "../operator/nodeControl.ts";
import { PastDoor } from "../persist/pastDoor.ts";

/** See the head of the file. One per node. */
export class Erasures {
  readonly #node: Node;
  #timer: NodeJS.Timeout | undefined;
  #stopped = false;
  #work: Promise<void> = Promise.resolve();

  constructor(node: Node) {
    this.#node = node;
  }

  /** Goes on with what was begun, now and then. */
  start(): void {
    if (this.#node.keeper === undefined) return;
    this.#again(FIRST_ERASE_LOOK_MS);
  }

  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
  }

  /** Erases a cell, deleted or not. Throws CELL_MISSING when the bucket knows of none. */
  async erase(text: string): Promise<ErasureState> {
    const address = formatAddress(parseAddress(text));
    const keeper = this.#keeper();
    const { files, at } = await this.#delete(keeper, address);
    const { epoch, txid } = at;
    const document = { hash: erasureHash(address), address, epoch, txid, erasedMs: Date.now(), files, goneMs: 0 };
    await this.#past().putErasure(document);
    return this.#inTurn(() => this.#goOn(document));
  }

  /** How far each erasure is, the latest last. */
  async status(): Promise<ErasureState[]> {
    const states: ErasureState[] = [];
    for (const document of await this.#past().erasures()) {
      const left = document.goneMs > 0 ? NOTHING : await this.#past().findCopies(cellOf(document));
      states.push(this.#stateOf(document, left));
    }
    return states.sort((a, b) => a.erasedMs - b.erasedMs);
  }

  /** Does all that can be done now. */
  look(): Promise<void> {
    return this.#inTurn(async () => {
      for (const document of await this.#past().erasures()) if (document.goneMs === 0) await this.#goOn(document);
    });
  }

  #again(inMs: number): void {
    if (this.#stopped) return;
    this.#timer = setTimeout(() => {
      this.look().then(
        () => this.#again(ERASE_LOOK_MS),
        (error: unknown) => {
          this.#node.options.log.warn(
            { err: error },
            "what is left of erased cells could not be looked for; it is tried again",
          );
          this.#again(ERASE_LOOK_MS);
        },
      );
    }, inMs).unref();
  }

  async #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#work.then(work);
    this.#work = turn.then(
      () => {},
      () => {},
    );
    return turn;
  }

  /** Deletes the cell, if it is there. Tells where its tombstone stands, and which files it had named. */
  async #delete(keeper: Keeper, address: Address): Promise<{ files: string[]; at: Position }> {
    const { host, ledger, strikes } = this.#node;
    const slot = slotOf(address);
    if (!keeper.isOpen(slot)) await keeper.open(slot);
    const entry = ledger.find(address);
    if (entry === undefined) return { files: [], at: await this.#lastOf(address) };
    if (entry.deleted) return { files: [], at: { epoch: entry.epoch, txid: entry.txid } };
    const deleted = await host.withCell(
      address,
      (cell) => {
        const files = fileRows(cell.db, 0).map(({ hash }) => hash);
        eraseFromOutside(cell, true);
        const { epoch, txid } = cell.entry as CellEntry;
        return { files, at: { epoch, txid } };
      },
      true,
    );
    await host.allTold();
    strikes.forget(address);
    return deleted;
  }

  /** Of a cell that was deleted so long ago that only the bucket knows. */
  async #lastOf(address: Address): Promise<Position> {
    const [last] = await this.#past().history(address, { limit: 1 });
    if (last?.what === "deleted") return { epoch: last.epoch, txid: last.txid } as Position;
    throw new FrondError("CELL_MISSING", `there is no cell ${address} that could be erased`);
  }

  async #goOn(document: ErasureDocument): Promise<ErasureState> {
    const cell = cellOf(document);
    await this.#past().eraseCopies(cell);
    const files = await this.#removeFiles(document);
    this.#node.forgetLog();
    const left = await this.#past().findCopies(cell);
    const isGone = files.length === 0 && Object.values(left).every((count) => count === 0);
    const next = { ...document, files, ...(isGone && { address: "", goneMs: Date.now() }) };
    if (isGone || files.length < document.files.length) await this.#past().putErasure(next);
    return this.#stateOf(next, left);
  }

  /** Removes the files that nobody else names. Returns those that may be removed later. */
  async #removeFiles({ files }: ErasureDocument): Promise<readonly string[]> {
    const { retentionMs = Infinity } = this.#node.options;
    // A tool does not know how far back other cells can go: to it no file is old. The node that serves the directory next does.
    if (files.length === 0) return files;
    try {
      const { gone, named } = await this.#node.files.release(retentionMs, files);
      const done = new Set([...gone, ...named]);
      return files.filter((hash) => !done.has(hash));
    } catch (error) {
      const what = "whether other cells name the files of an erased one is not known: they stay";
      this.#node.options.log.warn({ err: error }, what);
      return files;
    }
  }

  #stateOf(document: ErasureDocument, left: CopiesLeft): ErasureState {
    const { address, hash, epoch, txid, erasedMs, goneMs, files } = document;
    return {
      ...(address !== "" && { address }),
      hash,
      epoch,
      txid,
      erasedMs,
      left: { ...left, files: files.length },
      ...(goneMs > 0 ? { goneMs } : { goneByMs: erasedMs + this.#retentionMs() + ERASE_MARGIN_MS }),
    };
  }

  /** As far as it is known: a directory that was opened by a tool keeps everything; the node that serves it next may not. */
  #retentionMs(): number {
    const { retentionMs = RETENTION_MS } = this.#node.options;
    return Number.isFinite(retentionMs) ? retentionMs : RETENTION_MS;
  }

  #past(): PastDoor {
    return new PastDoor(this.#keeper());
  }

  #keeper(): Keeper {
    const { keeper, options } = this.#node;
    if (keeper !== undefined) return keeper;
    const what = `${options.dataDirectory} has no bucket yet; it gets one when frond start serves it`;
    throw new FrondError("BAD_OPTION", what);
  }
}

const NOTHING: CopiesLeft = { packs: 0, checkpoints: 0, snapshots: 0, commits: 0 };

function cellOf({ address, epoch, txid }: ErasureDocument): {
  slot: ReturnType<typeof slotOf>;
  address: Address;
  through: Position;
} {
  return { slot: slotOf(address as Address), address: address as Address, through: { epoch, txid } };
}
