// How far the demo is: a bar on a terminal, a line now and then elsewhere.

import type { WriteStream } from "node:tty";

const BAR_WIDTH = 32;
const REDRAW_MS = 100;
/** Where there is no terminal, a line is printed this often. */
const LINE_MS = 5000;

/** Shows `done` of `total`. Call `finish` once, also after a failure. */
export class Progress {
  readonly #out: WriteStream | NodeJS.WriteStream;
  readonly #total: number;
  readonly #started = performance.now();
  #done = 0;
  #drawn = performance.now();

  constructor(out: NodeJS.WriteStream, total: number) {
    this.#out = out;
    this.#total = total;
  }

  /** One more. */
  step(): void {
    this.#done++;
    const isTerminal = this.#out.isTTY === true;
    if (performance.now() - this.#drawn < (isTerminal ? REDRAW_MS : LINE_MS)) return;
    if (isTerminal) return this.#draw();
    this.#drawn = performance.now();
    this.#out.write(`${this.#text()}\n`);
  }

  /** Draws the last state and ends the line. */
  finish(): void {
    if (this.#out.isTTY === true) {
      this.#draw();
      this.#out.write("\n");
    } else this.#out.write(`${this.#text()}\n`);
  }

  #draw(): void {
    this.#drawn = performance.now();
    const filled = Math.round((BAR_WIDTH * this.#done) / Math.max(1, this.#total));
    this.#out.write(`\r  ${"█".repeat(filled)}${"░".repeat(BAR_WIDTH - filled)} ${this.#text()}\u001b[K`);
  }

  #text(): string {
    const seconds = (performance.now() - this.#started) / 1000;
    const rate = Math.round(this.#done / Math.max(seconds, 0.001));
    return `${this.#done.toLocaleString("en")} of ${this.#total.toLocaleString("en")} messages, ${rate} a second`;
  }
}
