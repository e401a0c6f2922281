// Giving back the disk of the log: what is in the bucket need not be on the disk too.
//
// Rule: a log file goes when all of it is in the bucket and a start would not read it, and when the files that stay are more
// than LOCAL_LOG_BYTES: the latest are kept, because from them cells are made anew without a request. The catalog says
// durably that the file is behind it before it goes, else a loss of power would make its absence look like damage.
// Without a bucket the log is the only copy, and nothing goes.

import fs from "node:fs";
import path from "node:path";
import { LOCAL_LOG_BYTES } from "../../limits.ts";
import { type LogFileEntry, listLogFiles } from "../../log/files.ts";
import type { CommitLog } from "../../log/log.ts";
import type { Catalog } from "../../store/catalog.ts";
import type { Lsn } from "../../types.ts";

/** Removes log files that are not needed any more. One per node with a bucket. */
export class LogTrimmer {
  readonly #folder: string;
  readonly #catalog: Catalog;
  readonly #log: CommitLog;
  readonly #keep: number;
  /** Where files of the present run end, once they were left. */
  readonly #ends = new Map<number, Lsn>();

  constructor(directory: string, catalog: Catalog, log: CommitLog, keep: number = LOCAL_LOG_BYTES) {
    this.#folder = path.join(directory, "log");
    this.#catalog = catalog;
    this.#log = log;
    this.#keep = keep;
  }

  /** The log goes on in a further file: what was appended so far stands in those before. */
  left(file: number): void {
    this.#ends.set(file - 1, this.#log.appended);
  }

  /** Removes what may go; `keep`: so many bytes stay. Count of files. */
  trim(keep: number = this.#keep): number {
    const files = listLogFiles(this.#folder).map((entry) => ({ ...entry, bytes: fs.statSync(entry.path).size }));
    let excess = files.reduce((sum, { bytes }) => sum + bytes, 0) - keep;
    const going: LogFileEntry[] = [];
    for (const file of files) {
      // The oldest first: what stays is one piece.
      if (excess <= 0 || !this.#mayGo(file)) break;
      excess -= file.bytes;
      going.push(file);
    }
    if (going.length === 0) return 0;
    this.#catalog.sync();
    for (const file of going) {
      fs.rmSync(file.path);
      this.#ends.delete(file.number);
    }
    return going.length;
  }

  #mayGo({ number, run }: LogFileEntry): boolean {
    if (number >= this.#catalog.coveredFile) return false;
    // A run begins when the log of the one before is in the bucket.
    if (run < this.#log.run) return true;
    const end = this.#ends.get(number);
    return end !== undefined && end <= this.#log.confirmed;
  }
}
