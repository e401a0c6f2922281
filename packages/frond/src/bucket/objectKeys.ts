// The keys of frond's objects: what stands where in the bucket.
//
// Rule: numbers have a fixed width, so the order of a listing is the order of the numbers; an address stands in a key only
// escaped. A key that is not of this form is foreign: readers pass over it, and nothing ever removes it.

import type { Epoch, Position, RunId, Seq, Slot, Txid } from "../types.ts";

const RUN_ID = /^[0-9a-f]{32}$/;
const WIDTH = 10;
/** Of a txid: up to 2^53. */
const TXID_WIDTH = 16;
/** Of an attempt, in hexadecimal digits. */
const ATTEMPT_WIDTH = 8;

/** What all nodes of the cluster agree on. */
export const CLUSTER_KEY = "cluster";
/** Leases. */
export const NODE_PREFIX = "node/";
export const SLOT_PREFIX = "slot/";
export const LOG_PREFIX = "log/";
export const PACK_PREFIX = "pack/";
/** Checkpoints of slots, and snapshots of cells. */
export const CELL_PREFIX = "cell/";

/** The lease of a run. */
export function leaseKey(run: RunId): string {
  return `${NODE_PREFIX}${run}`;
}

/** The run whose lease stands at `key`. */
export function runOfLease(key: string): RunId | undefined {
  const run = key.slice(NODE_PREFIX.length);
  return key.startsWith(NODE_PREFIX) && RUN_ID.test(run) ? (run as RunId) : undefined;
}

/** Everything of a run's log: segments, its seal, its base. */
export function logPrefix(run: RunId): string {
  return `${LOG_PREFIX}${run}/`;
}

/** The run of a key in a log, or of a pack; undefined for what is foreign. */
export function runOfKey(key: string): RunId | undefined {
  const run = /^(?:log|pack)\/([0-9a-f]{32})\//.exec(key)?.[1];
  return run as RunId | undefined;
}

/** A segment of a run's log, or its seal. */
export function logKey(run: RunId, seq: Seq): string {
  return `${logPrefix(run)}${digits(seq)}`;
}

/** States that clean-up has passed below `base`. */
export function baseKey(run: RunId, base: Seq): string {
  return `${logPrefix(run)}base-${digits(base)}`;
}

/** What stands at a key of a run's log: a number, a base, or undefined for what is foreign. */
export function parseLogKey(run: RunId, key: string): { seq: Seq } | { base: Seq } | undefined {
  const prefix = logPrefix(run);
  if (!key.startsWith(prefix)) return undefined;
  const match = /^(base-)?(\d{10})$/.exec(key.slice(prefix.length));
  if (match === null) return undefined;
  const number = Number(match[2]) as Seq;
  return match[1] === undefined ? { seq: number } : { base: number };
}

/** Who has owned a slot. */
export function slotPrefix(slot: Slot): string {
  return `${SLOT_PREFIX}${String(slot).padStart(4, "0")}/`;
}

/** Who owned a slot in an epoch. */
export function slotKey(slot: Slot, epoch: Epoch): string {
  return `${slotPrefix(slot)}${digits(epoch)}`;
}

/** The slot and epoch of a key, or undefined for what is foreign. */
export function parseSlotKey(key: string): { slot: Slot; epoch: Epoch } | undefined {
  const match = /^slot\/(\d{4})\/(\d{10})$/.exec(key);
  return match === null ? undefined : { slot: Number(match[1]) as Slot, epoch: Number(match[2]) as Epoch };
}

/** Files of cells, whoever put them. */
export const FILE_PREFIX = "files/";

/** A file, by the SHA-256 of its bytes in lower-case hex. */
export function fileKey(hash: string): string {
  return FILE_PREFIX + hash;
}

/** The hash of the file at `key`, or undefined for what is foreign. */
export function hashOfFile(key: string): string | undefined {
  return /^files\/([0-9a-f]{64})$/.exec(key)?.[1];
}

/** All packs of a run. */
export function packPrefix(run: RunId): string {
  return `${PACK_PREFIX}${run}/`;
}

/** The records of a run's segments `from` up to but without `to`, merged by cell. */
export function packKey(run: RunId, from: Seq, to: Seq): string {
  return `${packPrefix(run)}${digits(from)}-${digits(to)}`;
}

/** Which segments are in the pack at `key`, or undefined for what is foreign. */
export function parsePackKey(run: RunId, key: string): { from: Seq; to: Seq } | undefined {
  const prefix = packPrefix(run);
  const match = key.startsWith(prefix) ? /^(\d{10})-(\d{10})$/.exec(key.slice(prefix.length)) : null;
  if (match === null) return undefined;
  const range = { from: Number(match[1]) as Seq, to: Number(match[2]) as Seq };
  return range.from >= 1 && range.from < range.to ? range : undefined;
}

/** All checkpoints and snapshots of a slot. */
export function cellPrefix(slot: Slot): string {
  return `${CELL_PREFIX}${String(slot).padStart(4, "0")}/`;
}

/** All checkpoints of a slot. */
export function checkpointPrefix(slot: Slot): string {
  return `${cellPrefix(slot)}@checkpoint/`;
}

/** The slot whole: all epochs before `epoch`, and of this one what its owner's log holds below `seq`. */
export function checkpointKey(slot: Slot, epoch: Epoch, seq: Seq): string {
  return `${checkpointPrefix(slot)}${digits(epoch)}-${digits(seq)}`;
}

/** What the checkpoint at `key` is of, or undefined for what is none. */
export function parseCheckpointKey(key: string): { slot: Slot; epoch: Epoch; seq: Seq } | undefined {
  const match = /^cell\/(\d{4})\/@checkpoint\/(\d{10})-(\d{10})$/.exec(key);
  if (match === null) return undefined;
  return { slot: Number(match[1]) as Slot, epoch: Number(match[2]) as Epoch, seq: Number(match[3]) as Seq };
}

/**
 * One cell whole, as of a position. `name`: its escaped address. `attempt`, from 1: of a content from outside, of which there can be
 * several for one position; 0: the cell as its records have it.
 */
export function snapshotKey(slot: Slot, name: string, { epoch, txid }: Position, attempt = 0): string {
  const which = attempt === 0 ? "" : `-${attempt.toString(16).padStart(ATTEMPT_WIDTH, "0")}`;
  return `${snapshotPrefix(slot, name)}${digits(epoch)}-${String(txid).padStart(TXID_WIDTH, "0")}${which}`;
}

/** All snapshots of a cell. `name`: its escaped address. */
export function snapshotPrefix(slot: Slot, name: string): string {
  return `${cellPrefix(slot)}${name}/`;
}

/** The position of the snapshot at a key, or undefined for what is none. */
export function positionOfSnapshot(key: string): Position | undefined {
  return isSnapshotKey(key) ? positionAtEnd(key) : undefined;
}

/** Cells that were erased. */
export const ERASED_PREFIX = "erased/";

/** The erasures of one cell. `hash`: of its address. */
export function erasuresPrefix(hash: string): string {
  return `${ERASED_PREFIX}${hash}/`;
}

/** A cell was erased up to a position. */
export function erasureKey(hash: string, { epoch, txid }: Position): string {
  return `${erasuresPrefix(hash)}${digits(epoch)}-${String(txid).padStart(TXID_WIDTH, "0")}`;
}

/** Up to where the erasure at a key goes, or undefined for what is none. */
export function positionOfErasure(key: string): Position | undefined {
  return /^erased\/[0-9a-f]{64}\/\d{10}-\d{16}$/.test(key) ? positionAtEnd(key) : undefined;
}

function positionAtEnd(key: string): Position {
  const [epoch, txid] = (key.split("/").at(-1) as string).split("-").map(Number);
  return { epoch: epoch as Epoch, txid: txid as Txid };
}

/** True for the key of a snapshot. */
export function isSnapshotKey(key: string): boolean {
  return /^cell\/\d{4}\/[^@/][^/]*\/\d{10}-\d{16}(-[0-9a-f]{8})?$/.test(key);
}

function digits(value: number): string {
  return String(value).padStart(WIDTH, "0");
}
