// `frond restore`: a cell as it was, as a file or again as the cell.

import type { Command } from "commander";
import { randomUUID } from "node:crypto";
import { rm } from "node:fs/promises";
import path from "node:path";
import { parseAddress } from "../address.ts";
import type { OperatorView } from "../server/operator/controlClient.ts";
import type { Moment, Restored, RestorePreview } from "../server/operator/nodeControl.ts";
import { parseMoment, showExactTime } from "./moments.ts";
import { DATA_HELP, withNode } from "./operator.ts";
import { checked, dataOption, jsonOption } from "./options.ts";
import { print, printJson, showBytes, showValue, tableLines, widthsOf } from "./output.ts";
import { checkPlace, place, refuseOld } from "./placing.ts";
import { ProgressLine } from "./progress.ts";

interface Options {
  readonly data?: string;
  readonly json?: true;
  readonly at: Moment;
  readonly to?: string;
  readonly force?: true;
  readonly dryRun?: true;
}

const RESTORE_HELP = `
MOMENT is a time (2026-11-23T06:15:00Z, 2026-11-23, or how long ago: -90s, -30min, -2h, -7d) or a position, as frond history shows
them. The last commit up to it is what is restored; a cell that was deleted since comes back.

Without --to the cell itself gets that content: what runs in it ends with ABORTED, and its alarms are those of then. What it holds
now can be restored in turn; the position to go back to is told. With --to nothing changes but the file.

${DATA_HELP}

Examples:
  frond restore mailbox/alice --at -2h --dry-run
  frond restore mailbox/alice --at 12-3456 --to alice-then.db
  frond restore mailbox/alice --at 2026-11-23T06:15:00Z`;

export function addRestore(program: Command): void {
  program
    .command("restore")
    .description("bring a cell back as it was: into a file, or as the cell's content")
    .argument("<address>", "KIND/NAME of the cell, deleted or not; a / in a name is written %2f")
    .requiredOption("--at <moment>", "which state (see below)", checked(parseMoment))
    .option("--to <file>", "write it as a SQLite file and leave the cell alone")
    .option("--force", "replace the file if it exists")
    .option("--dry-run", "only tell what it would be: position, time, size, and rows of each table then and now")
    .addOption(dataOption("data directory"))
    .addOption(jsonOption())
    .addHelpText("after", RESTORE_HELP)
    .action(async (address: string, options: Options) => {
      parseAddress(address);
      const line = new ProgressLine(options.json);
      line.show(`reading ${showValue(address)} out of the bucket`);
      try {
        if (options.dryRun) return await preview(address, options, line);
        if (options.to !== undefined) return await intoFile(address, path.resolve(options.to), options, line);
        return await intoCell(address, options, line);
      } finally {
        line.end();
      }
    });
}

/** Commander's name for each option is a type; the node takes where to look alone. */
function ask<T>({ data, json }: Options, work: (view: OperatorView) => Promise<T>): Promise<T> {
  return withNode({ ...(data !== undefined && { data }), ...(json && { json }) }, work);
}

async function preview(address: string, options: Options, line: ProgressLine): Promise<void> {
  const found = await ask(options, (view) => view.previewRestore(address, options.at));
  line.end();
  if (options.json) return printJson({ address, ...found });
  await print(`${showValue(address)} would be as ${describe(found)}\n`);
  if (found.tables.length > 0) await print(`\n${tableOf(found)}`);
}

async function intoFile(address: string, file: string, options: Options, line: ProgressLine): Promise<void> {
  checkPlace(file);
  refuseOld(file, options.force === true);
  const temporary = `${file}.${randomUUID().slice(0, 8)}.tmp`;
  try {
    const found = await ask(options, (view) => view.restoreTo(address, options.at, temporary, line.bytes));
    await place(temporary, file, options.force === true);
    line.end();
    if (options.json) return await printJson({ address, file, ...found });
    await print(`${file} holds ${showValue(address)} as ${describe(found)}\n`);
  } finally {
    await rm(temporary, { force: true });
  }
}

async function intoCell(address: string, options: Options, line: ProgressLine): Promise<void> {
  const found = await ask(options, (view) => view.restoreInto(address, options.at));
  line.end();
  if (options.json) return printJson({ address, ...found });
  const { before, missingFiles } = found;
  const missing = missingFiles === 0 ? "" : `${missingFiles} of its files are not in the bucket any more\n`;
  const position = before && `${before.epoch}-${before.txid}`;
  const back = before ? `what it held is at ${position}: frond restore ${showValue(address)} --at ${position}\n` : "";
  await print(`${showValue(address)} is as ${describe(found)}\n${missing}${back}`);
}

function describe({ epoch, txid, timeMs, bytes }: Restored): string {
  return `it was at ${epoch}-${txid}, ${showExactTime(timeMs)} (${showBytes(bytes)})`;
}

const HEADS = ["TABLE", "ROWS", "NOW"];
const RIGHT: ReadonlySet<number> = new Set([1, 2]);

function tableOf({ tables }: RestorePreview): string {
  const count = (rows: number): string => (rows === -1 ? "-" : String(rows));
  const rows = tables.map(({ table, rows: then, now }) => [showValue(table), count(then), count(now)]);
  return tableLines([HEADS, ...rows], widthsOf(HEADS, rows), RIGHT);
}
