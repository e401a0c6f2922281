// The WAL reader against WALs that SQLite itself wrote: what it finds, applied page by page, must be the database that
// SQLite shows. Rejected: WALs made by hand, which hold what their maker thought of.

import { copyFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import fc from "fast-check";
import { afterEach, describe, expect, test } from "vitest";
import { PageSet } from "../../src/codec/pages.ts";
import { COMMIT, MORE, readWalHeader, restartScan, scanCommit, STALE } from "../../src/codec/wal.ts";
import { FrondError } from "../../src/errors.ts";
import { Live, resummed } from "./live.ts";

const open: Live[] = [];

function live(pageSize?: number, cachePages?: number): Live {
  const cell = new Live(pageSize, cachePages);
  open.push(cell);
  return cell;
}

afterEach(() => {
  for (const cell of open.splice(0)) cell.close();
});

function expectSame(cell: Live): void {
  expect(cell.rebuilt().equals(cell.image())).toBe(true);
}

/** Every commit of a whole WAL: which pages, their bytes, the page count. And how the scan ended. */
function commitsOf(wal: Buffer, at = 0) {
  const state = readWalHeader(wal.subarray(at), "test-wal");
  const set = new PageSet();
  const commits: { pageCount: number; end: number; pages: [number, string][] }[] = [];
  for (;;) {
    const status = scanCommit(state, wal, wal.length, at + state.end, set);
    if (status !== COMMIT) return { commits, status, state };
    const pages: [number, string][] = [];
    for (let i = 0; i < set.count; i++) {
      const from = set.offsets[i] as number;
      pages.push([set.numbers[i] as number, wal.toString("latin1", from, from + state.pageSize)]);
    }
    commits.push({ pageCount: state.pageCount, end: state.end, pages });
  }
}

function damage(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    expect(error).toBeInstanceOf(FrondError);
    expect((error as FrondError).code).toBe("WAL_DAMAGED");
    return (error as FrondError).message;
  }
  throw new Error("nothing was thrown");
}

const FILL =
  "INSERT INTO t (b) WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?) SELECT randomblob(100) FROM n";

describe("commits of a real database", () => {
  test.each([512, 1024, 4096, 65_536])(
    "page size %i: each commit, one at a time, is exactly what SQLite has",
    (pageSize) => {
      const cell = live(pageSize);
      cell.chunk = pageSize + 100;
      cell.db.exec("CREATE TABLE t (a INTEGER PRIMARY KEY, b)");
      const insert = cell.db.prepare("INSERT INTO t (b) VALUES (?)");
      const after: Buffer[] = [];
      for (let i = 0; i < 20; i++) {
        insert.run("x".repeat(i * 50));
        after.push(cell.image());
      }
      // The commit that made the file (page size, auto-vacuum), the table, then one for each row.
      let status = cell.scan();
      const images: Buffer[] = [];
      while (status === COMMIT) {
        cell.take();
        images.push(cell.rebuilt());
        status = cell.scan();
      }
      expect(status).toBe(MORE);
      expect(images.slice(-20).every((image, i) => image.equals(after[i] as Buffer))).toBe(true);
      expect(cell.state?.end).toBe(cell.walSize());
    },
  );

  test("schema changes, large values, deletes, vacuum", () => {
    const cell = live();
    for (const sql of [
      "CREATE TABLE t (a INTEGER PRIMARY KEY, b)",
      "INSERT INTO t (b) VALUES (randomblob(300000))",
      "CREATE INDEX i ON t (b)",
      "CREATE VIRTUAL TABLE f USING fts5 (words)",
      "INSERT INTO f VALUES ('some words to find'), ('and others')",
      "ALTER TABLE t ADD COLUMN c DEFAULT 5",
      "CREATE TABLE w (k TEXT PRIMARY KEY, v) WITHOUT ROWID",
      "INSERT INTO w VALUES ('k', zeroblob(5000))",
      "DELETE FROM t",
      "DROP TABLE f",
      "PRAGMA incremental_vacuum(100)",
      "VACUUM",
    ]) {
      cell.db.exec(sql);
      expect(cell.capture()).toBeGreaterThanOrEqual(1);
      expectSame(cell);
    }
  });

  test("savepoints, released and rolled back, larger than the page cache", () => {
    const cell = live();
    cell.db.exec("CREATE TABLE t (a INTEGER PRIMARY KEY, b)");
    const fill = cell.db.prepare(FILL);
    cell.db.exec("BEGIN");
    fill.run(50);
    cell.db.exec("SAVEPOINT one");
    fill.run(200);
    cell.db.exec("SAVEPOINT two");
    cell.db.exec("DELETE FROM t WHERE a % 3 = 0");
    fill.run(100);
    cell.db.exec("ROLLBACK TO two");
    fill.run(20);
    cell.db.exec("RELEASE two; ROLLBACK TO one; RELEASE one");
    fill.run(10);
    cell.db.exec("COMMIT");
    cell.capture();
    expectSame(cell);
    expect(cell.db.prepare("SELECT count(*) AS n FROM t").get()).toEqual({ n: 60 });
  });
});

describe("what stands behind a commit", () => {
  test("a spilled transaction that was rolled back gives no commit, and the small one after it only its own pages", () => {
    const cell = live();
    cell.db.exec("CREATE TABLE t (a INTEGER PRIMARY KEY, b); INSERT INTO t (b) VALUES (1)");
    cell.capture();
    const before = cell.walSize();
    cell.db.exec("BEGIN");
    cell.db.prepare(FILL).run(500);
    cell.db.exec("ROLLBACK");
    expect(cell.walSize()).toBeGreaterThan(before + 20 * 536);
    const end = cell.state?.end;
    expect(cell.capture()).toBe(0);
    expect(cell.state?.end).toBe(end);
    cell.db.exec("UPDATE t SET b = 2");
    expect(cell.scan()).toBe(COMMIT);
    expect(cell.set.count).toBeLessThan(5);
    expect(cell.state?.end).toBeLessThan(cell.walSize());
    expect(cell.scan()).toBe(STALE);
    expect(cell.state?.scanned).toBe(0);
    cell.db.exec("UPDATE t SET b = 3");
    expect(cell.capture()).toBe(1);
  });

  test("after restartScan other frames may stand where the scan had begun", () => {
    const cell = live();
    cell.db.exec("CREATE TABLE t (a INTEGER PRIMARY KEY, b); INSERT INTO t (b) VALUES (randomblob(5000))");
    const wal = cell.walBytes();
    const changed = Buffer.from(wal);
    const { commits } = commitsOf(wal);
    const start = commits.at(-2)?.end as number;
    changed.writeUInt8(changed.readUInt8(start + 24) ^ 1, start + 24);
    const other = resummed(changed, 512, false);
    for (const restart of [true, false]) {
      const state = readWalHeader(wal, "x");
      const set = new PageSet();
      while (state.end < start) expect(scanCommit(state, wal, wal.length, state.end, set)).toBe(COMMIT);
      expect(scanCommit(state, wal, start + 3 * 536, start, set)).toBe(MORE);
      expect(state.scanned).toBe(3 * 536);
      if (restart) restartScan(state);
      expect(scanCommit(state, other, other.length, start, set)).toBe(restart ? COMMIT : STALE);
    }
  });

  test("pages that a shrinking commit has cut off are dropped", () => {
    const cell = live();
    cell.db.exec("CREATE TABLE t (a INTEGER PRIMARY KEY, b)");
    cell.capture();
    const from = cell.state?.end as number;
    cell.db.exec("BEGIN");
    cell.db.prepare(FILL).run(500);
    cell.db.exec("DELETE FROM t WHERE a > 3; PRAGMA incremental_vacuum; COMMIT");
    const wal = cell.walBytes();
    const written: number[] = [];
    for (let at = from; at < wal.length; at += 536) written.push(wal.readUInt32BE(at));
    expect(cell.scan()).toBe(COMMIT);
    cell.take();
    expect(cell.set.count).toBeGreaterThan(0);
    expect(Math.max(...written)).toBeGreaterThan(cell.pageCount);
    for (let i = 0; i < cell.set.count; i++) expect(cell.set.numbers[i]).toBeLessThanOrEqual(cell.pageCount);
    expectSame(cell);
  });

  test.each(["TRUNCATE", "RESTART"] as const)("after a checkpoint (%s) the WAL begins anew", (mode) => {
    const cell = live();
    cell.db.exec("CREATE TABLE t (a INTEGER PRIMARY KEY, b)");
    cell.db.prepare(FILL).run(200);
    cell.capture();
    const salts = [cell.state?.salt1, cell.state?.salt2];
    cell.checkpoint(mode);
    cell.db.exec("UPDATE t SET b = 2 WHERE a = 1");
    expect(cell.capture()).toBe(1);
    expect([cell.state?.salt1, cell.state?.salt2]).not.toEqual(salts);
    expectSame(cell);
    expect(cell.scan()).toBe(mode === "RESTART" ? STALE : MORE);
  });
});

test("random histories: every commit is found, and what is rebuilt is what SQLite has", () => {
  const step = fc.oneof(
    { weight: 4, arbitrary: fc.record({ op: fc.constant("insert" as const), n: fc.integer({ min: 1, max: 120 }) }) },
    { weight: 3, arbitrary: fc.record({ op: fc.constant("update" as const), n: fc.integer({ min: 1, max: 50 }) }) },
    { weight: 2, arbitrary: fc.record({ op: fc.constant("delete" as const), n: fc.integer({ min: 1, max: 5 }) }) },
    {
      weight: 1,
      arbitrary: fc.record({ op: fc.constantFrom("vacuum", "shrink", "index", "checkpoint", "restart"), n: fc.nat(9) }),
    },
  );
  const transaction = fc.record({
    steps: fc.array(step, { minLength: 1, maxLength: 4 }),
    end: fc.constantFrom("COMMIT", "COMMIT", "ROLLBACK"),
  });
  fc.assert(
    fc.property(
      fc.array(transaction, { minLength: 1, maxLength: 8 }),
      fc.integer({ min: 40, max: 3000 }),
      (history, chunk) => {
        const cell = new Live();
        cell.chunk = chunk;
        try {
          cell.db.exec("CREATE TABLE t (a INTEGER PRIMARY KEY, b)");
          cell.capture();
          for (const { steps, end } of history) {
            const alone = steps.find(({ op }) => op === "vacuum" || op === "checkpoint" || op === "restart");
            if (alone === undefined) cell.db.exec("BEGIN");
            for (const { op, n } of alone === undefined ? steps : [alone]) {
              if (op === "insert") cell.db.prepare(FILL).run(n);
              else if (op === "update") cell.db.prepare("UPDATE t SET b = randomblob(?) WHERE a % 7 = 1").run(n * 20);
              else if (op === "delete") cell.db.prepare("DELETE FROM t WHERE a % 5 < ?").run(n);
              else if (op === "index")
                cell.db.exec(n % 2 === 0 ? "CREATE INDEX IF NOT EXISTS i ON t (b)" : "DROP INDEX IF EXISTS i");
              else if (op === "shrink") cell.db.exec("PRAGMA incremental_vacuum");
              else if (op === "vacuum") cell.db.exec("VACUUM");
              else cell.checkpoint(op === "restart" ? "RESTART" : "TRUNCATE");
            }
            if (alone === undefined) cell.db.exec(end);
            cell.capture();
            expect(cell.rebuilt().equals(cell.image())).toBe(true);
          }
        } finally {
          cell.close();
        }
      },
    ),
    { numRuns: 60 },
  );
});

describe("bytes", () => {
  function someWal(): { wal: Buffer; cell: Live } {
    const cell = live();
    cell.db.exec("CREATE TABLE t (a INTEGER PRIMARY KEY, b)");
    for (let i = 0; i < 3; i++) cell.db.exec(`INSERT INTO t (b) VALUES (randomblob(${i * 300}))`);
    return { wal: cell.walBytes(), cell };
  }

  test("checksums in big-endian words: SQLite reads them, and so does the codec", () => {
    const { wal, cell } = someWal();
    expect(resummed(wal, 512, false)).toEqual(wal);
    const big = resummed(wal, 512, true);
    expect(big).not.toEqual(wal);
    const copy = join(cell.folder, "big.db");
    copyFileSync(cell.file, copy);
    writeFileSync(`${copy}-wal`, big);
    const db = new DatabaseSync(copy);
    expect(db.prepare("SELECT count(*) AS n FROM t").get()).toEqual({ n: 3 });
    db.close();
    expect(commitsOf(big).commits).toEqual(commitsOf(wal).commits);
    expect(readWalHeader(big, "x").bigEnd).toBe(true);
  });

  test("any alignment gives the same", () => {
    const { wal } = someWal();
    const expected = commitsOf(wal).commits;
    expect(expected.length).toBeGreaterThan(3);
    for (const at of [1, 2, 3, 4, 7]) {
      const moved = Buffer.concat([Buffer.alloc(at), wal]);
      expect(commitsOf(moved, at).commits).toEqual(expected);
      // The same, where the buffer itself begins at an odd byte.
      const inside = Buffer.concat([Buffer.alloc(at), wal]).subarray(at);
      expect(commitsOf(inside).commits).toEqual(expected);
    }
  });

  test("every flipped byte of the header is damage that names file and byte; so is every truncation", () => {
    const { wal } = someWal();
    for (let at = 0; at < 32; at++) {
      const copy = Buffer.from(wal);
      copy[at] = (copy[at] as number) ^ 0x10;
      expect(damage(() => readWalHeader(copy, "cells/a-wal"))).toMatch(/^cells\/a-wal, byte \d+: /);
      damage(() => readWalHeader(wal.subarray(0, at), "x"));
    }
  });

  test.each([
    ["magic", (b: Buffer) => b.writeUInt32BE(0x377f0684, 0), /magic/],
    ["version", (b: Buffer) => b.writeUInt32BE(3_007_001, 4), /format/],
    ["page size 256", (b: Buffer) => b.writeUInt32BE(256, 8), /page size/],
    ["page size 1000", (b: Buffer) => b.writeUInt32BE(1000, 8), /page size/],
    ["page size 131072", (b: Buffer) => b.writeUInt32BE(131_072, 8), /page size/],
  ])("%s is looked at, not only summed", (_, change, message) => {
    const { wal } = someWal();
    const header = Buffer.from(wal.subarray(0, 32));
    change(header);
    const magic = header.readUInt32BE(0);
    const whole = resummed(header, 512, false);
    whole.writeUInt32BE(magic, 0);
    expect(damage(() => readWalHeader(whole, "x"))).toMatch(message);
  });

  test("a flipped byte of a frame ends the log there", () => {
    const { wal } = someWal();
    const whole = commitsOf(wal).commits;
    for (let at = 32; at < wal.length; at += at % 536 < 60 ? 1 : 13) {
      const copy = Buffer.from(wal);
      copy[at] = (copy[at] as number) ^ 0x01;
      const { commits, status, state } = commitsOf(copy);
      expect(status).toBe(STALE);
      expect(state.scanned).toBe(0);
      expect(state.end).toBeLessThanOrEqual(at);
      expect(commits).toEqual(whole.slice(0, commits.length));
      expect(whole[commits.length]?.end).toBeGreaterThan(at);
    }
  });

  test("a frame of page 0 ends the log, even when it is summed right", () => {
    const { wal } = someWal();
    wal.writeUInt32BE(0, 32);
    expect(commitsOf(resummed(wal, 512, false))).toMatchObject({ commits: [], status: STALE });
  });

  test("cut at every byte: whole commits, then MORE, and the rest continues without reading twice", () => {
    const { wal } = someWal();
    const whole = commitsOf(wal).commits;
    for (let length = 32; length < wal.length; length += length % 536 < 40 ? 1 : 97) {
      const cut = Buffer.from(wal).fill(0xee, length);
      const state = readWalHeader(cut, "x");
      const set = new PageSet();
      let commits = 0;
      while (scanCommit(state, cut, length, state.end, set) === COMMIT) commits += 1;
      expect(commits).toBe(whole.filter(({ end }) => end <= length).length);
      expect(state.scanned).toBe(Math.floor((length - state.end) / 536) * 536);
      // What was read already may be anything now: it is not looked at again.
      const rest = Buffer.from(wal).fill(0x11, state.end, state.end + state.scanned);
      expect(scanCommit(state, rest, rest.length, state.end, set)).toBe(COMMIT);
      expect(state.end).toBe(whole[commits]?.end);
      expect(set.source).toBe(rest);
      expect(set.numbers.slice(0, set.count)).toEqual(whole[commits]?.pages.map(([number]) => number));
    }
  });

  test("any bytes behind a header are no commit, and never an exception", () => {
    const { wal } = someWal();
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 3000 }), fc.boolean(), (noise, salted) => {
        const bytes = Buffer.concat([wal.subarray(0, 32), noise]);
        if (salted) for (let at = 32; at + 16 <= bytes.length; at += 536) wal.copy(bytes, at + 8, 16, 24);
        const { commits, status } = commitsOf(bytes);
        expect(commits).toEqual([]);
        expect(status).toBe(noise.length < 536 ? MORE : STALE);
      }),
    );
  });
});
