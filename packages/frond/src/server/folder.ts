// A data directory: its folders, its lock, and what was frozen when it was created.
//
// Rule: the directory is used under its lock only. The number of slots and the hash decide where everything lies, so they
// are written down once and compared at every start; a directory of a newer format is refused, not guessed at.

import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { SLOT_HASH } from "../address.ts";
import { FrondError } from "../errors.ts";
import { SLOTS } from "../limits.ts";
import { type DirectoryLock, lockDirectory } from "../store/lock.ts";
import type { BucketSpec } from "./persist/bucketTalk.ts";
import { fullDisk, syncFolder, writeDurably } from "./durably.ts";

const FORMAT = 2;
/** The format of a directory that has no bucket. */
const FORMAT_WITHOUT_BUCKET = 1;
const FROZEN = "frond.json";

interface Frozen {
  format: number;
  slots: number;
  hash: string;
  createdMs: number;
  /** The bucket behind the directory, and what was there before it. Absent: it has never had one. */
  bucket?: FrozenBucket;
}

/** What a directory remembers of its bucket. */
export interface FrozenBucket {
  /** Where it was last; null: inside of the directory. It may have been moved; the cluster says whether it is the same. */
  readonly spec: BucketSpec | null;
  readonly cluster: string;
  /** Names of the runs of this directory from before it had a bucket, the oldest first. */
  readonly adopted: readonly string[];
  /** Where the directory was when a node last had a lease with it: see {@link placeOf}. Absent: nobody knows. */
  readonly place?: string;
}

/**
 * Which directory it is, of all that hold the same: a copy has another place. So has a directory that was brought to another
 * machine or file system; one that was renamed has not.
 */
export function placeOf(directory: string): string {
  const { dev, ino } = fs.statSync(directory, { bigint: true });
  return `${os.hostname()} ${dev} ${ino}`;
}

/** What a directory remembers of its bucket; undefined: it has never had one. */
export function frozenBucket(directory: string): FrozenBucket | undefined {
  const file = path.join(directory, FROZEN);
  return parse(file, fs.readFileSync(file, "utf8")).bucket;
}

/** Writes down which bucket a directory has, durably. From here on older programs refuse it. */
export function freezeBucket(directory: string, bucket: FrozenBucket): void {
  const file = path.join(directory, FROZEN);
  const frozen: Frozen = { ...parse(file, fs.readFileSync(file, "utf8")), format: FORMAT, bucket };
  writeDurably(file, Buffer.from(`${JSON.stringify(frozen)}\n`));
}

/** Creates the directory where there is none, and locks it. Throws DATA_LOCKED, DATA_NEWER, DATA_DAMAGED. */
export function openDirectory(directory: string): DirectoryLock {
  fs.mkdirSync(directory, { recursive: true, mode: 0o700 });
  const lock = lockDirectory(directory);
  try {
    checkFrozen(directory);
    for (const folder of ["log", "cells", "tmp"])
      fs.mkdirSync(path.join(directory, folder), { recursive: true, mode: 0o700 });
    for (const left of fs.readdirSync(path.join(directory, "tmp")))
      fs.rmSync(path.join(directory, "tmp", left), { recursive: true });
    syncFolder(directory);
    return lock;
  } catch (error) {
    lock.release();
    throw fullDisk(error, `a start on ${directory}`);
  }
}

function checkFrozen(directory: string): void {
  const file = path.join(directory, FROZEN);
  let text: string;
  try {
    text = fs.readFileSync(file, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
    if (fs.existsSync(path.join(directory, "log"))) {
      throw new FrondError(
        "DATA_DAMAGED",
        `${directory} has a log but no frond.json: its format is unknown; restore that file`,
      );
    }
    const frozen: Frozen = { format: FORMAT_WITHOUT_BUCKET, slots: SLOTS, hash: SLOT_HASH, createdMs: Date.now() };
    writeDurably(file, Buffer.from(`${JSON.stringify(frozen)}\n`));
    return;
  }
  const frozen = parse(file, text);
  if (frozen.format > FORMAT) {
    throw new FrondError(
      "DATA_NEWER",
      `${directory} has format ${frozen.format}; this frond knows ${FORMAT}. Start the newer version`,
    );
  }
  if (frozen.slots !== SLOTS || frozen.hash !== SLOT_HASH) {
    throw new FrondError(
      "DATA_DAMAGED",
      `${file} says ${frozen.slots} slots by ${frozen.hash}; this frond has ${SLOTS} by ${SLOT_HASH}`,
    );
  }
}

function parse(file: string, text: string): Frozen {
  try {
    const value = JSON.parse(text) as Partial<Frozen>;
    if (typeof value.format === "number" && typeof value.slots === "number" && typeof value.hash === "string") {
      return value as Frozen;
    }
  } catch {
    // Told below, with what to do.
  }
  throw new FrondError("DATA_DAMAGED", `${file} cannot be read as what frond wrote; restore it`);
}
