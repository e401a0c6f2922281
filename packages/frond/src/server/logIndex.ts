// Which log files there are, and how much disk they take.
//
// Rule: the folder is the truth; this looks again when it is asked for a file that it does not know.

import fs from "node:fs";
import { listLogFiles } from "../log/files.ts";

/** The log files of a data directory. */
export class LogIndex {
  readonly #folder: string;
  #paths = new Map<number, string>();

  constructor(folder: string) {
    this.#folder = folder;
  }

  pathOf(file: number): string | undefined {
    if (!this.#paths.has(file))
      this.#paths = new Map(listLogFiles(this.#folder).map((entry) => [entry.number, entry.path]));
    return this.#paths.get(file);
  }

  /** Files and their size on disk, in bytes. */
  usage(): { files: number; bytes: number } {
    const files = listLogFiles(this.#folder);
    return { files: files.length, bytes: files.reduce((sum, file) => sum + fs.statSync(file.path).size, 0) };
  }
}
