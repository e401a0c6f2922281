// A real SQLite database in WAL mode, read commit by commit through the codec, and SQLite's own opinion to compare with.

import { closeSync, copyFileSync, mkdtempSync, openSync, readFileSync, readSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { PageSet } from "../../src/codec/pages.ts";
import { COMMIT, MORE, readWalHeader, scanCommit, type ScanStatus, type WalState } from "../../src/codec/wal.ts";

export class Live {
  readonly folder = mkdtempSync(join(tmpdir(), "frond-wal-"));
  readonly file = join(this.folder, "cell.db");
  readonly db: DatabaseSync;
  readonly pageSize: number;
  readonly set = new PageSet();
  /** The database as rebuilt from captured pages alone. */
  readonly pages = new Map<number, Buffer>();
  pageCount = 0;
  commits = 0;
  state: WalState | undefined;
  /** Bytes of each read: small, so that a scan has to go on where it stopped. */
  chunk = 700;
  #head = Buffer.alloc(0);

  constructor(pageSize = 512, cachePages = 10) {
    this.pageSize = pageSize;
    this.db = new DatabaseSync(this.file);
    this.db.exec(`PRAGMA locking_mode = EXCLUSIVE; PRAGMA page_size = ${pageSize}; PRAGMA auto_vacuum = INCREMENTAL;
      PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF; PRAGMA wal_autocheckpoint = 0; PRAGMA cache_size = ${cachePages}`);
  }

  get wal(): string {
    return `${this.file}-wal`;
  }

  walBytes(): Buffer {
    return readFileSync(this.wal);
  }

  /** Reads on from the last commit, chunk by chunk, until the scan has an answer or the file ends. */
  scan(): ScanStatus {
    const fd = openSync(this.wal, "r");
    try {
      const head = Buffer.alloc(32);
      if (readSync(fd, head, 0, 32, 0) < 32) return MORE;
      // After a checkpoint the old frames stay until the next write begins the WAL anew.
      if (this.state === undefined || !head.equals(this.#head)) this.state = readWalHeader(head, this.wal);
      this.#head = head;
      // The commit need not stand at the start of the buffer, and the buffer may move when it grows.
      const at = 8;
      const from = this.state.end;
      let buffer = Buffer.alloc(at + this.chunk, 0xee);
      let have = at;
      for (;;) {
        const got = readSync(fd, buffer, have, Math.min(this.chunk, buffer.length - have), from + have - at);
        have += got;
        const status = scanCommit(this.state, buffer, have, at, this.set);
        if (status !== MORE || got === 0) return status;
        if (have === buffer.length) buffer = Buffer.concat([buffer, Buffer.alloc(buffer.length, 0xee)]);
      }
    } finally {
      closeSync(fd);
    }
  }

  /** Takes every commit that the scan finds into `pages`; gives back how many there were. */
  capture(): number {
    let found = 0;
    while (this.scan() === COMMIT) {
      found += 1;
      this.take();
    }
    // What stands behind the last commit is left over or half a transaction: never to be continued.
    if (this.state !== undefined) this.state.scanned = 0;
    this.commits += found;
    return found;
  }

  /** Puts the pages of the commit that the last scan found into `pages`. */
  take(): void {
    const { set } = this;
    this.pageCount = (this.state as WalState).pageCount;
    for (let i = 0; i < set.count; i++) {
      const from = set.offsets[i] as number;
      this.pages.set(set.numbers[i] as number, Buffer.from(set.source.subarray(from, from + set.pageSize)));
    }
    for (const number of this.pages.keys()) if (number > this.pageCount) this.pages.delete(number);
  }

  /** The file as SQLite itself makes it: a copy, recovered and checkpointed by another connection. */
  image(): Buffer {
    const folder = mkdtempSync(join(tmpdir(), "frond-wal-"));
    try {
      const copy = join(folder, "copy.db");
      copyFileSync(this.file, copy);
      copyFileSync(this.wal, `${copy}-wal`);
      const db = new DatabaseSync(copy);
      db.exec("PRAGMA wal_checkpoint(TRUNCATE)");
      db.close();
      return readFileSync(copy);
    } finally {
      rmSync(folder, { recursive: true });
    }
  }

  /** The file as the captured pages make it. */
  rebuilt(): Buffer {
    const parts: Buffer[] = [];
    for (let i = 1; i <= this.pageCount; i++) parts.push(this.pages.get(i) ?? Buffer.alloc(this.pageSize, 0xdd));
    return Buffer.concat(parts);
  }

  /** Empties the WAL into the database; the next commit begins it anew. */
  checkpoint(mode: "TRUNCATE" | "RESTART" = "TRUNCATE"): void {
    this.db.exec(`PRAGMA wal_checkpoint(${mode})`);
  }

  walSize(): number {
    return statSync(this.wal).size;
  }

  close(): void {
    this.db.close();
    rmSync(this.folder, { recursive: true });
  }
}

/** SQLite's checksum, word by word as its documentation states it, to make WAL files that SQLite did not write. */
function checksum(
  bytes: Buffer,
  from: number,
  to: number,
  big: boolean,
  seed: readonly [number, number],
): [number, number] {
  let [a, b] = seed;
  for (let i = from; i < to; i += 8) {
    a = (a + (big ? bytes.readUInt32BE(i) : bytes.readUInt32LE(i)) + b) % 2 ** 32;
    b = (b + (big ? bytes.readUInt32BE(i + 4) : bytes.readUInt32LE(i + 4)) + a) % 2 ** 32;
  }
  return [a, b];
}

/** A copy of a WAL with its checksums made again, in big-endian or little-endian words. */
export function resummed(wal: Buffer, pageSize: number, big: boolean): Buffer {
  const copy = Buffer.from(wal);
  copy.writeUInt32BE(big ? 0x377f0683 : 0x377f0682, 0);
  let sum = checksum(copy, 0, 24, big, [0, 0]);
  const store = (at: number) => {
    copy.writeUInt32BE(sum[0], at);
    copy.writeUInt32BE(sum[1], at + 4);
  };
  store(24);
  for (let frame = 32; frame + 24 + pageSize <= copy.length; frame += 24 + pageSize) {
    sum = checksum(copy, frame, frame + 8, big, sum);
    sum = checksum(copy, frame + 24, frame + 24 + pageSize, big, sum);
    store(frame + 16);
  }
  return copy;
}
