// `frond call`: a verb of a cell, from outside.

import type { Command } from "commander";
import { parseAddress } from "../address.ts";
import { FrondError } from "../errors.ts";
import { fromWire } from "../server/operator/wire.ts";
import { withRunningNode } from "./operator.ts";
import { dataOption, jsonOption } from "./options.ts";
import { print, printJson } from "./output.ts";

interface Options {
  readonly data?: string;
  readonly json?: true;
}

export function addCall(program: Command): void {
  program
    .command("call")
    .description("call a verb of a cell on the node that runs, and print what it returns")
    .argument("<address>", "KIND/NAME of the cell; it begins to exist if the verb writes")
    .argument("<verb>", "public method of its class")
    .argument("[values...]", 'arguments, as JSON; bytes are {"$blob": "base64"}')
    .addOption(dataOption("data directory"))
    .addOption(jsonOption())
    .addHelpText(
      "after",
      `\nA node must run: verbs are the code of the app.\n\nExamples:
  frond call counter/visits increment 5
  frond call mailbox/alice search '"invoice"' '{"limit": 10}'`,
    )
    .action(async (address: string, verb: string, texts: string[], options: Options) => {
      parseAddress(address);
      const values = parseValues(texts);
      const result = await withRunningNode(options, (view) => view.call(address, verb, values));
      if (options.json) return printJson(result ?? null);
      return result === undefined ? undefined : print(`${JSON.stringify(result, undefined, 2)}\n`);
    });
}

/** Arguments typed as JSON. Throws BAD_OPTION, with the quoted form of a bare word. */
export function parseValues(texts: readonly string[]): unknown[] {
  return texts.map((text) => {
    let value: unknown;
    try {
      value = JSON.parse(text);
    } catch {
      const quoted = `'${JSON.stringify(text)}'`;
      throw new FrondError("BAD_OPTION", `${JSON.stringify(text)} is not JSON; did you mean the text ${quoted}?`);
    }
    return fromWire(value);
  });
}
