// A cell's database and its mirror: the original as SQLite has it, and what the captured pages alone make of it.

import { createHash } from "node:crypto";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { DatabaseSync } from "node:sqlite";
import { PendingPages } from "../../src/cell/commit.ts";
import type { PageSet } from "../../src/codec/pages.ts";
import { CellDatabase } from "../../src/store/database.ts";
import { writeCell } from "../../src/store/restore.ts";

/** See the head of the file. */
export class Mirror {
  readonly folder = fs.mkdtempSync(path.join(os.tmpdir(), "frond-mirror-"));
  db: CellDatabase;
  /** Commits that changed something. Count. */
  commits = 0;
  /** The first commits wait and ride together, as those of an activation do. Count. */
  readonly #held: number;
  readonly #pending = new PendingPages();
  readonly #pageSize: number;
  readonly #pages = new Map<number, Uint8Array>();
  #pageCount = 0;
  #lives = 0;
  #serial = 0;

  constructor(pageSize: number, held: number) {
    this.#pageSize = pageSize;
    this.#held = held;
    this.db = CellDatabase.open(this.#file, pageSize);
  }

  get #file(): string {
    return path.join(this.folder, `cell-${this.#lives}.db`);
  }

  /** Takes what the COMMIT that just returned has changed. */
  capture(): void {
    const pages = this.db.capture.read();
    if (pages === undefined) return;
    this.commits += 1;
    if (this.commits < this.#held) return this.#pending.add(pages);
    if (this.commits === this.#held) {
      this.#pending.add(pages);
      return this.#apply(this.#pending.take(this.#pageSize, this.db.capture.pageCount));
    }
    this.#apply(pages);
  }

  #apply(pages: PageSet): void {
    this.#pageCount = this.db.capture.pageCount;
    if (pages.numbers.slice(0, pages.count).some((number) => number > this.#pageCount))
      throw new Error("a page behind the end");
    for (let i = 0; i < pages.count; i++) {
      const from = pages.offsets[i] as number;
      this.#pages.set(pages.numbers[i] as number, Uint8Array.from(pages.source.subarray(from, from + pages.pageSize)));
    }
    for (const number of this.#pages.keys()) if (number > this.#pageCount) this.#pages.delete(number);
  }

  /** A number that was not given before. */
  serial(): number {
    this.#serial += 1;
    return this.#serial;
  }

  /** Commits what `work` does. */
  transaction(work: () => void): void {
    this.db.begin();
    work();
    this.db.commit();
    this.capture();
  }

  /** Closes, which checkpoints, and opens again. */
  reopen(): void {
    this.db.close();
    this.db = CellDatabase.open(this.#file, this.#pageSize);
  }

  /** Goes on with the files as a killed process would have left them: the WAL is not checkpointed. */
  afterKill(): void {
    const before = this.#file;
    this.#lives += 1;
    for (const suffix of ["", "-wal"]) {
      if (fs.existsSync(before + suffix)) fs.copyFileSync(before + suffix, this.#file + suffix);
    }
    this.db.close();
    this.db = CellDatabase.open(this.#file, this.#pageSize);
  }

  /** What is wrong with the mirror: empty when it equals the original in every page and every row. */
  differences(): string[] {
    if (this.commits < Math.max(this.#held, 1)) return [];
    const rebuilt = path.join(this.folder, "rebuilt.db");
    writeCell(rebuilt, this.#pageSize, this.#pageCount, (number) => this.#pages.get(number));
    const original = this.#image();
    const wrong = samePages(fs.readFileSync(original), fs.readFileSync(rebuilt), this.#pageSize);
    const [one, other] = [contentOf(original), contentOf(rebuilt)];
    if (other.integrity !== "ok") wrong.push(`integrity_check: ${other.integrity}`);
    if (one.hash !== other.hash) wrong.push(`the content differs: ${one.tables} and ${other.tables}`);
    return wrong;
  }

  /** The original as one file: a copy, with its WAL checkpointed by a connection of its own. */
  #image(): string {
    const copy = path.join(this.folder, "image.db");
    for (const suffix of ["", "-wal", "-shm"]) fs.rmSync(copy + suffix, { force: true });
    for (const suffix of ["", "-wal"]) {
      if (fs.existsSync(this.#file + suffix)) fs.copyFileSync(this.#file + suffix, copy + suffix);
    }
    const db = new DatabaseSync(copy);
    db.exec("PRAGMA wal_checkpoint(TRUNCATE)");
    db.close();
    return copy;
  }

  close(): void {
    this.db.close();
    fs.rmSync(this.folder, { recursive: true });
  }
}

function samePages(one: Buffer, other: Buffer, pageSize: number): string[] {
  const wrong: string[] = [];
  if (one.length !== other.length) wrong.push(`${one.length / pageSize} pages, mirrored ${other.length / pageSize}`);
  for (let at = 0; at < Math.min(one.length, other.length); at += pageSize) {
    if (!one.subarray(at, at + pageSize).equals(other.subarray(at, at + pageSize)))
      wrong.push(`page ${at / pageSize + 1} differs`);
  }
  return wrong.slice(0, 5);
}

/** A hash over every row of every table, and SQLite's own opinion. */
function contentOf(file: string): { hash: string; tables: string; integrity: string } {
  const db = new DatabaseSync(file, { readBigInts: true });
  const hash = createHash("sha256");
  const tables = db.prepare("SELECT name, sql FROM sqlite_schema ORDER BY type, name").all() as {
    name: string;
    sql: string | null;
  }[];
  const sizes: string[] = [];
  for (const { name, sql } of tables) {
    hash.update(`${name}\0${sql}\0`);
    if (!/^CREATE (VIRTUAL )?TABLE/.test(sql ?? "")) continue;
    let rows = 0;
    for (const row of db.prepare(`SELECT * FROM "${name}"`).iterate()) {
      rows += 1;
      for (const value of Object.values(row)) {
        hash.update(value instanceof Uint8Array ? value : `${typeof value}:${String(value)}`);
        hash.update("\0");
      }
    }
    sizes.push(`${name} ${rows}`);
  }
  const integrity = db
    .prepare("PRAGMA integrity_check")
    .all()
    .map((row) => String(row["integrity_check"]))
    .join("; ");
  db.close();
  return { hash: hash.digest("hex"), tables: sizes.join(", "), integrity };
}
