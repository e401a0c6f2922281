// The cells that are open on a node, by kind and name, and which of them are closed when room is needed.
//
// Rule: few cells are open at a time, however many there are, bounded by the descriptors and the memory of the process. The
// clock algorithm closes idle ones that were not called lately, a few steps for each that is opened, so no call pays for
// many. Cells in which something runs are neither closed nor waited for: they may wait for this very call.
// Rejected: an exact LRU (moving an entry at every call costs more than a flag, which does as well).

import { parseAddress } from "../../address.ts";
import type { App, CellKind } from "../../cell/app.ts";
import type { LiveCell } from "../../cell/live.ts";
import type { Address } from "../../types.ts";

/** How many cells may be open. */
export interface OpenLimits {
  /** Cells that stay open when they are idle. Count. */
  readonly maxOpen: number;
  /** Cells that are open at all, those in which verbs run included. Count. */
  readonly mostOpen: number;
  /** Memory of the process, in bytes, above which idle cells are closed before another one is opened. */
  readonly maxRss: number;
}

/** Openings between two looks at the memory of the process. Count. */
const RSS_EVERY = 64;
/** Cells that stay open however short memory is. Count. */
const FEWEST_OPEN = 16;
/** Steps of the clock for one opening. Count. */
const STEPS = 64;

/** See the head of the file. One per node. */
export class OpenCells {
  readonly #app: App;
  readonly #limits: OpenLimits;
  readonly #close: (cell: LiveCell) => void;
  readonly #byKind = new Map<CellKind, Map<string, LiveCell>>();
  readonly #ring = new Set<LiveCell>();
  #hand: IterableIterator<LiveCell> | undefined;
  #openings = 0;
  #crowded = false;

  /** `close` closes an idle cell, and removes it here. */
  constructor(app: App, limits: OpenLimits, close: (cell: LiveCell) => void) {
    this.#app = app;
    this.#limits = limits;
    this.#close = close;
    for (const kind of app.kinds.values()) this.#byKind.set(kind, new Map());
  }

  get size(): number {
    return this.#ring.size;
  }

  /** As many are open as may be at all. */
  get full(): boolean {
    return this.#ring.size >= this.#limits.mostOpen;
  }

  /** The cell that is open; for a tool's own kind without code too, since there is at most one instance. */
  get(kind: CellKind, name: string): LiveCell | undefined {
    const cells = this.#byKind.get(kind) ?? this.#byKind.get(this.#app.kinds.get(kind.kind) as CellKind);
    return cells?.get(name);
  }

  at(address: Address): LiveCell | undefined {
    const [pair] = parseAddress(address);
    const kind = pair && this.#app.kinds.get(pair.kind);
    return kind && this.get(kind, pair?.name ?? "");
  }

  [Symbol.iterator](): IterableIterator<LiveCell> {
    return this.#ring.values();
  }

  add(cell: LiveCell): void {
    this.#byKind.get(cell.kind)?.set(cell.name, cell);
    this.#ring.add(cell);
  }

  remove(cell: LiveCell): void {
    this.#ring.delete(cell);
    const cells = this.#byKind.get(cell.kind);
    if (cells?.get(cell.name) === cell) cells.delete(cell.name);
  }

  /** Makes room for one more. False when cells would be idle if only the log were written. */
  makeRoom(): boolean {
    const max = this.#max();
    let resting = 0;
    // Before a call is refused, every cell is looked at, and once more for those that were called lately.
    const most = this.full ? this.#ring.size * 2 + 1 : STEPS;
    for (let steps = 0; steps < most && this.#ring.size >= max; steps++) {
      this.#hand ??= this.#ring.values();
      const next = this.#hand.next();
      if (next.done === true) {
        this.#hand = undefined;
        continue;
      }
      const cell = next.value;
      if (cell.used) cell.used = false;
      else if (cell.idle) this.#close(cell);
      else if (cell.running === 0) resting += 1;
    }
    return resting === 0 || this.#ring.size < this.#limits.maxOpen;
  }

  /** Where memory is short, one cell is closed for each that is opened, and one more, down to a few. */
  #max(): number {
    const { maxOpen, maxRss } = this.#limits;
    if (this.#openings++ % RSS_EVERY === 0) this.#crowded = process.memoryUsage.rss() > maxRss;
    return this.#crowded ? Math.min(maxOpen, Math.max(FEWEST_OPEN, this.#ring.size - 1)) : maxOpen;
  }
}
