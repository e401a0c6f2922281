// What records say, as values: what a commit changed, and who took a slot.
//
// Rule: a value that was decoded points into the bytes that it was decoded from, for as long as nobody writes there.
// Whoever keeps pages longer copies them.

import type { Address, Epoch, LogPlace, RunNumber, Slot, SnapshotPosition, Txid } from "../types.ts";
import type { PageSet } from "./pages.ts";

/** What one commit changed in one cell: its pages, and where its WAL stands after it. */
export interface CellImage {
  readonly address: Address;
  /** The address in UTF-8. */
  readonly addressBytes: Uint8Array;
  readonly walSalt1: number;
  readonly walSalt2: number;
  /** Offset in the cell's WAL file behind this commit, in bytes. */
  readonly walEnd: number;
  /** Pages of the database after the commit. */
  readonly pageCount: number;
  /** The cell's previous record in the log of the same data directory; 0 = none. Has no meaning elsewhere. */
  readonly previous: LogPlace;
  readonly pages: PageSet;
  /** The cell's snapshot that these pages are to be laid over; absent: the pages go on from the record before. */
  readonly base?: SnapshotPosition | undefined;
}

/** A change of what the slot index knows of a cell. */
export interface IndexChange {
  readonly what: "created" | "deleted" | "alarm-set" | "alarm-cleared" | "alarms-failed";
  readonly address: Address;
  /**
   * `created`: when, in ms since 1970, if the record stands for several commits; 0 = at the time of the record.
   * `deleted`: the highest id that a scheduled call has had. `alarm-set`: time of the next alarm in ms since 1970.
   * `alarms-failed`: how many there are, 0 = no more. Else 0.
   */
  readonly value: number;
}

/** One commit of one tree. A cell stands in it at most once. */
export interface CommitRecord {
  readonly slot: Slot;
  readonly epoch: Epoch;
  readonly txid: Txid;
  /** Time of the commit, in ms since 1970. */
  readonly time: number;
  readonly cells: readonly CellImage[];
  readonly changes: readonly IndexChange[];
}

/** A run has taken a slot: the first record of a new epoch. It takes no txid of its own. */
export interface ClaimRecord {
  readonly slot: Slot;
  readonly epoch: Epoch;
  /** The last txid that survives of the epoch before. */
  readonly txid: Txid;
  readonly time: number;
  readonly previousEpoch: Epoch;
  readonly run: RunNumber;
  /** RUN_ID_BYTES bytes. */
  readonly runId: Uint8Array;
}

/** A cell as it was read; `pages` and `addressBytes` point into the bytes that were decoded. */
export interface DecodedCell extends CellImage {
  readonly pageSize: number;
}

export interface DecodedCommit extends CommitRecord {
  readonly type: "commit";
  /** Bytes of the whole record. */
  readonly length: number;
  readonly cells: readonly DecodedCell[];
}

export interface DecodedClaim extends ClaimRecord {
  readonly type: "claim";
  /** Bytes of the whole record. */
  readonly length: number;
}

export type DecodedRecord = DecodedCommit | DecodedClaim;
