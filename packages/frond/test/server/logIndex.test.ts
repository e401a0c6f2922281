// Where log files are found, and that looking for one that is gone costs nothing.

import fs from "node:fs";
import path from "node:path";
import { expect, test } from "vitest";
import { logFilePath, runFolder } from "../../src/log/files.ts";
import { LogIndex } from "../../src/server/persist/logIndex.ts";
import type { RunNumber } from "../../src/types.ts";
import { temporaryDirectory } from "../cell/nodes.ts";

function put(folder: string, run: number, file: number): string {
  fs.mkdirSync(runFolder(folder, run as RunNumber), { recursive: true });
  const name = logFilePath(folder, run as RunNumber, file);
  fs.writeFileSync(name, "");
  return name;
}

test("files of all runs are found, also those that come later; one that is gone is not looked for again", () => {
  const folder = path.join(temporaryDirectory(), "log");
  const third = put(folder, 1, 3);
  const index = new LogIndex(folder);
  expect(index.pathOf(3)).toBe(third);
  expect(index.pathOf(2)).toBeUndefined();
  const fourth = put(folder, 2, 4);
  // It would be found by a listing: no run ever writes a number before those that there are.
  put(folder, 2, 2);
  expect(index.pathOf(2)).toBeUndefined();
  expect(index.pathOf(4)).toBe(fourth);
});
