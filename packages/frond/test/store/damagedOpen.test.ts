// A cell's file and its WAL that do not fit each other: an error that makes their owner rebuild the cell.

import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { CellDatabase } from "../../src/store/database.ts";

test("a WAL with pages of another size than its database is damage", () => {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "frond-damaged-"));
  onTestFinished(() => fs.rmSync(folder, { recursive: true, force: true }));
  const file = path.join(folder, "cell.db");
  const cell = CellDatabase.open(file, 1024);
  cell.exec("CREATE TABLE t (a); INSERT INTO t VALUES (1)");
  cell.checkpoint();
  cell.exec("UPDATE t SET a = 2");
  const copy = path.join(folder, "copy.db");
  const main = fs.readFileSync(file);
  main.writeUInt16BE(2048, 16);
  fs.writeFileSync(copy, main);
  fs.copyFileSync(`${file}-wal`, `${copy}-wal`);
  cell.close();
  expect(() => CellDatabase.open(copy, 1024)).toThrow(expect.objectContaining({ code: "WAL_DAMAGED" }) as Error);
});
