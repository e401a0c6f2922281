// `frond cells`, `frond status`, `frond version`: what is there.

import type { Command } from "commander";
import { FrondError } from "../errors.ts";
import { CELLS_PER_PAGE } from "../limits.ts";
import type { CellInfo, CellLoad, FilesStatus, NodeVersion } from "../server/operator/nodeControl.ts";
import type { BucketStatus } from "../server/persist/keeper.ts";
import { VERSION } from "../version.ts";
import { DATA_HELP, findRunningNode, withNode } from "./operator.ts";
import { dataOption, jsonOption } from "./options.ts";
import { print, printJson, showBytes, showTime, showValue, tableLines, widthsOf } from "./output.ts";

interface Options {
  readonly data?: string;
  readonly json?: true;
  readonly busiest?: number;
}

export function addInspection(program: Command): void {
  program
    .command("cells")
    .description("list the cells: address, size, position in the history, last change, whether open")
    .addOption(dataOption("data directory"))
    .option("--busiest <count>", "instead: the open cells that took most of the node's time", countOption)
    .addOption(jsonOption())
    .addHelpText(
      "after",
      `\n${DATA_HELP}\n\nExamples:\n  frond cells\n  frond cells --busiest 10\n  frond cells --json | jq -r '.[].address'`,
    )
    .action((options: Options) =>
      withNode(options, async (view) => {
        const { busiest, json } = options;
        if (busiest !== undefined) return listBusiest(await view.busiest(busiest), json);
        return listCells((after) => view.cells(after, CELLS_PER_PAGE), json);
      }),
    );
  program
    .command("status")
    .description("tell how the node is: cells, log, durability, what recovery reported")
    .addOption(dataOption("data directory"))
    .addOption(jsonOption())
    .addHelpText("after", `\n${DATA_HELP}`)
    .action((options: Options) =>
      withNode(options, async (view) => {
        const [version, status] = [await view.version(), await view.status()];
        if (options.json) return printJson({ ...version, ...status });
        const lines: [string, string][] = [
          ["ready", status.ready ? "yes" : "no"],
          ...describeNode(version),
          ["durability", status.durability],
          ["cells", String(status.cells)],
          ["open", `${status.openCells}, names that were only asked for included`],
          ...(status.failedAlarms === 0 ? [] : [failedAlarms(status.failedAlarms)]),
          ["log", `${showBytes(status.logBytes)} in ${status.logFiles} files`],
          ...(status.bucket === undefined ? [] : describeBucket(status.bucket)),
          ...(status.files === undefined ? [] : [describeFiles(status.files)]),
          ...status.reports.map((report): [string, string] => ["report", report]),
        ];
        return print(
          tableLines(
            lines.map((line) => line.map(showValue)),
            [12],
          ),
        );
      }),
    );
  program
    .command("version")
    .description("tell the versions of frond and Node, and which node runs")
    .addOption(dataOption("data directory"))
    .addOption(jsonOption())
    .addHelpText("after", `\n${DATA_HELP}`)
    .action(async ({ data, json }: Options) => {
      const view = await findRunningNode(data);
      const running = view && (await view.version());
      await view?.close();
      if (json) return printJson({ version: VERSION, node: process.version, running: running ?? null });
      const lines = [
        ["frond", VERSION],
        ["Node", process.version],
        ...(running ? describeNode(running) : [["running", "no"]]),
      ];
      return print(
        tableLines(
          lines.map((line) => line.map(showValue)),
          [12],
        ),
      );
    });
}

function failedAlarms(count: number): [string, string] {
  return ["alarms", `${count} failed; see: frond alarms --failed`];
}

/** The last look for files that nobody names. */
function describeFiles({ atMs, old, removed, bytes, refused }: FilesStatus): [string, string] {
  const when = showTime(atMs);
  if (refused !== undefined) return ["files", `none was removed at ${when}: ${refused}`];
  return ["files", `${removed} of ${old} old ones, which nobody names, were removed at ${when}: ${showBytes(bytes)}`];
}

/** What is in the bucket, what that took, and what would be lost with what. */
function describeBucket(bucket: BucketStatus): [string, string][] {
  const { requests, segments, bytesUp, bytesDown, waitingBytes, behindMs, reachable, url, inside, dollarsPerDay } =
    bucket;
  const waits =
    waitingBytes === 0
      ? "everything is there"
      : `${showBytes(waitingBytes)} of the log are not there yet, for ${showSeconds(behindMs)}`;
  const counted = Object.entries(requests).map(([what, count]) => `${count} ${what}`);
  const cost =
    dollarsPerDay === undefined ? "" : `: $${dollarsPerDay.toFixed(2)} a day at list prices of S3, if it goes on so`;
  return [
    ["bucket", `${url}, ${reachable ? waits : "cannot be reached: the node refuses requests"}`],
    ["", `${segments} segments, ${showBytes(bytesUp)} up, ${showBytes(bytesDown)} down`],
    ["", `${counted.join(", ")}${cost}`],
    ["at risk", "a kill or a loss of power: nothing at disk and bucket, at memory what is not on the disk yet"],
    ["", inside ? WITH_THE_DISK : `the loss of this disk: ${lossOf(bucket)}`],
  ];
}

const WITH_THE_DISK =
  "the loss of this disk: everything, the bucket is in the data directory; --bucket names one elsewhere";

/** The bound that was measured: what a bucket lags behind in an hour without trouble is a flush and an upload. */
function lossOf({ behindMs, mostBehindMs }: BucketStatus): string {
  const now = behindMs === 0 ? "nothing now" : `the last ${showSeconds(behindMs)} now`;
  return `nothing at bucket; at disk and memory ${now}, at most ${showSeconds(mostBehindMs)} within the last hour`;
}

/** `1.3 s`. */
function showSeconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`;
}

function describeNode(version: NodeVersion): [string, string][] {
  const here = version.pid === process.pid;
  const node = here ? "no; opened for this command" : `frond ${version.version}, process ${version.pid}`;
  return [
    ["running", node],
    ...(version.listen === undefined ? [] : ([["listen", version.listen]] as [string, string][])),
    ["data", version.dataDirectory],
    ["run", `${version.run}, since ${showTime(version.startedMs)}`],
  ];
}

const HEADS = ["ADDRESS", "SIZE", "POSITION", "CHANGED", "OPEN"];
const RIGHT: ReadonlySet<number> = new Set([1, 2]);

/** Prints page after page, so that memory and the first line do not depend on the number of cells. */
async function listCells(
  fetchPage: (after: string | undefined) => Promise<CellInfo[]>,
  json: true | undefined,
): Promise<void> {
  let page = await fetchPage(undefined);
  if (!json && page.length === 0) return print("there are no cells yet\n");
  let widths: number[] | undefined;
  let separator = "[";
  while (page.length > 0) {
    if (json) {
      await print(separator + page.map((cell) => JSON.stringify(cell)).join(",\n"));
      separator = ",\n";
    } else {
      const rows = page.map(rowOf);
      const heads = widths === undefined ? [HEADS] : [];
      widths ??= widthsOf(HEADS, rows);
      await print(tableLines([...heads, ...rows], widths, RIGHT));
    }
    page = await fetchPage(page.at(-1)?.address);
  }
  if (json) await print(separator === "[" ? "[]\n" : "]\n");
}

function countOption(text: string): number {
  const count = Number(text);
  if (Number.isInteger(count) && count > 0) return count;
  throw new FrondError("BAD_OPTION", `--busiest takes a number of cells, not ${JSON.stringify(text)}`);
}

const LOAD_HEADS = ["ADDRESS", "BUSY", "EVENTS", "RUNNING", "WAITING"];
const LOAD_RIGHT: ReadonlySet<number> = new Set([1, 2, 3, 4]);

function listBusiest(loads: readonly CellLoad[], json: true | undefined): Promise<void> {
  if (json) return printJson(loads);
  if (loads.length === 0) return print("no cell is open\n");
  const rows = loads.map(({ address, busyMs, calls, running, waiting }) => {
    return [showValue(address), `${busyMs.toFixed(1)} ms`, String(calls), String(running), String(waiting)];
  });
  return print(tableLines([LOAD_HEADS, ...rows], widthsOf(LOAD_HEADS, rows), LOAD_RIGHT));
}

function rowOf(cell: CellInfo): string[] {
  const position = `${cell.epoch}-${cell.txid}`;
  return [showValue(cell.address), showBytes(cell.bytes), position, showTime(cell.changedMs), cell.open ? "yes" : ""];
}
