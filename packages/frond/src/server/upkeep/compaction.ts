// Packing, carried out: core/compaction with a bucket, beside everything else that the bucket thread does.
//
// Rules.
// - One pack at a time, of whichever run: what is held in memory is known. The thread is given back every few milliseconds, so
//   neither a renewal of the lease nor an upload waits for it.
// - Only what is in the bucket for ever is packed: segments below the number that is open or next, or below the seal.
// - A pack that fails is tried again, after longer and longer pauses; nothing but the number of objects depends on it.
// - Packs that a larger one holds are kept for a while for those who are reading them, then they go. What a stop leaves
//   behind is found by the next who lists the run.

import type { Bucket } from "../../bucket/bucket.ts";
import { createUntilKnown } from "../../bucket/createUntilKnown.ts";
import { logKey, packKey } from "../../bucket/objectKeys.ts";
import { nextPack, PackRule, type RunParts } from "../../core/compaction.ts";
import { PACK_CREATE_MS, PACK_GRACE_MS, PACK_LOOK_MS, PACK_RETRY_MAX_MS, PACK_RETRY_MS } from "../../limits.ts";
import { Turns } from "../../log/turns.ts";
import { type ListedPack, listPacks, listSegments, type Part, type SeqRange, superseded } from "../../log/cover.ts";
import { makePack } from "../../log/pack.ts";
import type { RunId, Seq } from "../../types.ts";
import { monotonicMs } from "../monotonic.ts";

/** What packing works with. */
export interface CompactionOptions {
  readonly bucket: Bucket;
  /** Where the log of a run that is over is sealed. */
  readonly sealOf: (run: RunId) => Promise<Seq>;
  /** The packs of a run are others now. */
  readonly changed: (run: RunId) => void;
  /** Hears of what failed, and is tried again. */
  readonly failed: (what: string, error: unknown) => void;
  readonly sleep: (ms: number, signal?: AbortSignal) => Promise<void>;
  /** Largest footer of a pack, in bytes before compression. Default MAX_PACK_FOOTER_BYTES. */
  readonly footerBytes?: number;
  /** Monotonic, in ms; another clock in tests. */
  readonly now?: () => number;
}

/** A run that is looked after. */
interface Looked {
  readonly run: RunId;
  /** The number that is open or next; undefined: the run is over. */
  readonly next: (() => Seq) | undefined;
  readonly rule: PackRule;
  readonly refused: Refused[];
  failures: number;
  /** Not before this, after a failure. */
  after: number;
}

/** A range that did not fit into one object. */
interface Refused extends SeqRange {
  /** Out of packs: then nothing else of what is in it is tried either. */
  readonly merged: boolean;
}

/** See the head of the file. One per bucket thread. */
export class Compaction {
  readonly #o: CompactionOptions;
  readonly #now: () => number;
  readonly #ending = new AbortController();
  readonly #runs = new Map<RunId, Looked>();
  readonly #leaving = new Map<string, { readonly run: RunId; readonly atMs: number }>();
  readonly #timer: NodeJS.Timeout;
  #work: Promise<void> | undefined;
  readonly #turns = new Turns(monotonicMs);

  constructor(options: CompactionOptions) {
    this.#o = options;
    this.#now = options.now ?? monotonicMs;
    this.#timer = setInterval(() => void this.look(), PACK_LOOK_MS).unref();
  }

  /** A run that goes on: it is packed as it grows. */
  follow(run: RunId, next: () => Seq): void {
    this.#runs.set(run, { ...fresh(run), next });
  }

  /** A run that is over: what is left of it is packed. Its log is sealed. */
  over(run: RunId): void {
    this.#runs.set(run, { ...fresh(run), next: undefined });
  }

  /** Packs what is to be packed now. Resolves when there is no more; never rejects. */
  look(): Promise<void> {
    this.#work ??= this.#all().finally(() => (this.#work = undefined));
    return this.#work;
  }

  /** Runs `work` while nothing is packed: what is under way ends first, and what comes waits. `work` ends when its signal says so. */
  async alone<T>(work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    while (this.#work !== undefined) await this.#work;
    const done = work(this.#ending.signal);
    const over = (): void => (this.#work = undefined);
    this.#work = done.then(over, over);
    return done;
  }

  /** Ends what is under way; nothing of it is half done in the bucket. */
  async stop(): Promise<void> {
    clearInterval(this.#timer);
    this.#ending.abort();
    await this.#work;
  }

  async #all(): Promise<void> {
    const { signal } = this.#ending;
    for (const looked of this.#runs.values()) {
      if (signal.aborted || looked.after > this.#now()) continue;
      try {
        await this.#lookAt(looked);
        looked.failures = 0;
      } catch (error) {
        if (signal.aborted) return;
        looked.after = this.#now() + Math.min(PACK_RETRY_MAX_MS, PACK_RETRY_MS * 2 ** looked.failures);
        looked.failures += 1;
        this.#o.failed(`packing the log of run ${looked.run}`, error);
      }
    }
    await this.#removeOld().catch((error: unknown) => {
      if (!signal.aborted) this.#o.failed("removing packs that are in larger ones", error);
    });
  }

  async #lookAt(looked: Looked): Promise<void> {
    const { run, next, rule } = looked;
    if (next === undefined) {
      await this.#pack(looked, await this.#o.sealOf(run), true);
      // Unless it was named once more meanwhile.
      if (this.#runs.get(run) === looked) this.#runs.delete(run);
      return;
    }
    const end = next();
    const due = rule.look(end, this.#now());
    if (due === "nothing") return;
    const packed = await this.#pack(looked, end, due === "rest");
    rule.packed(due === "rest" ? end : packed);
  }

  /** Makes all packs that are to be made of segments below `end`. Tells up to where segments are packed. */
  async #pack(looked: Looked, end: Seq, rest: boolean): Promise<Seq> {
    const { run, refused } = looked;
    const { bucket } = this.#o;
    const { signal } = this.#ending;
    let packs: readonly ListedPack[] = await listPacks(bucket, run, { signal });
    const behind = (): Seq => Math.max(1, ...packs.map(({ to }) => to)) as Seq;
    let segments = await listSegments(bucket, run, { from: behind(), to: end }, { signal });
    for (;;) {
      packs = this.#withoutOld(run, packs);
      segments = segments.filter(({ from }) => from >= behind());
      const parts: RunParts = { packs, segments, rest };
      const chosen = nextPack(parts, (from, to) => isRefused(refused, from, to));
      if (chosen === undefined) return behind();
      const inputs = chosen.map((part): Part => {
        const kind = segments.includes(part) ? "segment" : "pack";
        const key = kind === "segment" ? logKey(run, part.from) : packKey(run, part.from, part.to);
        return { ...part, kind, key, run };
      });
      const { from } = inputs[0] as Part;
      const { to } = inputs.at(-1) as Part;
      const made = await this.#make(run, inputs, { from, to });
      if (made === undefined) refused.push({ from, to, merged: inputs.every(({ kind }) => kind === "pack") });
      else packs = [...packs, made].sort((a, b) => a.from - b.from);
    }
  }

  /** Makes one pack; undefined: it does not fit into one object. */
  async #make(run: RunId, inputs: readonly Part[], { from, to }: SeqRange): Promise<ListedPack | undefined> {
    const { bucket, sleep, changed, footerBytes } = this.#o;
    const { signal } = this.#ending;
    const key = packKey(run, from, to);
    const bytes = await makePack(bucket, inputs, {
      breathe: () => this.#breathe(),
      signal,
      ...(footerBytes !== undefined && { footerBytes }),
    });
    if (bytes === undefined) return undefined;
    // Whoever else makes it makes the same.
    await createUntilKnown(bucket, key, bytes, { sleep, signal, deadlineMs: PACK_CREATE_MS });
    changed(run);
    return { from, to, bytes: bytes.length };
  }

  /** The packs that are in no larger one; the others leave. */
  #withoutOld(run: RunId, packs: readonly ListedPack[]): ListedPack[] {
    const old = superseded(packs);
    for (const { from, to } of old) {
      const key = packKey(run, from, to);
      if (!this.#leaving.has(key)) this.#leaving.set(key, { run, atMs: this.#now() + PACK_GRACE_MS });
    }
    return packs.filter((pack) => !old.includes(pack));
  }

  async #removeOld(): Promise<void> {
    const due = [...this.#leaving].filter(([, { atMs }]) => atMs <= this.#now());
    if (due.length === 0) return;
    await this.#o.bucket.delete(
      due.map(([key]) => key),
      { signal: this.#ending.signal },
    );
    for (const [key, { run }] of due) {
      this.#leaving.delete(key);
      this.#o.changed(run);
    }
  }

  /** Gives the thread back, when this has had it for long enough. */
  #breathe(): Promise<void> | undefined {
    this.#ending.signal.throwIfAborted();
    return this.#turns.breathe();
  }
}

function isRefused(refused: readonly Refused[], from: Seq, to: Seq): boolean {
  return refused.some((one) => (one.merged ? one.from < to && from < one.to : one.from === from && one.to === to));
}

function fresh(run: RunId): Omit<Looked, "next"> {
  return { run, rule: new PackRule(), refused: [], failures: 0, after: 0 };
}
