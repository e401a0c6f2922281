// How far the bucket is behind the disk: what the loss of this disk would take.
//
// Rule: what is on the disk and not in the bucket is as old as the time at which it was first seen to be on the disk. It is
// looked at a few times a second, so the answer is right to that; a bound that was measured says more than one that was
// reckoned.

import type { Lsn } from "../../types.ts";

/** Looks of one minute are one figure, and an hour of them is kept. Ms; count. */
const SLICE_MS = 60_000;
const SLICES = 60;

/** See the head of the file. Times are in ms of one clock that only rises. */
export class Lag {
  /** Ends of the log at earlier looks that the bucket does not have yet, the oldest first. */
  readonly #marks: { readonly ms: number; readonly durable: number }[] = [];
  /** The most of each minute, the oldest first. */
  readonly #most: number[] = [0];
  #sliceFrom: number | undefined;

  /** Looks: everything before `durable` is on the disk, everything before `uploaded` in the bucket. */
  look(now: number, durable: Lsn, uploaded: Lsn): void {
    if (durable > (this.#marks.at(-1)?.durable ?? uploaded)) this.#marks.push({ ms: now, durable });
    while (this.#marks[0] !== undefined && this.#marks[0].durable <= uploaded) this.#marks.shift();
    this.#sliceFrom ??= now;
    for (; now >= this.#sliceFrom + SLICE_MS; this.#sliceFrom += SLICE_MS) this.#most.push(0);
    this.#most.splice(0, this.#most.length - SLICES);
    const last = this.#most.length - 1;
    this.#most[last] = Math.max(this.#most[last] as number, this.behindMs(now));
  }

  /** How long the oldest of what the bucket does not have has been on the disk; 0: it has everything. */
  behindMs(now: number): number {
    const oldest = this.#marks[0];
    return oldest === undefined ? 0 : now - oldest.ms;
  }

  /** The most that it was behind within the last hour. */
  get mostMs(): number {
    return Math.max(...this.#most);
  }
}
