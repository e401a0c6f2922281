// What the kills and the loads found, as tables for people and as sentences about what was not kept.
//
// Rule: a level is judged by its own promise: `bucket` loses nothing, `disk` nothing while the disk is there, `memory` may lose
// either way. Where something may be lost, its count and its age are what is told.

import type { Cost } from "./lossCost.ts";
import { GONE, type Gone, type Killed, LEVELS, type Level } from "./lossKill.ts";
import type { Conditions } from "./machine.ts";
import { table } from "./report.ts";

/** All that one run found. */
export interface LossResults {
  readonly name: string;
  readonly conditions: Conditions;
  readonly kills: readonly Killed[];
  readonly costs: readonly Cost[];
}

/** The kills of one kind taken together. */
export interface LossGroup {
  readonly level: Level;
  readonly gone: Gone;
  readonly kills: number;
  readonly told: number;
  /** In ms, the youngest first. */
  readonly agesMs: readonly number[];
  /** Median of the successor's start, in ms. */
  readonly backMs: number;
}

/** What goes, in the words of a reader. */
export const GONE_TEXTS: Readonly<Record<Gone, string>> = {
  process: "kill -9",
  disk: "kill -9, and the disk is gone",
};

const MAY_LOSE: Readonly<Record<Level, readonly Gone[]>> = { memory: ["process", "disk"], disk: ["disk"], bucket: [] };

/** The kills by level and by what went, those that were made. */
export function groupsOf({ kills }: Pick<LossResults, "kills">): LossGroup[] {
  const groups = GONE.flatMap((gone) => LEVELS.map((level) => ({ level, gone })));
  return groups.flatMap(({ level, gone }) => {
    const own = kills.filter((killed) => killed.level === level && killed.gone === gone);
    if (own.length === 0) return [];
    const agesMs = own.flatMap((killed) => killed.agesMs).sort((a, b) => a - b);
    const told = own.reduce((sum, killed) => sum + killed.told, 0);
    const starts = own.map((killed) => killed.backMs).sort((a, b) => a - b);
    return [{ level, gone, kills: own.length, told, agesMs, backMs: percentile(starts, 0.5) }];
  });
}

/** The value below which `share` of the sorted values lie; 0 when there are none. */
export function percentile(sorted: readonly number[], share: number): number {
  return sorted[Math.floor((sorted.length - 1) * share)] ?? 0;
}

/** Sentences, one for each promise that was not kept. */
export function broken(results: Pick<LossResults, "kills">): string[] {
  return groupsOf(results)
    .filter(({ level, gone, agesMs }) => agesMs.length > 0 && !MAY_LOSE[level].includes(gone))
    .map(({ level, gone, agesMs }) => `\`${level}\` lost ${agesMs.length} writes by ${GONE_TEXTS[gone]}`);
}

/** The whole report in Markdown. */
export function lossReport(results: LossResults): string {
  const { name, conditions: c, kills } = results;
  const head = [
    `Run \`${name}\`, ${c.date}, commit ${c.commit}: ${kills.length} kills.`,
    `${c.processor}, ${c.cores} cores, ${c.fileSystem}, fdatasync p50 ${c.syncMs.toFixed(2)} ms, load average`,
    `${c.loadBefore.toFixed(2)} before the run, node ${c.versions["node"]}; the bucket is a folder on the same disk.`,
  ].join("\n");
  const wrong = broken(results).map((sentence) => `**${sentence}.**`);
  return [head, lossTable(results), costTable(results.costs), ...wrong].join("\n\n");
}

function lossTable(results: LossResults): string {
  const rows = groupsOf(results).map(({ level, gone, kills, told, agesMs, backMs }) => {
    const age = (share: number): string => (agesMs.length === 0 ? "-" : `${percentile(agesMs, share).toFixed(0)} ms`);
    const start = `${(backMs / 1000).toFixed(1)} s`;
    return [
      `\`${level}\``,
      GONE_TEXTS[gone],
      String(kills),
      String(told),
      String(agesMs.length),
      age(0.5),
      age(1),
      start,
    ];
  });
  const head = ["", "what goes", "kills", "writes told", "lost", "age, median", "age, oldest", "serves again after"];
  return `### What is lost\n\n${table(head, rows)}`;
}

function costTable(costs: readonly Cost[]): string {
  const rows = costs.map(({ level, rate, p50, p99, requests, bytesUp, dollarsADay }) => [
    `\`${level}\``,
    rate >= 1000 ? `${(rate / 1000).toFixed(1)} k` : rate.toFixed(0),
    p50.toFixed(2),
    p99.toFixed(1),
    requests.toFixed(2),
    `${(bytesUp / 1e6).toFixed(2)} MB`,
    `$${dollarsADay.toFixed(2)}`,
  ]);
  const head = [
    "",
    "writes/s",
    "p50 ms",
    "p99 ms",
    "requests/s to the bucket",
    "up each second",
    "a day at S3's list price",
  ];
  return `### What it costs\n\nIncrements only, 64 connections, 1,000 cells.\n\n${table(head, rows)}`;
}
