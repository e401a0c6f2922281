// `frond delete`: a cell with everything in it.
//
// Rule: what cannot be taken back is asked for twice: by the command, and by --yes or a person at a terminal. A program that
// runs the command never waits for an answer which nobody gives.

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
    .description("delete a cell with everything in it; this cannot be taken back")
    .argument("<address>", "KIND/NAME of the cell; a / in a name is written %2f")
    .option("--yes", "do not ask")
    .addOption(dataOption("data directory"))
    .addOption(jsonOption())
    .addHelpText(
      "after",
      `\nTables, keys and alarms go; verbs that run in the cell end with ABORTED. The name can be used again.
Keep a copy first: frond export KIND/NAME FILE\n\n${DATA_HELP}\n\nExample:\n  frond delete mailbox/alice --yes`,
    )
    .action(async (address: string, options: Options) => {
      parseAddress(address);
      const { stdin, stderr } = process;
      if (options.yes !== true) {
        if (options.json === true || !stdin.isTTY || !stderr.isTTY) {
          throw new FrondError("BAD_OPTION", `deleting ${address} cannot be taken back; say --yes if you mean it`);
        }
        if (!(await confirm(address, stdin, stderr))) throw new FrondError("ABORTED", "nothing was deleted");
      }
      await withNode(options, (view) => view.delete(address));
      return options.json === true ? printJson({ deleted: address }) : print(`${showValue(address)} is deleted\n`);
    });
}

/** Asks a person. Whatever is not clearly a yes is a no, the end of the input too. */
export async function confirm(address: string, input: Readable, output: Writable): Promise<boolean> {
  const lines = createInterface({ input, output });
  const ended = new Promise<string>((resolve) => lines.once("close", () => resolve("")));
  try {
    const question = `delete ${showValue(address)} with everything in it? This cannot be taken back. [y/N] `;
    const answer = await Promise.race([lines.question(question), ended]);
    return /^y(?:es)?$/i.test(answer.trim());
  } finally {
    lines.close();
  }
}
