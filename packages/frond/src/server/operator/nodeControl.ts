// What a node offers to the commands of its operator: the interface between the node and whatever speaks for people.
//
// Rule: it is the same whether the node runs (the control socket carries it) or the data directory was opened by the
// command itself; a command never knows which. Nothing here is reachable over the network.

import type { BucketStatus } from "../persist/keeper.ts";
import type { ParkedCell } from "../cells/strikes.ts";

/** What is known of one cell without opening it. */
export interface CellInfo {
  readonly address: string;
  readonly slot: number;
  readonly epoch: number;
  readonly txid: number;
  /** Size of its database, in bytes. */
  readonly bytes: number;
  readonly open: boolean;
  /** Time of its last commit, in ms since 1970; 0 = unknown. */
  readonly changedMs: number;
}

/** What is known of the alarms of one cell without opening it. */
export interface AlarmInfo {
  readonly address: string;
  /** When the next alarm or scheduled call is due, in ms since 1970; 0 = none is armed. */
  readonly dueMs: number;
  /** Alarms and scheduled calls that were given up after their last retry. Count. */
  readonly failed: number;
}

/** One alarm, or one scheduled call, of a cell. */
export interface AlarmDetail {
  /** Of the scheduled call; 0: the alarm of the hook. */
  readonly id: number;
  readonly verb: string;
  /** In ms since 1970. */
  readonly dueMs: number;
  /** Runs that threw since it was last due by its own time. Count. */
  readonly tries: number;
  readonly cron?: string;
  readonly zone?: string;
  /** What its last run threw, when it has failed. */
  readonly failed?: string;
}

/** What an open cell has taken since it was opened. */
export interface CellLoad {
  readonly address: string;
  /** Verbs and other events that began. Count. */
  readonly calls: number;
  /** Time that they held the event loop before their first await, in ms: measured at every eighth. */
  readonly busyMs: number;
  /** Those that have not ended, and those that wait to begin. Counts. */
  readonly running: number;
  readonly waiting: number;
}

/** Which program serves a data directory. */
export interface NodeVersion {
  readonly version: string;
  readonly pid: number;
  readonly run: number;
  readonly startedMs: number;
  /** Where it answers HTTP, `HOST:PORT`; absent when it does not. */
  readonly listen?: string;
  readonly dataDirectory: string;
}

/** What a look for files that nobody names came to. Counts. */
export interface FilesStatus {
  /** When it ended, in ms since 1970. */
  readonly atMs: number;
  /** Files that were old enough to be asked after; those of them that went, and their bytes. */
  readonly old: number;
  readonly removed: number;
  readonly bytes: number;
  /** Why nothing was removed, if something kept it from it. */
  readonly refused?: string;
}

/** How a node is. `reports` are what recovery and checks found, as sentences. */
export interface NodeStatus {
  readonly ready: boolean;
  readonly cells: number;
  readonly openCells: number;
  /** Alarms and scheduled calls that were given up, of all cells. Count. */
  readonly failedAlarms: number;
  readonly logBytes: number;
  readonly logFiles: number;
  readonly durability: string;
  /** Absent: the node has no bucket. */
  readonly bucket?: BucketStatus;
  /** The last look for files that nobody names; absent: there was none since the node started. */
  readonly files?: FilesStatus;
  readonly reports: readonly string[];
}

/** Rows of one statement. `changes` counts rows written. */
export interface SqlResult {
  readonly columns: string[];
  readonly rows: unknown[][];
  readonly changes: number;
}

/** What was exported. */
export interface Exported {
  /** Size of what was written. */
  readonly bytes: number;
  /** Files that the cell names, which are in an archive and not in a database. Count. */
  readonly files: number;
}

/** What was imported, and where the cell stands now. */
export interface Imported {
  readonly epoch: number;
  readonly txid: number;
  /** Size of its database. */
  readonly bytes: number;
  /** Files that it names, and those of them that the bucket has not. Counts. */
  readonly files: number;
  readonly missingFiles: number;
  /** Where the cell stood before, which can be restored; absent: it did not exist. */
  readonly before?: { readonly epoch: number; readonly txid: number };
}

/** A moment in the history of a cell: a time in ms since 1970, or a position. What is meant is the last commit up to it. */
export type Moment = { readonly atMs: number } | { readonly epoch: number; readonly txid: number };

/** Which commits are wanted. */
export interface HistoryQuery {
  /** Those at or behind this time, in ms since 1970; absent: all that there are. */
  readonly sinceMs?: number;
  /** So many at most. Count. */
  readonly limit: number;
}

/** A commit of a cell that can be restored, or several of which only the last one can. */
export interface CellCommit {
  readonly epoch: number;
  readonly txid: number;
  /** In ms since 1970. */
  readonly timeMs: number;
  /** Pages that it wrote. Count. */
  readonly pages: number;
  /** Size of the database behind it, in bytes; 0 when it was deleted. */
  readonly bytes: number;
  /** `replaced`: by an import, or a restore. */
  readonly what: "created" | "changed" | "deleted" | "replaced";
}

/** What was restored, or would be. */
export interface Restored {
  readonly epoch: number;
  readonly txid: number;
  /** When it was committed, in ms since 1970. */
  readonly timeMs: number;
  /** Size of its database. */
  readonly bytes: number;
}

/** A cell that was given an earlier content. */
export interface RestoredCell extends Restored {
  /** Where it stands now. */
  readonly now: { readonly epoch: number; readonly txid: number };
  /** Where it stood before, which can be restored in turn; absent: it did not exist. */
  readonly before?: { readonly epoch: number; readonly txid: number };
  /** Files that the content names and the bucket has not any more. Count. */
  readonly missingFiles: number;
}

/** What a restore would bring. */
export interface RestorePreview extends Restored {
  /** Rows of each table then and now; -1: it has no such table, or there is no cell. */
  readonly tables: readonly { readonly table: string; readonly rows: number; readonly now: number }[];
}

/** How far the erasure of a cell is. */
export interface ErasureState {
  /** Absent once nothing is left. */
  readonly address?: string;
  /** SHA-256 of the address, in hexadecimal digits. */
  readonly hash: string;
  /** The cell up to this position is erased. */
  readonly epoch: number;
  readonly txid: number;
  readonly erasedMs: number;
  /**
   * What there still is of it: packs, checkpoints, snapshots and files in the bucket, and commits in segments of logs there. Counts.
   */
  readonly left: {
    readonly packs: number;
    readonly checkpoints: number;
    readonly snapshots: number;
    readonly commits: number;
    readonly files: number;
  };
  /** When it was seen that nothing is left, or when that is so at the latest, if a node runs then. */
  readonly goneMs?: number;
  readonly goneByMs?: number;
}

/** The end of the name of an archive. */
export const ARCHIVE_SUFFIX = ".tar";

/** The operator's view of a node. Every method throws FrondError for what it refuses. */
export interface NodeControl {
  version(): NodeVersion;
  status(): NodeStatus;
  /** Up to `limit` cells in order of address, beginning behind the address `after`. */
  cells(after: string | undefined, limit: number): CellInfo[];
  /**
   * Up to `limit` cells with alarms behind `after`: by the time of the next one, then those in which all have failed. With
   * `failedOnly` those in which some have failed, in order of address.
   */
  alarms(after: AlarmInfo | undefined, limit: number, failedOnly: boolean): AlarmInfo[];
  /** The alarms and scheduled calls of one cell, the hook's first. */
  alarmsOf(address: string): Promise<AlarmDetail[]>;
  /** Cells in which nothing runs until they are released, the latest last. */
  parked(): ParkedCell[];
  /** Lets a parked cell run again. Throws CELL_MISSING if it is not parked. */
  release(address: string): void;
  /** The open cells that took most of the event loop's time, at most `limit`, the busiest first. */
  busiest(limit: number): CellLoad[];
  /** Runs one statement in the cell; refuses to change it unless `write`. */
  sql(address: string, sql: string, args: unknown[], write: boolean): Promise<SqlResult>;
  /** Calls a verb of the cell. What the verb throws is thrown. */
  call(address: string, verb: string, args: unknown[]): Promise<unknown>;
  /** Deletes the cell with everything in it. Throws CELL_MISSING. What runs in it ends with ABORTED. */
  delete(address: string): Promise<void>;
  /**
   * Writes the cell at `file`, which does not exist yet: as a plain SQLite file, or, when its name ends in ARCHIVE_SUFFIX, as
   * an archive of the database and the files that it names.
   */
  exportTo(address: string, file: string): Promise<Exported>;
  /**
   * Makes what is in `file`, a SQLite database or an archive that exportTo wrote, the content of a cell. The file is not changed.
   * `replace`: the cell may exist; what runs in it ends with ABORTED. Throws CELL_EXISTS, BAD_CONTENT, RECORD_TOO_LARGE.
   */
  importFrom(address: string, file: string, replace: boolean): Promise<Imported>;
  /** Commits of a cell that can be restored, the newest first. Throws CELL_MISSING when there is none. */
  history(address: string, query: HistoryQuery): Promise<CellCommit[]>;
  /** Writes a cell as it was at a moment as a plain SQLite file at `file`, which does not exist yet. Throws CELL_MISSING. */
  restoreTo(address: string, at: Moment, file: string): Promise<Restored>;
  /** Gives a cell the content that it had at a moment, deleted or not; what runs in it ends with ABORTED. Throws CELL_MISSING. */
  restoreInto(address: string, at: Moment): Promise<RestoredCell>;
  /** Tells what either would bring. Throws CELL_MISSING. */
  previewRestore(address: string, at: Moment): Promise<RestorePreview>;
  /** Erases a cell, deleted or not: deletes it, and has all that is kept of it removed. Throws CELL_MISSING. */
  erase(address: string): Promise<ErasureState>;
  /** How far all erasures are, the latest last. */
  erasures(): Promise<ErasureState[]>;
}
