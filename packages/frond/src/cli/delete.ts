// `frond delete`: a cell with everything in it.
//
// Rule: what takes a cell away is asked for twice: by the command, and by --yes or a person at a terminal. A program that runs the
// command never waits for an answer which nobody gives.

import type { Command } from "commander";
import { createInterface } from "node:readline/promises";
import type { Readable, Writable } from "node:stream";
import { parseAddress } from "../address.ts";
import { FrondError } from "../errors.ts";
import { DATA_HELP, withNode } from "./operator.ts";
import { dataOption, jsonOption } from "./options.ts";
import { print, printJson, showValue } from "./output.ts";

interface Options {
  readonly data?: string;
  readonly json?: true;
  readonly yes?: true;
}

export function addDelete(program: Command): void {
  program
    .command("delete")
    .description("delete a cell with everything in it")
    .argument("<address>", "KIND/NAME of the cell; a / in a name is written %2f")
    .option("--yes", "do not ask")
    .addOption(dataOption("data directory"))
    .addOption(jsonOption())
    .addHelpText(
      "after",
      `\nTables, keys and alarms go; verbs that run in the cell end with ABORTED. The name can be used again.
What it held can be restored until the retention has passed (frond history, frond restore); frond erase removes that too.\n\n${DATA_HELP}\n\nExample:\n  frond delete mailbox/alice --yes`,
    )
    .action(async (address: string, options: Options) => {
      parseAddress(address);
      await askYes("delete", address, options.yes === true, options.json === true);
      await withNode(options, (view) => view.delete(address));
      return options.json === true ? printJson({ deleted: address }) : print(`${showValue(address)} is deleted\n`);
    });
}

/** Resolves when somebody means it. Throws BAD_OPTION where nobody can be asked, ABORTED for a no. */
export async function askYes(what: "delete" | "erase", address: string, yes: boolean, json: boolean): Promise<void> {
  const { stdin, stderr } = process;
  if (yes) return;
  if (json || !stdin.isTTY || !stderr.isTTY) {
    const doing = what === "delete" ? "deleting it removes everything in it" : "erasing it cannot be taken back";
    throw new FrondError("BAD_OPTION", `${address}: ${doing}; say --yes if you mean it`);
  }
  if (!(await confirm(address, stdin, stderr, what))) throw new FrondError("ABORTED", `nothing was ${what}d`);
}

/** Asks a person. Whatever is not clearly a yes is a no, the end of the input too. */
export async function confirm(address: string, input: Readable, output: Writable, what = "delete"): Promise<boolean> {
  const lines = createInterface({ input, output });
  const ended = new Promise<string>((resolve) => lines.once("close", () => resolve("")));
  try {
    const final = what === "erase" ? " This cannot be taken back." : "";
    const question = `${what} ${showValue(address)} with everything in it?${final} [y/N] `;
    const answer = await Promise.race([lines.question(question), ended]);
    return /^y(?:es)?$/i.test(answer.trim());
  } finally {
    lines.close();
  }
}
