// When it is looked for files that nobody names.
//
// Rule: once a day, and so seldom that the looks take a small part of the time, because each reads all cells out of the bucket; the
// first an hour after the start, for a start has other things to do. What fails is tried again with the next. Where everything
// stays (no retention) nothing is looked for.

import { FILE_SWEEP_MS, FILE_SWEEP_SHARE, FIRST_FILE_SWEEP_MS } from "../../limits.ts";
import type { Node } from "../node.ts";
import type { FilesStatus } from "../operator/nodeControl.ts";

/** See the head of the file. One per node. */
export class FileSweeps {
  readonly #node: Node;
  #cancel: (() => void) | undefined;
  #stopped = false;
  #last: FilesStatus | undefined;

  constructor(node: Node) {
    this.#node = node;
  }

  /** What the last look came to. */
  get last(): FilesStatus | undefined {
    return this.#last;
  }

  start(): void {
    const { keeper, options } = this.#node;
    if (keeper !== undefined && Number.isFinite(options.retentionMs ?? Infinity)) this.#again(FIRST_FILE_SWEEP_MS);
  }

  stop(): void {
    this.#stopped = true;
    this.#cancel?.();
  }

  /** Looks now. Never rejects. */
  async look(): Promise<void> {
    const { files, options } = this.#node;
    const { log } = options;
    try {
      const { slots, cells, ...swept } = await files.sweep(options.retentionMs ?? Infinity);
      this.#last = { atMs: Date.now(), ...swept };
      if (swept.refused !== undefined) log.warn({ why: swept.refused }, "files that nobody names were not looked for");
      else if (swept.removed > 0) log.info({ ...swept, slots, cells }, "files that nobody names were removed");
    } catch (error) {
      if (this.#stopped) return;
      const refused = (error as Error).message;
      this.#last = { atMs: Date.now(), old: 0, removed: 0, bytes: 0, refused };
      log.warn({ err: error }, "files that nobody names could not be looked for; they stay until the next time");
    }
  }

  #again(inMs: number): void {
    if (this.#stopped) return;
    this.#cancel = this.#node.clock.after(inMs, () => {
      const began = performance.now();
      void this.look().then(() => this.#again(pauseAfter(performance.now() - began)));
    });
  }
}

/** How long after a look that took so long the next one is, in ms. */
export function pauseAfter(tookMs: number): number {
  return Math.max(FILE_SWEEP_MS, FILE_SWEEP_SHARE * tookMs);
}
