// The priority of a thread.

import os from "node:os";

/** Makes the calling thread `nice`; on Linux only, elsewhere it would be the whole process. */
export function lowerPriority(nice: number): void {
  if (process.platform !== "linux") return;
  try {
    os.setPriority(0, nice);
  } catch {
    // A sandbox may forbid it: the thread then runs like the others.
  }
}
