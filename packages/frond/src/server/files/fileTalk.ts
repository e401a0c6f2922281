// What the main thread and the file thread say to each other. Plain data only; see threadCalls.ts.

import type { StoredFile } from "../../cell/files.ts";
import type { BucketSpec } from "../persist/bucketTalk.ts";

/** What the thread is started with. */
export interface FileSetup {
  readonly bucket: BucketSpec;
  /** Where files gather until they are whole: of this thread alone. */
  readonly spool: string;
  /** What the bucket was asked for, as doubles in the order of COUNTED: written by the thread. */
  readonly numbers: SharedArrayBuffer;
}

export const COUNTED = ["create", "get", "put", "list", "delete", "requests", "bytesUp", "bytesDown"] as const;

/** A cell as one file: its database, and the files that it names. */
export interface Archive {
  /** A plain copy of the database. */
  readonly database: string;
  readonly files: readonly StoredFile[];
  /** What is to be written; it must not exist. */
  readonly target: string;
}

/** What a look for files that nobody names came to. Counts. */
export interface Swept {
  /** Old enough to be asked after, and not named by any cell. */
  readonly old: number;
  readonly removed: number;
  readonly bytes: number;
  /** What was read to find that out. */
  readonly slots: number;
  readonly cells: number;
  /** Why nothing was looked for, if so. */
  readonly refused?: string;
}

/** What became of files that an erased cell had named. */
export interface Released {
  /** They are not in the bucket any more. */
  readonly gone: readonly string[];
  /** Others name them, now or in a state that can be restored: they stay. */
  readonly named: readonly string[];
}

/** Questions to the thread, and their answers. */
export interface FileQuestions {
  /** Begins a file. Returns its number. */
  begin(): number;
  piece(question: { file: number; bytes: Uint8Array }): void;
  /** The file is whole: it is in the bucket when this is answered. */
  end(file: number): StoredFile;
  /** The file is given up. */
  drop(file: number): void;
  read(question: { hash: string; from: number; bytes: number }): Uint8Array | undefined;
  /** Removes a file that nobody references; false: it is too young, or younger than `before` (ms since 1970). */
  collect(question: { hash: string; before: number }): boolean;
  /** Makes a file young that is in the bucket; false: it is not there. */
  renew(hash: string): boolean;
  /** Removes the files that no cell names, nor has named within the retention. */
  sweep(question: { retentionMs: number }): Swept;
  /** Removes those of these files that no cell names; what is in neither list of the answer is to be asked again later. */
  release(question: { retentionMs: number; hashes: readonly string[] }): Released;
  archive(question: Archive): { bytes: number };
}
