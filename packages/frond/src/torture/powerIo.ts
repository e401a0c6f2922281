// A disk that loses power: what was not synced stays in memory, and of that a random part reaches the file at death.
//
// Rule: exactly what a real disk promises and nothing more. A sync covers all writes to its file that were made before
// it began; what it covers is in the file before its end is told. A file whose folder was not synced since it got its name
// may be gone. Of bytes not synced any set of sectors may have been written, in any order: a sector is whole or old.
// Death comes at an event of the layer that the harness drew (a write, a sync that ended, a name), so that it falls between
// any two of them; the process then kills itself, as the power would.
// Rejected: a file system or a block device of our own (needs privileges, and tests the kernel rather than the log).

import fs from "node:fs";
import path from "node:path";
import { diskIo, type LogIo } from "../log/io.ts";
import type { Random } from "./random.ts";

/** What a disk writes whole or not at all, in bytes. */
const SECTOR = 512;
/** Longest time that a sync takes: a disk has one of these. In ms. */
const SLOWEST_SYNC_MS = [2, 10, 40];
/** How much later than it should a broken layer does what it has acknowledged, in ms. */
const LATE_MS = 25;

interface Pending {
  readonly bytes: Buffer;
  readonly position: number;
}

interface OpenFile {
  readonly fd: number;
  readonly path: string;
  /** Written and not yet synced, in order. */
  pending: Pending[];
  /** Its name in the folder is durable. */
  named: boolean;
  /** Its length is durable. */
  sized: boolean;
}

/** See the head of the file. */
export class PowerIo implements LogIo {
  readonly #random: Random;
  readonly #slowest: number;
  #dieAt: number;
  readonly #kill: () => void;
  readonly #files = new Map<number, OpenFile>();
  readonly #unsized = new Set<string>();
  #events = 0;

  /** Dies at event number `dieAt` (Infinity: only when told to). `kill` ends the process. */
  constructor(random: Random, dieAt: number, kill: () => void) {
    this.#random = random;
    this.#slowest = random.pick(SLOWEST_SYNC_MS);
    this.#dieAt = dieAt;
    this.#kill = kill;
  }

  /** Dies so many events from now. */
  dieIn(events: number): void {
    this.#dieAt = this.#events + events;
  }

  allocate(file: string, bytes: number): Promise<void> {
    return diskIo.allocate(file, bytes);
  }

  allocateNow(file: string, bytes: number): void {
    diskIo.allocateNow(file, bytes);
    this.#unsized.add(file);
  }

  open(file: string): number {
    const fd = diskIo.open(file);
    this.#files.set(fd, { fd, path: file, pending: [], named: false, sized: !this.#unsized.delete(file) });
    return fd;
  }

  append(fd: number, bytes: Buffer, length: number, position: number, done: (error: Error | null) => void): void {
    const file = this.#files.get(fd) as OpenFile;
    file.pending.push({ bytes: Buffer.from(bytes.subarray(0, length)), position });
    this.#event();
    this.sync(file, done);
  }

  /** Everything written to `file` before now is in it when `done` is called. */
  protected sync(file: OpenFile, done: (error: Error | null) => void): void {
    const covered = new Set(file.pending);
    this.#later(() => {
      for (const write of file.pending) if (covered.has(write)) putBytes(file.fd, write.bytes, write.position);
      file.pending = file.pending.filter((write) => !covered.has(write));
      file.sized = true;
      this.#event();
      done(null);
    });
  }

  syncFolder(folder: string, done: (error: Error | null) => void): void {
    const files = [...this.#files.values()].filter((file) => path.dirname(file.path) === folder);
    this.#event();
    this.#later(() => {
      for (const file of files) file.named = true;
      this.#event();
      done(null);
    });
  }

  close(fd: number): void {
    this.#files.delete(fd);
    diskIo.close(fd);
  }

  /** The power goes: keeps a random part of what was not synced, then ends the process. */
  die(): void {
    const share = this.#random.pick([0, 0.1, 0.5, 0.9, 1]);
    for (const file of this.#files.values()) {
      if (!file.named && this.#random.chance(0.5)) {
        fs.rmSync(file.path);
        continue;
      }
      if (!file.sized) fs.ftruncateSync(file.fd, this.#random.between(0, fs.fstatSync(file.fd).size));
      for (const write of file.pending) this.#keepSome(file.fd, write, share);
    }
    this.#kill();
  }

  #keepSome(fd: number, { bytes, position }: Pending, share: number): void {
    for (let at = 0; at < bytes.length;) {
      const end = Math.min(bytes.length, at + SECTOR - ((position + at) % SECTOR));
      if (this.#random.chance(share)) putBytes(fd, bytes.subarray(at, end), position + at);
      at = end;
    }
  }

  #later(work: () => void): void {
    setTimeout(work, this.#random.between(0, this.#slowest));
  }

  #event(): void {
    this.#events += 1;
    if (this.#events === this.#dieAt) this.die();
  }
}

function putBytes(fd: number, bytes: Buffer, position: number): void {
  for (let at = 0; at < bytes.length;) at += fs.writeSync(fd, bytes, at, bytes.length - at, position + at);
}

/** A broken disk: says that bytes are on stable storage when they were only handed over; syncs one after the other. */
export class AcksBeforeSync extends PowerIo {
  readonly #syncing = new Set<OpenFile>();

  protected override sync(file: OpenFile, done: (error: Error | null) => void): void {
    setImmediate(done, null);
    if (this.#syncing.has(file)) return;
    this.#syncing.add(file);
    super.sync(file, () => {
      this.#syncing.delete(file);
      if (file.pending.length > 0) this.sync(file, () => {});
    });
  }

  /** The log closes a file when all is acknowledged; here that is too early. */
  override close(fd: number): void {
    setTimeout(() => super.close(fd), 10 * LATE_MS);
  }
}

/** A broken layer: acknowledges first and writes when it gets round to it. */
export const acksBeforeWrite: LogIo = {
  ...diskIo,
  append(fd, bytes, length, position, done) {
    const copy = Buffer.from(bytes.subarray(0, length));
    setTimeout(() => diskIo.append(fd, copy, length, position, () => {}), LATE_MS);
    setImmediate(done, null);
  },
  // The log closes a file when all is acknowledged; here that is too early.
  close: (fd) => void setTimeout(() => diskIo.close(fd), 10 * LATE_MS),
};
