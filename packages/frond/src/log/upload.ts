// The upload of a run's log: closing segments and creating them in the bucket, one after the other.
//
// Rule: the log files on disk are the queue, so nothing waits in memory but the segment that is under way, and a restart goes
// on where this one ended. What is decided stands in core/runLog and core/flushRule; the bytes of a segment stay the same
// for as long as its create is open.
// Runs in the bucket thread: it reads files, compresses and waits for the store without anybody waiting for it.

import { randomBytes } from "node:crypto";
import { flushRule } from "../core/flushRule.ts";
import { RunLog, type RunLogEvent, type RunLogStart, type RunLogStep } from "../core/runLog.ts";
import { encodeSeal } from "../codec/objectWriter.ts";
import { FrondError } from "../errors.ts";
import type { Lsn, RunId, RunNumber, Seq, Slot } from "../types.ts";
import { cutSegment } from "./cut.ts";
import type { LogHands } from "./logHands.ts";
import { LogTail } from "./tail.ts";
import { Turns } from "./turns.ts";

/** What an upload works with. */
export interface UploadOptions {
  readonly hands: LogHands;
  readonly logFolder: string;
  readonly run: RunNumber;
  readonly runId: RunId;
  readonly start: RunLogStart;
  /** The monotonic clock, and the time of day, in ms. */
  readonly now: () => number;
  readonly wallNow: () => number;
  readonly believed: () => boolean;
  /** Everything below is confirmed. */
  readonly onConfirmed: (lsn: Lsn) => void;
  /** A segment is in the bucket that holds so many bytes of each slot. */
  readonly onUploaded?: (changed: ReadonlyMap<Slot, number>) => void;
}

/** How a log ended. */
export interface LogEnd {
  /** Where it is sealed; undefined: somewhere before what was to be created. */
  readonly seal: Seq | undefined;
  /** By this upload, behind everything that it was to upload. */
  readonly ours: boolean;
}

/** See the head of the file. One per run. */
export class Upload {
  readonly #o: UploadOptions;
  readonly #log: RunLog;
  #tail: LogTail;
  #since: number | undefined;
  #end: LogEnd | undefined;
  readonly #turns: Turns;
  /** Segments that were created. Count. */
  segments = 0;

  constructor(options: UploadOptions) {
    this.#o = options;
    this.#turns = new Turns(options.now);
    this.#log = new RunLog(options.start);
    this.#tail = new LogTail(options.logFolder, options.run, options.start.lsn);
  }

  /** The number that is open, or is next. */
  get seq(): Seq {
    return this.#log.seq;
  }

  get uploaded(): Lsn {
    return this.#log.uploaded;
  }

  get confirmed(): Lsn {
    return this.#log.confirmed;
  }

  /** How the log ended; undefined while it goes on. */
  get end(): LogEnd | undefined {
    return this.#end;
  }

  /**
   * Uploads what is to be uploaded now of what is durable; `wanted`: somebody waits until so much is in the bucket. Returns
   * when to look again at the latest, in ms. Throws OBJECT_DAMAGED and LOG_DAMAGED.
   */
  async step(durable: Lsn, wanted: Lsn): Promise<number> {
    const { now } = this.#o;
    for (;;) {
      if (this.#end !== undefined) return Infinity;
      const bytes = durable - this.uploaded;
      if (bytes === 0) this.#since = undefined;
      else this.#since ??= now();
      const open = { bytes, since: this.#since ?? now(), awaited: wanted > this.uploaded };
      const rule = flushRule(open, now());
      if (rule.do === "look again") return rule.inMs;
      // What comes while this is under way belongs to the next one, and is at most as old as this moment; what no longer fits
      // into this one is as old as it is.
      const since = this.#since;
      this.#since = now();
      await this.#append(durable);
      if (this.uploaded < durable) this.#since = since;
    }
  }

  /** Uploads everything up to `durable`, whoever waits for it, and seals the log. */
  async finish(durable: Lsn): Promise<LogEnd> {
    while (this.#end === undefined && this.uploaded < durable) await this.#append(durable);
    if (this.#end === undefined) {
      const { runId, wallNow } = this.#o;
      const intent = randomBytes(16);
      let sealed: { seq: Seq; bytes: Buffer } | undefined;
      const bytesAt = (seq: Seq): Buffer => {
        if (sealed?.seq !== seq) {
          const toLsn = this.uploaded;
          sealed = { seq, bytes: encodeSeal({ intent, runId, number: seq, toLsn, createdMs: wallNow() }) };
        }
        return sealed.bytes;
      };
      await this.#drive(this.#log.seal(this.#o.now()), bytesAt);
    }
    return this.#end as unknown as LogEnd;
  }

  close(): void {
    this.#tail.close();
  }

  async #append(durable: Lsn): Promise<void> {
    const { logFolder, run, runId, now, wallNow } = this.#o;
    if (this.#tail.lsn !== this.uploaded) {
      // An earlier life of this upload had created the segment, and had cut it elsewhere.
      this.#tail.close();
      this.#tail = new LogTail(logFolder, run, this.uploaded);
    }
    const facts = { runId, seq: this.seq, intent: randomBytes(16), createdMs: wallNow() };
    const segment = await cutSegment(this.#tail, durable, facts, () => this.#turns.breathe());
    if (segment === undefined) {
      const what = `the log of run ${run} has nothing between ${this.uploaded} and ${durable}`;
      throw new FrondError("LOG_DAMAGED", `${what}, which was durable`);
    }
    await this.#drive(this.#log.append(segment.fromLsn, segment.toLsn, now()), () => segment.bytes);
    this.segments += 1;
    this.#o.onUploaded?.(segment.changed);
  }

  async #drive(first: RunLogStep, bytesAt: (seq: Seq) => Buffer): Promise<void> {
    const { now, believed, onConfirmed } = this.#o;
    let step = first;
    for (;;) {
      if (step.do === "rest") {
        onConfirmed(step.confirmed);
        return;
      }
      if (step.do === "ended") {
        this.#end = { seal: step.seal, ours: step.ours };
        return;
      }
      if (step.do === "stop")
        throw new FrondError("OBJECT_DAMAGED", `${this.#o.runId}, number ${step.seq}: ${step.why}`);
      const event = await this.#perform(step, bytesAt);
      step = this.#log.on(event, { now: now(), believed: believed() });
    }
  }

  #perform(
    step: Exclude<RunLogStep, { do: "rest" | "ended" | "stop" }>,
    bytesAt: (seq: Seq) => Buffer,
  ): Promise<RunLogEvent> {
    const { hands } = this.#o;
    switch (step.do) {
      case "create":
        return hands.create(step.seq, bytesAt(step.seq));
      case "read back":
        return hands.readBack(step.seq, bytesAt(step.seq));
      case "pause":
        return hands.pause(step.tries);
      case "read base":
        return hands.base();
    }
  }
}
