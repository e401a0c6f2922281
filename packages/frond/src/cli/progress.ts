// How far a long command has come: one line on standard error, on a terminal.
//
// Rule: it is for people who wait. A program that reads the output sees none of it, nor does a log; the line is gone when the
// command has ended.

import { showBytes } from "./output.ts";

/** The line is written anew so often at most, in ms. */
const EVERY_MS = 100;

/** See the head of the file. */
export class ProgressLine {
  readonly #shown: boolean;
  #at = 0;
  #written = false;

  constructor(json: true | undefined) {
    this.#shown = json !== true && process.stderr.isTTY;
  }

  /** Shows a sentence in the place of the one before. */
  show(text: string): void {
    const now = performance.now();
    if (!this.#shown || (this.#written && now - this.#at < EVERY_MS)) return;
    this.#at = now;
    this.#written = true;
    process.stderr.write(`\r\x1b[K${text.slice(0, (process.stderr.columns ?? 80) - 1)}`);
  }

  /** Shows how many bytes of a file have gone over. */
  readonly bytes = (bytes: number, of: number): void => this.show(`${showBytes(bytes)} of ${showBytes(of)}`);

  /** Takes the line away. */
  end(): void {
    if (this.#written) process.stderr.write("\r\x1b[K");
    this.#written = false;
  }
}
