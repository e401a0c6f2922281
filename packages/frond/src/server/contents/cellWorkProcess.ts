// The process that works on a large cell: one task, one answer; see cellWork.ts. It takes what the others leave.
//
// Rule: it does not outlive who asked. The work is done in a thread, so that the end of the node is seen while SQLite is at a
// statement that may take as long as it likes; what was made by then is nobody's, and goes with the folder of temporary files.

import os from "node:os";
import { isMainThread, parentPort, Worker, workerData } from "node:worker_threads";
import type { CellWorkAnswer } from "./askCellWork.ts";
import { type CellTask, workOnCell } from "./cellWork.ts";
import { toThread } from "../threadCalls.ts";

/** Not more: where every core is busy it would hardly come on, and calls of its cell wait. */
const NICE = 5;

if (isMainThread) {
  // Not `exit`, which would wait for the thread.
  process.on("disconnect", () => process.kill(process.pid, "SIGKILL"));
  try {
    os.setPriority(NICE);
  } catch {
    // A sandbox may forbid it: it then runs like the others.
  }
  process.once("message", (task: CellTask) => {
    const worker = new Worker(new URL(import.meta.url), { workerData: task, execArgv: [] });
    worker.once("message", (answer: CellWorkAnswer) => process.send?.(answer));
    worker.once("error", (error) => process.send?.({ error: toThread(error) } satisfies CellWorkAnswer));
  });
} else {
  let answer: CellWorkAnswer;
  try {
    answer = { made: workOnCell(workerData as CellTask) };
  } catch (error) {
    answer = { error: toThread(error) };
  }
  parentPort?.postMessage(answer);
}
