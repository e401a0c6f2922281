// `frond start`: the command line of a node that serves an app. What it does stands in serve.ts.

import type { Command } from "commander";
import { STOP_GRACE_MS } from "../limits.ts";
import { EXIT_FATAL, EXIT_STUCK } from "./exits.ts";
import { START_DATA } from "./operator.ts";
import {
  bucketOptions,
  dataOption,
  durabilityOption,
  listenOption,
  logFormatOption,
  logLevelOption,
  maxSyncOption,
  trustProxyOption,
  retentionOption,
  ttlOption,
} from "./options.ts";
import type { ServeOptions } from "./serve.ts";

export const LISTEN_HELP = `
Without --listen it answers on 127.0.0.1:8080. The environment's PORT changes the port alone; only HOST or --listen
open it to other machines, as in --listen 0.0.0.0:8080.`;

const START_HELP = `${LISTEN_HELP}
Without --data: FROND_DATA, else ${START_DATA} in the current folder. One node at a time uses a data directory.

The log of every commit goes into a bucket, from which an empty disk can take over. Without --bucket: FROND_BUCKET, else the
one that the data directory had before, else the folder bucket inside of it. Credentials of an object store come from where
the tools of its maker find them (AWS_ACCESS_KEY_ID, ~/.aws, the machine's role), never from an option; it needs
@aws-sdk/client-s3 beside frond: npm install @aws-sdk/client-s3. frond doctor tells whether a bucket will do.

SIGTERM, SIGINT or SIGHUP stop it gracefully: no new connections, requests in work are finished (up to
${STOP_GRACE_MS / 1000} s), everything is flushed. A second signal ends it at once; nothing acknowledged is lost.

Code that holds the event loop for longer than --max-sync-ms is ended: its call fails with TERMINATED. Inside SQLite
nothing can end it but the end of the process. A cell that does so three times within an hour is parked: see frond parked.

Exit codes: 0 stopped gracefully, 1 could not start, 2 wrong usage, ${EXIT_FATAL} failed while running, ${EXIT_STUCK} code held the event
loop and could not be ended (after both it recovers at the next start, as systemd gives it with Restart=on-failure), 129,
130 or 143 ended at once by a second signal.

Examples:
  frond start app.ts
  PORT=80 HOST=0.0.0.0 frond start app.ts --data /var/lib/shop --trust-proxy loopback`;

export function addStart(program: Command): void {
  const command = program
    .command("start")
    .description("serve an app from a data directory")
    .argument("<app>", "TypeScript or JavaScript file whose default export is frond({ ... })")
    .addOption(dataOption(`data directory, created if absent (default ${START_DATA}; see below)`))
    .addOption(listenOption())
    .addOption(durabilityOption())
    .addOption(ttlOption())
    .addOption(retentionOption())
    .addOption(trustProxyOption())
    .addOption(maxSyncOption())
    .addOption(logLevelOption("info"))
    .addOption(logFormatOption())
    .addHelpText("after", START_HELP)
    .action(async (app: string, options: ServeOptions) => {
      const { serve } = await import("./serve.ts");
      await serve(app, options);
    });
  for (const option of bucketOptions()) command.addOption(option);
}
