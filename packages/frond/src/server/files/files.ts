// The main thread's side of `this.files`.
//
// Rule: bytes pass through this thread on their way between a verb and the file thread, and nothing else about files happens
// here. A piece is asked for when the one before was taken, so a source is read no faster than its file is written.
// The thread begins with the first file and not before: most nodes have none. If it dies, those who wait are told and the
// next one begins anew.

import { Worker } from "node:worker_threads";
import type { BucketCounts } from "../../bucket/counted.ts";
import type { FileStore, StoredFile } from "../../cell/files.ts";
import { FrondError } from "../../errors.ts";
import { type Archive, COUNTED, type FileQuestions, type FileSetup, type Released, type Swept } from "./fileTalk.ts";
import { Asking } from "../threadCalls.ts";

type Thread = Asking<FileQuestions, never>;

/** See the head of the file. One per node. */
export class Files implements FileStore {
  readonly #setup: FileSetup;
  readonly #numbers: Float64Array;
  #worker: Worker | undefined;
  #thread: Thread | undefined;
  #stopped = false;

  constructor(setup: Omit<FileSetup, "numbers">) {
    const numbers = new SharedArrayBuffer(COUNTED.length * Float64Array.BYTES_PER_ELEMENT);
    this.#setup = { ...setup, numbers };
    this.#numbers = new Float64Array(numbers);
  }

  /** See {@link FileStore}. */
  async put(pieces: AsyncIterable<Uint8Array>): Promise<StoredFile> {
    const thread = this.#begun();
    const file = await thread.ask("begin", undefined);
    try {
      for await (const bytes of pieces) await thread.ask("piece", { file, bytes });
    } catch (error) {
      await thread.ask("drop", file).catch(() => {});
      throw error;
    }
    return thread.ask("end", file);
  }

  /** See {@link FileStore}. */
  async read(hash: string, from: number, bytes: number): Promise<Uint8Array | undefined> {
    return this.#begun().ask("read", { hash, from, bytes });
  }

  /**
   * Removes a file that no cell references; the caller has made sure of that, for every state that can be restored. False when
   * it was stored after `before` (ms since 1970) or too lately. Rejects with what the bucket throws.
   */
  async collect(hash: string, before: number): Promise<boolean> {
    return this.#begun().ask("collect", { hash, before });
  }

  /** Makes a file young that is in the bucket, for somebody who is to name it; false: it is not there. Rejects as `put` does. */
  async renew(hash: string): Promise<boolean> {
    return this.#begun().ask("renew", hash);
  }

  /** Removes the files that nobody names, see fileSweep.ts. Rejects with what the bucket throws, and what keeps slots from being read. */
  async sweep(retentionMs: number): Promise<Swept> {
    return this.#begun().ask("sweep", { retentionMs });
  }

  /** Removes those of these files that nobody names, and tells which are gone, and which stay. Rejects as `sweep` does. */
  async release(retentionMs: number, hashes: readonly string[]): Promise<Released> {
    return this.#begun().ask("release", { retentionMs, hashes });
  }

  /** Writes a cell as one file, see fileArchive.ts. */
  async archive(archive: Archive): Promise<{ bytes: number }> {
    return this.#begun().ask("archive", archive);
  }

  /** What the bucket was asked for files since the thread began. */
  counts(): BucketCounts {
    return Object.fromEntries(COUNTED.map((name, i) => [name, this.#numbers[i]])) as unknown as BucketCounts;
  }

  /** Ends the thread. Who waits is told STOPPING. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#thread?.end(stopping());
    await this.#worker?.terminate();
  }

  #begun(): Thread {
    if (this.#stopped) throw stopping();
    if (this.#thread !== undefined) return this.#thread;
    const worker = new Worker(new URL(`./fileThread${EXTENSION}`, import.meta.url), {
      workerData: this.#setup,
      name: "frond files",
      // Options of the main thread (--import, --test) are not for it.
      execArgv: [],
    });
    this.#worker = worker;
    this.#thread = new Asking(worker, () => {});
    worker.on("exit", () => {
      if (this.#worker === worker) this.#thread = undefined;
    });
    return this.#thread;
  }
}

function stopping(): FrondError {
  return new FrondError("STOPPING", "the node is stopping; try again on its successor");
}

/** The workspace runs the sources, a published package what was compiled from them. */
const EXTENSION = import.meta.url.endsWith(".ts") ? ".ts" : ".js";
