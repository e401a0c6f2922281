// A node that serves an app of the bench, with a bucket or without any, over HTTP: what `frond start` runs, which always has one.
//
// `node bucketNode.ts APP DATA PORT [BUCKET [ENDPOINT]]`
//
// Rule: with and without differ in the bucket alone. The time to live is long, because a bench may stop the whole process for
// the time of somebody else's slice, and a lapse is not what is measured.

import { join } from "node:path";
import type { App } from "../packages/frond/src/cell/app.ts";
import { useLightGlobals } from "../packages/frond/src/server/door/answer.ts";
import { serveControl } from "../packages/frond/src/server/operator/control.ts";
import { listenHttp } from "../packages/frond/src/server/door/http.ts";
import { createLogger } from "../packages/frond/src/server/logger.ts";
import { openNode } from "../packages/frond/src/server/openNode.ts";

const TTL_MS = 600_000;

const [appFile, dataDirectory, port, url, endpoint] = process.argv.slice(2);
if (appFile === undefined || dataDirectory === undefined) throw new Error("node bucketNode.ts APP DATA PORT [BUCKET]");
useLightGlobals();
const { default: app } = (await import(join(import.meta.dirname, appFile))) as { default: App };
const log = createLogger({ level: "error", format: "text" });
const bucket = url === undefined ? undefined : { url, ...(endpoint !== undefined && { endpoint }) };
const node = await openNode({
  app,
  dataDirectory,
  durability: "disk",
  log,
  ttlMs: TTL_MS,
  ...(bucket && { bucket, retentionMs: 7 * 24 * 3600_000 }),
});
const control = await serveControl(dataDirectory, node.control);
const front = await listenHttp({
  host: "127.0.0.1",
  port: Number(port),
  handler: (request, info) => node.handle(request, info),
  calls: node.handleCall,
  upgrades: node.upgrades,
  log,
  state: () => node.state(),
});
await node.startServices();
process.once("SIGTERM", () => {
  void front
    .stop(1_000)
    .then(() => control.stop())
    .then(() => node.stop())
    .then(() => process.exit(0));
});
