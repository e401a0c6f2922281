// A cell's own files, changed under it: the database, its WAL, or both.
//
// Rule: such a file opens, or is refused with a code that makes its owner rebuild it from the log; reading and writing it
// works or fails with a code. Nothing else is thrown.
// (Whether the content is still right is not asked here: a start compares it with the log before it trusts a file.)

import fc from "fast-check";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { CellDatabase } from "../../src/store/database.ts";
import { mutate, mutations } from "./mutate.ts";
import { attempt, type Entrance, target, type Target } from "./target.ts";

interface FileCase {
  readonly pageSize: number;
  readonly main: Parameters<typeof mutate>[1];
  readonly wal: Parameters<typeof mutate>[1];
  /** Changes of the first hundred bytes, where the file says what it is. */
  readonly header: readonly { readonly at: number; readonly to: number }[];
}

const OPENING = ["CELL_DAMAGED", "WAL_DAMAGED"] as const;
const USING = [...OPENING, "SQL_ERROR", "SQL_CONSTRAINT", "RESULT_TOO_LARGE", "RECORD_TOO_LARGE", "DISK_FULL"] as const;
const PAGE_SIZES = [1024, 4096] as const;

export type OpenCell = typeof CellDatabase.open;

export function cellFileTarget(open: OpenCell = (file, size) => CellDatabase.open(file, size)): Target {
  return target("cell-file", 300, (): Entrance<FileCase> => {
    const folder = fs.mkdtempSync(path.join(os.tmpdir(), "frond-fuzz-"));
    const bases = new Map(PAGE_SIZES.map((size) => [size as number, makeCell(path.join(folder, `${size}.db`), size)]));
    const file = path.join(folder, "case.db");
    return {
      input: fc.record({
        pageSize: fc.constantFrom(...PAGE_SIZES),
        main: mutations,
        wal: fc.oneof(fc.constant([]), mutations),
        header: fc.array(fc.record({ at: fc.nat(99), to: fc.nat(255) }), { maxLength: 2 }),
      }),
      check(input) {
        const base = bases.get(input.pageSize) as Files;
        const main = mutate(base.main, input.main);
        for (const { at, to } of input.header) if (at < main.length) main[at] = to;
        for (const end of ["", "-wal", "-shm"]) fs.rmSync(file + end, { force: true });
        fs.writeFileSync(file, main);
        fs.writeFileSync(`${file}-wal`, mutate(base.wal, input.wal));
        const cell = attempt(OPENING, () => open(file, input.pageSize));
        if ("code" in cell) return;
        try {
          use(cell.value);
        } finally {
          cell.value.discard();
        }
      },
      close: () => fs.rmSync(folder, { recursive: true, force: true }),
    };
  });
}

interface Files {
  readonly main: Buffer;
  readonly wal: Buffer;
}

function makeCell(file: string, pageSize: number): Files {
  const cell = CellDatabase.open(file, pageSize);
  cell.exec(`CREATE TABLE t (a INTEGER PRIMARY KEY, b TEXT); CREATE INDEX i ON t (b);
    WITH n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 60) INSERT INTO t SELECT i, 'text ' || i FROM n`);
  cell.checkpoint();
  cell.exec("UPDATE t SET b = b || '!' WHERE a % 7 = 0");
  cell.exec("DELETE FROM t WHERE a > 55");
  const files = { main: fs.readFileSync(file), wal: fs.readFileSync(`${file}-wal`) };
  cell.close();
  return files;
}

/** What a verb would do. */
function use(cell: CellDatabase): void {
  const { statements } = cell;
  const run = (sql: string, ...args: unknown[]): unknown => attempt(USING, () => statements.prepare(sql).all(args));
  run("SELECT * FROM t");
  run("SELECT count(*) FROM t WHERE b > ?", "text");
  run("PRAGMA integrity_check");
  const begun = attempt(USING, () => cell.begin());
  if ("code" in begun) return;
  run("INSERT INTO t (b) VALUES (?)", "new");
  run("UPDATE t SET b = 'x' WHERE a = 3");
  if (!cell.inTransaction) return;
  const committed = attempt(USING, () => cell.commit());
  if ("code" in committed) return cell.rollback();
  attempt(USING, () => cell.capture.read());
}
