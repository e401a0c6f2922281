// The catalog: what a node knows of its cells without opening them. It is the slot index of the design, for one node.
//
// Rule: derived from the records of the log and from nothing else, so it may be deleted and is rebuilt by a scan. It never
// knows of a record that is not durable, and a row never goes back to an older position.
// It also remembers the runs of this directory and how each ended, which decides whether a cell's file may be believed.
// Rows change with every commit, so open cells carry their row in memory and write it back when a log file is full.

import { DatabaseSync, type StatementSync } from "node:sqlite";
import { FrondError, isFrondError } from "../errors.ts";
import { wrapSqlError } from "./sqlerror.ts";
import type { Armed } from "../core/alarm.ts";
import type { Address, Epoch, LogPlace, RunNumber, Seq, Slot, Txid } from "../types.ts";

/** What is known of one cell. Mutable: an open cell keeps it current; `dirty` says that the file does not know yet. */
export interface CellEntry {
  readonly address: Address;
  readonly slot: Slot;
  epoch: Epoch;
  txid: Txid;
  /** Time of the first and of the last record, in ms since 1970. */
  createdMs: number;
  changedMs: number;
  pageSize: number;
  pageCount: number;
  /** Place of the cell's last record. */
  place: LogPlace;
  walSalt1: number;
  walSalt2: number;
  walEnd: number;
  /** The run in which the cell's file was last made from the log or opened as trustworthy. 0 = never. */
  fileRun: RunNumber;
  deleted: boolean;
  /** When the next alarm or scheduled call is due, in ms since 1970; 0 = none is armed. */
  alarm: number;
  /** Alarms and scheduled calls that were given up. Count. */
  failedAlarms: number;
  /** The highest id of a scheduled call that was given before the cell was last deleted; 0 = none. */
  lastId: number;
  dirty: boolean;
}

/** One life of a node on this directory. */
export interface RunRow {
  readonly run: RunNumber;
  /** 32 hexadecimal digits. */
  readonly id: string;
  /** Which boot of the machine it ran in; "" = unknown. */
  readonly boot: string;
  readonly startedMs: number;
  /** Null while it runs (or after a crash, until the next start); "clean" = stopped, everything in the log. */
  readonly ended: "clean" | "unclean" | null;
  /** A clean stop also brought every cell's file to stable storage. */
  readonly synced: boolean;
  /** The number of the seal that ended its log in the bucket for ever, and was seen; 0 = not yet. */
  readonly seal: Seq | 0;
}

/** Epoch and last txid of a slot. */
export interface SlotRow {
  readonly slot: Slot;
  readonly epoch: Epoch;
  readonly txid: Txid;
}

const FORMAT = 4;

const SCHEMA = `
  CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value ANY) STRICT, WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS run (
    run INTEGER PRIMARY KEY, id TEXT NOT NULL, boot TEXT NOT NULL, started INTEGER NOT NULL, ended TEXT, synced INTEGER NOT NULL,
    seal INTEGER NOT NULL DEFAULT 0
  ) STRICT;
  CREATE TABLE IF NOT EXISTS slot (
    slot INTEGER PRIMARY KEY, epoch INTEGER NOT NULL, txid INTEGER NOT NULL, opened INTEGER NOT NULL DEFAULT 0
  ) STRICT;
  CREATE TABLE IF NOT EXISTS cell (
    address TEXT PRIMARY KEY, slot INTEGER NOT NULL, epoch INTEGER NOT NULL, txid INTEGER NOT NULL,
    created INTEGER NOT NULL, changed INTEGER NOT NULL, page_size INTEGER NOT NULL, page_count INTEGER NOT NULL,
    place INTEGER NOT NULL, wal_salt1 INTEGER NOT NULL, wal_salt2 INTEGER NOT NULL, wal_end INTEGER NOT NULL,
    file_run INTEGER NOT NULL, deleted INTEGER NOT NULL,
    alarm INTEGER NOT NULL DEFAULT 0, failed_alarms INTEGER NOT NULL DEFAULT 0,
    last_id INTEGER NOT NULL DEFAULT 0
  ) STRICT, WITHOUT ROWID;`;

const INDEXES = `
  CREATE INDEX IF NOT EXISTS cell_alarm ON cell (alarm, address) WHERE alarm > 0;
  CREATE INDEX IF NOT EXISTS cell_failed ON cell (address) WHERE failed_alarms > 0;`;

/**
 * What brings a catalog to the next format: in 1 nothing had alarms, in 2 nobody knew the ids of cells that were deleted, in
 * 3 there was no bucket.
 */
const UPGRADES = [
  "",
  `ALTER TABLE cell ADD COLUMN alarm INTEGER NOT NULL DEFAULT 0;
   ALTER TABLE cell ADD COLUMN failed_alarms INTEGER NOT NULL DEFAULT 0;`,
  "ALTER TABLE cell ADD COLUMN last_id INTEGER NOT NULL DEFAULT 0;",
  `ALTER TABLE run ADD COLUMN seal INTEGER NOT NULL DEFAULT 0;
   ALTER TABLE slot ADD COLUMN opened INTEGER NOT NULL DEFAULT 0;`,
];

type Row = Record<string, number | string | null>;

/** The open catalog of a data directory. */
export class Catalog {
  readonly #db: DatabaseSync;
  readonly #find: StatementSync;
  readonly #put: StatementSync;
  readonly #putSlot: StatementSync;
  readonly #alarms: StatementSync;
  readonly #failed: StatementSync;

  constructor(file: string) {
    this.#db = openCatalog(file);
    this.#find = this.#db.prepare("SELECT * FROM cell WHERE address = ?");
    this.#put = this.#db.prepare(
      `INSERT INTO cell VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
       ON CONFLICT (address) DO UPDATE SET epoch = excluded.epoch, txid = excluded.txid, created = excluded.created,
         changed = excluded.changed, page_size = excluded.page_size, page_count = excluded.page_count,
         place = excluded.place, wal_salt1 = excluded.wal_salt1, wal_salt2 = excluded.wal_salt2,
         wal_end = excluded.wal_end, file_run = excluded.file_run, deleted = excluded.deleted,
         alarm = excluded.alarm, failed_alarms = excluded.failed_alarms, last_id = excluded.last_id
       WHERE excluded.epoch > epoch OR (excluded.epoch = epoch AND excluded.txid >= txid)`,
    );
    this.#alarms = this.#db.prepare(
      `SELECT address, alarm AS due FROM cell WHERE alarm > 0 AND (alarm, address) > (?, ?)
       ORDER BY alarm, address LIMIT ?`,
    );
    this.#failed = this.#db.prepare(
      "SELECT * FROM cell WHERE failed_alarms > 0 AND address > ? ORDER BY address LIMIT ?",
    );
    this.#putSlot = this.#db.prepare(
      `INSERT INTO slot (slot, epoch, txid) VALUES (?, ?, ?) ON CONFLICT (slot) DO UPDATE SET epoch = excluded.epoch, txid = excluded.txid
       WHERE excluded.epoch > epoch OR (excluded.epoch = epoch AND excluded.txid >= txid)`,
    );
  }

  /** The row of a cell, or undefined when none is known. */
  find(address: Address): CellEntry | undefined {
    const row = this.#find.get(address) as Row | undefined;
    return row && entryOf(row);
  }

  /** Rows with an address behind `after`, in order of address, deleted ones left out. */
  list(after: string, limit: number): CellEntry[] {
    const rows = this.#db
      .prepare("SELECT * FROM cell WHERE address > ? AND deleted = 0 ORDER BY address LIMIT ?")
      .all(after, limit) as Row[];
    return rows.map(entryOf);
  }

  /** All rows, deleted ones too, slot by slot. Rows may be changed while they are read. */
  *bySlot(): Generator<{ readonly slot: Slot; readonly entries: CellEntry[] }, void, void> {
    let entries: CellEntry[] = [];
    // Sorted, and so read, before the first is handed out.
    for (const row of this.#db.prepare("SELECT * FROM cell ORDER BY slot, address").iterate()) {
      const entry = entryOf(row as Row);
      if (entries[0] !== undefined && entries[0].slot !== entry.slot) {
        yield { slot: entries[0].slot, entries };
        entries = [];
      }
      entries.push(entry);
    }
    if (entries[0] !== undefined) yield { slot: entries[0].slot, entries };
  }

  /** Cells with an alarm behind `after`, in order of time and address. */
  alarms(after: Armed, limit: number): Armed[] {
    return this.#alarms.all(after.due, after.address, limit) as unknown as Armed[];
  }

  /** Cells behind the address `after` in which alarms have failed, in order of address. */
  withFailedAlarms(after: string, limit: number): CellEntry[] {
    return (this.#failed.all(after, limit) as Row[]).map(entryOf);
  }

  /** Alarms that have failed, of all cells. Count. */
  countFailedAlarms(): number {
    const sql = "SELECT coalesce(sum(failed_alarms), 0) AS n FROM cell WHERE failed_alarms > 0";
    return (this.#db.prepare(sql).get() as { n: number }).n;
  }

  /** The kinds of all cells that there are, or were. */
  kinds(): string[] {
    const rows = this.#db
      .prepare("SELECT DISTINCT substr(address, 1, instr(address, '/') - 1) AS kind FROM cell")
      .all();
    return rows.map((row) => row["kind"] as string);
  }

  /** Cells that exist. Count. */
  count(): number {
    return (this.#db.prepare("SELECT count(*) AS n FROM cell WHERE deleted = 0").get() as { n: number }).n;
  }

  slots(): SlotRow[] {
    return this.#db.prepare("SELECT slot, epoch, txid FROM slot").all() as unknown as SlotRow[];
  }

  runs(): RunRow[] {
    const rows = this.#db.prepare("SELECT * FROM run ORDER BY run").all() as Row[];
    return rows.map((row) => ({
      run: row["run"] as RunNumber,
      id: row["id"] as string,
      boot: row["boot"] as string,
      startedMs: row["started"] as number,
      ended: row["ended"] as RunRow["ended"],
      synced: row["synced"] === 1,
      seal: row["seal"] as Seq | 0,
    }));
  }

  /** Writes a run's row; durable when this returns. Everything else here may lag behind the log, this may not. */
  putRun(row: RunRow): void {
    this.#db.exec("PRAGMA synchronous = FULL");
    this.#db
      .prepare("INSERT OR REPLACE INTO run VALUES (?, ?, ?, ?, ?, ?, ?)")
      .run(row.run, row.id, row.boot, row.startedMs, row.ended, row.synced ? 1 : 0, row.seal);
    this.#db.exec("PRAGMA synchronous = NORMAL");
  }

  /** Forgets a run: one that has written nothing, or of which nothing is left that it could tell of. */
  removeRun(run: RunNumber): void {
    this.#db.prepare("DELETE FROM run WHERE run = ?").run(run);
  }

  /** The log file from which a scan must begin: all files before it are in the catalog. 0 = from the first. */
  get coveredFile(): number {
    return this.#meta("covered");
  }

  /** The highest place of a record that a run has told of while it ran; 0 = none. The log holds it, or has lost something. */
  get highestPlace(): LogPlace {
    return this.#meta("highest") as LogPlace;
  }

  /** Runs `write` as one transaction. */
  batch(write: () => void): void {
    this.#db.exec("BEGIN");
    try {
      write();
      this.#db.exec("COMMIT");
    } catch (error) {
      if (this.#db.isTransaction) this.#db.exec("ROLLBACK");
      throw error;
    }
  }

  put(e: CellEntry): void {
    this.#put.run(
      e.address,
      e.slot,
      e.epoch,
      e.txid,
      e.createdMs,
      e.changedMs,
      e.pageSize,
      e.pageCount,
      e.place,
      e.walSalt1,
      e.walSalt2,
      e.walEnd,
      e.fileRun,
      e.deleted ? 1 : 0,
      e.alarm,
      e.failedAlarms,
      e.lastId,
    );
  }

  putSlot(row: SlotRow): void {
    this.#putSlot.run(row.slot, row.epoch, row.txid);
  }

  /** The run in which the rows of a slot were last brought up to what the bucket says; 0 = never. */
  openedIn(slot: Slot): RunNumber {
    const row = this.#db.prepare("SELECT opened FROM slot WHERE slot = ?").get(slot) as { opened: number } | undefined;
    return (row?.opened ?? 0) as RunNumber;
  }

  /** The runs in which that was, of any slot. */
  openedRuns(): RunNumber[] {
    const rows = this.#db.prepare("SELECT DISTINCT opened FROM slot WHERE opened > 0").all();
    return rows.map((row) => row["opened"] as RunNumber);
  }

  /** The slots that were ever brought up to what the bucket says, and where they stand. */
  opened(): SlotRow[] {
    return this.#db.prepare("SELECT slot, epoch, txid FROM slot WHERE opened > 0").all() as unknown as SlotRow[];
  }

  /** The rows of a slot are what the bucket says, as of the moment at which `run` opened it. */
  putOpened({ slot, epoch, txid }: SlotRow, run: RunNumber): void {
    this.#db.prepare("INSERT OR REPLACE INTO slot VALUES (?, ?, ?, ?)").run(slot, epoch, txid, run);
  }

  /** Forgets the cells of a slot. */
  forgetSlot(slot: Slot): void {
    this.#db.prepare("DELETE FROM cell WHERE slot = ?").run(slot);
  }

  /** States that every record in files before `file` is in the catalog; `highest` raises {@link highestPlace}. */
  cover(file: number, highest = 0 as LogPlace): void {
    this.#putMeta("covered", file);
    if (highest > this.highestPlace) this.#putMeta("highest", highest);
  }

  /** Makes everything that was written so far durable. */
  sync(): void {
    this.#db.exec("PRAGMA synchronous = FULL");
    this.#putMeta("covered", this.coveredFile);
    this.#db.exec("PRAGMA synchronous = NORMAL");
  }

  /** Forgets what was derived from the log, but neither the runs nor {@link highestPlace}. */
  forget(): void {
    this.#db.exec("DELETE FROM cell; DELETE FROM slot; DELETE FROM meta WHERE key = 'covered'");
  }

  close(): void {
    this.#db.close();
  }

  #meta(key: string): number {
    const row = this.#db.prepare("SELECT value FROM meta WHERE key = ?").get(key) as { value: number } | undefined;
    return row?.value ?? 0;
  }

  #putMeta(key: string, value: number): void {
    this.#db.prepare("INSERT OR REPLACE INTO meta VALUES (?, ?)").run(key, value);
  }
}

/** Opens the file, creating it where there is none. Throws DATA_NEWER, and DATA_DAMAGED when it is no catalog. */
function openCatalog(file: string): DatabaseSync {
  const db = new DatabaseSync(file);
  try {
    db.exec("PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL");
    const format = db.prepare("PRAGMA user_version").get() as { user_version: number };
    if (format.user_version > FORMAT) {
      throw new FrondError(
        "DATA_NEWER",
        `${file} has format ${format.user_version}; this frond knows ${FORMAT}. Start the newer version`,
      );
    }
    // A new file has format 0, and nothing to upgrade.
    const upgrade = format.user_version === 0 ? "" : UPGRADES.slice(format.user_version).join("");
    db.exec(`BEGIN; ${SCHEMA} ${upgrade} ${INDEXES} PRAGMA user_version = ${FORMAT}; COMMIT`);
    return db;
  } catch (error) {
    db.close();
    const wrapped = wrapSqlError(error, "open the catalog");
    if (!isFrondError(wrapped, "CELL_DAMAGED")) throw error;
    throw new FrondError("DATA_DAMAGED", `${file} is damaged; delete it: the next start makes it anew from the log`, {
      cause: error,
    });
  }
}

function entryOf(row: Row): CellEntry {
  return {
    address: row["address"] as Address,
    slot: row["slot"] as Slot,
    epoch: row["epoch"] as Epoch,
    txid: row["txid"] as Txid,
    createdMs: row["created"] as number,
    changedMs: row["changed"] as number,
    pageSize: row["page_size"] as number,
    pageCount: row["page_count"] as number,
    place: row["place"] as LogPlace,
    walSalt1: row["wal_salt1"] as number,
    walSalt2: row["wal_salt2"] as number,
    walEnd: row["wal_end"] as number,
    fileRun: row["file_run"] as RunNumber,
    deleted: row["deleted"] === 1,
    alarm: row["alarm"] as number,
    failedAlarms: row["failed_alarms"] as number,
    lastId: row["last_id"] as number,
    dirty: false,
  };
}
