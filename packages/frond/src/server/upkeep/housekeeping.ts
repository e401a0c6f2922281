// What keeps a bucket from growing for ever: checkpoints of the own slots, and clean-up.
//
// Rule: one thing at a time, now and then, and never in the way of anything: it is looked every few seconds whether there is
// something to do. The first clean-up of a start comes before the first checkpoint: it lists which checkpoints there are.

import type { CountedBucket } from "../../bucket/counted.ts";
import { HOUSEKEEPING_LOOK_MS } from "../../limits.ts";
import type { RunId } from "../../types.ts";
import { type CheckpointedRun, Checkpoints } from "./checkpoints.ts";
import { CleanUp } from "./cleanUp.ts";
import { monotonicMs } from "../monotonic.ts";
import type { SlotClaims } from "../slots/slotClaims.ts";

/** What housekeeping works with. */
export interface HousekeepingOptions {
  readonly bucket: CountedBucket;
  readonly claims: SlotClaims;
  /** A folder for temporary files. */
  readonly folder: string;
  readonly retentionMs: number;
  /** Hears of what failed, and is tried again. */
  readonly failed: (what: string, error: unknown) => void;
}

/** See the head of the file. One per bucket thread. */
export class Housekeeping {
  readonly checkpoints: Checkpoints;
  readonly cleanUp: CleanUp;
  readonly #timer: NodeJS.Timeout;
  #runId: RunId | undefined;
  #work: Promise<void> | undefined;

  constructor(options: HousekeepingOptions) {
    this.checkpoints = new Checkpoints({ ...options, now: Date.now });
    this.cleanUp = new CleanUp({
      ...options,
      indexes: options.claims.indexes,
      now: monotonicMs,
      runId: () => this.#runId,
      listed: (slot, newest) => this.checkpoints.listed(slot, newest),
    });
    this.#timer = setInterval(() => void this.look(), HOUSEKEEPING_LOOK_MS).unref();
  }

  /** From here on the slots of this run are looked after. */
  follow(run: CheckpointedRun): void {
    this.#runId = run.runId;
    this.checkpoints.follow(run);
  }

  /** Does what is to be done now. Never rejects. */
  look(): Promise<void> {
    this.#work ??= this.#do().finally(() => (this.#work = undefined));
    return this.#work;
  }

  /** Runs `work` while nothing else is done here: what is under way ends first, and what comes waits. */
  async alone<T>(work: () => Promise<T>): Promise<T> {
    while (this.#work !== undefined) await this.#work;
    const done = work();
    const over = (): void => (this.#work = undefined);
    this.#work = done.then(over, over);
    return done;
  }

  /** Ends what is under way; nothing of it is half done in the bucket. */
  async stop(): Promise<void> {
    clearInterval(this.#timer);
    this.checkpoints.stop();
    this.cleanUp.stop();
    await this.#work;
  }

  async #do(): Promise<void> {
    await this.cleanUp.look();
    if (this.cleanUp.hasListed) await this.checkpoints.look();
  }
}
