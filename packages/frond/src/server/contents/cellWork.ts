// Work on a cell's file as a whole, done on a copy: missing migrations, or a vacuum; and what became of it.
//
// Rule: the file itself is only read. What is made has the content that the same work on the main thread would have made, by the
// same code: the same guard, the same checks, the same errors. The pages that differ are told, so that a small change of a
// large cell is a small commit.
// It takes as long as the cell is large, and memory stays bounded: what SQLite sorts or keeps aside goes to the disk.

import fs from "node:fs";
import { pathToFileURL } from "node:url";
import { DatabaseSync } from "node:sqlite";
import { alarmStateIn, lastIdIn } from "../../cell/alarms.ts";
import type { Migration } from "../../cell/app.ts";
import type { AlarmState } from "../../cell/commit.ts";
import { migrate } from "../../cell/migrate.ts";
import { lockPage } from "../../codec/pages.ts";
import { FrondError } from "../../errors.ts";
import { MAX_COMMIT_BYTES } from "../../limits.ts";
import { CellDatabase } from "../../store/database.ts";
import { wrapSqlError } from "../../store/sqlerror.ts";
import { fullDisk } from "../durably.ts";

/** What is to be done. */
export interface CellTask {
  readonly address: string;
  /** The cell's file, which nobody has open; all of it is in the main file. */
  readonly file: string;
  /** What is made: a file that is not there yet. */
  readonly copy: string;
  readonly pageSize: number;
  /** Run the missing ones of these migrations of a class; undefined: vacuum. */
  readonly migrations: { readonly className: string; readonly list: readonly Migration[] } | undefined;
}

/** What was made. */
export interface CellMade {
  readonly pageCount: number;
  readonly alarms: AlarmState;
  /** The highest id of a scheduled call that the database knows of. */
  readonly lastId: number;
  /** The pages that are not as they were, by their numbers; undefined: more than one commit may hold. */
  readonly changed: readonly number[] | undefined;
}

/** Memory for the pages of a cell that is worked on, in KiB. */
const CACHE_KIB = 32 * 1024;
/** What is compared at a time, in bytes. */
const COMPARED_BYTES = 1024 * 1024;

/** Does it. Throws MIGRATION_FAILED, SQL_CONSTRAINT, DISK_FULL, and what SQLite says of a file that is not sound. */
export function workOnCell(task: CellTask): CellMade {
  const { file, copy, pageSize, migrations } = task;
  checkClosed(task);
  try {
    if (migrations === undefined) vacuumInto(file, copy);
    else fs.copyFileSync(file, copy, fs.constants.COPYFILE_FICLONE);
    fs.chmodSync(copy, 0o600);
  } catch (error) {
    throw fullDisk(error, `a copy of ${task.address}`);
  }
  const facts = withCell(copy, pageSize, (db) => {
    if (migrations !== undefined) runMigrations(task.address, migrations, db);
    return { pageCount: db.pageCount, alarms: alarmStateIn(db), lastId: lastIdIn(db) };
  });
  return { ...facts, changed: differing(file, copy, pageSize, facts.pageCount) };
}

/** Who closed the file had no space to move the last commits into it, perhaps: they must not be missing in the copy. */
function checkClosed({ file, address }: CellTask): void {
  if ((fs.statSync(`${file}-wal`, { throwIfNoEntry: false })?.size ?? 0) === 0) return;
  throw new FrondError(
    "DISK_FULL",
    `there is no space for the last commits of ${address} in its file; make some and try again`,
  );
}

/** It is read as a file that cannot change, so it is not locked: should this process outlive its node, the next one is not held up. */
function vacuumInto(file: string, copy: string): void {
  const url = pathToFileURL(file);
  url.searchParams.set("immutable", "1");
  const source = new DatabaseSync(url, { allowExtension: false, readOnly: true });
  try {
    source.exec(`PRAGMA synchronous = OFF; VACUUM INTO '${copy.replaceAll("'", "''")}'`);
  } catch (error) {
    throw wrapSqlError(error, "VACUUM");
  } finally {
    source.close();
  }
}

function runMigrations(
  address: string,
  { className, list }: NonNullable<CellTask["migrations"]>,
  db: CellDatabase,
): void {
  db.exec(`PRAGMA cache_size = -${CACHE_KIB}; PRAGMA temp_store = FILE`);
  migrate({ type: { name: className }, migrations: list }, address, db, false, () => db.begin());
  if (db.inTransaction) db.commit();
}

/** Closing moves all of it into the main file. */
function withCell<T>(file: string, pageSize: number, work: (db: CellDatabase) => T): T {
  const db = CellDatabase.open(file, pageSize);
  try {
    const result = work(db);
    db.checkpoint();
    return result;
  } finally {
    db.rollback();
    db.close();
  }
}

function differing(file: string, copy: string, pageSize: number, pageCount: number): number[] | undefined {
  const most = Math.floor(MAX_COMMIT_BYTES / pageSize);
  const perRead = Math.max(1, Math.floor(COMPARED_BYTES / pageSize));
  const [before, after] = [Buffer.alloc(perRead * pageSize), Buffer.alloc(perRead * pageSize)];
  const [was, is] = [fs.openSync(file, "r"), fs.openSync(copy, "r")];
  const found: number[] = [];
  try {
    for (let first = 1; first <= pageCount; first += perRead) {
      const at = (first - 1) * pageSize;
      const there = readAll(was, before, at);
      readAll(is, after, at);
      for (let i = 0; i < perRead && first + i <= pageCount; i++) {
        const [from, to] = [i * pageSize, (i + 1) * pageSize];
        const isSame = to <= there && before.compare(after, from, to, from, to) === 0;
        if (!isSame && first + i !== lockPage(pageSize)) found.push(first + i);
      }
      if (found.length > most) return undefined;
    }
    return found;
  } finally {
    fs.closeSync(was);
    fs.closeSync(is);
  }
}

/** How many bytes there were. */
function readAll(fd: number, into: Buffer, position: number): number {
  let got = 0;
  for (let read = 1; read > 0 && got < into.length; got += read) {
    read = fs.readSync(fd, into, got, into.length - got, position + got);
  }
  return got;
}
