// A slice of the fuzzing of a cell's own files, with a fixed seed; and that the oracle catches an entrance that is broken.

import { DatabaseSync } from "node:sqlite";
import { describe } from "vitest";
import { CellDatabase } from "../../src/store/database.ts";
import { cellFileTarget } from "./cellFiles.ts";
import { catches, holds } from "./slice.ts";

describe("the files of a cell", () => {
  holds(cellFileTarget());
  const raw = cellFileTarget((file, pageSize) => {
    const db = new DatabaseSync(file, { readOnly: true });
    try {
      db.prepare("SELECT count(*) FROM sqlite_schema").get();
    } finally {
      db.close();
    }
    return CellDatabase.open(file, pageSize);
  });
  catches("a reader that passes on what SQLite throws", raw);
});
