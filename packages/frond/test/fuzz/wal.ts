// The write-ahead log of a cell, changed: what the codec reads out of it against a second reader, and against SQLite.
//
// Rule: the reference reads the documentation's way, slowly and with nothing shared; and where no checksum was forged,
// SQLite recovers the same bytes and must come to the same database, page for page.

import fc from "fast-check";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { DatabaseSync } from "node:sqlite";
import { PageSet } from "../../src/codec/pages.ts";
import { COMMIT, isPageSize, MORE, readWalHeader, scanCommit } from "../../src/codec/wal.ts";
import { resummed } from "../codec/live.ts";
import { mutate, mutations } from "./mutate.ts";
import { attempt, type Entrance, target, type Target } from "./target.ts";

/** What one COMMIT changed. */
export interface Commit {
  readonly pageCount: number;
  readonly pages: Map<number, Buffer>;
}

/** All commits of a WAL, in order; undefined when its header is refused. */
export type ReadWal = (wal: Buffer, chunk: number, shift: number) => Commit[] | undefined;

/** A database and its WAL, as a kill leaves them. */
interface Base {
  readonly pageSize: number;
  readonly main: Buffer;
  readonly wal: Buffer;
}

/** The WAL through the codec, `chunk` bytes at a time, with the commits `shift` bytes into the buffer. */
export const readByCodec: ReadWal = (wal, chunk, shift) => {
  const header = attempt(["WAL_DAMAGED"], () => readWalHeader(wal.subarray(0, 32), "cell.db-wal"));
  if ("code" in header) return undefined;
  const state = header.value;
  const commits: Commit[] = [];
  const set = new PageSet();
  for (;;) {
    const from = state.end;
    let buffer = Buffer.alloc(shift + chunk, 0xee);
    let have = shift;
    for (;;) {
      const got = wal.copy(buffer, have, from + have - shift, Math.min(wal.length, from + buffer.length - shift));
      have += got;
      const status = scanCommit(state, buffer, have, shift, set);
      if (status === COMMIT) break;
      if (status !== MORE || got === 0) return commits;
      if (have === buffer.length) buffer = Buffer.concat([buffer, Buffer.alloc(buffer.length, 0xee)]);
    }
    const pages = new Map<number, Buffer>();
    for (let i = 0; i < set.count; i++) {
      const at = set.offsets[i] as number;
      pages.set(set.numbers[i] as number, Buffer.from(set.source.subarray(at, at + set.pageSize)));
    }
    commits.push({ pageCount: state.pageCount, pages });
  }
};

/** The same by the book: https://sqlite.org/fileformat2.html#the_write_ahead_log */
export function readByBook(wal: Buffer): Commit[] | undefined {
  if (wal.length < 32) return undefined;
  const magic = wal.readUInt32BE(0);
  const pageSize = wal.readUInt32BE(8);
  if (magic >>> 1 !== 0x377f0682 >>> 1 || wal.readUInt32BE(4) !== 3_007_000 || !isPageSize(pageSize)) return undefined;
  const sum = (bytes: Buffer, [a, b]: readonly [number, number]): [number, number] => {
    for (let i = 0; i < bytes.length; i += 8) {
      a = (a + (magic & 1 ? bytes.readUInt32BE(i) : bytes.readUInt32LE(i)) + b) % 2 ** 32;
      b = (b + (magic & 1 ? bytes.readUInt32BE(i + 4) : bytes.readUInt32LE(i + 4)) + a) % 2 ** 32;
    }
    return [a, b];
  };
  let running = sum(wal.subarray(0, 24), [0, 0]);
  if (wal.readUInt32BE(24) !== running[0] || wal.readUInt32BE(28) !== running[1]) return undefined;
  const commits: Commit[] = [];
  let open = new Map<number, Buffer>();
  for (let at = 32; at + 24 + pageSize <= wal.length; at += 24 + pageSize) {
    const page = wal.subarray(at + 24, at + 24 + pageSize);
    running = sum(page, sum(wal.subarray(at, at + 8), running));
    const number = wal.readUInt32BE(at);
    const salts = wal.compare(wal, 16, 24, at + 8, at + 16) === 0;
    const sums = wal.readUInt32BE(at + 16) === running[0] && wal.readUInt32BE(at + 20) === running[1];
    if (number === 0 || !salts || !sums) break;
    open.set(number, page);
    const pageCount = wal.readUInt32BE(at + 4);
    if (pageCount === 0) continue;
    for (const kept of open.keys()) if (kept > pageCount) open.delete(kept);
    commits.push({ pageCount, pages: open });
    open = new Map();
  }
  return commits;
}

export interface WalCase {
  readonly base: number;
  readonly changes: Parameters<typeof mutate>[1];
  readonly forged: boolean;
  readonly big: boolean;
  readonly chunk: number;
  readonly shift: number;
}

export function walTarget(read: ReadWal = readByCodec): Target {
  return target("wal", 500, (): Entrance<WalCase> => {
    const folder = fs.mkdtempSync(path.join(os.tmpdir(), "frond-fuzz-"));
    const bases = [512, 1024, 4096].map((pageSize) => makeBase(folder, pageSize));
    return {
      input: fc.record({
        base: fc.nat(bases.length - 1),
        changes: mutations,
        forged: fc.boolean(),
        big: fc.boolean(),
        chunk: fc.integer({ min: 1, max: 9000 }),
        shift: fc.constantFrom(0, 1, 4, 8),
      }),
      check({ base: index, changes, forged, big, chunk, shift }) {
        const base = bases[index] as Base;
        const changed = mutate(base.wal, changes);
        const wal = forged && changed.length >= 32 ? resummed(changed, base.pageSize, big) : changed;
        const got = read(wal, chunk, shift);
        const wanted = readByBook(wal);
        if (!sameCommits(got, wanted)) throw new Error(`read ${told(got)}, by the book ${told(wanted)}`);
        if (forged) return;
        const recovered = bySqlite(folder, base, wal);
        if (recovered === undefined) return;
        const rebuilt = rebuild(base, wanted ?? []);
        if (!rebuilt.equals(recovered)) throw new Error(`SQLite recovers another database (read ${told(got)})`);
      },
      close: () => fs.rmSync(folder, { recursive: true, force: true }),
    };
  });
}

/** A few commits, one that shrinks the file, and frames of a rolled-back transaction behind them. */
function makeBase(folder: string, pageSize: number): Base {
  const file = path.join(folder, `base-${pageSize}.db`);
  const db = new DatabaseSync(file);
  db.exec(`PRAGMA locking_mode = EXCLUSIVE; PRAGMA page_size = ${pageSize}; PRAGMA auto_vacuum = FULL;
    PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF; PRAGMA wal_autocheckpoint = 0; PRAGMA cache_size = 4;
    CREATE TABLE t (a INTEGER PRIMARY KEY, b BLOB);
    WITH n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 6) INSERT INTO t SELECT i, zeroblob(${pageSize}) FROM n;
    PRAGMA wal_checkpoint(TRUNCATE);
    UPDATE t SET b = randomblob(9) WHERE a = 1;
    DELETE FROM t WHERE a > 3;
    BEGIN; UPDATE t SET b = randomblob(${pageSize}); INSERT INTO t SELECT a + 50, b FROM t; ROLLBACK;
    UPDATE t SET b = 'last' WHERE a = 2;`);
  const base = { pageSize, main: fs.readFileSync(file), wal: fs.readFileSync(`${file}-wal`) };
  db.close();
  return base;
}

/** What SQLite makes of the two files; undefined where it refuses them. */
function bySqlite(folder: string, base: Base, wal: Buffer): Buffer | undefined {
  const file = path.join(folder, "case.db");
  fs.writeFileSync(file, base.main);
  fs.writeFileSync(`${file}-wal`, wal);
  let db: DatabaseSync | undefined;
  try {
    db = new DatabaseSync(file);
    db.exec("PRAGMA locking_mode = EXCLUSIVE; PRAGMA synchronous = OFF; PRAGMA wal_checkpoint(TRUNCATE)");
  } catch {
    return undefined;
  } finally {
    db?.close();
    fs.rmSync(`${file}-wal`, { force: true });
  }
  return fs.readFileSync(file);
}

function rebuild(base: Base, commits: readonly Commit[]): Buffer {
  let image = Buffer.from(base.main);
  for (const { pageCount, pages } of commits) {
    const next = Buffer.alloc(pageCount * base.pageSize);
    image.copy(next);
    for (const [number, page] of pages) page.copy(next, (number - 1) * base.pageSize);
    image = next;
  }
  return image;
}

function sameCommits(a: Commit[] | undefined, b: Commit[] | undefined): boolean {
  if (a === undefined || b === undefined) return a === b;
  return a.length === b.length && a.every((commit, i) => sameCommit(commit, b[i] as Commit));
}

function sameCommit(a: Commit, b: Commit): boolean {
  if (a.pageCount !== b.pageCount || a.pages.size !== b.pages.size) return false;
  return [...a.pages].every(([number, page]) => b.pages.get(number)?.equals(page) === true);
}

function told(commits: Commit[] | undefined): string {
  if (commits === undefined) return "no WAL";
  const list = commits.map(({ pageCount, pages }) => `[${[...pages.keys()].join(" ")}] of ${pageCount}`);
  return `${commits.length} commits: ${list.join(", ")}`;
}
