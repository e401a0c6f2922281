// The clients of the actors: many scripts at once, each noted before it is sent, and what is heard when it is heard.
//
// Rule: as in workload.ts, an answer counts when its line is on stable storage. A line of a streamed answer counts by itself:
// what was told is told, whatever becomes of the rest.

import fs from "node:fs";
import { type ActorName, type Drawn, Playwright } from "./playwright.ts";
import type { Lines } from "./acks.ts";
import type { Child } from "./child.ts";
import type { Random } from "./random.ts";
import type { Play, Report } from "./script.ts";
import type { Note } from "./verdict.ts";

/** Codes that a script may fail with: what it does on purpose, and what a node in trouble answers. */
const EXCUSED = new Set([
  "ScriptError",
  "ABORTED",
  "TX_ABORTED",
  "CELL_BUSY",
  "QUEUE_FULL",
  "STOPPING",
  "OVERLOADED",
  "DISK_FULL",
  "COMMIT_FAILED",
  "LOG_FAILED",
]);

export interface ScriptLoadOptions {
  readonly child: Child;
  readonly lines: Lines;
  readonly cast: readonly ActorName[];
  readonly random: Random;
  readonly label: string;
}

/** See the head of the file. */
export class ScriptLoad {
  /** Scripts that were answered, with a value or by the script's own failure. Count. */
  answered = 0;
  /** Tokens that answers named. Count. */
  told = 0;
  /** Answers that no node should give. */
  readonly unexpected: string[] = [];
  readonly #o: ScriptLoadOptions;
  readonly #playwright: Playwright;
  #sent = 0;
  #stopped = false;

  constructor(options: ScriptLoadOptions) {
    this.#o = options;
    this.#playwright = new Playwright(options.cast, options.label);
  }

  /** Sends with `workers` scripts at once until the process ends or `stop` is called. */
  async run(workers: number): Promise<void> {
    const one = async (random: Random): Promise<void> => {
      while (!this.#stopped && !this.#o.child.over) await this.#step(this.#playwright.draw(random));
    };
    await Promise.all(Array.from({ length: workers }, () => one(this.#o.random.fork())));
  }

  stop(): void {
    this.#stopped = true;
  }

  async #step(drawn: Drawn): Promise<void> {
    const { play, tokens, never, erases } = drawn;
    // The script itself is for people who look for a fault.
    const note: Note & { play: Play } = { sent: ++this.#sent, tokens, never, erases, play };
    this.#o.lines.put(note);
    if (drawn.streams) {
      const end = await this.#o.child.stream({ script: play, streams: true }, (line) => this.#hear(JSON.parse(line)));
      if (end === "whole") this.answered += 1;
      return;
    }
    const answer = await this.#o.child.call({ script: play });
    if (answer.heard === "nothing") return;
    if (answer.heard === "value") {
      const report = answer.value as Report;
      this.#hear(report);
      const missing = drawn.named.filter((token) => !report.seen.includes(token));
      if (missing.length > 0) this.unexpected.push(`a script was answered without ${missing.join(", ")}`);
    } else if (EXCUSED.has(answer.code)) {
      if (answer.report !== undefined) this.#hear(answer.report);
    } else this.unexpected.push(`a script of ${play.kind}/${play.name} failed with ${answer.code}: ${answer.message}`);
    this.answered += 1;
  }

  #hear({ seen, erased, wrong }: Report): void {
    const note: Note = { heard: { seen, erased } };
    this.#o.lines.put(note);
    this.told += seen.length;
    this.unexpected.push(...wrong);
  }
}

/** What the file of a load says. */
export function readNotes(file: string): Note[] {
  const texts = fs.readFileSync(file, "utf8").split("\n");
  return texts.filter((text) => text !== "").map((text) => JSON.parse(text) as Note);
}
