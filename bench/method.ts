// The method: interleaved slices of a baseline A and of the targets, A B A C A B A ..., and what may be counted of them.
//
// Rule: a pair is one target slice with the baseline slices right before and right after it. It counts only if both
// baselines agree, because a machine that changed its speed between them says nothing about the target. What is reported
// is the ratio to the mean of the two, as median and spread of the counted pairs; a target that did not get enough pairs
// within its tries is reported with what it had, and flagged.
// Why: on shared machines half of all slices can run at half speed, so a single ratio, and any absolute figure, is noise.
// Rejected: one long run per target (drift of the machine becomes a difference between targets), the mean (one bad slice
// moves it), and throwing away slow target slices (that would select the answer).

/** What one slice of load measured. */
export interface Slice {
  /** Answered requests per second. */
  readonly rate: number;
  /** Latency that half of the requests stayed below, in ms. */
  readonly p50: number;
  /** Latency that 99 of 100 requests stayed below, in ms. */
  readonly p99: number;
}

/** A target slice between its two baseline slices. */
export interface Pair {
  readonly before: Slice;
  readonly target: Slice;
  readonly after: Slice;
}

/** Median, smallest and largest of some values. */
export interface Spread {
  readonly median: number;
  readonly min: number;
  readonly max: number;
}

/** What is reported about one target. */
export interface Outcome {
  /** Ratio of the target's rate to its baselines'. */
  readonly ratio: Spread;
  /** Requests per second. */
  readonly rate: Spread;
  /** Latencies in ms: the spread over slices of each slice's percentile. */
  readonly p50: Spread;
  readonly p99: Spread;
  /** Pairs that count, and pairs that were run. */
  readonly counted: number;
  readonly tried: number;
  /** Something that the reader must know: too few pairs counted, or none, in which case all are shown. */
  readonly flag?: string;
}

/** How far two baseline slices may be apart, as a part of their mean. */
export const TOLERANCE = 0.1;

/** The middle value; of an even count the mean of the two in the middle. Throws on an empty list. */
export function median(values: readonly number[]): number {
  if (values.length === 0) throw new Error("the median of nothing");
  const sorted = values.toSorted((a, b) => a - b);
  const upper = sorted[sorted.length >> 1] as number;
  return sorted.length % 2 === 1 ? upper : ((sorted[(sorted.length >> 1) - 1] as number) + upper) / 2;
}

/** Median and extremes. Throws on an empty list. */
export function spread(values: readonly number[]): Spread {
  return { median: median(values), min: Math.min(...values), max: Math.max(...values) };
}

/** True if both baselines ran at the same speed, within the tolerance. */
export function counts(pair: Pair, tolerance = TOLERANCE): boolean {
  const { before, after } = pair;
  return Math.abs(before.rate - after.rate) <= (tolerance * (before.rate + after.rate)) / 2;
}

/** The target's rate as a part of the mean rate of its two baselines. */
export function ratio(pair: Pair): number {
  return pair.target.rate / ((pair.before.rate + pair.after.rate) / 2);
}

/** Reports pairs of one target, of which `wanted` should count. Throws if there is no pair at all. */
export function summarize(pairs: readonly Pair[], wanted: number): Outcome {
  const counted = pairs.filter((pair) => counts(pair));
  const shown = counted.length > 0 ? counted : pairs;
  const column = (pick: (pair: Pair) => number): Spread => spread(shown.map(pick));
  const outcome = {
    ratio: column(ratio),
    rate: column((pair) => pair.target.rate),
    p50: column((pair) => pair.target.p50),
    p99: column((pair) => pair.target.p99),
    counted: counted.length,
    tried: pairs.length,
  };
  if (counted.length >= wanted) return outcome;
  const flag =
    counted.length === 0
      ? "no pair counted: the machine was too noisy, all pairs are shown"
      : `only ${counted.length} of ${wanted} pairs counted`;
  return { ...outcome, flag };
}

/** A plan of slices: who runs, how one slice is run, when it is enough. */
export interface Plan {
  readonly baseline: string;
  readonly targets: readonly string[];
  /** Runs one slice against the named target. A throw fails that target, not the run; of the baseline, the run. */
  readonly slice: (name: string) => Promise<Slice>;
  /** Pairs that must count per target, and the pairs after which it is given up. */
  readonly wanted: number;
  readonly tries: number;
}

/** What a plan gave: an outcome per target that ran, the reason per target that failed, and the baseline itself. */
export interface Measured {
  readonly outcomes: Map<string, Outcome>;
  readonly failures: Map<string, string>;
  readonly baseline: { readonly rate: Spread; readonly p50: Spread; readonly p99: Spread };
}

/**
 * Runs a plan. Targets take turns, so that each is measured over the whole time of the run; one that has its pairs, used
 * up its tries or failed drops out. Neighbouring pairs share the baseline slice between them.
 */
export async function measure(plan: Plan): Promise<Measured> {
  const pairs = new Map<string, Pair[]>(plan.targets.map((name) => [name, []]));
  const failures = new Map<string, string>();
  const baselines = [await plan.slice(plan.baseline)];
  const open = (name: string): boolean => {
    const had = pairs.get(name) as Pair[];
    return !failures.has(name) && had.length < plan.tries && had.filter((p) => counts(p)).length < plan.wanted;
  };
  for (let turn = plan.targets.filter(open); turn.length > 0; turn = turn.filter(open)) {
    for (const name of turn) {
      const before = baselines.at(-1) as Slice;
      try {
        const target = await plan.slice(name);
        const after = await plan.slice(plan.baseline);
        baselines.push(after);
        (pairs.get(name) as Pair[]).push({ before, target, after });
      } catch (error) {
        failures.set(name, error instanceof Error ? error.message : String(error));
        baselines.push(await plan.slice(plan.baseline));
      }
    }
  }
  const outcomes = new Map<string, Outcome>();
  for (const [name, had] of pairs) if (had.length > 0) outcomes.set(name, summarize(had, plan.wanted));
  const column = (pick: (slice: Slice) => number): Spread => spread(baselines.map(pick));
  return {
    outcomes,
    failures,
    baseline: { rate: column((s) => s.rate), p50: column((s) => s.p50), p99: column((s) => s.p99) },
  };
}
