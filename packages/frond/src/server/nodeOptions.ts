// What a node is opened with, and the shapes in which it is spoken to. Only types.

import type { App } from "../cell/app.ts";
import type { Clock } from "../clock.ts";
import type { LogIo } from "../log/io.ts";
import type { Durability } from "../types.ts";
import type { Audience } from "./door/answer.ts";
import type { BucketSpec } from "./persist/bucketTalk.ts";
import type { Gate } from "./door/session.ts";

/** The log of a node, as far as the node itself writes to it. */
export interface NodeLog {
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

/** What a node is opened with. */
export interface NodeOptions {
  readonly app: App;
  readonly dataDirectory: string;
  /** The level of classes that set none. */
  readonly durability: Durability;
  readonly log: NodeLog;
  /** Cells that stay open when idle, and those open at all; default: what the descriptors of the process allow. */
  readonly maxOpenCells?: number;
  readonly mostOpenCells?: number;
  /** Called once when the node cannot go on. Default: the process ends with code 70. */
  readonly onFatal?: (error: unknown) => void;
  /** For tests of power loss: the file layer of the log, the size of its files, and which boot this is. */
  readonly io?: LogIo;
  readonly logFileBytes?: number;
  readonly boot?: string;
  /**
   * Where the log goes. `as before`: into the bucket that the directory has, else into a folder inside of it. Default:
   * nowhere, and what is on this disk is all there is.
   */
  readonly bucket?: BucketSpec | "as before";
  /** Log files that are in the bucket stay on the disk up to so many bytes; default LOCAL_LOG_BYTES. */
  readonly localLogBytes?: number | undefined;
  /** Bytes of the log that may wait on the disk for the bucket; default UPLOAD_QUEUE_BYTES. */
  readonly uploadQueueBytes?: number;
  /** How long others wait after a sign of life of this node, in ms. */
  readonly ttlMs?: number;
  /** How far back one can go in the bucket, in ms: what is older leaves it. Default: everything stays. */
  readonly retentionMs?: number;
  /** For tests of the level `bucket`: positions are confirmed by them alone. */
  readonly bucketLog?: boolean;
  /** For tests of the gate itself. */
  readonly gate?: Gate;
  /** The clock of alarms and waits; default: the machine's. */
  readonly clock?: Clock;
  /** Warn of what is probably a mistake in the app. */
  readonly dev?: boolean;
  /** The longest that code may hold the event loop, in ms, once `watch` was called; default: nobody watches. */
  readonly maxSyncMs?: number;
  /** Memory of the process, in bytes, from which idle cells are closed; default: three quarters of what it may have. */
  readonly maxRssBytes?: number;
  /** WebSockets that one cell may have. Count. */
  readonly maxSocketsPerCell?: number;
}

/** What a request comes with, and what its answer leaves with. */
export interface HandleInfo {
  readonly remoteAddress: string;
  audience?: Audience | undefined;
}

/** How ready a node is to take requests. */
export interface NodeState {
  readonly ready: boolean;
  readonly refuse?: "overloaded" | "stopping";
}
