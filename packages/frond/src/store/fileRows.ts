// The files that a cell names: a table in its own database.
//
// Rule: each put counts one more reference, each delete one less; a file that is not referenced any more leaves its row, with
// the time, for FILE_TRACE_MS. So the present database of a cell names every file that any state of it within a retention
// needs, and whoever collects files asks nothing else of a cell.
// The table begins to exist with the first file.

import type { DatabaseSync } from "node:sqlite";
import { FILE_TRACE_MS } from "../limits.ts";

/** Whatever prepares statements on a cell's database. */
type Prepares = Pick<DatabaseSync, "prepare">;

/** A file that a cell references. */
export interface FileRow {
  /** SHA-256 of its bytes, in lower-case hex. */
  readonly hash: string;
  /** Bytes. */
  readonly size: number;
  /** How often it was put and not deleted. Count. */
  readonly refs: number;
  readonly type: string | null;
  readonly name: string | null;
  /** When it was first put, in ms since 1970. */
  readonly created: number;
}

/** Makes the table where there is none. */
export const FILE_TABLE = `CREATE TABLE IF NOT EXISTS _frond_file (
  hash TEXT PRIMARY KEY, size INTEGER NOT NULL, refs INTEGER NOT NULL, type TEXT, name TEXT,
  created INTEGER NOT NULL, removed INTEGER
) STRICT, WITHOUT ROWID`;

const ROW = "hash, size, refs, type, name, created";

/** Whether a database has ever named a file. */
export function hasFileRows(db: Prepares): boolean {
  return db.prepare("SELECT 1 FROM sqlite_schema WHERE name = '_frond_file'").get() !== undefined;
}

/**
 * The files that a database references, or has referenced after `since` (ms since 1970; default: those of now), in order of
 * their hashes: what must stay in the bucket for this cell while its states since then can be restored.
 */
export function fileRows(db: Prepares, since = Infinity): FileRow[] {
  if (!hasFileRows(db)) return [];
  const sql = `SELECT ${ROW} FROM _frond_file WHERE refs > 0 OR removed > ? ORDER BY hash`;
  return db.prepare(sql).all(since) as unknown as FileRow[];
}

/** The row of a file that is referenced now. */
export function fileRow(db: Prepares, hash: string): FileRow | undefined {
  if (!hasFileRows(db)) return undefined;
  const sql = `SELECT ${ROW} FROM _frond_file WHERE hash = ? AND refs > 0`;
  return db.prepare(sql).get(hash) as unknown as FileRow | undefined;
}

/** One more reference. A name or type that is given replaces the one before. The table must be there. */
export function addReference(
  db: Prepares,
  { hash, size, type, name }: Pick<FileRow, "hash" | "size" | "type" | "name">,
  now: number,
): void {
  db.prepare(
    `INSERT INTO _frond_file VALUES (?, ?, 1, ?, ?, ?, NULL)
     ON CONFLICT (hash) DO UPDATE SET refs = refs + 1, removed = NULL,
       type = coalesce(excluded.type, type), name = coalesce(excluded.name, name)`,
  ).run(hash, size, type, name, now);
}

/**
 * Names files that another content of the cell has named, references or not, so that they stay for as long as that content can be
 * restored: the database goes on in its place.
 */
export function traceFiles(db: Prepares & Pick<DatabaseSync, "exec">, rows: readonly FileRow[], now: number): void {
  if (rows.length === 0) return;
  db.exec(FILE_TABLE);
  const trace = db.prepare(`INSERT INTO _frond_file VALUES (?, ?, 0, ?, ?, ?, ?)
    ON CONFLICT (hash) DO UPDATE SET removed = CASE refs WHEN 0 THEN excluded.removed END`);
  for (const { hash, size, type, name, created } of rows) trace.run(hash, size, type, name, created, now);
}

/** One reference less, of a file that has one. Rows that nobody needs any more go. */
export function removeReference(db: Prepares, hash: string, now: number): void {
  db.prepare(
    `UPDATE _frond_file SET refs = refs - 1, removed = CASE refs WHEN 1 THEN ? END WHERE hash = ? AND refs > 0`,
  ).run(now, hash);
  db.prepare("DELETE FROM _frond_file WHERE refs = 0 AND removed < ?").run(now - FILE_TRACE_MS);
}
