// A slice of the fuzzing of a cell's own files, with a fixed seed; and that the oracle catches an entrance that is broken.

import fs from "node:fs";
import { DatabaseSync } from "node:sqlite";
import { describe } from "vitest";
import { CellDatabase } from "../../src/store/database.ts";
import { cellFileTarget } from "./cellFiles.ts";
import { catches, holds } from "./slice.ts";

describe("the files of a cell", () => {
  holds(cellFileTarget());
  const raw = cellFileTarget((file, pageSize) => {
    new DatabaseSync(file).close();
    fs.readFileSync(`${file}-wal`).readUInt32BE(0);
    return CellDatabase.open(file, pageSize);
  });
  catches("a reader that takes a WAL for granted", raw);
});
