// One kill: a node under load is ended by SIGKILL at a random moment, with its disk or without, and what clients had been told
// is compared with what its successor shows.
//
// Rule: the ledger of the client is the only witness. A write counts as told when its answer was read, and its age is the time
// from then to the signal. What the successor shows of a cell must be the beginning of what was sent to it, each entry once;
// anything else is no loss but an error, and ends the bench.

import { mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { Client } from "./client.ts";
import { startNode } from "./nodeProcess.ts";

export type Level = "memory" | "disk" | "bucket";
export const LEVELS: readonly Level[] = ["memory", "disk", "bucket"];
/** What goes with the process. */
export type Gone = "process" | "disk";
export const GONE: readonly Gone[] = ["process", "disk"];

/** What one kill did. */
export interface Killed {
  readonly level: Level;
  readonly gone: Gone;
  /** Writes that were told, and the ages of those of them that are lost, in ms. */
  readonly told: number;
  readonly agesMs: readonly number[];
  /** From the start of the successor to its first answer, in ms. */
  readonly backMs: number;
}

/** Connections, and cells that they write to. Counts. */
const WRITERS = 32;
const CELLS = 100;
/** The kill comes so long after each cell has answered once, in ms: over several flushes. */
const KILL_FROM_MS = 600;
const KILL_TO_MS = 2_600;
/** The shortest that frond takes: a successor on another disk waits for it. */
const TTL_MS = 3_000;
/** A node whose machine is busy may refuse; it is asked again after so long, in ms. */
const REFUSED_MS = 20;

/** The options of a node at a level, whose bucket is this folder. */
export function nodeOptions(level: Level, bucket: string): string[] {
  return [`--durability=${level}`, `--bucket=dir:${bucket}`];
}

/** Loads a node, kills it, and counts. Throws when anything but the end of a history is lost. */
export async function killOnce(parent: string, level: Level, gone: Gone): Promise<Killed> {
  const folder = mkdtempSync(join(parent, "frond-bench-loss-"));
  const data = join(folder, "data");
  const more = [...nodeOptions(level, join(folder, "bucket")), `--ttl-ms=${TTL_MS}`];
  const start = () => startNode(data, "/ledger/0", { app: "lossApp.ts", more });
  try {
    const first = await start();
    const load = new Load(first.port);
    await load.begin();
    await sleep(KILL_FROM_MS + Math.random() * (KILL_TO_MS - KILL_FROM_MS));
    const killedAt = performance.now();
    await first.kill("SIGKILL");
    await load.over();
    if (gone === "disk") rmSync(data, { recursive: true });
    const second = await start();
    const agesMs = await load.lost(second.port, killedAt);
    await second.kill("SIGKILL");
    return { level, gone, told: load.told, agesMs, backMs: second.startMs };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** The clients, and their ledger. */
class Load {
  /** By cell: the tokens that were sent, and when each that was told was told. */
  readonly #sent = Array.from({ length: CELLS }, () => new Set<string>());
  readonly #toldAt = new Map<string, number>();
  readonly #client: Client;
  #writing: Promise<void[]> | undefined;

  constructor(port: number) {
    this.#client = new Client(port, WRITERS);
  }

  /** Writes to each cell once, so that its slot is open, and then goes on. */
  async begin(): Promise<void> {
    await this.#client.each([...this.#sent.keys()], (cell) => this.#add(cell, `c${cell}`));
    this.#writing = Promise.all(Array.from({ length: WRITERS }, (_, writer) => this.#write(writer)));
  }

  get told(): number {
    return this.#toldAt.size;
  }

  /** Resolves when the last answer has come, or will not come. */
  async over(): Promise<void> {
    await this.#writing;
    this.#client.close();
  }

  async #write(writer: number): Promise<void> {
    for (let i = 0; ; i++) {
      try {
        await this.#add(Math.floor(Math.random() * CELLS), `w${writer}-${i}`);
      } catch (error) {
        if (String(error).includes("was answered")) throw error;
        return;
      }
    }
  }

  /** A write that was refused is sent again, under the same name: it has not happened. */

  async #add(cell: number, token: string): Promise<void> {
    this.#sent[cell]?.add(token);
    for (;;) {
      const refused = await this.#client.send("POST", `/ledger/${cell}/${token}`).then(
        () => false,
        (error: Error) => {
          if (!error.message.includes("was answered 503")) throw error;
          return true;
        },
      );
      if (!refused) break;
      await sleep(REFUSED_MS);
    }
    this.#toldAt.set(token, performance.now());
  }

  /** The ages of what was told and is not there. */
  async lost(port: number, killedAt: number): Promise<number[]> {
    const client = new Client(port, WRITERS);
    const there = new Set<string>();
    await client.each([...this.#sent.entries()], async ([cell, sent]) => {
      for (const token of JSON.parse(await client.send("GET", `/ledger/${cell}`)) as string[]) {
        if (!sent.has(token) || there.has(token))
          throw new Error(`${token} was not sent to cell ${cell}, or stands twice`);
        there.add(token);
      }
    });
    client.close();
    const lost = [...this.#toldAt].filter(([token]) => !there.has(token));
    // An answer may be read after the signal was sent.
    return lost.map(([, at]) => Math.max(0, killedAt - at));
  }
}
