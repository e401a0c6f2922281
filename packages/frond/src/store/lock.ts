// The lock of a data directory: one node at a time.
//
// Rule: whoever has not got this lock touches nothing in the directory. It is a SQLite file held in an exclusive
// transaction: the operating system drops its lock when the process ends, however it ends, so no stale lock exists.
// The file is never opened through `fs`: closing any descriptor of a file drops the locks that SQLite has on it.
// Rejected: a file with a process id (stale after a kill, racy to replace); Node offers no flock.

import fs from "node:fs";
import path from "node:path";
import { DatabaseSync } from "node:sqlite";
import { FrondError } from "../errors.ts";

const SQLITE_BUSY = 5;
const SQLITE_CORRUPT = 11;
const SQLITE_NOTADB = 26;

/** A held lock. */
export interface DirectoryLock {
  release(): void;
}

/** What this process holds. A database that nobody refers to is closed when memory is reclaimed, and its lock is gone. */
const held = new Set<DatabaseSync>();

/** Takes the lock of `directory` (which must exist). Throws DATA_LOCKED while another process holds it. */
export function lockDirectory(directory: string): DirectoryLock {
  const db = new DatabaseSync(path.join(directory, "lock.db"));
  // Whose process it is stands beside the lock, in a file that may be read by anybody.
  const owner = path.join(directory, "lock.pid");
  try {
    db.exec("PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE");
  } catch (error) {
    db.close();
    const { errcode } = error as { errcode?: number };
    if (errcode === SQLITE_NOTADB || errcode === SQLITE_CORRUPT) {
      const file = path.join(directory, "lock.db");
      const what = `${file} is damaged; it holds no data: make sure that no node runs on the directory, then delete it`;
      throw new FrondError("DATA_DAMAGED", what, { cause: error });
    }
    if (errcode !== SQLITE_BUSY) throw error;
    throw new FrondError(
      "DATA_LOCKED",
      `the data directory ${directory} is in use by ${ownerText(owner)}; stop that node, or give this one another directory with --data`,
      { cause: error },
    );
  }
  try {
    fs.writeFileSync(owner, `${process.pid}\n`, { mode: 0o600 });
  } catch {
    // A full disk: whoever is refused is told less.
  }
  held.add(db);
  return {
    release() {
      held.delete(db);
      fs.rmSync(owner, { force: true });
      db.close();
    },
  };
}

function ownerText(owner: string): string {
  try {
    return `process ${fs.readFileSync(owner, "utf8").trim()}`;
  } catch {
    return "another process";
  }
}
