// A world of one bucket and the disks that come and go: the real classes of the bucket thread, driven by chance, beside a
// truth that knows what must be there. No node, no threads, no waiting: the clock is the world's.

import { randomBytes } from "node:crypto";
import fs from "node:fs";
import path from "node:path";
import { type CountedBucket, countedBucket } from "../../src/bucket/counted.ts";
import { MemoryStore, openMemoryBucket } from "../../src/bucket/memory.ts";
import { checkpointKey, leaseKey, packKey } from "../../src/bucket/objectKeys.ts";
import { type ClaimRecord, claimLength, commitLength, encodeClaim, encodeCommit } from "../../src/codec/record.ts";
import { isFrondError } from "../../src/errors.ts";
import { cover, listPacks } from "../../src/log/cover.ts";
import { LogHands } from "../../src/log/logHands.ts";
import { makePack } from "../../src/log/pack.ts";
import { listRunLog, readHeader } from "../../src/log/runObjects.ts";
import { sealRun } from "../../src/log/sealRun.ts";
import { CleanUp } from "../../src/server/upkeep/cleanUp.ts";
import { finishRuns } from "../../src/server/runs/finishRuns.ts";
import { cleanLog, listLogs } from "../../src/server/upkeep/logCleaning.ts";
import { SlotClaims } from "../../src/server/slots/slotClaims.ts";
import type { HistoryLimit, SlotIndex } from "../../src/server/slots/slotIndex.ts";
import { fetchCell } from "../../src/store/fetch.ts";
import { Random } from "../../src/torture/random.ts";
import type { Address, Epoch, Lsn, RunId, RunNumber, Seq, Slot, Txid } from "../../src/types.ts";
import { Ended, renumbered, thatEnds, withoutBases } from "./historyHands.ts";
import { Disk, type DiskRun, Life } from "./historyLife.ts";
import { type CellState, changeCell, contentOf, SlotTruth, wrongInEntry } from "./historyTruth.ts";

/** One deliberate mistake. */
export type Broken =
  | "a checkpoint of what is not confirmed"
  | "deletes before the base is raised"
  | "clean-up does not ask the base checkpoints"
  | "a disk's own files are believed beyond the end of its log"
  | "a txid is used again";

export const RETENTION = 3600_000;
const TTL = 60;
const SLOTS = [3, 700] as Slot[];
const NAMES = ["n/a", "n/b", "n/a/folder/x"];
const NEVER = new AbortController().signal;
const FACTS = { sleep: async () => {}, signal: NEVER, failed: () => {} };

/** See the head of the file. */
export class HistoryWorld {
  readonly retentionMs = RETENTION;
  readonly ttlMs = TTL;
  now = 1_700_000_000_000;
  readonly problems: string[] = [];
  readonly random: Random;
  readonly store = new MemoryStore(() => this.now);
  readonly bucket: CountedBucket = countedBucket(openMemoryBucket(this.store));
  /** How often each thing happened. */
  readonly happened = new Map<string, number>();
  readonly #broken: Broken | undefined;
  readonly #folder: string;
  readonly #truth = new Map<Slot, SlotTruth>(SLOTS.map((slot) => [slot, new SlotTruth()]));
  readonly #positions = new Set<string>();
  readonly #disks: Disk[] = [];
  #life: Life | undefined;

  constructor(seed: number, folder: string, broken?: Broken) {
    this.random = new Random(seed);
    this.#folder = folder;
    this.#broken = broken;
  }

  /** Plays so many steps, and looks at everything in between. */
  async play(steps: number): Promise<void> {
    try {
      await this.#start(this.#newDisk());
      for (let i = 0; i < steps && this.problems.length === 0; i++) await this.#step();
      if (this.problems.length === 0) await this.#check();
    } catch (error) {
      this.#wrong((error as Error).stack ?? String(error));
    }
    await this.#life?.log.close();
    this.#life?.upload.close();
  }

  #newClaims(): SlotClaims {
    const facts = { ...FACTS, bucket: this.bucket, appVersion: "0", adopted: [], retentionMs: RETENTION };
    return new SlotClaims({ ...facts, now: () => this.now });
  }

  hands(runId: RunId): LogHands {
    return new LogHands({ ...FACTS, bucket: this.bucket, runId });
  }

  #wrong(what: string): void {
    this.problems.push(what);
  }

  async #step(): Promise<void> {
    const { random } = this;
    this.now += random.between(1, 60_000);
    const what = random.weighted({
      commit: 40,
      upload: 20,
      pack: 5,
      checkpoint: 8,
      "clean up": 5,
      check: 4,
      wait: 4,
      "stop and start": 2,
      "crash and start": 3,
      lapse: 2,
      "lose the disk": 3,
    });
    this.happened.set(what, (this.happened.get(what) ?? 0) + 1);
    const life = this.#life as Life;
    switch (what) {
      case "commit":
        return this.#commit(life, random.pick(SLOTS));
      case "upload":
        return this.#upload(life);
      case "pack":
        return this.#pack();
      case "checkpoint":
        return this.#checkpoint(life, random.pick(SLOTS));
      case "clean up":
        return this.#cleanUp(life);
      case "check":
        return this.#check();
      case "wait":
        this.now += random.pick([1, 40, 90, 1_800]) * 60_000;
        return;
      case "lapse":
        life.believed = false;
        await this.#finish(life);
        return this.#newRun(life.disk, life.claims);
      case "stop and start":
        await this.#finish(life);
        return this.#start(life.disk);
      default:
        await this.#crash(life);
        return this.#start(what === "crash and start" ? life.disk : this.#anotherDisk(life.disk));
    }
  }

  // --- disks and runs

  #newDisk(): Disk {
    const disk = new Disk(path.join(this.#folder, String(this.#disks.length)));
    this.#disks.push(disk);
    return disk;
  }

  /** A new one, or one that had been away. */
  #anotherDisk(now: Disk): Disk {
    const others = this.#disks.filter((disk) => disk !== now);
    return others.length > 0 && this.random.chance(0.4) ? this.random.pick(others) : this.#newDisk();
  }

  async #start(disk: Disk): Promise<void> {
    // Whoever starts ends the runs whose disks are elsewhere, and what they had not uploaded is lost.
    for (const other of this.#disks) if (other !== disk) await this.#endElsewhere(other);
    const run = (disk.runs.length + 1) as RunNumber;
    const unfinished = disk.runs.filter(({ seal }) => seal === 0);
    const { finished, lost } = await finishRuns({
      bucket: this.bucket,
      logFolder: disk.logFolder,
      unfinished,
      inPlace: true,
      own: "f".repeat(32) as RunId,
      ttlMs: TTL,
      signal: NEVER,
      handsOf: (runId) => this.hands(runId),
      warn: () => {},
    });
    const believes = this.#broken === "a disk's own files are believed beyond the end of its log";
    if (lost.length > 0 && !believes) {
      disk.knows.clear();
      disk.cells.clear();
    }
    const claims = this.#newClaims();
    for (const { run: number, seal } of finished) {
      const row = disk.runs.find((known) => known.run === number) as DiskRun;
      row.seal = seal;
    }
    for (const { runId, seal } of disk.runs) if (seal > 0) claims.histories.noteSeal(runId, seal as Seq);
    return this.#newRun(disk, claims, run);
  }

  async #endElsewhere(disk: Disk): Promise<void> {
    for (const row of disk.runs) {
      if (row.seal > 0 || (await this.#sealOf(row.runId)) !== undefined) continue;
      await sealRun(this.hands(row.runId), row.runId, this.now);
      for (const truth of this.#truth.values()) truth.lose(row.runId, row.uploaded);
    }
  }

  async #sealOf(run: RunId): Promise<Seq | undefined> {
    const last = (await listRunLog(this.bucket, run)).seqs.at(-1);
    const kind = last && (await readHeader(this.bucket, `log/${run}/${String(last).padStart(10, "0")}`))?.kind;
    return kind === "seal" ? last : undefined;
  }

  #newRun(disk: Disk, claims: SlotClaims, run = (disk.runs.length + 1) as RunNumber): void {
    const nothing = { firstLsn: 0 as Lsn, endLsn: 0 as Lsn, uploaded: 0 as Lsn, seal: 0 as const };
    const row = { run, runId: randomBytes(16).toString("hex") as RunId, ...nothing };
    disk.runs.push(row);
    this.#life = new Life(this, disk, row, claims);
  }

  async #flush({ log, row }: Life): Promise<void> {
    await log.flushed();
    row.endLsn = log.durable;
  }

  /** The log is whole in the bucket, and sealed. */
  async #finish(life: Life): Promise<void> {
    await this.#flush(life);
    await life.log.close();
    const { seal, ours } = await life.upload.finish(life.row.endLsn);
    life.upload.close();
    if (!ours || seal === undefined) return this.#wrong(`run ${life.row.runId} did not end its log itself`);
    Object.assign(life.row, { seal, uploaded: life.row.endLsn });
    life.claims.histories.noteSeal(life.row.runId, seal);
  }

  async #crash(life: Life): Promise<void> {
    await this.#flush(life);
    life.row.uploaded = life.upload.uploaded;
    await life.log.close();
    life.upload.close();
  }

  // --- slots

  /** Takes a slot as a node does: what it knows afterwards must be the truth. */
  async #open(life: Life, slot: Slot): Promise<void> {
    const { disk, claims } = life;
    const truth = this.#truth.get(slot) as SlotTruth;
    const knows = disk.knows.get(slot) ?? { run: undefined, epoch: 0 as Epoch, txid: 0 as Txid };
    const opened = await claims.open({ slot, knows }, life.own);
    const { txid } = opened;
    const epoch = (opened.epoch - (this.#broken === "a txid is used again" && opened.epoch > 1 ? 1 : 0)) as Epoch;
    const last = truth.commits.at(-1)?.txid ?? 0;
    if (txid !== last) this.#wrong(`slot ${slot} is opened at ${txid}, and its last commit is ${last}`);
    if (opened.cells !== undefined) disk.cells.set(slot, new Map());
    const state = truth.state();
    for (const cell of state.values()) {
      const known = disk.cells.get(slot)?.get(cell.address);
      if (opened.cells === undefined) {
        if (known !== cell) this.#wrong(`the disk has ${cell.address} as it never was, or is no more`);
        continue;
      }
      const entry = opened.cells.find(({ address }) => address === cell.address);
      const wrong = this.#mayBeGone(cell) && entry === undefined ? undefined : wrongInEntry(entry, cell);
      if (wrong !== undefined) this.#wrong(`slot ${slot} is opened: ${wrong}`);
      disk.cells.get(slot)?.set(cell.address, cell);
    }
    disk.knows.set(slot, { run: life.row.runId, epoch, txid });
    life.open.set(slot, { epoch, txid, isClaimed: false });
  }

  async #commit(life: Life, slot: Slot): Promise<void> {
    if (!life.open.has(slot)) await this.#open(life, slot);
    const open = life.open.get(slot);
    if (open === undefined || this.problems.length > 0) return;
    const { disk, log, row } = life;
    if (!open.isClaimed) this.#claim(life, slot, open);
    open.txid = (open.txid + 1) as Txid;
    const at = { epoch: open.epoch, txid: open.txid, time: this.now };
    const position = `${slot}: ${at.epoch}-${at.txid}`;
    if (this.#positions.has(position)) this.#wrong(`the position ${position} is used twice`);
    this.#positions.add(position);
    const cells = disk.cells.get(slot) ?? new Map<Address, CellState>();
    disk.cells.set(slot, cells);
    const names = this.random.chance(0.1) ? NAMES.slice(0, 2) : [this.random.pick(NAMES)];
    const made = names.map((name) => {
      const address = `${name}${slot}` as Address;
      return changeCell(this.random, address, cells.get(address), at);
    });
    const images = made.map(({ image }) => image);
    const record = { slot, ...at, cells: images, changes: made.flatMap(({ changes }) => changes) };
    const place = log.begin(commitLength(record));
    log.end(place, encodeCommit(record, log.target, place));
    const states = made.map(({ state }) => state);
    for (const state of states) cells.set(state.address, state);
    disk.knows.set(slot, { run: row.runId, epoch: open.epoch, txid: open.txid });
    this.#truth.get(slot)?.commits.push({ ...at, run: row.runId, lsn: log.appended, cells: states });
  }

  #claim(life: Life, slot: Slot, open: { epoch: Epoch; txid: Txid; isClaimed: boolean }): void {
    const { log, row } = life;
    const { epoch, txid } = open;
    const previousEpoch = (epoch - 1) as Epoch;
    const run = { run: row.run, runId: Buffer.from(row.runId, "hex") };
    const record: ClaimRecord = { slot, epoch, txid, time: this.now, previousEpoch, ...run };
    const place = log.begin(claimLength());
    log.end(place, encodeClaim(record, log.target, place));
    open.isClaimed = true;
  }

  // --- the bucket

  async #upload(life: Life): Promise<void> {
    await this.#flush(life);
    await life.upload.step(life.row.endLsn, 0 as Lsn);
    this.now += 5_000;
    await life.upload.step(life.row.endLsn, 0 as Lsn);
    life.row.uploaded = life.upload.uploaded;
  }

  async #pack(): Promise<void> {
    const { random, bucket } = this;
    const disk = random.pick(this.#disks);
    const run = random.pick(disk.runs).runId;
    const { seqs } = await listRunLog(bucket, run);
    const last = (await this.#sealOf(run)) === undefined ? seqs.length : seqs.length - 1;
    const from = random.between(0, last);
    const to = random.between(from, last);
    if (to - from < 2) return;
    const range = { from: seqs[from] as Seq, to: ((seqs[to - 1] as Seq) + 1) as Seq };
    const packs = (await listPacks(bucket, run)).filter((pack) => pack.from >= range.from && pack.to <= range.to);
    const bytes = await makePack(bucket, cover(run, packs, range));
    if (bytes !== undefined) await bucket.create(packKey(run, range.from, range.to), bytes);
    this.#life?.claims.indexes.packs.drop(run);
  }

  async #checkpoint(life: Life, slot: Slot): Promise<void> {
    const { bucket } = this;
    const { seq } = life.upload;
    if (!(await life.checkpoints.write(slot)) || this.#broken !== "a checkpoint of what is not confirmed") return;
    const epoch = life.open.get(slot)?.epoch as Epoch;
    const key = checkpointKey(slot, epoch, seq);
    const found = await bucket.get(key);
    if (found === undefined) return;
    // What is being uploaded counts as confirmed.
    await bucket.delete([key]);
    const more = (seq + 1) as Seq;
    await bucket.put(checkpointKey(slot, epoch, more), renumbered(found.bytes, more));
  }

  async #cleanUp(life: Life): Promise<void> {
    const { runId } = life.row;
    const ends = this.random.chance(0.3) ? this.random.between(0, 6) : Infinity;
    const all = this.#broken === "deletes before the base is raised" ? withoutBases(this.bucket) : this.bucket;
    const bucket = thatEnds(all, ends);
    await this.bucket.put(leaseKey(runId), Buffer.from("{}"));
    const cleanUp = new CleanUp({
      bucket,
      indexes: life.claims.indexes,
      retentionMs: RETENTION,
      runId: () => runId,
      now: () => this.now,
      listed: () => {},
      failed: (what, error) => {
        if (!(error instanceof Ended)) this.#wrong(`${what}: ${(error as Error).message}`);
      },
    });
    const done = await cleanUp.run().catch((error: unknown) => {
      if (!(error instanceof Ended)) throw error;
    });
    await this.bucket.delete([leaseKey(runId)]);
    for (const [name, count] of Object.entries(done ?? {})) {
      this.happened.set(name, (this.happened.get(name) ?? 0) + count);
    }
    if (this.#broken !== "clean-up does not ask the base checkpoints") return;
    const everything = { epoch: 1e9 as Epoch, seq: 1e9 as Seq };
    const bases = new Map(SLOTS.map((slot) => [slot, everything]));
    const moment = { now: this.now, retentionMs: RETENTION };
    const facts = { bucket, moment, bases, looks: 1_000, known: new Map(), signal: NEVER, changed: () => {} };
    for (const log of await listLogs(bucket, NEVER)) await cleanLog(facts, log);
  }

  // --- what must be

  /** A tombstone goes when nobody can go back to before it, if it has given no ids. */
  #mayBeGone(cell: CellState): boolean {
    return cell.deleted && cell.lastId === 0 && cell.changedMs < this.now - RETENTION;
  }

  /** Whoever looks into the bucket now finds the cells as they are, and as they were. */
  async #check(): Promise<void> {
    const life = this.#life as Life;
    const claims = this.#newClaims();
    for (const { runId, seal } of life.disk.runs) if (seal > 0) claims.histories.noteSeal(runId, seal as Seq);
    for (const slot of SLOTS) {
      await this.#compare(claims, slot, await claims.indexOf(slot, life.own), undefined);
      for (let i = 0; i < 2; i++) await this.#checkAt(claims, slot);
    }
  }

  async #checkAt(claims: SlotClaims, slot: Slot): Promise<void> {
    const { random } = this;
    const commits = (this.#truth.get(slot) as SlotTruth).commits;
    if (commits.length === 0) return;
    const some = random.pick(commits);
    const limit: HistoryLimit = random.chance(0.5)
      ? { position: { epoch: some.epoch, txid: some.txid } }
      : { time: random.chance(0.5) ? some.time : this.now - random.between(0, RETENTION) };
    const isWithin = ("time" in limit ? limit.time : some.time) >= this.now - RETENTION;
    try {
      const index = await claims.indexAt(slot, limit, (this.#life as Life).own);
      this.happened.set("looked back", (this.happened.get("looked back") ?? 0) + 1);
      await this.#compare(claims, slot, index, limit);
    } catch (error) {
      if (isWithin || !isFrondError(error, "HISTORY_GONE")) throw error;
      this.happened.set("too far back", (this.happened.get("too far back") ?? 0) + 1);
    }
  }

  async #compare(claims: SlotClaims, slot: Slot, index: SlotIndex, limit: HistoryLimit | undefined): Promise<void> {
    const { row, upload, disk } = this.#life as Life;
    const truth = (this.#truth.get(slot) as SlotTruth).state(
      ({ run, lsn }) => run !== row.runId || lsn <= upload.uploaded,
      limit,
    );
    const when = limit === undefined ? "now" : `at ${JSON.stringify(limit)}`;
    for (const cell of truth.values()) {
      const found = index.cells.get(cell.address);
      const wrong = this.#mayBeGone(cell) && found === undefined ? undefined : wrongInEntry(found?.entry, cell);
      if (wrong !== undefined) this.#wrong(`slot ${slot} ${when}: ${wrong}`);
      if (wrong !== undefined || found === undefined || cell.deleted) continue;
      const file = path.join(disk.folder, "cell.db");
      const { address, pageSize, pageCount } = cell;
      await fetchCell(
        this.bucket,
        { address, pageSize, pageCount, places: await claims.indexes.placesOf(found) },
        file,
      );
      if (!fs.readFileSync(file).equals(contentOf(cell)))
        this.#wrong(`slot ${slot} ${when}: ${address} has other bytes`);
    }
    for (const address of index.cells.keys())
      if (!truth.has(address)) this.#wrong(`${address} was never there, ${when}`);
  }
}
