// What the main thread and the bucket thread say to each other.
//
// Rule: questions have a number and are answered once; news are told unasked. Plain data only. What is looked at for every
// request (is the lease believed?) or every commit (how far is the log?) stands in shared numbers, and costs no message.

import type { BucketOptions } from "../../bucket/open.ts";
import type { CellEntry } from "../../store/catalog.ts";
import type { WantedCell } from "../../store/fetch.ts";
import type { Address, Epoch, Lsn, RunId, RunNumber, Seq, Slot, SnapshotPosition, Txid } from "../../types.ts";
import type { ErasureDocument } from "../../codec/documents.ts";
import type { CopiesLeft, ErasedCell } from "../upkeep/eraseCopies.ts";
import type { CellCommit, HistoryQuery } from "../operator/nodeControl.ts";
import type { HistoryLimit } from "../slots/slotIndex.ts";

/** A run of this data directory. */
export interface OwnRun {
  readonly run: RunNumber;
  readonly runId: RunId;
  /** Where its first batch begins. */
  readonly firstLsn: Lsn;
}

/** A run that is over. */
export interface UnfinishedRun extends OwnRun {
  /** Where its log ends on this disk. */
  readonly endLsn: Lsn;
  /** It is from before the directory had a bucket, and is not taken into it: its log is damaged, its cells are there otherwise. */
  readonly leftOut?: true;
}

/** Which bucket it is. */
export interface BucketSpec extends BucketOptions {
  /** `dir:PATH` or `s3://BUCKET/PREFIX`. */
  readonly url: string;
}

/** What the thread is started with. */
export interface BucketSetup {
  readonly bucket: BucketSpec;
  /** The data directory. */
  readonly directory: string;
  /** How the store is looked at before it is believed: "as needed" is whole before it gets a cluster, then quick. */
  readonly probe: "never" | "as needed" | "whole";
  /** The cluster that the directory belongs to, as far as it knows. */
  readonly cluster: string | undefined;
  readonly own: OwnRun;
  /** Earlier runs of this directory whose log the bucket may not have whole, the oldest first. */
  readonly unfinished: readonly UnfinishedRun[];
  /** The directory is where these have run. */
  readonly inPlace: boolean;
  /** Runs of this directory from before it had a bucket, the oldest first. */
  readonly adopted: readonly RunId[];
  /** The directory has cells from before it had a bucket, which are to be taken into this one. */
  readonly brings: boolean;
  /** Where the logs of earlier runs of this directory were sealed, as far as it knows. */
  readonly seals: ReadonlyMap<RunId, Seq>;
  /** Slots that runs of this directory have taken in the bucket, and the highest epoch of each. */
  readonly opened: readonly { readonly slot: Slot; readonly epoch: Epoch }[];
  readonly ttlMs: number;
  /** How far back one can go, in ms: what is needed for it stays in the bucket. Infinity: everything stays. */
  readonly retentionMs: number;
  readonly appVersion: string;
  readonly numbers: SharedArrayBuffer;
  /** The longest that the main thread may be silent and the lease be renewed, in ms; 0 = for ever. */
  readonly maxSyncMs: number;
}

/** Places in the shared numbers: doubles, each with one writer. */
export const NUMBER = {
  /** Main thread: everything before this lsn is on the disk. */
  durable: 0,
  /** Main thread: the highest lsn that somebody waits for to be in the bucket. */
  wanted: 1,
  /** Bucket thread: until when the lease is believed, in ms of the monotonic clock of the process. */
  believed: 2,
  /** Bucket thread: AWAKE, or which news are to wake it by a message; the main thread sets it back. */
  asleep: 3,
  /** Main thread: how often its event loop came by; BEAT_PAUSED while a debugger may stop it. */
  beat: 4,
  /** Bucket thread: everything before this lsn is in the bucket, whoever may hear of it. */
  uploaded: 5,
  /** Bucket thread: what the bucket was asked for since the process started. Counts; bytes. */
  creates: 6,
  puts: 7,
  gets: 8,
  lists: 9,
  deletes: 10,
  bytesUp: 11,
  bytesDown: 12,
  segments: 13,
} as const;
export const NUMBERS_BYTES = 32 * 8;
export const BEAT_PAUSED = -1;
/** How often the main thread's event loop says that it comes by, in ms. */
export const BEAT_MS = 250;
/** Values of NUMBER.asleep. */
export const AWAKE = 0;
export const WAKE_FOR_BYTES = 1;
export const WAKE_FOR_WAITERS = 2;

/** The start of the thread is over: the run may serve. */
export interface Started {
  readonly cluster: string;
  /** There was none in the bucket. */
  readonly created: boolean;
  /** Runs of `unfinished` whose log in the bucket is now whole and sealed. */
  readonly finished: readonly FinishedRun[];
  /** Slots that somebody has owned. */
  readonly slots: readonly Slot[];
  /** Runs of `unfinished` of which somebody else sealed the log before it was whole, and what is lost of each. */
  readonly lost: readonly LostTail[];
}

/** A run whose log has ended for ever. */
export interface FinishedRun {
  readonly run: RunNumber;
  /** The number of its seal. */
  readonly seal: Seq;
}

/** The end of a run's log that came too late. */
export interface LostTail {
  readonly run: RunNumber;
  /** From this lsn on nothing counts. */
  readonly from: Lsn;
}

/** A slot is this run's. */
export interface OpenedSlot {
  readonly epoch: Epoch;
  readonly txid: Txid;
  /** What the bucket knows of its cells; undefined: what the directory knows is right. */
  readonly cells: readonly CellEntry[] | undefined;
}

/** A slot as a directory has it. */
export interface SlotBrought {
  readonly slot: Slot;
  readonly epoch: Epoch;
  readonly txid: Txid;
  /** `file` holds all pages of the cell; undefined: nobody can read them any more, or it was deleted. */
  readonly cells: readonly { readonly entry: CellEntry; readonly file: string | undefined }[];
}

/** Questions to the thread, and their answers. */
export interface BucketQuestions {
  start(): Started;
  /** Takes the slot. `knows`: in which run the directory was last brought up to date, if ever, and where it stands. */
  openSlot(question: { slot: Slot; knows: { run: RunId | undefined; epoch: Epoch; txid: Txid } }): OpenedSlot;
  /** Writes down what a directory held of a slot before it had a bucket, from files that nobody writes. Nobody owns the slot yet. */
  bringSlot(question: SlotBrought): void;
  /** Makes the file of a cell anew, as of a position which is in the bucket. */
  fetchCell(question: { entry: CellEntry; file: string }): { gets: number; bytes: number };
  /** The commits of a cell that can be gone back to. */
  history(question: { slot: Slot; address: Address; query: HistoryQuery }): CellCommit[];
  /** Makes a file of a cell as it was, and tells what is known of it then. */
  restoreCell(question: { slot: Slot; address: Address; at: HistoryLimit; file: string }): CellEntry;
  /** Writes an erasure down, or how far it is. */
  putErasure(document: ErasureDocument): void;
  /** All that were written down. */
  erasures(): ErasureDocument[];
  /** Takes a cell out of what is kept of it; and tells what is left. */
  eraseCopies(cell: ErasedCell): void;
  findCopies(cell: ErasedCell): CopiesLeft;
  /** Writes the snapshot of a cell that is to have the content of a file; the record that names it comes after. */
  putContent(question: { entry: CellEntry & SnapshotPosition; file: string }): void;
  /** Uploads what is left of the log, up to `durable`; seals it and gives up the lease. Tells the number of the seal. */
  finish(): Seq;
  /** Goes on as a further run, after a lapse: the one before is finished first. Tells the number of its seal. */
  renew(own: OwnRun): Seq;
}

/** What is told unasked. */
export type BucketNews =
  | { readonly news: "confirmed"; readonly lsn: Lsn }
  /** The lease has lapsed; the run ends. */
  | { readonly news: "lapsed"; readonly why: string }
  /** The log cannot be uploaded: it is damaged, here or there. */
  | { readonly news: "failed"; readonly why: string }
  /** Somebody else has ended the log of the run. */
  | { readonly news: "sealed"; readonly why: string }
  | { readonly news: "warn"; readonly fields: object; readonly message: string };

export type QuestionName = keyof BucketQuestions;
export type { WantedCell };
