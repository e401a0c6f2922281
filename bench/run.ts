// One whole comparison over HTTP: start every target, load them in turns, check them, stop them.
//
// Rule: a target that cannot start, errs under load or miscounts has a reason in the results instead of figures; the
// others go on. Its figures are dropped even when they were taken before the fault showed.

import { chmodSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { prime, verify } from "./counters.ts";
import type { Book } from "./counters.ts";
import type { Driven, Workload } from "./driver.ts";
import { measure } from "./method.ts";
import type { Outcome, Spread } from "./method.ts";
import type { Running, Target } from "./targets.ts";

/** Pause between slices, so that what the last target still writes does not fall into the next slice. In ms. */
const SETTLE_MS = 200;

/** How much is measured. */
export interface Settings {
  /** Length of a slice and of the warm-up right before it, in whole seconds. 0 = no warm-up. */
  readonly seconds: number;
  readonly warmUpSeconds: number;
  /** Pairs that must count, and pairs after which a target is given up. */
  readonly pairs: number;
  readonly tries: number;
  readonly workloads: readonly Workload[];
}

/** What a comparison needs. */
export interface Comparison {
  readonly targets: Readonly<Record<string, Target>>;
  /** Name of the target that the others are divided by; it keeps no state and is not checked. */
  readonly baseline: string;
  readonly settings: Settings;
  /** Cells that the load addresses. Count. */
  readonly cells: number;
  /** Where targets keep their data; removed by the caller. */
  readonly directory: string;
  /** Loads one target for whole seconds; the seed changes from slice to slice. */
  readonly drive: (port: number, workload: Workload, seconds: number, seed: number) => Promise<Driven>;
  readonly progress: (line: string) => void;
}

/** Outcomes of one workload by target, and its baseline in absolute figures. */
export interface WorkloadResult {
  readonly baseline: { readonly rate: Spread; readonly p50: Spread; readonly p99: Spread };
  readonly outcomes: Record<string, Outcome>;
}

/** What a comparison gave. */
export interface ComparisonResult {
  readonly workloads: Partial<Record<Workload, WorkloadResult>>;
  /** Reason per target that has no figures. */
  readonly failures: Record<string, string>;
  readonly versions: Record<string, string>;
}

interface Stand {
  readonly running: Running;
  readonly book: Book;
}

/** Runs a comparison. Throws only if the baseline itself fails. */
export async function compare(comparison: Comparison): Promise<ComparisonResult> {
  const result: ComparisonResult = { workloads: {}, failures: {}, versions: {} };
  const stands = new Map<string, Stand>();
  // PostgreSQL runs as a user of its own and must be able to enter.
  chmodSync(comparison.directory, 0o755);
  try {
    for (const name of Object.keys(comparison.targets)) await startTarget(comparison, name, stands, result);
    for (const workload of comparison.settings.workloads) await runWorkload(comparison, workload, stands, result);
    for (const [name, { running, book }] of stands) {
      if (name === comparison.baseline || name in result.failures) continue;
      await attempt(result, name, () => verify(running.port, book, comparison.cells));
      comparison.progress(
        `${name}: ${result.failures[name] ?? `every increment is there (${book.acknowledged} or more)`}`,
      );
    }
  } finally {
    for (const { running } of stands.values()) await running.stop();
  }
  for (const workload of Object.values(result.workloads)) {
    for (const name of Object.keys(result.failures)) delete workload.outcomes[name];
  }
  return result;
}

async function startTarget(
  comparison: Comparison,
  name: string,
  stands: Map<string, Stand>,
  result: ComparisonResult,
): Promise<void> {
  const { targets, baseline, directory, progress } = comparison;
  const own = join(directory, name);
  mkdirSync(own);
  chmodSync(own, 0o755);
  await attempt(result, name, async () => {
    const running = await (targets[name] as Target).start(own);
    const stand = { running, book: { acknowledged: 0, sent: 0 } };
    stands.set(name, stand);
    Object.assign(result.versions, running.versions);
    if (name !== baseline) await prime(running.port, stand.book, comparison.cells);
  });
  progress(`${name}: ${result.failures[name] ?? "serves"}`);
  if (name === baseline && name in result.failures) throw new Error(`the baseline failed: ${result.failures[name]}`);
}

async function runWorkload(
  comparison: Comparison,
  workload: Workload,
  stands: Map<string, Stand>,
  result: ComparisonResult,
): Promise<void> {
  const { settings, baseline, progress } = comparison;
  let seed = 1;
  const load = async (name: string, seconds: number): Promise<Driven> => {
    const { running, book } = stands.get(name) as Stand;
    const driven = await comparison.drive(running.port, workload, seconds, seed++);
    book.acknowledged += driven.acknowledged;
    book.sent += driven.sent;
    return driven;
  };
  const targets = [...stands.keys()].filter((name) => name !== baseline && !(name in result.failures));
  const measured = await measure({
    baseline,
    targets,
    wanted: settings.pairs,
    tries: settings.tries,
    slice: async (name) => {
      await sleep(SETTLE_MS);
      if (settings.warmUpSeconds > 0) await load(name, settings.warmUpSeconds);
      const driven = await load(name, settings.seconds);
      progress(
        `${workload.padEnd(10)}${name.padEnd(15)}${Math.round(driven.rate).toString().padStart(7)} req/s` +
          `   p50 ${driven.p50.toFixed(2)} ms   p99 ${driven.p99.toFixed(2)} ms`,
      );
      return { rate: driven.rate, p50: driven.p50, p99: driven.p99 };
    },
  });
  Object.assign(result.failures, Object.fromEntries(measured.failures));
  result.workloads[workload] = { baseline: measured.baseline, outcomes: Object.fromEntries(measured.outcomes) };
}

/** Notes the reason instead of throwing. */
async function attempt(result: ComparisonResult, name: string, work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    result.failures[name] = error instanceof Error ? error.message : String(error);
  }
}
