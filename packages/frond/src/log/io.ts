// The file layer of the commit log: the few calls through which its bytes reach the disk.
//
// Rule: `append` reports success only after the bytes are on stable storage; `allocate` gives a file whose space is
// really there. Everything that a power loss can take away goes through this one interface, so the torture tests put a
// layer here that forgets what was not synced.
// Why the write is synchronous: it only copies into the page cache (about 10 us for a batch), while a trip through the
// thread pool costs more than that and delays the sync behind it. The sync itself never runs on the main thread.
// Rejected: O_DSYNC (no way to tell write and sync apart in tests), fallocate (unwritten extents make every first sync
// of a block a metadata commit; Node has no call for it either).

import fs from "node:fs";
import { open } from "node:fs/promises";

/** How the commit log touches the disk. */
export interface LogIo {
  /** Creates `path` with `bytes` zeros in place and on disk. Rejects with ENOSPC where there is no room. */
  allocate(path: string, bytes: number): Promise<void>;
  /** The same at once, for the rare case that a file is needed before its allocation ended; not yet synced. */
  allocateNow(path: string, bytes: number): void;
  /** Opens an allocated file for `append`. */
  open(path: string): number;
  /** Writes `length` bytes of `bytes` at `position` and calls `done` once they are on disk. */
  append(fd: number, bytes: Buffer, length: number, position: number, done: (error: Error | null) => void): void;
  /** Makes the entries of a folder durable, then calls `done`. */
  syncFolder(path: string, done: (error: Error | null) => void): void;
  close(fd: number): void;
}

const ZEROS = Buffer.alloc(1024 * 1024);

/** The real disk. */
export const diskIo: LogIo = {
  async allocate(path, bytes) {
    const file = await open(path, "w", 0o600);
    try {
      for (let at = 0; at < bytes; at += ZEROS.length) {
        const { bytesWritten } = await file.write(ZEROS, 0, Math.min(ZEROS.length, bytes - at), at);
        if (bytesWritten < Math.min(ZEROS.length, bytes - at)) throw noSpace(path);
      }
      await file.sync();
    } finally {
      await file.close();
    }
  },
  allocateNow(path, bytes) {
    const fd = fs.openSync(path, "w", 0o600);
    try {
      for (let at = 0; at < bytes; at += ZEROS.length) {
        const want = Math.min(ZEROS.length, bytes - at);
        if (fs.writeSync(fd, ZEROS, 0, want, at) < want) throw noSpace(path);
      }
    } finally {
      fs.closeSync(fd);
    }
  },
  open: (path) => fs.openSync(path, "r+"),
  append(fd, bytes, length, position, done) {
    try {
      for (let at = 0; at < length;) at += fs.writeSync(fd, bytes, at, length - at, position + at);
    } catch (error) {
      done(error as Error);
      return;
    }
    fs.fdatasync(fd, done);
  },
  syncFolder(path, done) {
    fs.open(path, "r", (error, fd) => {
      if (error) return done(error);
      fs.fsync(fd, (failed) => fs.close(fd, (closed) => done(failed ?? closed ?? null)));
    });
  },
  close: (fd) => fs.closeSync(fd),
};

function noSpace(path: string): Error {
  return Object.assign(new Error(`no space left on device, write '${path}'`), { code: "ENOSPC" });
}
