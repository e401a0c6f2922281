// A bucket with faults: late and lost answers, effects that come after their failure, refusals, absence.
//
// Rule: what it does to a call is what a network and a store may do, and no more. A lost reply: the effect is there, the
// caller hears of a failure. A late arrival: the caller hears of a failure, the effect comes later, over whatever stands
// there by then. A refusal: no effect. Chance comes from a seed and time from a clock, so that a run can be repeated; what
// a hook says stands above chance.

import { systemClock, type Clock } from "../clock.ts";
import { FrondError } from "../errors.ts";
import type { Bucket, BucketCall, ByteRange, Content, CreateOutcome, Fetched, Listed } from "./bucket.ts";
import { limited } from "./limited.ts";

/** What may happen to one call. `silent`: no answer until its deadline, and no effect. */
export type Fault = "lost" | "late" | "busy" | "denied" | "silent";

/** A call, as hooks see it. */
export interface FaultyCall {
  readonly operation: "create" | "get" | "put" | "list" | "delete";
  /** The key; of a listing the prefix, of a deletion the first key. */
  readonly key: string;
  /** Number of the call in this bucket, from 1. */
  readonly number: number;
}

/** How often what happens. Shares of all calls, from 0 to 1; times in ms, from and to. */
export interface FaultPlan {
  readonly latencyMs?: readonly [number, number];
  readonly lost?: number;
  readonly late?: number;
  /** How much later than its failure the effect of a late call comes. Default 50 to 500. */
  readonly lateMs?: readonly [number, number];
  /** 429 and 5xx. */
  readonly busy?: number;
}

/** A bucket whose faults are in the hands of a test. */
export interface FaultyBucket extends Bucket {
  /** What chance does from now on; default: nothing. */
  plan: FaultPlan;
  /** `true`: every call is refused a connection. `silent`: none is answered. */
  away: boolean | "silent";
  /** Asks `hook` at every call: its answer is what happens; undefined leaves it to the others. Returns what takes it back. */
  fail(hook: (call: FaultyCall) => Fault | undefined): () => void;
  /** Effects that are still to come. Count. */
  readonly pending: number;
  /** Lets all effects that are still to come happen now. */
  settle(): Promise<void>;
  /** What happened so far. Counts. */
  readonly faults: Readonly<Record<Fault | "away", number>>;
}

/** Wraps `inner`; closing it closes `inner`, and what was still to come never comes. */
export function faultyBucket(inner: Bucket, options: { seed?: number; clock?: Clock } = {}): FaultyBucket {
  return new Faulty(inner, options.seed ?? 1, options.clock ?? systemClock);
}

class Faulty implements FaultyBucket {
  readonly url: string;
  plan: FaultPlan = {};
  away: boolean | "silent" = false;
  readonly faults = { lost: 0, late: 0, busy: 0, denied: 0, silent: 0, away: 0 };
  readonly #inner: Bucket;
  readonly #clock: Clock;
  readonly #hooks = new Set<(call: FaultyCall) => Fault | undefined>();
  readonly #late = new Set<{ readonly cancel: () => void; readonly effect: () => Promise<unknown> }>();
  readonly #closing = new AbortController();
  #chance: number;
  #calls = 0;

  constructor(inner: Bucket, seed: number, clock: Clock) {
    this.url = inner.url;
    this.#inner = inner;
    this.#clock = clock;
    this.#chance = seed >>> 0;
  }

  get pending(): number {
    return this.#late.size;
  }

  fail(hook: (call: FaultyCall) => Fault | undefined): () => void {
    this.#hooks.add(hook);
    return () => void this.#hooks.delete(hook);
  }

  async settle(): Promise<void> {
    const late = [...this.#late];
    this.#late.clear();
    for (const { cancel, effect } of late) {
      cancel();
      await effect().catch(() => undefined);
    }
  }

  async create(key: string, bytes: Uint8Array, call?: BucketCall): Promise<CreateOutcome> {
    // Copied, for the caller may use his buffer again before a late effect comes.
    const kept = Buffer.from(bytes);
    try {
      return await this.#run("create", key, call, (inner) => this.#inner.create(key, kept, inner));
    } catch (error) {
      // Only these two say that nothing has left.
      if (call?.signal?.aborted === true || !(error instanceof Unanswered)) throw error;
      return "unknown";
    }
  }

  get(key: string, range?: ByteRange, call?: BucketCall): Promise<Fetched | undefined> {
    return this.#run("get", key, call, (inner) => this.#inner.get(key, range, inner));
  }

  async put(key: string, content: Content, call?: BucketCall): Promise<void> {
    const kept = content instanceof Uint8Array ? Buffer.from(content) : content;
    await this.#run("put", key, call, (inner) => this.#inner.put(key, kept, inner));
  }

  list(prefix: string, after?: string, limit?: number, call?: BucketCall): Promise<Listed[]> {
    return this.#run("list", prefix, call, (inner) => this.#inner.list(prefix, after, limit, inner));
  }

  async delete(keys: readonly string[], call?: BucketCall): Promise<void> {
    await this.#run("delete", keys[0] ?? "", call, (inner) => this.#inner.delete(keys, inner));
  }

  async close(): Promise<void> {
    for (const { cancel } of this.#late) cancel();
    this.#late.clear();
    this.#closing.abort(new FrondError("BUCKET_FAILED", `the bucket ${this.url} was closed`));
    await this.#inner.close();
  }

  requests(): number | undefined {
    return this.#inner.requests?.();
  }

  async #run<T>(
    operation: FaultyCall["operation"],
    key: string,
    call: BucketCall | undefined,
    effect: (call: BucketCall) => Promise<T>,
  ): Promise<T> {
    const what = `${operation} of ${key} in ${this.url}`;
    const fault = this.#faultOf({ operation, key, number: ++this.#calls });
    let sent = false;
    const work = async (signal: AbortSignal): Promise<T> => {
      await this.#wait(this.plan.latencyMs, signal);
      if (this.away !== false) {
        this.faults.away++;
        if (this.away === true) throw new FrondError("BUCKET_FAILED", `${what} failed: connection refused`);
      }
      if (fault !== undefined) this.faults[fault]++;
      if (fault === "denied") throw new FrondError("BUCKET_DENIED", `${what} is not allowed: 403`);
      sent = true;
      if (this.away === "silent" || fault === "silent") return new Promise<never>(() => undefined);
      if (fault === "busy") throw new Unanswered(`${what} failed: 503 Slow Down`);
      if (fault === "late") {
        this.#later(() => effect({}));
        throw new Unanswered(`${what} failed: the connection broke`);
      }
      const result = await effect({ signal, deadlineMs: call?.deadlineMs });
      if (fault === "lost") throw new Unanswered(`${what} failed: the connection broke`);
      return result;
    };
    try {
      return await limited(what, call, this.#closing.signal, work, this.#clock);
    } catch (error) {
      if (sent && error instanceof FrondError && error.code === "BUCKET_FAILED") throw new Unanswered(error.message);
      throw error;
    }
  }

  #faultOf(call: FaultyCall): Fault | undefined {
    for (const hook of this.#hooks) {
      const fault = hook(call);
      if (fault !== undefined) return fault;
    }
    const { lost = 0, late = 0, busy = 0 } = this.plan;
    const drawn = this.#random();
    if (drawn < lost) return "lost";
    if (drawn < lost + late) return "late";
    return drawn < lost + late + busy ? "busy" : undefined;
  }

  #later(effect: () => Promise<unknown>): void {
    const [from, to] = this.plan.lateMs ?? [50, 500];
    const run = (): void => {
      this.#late.delete(entry);
      effect().catch(() => undefined);
    };
    const entry = { cancel: this.#clock.after(from + this.#random() * (to - from), run), effect };
    this.#late.add(entry);
  }

  async #wait(range: readonly [number, number] | undefined, signal: AbortSignal): Promise<void> {
    if (range === undefined) return;
    const ms = range[0] + this.#random() * (range[1] - range[0]);
    await new Promise<void>((resolve) => {
      const cancel = this.#clock.after(ms, resolve);
      signal.addEventListener("abort", cancel, { once: true });
    });
  }

  /** From 0 up to but not including 1; a Weyl sequence through a mixer: enough to choose by. */
  #random(): number {
    this.#chance = (this.#chance + 0x9e3779b9) >>> 0;
    let word = this.#chance;
    word = Math.imul(word ^ (word >>> 16), 0x21f0aaad);
    word = Math.imul(word ^ (word >>> 15), 0x735a2d97);
    return ((word ^ (word >>> 15)) >>> 0) / 2 ** 32;
  }
}

/** A failure after which nobody can say whether the request had its effect. */
class Unanswered extends FrondError {
  constructor(message: string) {
    super("BUCKET_FAILED", message);
  }
}
