// A thread of the bucket that is not as it should be: its bucket is faulty, or the thread itself is broken.
//
// Rule: the product has no switch for this. The process under torture starts this file where a node would start its thread of
// the bucket; here the function that opens a bucket is replaced (bucketWithFaults.ts), the limits may be (hastyLimits.ts, lateLimits.ts), or a
// method, and then the real thread is loaded into what was prepared.

import path from "node:path";
import { createRequire, registerHooks, syncBuiltinESMExports } from "node:module";
import { isMainThread, Worker, workerData } from "node:worker_threads";
import type { FaultPlan } from "../bucket/faulty.ts";
import { decodeObjectHeader } from "../codec/object.ts";
import type { Breakage } from "./breakage.ts";

/** How a bucket misbehaves, until the process ends. */
export interface BucketFaults {
  readonly plan: FaultPlan;
  /** From the start of the process on, or from when `faultsBegin` was called. */
  readonly from: "start" | "order";
  /** What happens to the first create of each key. */
  readonly firstCreates?: "lost" | "late";
}

/** What the thread is to be. */
export interface StandIn {
  readonly broken: Breakage | undefined;
  readonly faults: BucketFaults | undefined;
  /** Packs, checkpoints and clean-ups are made all the time (hastyLimits.ts). */
  readonly hasty: boolean;
  /** A file in which uploads are noted (uploadTimes.ts). */
  readonly times: string;
  readonly seed: number;
}

const BREAKS_THREAD: readonly Breakage[] = ["early-bucket"];
const FILE = new URL(import.meta.url);
const ENDING = path.extname(FILE.pathname);

/** From now on this file stands in for the thread of the bucket of every node of this process. */
export function standIn(as: StandIn): void {
  const threads = createRequire(FILE)("node:worker_threads") as { Worker: typeof Worker };
  threads.Worker = class extends Worker {
    constructor(file: string | URL, options: NonNullable<ConstructorParameters<typeof Worker>[1]>) {
      const isBucket = String(file).includes("/bucketThread.");
      if (!isBucket) super(file, options);
      else super(FILE, { ...options, workerData: { ...(options.workerData as object), standIn: as } });
    }
  };
  syncBuiltinESMExports();
}

/** A segment is confirmed when it was sent. */
async function createsAreNotAwaited(): Promise<void> {
  const { LogHands } = await import("../log/logHands.ts");
  const { create } = LogHands.prototype;
  LogHands.prototype.create = function (seq, bytes) {
    if (decodeObjectHeader(bytes, String(seq)).kind !== "segment") return create.call(this, seq, bytes);
    create.call(this, seq, bytes).catch(() => {});
    return Promise.resolve({ saw: "created" });
  };
}

const as = isMainThread ? undefined : (workerData as { standIn?: StandIn }).standIn;
if (as !== undefined) {
  if (as.broken !== undefined && BREAKS_THREAD.includes(as.broken)) await createsAreNotAwaited();
  const { hasty, broken } = as;
  const instead = (specifier: string, parent: string): string => {
    const isServer = parent.includes("/src/server/");
    if (isServer && specifier.endsWith(`/bucket/open${ENDING}`)) return `./bucketWithFaults${ENDING}`;
    if (parent.includes("/torture/") || !specifier.endsWith(`/limits${ENDING}`)) return specifier;
    if (broken === "late-flush") return `./lateLimits${ENDING}`;
    return hasty ? `./hastyLimits${ENDING}` : specifier;
  };
  registerHooks({
    resolve(specifier, context, next) {
      const to = instead(specifier, context.parentURL ?? "");
      return next(to === specifier ? specifier : new URL(to, FILE).href, context);
    },
  });
  await import("../server/persist/bucketThread.ts");
}
