// Real nodes on real directories for the tests of the programming model: opened, reopened, copied, read back.
//
// Every node is closed and its directory removed when its test ends. What is durable is seen in two ways: by opening the
// directory again, and by reading the records of its log.

import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { onTestFinished } from "vitest";
import { frond } from "../../src/cell/app.ts";
import type { AppDefinition } from "../../src/cell/app.ts";
import type { CellClass } from "../../src/cell/cell.ts";
import type { Get } from "../../src/cell/stub.ts";
import type { DecodedCommit } from "../../src/codec/record.ts";
import { FrondError } from "../../src/errors.ts";
import type { ErrorCode } from "../../src/errors.ts";
import { listLogFiles } from "../../src/log/files.ts";
import { diskIo } from "../../src/log/io.ts";
import type { LogIo } from "../../src/log/io.ts";
import { scanLogFile } from "../../src/log/scan.ts";
import { openNode } from "../../src/server/openNode.ts";
import type { Node } from "../../src/server/node.ts";
import type { NodeOptions } from "../../src/server/nodeOptions.ts";
import { Session } from "../../src/server/door/session.ts";

type Cells = Readonly<Record<string, CellClass>>;
type Options = Partial<Omit<NodeOptions, "app" | "dataDirectory">> & Partial<Omit<AppDefinition, "cells">>;

/** A node under test. */
export interface Opened {
  readonly node: Node;
  readonly directory: string;
  /** A `get` of a session that no gate holds back. */
  readonly get: Get;
  /** What made the node call `onFatal`. */
  readonly fatal: unknown[];
  /** Lines of its log: level and text. */
  readonly lines: string[];
}

/** A new directory below the system's folder for temporary files, removed when the test ends. */
export function temporaryDirectory(): string {
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), "frond-cell-"));
  onTestFinished(() => fs.rmSync(directory, { recursive: true, force: true }));
  return directory;
}

/** Opens a node with these cells in a new directory. */
export function openCells(cells: Cells, options: Options = {}): Promise<Opened> {
  return openIn(temporaryDirectory(), cells, options);
}

/** Opens a node on a directory. */
export async function openIn(dataDirectory: string, cells: Cells, options: Options = {}): Promise<Opened> {
  const { fetch, start, ...rest } = options;
  const lines: string[] = [];
  const fatal: unknown[] = [];
  const note = (level: string) => (fields: object, message: string) => {
    const { err } = fields as { err?: Error };
    lines.push(`${level} ${message}${err === undefined ? "" : `: ${err.message}`}`);
  };
  const node = await openNode({
    app: frond({ cells, ...(fetch && { fetch }), ...(start && { start }) }),
    dataDirectory,
    durability: "disk",
    log: { info: note("info"), warn: note("warn"), error: note("error") },
    logFileBytes: 1024 * 1024,
    onFatal: (error) => fatal.push(error),
    ...rest,
  });
  onTestFinished(() => {
    if (rest.io instanceof SlowDisk) rest.io.release();
    // A node whose log has failed has nothing to flush to: its process would have ended.
    return fatal.length === 0 ? node.stop(0) : undefined;
  });
  return { node, directory: dataDirectory, get: node.host.stubs.getFor(new Session()), fatal, lines };
}

/** Stops a node cleanly and opens its directory again, with the same cells or others. */
export async function reopen(opened: Opened, cells: Cells, options: Options = {}): Promise<Opened> {
  await opened.node.stop();
  return openIn(opened.directory, cells, options);
}

/** What a process that is killed now would leave: a copy of the directory of a node that goes on running. */
export async function afterKill(opened: Opened, cells: Cells, options: Options = {}): Promise<Opened> {
  const copy = temporaryDirectory();
  // The lock belongs to the process that holds it.
  fs.cpSync(opened.directory, copy, { recursive: true, filter: (file) => !path.basename(file).startsWith("lock.") });
  return openIn(copy, cells, options);
}

/** The error that a promise is rejected with. Fails when it is not. */
export async function failureOf(promise: Promise<unknown>): Promise<Error & { code?: unknown; remote?: unknown }> {
  let value: unknown;
  try {
    value = await promise;
  } catch (error) {
    return error as Error;
  }
  throw new Error(`expected a failure, got ${JSON.stringify(value)}`);
}

/** The code of the FrondError that a promise is rejected with. */
export async function codeOf(promise: Promise<unknown>): Promise<ErrorCode> {
  const error = await failureOf(promise);
  if (error instanceof FrondError) return error.code;
  throw error;
}

/** The commits in the log of a directory, as far as they were written, in order; of one cell if an address is given. */
export function commitsIn(directory: string, address?: string): DecodedCommit[] {
  const commits: DecodedCommit[] = [];
  for (const entry of listLogFiles(path.join(directory, "log"))) {
    const scan = scanLogFile(entry, undefined, (record) => {
      if (record.type !== "commit") return;
      if (address === undefined || record.cells.some((cell) => cell.address === address)) commits.push(record);
    });
    if (scan.damage !== undefined) throw new Error(scan.damage.reason);
  }
  return commits;
}

/** The paths of all cell files of a directory, relative to its folder `cells`. */
export function cellFiles(directory: string): string[] {
  const folder = path.join(directory, "cells");
  return fs.readdirSync(folder, { recursive: true, encoding: "utf8" }).filter((name) => !name.match(/^[0-9a-f]{3}$/));
}

/** A disk whose syncs can be held back: what was written is not acknowledged before `release`. */
export class SlowDisk implements LogIo {
  /** Appends that are not acknowledged, by the order in which they began; undefined while the disk is at work. */
  readonly #open = new Map<number, (() => void) | undefined>();
  #holding = false;
  #appends = 0;
  readonly allocate = diskIo.allocate;
  readonly allocateNow = diskIo.allocateNow;
  readonly open = diskIo.open;
  readonly syncFolder = diskIo.syncFolder;
  readonly close = diskIo.close;

  append(fd: number, bytes: Buffer, length: number, position: number, done: (error: Error | null) => void): void {
    const order = this.#appends++;
    this.#open.set(order, undefined);
    diskIo.append(fd, bytes, length, position, (error) => {
      this.#open.set(order, () => done(error));
      if (!this.#holding) this.#acknowledge(order);
    });
  }

  /** From now on no sync returns. */
  hold(): void {
    this.#holding = true;
  }

  /** Lets the sync that began first return, once it is there. */
  async releaseOne(): Promise<void> {
    const first = Math.min(...this.#open.keys());
    while (this.#open.get(first) === undefined) await turns(1);
    this.#acknowledge(first);
  }

  release(): void {
    this.#holding = false;
    for (const order of this.#open.keys()) this.#acknowledge(order);
  }

  #acknowledge(order: number): void {
    const done = this.#open.get(order);
    if (done === undefined) return;
    this.#open.delete(order);
    done();
  }
}

/** Lets everything that can go on without the disk go on: several turns of the event loop. */
export async function turns(count = 5): Promise<void> {
  for (let i = 0; i < count; i++) await new Promise((resolve) => setImmediate(resolve));
}

/** True if the promise is settled after everything that needs no disk has run. */
export async function isSettled(promise: Promise<unknown>): Promise<boolean> {
  let settled = false;
  const note = (): void => {
    settled = true;
  };
  promise.then(note, note);
  await turns(10);
  return settled;
}
