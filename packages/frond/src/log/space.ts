// Space for the log: the file being written and the spare one behind it, both full of zeros before they are needed.
//
// Rule: a commit never has to find space on the disk. When no spare can be had because the disk is full, `full` is
// raised and new writes are refused while what was already accepted still fits; space is looked for again every second.
// Why zeros: overwriting blocks that exist keeps every sync free of metadata, and a full disk is met here, where it can be
// refused, instead of in the middle of a commit.

import fs from "node:fs";
import path from "node:path";
import { FrondError } from "../errors.ts";
import type { RunNumber } from "../types.ts";
import { logFilePath, runFolder, spareName } from "./files.ts";
import type { LogIo } from "./io.ts";

/** The file that batches go to. `used` counts the bytes given to batches, `capacity` those that are allocated. */
export interface LogFile {
  readonly number: number;
  readonly path: string;
  readonly fd: number;
  readonly capacity: number;
  used: number;
  /** Batches not yet on disk; a file is closed when it was left and this is 0. */
  open: number;
  /** Its folder entry is durable. */
  named: boolean;
}

const RETRY_MS = 1000;

/** The allocated files of one run. */
export class LogSpace {
  readonly folder: string;
  readonly #logFolder: string;
  readonly #run: RunNumber;
  readonly #io: LogIo;
  readonly #fileBytes: number;
  #nextFile: number;
  #nextSpare = 1;
  #spare: string | undefined;
  #allocating: Promise<void> | undefined;
  #retry: NodeJS.Timeout | undefined;
  #stopped = false;
  /** The disk had no room for the next file; `reason` says it in the system's words. */
  full = false;
  reason = "";

  constructor(logFolder: string, run: RunNumber, firstFile: number, fileBytes: number, io: LogIo) {
    this.#logFolder = logFolder;
    this.folder = runFolder(logFolder, run);
    this.#run = run;
    this.#io = io;
    this.#nextFile = firstFile;
    this.#fileBytes = fileBytes;
    // Made durable, with its name, by whoever wrote the run down.
    fs.mkdirSync(this.folder, { recursive: true, mode: 0o700 });
  }

  /** Number of the next file. */
  get next(): number {
    return this.#nextFile;
  }

  /** Starts the allocation of a spare file unless there is one. Never throws: a full disk sets `full`. */
  prepare(): void {
    if (this.#spare !== undefined || this.#allocating !== undefined || this.#stopped) return;
    const spare = path.join(this.folder, spareName(this.#nextSpare++));
    this.#allocating = this.#io.allocate(spare, this.#fileBytes).then(
      () => {
        this.#allocating = undefined;
        this.#spare = spare;
        this.full = false;
      },
      (error: unknown) => {
        this.#allocating = undefined;
        fs.rmSync(spare, { force: true });
        this.#refuse(error);
      },
    );
  }

  /** A file with room for `bytes`. Throws DISK_FULL where the disk has none. */
  take(bytes: number): LogFile {
    const number = this.#nextFile;
    const target = logFilePath(this.#logFolder, this.#run, number);
    let capacity = this.#fileBytes;
    if (this.#spare !== undefined && bytes <= capacity) {
      fs.renameSync(this.#spare, target);
      this.#spare = undefined;
    } else {
      // Rare: a record larger than a file, or a spare that is still being written.
      capacity = Math.max(bytes, Math.min(this.#fileBytes, 1024 * 1024));
      this.#allocateNow(target, capacity);
    }
    this.#nextFile += 1;
    const file = { number, path: target, fd: this.#io.open(target), capacity, used: 0, open: 0, named: false };
    this.prepare();
    return file;
  }

  /** Ends the allocation and removes the spare file. */
  async stop(): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#retry);
    await this.#allocating;
    if (this.#spare !== undefined) fs.rmSync(this.#spare, { force: true });
    this.#spare = undefined;
  }

  #allocateNow(target: string, bytes: number): void {
    try {
      if (this.full) throw new Error(this.reason);
      this.#io.allocateNow(target, bytes);
    } catch (error) {
      fs.rmSync(target, { force: true });
      // A record that is larger than the disk's room says nothing of the others: for them there is a spare.
      if (this.#spare === undefined) this.#refuse(error);
      throw new FrondError(
        "DISK_FULL",
        `the commit log in ${this.folder} cannot get ${bytes} bytes of disk (${(error as Error).message}); writes resume when there is space`,
        { cause: error },
      );
    }
  }

  #refuse(error: unknown): void {
    this.full = true;
    this.reason = (error as Error).message;
    if (this.#stopped || this.#retry !== undefined) return;
    this.#retry = setTimeout(() => {
      this.#retry = undefined;
      this.prepare();
    }, RETRY_MS);
    this.#retry.unref();
  }
}
