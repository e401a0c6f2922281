// The disks of the history world, and the runs of processes on them: the real upload, claims and checkpoints.

import fs from "node:fs";
import path from "node:path";
import type { CountedBucket } from "../../src/bucket/counted.ts";
import { runFolder } from "../../src/log/files.ts";
import { CommitLog } from "../../src/log/log.ts";
import type { LogHands } from "../../src/log/logHands.ts";
import { Upload } from "../../src/log/upload.ts";
import { Checkpoints } from "../../src/server/upkeep/checkpoints.ts";
import type { OwnLog, SlotClaims } from "../../src/server/slots/slotClaims.ts";
import type { Address, Epoch, Lsn, RunId, RunNumber, Seq, Slot, Txid } from "../../src/types.ts";
import type { CellState } from "./historyTruth.ts";

/** What a run needs of the world. */
export interface LifeWorld {
  readonly now: number;
  readonly retentionMs: number;
  readonly ttlMs: number;
  readonly bucket: CountedBucket;
  hands(runId: RunId): LogHands;
}

export interface DiskRun {
  readonly run: RunNumber;
  readonly runId: RunId;
  readonly firstLsn: Lsn;
  endLsn: Lsn;
  uploaded: Lsn;
  seal: Seq | 0;
}

/** A data directory, as far as it matters here. */
export class Disk {
  readonly runs: DiskRun[] = [];
  /** What its catalog knows of slots, and how the cells are in its files. */
  readonly knows = new Map<Slot, { run: RunId; epoch: Epoch; txid: Txid }>();
  readonly cells = new Map<Slot, Map<Address, CellState>>();
  files = 0;
  readonly folder: string;

  constructor(folder: string) {
    this.folder = folder;
  }

  get logFolder(): string {
    return path.join(this.folder, "log");
  }
}

/** One run of a process on a disk. */
export class Life {
  readonly disk: Disk;
  readonly row: DiskRun;
  readonly log: CommitLog;
  readonly upload: Upload;
  readonly claims: SlotClaims;
  readonly checkpoints: Checkpoints;
  readonly open = new Map<Slot, { epoch: Epoch; txid: Txid; isClaimed: boolean }>();
  believed = true;

  constructor(world: LifeWorld, disk: Disk, row: DiskRun, claims: SlotClaims) {
    this.disk = disk;
    this.row = row;
    this.claims = claims;
    fs.mkdirSync(runFolder(disk.logFolder, row.run), { recursive: true });
    const fail = (error: Error): never => {
      throw error;
    };
    disk.files += 1_000;
    const file = { folder: disk.logFolder, run: row.run, firstFile: disk.files, fileBytes: 64 * 1024 };
    this.log = new CommitLog({ ...file, onFailed: fail, bucket: true });
    this.upload = new Upload({
      hands: world.hands(row.runId),
      logFolder: disk.logFolder,
      run: row.run,
      runId: row.runId,
      start: {
        seq: 1 as Seq,
        lsn: row.firstLsn,
        ttlMs: world.ttlMs,
        adopted: false,
      },
      now: () => world.now,
      wallNow: () => world.now,
      believed: () => this.believed,
      onConfirmed: () => {},
    });
    this.checkpoints = new Checkpoints({
      bucket: world.bucket,
      claims,
      folder: disk.folder,
      retentionMs: world.retentionMs,
      failed: () => {},
      large: {
        cell: 3e3,
        delta: 1e3,
      },
      now: () => world.now,
    });
    const confirmed = (): boolean => this.believed && this.upload.uploaded === this.upload.confirmed;
    this.checkpoints.follow({ ...row, confirmedSeq: () => (confirmed() ? this.upload.seq : undefined) });
  }

  get own(): OwnLog {
    return { runId: this.row.runId, nextSeq: this.upload.seq };
  }
}
