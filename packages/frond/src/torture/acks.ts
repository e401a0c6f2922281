// The client's own ledger: what it asked for and what it was told, synced to a file that no node touches.
//
// Rule: an answer counts as heard when its line is on stable storage, and a check is made from what the file says; so a
// harness that dies cannot have dreamt an acknowledgement, and its file can be read by a person afterwards.

import fs from "node:fs";
import { promisify } from "node:util";
import type { Write } from "../core/invariants.ts";
import type { Durability } from "../types.ts";

type Line =
  | { readonly sent: readonly Write[] }
  | { readonly heard: string; readonly seq: number | undefined; readonly at: number; readonly level?: Durability };

const fdatasync = promisify(fs.fdatasync);

/** A file of lines of JSON, synced as they come. */
export class Lines {
  readonly file: string;
  readonly #fd: number;
  #lines: string[] = [];
  #syncing: Promise<void> | undefined;

  constructor(file: string) {
    this.file = file;
    this.#fd = fs.openSync(file, "w", 0o600);
  }

  /** Adds a line. */
  put(line: object): void {
    this.#lines.push(JSON.stringify(line));
    this.#syncing ??= this.#sync();
  }

  /** Resolves when every line is on disk. */
  async close(): Promise<void> {
    while (this.#syncing !== undefined) await this.#syncing;
    fs.closeSync(this.#fd);
  }

  async #sync(): Promise<void> {
    while (this.#lines.length > 0) {
      fs.writeSync(this.#fd, `${this.#lines.join("\n")}\n`);
      this.#lines = [];
      await fdatasync(this.#fd);
    }
    this.#syncing = undefined;
  }
}

/** One file of acknowledgements of the books. */
export class Acks extends Lines {
  /** Before a request leaves: what it will write, with what is known of the outcome by then. */
  sent(writes: readonly Write[]): void {
    this.put({ sent: writes } satisfies Line);
  }

  /** An answer told of the entry `token`; `seq` if it said where the entry stands, `level` if that was asked for. */
  heard(token: string, seq: number | undefined, level?: Durability): void {
    this.put({ heard: token, seq, at: Date.now(), ...(level && { level }) } satisfies Line);
  }
}

/** What the file says, one entry for each write. A token that was heard of without being sent is left to the checks. */
export function readAcks(file: string): Write[] {
  const writes = new Map<string, Write>();
  for (const line of linesOf(file)) {
    if ("sent" in line) for (const write of line.sent) writes.set(write.token, write);
    else {
      const write = writes.get(line.heard);
      if (write === undefined || write.outcome === "refused") continue;
      const { seq = write.seq, level = write.level } = line;
      writes.set(write.token, { ...write, outcome: "acknowledged", seq, level });
    }
  }
  return [...writes.values()];
}

/** When each token was first heard of, in ms since 1970. */
export function readTimes(file: string): Map<string, number> {
  const times = new Map<string, number>();
  for (const line of linesOf(file)) if ("heard" in line && !times.has(line.heard)) times.set(line.heard, line.at);
  return times;
}

function linesOf(file: string): Line[] {
  const texts = fs.readFileSync(file, "utf8").split("\n");
  return texts.filter((text) => text !== "").map((text) => JSON.parse(text) as Line);
}
