// Opening the bucket of a data directory: what its start has to know of the past, and what it learns.
//
// Rule: what the bucket has now of earlier runs is written down before the run serves; and where somebody else has ended an
// earlier run before its log was whole, what is lost is kept aside and the directory forgets all that it knows: its files
// hold what never happened.

import fs from "node:fs";
import path from "node:path";
import { SlotTable } from "../../core/slots.ts";
import { FrondError, isFrondError } from "../../errors.ts";
import { LEASE_TTL_MS } from "../../limits.ts";
import { listLogFiles, runFolder } from "../../log/files.ts";
import { type FileScan, type LogDamage, scanLogFile } from "../../log/scan.ts";
import type { Catalog } from "../../store/catalog.ts";
import type { Lsn, RunId, RunNumber, Seq } from "../../types.ts";
import { VERSION } from "../../version.ts";
import { bringCells, keepDamaged } from "./bringCells.ts";
import type { BucketSpec, FinishedRun, UnfinishedRun } from "../persist/bucketTalk.ts";
import { type FrozenBucket, freezeBucket, frozenBucket, placeOf } from "../folder.ts";
import { Keeper, type KeeperOptions } from "../persist/keeper.ts";
import { keepLostTails } from "./lostTail.ts";
import type { NodeOptions } from "../nodeOptions.ts";
import { forgetOldRuns } from "./oldRuns.ts";
import type { Recovered } from "../cells/recover.ts";

/** The folder of a bucket inside of a data directory. */
const INSIDE = "bucket";

/**
 * The bucket of a directory: the one that is named, else the one that it had, else a folder inside of it. Undefined: none,
 * where nobody wants one and it has never had one. Throws BAD_OPTION where one is needed.
 */
export function bucketOf(directory: string, asked: NodeOptions["bucket"]): BucketSpec | undefined {
  const known = frozenBucket(directory)?.spec;
  if (asked === undefined && known !== undefined) {
    const where = known?.url ?? "inside of it";
    throw new FrondError(
      "BAD_OPTION",
      `${directory} has a bucket (${where}): its log goes there; name it with --bucket`,
    );
  }
  return asked === "as before" ? (known ?? { url: urlInside(directory) }) : asked;
}

/** Opens the bucket. Throws what Keeper.start throws. Returns what the node begins with, which may know less than before. */
export async function openKeeper(
  spec: BucketSpec,
  options: Pick<NodeOptions, "dataDirectory" | "ttlMs" | "retentionMs" | "maxSyncMs" | "uploadQueueBytes" | "log">,
  catalog: Catalog,
  recovered: Recovered,
): Promise<{ keeper: Keeper; recovered: Recovered }> {
  const { dataDirectory, ttlMs = LEASE_TTL_MS, retentionMs = Infinity, maxSyncMs = 0, log } = options;
  const known = frozenBucket(dataDirectory);
  const { run } = recovered;
  const place = placeOf(dataDirectory);
  const earlier = earlierRuns(dataDirectory, catalog, run);
  const seals = sealsOf(catalog);
  // From before there was a bucket, and not to be had as it is; or a start had begun to take it so, and was interrupted.
  const isDamaged = known === undefined && (earlier.damages.length > 0 || seals.size > 0);
  const unfinished = isDamaged ? leftOut(earlier) : earlier.unfinished;
  const adopted = (known?.adopted as RunId[] | undefined) ?? unfinished.filter(isFull).map(({ runId }) => runId);
  const slots = new SlotTable();
  for (const row of catalog.slots()) slots.load(row.slot, row);
  const keeper = await started(dataDirectory, catalog, {
    bucket: spec,
    directory: dataDirectory,
    cluster: known?.cluster,
    unfinished,
    inPlace: known?.place === place,
    adopted,
    brings: known === undefined && (isDamaged || adopted.length > 0),
    ttlMs,
    retentionMs,
    maxSyncMs,
    queueBytes: options.uploadQueueBytes,
    probe: probeOf(dataDirectory, spec, known),
    catalog,
    slots,
    log,
    appVersion: VERSION,
    seals,
    opened: catalog.opened(),
    own: {
      run,
      runId: recovered.runId.toString("hex") as RunId,
      firstLsn: 0 as Lsn,
    },
  });
  try {
    const { cluster, created, finished, lost } = keeper.started;
    // A name with a typo is an empty bucket, too. The folder inside of the data directory is not: nobody named it.
    if (created && spec.url !== urlInside(dataDirectory)) log.info({}, newCluster(spec));
    // First: no start that comes after looks at the log of runs that are finished.
    const kept = isDamaged ? keepDamaged(dataDirectory, earlier.damages, recovered.reports) : [];
    // Else a start that comes after this one would believe that it has a bucket, and these are to be uploaded.
    if (isDamaged) markFinished(catalog, finished);
    const frozen: FrozenBucket = { spec: spec.url === urlInside(dataDirectory) ? null : spec, cluster, adopted, place };
    if (JSON.stringify(frozen) !== JSON.stringify(known)) freezeBucket(dataDirectory, frozen);
    if (lost.length > 0) {
      // First: from here on nothing of the directory is believed, however often this start is interrupted.
      catalog.batch(() => {
        catalog.forget();
        catalog.cover(recovered.firstFile);
      });
      // Before log files go: after a loss of power rows would speak of what is in lost+found by then.
      catalog.sync();
      slots.forget();
    }
    const reports = keepLostTails(dataDirectory, lost);
    markFinished(catalog, finished);
    const bringing = { directory: dataDirectory, catalog, recovered, keeper, log };
    const taken = adopted.length === 0 ? await bringCells(bringing) : await keeper.adopt();
    if (taken > 0) log.info({ slots: taken, bucket: spec.url }, "what was here before there was a bucket is in it now");
    forgetOldRuns(dataDirectory, catalog, run, adopted);
    const doubtfulThrough = lost.length === 0 ? recovered.doubtfulThrough : ((run - 1) as RunNumber);
    return {
      keeper,
      recovered: { ...recovered, slots, doubtfulThrough, reports: [...recovered.reports, ...kept, ...reports] },
    };
  } catch (error) {
    await keeper.stop();
    throw error;
  }
}

/** Starts a keeper. A run whose start was refused is as if it had never been: nobody but this directory has heard of it. */
async function started(directory: string, catalog: Catalog, options: KeeperOptions): Promise<Keeper> {
  try {
    return await Keeper.start(options);
  } catch (error) {
    // Else the thread has ended, and may have put a lease before.
    if (isFrondError(error)) forgetRun(directory, catalog, options.own.run);
    throw error;
  }
}

/** Else starts that are tried again and again, while the bucket is away or in use, would all have to be ended in it some day. */
function forgetRun(directory: string, catalog: Catalog, run: RunNumber): void {
  try {
    fs.rmSync(runFolder(path.join(directory, "log"), run), { recursive: true, force: true });
    catalog.removeRun(run);
  } catch {
    // What stays of it is ended by the start that succeeds; why this one did not is what is told.
  }
}

function newCluster({ url }: BucketSpec): string {
  return `a new cluster was made in ${url}, which held none; were cells to be there, start with another --data and the right --bucket`;
}

/** The bucket inside of a data directory. */
export function urlInside(directory: string): string {
  return `dir:${path.resolve(directory, INSIDE)}`;
}

/** A folder inside of the directory is as good as the directory; a store that stands elsewhere than before is another one. */
function probeOf(directory: string, spec: BucketSpec, known: FrozenBucket | undefined): KeeperOptions["probe"] {
  const inside = urlInside(directory);
  if (spec.url === inside) return "never";
  const { url, endpoint } = known?.spec ?? { url: inside };
  const isSame = known === undefined || (url === spec.url && endpoint === spec.endpoint);
  return isSame ? "as needed" : "whole";
}

function isFull({ firstLsn, endLsn }: UnfinishedRun): boolean {
  return endLsn > firstLsn;
}

/** Earlier runs of the directory, as its log on this disk shows them. */
interface EarlierRuns {
  /** Those whose log the bucket may not have whole, with the extent of each. */
  readonly unfinished: readonly UnfinishedRun[];
  /** Bytes of them that cannot be read, and files that are missing. */
  readonly damages: readonly LogDamage[];
}

function earlierRuns(directory: string, catalog: Catalog, own: RunNumber): EarlierRuns {
  const files = listLogFiles(path.join(directory, "log"));
  const rows = catalog.runs().filter((row) => row.run < own && row.seal === 0);
  const damages: LogDamage[] = [];
  const unfinished = rows.map(({ run, id }): UnfinishedRun => {
    const extent = { firstLsn: 0 as Lsn, endLsn: 0 as Lsn };
    let before: FileScan | undefined;
    for (const entry of files.filter((file) => file.run === run)) {
      const scan = scanLogFile(entry, undefined, () => {}, "go on");
      if (scan.damage !== undefined) damages.push(scan.damage);
      if (scan.endLsn === 0) continue;
      if (before === undefined) extent.firstLsn = scan.firstLsn;
      // Behind damage it is not known where the log went on.
      else if (!before.damage && !scan.damage && scan.firstLsn !== before.endLsn) damages.push(missing(scan, before));
      extent.endLsn = scan.endLsn;
      before = scan;
    }
    return { run, runId: id as RunId, ...extent };
  });
  return { unfinished, damages };
}

function missing({ entry, firstLsn: lsn }: FileScan, before: FileScan): LogDamage {
  const reason = `${entry.path} begins at lsn ${lsn}, and ${before.entry.path}, the one before it, ends at ${before.endLsn}`;
  return { file: entry.path, offset: 0, lsn, reason };
}

/** Runs whose log stays here: what the directory has is brought into the bucket otherwise. */
function leftOut({ unfinished }: EarlierRuns): readonly UnfinishedRun[] {
  return unfinished.map((run) => ({ ...run, firstLsn: 0 as Lsn, endLsn: 0 as Lsn, leftOut: true }));
}

function markFinished(catalog: Catalog, finished: readonly FinishedRun[]): void {
  for (const row of catalog.runs()) {
    const seal = finished.find(({ run }) => run === row.run)?.seal;
    if (seal !== undefined) catalog.putRun({ ...row, seal });
  }
}

function sealsOf(catalog: Catalog): Map<RunId, Seq> {
  const rows = catalog.runs().filter(({ seal }) => seal > 0);
  return new Map(rows.map(({ id, seal }) => [id as RunId, seal as Seq]));
}
