// `frond dev`: the command line. What it does stands in devLoop.ts.

import type { Command } from "commander";
import type { DevOptions } from "./devLoop.ts";
import { DEV_DATA } from "./operator.ts";
import {
  allowHostOption,
  bucketOptions,
  dataOption,
  durabilityOption,
  listenOption,
  logFormatOption,
  logLevelOption,
  maxSyncOption,
} from "./options.ts";
import { LISTEN_HELP } from "./start.ts";

const DEV_HELP = `${LISTEN_HELP}

It watches the sources in the folder of the app and below (not node_modules, dist, nor what has a leading dot) and every
file that the app imports, and restarts on the same port. Data is kept in ${DEV_DATA} of the current folder; remove it to begin anew.
Its bucket is a folder inside of it unless --bucket names another; FROND_BUCKET is for frond start alone.

Requests must ask for it by an IP address, localhost, a name below localhost, or one that --allow-host gives: a page of
another site can have its own name lead to this machine, and would read what the app answers.

Examples:
  frond dev app.ts --listen 3000
  frond dev app.ts --listen 0.0.0.0:3000 --allow-host my-laptop.local`;

export function addDev(program: Command): void {
  const command = program
    .command("dev")
    .description("serve an app while you write it: restarts when a file changes")
    .argument("<app>", "TypeScript or JavaScript file whose default export is frond({ ... })")
    .addOption(dataOption("data directory").default(DEV_DATA))
    .addOption(listenOption())
    .addOption(allowHostOption())
    .addOption(durabilityOption())
    .addOption(maxSyncOption())
    .addOption(logLevelOption("info"))
    .addOption(logFormatOption().default("text"))
    .addHelpText("after", DEV_HELP)
    .action(async (app: string, options: DevOptions) => {
      const { Dev } = await import("./devLoop.ts");
      await new Dev(app, options).run();
    });
  for (const option of bucketOptions()) command.addOption(option);
}
