// How the descriptors of the process are shared out among connections and cells.
//
// Rule: what connections and open cells may take together is always less than what there is; the rest is for the log, the
// catalog, and what the app opens. A process without descriptors cannot rotate its log, and so has to end: nobody outside
// may bring it there, neither with connections that rest nor with calls that take their time.

import fs from "node:fs";
import { MAX_CONNECTIONS, MAX_OPEN_CELLS } from "../limits.ts";

/** An open cell holds its file, its WAL, and its WAL once more for the capture. */
const PER_CELL = 3;

/** What each may have at most. Counts. */
export interface DescriptorShares {
  readonly connections: number;
  /** Cells that stay open when they are idle. */
  readonly openCells: number;
  /** Cells that are open at all, those in which verbs run included. */
  readonly mostCells: number;
}

/** The shares of a process that may hold `limit` descriptors. A fifth is nobody's. */
export function shareDescriptors(limit: number = descriptorLimit()): DescriptorShares {
  const openCells = Math.max(16, Math.min(MAX_OPEN_CELLS, Math.floor((limit * 0.4) / PER_CELL)));
  return {
    connections: Math.min(MAX_CONNECTIONS, Math.floor(limit * 0.3)),
    openCells,
    mostCells: openCells + Math.ceil(openCells / 4),
  };
}

/** What the process may hold. Count. */
export function descriptorLimit(): number {
  try {
    const line = /^Max open files\s+(\d+|unlimited)/m.exec(fs.readFileSync("/proc/self/limits", "utf8"))?.[1];
    if (line !== undefined) return line === "unlimited" ? 65_536 : Number(line);
  } catch {
    // Not Linux: the smallest common limit.
  }
  return 1024;
}
