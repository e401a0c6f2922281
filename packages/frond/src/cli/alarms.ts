// `frond alarms`: which cells wait for a time, and which of their alarms have failed.

import type { Command } from "commander";
import { CELLS_PER_PAGE } from "../limits.ts";
import type { AlarmDetail, AlarmInfo } from "../server/operator/nodeControl.ts";
import { DATA_HELP, withNode } from "./operator.ts";
import { dataOption, jsonOption } from "./options.ts";
import { print, printJson, showTime, showValue, tableLines, widthsOf } from "./output.ts";

interface Options {
  readonly data?: string;
  readonly json?: true;
  readonly failed?: true;
}

export function addAlarms(program: Command): void {
  program
    .command("alarms")
    .description("list the cells that have alarms or scheduled calls: next time, how many failed")
    .argument("[address]", "show each alarm and scheduled call of this cell")
    .addOption(dataOption("data directory"))
    .option("--failed", "only those that were given up after their last retry")
    .addOption(jsonOption())
    .addHelpText(
      "after",
      `\n${DATA_HELP}\n\nExamples:\n  frond alarms\n  frond alarms --failed\n  frond alarms mailbox/alice`,
    )
    .action((address: string | undefined, options: Options) =>
      withNode(options, async (view) => {
        if (address === undefined) {
          return listAlarms((after) => view.alarms(after, CELLS_PER_PAGE, options.failed === true), options);
        }
        const all = await view.alarmsOf(address);
        return showDetails(options.failed === true ? all.filter((one) => one.failed !== undefined) : all, options);
      }),
    );
}

const HEADS = ["ADDRESS", "DUE", "IN", "FAILED"];
const DETAIL_HEADS = ["ID", "VERB", "DUE", "IN", "TRIES", "CRON", "FAILED"];

/** Prints page after page, so that memory and the first line do not depend on the number of cells. */
async function listAlarms(
  fetchPage: (after: AlarmInfo | undefined) => Promise<AlarmInfo[]>,
  options: Options,
): Promise<void> {
  let page = await fetchPage(undefined);
  if (options.json !== true && page.length === 0) return print(nothing(options));
  let widths: number[] | undefined;
  let separator = "[";
  while (page.length > 0) {
    if (options.json === true) {
      await print(separator + page.map((one) => JSON.stringify(one)).join(",\n"));
      separator = ",\n";
    } else {
      const now = Date.now();
      const rows = page.map(({ address, dueMs, failed }) => [
        showValue(address),
        showTime(dueMs),
        showWait(dueMs, now),
        failed === 0 ? "" : String(failed),
      ]);
      const heads = widths === undefined ? [HEADS] : [];
      widths ??= widthsOf(HEADS, rows);
      await print(tableLines([...heads, ...rows], widths));
    }
    page = await fetchPage(page.at(-1));
  }
  if (options.json === true) await print(separator === "[" ? "[]\n" : "]\n");
}

function showDetails(all: readonly AlarmDetail[], options: Options): Promise<void> {
  if (options.json === true) return printJson(all);
  if (all.length === 0) return print(nothing(options));
  const now = Date.now();
  const rows = all.map((one) => [
    one.id === 0 ? "-" : String(one.id),
    showValue(one.verb),
    showTime(one.dueMs),
    one.failed !== undefined && one.cron === undefined ? "" : showWait(one.dueMs, now),
    String(one.tries),
    one.cron === undefined ? "" : `${one.cron} ${one.zone ?? "UTC"}`,
    one.failed === undefined ? "" : showValue(one.failed),
  ]);
  return print(tableLines([DETAIL_HEADS, ...rows], widthsOf(DETAIL_HEADS, rows)));
}

function nothing({ failed }: Options): string {
  return failed === true ? "no alarm has failed\n" : "there are no alarms\n";
}

const UNITS: readonly [string, number][] = [
  ["d", 86_400_000],
  ["h", 3_600_000],
  ["min", 60_000],
  ["s", 1_000],
];

/** `3 h`, `overdue 2 min`, or `-` where nothing is waited for. */
export function showWait(dueMs: number, now: number): string {
  if (dueMs === 0) return "-";
  const wait = Math.abs(dueMs - now);
  const [unit, ms] = UNITS.find(([, size]) => wait >= 2 * size) ?? (["s", 1_000] as const);
  const amount = `${Math.floor(wait / ms)} ${unit}`;
  return dueMs <= now ? `overdue ${amount}` : amount;
}
