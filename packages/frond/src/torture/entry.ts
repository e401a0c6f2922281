// The process that is killed: a node with books and actors behind a real HTTP door.
//
// Rule: what it is made of comes as one JSON argument; everything it tells its parent goes over the IPC channel; when that
// channel closes it ends, so nothing is left behind by a harness that died. It is broken only where its configuration
// asks for it: through the seams that a node has (the file layer of the log, and the gate), or by a mutant (mutants.ts). With a
// bucket the thread of the bucket is another one (bucketStandIn.ts) where that shall be faulty or broken.

import { listenHttp } from "../server/door/http.ts";
import { createLogger } from "../server/logger.ts";
import { openNode } from "../server/openNode.ts";
import type { Report } from "../server/cells/settle.ts";
import type { BucketSpec } from "../server/persist/bucketTalk.ts";
import type { Gate } from "../server/door/session.ts";
import { diskIo, type LogIo } from "../log/io.ts";
import { tortured } from "./app.ts";
import type { Breakage } from "./breakage.ts";
import { type BucketFaults, standIn } from "./bucketStandIn.ts";
import { faultsBegin } from "./bucketWithFaults.ts";
import { mutate } from "./mutants.ts";
import { AcksBeforeSync, acksBeforeWrite, PowerIo } from "./powerIo.ts";
import { Random } from "./random.ts";

/** What the process is made of. */
export interface EntryConfig {
  readonly directory: string;
  readonly boot: string;
  readonly logFileBytes: number;
  readonly maxOpenCells: number;
  /** The log stands on a disk that can lose power. */
  readonly power: boolean;
  /** The event of that disk at which the power goes; undefined: when it is told to. */
  /** With a bucket they count from the beginning of the work. */
  readonly dieAt: number | undefined;
  readonly seed: number;
  readonly broken: Breakage | undefined;
  readonly localLogBytes?: number;
  /** Default: there is none. */
  readonly bucket?: {
    readonly spec: BucketSpec;
    readonly ttlMs: number;
    /** See uploadTimes.ts; undefined: nobody wants to know, and the thread is as it is in real life. */
    readonly times?: string;
    /** Packs, checkpoints and clean-ups all the time, and how far back the bucket goes then, in ms. */
    readonly hastyMs?: number;
    readonly faults?: BucketFaults;
  };
}

/** What the process tells. */
export type EntryMessage =
  | { readonly what: "opening" }
  | { readonly what: "ready"; readonly port: number; readonly run: number; readonly reports: readonly Report[] };

/** What the process is told: stop gracefully, lose power; or that the work begins, and with it the faults that were to. */
export type EntryOrder = "stop" | "die" | "work";

function ioOf(config: EntryConfig): LogIo {
  if (config.broken === "ack-before-write") return acksBeforeWrite;
  const make = config.broken === "ack-before-sync" ? AcksBeforeSync : PowerIo;
  if (!config.power) return diskIo;
  const dieAt = config.bucket === undefined ? (config.dieAt ?? Infinity) : Infinity;
  return new make(new Random(config.seed), dieAt, () => process.kill(process.pid, "SIGKILL"));
}

const neverWaits: Gate = (_lsn, _bucketLsn, done) => done();

async function main(config: EntryConfig): Promise<void> {
  const tell = (message: EntryMessage): void => void process.send?.(message);
  const io = ioOf(config);
  const { broken, bucket } = config;
  if (broken !== undefined) mutate(broken);
  const { faults, hastyMs, times } = bucket ?? {};
  if (times !== undefined) standIn({ broken, faults, times, hasty: hastyMs !== undefined, seed: config.seed });
  const log = createLogger({ level: "warn", write: (line) => void process.stderr.write(line) });
  tell({ what: "opening" });
  const node = await openNode({
    app: tortured,
    dataDirectory: config.directory,
    durability: "disk",
    log,
    boot: config.boot,
    logFileBytes: config.logFileBytes,
    maxOpenCells: config.maxOpenCells,
    io,
    ...(config.localLogBytes !== undefined && { localLogBytes: config.localLogBytes }),
    ...(bucket && { bucket: bucket.spec, ttlMs: bucket.ttlMs }),
    ...(hastyMs !== undefined && { retentionMs: hastyMs }),
    ...(broken === "no-gate" && { gate: neverWaits }),
  });
  await node.startServices();
  const front = await listenHttp({
    host: "127.0.0.1",
    port: 0,
    // What is handed over takes the audience back: without it the chunks of a stream wait for nobody.
    handler: (request, info) => node.handle(request, config.broken === "ungated-chunks" ? { ...info } : info),
    log,
    state: () => node.state(),
  });
  process.on("message", (order: EntryOrder) => {
    if (order === "die" && io instanceof PowerIo) io.die();
    if (order === "work") {
      faultsBegin();
      if (bucket !== undefined && config.dieAt !== undefined && io instanceof PowerIo) io.dieIn(config.dieAt);
    }
    if (order !== "stop") return;
    void front
      .stop(1000)
      .then(() => node.stop(1000))
      .then(() => process.exit(0));
  });
  tell({ what: "ready", port: front.address.port, run: node.recovered.run, reports: node.recovered.reports });
}

process.on("disconnect", () => process.exit(1));
await main(JSON.parse(process.argv[2] as string) as EntryConfig);
