// `frond parked` and `frond parked release`: the cells in which nothing runs because they held up the node, and the way back.

import type { Command } from "commander";
import type { ParkedCell } from "../server/cells/strikes.ts";
import { DATA_HELP, withNode } from "./operator.ts";
import { dataOption, jsonOption } from "./options.ts";
import { print, printJson, showTime, showValue, tableLines, widthsOf } from "./output.ts";

interface Options {
  readonly data?: string;
  readonly json?: true;
}

const HELP = `
A cell whose code held the event loop for longer than --max-sync-ms three times within an hour is parked: calls of it fail
with CELL_PARKED, its alarms wait. Its data can be read with frond sql once it is released, or while no node runs.

${DATA_HELP}

Examples:
  frond parked
  frond parked release mailbox/alice`;

export function addParked(program: Command): void {
  const parked = program
    .command("parked")
    .description("list the cells that are parked: since when, and why")
    .addOption(dataOption("data directory"))
    .addOption(jsonOption())
    .addHelpText("after", HELP)
    .action((options: Options) => withNode(options, async (view) => list(await view.parked(), options)));
  parked
    .command("release")
    .description("let a parked cell run again; its strikes are forgotten")
    .argument("<address>", "KIND/NAME of the cell")
    .addOption(dataOption("data directory"))
    .addOption(jsonOption())
    .action((address: string, _options: Options, command: Command) => {
      // Both commands know these options, and the outer one is given them first.
      const options = command.optsWithGlobals<Options>();
      return withNode(options, async (view) => {
        await view.release(address);
        return options.json === true ? printJson({ released: address }) : print(`${showValue(address)} is released\n`);
      });
    });
}

const HEADS = ["ADDRESS", "SINCE", "WHY"];

function list(cells: readonly ParkedCell[], options: Options): Promise<void> {
  if (options.json === true) return printJson(cells);
  if (cells.length === 0) return print("no cell is parked\n");
  const rows = cells.map(({ address, sinceMs, strikes }) => [
    showValue(address),
    showTime(sinceMs),
    showValue(strikes.at(-1)?.why ?? ""),
  ]);
  return print(tableLines([HEADS, ...rows], widthsOf(HEADS, rows)));
}
