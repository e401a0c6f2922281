// What `frond doctor` looks at: this machine, the data directory, the bucket, and what stands in it.
//
// Rule: it changes nothing. The probe writes below a prefix of its own and removes that; the lock of a directory that no
// node serves is held for a moment. What is found is one sentence with the numbers in it; what fails would keep a node
// from starting or lose data, what warns would not, today.

import { existsSync, statfsSync } from "node:fs";
import path from "node:path";
import { randomUUID } from "node:crypto";
import type { Bucket } from "../bucket/bucket.ts";
import { CLUSTER_KEY, NODE_PREFIX } from "../bucket/objectKeys.ts";
import { openBucket, parseBucketUrl } from "../bucket/open.ts";
import { probeBucket } from "../bucket/probe.ts";
import { decodeCluster, decodeLease } from "../codec/documents.ts";
import { FrondError, isFrondError } from "../errors.ts";
import { UPLOAD_QUEUE_BYTES } from "../limits.ts";
import { bootId } from "../server/boot.ts";
import type { BucketSpec } from "../server/persist/bucketTalk.ts";
import type { OperatorView } from "../server/operator/controlClient.ts";
import { descriptorLimit, shareDescriptors } from "../server/descriptors.ts";
import { frozenBucket } from "../server/folder.ts";
import { bucketOf, urlInside } from "../server/runs/openKeeper.ts";
import { lockDirectory } from "../store/lock.ts";
import { VERSION } from "../version.ts";
import { showBytes, showTime } from "./output.ts";

/** One thing that was looked at. */
export interface Finding {
  readonly check: string;
  readonly level: "ok" | "warn" | "fail";
  /** What was seen, in one sentence. */
  readonly saw: string;
  /** How long it took, in ms. */
  readonly ms: number;
}

/** Hears of what is looked at, and of what was found. */
export interface Listener {
  began(check: string): void;
  found(finding: Finding): void;
}

/** Free space below which a start will soon stand still, and below which little can go wrong with the bucket, in bytes. */
const LEAST_SPACE = 128 * 1024 * 1024;
/** Descriptors with which a node serves many cells without closing others. Count. */
const GOOD_DESCRIPTORS = 4096;
/** How far the clock of this machine may be from the store's before times of a history mislead, in ms. */
const CLOCK_MS = 5_000;

type Seen = Pick<Finding, "level" | "saw">;
const ok = (saw: string): Seen => ({ level: "ok", saw });
const warn = (saw: string): Seen => ({ level: "warn", saw });
const fail = (saw: string): Seen => ({ level: "fail", saw });

/** Looks, tells, and counts what failed. */
class Checkup {
  readonly #listener: Listener;

  constructor(listener: Listener) {
    this.#listener = listener;
  }

  async look(check: string, work: () => Seen | Promise<Seen>): Promise<void> {
    this.#listener.began(check);
    const start = performance.now();
    let seen: Seen;
    try {
      seen = await work();
    } catch (error) {
      if (!(error instanceof Error)) throw error;
      seen = fail(error.message);
    }
    this.#listener.found({ check, ...seen, ms: Math.round(performance.now() - start) });
  }
}

/** Looks at this machine and, where there is one, at a data directory; `view`: the node that serves it. */
export async function checkHost(
  directory: string | undefined,
  view: OperatorView | undefined,
  listener: Listener,
): Promise<void> {
  const checkup = new Checkup(listener);
  await checkup.look("version", () => ok(`frond ${VERSION} on Node ${process.versions.node}`));
  await checkup.look("descriptors", lookAtDescriptors);
  await checkup.look("boot", () =>
    bootId() === ""
      ? warn("this system does not tell one boot from another: every start after a crash makes the cells anew")
      : ok("known: after a crash of the process alone, cells are used as they are"),
  );
  if (directory === undefined) return;
  await checkup.look("data", () => lookAtData(directory, view));
  await checkup.look("space", () => lookAtSpace(directory));
}

function lookAtDescriptors(): Seen {
  const limit = descriptorLimit();
  const { openCells, connections } = shareDescriptors(limit);
  const saw = `${limit}: ${openCells} idle cells stay open, ${connections} connections`;
  return limit >= GOOD_DESCRIPTORS ? ok(saw) : warn(`${saw}; more with ulimit -n, or LimitNOFILE= of systemd`);
}

async function lookAtData(directory: string, view: OperatorView | undefined): Promise<Seen> {
  if (view !== undefined) {
    const { pid, version } = await view.version();
    return ok(`${directory}, served by process ${pid}, frond ${version}`);
  }
  if (!existsSync(path.join(directory, "frond.json"))) return ok(`${directory} is not there yet: a start makes it`);
  try {
    lockDirectory(directory).release();
  } catch (error) {
    if (isFrondError(error, "DATA_LOCKED")) return warn(`${error.message} (it does not answer)`);
    throw error;
  }
  frozenBucket(directory);
  return ok(`${directory}, no node runs on it`);
}

function lookAtSpace(directory: string): Seen {
  let place = directory;
  while (!existsSync(place)) place = path.dirname(place);
  const { bavail, blocks, bsize } = statfsSync(place);
  const free = bavail * bsize;
  const saw = `${showBytes(free)} free of ${showBytes(blocks * bsize)} where the data is`;
  if (free < LEAST_SPACE) return fail(`${saw}: writes are refused when it is full`);
  const queue = showBytes(UPLOAD_QUEUE_BYTES);
  return free < UPLOAD_QUEUE_BYTES
    ? warn(`${saw}: up to ${queue} of the log wait here while a bucket is away`)
    : ok(saw);
}

/** The bucket that a directory has; none where it cannot be told, which its own check says. */
export function bucketOfDirectory(directory: string | undefined): BucketSpec | undefined {
  if (directory === undefined || !existsSync(path.join(directory, "frond.json"))) return undefined;
  try {
    return frozenBucket(directory) === undefined ? undefined : bucketOf(directory, "as before");
  } catch (error) {
    if (error instanceof FrondError) return undefined;
    throw error;
  }
}

/** Looks at a bucket. `directory`: of which it is to be the bucket. */
export async function checkBucket(
  { url, ...options }: BucketSpec,
  directory: string | undefined,
  listener: Listener,
): Promise<void> {
  const checkup = new Checkup(listener);
  let bucket: Bucket | undefined;
  await checkup.look("bucket", async () => {
    const place = parseBucketUrl(url);
    const isNew = place.store === "dir" && !existsSync(place.path);
    // Made now, it would be on another disk than the bucket, where that is not mounted.
    if (isNew && clusterOf(directory) !== undefined) {
      return fail(
        `${url} is gone, and ${directory} belongs to a cluster: bring the folder back, or mount its disk again`,
      );
    }
    bucket = await openBucket(url, options);
    if (isNew) return ok(`${bucket.url}, a folder that was not there: it is made now`);
    const inside = directory !== undefined && url === urlInside(directory);
    const where = inside ? ", inside of the data directory: it is lost with this disk" : "";
    return ok(bucket.url + (options.endpoint === undefined ? where : ` at ${options.endpoint}`));
  });
  if (bucket === undefined) return;
  try {
    if (!(await passes(bucket, listener))) return;
    const opened = bucket;
    if (url.startsWith("s3:")) await checkup.look("clock", () => lookAtClock(opened));
    await checkup.look("cluster", () => lookAtCluster(opened, directory));
  } finally {
    await bucket.close();
  }
}

async function passes(bucket: Bucket, listener: Listener): Promise<boolean> {
  let failed = false;
  try {
    const { warnings } = await probeBucket(bucket, {
      onBegin: (check) => listener.began(check),
      onCheck: ({ check, ok: fine, saw, ms }) => {
        failed ||= !fine;
        listener.found({ check, level: fine ? "ok" : "fail", saw, ms });
      },
    });
    for (const saw of warnings) listener.found({ check: "life cycle", level: "warn", saw, ms: 0 });
  } catch (error) {
    // What a check saw has been told.
    if (!failed || !isFrondError(error)) throw error;
  }
  return !failed;
}

/** The store dates what it is given, to the second. */
async function lookAtClock(bucket: Bucket): Promise<Seen> {
  const prefix = `probe/${randomUUID()}/`;
  const before = Date.now();
  await bucket.put(`${prefix}clock`, Buffer.from("clock"));
  const after = Date.now();
  const [found] = await bucket.list(prefix);
  await bucket.delete([`${prefix}clock`]);
  if (found === undefined) throw new FrondError("BUCKET_REFUSED", `${bucket.url} does not list what was written`);
  const { modifiedMs } = found;
  const ahead = before - 1000 - modifiedMs;
  const behind = modifiedMs - after;
  if (Math.max(ahead, behind) < CLOCK_MS) return ok("agrees with the store's");
  const which = ahead > behind ? "ahead of" : "behind";
  const by = Math.round(Math.max(ahead, behind) / 1000);
  return warn(`this machine's is ${by} s ${which} the store's: times in histories are wrong by that; set it`);
}

/** To which cluster a directory belongs; undefined: to none yet, or there is no such directory. */
function clusterOf(directory: string | undefined): string | undefined {
  const has = directory !== undefined && existsSync(path.join(directory, "frond.json"));
  return has ? frozenBucket(directory)?.cluster : undefined;
}

async function lookAtCluster(bucket: Bucket, directory: string | undefined): Promise<Seen> {
  const found = await bucket.get(CLUSTER_KEY);
  const mine = clusterOf(directory);
  if (found === undefined) {
    if (mine !== undefined) return fail(`there is none, and ${directory} belongs to cluster ${mine}`);
    return ok("there is none yet: the first start makes it");
  }
  const { id, createdMs } = decodeCluster(found.bytes, CLUSTER_KEY);
  const whose = `${id}, since ${showTime(createdMs)}`;
  if (mine !== undefined && mine !== id) return fail(`${whose}, and ${directory} belongs to cluster ${mine}`);
  const leases = await bucket.list(NODE_PREFIX);
  if (leases.length === 0) return ok(`${whose}; no node serves it`);
  const nodes = await Promise.all(leases.map(({ key }) => describeLease(bucket, key)));
  return ok(`${whose}; ${nodes.join("; ")}`);
}

async function describeLease(bucket: Bucket, key: string): Promise<string> {
  const found = await bucket.get(key);
  if (found === undefined) return "a node has just gone";
  const { host, pid, writtenMs } = decodeLease(found.bytes, key);
  return `process ${pid} on ${host} gave its last sign of life at ${showTime(writtenMs)}`;
}
