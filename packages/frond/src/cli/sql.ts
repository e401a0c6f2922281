// `frond sql`: one statement in one cell.

import type { Command } from "commander";
import { parseAddress } from "../address.ts";
import type { SqlResult } from "../server/operator/nodeControl.ts";
import { parseValues } from "./call.ts";
import { DATA_HELP, withNode } from "./operator.ts";
import { dataOption, jsonOption } from "./options.ts";
import { print, printJson, showValue, tableLines, widthsOf } from "./output.ts";

interface Options {
  readonly data?: string;
  readonly json?: true;
  readonly write?: true;
}

export function addSql(program: Command): void {
  program
    .command("sql")
    .description("run one SQL statement in a cell; it may only read unless --write")
    .argument("<address>", "KIND/NAME of the cell; a / in a name is written %2f")
    .argument("<sql>", "the statement")
    .argument("[values...]", "values of its parameters, as JSON")
    .option("--write", "let the statement change the cell: its own transaction, logged as any other")
    .addOption(dataOption("data directory"))
    .addOption(jsonOption())
    .addHelpText(
      "after",
      `\n${DATA_HELP}\n\nExamples:
  frond sql mailbox/alice "SELECT count(*) FROM message"
  frond sql mailbox/alice "SELECT * FROM message WHERE id = ?" 7 --json
  frond sql mailbox/alice "DELETE FROM message WHERE id = ?" 7 --write`,
    )
    .action(async (address: string, sql: string, texts: string[], options: Options) => {
      const { json, write } = options;
      parseAddress(address);
      const values = parseValues(texts);
      const result = await withNode(options, (view) => view.sql(address, sql, values, write === true));
      if (json) return printJson(result);
      return print(describeResult(result, write === true));
    });
}

function describeResult(result: SqlResult, write: boolean): string {
  const { columns, changes } = result;
  const changed = write ? `${changes} ${changes === 1 ? "row" : "rows"} changed\n` : "";
  if (columns.length === 0) return changed;
  const rows = result.rows.map((row) => row.map(showValue));
  const numeric = new Set([...columns.keys()].filter((i) => result.rows.every((row) => typeof row[i] === "number")));
  const heads = columns.map(showValue);
  return tableLines([heads, ...rows], widthsOf(heads, rows), numeric) + changed;
}
