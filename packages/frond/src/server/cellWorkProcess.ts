// The process that works on a large cell: one task, one answer; see cellWork.ts. It takes what the others leave.
//
// Rule: it ends when there is nobody to answer to, as far as SQLite lets it; what it has made by then is nobody's, and goes with the
// folder of temporary files at the next start.

import os from "node:os";
import { type CellTask, workOnCell } from "./cellWork.ts";
import type { CellWorkAnswer } from "./askCellWork.ts";
import { toThread } from "./threadCalls.ts";

const NICE = 10;

process.on("disconnect", () => process.exit());
try {
  os.setPriority(NICE);
} catch {
  // A sandbox may forbid it: it then runs like the others.
}
process.once("message", (task: CellTask) => {
  let answer: CellWorkAnswer;
  try {
    answer = { made: workOnCell(task) };
  } catch (error) {
    answer = { error: toThread(error) };
  }
  process.send?.(answer, () => process.exit());
});
