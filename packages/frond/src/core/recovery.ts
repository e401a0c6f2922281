// What a start may believe, and what it does with the end of the log: decisions only, no file is touched here.
//
// Rules. The log is the truth; a cell's file is a cache of it (law 3).
// - Files that a run wrote are believed if the machine did not restart since, or if that run stopped cleanly and brought
//   them to stable storage. One doubtful run spoils every file that was last made before or during it.
// - The log of the last run ends at the first byte that cannot be believed; what stands behind goes to lost+found.
//   Batches behind it may be sound, but the ones that were acknowledged rest on all before them: a log is a prefix.

import type { RunNumber } from "../types.ts";

/** How a run ended, as far as it matters to its files. */
export interface RunEnd {
  readonly run: RunNumber;
  /** Boot of the machine; "" = unknown, which is never the same as another. */
  readonly boot: string;
  readonly ended: "clean" | "unclean" | null;
  readonly synced: boolean;
}

/**
 * Cell files last made in this run or an earlier one are to be rebuilt from the log. 0 = every file can be used, after
 * its WAL was cut back to the last logged offset.
 */
export function doubtfulThrough(runs: readonly RunEnd[], boot: string): RunNumber {
  let through = 0;
  for (const run of runs) {
    const sameBoot = boot !== "" && run.boot === boot;
    const onDisk = run.ended === "clean" && run.synced;
    if (!sameBoot && !onDisk) through = Math.max(through, run.run);
  }
  return through as RunNumber;
}

/** What the scan of one file of the last run found. */
export interface TailFile {
  readonly size: number;
  /** Bytes from its start that hold whole records; 0 = the file was never used. */
  readonly validBytes: number;
  /** The first byte that cannot be believed and its lsn; undefined when only untouched space follows. */
  readonly damage: { readonly lsn: number } | undefined;
  /** Highest lsn that a batch in it states to have been durable. */
  readonly durable: number;
}

/** What to do with one file. */
export type TailStep =
  | { readonly do: "keep" }
  /** Cut to `bytes`, behind which is untouched space; remove the file when `bytes` is 0. */
  | { readonly do: "trim"; readonly bytes: number }
  /** Copy what is behind `bytes` to lost+found, then cut. */
  | { readonly do: "cut"; readonly bytes: number };

/** What else is known of the last run. */
export interface TailFacts {
  /** It stopped cleanly: everything that it wrote had been acknowledged. */
  readonly clean: boolean;
  /** The catalog, which knows of durable records only, knows of one that the log no longer has. */
  readonly missing: boolean;
}

/** The plan for the log of the last run, file by file. */
export interface TailPlan {
  readonly steps: readonly TailStep[];
  /** Index of the damaged file, -1 when there is none. */
  readonly damaged: number;
  /** Something that was durable is no longer in the log: acknowledged commits are lost, which no crash does. */
  readonly acknowledgedLost: boolean;
}

/** Decides what becomes of the files of the last run, given in order. */
export function planTail(files: readonly TailFile[], facts: TailFacts): TailPlan {
  const damaged = files.findIndex((file) => file.damage !== undefined);
  const durable = files.reduce((highest, file) => Math.max(highest, file.durable), 0);
  const steps = files.map((file, i): TailStep => {
    if (damaged !== -1 && i > damaged) return { do: "cut", bytes: 0 };
    if (i === damaged) return { do: "cut", bytes: file.validBytes };
    return file.validBytes === file.size ? { do: "keep" } : { do: "trim", bytes: file.validBytes };
  });
  const lsn = files[damaged]?.damage?.lsn;
  const witnessed = lsn !== undefined && (facts.clean || durable > lsn);
  return { steps, damaged, acknowledgedLost: facts.missing || witnessed };
}

/** The end of the last run's log, as far as it can be believed. */
export interface ReadFile {
  /** Number of the file. */
  readonly file: number;
  readonly validBytes: number;
  readonly damaged: boolean;
}

/**
 * True if the record at `offset` of log file `file` is known to have been durable and is not in the files that were
 * read, given in order: it stands behind the end, behind damage, or in a file that is gone.
 */
export function isMissing(file: number, offset: number, files: readonly ReadFile[]): boolean {
  for (const read of files) {
    if (read.file === file) return offset >= read.validBytes;
    if (read.damaged) return true;
  }
  return true;
}
