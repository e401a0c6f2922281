// Whether a bucket holds a whole cluster: every object that is listed is what its key says, and every slot can be read.
//
// Rule: beginnings and ends are read, not the blocks in between: each object's footer stands under a checksum and tells where
// everything in it lies, and with it every slot is read as a node would that opens it. What is wrong is told, and does
// not end the look.

import type { Bucket } from "../../bucket/bucket.ts";
import { listAll } from "../../bucket/listAll.ts";
import {
  CELL_PREFIX,
  isSnapshotKey,
  LOG_PREFIX,
  logKey,
  PACK_PREFIX,
  parseCheckpointKey,
  parseLogKey,
  parsePackKey,
  parseSlotKey,
  runOfKey,
  SLOT_PREFIX,
} from "../../bucket/objectKeys.ts";
import type { ObjectKind } from "../../codec/object.ts";
import type { Footer } from "../../codec/objectReader.ts";
import { FrondError, isFrondError } from "../../errors.ts";
import { BACKUP_AT_ONCE } from "../../limits.ts";
import { intentOfPack } from "../../log/cover.ts";
import { listRunLog, readFooter, readHeader } from "../../log/runObjects.ts";
import { intentOf } from "../../store/snapshot.ts";
import type { RunId, Seq, Slot } from "../../types.ts";
import { SlotHistories } from "../slots/slotHistory.ts";

/** What was looked at, and what is wrong with it. Counts, and a sentence each. */
export interface Verified {
  readonly objects: number;
  readonly slots: number;
  readonly cells: number;
  readonly wrong: readonly string[];
}

/** Looks through a bucket. Throws what the bucket throws. */
export async function verifyCopy(bucket: Bucket, progress?: (looked: number) => void): Promise<Verified> {
  const wrong: string[] = [];
  const slots = new Set<Slot>();
  let objects = 0;
  const looking = new Set<Promise<void>>();
  const look = (key: string): void => {
    const one = told(wrong, () => checkObject(bucket, key)).then(() => {
      objects += 1;
      progress?.(objects);
      looking.delete(one);
    });
    one.catch(() => {});
    looking.add(one);
  };
  for (const prefix of [LOG_PREFIX, PACK_PREFIX, CELL_PREFIX, SLOT_PREFIX]) {
    for await (const { key } of listAll(bucket, prefix)) {
      const slot = parseSlotKey(key)?.slot;
      if (slot !== undefined) slots.add(slot);
      while (looking.size >= BACKUP_AT_ONCE) await Promise.race(looking);
      look(key);
    }
  }
  await Promise.all(looking);
  const histories = new SlotHistories(bucket);
  let cells = 0;
  for (const slot of slots) {
    await told(wrong, async () => {
      cells += await readSlot(bucket, histories, slot);
    });
  }
  return { objects, slots: slots.size, cells, wrong };
}

async function told(wrong: string[], work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    if (!isFrondError(error) || error.retryable) throw error;
    wrong.push(error.message);
  }
}

/** What the object at a key has to be; undefined: nothing with a footer. */
function kindOf(key: string): readonly ObjectKind[] | undefined {
  const run = runOfKey(key);
  if (key.startsWith(LOG_PREFIX) && run !== undefined) {
    const is = parseLogKey(run, key);
    return is !== undefined && "seq" in is ? ["segment", "seal"] : undefined;
  }
  if (key.startsWith(PACK_PREFIX) && run !== undefined) {
    return parsePackKey(run, key) === undefined ? undefined : ["pack"];
  }
  if (parseCheckpointKey(key) !== undefined) return ["checkpoint"];
  return isSnapshotKey(key) ? ["snapshot"] : undefined;
}

/** What is in the object belongs at this key. */
function isAt({ runId, number, intent }: Footer, key: string): boolean {
  const run = runOfKey(key);
  if (run === undefined) return intentOf(key).equals(intent);
  const pack = parsePackKey(run, key);
  if (pack !== undefined) return Buffer.compare(intentOfPack(run, pack), intent) === 0;
  const is = parseLogKey(run, key);
  return runId === run && is !== undefined && "seq" in is && is.seq === number;
}

async function checkObject(bucket: Bucket, key: string): Promise<void> {
  const kinds = kindOf(key);
  if (kinds === undefined) return;
  const footer = await readFooter(bucket, key);
  if (footer === undefined)
    throw new FrondError("OBJECT_DAMAGED", `${key} was listed in ${bucket.url} and is not there`);
  if (kinds.includes(footer.kind) && isAt(footer, key)) return;
  const what = `${footer.kind} ${footer.number} of run ${footer.runId}`;
  throw new FrondError("OBJECT_DAMAGED", `${key} in ${bucket.url} is ${what}, which has another key`);
}

/** Reads a slot as a node would that opens it. Tells how many cells are in it. */
async function readSlot(bucket: Bucket, histories: SlotHistories, slot: Slot): Promise<number> {
  const record = await histories.newest(slot);
  if (record === undefined) return 0;
  const { epoch, run, from, sources, covered } = record;
  const ranges = [...sources, { epoch, run, from, to: await endOf(bucket, run) }];
  const index = await histories.read(slot, ranges, await histories.newestCheckpoint(slot, covered));
  let cells = 0;
  for (const cell of index.cells.values()) {
    if (cell.entry.deleted) continue;
    // With the ends of the snapshots that cells lie on.
    await histories.indexes.placesOf(cell);
    cells += 1;
  }
  return cells;
}

/** Where a run's log ends in a copy: at its seal or, where it went on while it was copied, behind the last segment. */
async function endOf(bucket: Bucket, run: RunId): Promise<Seq> {
  const { base, seqs } = await listRunLog(bucket, run);
  const last = seqs.at(-1);
  if (last === undefined) return base;
  const header = await readHeader(bucket, logKey(run, last));
  return header?.kind === "seal" ? last : ((last + 1) as Seq);
}
