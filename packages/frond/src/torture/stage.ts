// The actors' half of a round: who they are, what was told of them, and how they stand after the fault.
//
// Rule: like the books' half, it knows only what clients heard and what was shown after the last start.

import path from "node:path";
import type { Fault, LoggedRecord } from "../core/invariants.ts";
import { Lines } from "./acks.ts";
import { ACTOR_LEVELS } from "./actor.ts";
import type { Child } from "./child.ts";
import type { ActorName } from "./playwright.ts";
import type { Random } from "./random.ts";
import type { ActorShown } from "./script.ts";
import { readNotes, ScriptLoad } from "./scriptLoad.ts";
import { judge, type Note } from "./verdict.ts";

const KINDS = ["actor", "mortal", "actor", "shade", "actor", "giant", "mortal"];

/** See the head of the file. One per run of the torture. */
export class Stage {
  /** Tokens that answers named. Count. */
  told = 0;
  readonly cast: readonly ActorName[];
  readonly #file: string;
  #past: readonly ActorShown[] = [];
  #notes: readonly Note[] = [];
  #lines: Lines | undefined;

  constructor(folder: string, random: Random) {
    this.#file = path.join(folder, "notes");
    const count = random.between(7, 14);
    this.cast = Array.from({ length: count }, (_, i) => ({ kind: KINDS[i % KINDS.length] as string, name: `a${i}` }));
  }

  /** Clients for a round of work. `label` is different in every round. */
  load(child: Child, random: Random, label: string): ScriptLoad {
    this.#lines = new Lines(this.#file);
    return new ScriptLoad({ child, lines: this.#lines, cast: this.cast, random, label });
  }

  /** The work is over: what was heard is on disk. Returns answers that no node should give. */
  async over(load: ScriptLoad): Promise<string[]> {
    await this.#lines?.close();
    this.#notes = readNotes(this.#file);
    this.told += load.told;
    return load.unexpected.map((text) => `answer: ${text}`);
  }

  /** Holds what the actors show against what was told; from then on what they show is the past. */
  judge(shown: readonly ActorShown[], fault: Fault, records: Iterable<LoggedRecord>): string[] {
    const commits = commitsSinceBirth(records);
    const wrong = judge({ past: this.#past, notes: this.#notes, shown, fault, levels: ACTOR_LEVELS, commits });
    this.#past = shown;
    this.#notes = [];
    return wrong;
  }
}

function commitsSinceBirth(records: Iterable<LoggedRecord>): Map<string, number> {
  const commits = new Map<string, number>();
  for (const { cells } of records) {
    for (const { address, created, deleted } of cells) {
      commits.set(address, deleted ? 0 : created ? 1 : (commits.get(address) ?? 0) + 1);
    }
  }
  return commits;
}
