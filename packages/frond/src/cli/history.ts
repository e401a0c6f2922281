// `frond history`: the commits of a cell that can be restored.

import type { Command } from "commander";
import { parseAddress } from "../address.ts";
import { FrondError } from "../errors.ts";
import { CELLS_PER_PAGE } from "../limits.ts";
import type { CellCommit } from "../server/operator/nodeControl.ts";
import { parseTime, showExactTime } from "./moments.ts";
import { DATA_HELP, withNode } from "./operator.ts";
import { checked, dataOption, jsonOption } from "./options.ts";
import { print, printJson, showBytes, showValue, tableLines, widthsOf } from "./output.ts";

interface Options {
  readonly data?: string;
  readonly json?: true;
  readonly since?: number;
  readonly limit: number;
}

const HEADS = ["POSITION", "TIME", "PAGES", "SIZE", "WHAT"];
const RIGHT: ReadonlySet<number> = new Set([0, 2, 3]);
const DEFAULT_LIMIT = 20;

export function addHistory(program: Command): void {
  program
    .command("history")
    .description("list the commits of a cell that can be restored, the newest first")
    .argument("<address>", "KIND/NAME of the cell, deleted or not; a / in a name is written %2f")
    .option("--since <time>", "none before this: 2026-11-23T06:15:00Z, 2026-11-23, -2h", checked(parseTime))
    .option("--limit <count>", "so many at most", checked(parseLimit), DEFAULT_LIMIT)
    .addOption(dataOption("data directory"))
    .addOption(jsonOption())
    .addHelpText(
      "after",
      `\nEach line is a state that frond restore brings back by its position. PAGES is what the commit wrote, SIZE what the
cell had then. How far back it goes: frond start --retention.\n\n${DATA_HELP}\n\nExamples:
  frond history mailbox/alice
  frond history mailbox/alice --since -2h --limit 100`,
    )
    .action(async (address: string, { since, limit, ...options }: Options) => {
      parseAddress(address);
      const query = { limit, ...(since !== undefined && { sinceMs: since }) };
      const commits = await withNode(options, (view) => view.history(address, query));
      if (options.json) return printJson(commits);
      if (commits.length === 0) return print(`${showValue(address)} has no commit since then\n`);
      const rows = commits.map(rowOf);
      return print(tableLines([HEADS, ...rows], widthsOf(HEADS, rows), RIGHT));
    });
}

function rowOf({ epoch, txid, timeMs, pages, bytes, what }: CellCommit): string[] {
  const size = what === "deleted" ? "-" : showBytes(bytes);
  return [`${epoch}-${txid}`, showExactTime(timeMs), String(pages), size, what === "changed" ? "" : what];
}

function parseLimit(text: string): number {
  const limit = Number(text);
  if (Number.isInteger(limit) && limit > 0 && limit <= CELLS_PER_PAGE) return limit;
  throw new FrondError("BAD_OPTION", `--limit takes a number from 1 to ${CELLS_PER_PAGE}, not ${JSON.stringify(text)}`);
}
