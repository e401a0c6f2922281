// A disk that can be full: a tmpfs of its own, whose size the harness changes while it is in use.
//
// Rule: full means full for everybody, from the next write on, whatever that is; room comes back as suddenly. A file system of the
// kernel refuses as real ones do: in the middle of a file, of SQLite's and of the log's, with bytes half written.
// Needs the right to mount; who has none does without these faults.
// Rejected: ballast (the node writes while it is laid, and it takes the memory of the machine).

import { spawnSync } from "node:child_process";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import type { Random } from "./random.ts";

/** Room of a disk that is not full, in MiB: only what is used takes memory. */
const ROOMY_MIB = 4096;
/** What a full disk may have left, in bytes: nothing, a page or two, a small file. */
const LEFT = [0, 4_096, 8_192, 65_536];
/** The node writes between the look and the change, which then fails. Count. */
const TRIES = 20;

/** See the head of the file. */
export class SmallDisk {
  readonly folder: string;

  /** Makes the folder a disk; undefined without the right to. */
  static make(folder: string): SmallDisk | undefined {
    if (process.platform !== "linux") return undefined;
    fs.mkdirSync(folder, { recursive: true });
    return mount("-t", "tmpfs", "-o", `size=${ROOMY_MIB}m`, "tmpfs", folder) ? new SmallDisk(folder) : undefined;
  }

  private constructor(folder: string) {
    this.folder = folder;
  }

  fill(random: Random): void {
    const left = random.pick(LEFT);
    for (let tries = 1; tries <= TRIES; tries++) {
      const { bsize, blocks, bfree } = fs.statfsSync(this.folder);
      if (mount("-o", `remount,size=${(blocks - bfree) * bsize + left}`, this.folder)) return;
    }
    throw new Error(`the disk at ${this.folder} cannot be made full`);
  }

  makeRoom(): void {
    if (!mount("-o", `remount,size=${ROOMY_MIB}m`, this.folder)) throw new Error(`no room for ${this.folder}`);
  }

  /** Takes it away, and the folder. */
  remove(): void {
    spawnSync("umount", ["-l", this.folder]);
    fs.rmSync(this.folder, { recursive: true, force: true });
  }
}

function mount(...args: string[]): boolean {
  return spawnSync("mount", args).status === 0;
}

/** Small disks can be made here. */
export function canMakeSmallDisks(): boolean {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "frond-disk-"));
  const disk = SmallDisk.make(folder);
  if (disk === undefined) fs.rmSync(folder, { recursive: true });
  disk?.remove();
  return disk !== undefined;
}
