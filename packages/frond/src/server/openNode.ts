// Opens a data directory: for a node that serves it, or for a tool while none does.
//
// Rule: the lock comes first, and whatever fails behind it gives it back; who only looks needs no app.

import fs from "node:fs";
import path from "node:path";
import { App } from "../cell/app.ts";
import { FrondError } from "../errors.ts";
import { Catalog } from "../store/catalog.ts";
import type { DirectoryLock } from "../store/lock.ts";
import { bootId } from "./boot.ts";
import { fullDisk } from "./durably.ts";
import { frozenBucket, openDirectory } from "./folder.ts";
import type { Keeper } from "./persist/keeper.ts";
import { Node } from "./node.ts";
import type { NodeControl } from "./operator/nodeControl.ts";
import type { NodeOptions } from "./nodeOptions.ts";
import { bucketOf, openKeeper } from "./runs/openKeeper.ts";
import { recover } from "./cells/recover.ts";

/**
 * Opens a data directory and recovers what is in it. Throws DATA_LOCKED while another node uses it, DATA_NEWER and
 * DATA_DAMAGED for a directory that this program must not touch.
 */
export async function openNode(options: NodeOptions): Promise<Node> {
  if (!(options.app instanceof App))
    throw new FrondError("NOT_AN_APP", "openNode needs what frond({ cells, ... }) returns");
  const lock = openDirectory(options.dataDirectory);
  return openLocked(lock, options, () => options);
}

/** What a tool holds of a data directory that no node serves. */
export type OfflineControl = NodeControl & { close(): Promise<void> };

/**
 * Opens a data directory for a tool, without the app: cells can be listed, read, written by SQL and exported, verbs cannot
 * be called. Throws NOT_RUNNING where there is no data directory, and what openNode throws.
 */
export async function openOffline(options: { dataDirectory: string }): Promise<OfflineControl> {
  const { dataDirectory } = options;
  if (!fs.existsSync(path.join(dataDirectory, "frond.json"))) {
    throw new FrondError("NOT_RUNNING", `no node runs on ${dataDirectory}, and it is no data directory of frond`);
  }
  const lock = openDirectory(dataDirectory);
  // What recovery had to report must not pass unseen because a tool, and not a node, was first.
  const tell = (_fields: object, message: string): void => void process.stderr.write(`${message}\n`);
  const log = { info() {}, warn: tell, error: tell };
  const hasBucket = frozenBucket(dataDirectory) !== undefined;
  const node = await openLocked(lock, { dataDirectory, log, ...(hasBucket && { bucket: "as before" }) }, (catalog) => {
    const app = App.withoutClasses(catalog.kinds());
    return { app, dataDirectory, log, durability: "disk", logFileBytes: OFFLINE_LOG_FILE_BYTES };
  });
  return Object.assign(node.control, { close: () => node.stop() });
}

/** A tool writes little: its run gets a small log file. */
const OFFLINE_LOG_FILE_BYTES = 256 * 1024;

async function openLocked(
  lock: DirectoryLock,
  options: Pick<
    NodeOptions,
    "dataDirectory" | "log" | "boot" | "bucket" | "ttlMs" | "retentionMs" | "maxSyncMs" | "uploadQueueBytes"
  >,
  complete: (catalog: Catalog) => NodeOptions,
): Promise<Node> {
  let catalog: Catalog | undefined;
  try {
    const bucket = bucketOf(options.dataDirectory, options.bucket);
    catalog = new Catalog(path.join(options.dataDirectory, "catalog.db"));
    let recovered = recover(options.dataDirectory, catalog, options.boot ?? bootId());
    let keeper: Keeper | undefined;
    if (bucket !== undefined) ({ keeper, recovered } = await openKeeper(bucket, options, catalog, recovered));
    for (const report of recovered.reports) {
      const level = report.kind === "damage" ? "error" : "warn";
      options.log[level]({ file: report.file, offset: report.offset }, report.text);
    }
    return new Node(complete(catalog), lock, catalog, recovered, keeper);
  } catch (error) {
    catalog?.close();
    lock.release();
    throw fullDisk(error, `a start on ${options.dataDirectory}`);
  }
}
