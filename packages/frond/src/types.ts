// The named numbers of frond. Brands cost nothing at run time and keep an epoch from being passed for a txid.
//
// Rule: numbers that mean a place or a generation carry a brand in every signature; plain `number` is for sizes and
// times, with the unit in the name or the docstring.

declare const brand: unique symbol;
type Brand<T, B extends string> = T & { readonly [brand]: B };

/** Path of kind/name pairs, each name escaped: `mailbox/alice`, `mailbox/alice/folder/inbox`. */
export type Address = Brand<string, "Address">;
/** One of the hash slots of root addresses, 0 up to SLOTS - 1. */
export type Slot = Brand<number, "Slot">;
/** Number of ownerships that a slot has had. Only rises; 0 = never owned. */
export type Epoch = Brand<number, "Epoch">;
/** Number of a record within its slot. Rises by one with every record, over epochs too; 0 = none yet. */
export type Txid = Brand<number, "Txid">;
/** Number of a run (one life of a node process) within its data directory. Only rises. */
export type RunNumber = Brand<number, "RunNumber">;
/** Place of a byte in a data directory's log: file number * 2^32 + offset. 0 = nowhere. */
export type LogPlace = Brand<number, "LogPlace">;
/** Count of bytes that a run has appended to its log; what a commit waits for. */
export type Lsn = Brand<number, "Lsn">;

/** A place in a slot's history. Whoever compares two positions compares the epoch first. */
export interface Position {
  readonly epoch: Epoch;
  readonly txid: Txid;
}

/** Where a snapshot of a cell stands. */
export interface SnapshotPosition extends Position {
  /** Of a content that was put in from outside: no other attempt at this position has the same. Absent: the cell as it was there. */
  readonly attempt?: number | undefined;
}

/** Number of a segment in its run's log in the bucket. Rises by one, from 1. */
export type Seq = Brand<number, "Seq">;
/** The name of a run in the bucket: 32 hexadecimal digits, never used twice anywhere. */
export type RunId = Brand<string, "RunId">;

/** Where a commit must be before anyone hears of it, from the weakest to the strongest. */
export type Durability = "memory" | "disk" | "bucket";

/** The order of positions: negative, zero or positive, epoch first. */
export function comparePositions(a: Position, b: Position): number {
  return a.epoch - b.epoch || a.txid - b.txid;
}

/** `epoch-txid`, as positions are shown and as they stand in names. */
export function formatPosition(position: Position): string {
  return `${position.epoch}-${position.txid}`;
}

const FILE_UNIT = 2 ** 32;

/** The place `offset` bytes into log file number `file`. */
export function logPlace(file: number, offset: number): LogPlace {
  return (file * FILE_UNIT + offset) as LogPlace;
}

/** The log file number of a place. */
export function placeFile(place: LogPlace): number {
  return Math.floor(place / FILE_UNIT);
}

/** The offset in its log file of a place, in bytes. */
export function placeOffset(place: LogPlace): number {
  return place % FILE_UNIT;
}
