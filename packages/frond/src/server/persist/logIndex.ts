// Which log files there are, and how much disk they take.
//
// Rule: the folder is the truth; this looks again when it is asked for a file behind all that it knows. One before them that it
// does not know is gone: numbers rise, and none is used twice. (A cell whose records lie in files that are gone comes from the
// bucket, and must not cost a listing of everything.)

import fs from "node:fs";
import { listLogFiles } from "../../log/files.ts";

/** The log files of a data directory. */
export class LogIndex {
  readonly #folder: string;
  #paths = new Map<number, string>();
  #highest = 0;

  constructor(folder: string) {
    this.#folder = folder;
  }

  pathOf(file: number): string | undefined {
    if (file > this.#highest) {
      const files = listLogFiles(this.#folder);
      this.#paths = new Map(files.map((entry) => [entry.number, entry.path]));
      this.#highest = files.at(-1)?.number ?? 0;
    }
    return this.#paths.get(file);
  }

  /** Files and their size on disk, in bytes. */
  usage(): { files: number; bytes: number } {
    const files = listLogFiles(this.#folder);
    return { files: files.length, bytes: files.reduce((sum, file) => sum + fs.statSync(file.path).size, 0) };
  }
}
