// `frond import`: a SQLite file, or the archive of an exported cell, as a cell.

import type { Command } from "commander";
import { statSync } from "node:fs";
import path from "node:path";
import { parseAddress } from "../address.ts";
import { FrondError } from "../errors.ts";
import { DATA_HELP, withNode } from "./operator.ts";
import { dataOption, jsonOption } from "./options.ts";
import { print, printJson, showBytes, showValue } from "./output.ts";
import { ProgressLine } from "./progress.ts";

interface Options {
  readonly data?: string;
  readonly json?: true;
  readonly replace?: true;
}

const IMPORT_HELP = `
The file is looked through first, and is not changed. The migrations of the cell's class run when the cell is next opened, as far as
the file does not say that they have run: an export knows, a database of another tool does not.
Beside an archive (.tar) of frond export its files (this.files) come along.

With --replace what runs in the cell ends with ABORTED. What it held before can be restored: see frond restore.

${DATA_HELP}

Examples:
  frond import alice.db mailbox/alice
  frond import alice.tar mailbox/alice --replace`;

export function addImport(program: Command): void {
  program
    .command("import")
    .description("make a SQLite file, or an archive of frond export, the content of a cell")
    .argument("<file>", "a SQLite database; an archive when the name ends in .tar")
    .argument("<address>", "KIND/NAME of the cell; a / in a name is written %2f")
    .option("--replace", "the cell may exist: it gets this content instead of its own")
    .addOption(dataOption("data directory"))
    .addOption(jsonOption())
    .addHelpText("after", IMPORT_HELP)
    .action(async (name: string, address: string, options: Options) => {
      const { json, replace } = options;
      parseAddress(address);
      const file = path.resolve(name);
      checkSource(file);
      const line = new ProgressLine(json);
      try {
        const imported = await withNode(options, (view) =>
          view.importFrom(address, file, replace === true, line.bytes),
        );
        line.end();
        if (json) return printJson({ address, file, ...imported });
        const { bytes, files, missingFiles, before } = imported;
        const missing = missingFiles === 0 ? "" : `, ${missingFiles} of them not in the bucket: an archive brings them`;
        const its = files === 0 ? "" : `; it names ${files} ${files === 1 ? "file" : "files"}${missing}`;
        const position = before && `${before.epoch}-${before.txid}`;
        const back = before
          ? `what it held is at ${position}: frond restore ${showValue(address)} --at ${position}\n`
          : "";
        return print(`${showValue(address)} holds ${file} now (${showBytes(bytes)})${its}\n${back}`);
      } finally {
        line.end();
      }
    });
}

/** What stands in a journal is not in the file: whoever copied the file alone would lose it, or get half of a transaction. */
function checkSource(file: string): void {
  const found = statSync(file, { throwIfNoEntry: false });
  if (found === undefined) throw new FrondError("BAD_OPTION", `there is no file ${file}`);
  if (!found.isFile()) throw new FrondError("BAD_OPTION", `${file} is not a file`);
  for (const suffix of ["-wal", "-journal"]) {
    if ((statSync(file + suffix, { throwIfNoEntry: false })?.size ?? 0) === 0) continue;
    const advice = `let sqlite3 bring it in: sqlite3 ${path.basename(file)} "PRAGMA wal_checkpoint(TRUNCATE)"`;
    throw new FrondError(
      "BAD_CONTENT",
      `${file}${suffix} holds a part of the database; end what uses it, or ${advice}`,
    );
  }
}
