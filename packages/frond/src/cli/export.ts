// `frond export`: one cell as a plain SQLite file, or with its files as an archive.

import type { Command } from "commander";
import { randomUUID } from "node:crypto";
import { rm } from "node:fs/promises";
import path from "node:path";
import { parseAddress } from "../address.ts";
import { ARCHIVE_SUFFIX } from "../server/operator/nodeControl.ts";
import { DATA_HELP, withNode } from "./operator.ts";
import { dataOption, jsonOption } from "./options.ts";
import { print, printJson, showBytes } from "./output.ts";
import { checkPlace, place, refuseOld } from "./placing.ts";

interface Options {
  readonly data?: string;
  readonly json?: true;
  readonly force?: true;
}

export function addExport(program: Command): void {
  program
    .command("export")
    .description("write a cell as a plain SQLite file that any tool opens, or with its files as an archive")
    .argument("<address>", "KIND/NAME of the cell")
    .argument("<file>", "where to write it; an archive when the name ends in .tar")
    .option("--force", "replace the file if it exists")
    .addOption(dataOption("data directory"))
    .addOption(jsonOption())
    .addHelpText(
      "after",
      `\nBeside the tables of the app the file holds those of frond itself, whose names begin with _frond_.\nAn archive holds the same file as cell.db, and the files of the cell (this.files) as files/HASH.\n${DATA_HELP}\n\nExamples:\n  frond export mailbox/alice alice.db && sqlite3 alice.db .schema\n  frond export mailbox/alice alice.tar && tar -tf alice.tar`,
    )
    .action(async (address: string, name: string, options: Options) => {
      const { json, force } = options;
      parseAddress(address);
      const file = path.resolve(name);
      checkPlace(file);
      refuseOld(file, force === true);
      const isArchive = file.endsWith(ARCHIVE_SUFFIX);
      const temporary = `${file}.${randomUUID().slice(0, 8)}${isArchive ? ARCHIVE_SUFFIX : ".tmp"}`;
      const { bytes, files } = await withNode(options, (view) => view.exportTo(address, temporary));
      try {
        await place(temporary, file, force === true);
      } finally {
        await rm(temporary, { force: true });
      }
      if (json) return printJson({ address, file, bytes, files: isArchive ? files : 0 });
      const many = `${files} ${files === 1 ? "file" : "files"}`;
      const held = isArchive ? ` with ${many}` : "";
      const left = files > 0 && !isArchive ? `; not in it: ${many} of the cell, which an archive (.tar) holds` : "";
      return print(`${address} is in ${file}${held} (${showBytes(bytes)})${left}\n`);
    });
}
