// Cells that must not be opened yet: until the log has been written, or work on their file is over.
//
// Rule: at most one wait per cell counts, the latest. It ends by itself, and is set going again when a turn of the event loop was
// lost; it may end twice then, which does nothing the second time.

import type { CommitLog } from "../../log/log.ts";
import type { Address } from "../../types.ts";

interface Wait {
  /** Rejects with what those are told who wait for the cell. */
  readonly until: Promise<void>;
  readonly over: () => void;
}

/** See the head of the file. One per node. */
export class Waits {
  readonly #log: CommitLog;
  readonly #waits = new Map<Address, Wait>();

  constructor(log: CommitLog) {
    this.#log = log;
  }

  /** What to wait for before the cell may be opened. */
  of(address: Address): Promise<void> | undefined {
    return this.#waits.get(address)?.until;
  }

  /** Until everything logged so far is durable; `then` comes before anybody is let in. */
  forLog(address: Address, then: () => void = () => {}): Promise<void> {
    return this.#begin(address, this.#log.flushed(), then);
  }

  /** Until `work` is over, whatever it ends with. */
  forWork(address: Address, work: Promise<void>): void {
    void this.#begin(address, work, () => {});
  }

  /** What was to end a wait may have been lost. */
  shaken(): void {
    for (const { until, over } of this.#waits.values()) void until.then(over, over);
  }

  #begin(address: Address, until: Promise<void>, then: () => void): Promise<void> {
    const over = (): void => {
      if (this.#waits.get(address) !== wait) return;
      this.#waits.delete(address);
      then();
    };
    const wait: Wait = { until, over };
    this.#waits.set(address, wait);
    void until.then(over, over);
    return until;
  }
}
