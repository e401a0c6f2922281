// Clean-up, carried out: core/retention over the whole bucket, now and then, beside everything else.
//
// Rules.
// - At most one in ten minutes, and so seldom that a day of them keeps below a number of requests: nothing depends on when.
// - A base checkpoint counts when its end can be read: what is cut away because of it must be in it.
// - Checkpoints in front of a slot's base go first: so any checkpoint that is listed covers all that was ever cut of its slot.
//   Then logs are cut, whose bases are raised before; then snapshots go that none of the checkpoints names; then the records
//   of slots that were replaced.
// - The time is the store's, as it stamped this node's own lease; but it goes on no faster than this process has lived. That of a folder
//   is a machine's, which may be set wrong for a moment, and what is removed then is gone.

import type { Bucket, Listed } from "../../bucket/bucket.ts";
import {
  CELL_PREFIX,
  isSnapshotKey,
  leaseKey,
  parseCheckpointKey,
  parseSlotKey,
  SLOT_PREFIX,
} from "../../bucket/objectKeys.ts";
import { oldCheckpoints, oldRecords, oldSnapshots, type RetentionMoment, slotBase } from "../../core/retention.ts";
import { isFrondError } from "../../errors.ts";
import {
  BUCKET_LIST_LIMIT,
  CLEAN_UP_LOOKS,
  CLEAN_UP_MS,
  CLEAN_UP_REQUESTS_PER_DAY,
  CLOCK_MARGIN_MS,
  FIRST_CLEAN_UP_MS,
} from "../../limits.ts";
import { snapshotKeyOf } from "../../store/snapshot.ts";
import type { RunId, Slot } from "../../types.ts";
import { cleanLog, listLogs, type LogCleaning } from "./logCleaning.ts";
import type { ListedCheckpoint, SlotIndexes } from "../slots/slotIndexes.ts";

/** What clean-up works with. */
export interface CleanUpOptions {
  /** Counts what is asked of it. */
  readonly bucket: Bucket & { counts(): { readonly list: number; readonly get: number; readonly create: number } };
  readonly indexes: SlotIndexes;
  readonly retentionMs: number;
  /** The run whose lease tells the time of the store. */
  readonly runId: () => RunId | undefined;
  /** Monotonic, in ms. */
  readonly now: () => number;
  /** The newest checkpoint of a slot, as it was listed. */
  readonly listed: (slot: Slot, newest: ListedCheckpoint) => void;
  readonly failed: (what: string, error: unknown) => void;
}

/** What one clean-up did. Counts. */
export interface CleanedUp {
  readonly logObjects: number;
  readonly checkpoints: number;
  readonly snapshots: number;
  readonly records: number;
}

/** What stands below `cell/`. */
interface Cells {
  readonly checkpoints: Map<Slot, ListedCheckpoint[]>;
  readonly snapshots: Map<Slot, Listed[]>;
}

/** See the head of the file. One per bucket thread. */
export class CleanUp {
  readonly #o: CleanUpOptions;
  readonly #ending = new AbortController();
  /** What the checkpoints name, by key; one that is in here can be read. */
  readonly #named = new Map<string, readonly string[]>();
  readonly #known: LogCleaning["known"] = new Map();
  #next: number;
  /** The store's time at the first look, and this process's. */
  #began: { readonly storeMs: number; readonly ms: number } | undefined;
  /** It went well once: the newest checkpoints of all slots were told. */
  hasListed = false;

  constructor(options: CleanUpOptions) {
    this.#o = options;
    this.#next = options.now() + FIRST_CLEAN_UP_MS;
  }

  stop(): void {
    this.#ending.abort();
  }

  /** Cleans up, if it is time. Never rejects. */
  async look(): Promise<void> {
    const { now, bucket, failed } = this.#o;
    if (now() < this.#next || this.#ending.signal.aborted) return;
    const before = bucket.counts();
    try {
      await this.run();
    } catch (error) {
      if (!this.#ending.signal.aborted) failed("cleaning up", error);
    }
    const after = bucket.counts();
    // What others asked for meanwhile counts as well: it is little, and errs on the side of cost.
    const requests = after.list - before.list + after.get - before.get + after.create - before.create;
    this.#next = now() + Math.max(CLEAN_UP_MS, requests * (DAY_MS / CLEAN_UP_REQUESTS_PER_DAY));
  }

  /** Cleans up now; undefined: there is no lease that tells the time. Throws what the bucket throws. */
  async run(): Promise<CleanedUp | undefined> {
    const { bucket, retentionMs, indexes } = this.#o;
    const { signal } = this.#ending;
    const storeMs = await this.#storeTime();
    if (storeMs === undefined) return undefined;
    const ms = this.#o.now();
    this.#began ??= { storeMs, ms };
    const now = Math.min(storeMs, this.#began.storeMs + (ms - this.#began.ms) + CLOCK_MARGIN_MS);
    const moment = { now, retentionMs };
    const cells = await this.#listCells();
    const bases = await this.#bases(cells, moment);
    const cleaning: LogCleaning = {
      bucket,
      moment,
      bases,
      known: this.#known,
      signal,
      looks: CLEAN_UP_LOOKS,
      changed: (run) => indexes.packs.drop(run),
    };
    const checkpoints = await this.#cleanCheckpoints(cells, bases);
    let logObjects = 0;
    for (const log of await listLogs(bucket, signal)) {
      try {
        logObjects += await cleanLog(cleaning, log);
      } catch (error) {
        signal.throwIfAborted();
        this.#o.failed(`cleaning up the log of run ${log.run}`, error);
      }
    }
    const snapshots = await this.#cleanSnapshots(cells, bases);
    const records = await this.#cleanRecords(moment);
    return { logObjects, checkpoints, snapshots, records };
  }

  async #storeTime(): Promise<number | undefined> {
    const { bucket, runId } = this.#o;
    const run = runId();
    if (run === undefined) return undefined;
    const key = leaseKey(run);
    const found = await bucket.list(key, undefined, 1, { signal: this.#ending.signal });
    return found.find((lease) => lease.key === key)?.modifiedMs;
  }

  async #listCells(): Promise<Cells> {
    const checkpoints: Cells["checkpoints"] = new Map();
    const snapshots: Cells["snapshots"] = new Map();
    for await (const listed of this.#list(CELL_PREFIX)) {
      const { key, size: bytes, modifiedMs } = listed;
      const is = parseCheckpointKey(key);
      if (is !== undefined) put(checkpoints, is.slot, { key, epoch: is.epoch, seq: is.seq, bytes, modifiedMs });
      else if (isSnapshotKey(key)) put(snapshots, Number(key.slice(CELL_PREFIX.length).split("/")[0]) as Slot, listed);
    }
    for (const [slot, all] of checkpoints) this.#o.listed(slot, all.at(-1) as ListedCheckpoint);
    this.hasListed = true;
    return { checkpoints, snapshots };
  }

  /** The bases of all slots, as far as each can be read. */
  async #bases({ checkpoints }: Cells, moment: RetentionMoment): Promise<Map<Slot, ListedCheckpoint>> {
    const bases = new Map<Slot, ListedCheckpoint>();
    for (const [slot, all] of checkpoints) {
      const base = slotBase(all, moment);
      if (base !== undefined && (await this.#namedBy(slot, base)) !== undefined) bases.set(slot, base);
    }
    return bases;
  }

  /** The snapshots that a checkpoint names; undefined: it is gone, or damaged. */
  async #namedBy(slot: Slot, checkpoint: ListedCheckpoint): Promise<readonly string[] | undefined> {
    const known = this.#named.get(checkpoint.key);
    if (known !== undefined) return known;
    try {
      const footer = await this.#o.indexes.checkpoint(checkpoint);
      if (footer === undefined) return undefined;
      const named: string[] = [];
      for (const entry of footer.entries) {
        const head = entry.head();
        if (head.type !== "commit") continue;
        for (const { address, base } of head.cells) {
          if (base !== undefined) named.push(snapshotKeyOf({ slot, address }, base));
        }
      }
      this.#named.set(checkpoint.key, named);
      return named;
    } catch (error) {
      if (!isFrondError(error, "OBJECT_DAMAGED")) throw error;
      this.#o.failed(`looking into ${checkpoint.key}`, error);
      return undefined;
    }
  }

  /** Removes the checkpoints in front of the bases, also from what was listed. Tells how many. */
  async #cleanCheckpoints({ checkpoints }: Cells, bases: ReadonlyMap<Slot, ListedCheckpoint>): Promise<number> {
    let removed = 0;
    for (const [slot, all] of checkpoints) {
      const old = oldCheckpoints(all, bases.get(slot));
      if (old.length === 0) continue;
      await this.#delete(old);
      for (const { key } of old) this.#named.delete(key);
      checkpoints.set(slot, all.slice(old.length));
      removed += old.length;
    }
    return removed;
  }

  async #cleanSnapshots(
    { checkpoints, snapshots }: Cells,
    bases: ReadonlyMap<Slot, ListedCheckpoint>,
  ): Promise<number> {
    let removed = 0;
    for (const [slot, all] of snapshots) {
      const named = await this.#namedByAll(slot, checkpoints.get(slot) ?? []);
      const old = named === undefined ? [] : oldSnapshots(all, named, bases.get(slot));
      await this.#delete(old);
      removed += old.length;
    }
    return removed;
  }

  async #delete(objects: readonly { readonly key: string }[]): Promise<void> {
    if (objects.length === 0) return;
    const keys = objects.map(({ key }) => key);
    await this.#o.bucket.delete(keys, { signal: this.#ending.signal });
  }

  /** The snapshots that a slot's checkpoints name; undefined: one of them does not tell. */
  async #namedByAll(slot: Slot, checkpoints: readonly ListedCheckpoint[]): Promise<ReadonlySet<string> | undefined> {
    const named = new Set<string>();
    for (const checkpoint of checkpoints) {
      const its = await this.#namedBy(slot, checkpoint);
      if (its === undefined) return undefined;
      for (const key of its) named.add(key);
    }
    return named;
  }

  async #cleanRecords(moment: RetentionMoment): Promise<number> {
    const slots = new Map<Slot, Listed[]>();
    for await (const listed of this.#list(SLOT_PREFIX)) {
      const slot = parseSlotKey(listed.key)?.slot;
      if (slot !== undefined) put(slots, slot, listed);
    }
    const old = [...slots.values()].flatMap((records) => oldRecords(records, moment));
    await this.#delete(old);
    return old.length;
  }

  async *#list(prefix: string): AsyncGenerator<Listed, void, void> {
    for (let after: string | undefined; ;) {
      const page = await this.#o.bucket.list(prefix, after, BUCKET_LIST_LIMIT, { signal: this.#ending.signal });
      yield* page;
      if (page.length < BUCKET_LIST_LIMIT) return;
      after = page.at(-1)?.key;
    }
  }
}

const DAY_MS = 24 * 3600_000;

function put<K, V>(lists: Map<K, V[]>, key: K, value: V): void {
  const list = lists.get(key);
  if (list === undefined) lists.set(key, [value]);
  else list.push(value);
}
