// A database from outside that is to become the content of a cell, or that was taken out of one: what is in it.
//
// Rule: nothing becomes a cell that SQLite does not find sound from the first page to the last, and what the index of cells has to
// know (alarms, files) is read out of its own tables. It takes as long as the file is large, so it runs in a thread of its own
// (contentThread.ts); the main thread asks by `askContent`.
// The file is changed in one way: its header says afterwards how it is journaled, in a log beside it (as in cells) or not at all.

import { openSync, readSync, closeSync, statSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";
import type { AlarmState } from "../../cell/commit.ts";
import { alarmStateIn, lastIdIn } from "../../cell/alarms.ts";
import { FrondError } from "../../errors.ts";
import { fileRows } from "../../store/fileRows.ts";

/** What is in a sound database. */
export interface ContentFacts {
  readonly pageSize: number;
  readonly pageCount: number;
  readonly alarms: AlarmState;
  /** The highest id of a scheduled call. */
  readonly lastId: number;
  /** The files that it references. */
  readonly files: readonly { readonly hash: string; readonly size: number }[];
}

/** How many rows a table has. */
export interface TableRows {
  readonly table: string;
  readonly rows: number;
}

/** Questions to the thread. */
export interface ContentQuestions {
  /** Throws BAD_CONTENT unless the file is a sound database, which it then makes one as cells have it. */
  check(file: string): ContentFacts;
  /** Rows of each of its tables, but for SQLite's and frond's own; the file is left without a journal of its own. */
  count(file: string): TableRows[];
  /** Makes a file of a cell one that any tool opens, if need be from a read-only disk. Throws BAD_CONTENT as `check` does. */
  plain(file: string): void;
}

export const contentSide: ContentQuestions = {
  check(file) {
    checkHeader(file);
    return within(file, (db) => {
      checkSound(db, file);
      db.exec("PRAGMA journal_mode = WAL");
      const facts = factsOf(db);
      const { alarm } = facts.alarms;
      if (Number.isSafeInteger(alarm) && alarm >= 0) return facts;
      throw new FrondError("BAD_CONTENT", `${file} has an alarm at ${alarm}, which is no time`);
    });
  },
  count(file) {
    return within(file, (db) => {
      db.exec("PRAGMA journal_mode = DELETE");
      const names = db.prepare(
        `SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'
          AND name NOT LIKE '\\_frond\\_%' ESCAPE '\\' ORDER BY name`,
      );
      return (names.all() as { name: string }[]).map(({ name }) => {
        const row = db.prepare(`SELECT count(*) AS n FROM "${name.replaceAll('"', '""')}"`).get();
        return { table: name, rows: row?.["n"] as number };
      });
    });
  },
  plain(file) {
    within(file, (db) => {
      db.exec("PRAGMA journal_mode = DELETE");
      checkSound(db, file);
    });
  },
};

function factsOf(db: DatabaseSync): ContentFacts {
  const number = (pragma: string): number => Object.values(db.prepare(`PRAGMA ${pragma}`).get() ?? {})[0] as number;
  return {
    pageSize: number("page_size"),
    pageCount: number("page_count"),
    alarms: alarmStateIn(db),
    lastId: lastIdIn(db),
    files: fileRows(db).map(({ hash, size }) => ({ hash, size })),
  };
}

const MAGIC = "SQLite format 3\0";

/** SQLite takes an empty file for an empty database, and says little of one that is none. */
function checkHeader(file: string): void {
  const head = Buffer.alloc(MAGIC.length);
  const fd = openSync(file, "r");
  try {
    readSync(fd, head, 0, head.length, 0);
  } finally {
    closeSync(fd);
  }
  if (head.toString("latin1") === MAGIC) return;
  const is = statSync(file).size === 0 ? "is empty" : "does not begin as a SQLite database does";
  throw new FrondError("BAD_CONTENT", `the file ${is}`);
}

function checkSound(db: DatabaseSync, file: string): void {
  const [first] = db.prepare("PRAGMA integrity_check(1)").all();
  const found = Object.values(first ?? {})[0];
  if (found === "ok") return;
  throw new FrondError("BAD_CONTENT", `${file} is not sound, SQLite says: ${String(found)}`);
}

function within<T>(file: string, work: (db: DatabaseSync) => T): T {
  let db: DatabaseSync | undefined;
  try {
    db = new DatabaseSync(file, { allowExtension: false });
    db.exec("PRAGMA locking_mode = EXCLUSIVE; PRAGMA synchronous = OFF; PRAGMA trusted_schema = OFF");
    return work(db);
  } catch (error) {
    if (error instanceof FrondError) throw error;
    throw new FrondError("BAD_CONTENT", `SQLite cannot read it: ${(error as Error).message}`, { cause: error });
  } finally {
    db?.close();
  }
}
