// The main thread's way to cellWork.ts: a process for each cell that is worked on.
//
// Rule: it can be ended at any moment. A thread cannot: a process whose thread is inside SQLite does not end before that statement does
// (measured: `process.exit` waited 11 s for one), and a node that stops, or fails, must not wait for the index of a gigabyte.
// Rejected: a worker thread (see above), one process that is kept (it would hold memory for what is needed once in a release).

import { type ChildProcess, fork } from "node:child_process";
import path from "node:path";
import { FrondError } from "../../errors.ts";
import type { CellMade, CellTask } from "./cellWork.ts";
import { fromThread, type ThreadError } from "../threadCalls.ts";

/** What the process says, once. */
export type CellWorkAnswer = { readonly made: CellMade } | { readonly error: ThreadError };

/** Processes that work on cells. One per node. */
export class CellWorkers {
  readonly #running = new Set<ChildProcess>();
  #stopped = false;

  /** Has a task done. Rejects with what it throws, with STOPPING, and with how the process ended that was to do it. */
  async ask(task: CellTask): Promise<CellMade> {
    if (this.#stopped) throw stopping(task);
    const child = fork(new URL(`./cellWorkProcess${EXTENSION}`, import.meta.url), {
      // Options of this process (--import, --test) are not for it; what SQLite keeps aside is as large as the cell.
      execArgv: [],
      env: { ...process.env, NODE_OPTIONS: "", SQLITE_TMPDIR: path.dirname(task.copy) },
      stdio: ["ignore", "ignore", "ignore", "ipc"],
      serialization: "advanced",
    });
    this.#running.add(child);
    try {
      const answer = await new Promise<CellWorkAnswer>((resolve, reject) => {
        child.once("message", (message) => resolve(message as CellWorkAnswer));
        child.once("error", reject);
        child.once("exit", (code, signal) => reject(this.#stopped ? stopping(task) : ended(task, signal ?? code)));
        child.send(task, (error) => error && reject(error));
      });
      if ("error" in answer) throw fromThread(answer.error);
      return answer.made;
    } finally {
      this.#running.delete(child);
      child.kill("SIGKILL");
    }
  }

  /** Ends what is under way; nothing more is begun. */
  stop(): void {
    this.#stopped = true;
    for (const child of this.#running) child.kill("SIGKILL");
  }
}

function stopping({ address }: CellTask): FrondError {
  return new FrondError("STOPPING", `the node is stopping; ${address} is worked on by its successor`);
}

function ended({ address }: CellTask, how: string | number | null): Error {
  return new Error(`the process that worked on ${address} ended with ${how}`);
}

/** The workspace runs the sources, a published package what was compiled from them. */
const EXTENSION = import.meta.url.endsWith(".ts") ? ".ts" : ".js";
