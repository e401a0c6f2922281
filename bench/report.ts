// The results as a file, as tables for people, and beside the goals they are held to.
//
// Rule: every ratio stands with its spread, every table with its conditions, every shortfall as a shortfall. The text
// between the markers of README.md is written by a full run alone, never by hand.

import type { Workload } from "./driver.ts";
import type { Conditions } from "./machine.ts";
import type { Spread } from "./method.ts";
import type { ComparisonResult, Settings } from "./run.ts";
import { BASELINE, TARGETS } from "./targets.ts";

/** A figure taken inside one process, without HTTP. */
export interface Figure {
  readonly title: string;
  readonly unit: string;
  readonly value: Spread;
  readonly runs: number;
}

/** All that one run of the bench found. */
export interface Results extends ComparisonResult {
  readonly name: string;
  readonly conditions: Conditions;
  readonly settings: Settings;
  readonly inProcess: readonly Figure[];
}

/** A goal: what is compared, and with what. */
interface Goal {
  readonly text: string;
  readonly workload: Workload;
  readonly goal: number;
  /** Divisor of frond's ratio: another target's ratio, or none for the baseline itself. */
  readonly rival?: string;
}

const GOALS: readonly Goal[] = [
  { text: "reads, of bare `node:http`", workload: "reads100", goal: 0.55 },
  { text: "`disk` writes, of bare `node:http`", workload: "writes100", goal: 0.32 },
  { text: "90 % reads, of node + PostgreSQL", workload: "reads90", goal: 1, rival: "node-postgres" },
  { text: "`disk` writes, of node + PostgreSQL", workload: "writes100", goal: 2, rival: "node-postgres" },
  { text: "`disk` writes, of workerd", workload: "writes100", goal: 8, rival: "workerd" },
];

/** The target that the goals are about, and the longest p99 it may have, in ms. */
const SUBJECT = "frond-disk";
const GOAL_P99_MS = 15;

const TITLES: Readonly<Record<Workload, string>> = {
  reads90: "90 % reads, 10 % increments",
  reads100: "Reads only",
  writes100: "Increments only",
  zipf90: "90 % reads, few cells asked for often (Zipf)",
};

/** The whole report in Markdown. */
export function report(results: Results): string {
  const parts = [conditionLines(results), goalTable(results)];
  for (const workload of results.settings.workloads) parts.push(workloadTable(results, workload));
  if (results.inProcess.length > 0) parts.push(figureTable(results.inProcess));
  const failures = Object.entries(results.failures);
  if (failures.length > 0)
    parts.push(["Without figures:", "", ...failures.map(([name, why]) => `- ${name}: ${oneLine(why)}`)].join("\n"));
  return parts.join("\n\n");
}

/** The README with the text between its markers replaced, those of a part of it. Throws if it has no markers. */
export function intoReadme(readme: string, text: string, part = "results"): string {
  const [first, last] = [`<!-- ${part}:start -->`, `<!-- ${part}:end -->`];
  const start = readme.indexOf(first);
  const end = readme.indexOf(last);
  if (start === -1 || end < start) throw new Error(`bench/README.md needs the markers ${first} and ${last}`);
  return `${readme.slice(0, start + first.length)}\n\n${text}\n\n${readme.slice(end)}`;
}

function conditionLines({ name, conditions: c, settings }: Results): string {
  const versions = Object.entries(c.versions).map(([what, version]) => `${what} ${version}`);
  return [
    `Run \`${name}\`, ${c.date}, commit ${c.commit}.`,
    `${c.processor}, ${c.cores} cores, ${c.memoryGiB} GiB, Linux ${c.kernel}, ${c.fileSystem}, fdatasync p50 ${c.syncMs.toFixed(2)} ms,`,
    `load average ${c.loadBefore.toFixed(2)} before the run. ${versions.join(", ")}.`,
    `Slices of ${settings.seconds} s after ${settings.warmUpSeconds} s of warm-up; pairs that must count: ${settings.pairs}, of at most ${settings.tries}.`,
  ].join("\n");
}

function goalTable(results: Results): string {
  const rows = GOALS.map(({ text, workload, goal, rival }) => {
    const outcomes = results.workloads[workload]?.outcomes;
    const own = outcomes?.[SUBJECT];
    const other = rival === undefined ? undefined : outcomes?.[rival];
    const measured = own !== undefined && (rival === undefined || other !== undefined);
    const value = measured ? own.ratio.median / (other?.ratio.median ?? 1) : undefined;
    const doubt = own?.flag === undefined && other?.flag === undefined ? "" : ", too few pairs";
    const shown = value === undefined ? "not measured" : value.toFixed(2) + doubt;
    return [text, `at least ${goal}`, shown, verdict(value, value !== undefined && value >= goal)];
  });
  for (const workload of results.settings.workloads) {
    const p99 = results.workloads[workload]?.outcomes[SUBJECT]?.p99.median;
    const text = `p99, ${TITLES[workload].toLowerCase()}`;
    rows.push([
      text,
      `under ${GOAL_P99_MS} ms`,
      p99 === undefined ? "not measured" : `${p99.toFixed(1)} ms`,
      verdict(p99, p99 !== undefined && p99 < GOAL_P99_MS),
    ]);
  }
  return `### Goals (frond at \`disk\`)\n\n${table(["", "goal", "measured", ""], rows)}`;
}

function verdict(value: number | undefined, met: boolean): string {
  if (value === undefined) return "";
  return met ? "met" : "**missed**";
}

function workloadTable(results: Results, workload: Workload): string {
  const result = results.workloads[workload];
  if (result === undefined) return "";
  const { baseline } = result;
  const rows = [
    [
      TARGETS[BASELINE]?.title ?? BASELINE,
      "-",
      "1",
      thousands(baseline.rate),
      baseline.p50.median.toFixed(2),
      baseline.p99.median.toFixed(1),
      "-",
    ],
  ];
  const flags: string[] = [];
  for (const [name, o] of Object.entries(result.outcomes)) {
    const title = TARGETS[name]?.title ?? name;
    const ratio = `${o.ratio.median.toFixed(2)} (${o.ratio.min.toFixed(2)} to ${o.ratio.max.toFixed(2)})`;
    const pairs = `${o.counted} of ${o.tried}`;
    rows.push([
      title,
      TARGETS[name]?.durable ?? "",
      ratio,
      thousands(o.rate),
      o.p50.median.toFixed(2),
      o.p99.median.toFixed(1),
      pairs,
    ]);
    if (o.flag !== undefined) flags.push(`${title}: ${o.flag}.`);
  }
  const head = [
    "",
    "durable how",
    "of bare `node:http` (spread)",
    "req/s (spread)",
    "p50 ms",
    "p99 ms",
    "pairs counted",
  ];
  return [`### ${TITLES[workload]}`, table(head, rows), ...flags].join("\n\n");
}

function figureTable(figures: readonly Figure[]): string {
  const rows = figures.map(({ title, unit, value, runs }) => {
    const show = (n: number): string => (n >= 1000 ? `${(n / 1000).toFixed(1)} k` : n.toFixed(1));
    return [title, `${show(value.median)} ${unit} (${show(value.min)} to ${show(value.max)})`, String(runs)];
  });
  return `### Inside one process, without HTTP\n\n${table(["", "median (spread)", "runs"], rows)}`;
}

function thousands({ median, min, max }: Spread): string {
  const k = (rate: number): string => (rate / 1000).toFixed(1);
  return `${k(median)} k (${k(min)} to ${k(max)})`;
}

function oneLine(text: string): string {
  return text.split("\n").slice(0, 4).join(" ").trim();
}

/** A table of Markdown, its columns aligned. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const all = [head, ...rows];
  const widths = head.map((_, i) => Math.max(3, ...all.map((row) => (row[i] as string).length)));
  const line = (row: readonly string[]): string =>
    `| ${row.map((cell, i) => cell.padEnd(widths[i] as number)).join(" | ")} |`;
  return [line(head), `| ${widths.map((width) => "-".repeat(width)).join(" | ")} |`, ...rows.map(line)].join("\n");
}
