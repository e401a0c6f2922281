// Cutting the logs of runs from below: what is spent goes, the base of the log first.
//
// Rules.
// - A part is looked into before it counts as spent; a pack tells of all segments in it, so most of a log is judged by few
//   objects. What does not say that it is a segment, or a pack of that run, ends the look: a seal stays where it is.
// - Then the base is raised, and only when it stands, what is below it is removed. What an earlier clean-up left below the
//   base goes too.
// - Packs go with the segments that they hold: with them one goes back through few objects.

import type { Bucket, Listed } from "../../bucket/bucket.ts";
import {
  baseKey,
  LOG_PREFIX,
  logKey,
  PACK_PREFIX,
  packKey,
  parseLogKey,
  runOfKey,
  parsePackKey,
} from "../../bucket/objectKeys.ts";
import type { Covered } from "../../core/claiming.ts";
import { highestBase, isSpent, type LogContent, type RetentionMoment } from "../../core/retention.ts";
import { FrondError } from "../../errors.ts";
import { BUCKET_LIST_LIMIT } from "../../limits.ts";
import { cover, type Part, type SeqRange } from "../../log/cover.ts";
import { checkIs, wantedOf } from "../../log/objectRecords.ts";
import { readFooter } from "../../log/runObjects.ts";
import type { Epoch, RunId, Seq, Slot } from "../../types.ts";

/** What is listed of a run's log. */
export interface ListedLog {
  readonly run: RunId;
  base: Seq;
  /** All bases that are there. */
  readonly bases: Seq[];
  /** The lowest numbers, rising; where the log is long, not all. */
  readonly numbers: Seq[];
  readonly packs: SeqRange[];
}

/** What logs are cleaned with. */
export interface LogCleaning {
  readonly bucket: Bucket;
  readonly moment: RetentionMoment;
  /** The base checkpoints of all slots that have one. */
  readonly bases: ReadonlyMap<Slot, Covered>;
  /** Objects that may still be looked into. */
  looks: number;
  /** What was found in objects, by key: they never change. */
  readonly known: Map<string, LogContent>;
  readonly signal: AbortSignal;
  /** The packs of a run are others now. */
  readonly changed: (run: RunId) => void;
}

/** Lists the logs of all runs with their packs. Of a long log only the beginning is listed, and its bases. */
export async function listLogs(bucket: Bucket, signal: AbortSignal): Promise<ListedLog[]> {
  const logs = new Map<RunId, ListedLog>();
  const logOf = (run: RunId): ListedLog => {
    const known = logs.get(run) ?? { run, base: 1 as Seq, bases: [], numbers: [], packs: [] };
    logs.set(run, known);
    return known;
  };
  for (let after: string | undefined; ;) {
    const page: Listed[] = await bucket.list(LOG_PREFIX, after, BUCKET_LIST_LIMIT, { signal });
    for (const { key } of page) {
      const run = runOfKey(key);
      const found = run && parseLogKey(run, key);
      if (run === undefined || found === undefined) continue;
      const log = logOf(run);
      if ("seq" in found) log.numbers.push(found.seq);
      else log.bases.push(found.base);
    }
    if (page.length < BUCKET_LIST_LIMIT) break;
    const last = page.at(-1)?.key as string;
    const run = runOfKey(last);
    // A page that is full of one log: its other numbers are younger. Its bases stand behind them.
    const isLong = run !== undefined && runOfKey(page[0]?.key as string) === run;
    after = isLong ? `${LOG_PREFIX}${run}/a` : last;
  }
  for (let after: string | undefined; ;) {
    const page: Listed[] = await bucket.list(PACK_PREFIX, after, BUCKET_LIST_LIMIT, { signal });
    for (const { key } of page) {
      const run = runOfKey(key);
      const pack = run && parsePackKey(run, key);
      if (run !== undefined && pack !== undefined) logOf(run).packs.push(pack);
    }
    if (page.length < BUCKET_LIST_LIMIT) break;
    after = page.at(-1)?.key;
  }
  for (const log of logs.values()) log.base = Math.max(1, ...log.bases) as Seq;
  return [...logs.values()];
}

/** Removes what is spent of a log. Tells how many objects went. Throws what the bucket throws; what was begun goes on next time. */
export async function cleanLog(cleaning: LogCleaning, log: ListedLog): Promise<number> {
  const { bucket, signal, changed } = cleaning;
  const { run } = log;
  const base = highestBase(await spentTo(cleaning, log), log.numbers);
  if (base > log.base) {
    // Before anything goes. That it is there already is as good.
    const raised = await bucket.create(baseKey(run, base), BASE_CONTENT, { signal });
    if (raised === "unknown") {
      throw new FrondError("BUCKET_FAILED", `nobody knows whether the base of the log of run ${run} was raised`);
    }
    log.base = base;
  }
  const packs = log.packs.filter(({ to }) => to <= log.base);
  const keys = [
    ...packs.map(({ from, to }) => packKey(run, from, to)),
    ...log.numbers.filter((seq) => seq < log.base).map((seq) => logKey(run, seq)),
    ...log.bases.filter((old) => old < log.base).map((old) => baseKey(run, old)),
  ];
  if (packs.length > 0) changed(run);
  if (keys.length > 0) await bucket.delete(keys, { signal });
  return keys.length;
}

/** Up to where everything in a log is spent. */
async function spentTo(cleaning: LogCleaning, log: ListedLog): Promise<Seq> {
  const { bases, moment } = cleaning;
  const last = log.numbers.at(-1);
  let at = log.base;
  if (last === undefined) return at;
  for (let packs: readonly SeqRange[] = log.packs; at < last;) {
    const [part] = cover(log.run, packs, { from: at, to: last }, last) as [Part, ...Part[]];
    const content = await contentOf(cleaning, part);
    if (content !== undefined && isSpent(content, bases, moment)) {
      at = part.to;
      packs = log.packs;
    } else if (part.kind === "segment") return at;
    else packs = packs.filter((pack) => pack.to - pack.from < part.to - part.from);
  }
  return at;
}

/** What an object holds; undefined: it is not there, not what it should be, or enough was looked into. */
async function contentOf(cleaning: LogCleaning, part: Part): Promise<LogContent | undefined> {
  const { bucket, known } = cleaning;
  const { key, to } = part;
  const before = known.get(key);
  if (before !== undefined) return before;
  if (cleaning.looks === 0) return undefined;
  cleaning.looks -= 1;
  const footer = await readFooter(bucket, key);
  // A seal is no part of what may go; nor is anything of which nobody knows what it is.
  if (footer === undefined || footer.kind === "seal") return undefined;
  checkIs(footer, wantedOf(part));
  const epochs = new Map<Slot, Epoch>();
  for (const { slot, epoch } of footer.entries) if (epoch > (epochs.get(slot) ?? 0)) epochs.set(slot, epoch);
  const content = { to, epochs, lastMs: footer.lastMs };
  if (known.size >= KNOWN) known.clear();
  known.set(key, content);
  return content;
}

/** Objects of which it is remembered what they hold. Count. */
const KNOWN = 2_000;
/** A base says everything by its key; for people it is text. */
const BASE_CONTENT = Buffer.from("what is below this number was cleaned up\n");
