// The disks of the torture with a bucket: the one in use, and those whose machine was lost and may come back.
//
// Rule: a disk that was lost with commits on it which the bucket never got must, when it comes back, name them in lost+found and
// keep their bytes, and name nothing else. What was lost is known from what clients were told and what the successor
// showed: of a write without an answer nobody knows whether it was committed, so it may be named or not.

import fs from "node:fs";
import path from "node:path";
import type { Shown, Write } from "../core/invariants.ts";
import type { Outage } from "./bucketPlace.ts";
import type { LostCommit } from "./bucketPositions.ts";
import type { Random } from "./random.ts";
import { SmallDisk } from "./smallDisk.ts";
import { keepCopy, vandalise } from "./vandal.ts";

/** Lost disks that are kept. Count. */
const KEPT = 3;

/** What the report of a disk may say of one cell: commits, from and to; and tokens that must be in the bytes that were kept. */
interface Expected {
  least: number;
  most: number;
  readonly tokens: string[];
}

interface Disk {
  readonly directory: string;
  /** It can be full. */
  readonly small: SmallDisk | undefined;
  readonly expected: Map<string, Expected>;
}

/** See the head of the file. One per run of the torture. */
export class Disks {
  readonly #folder: string;
  readonly #small: () => boolean;
  #made = 0;
  #current: Disk;
  readonly #lost: Disk[] = [];
  /** The disk that the last work was done on. */
  #worked: Disk | undefined;
  /** Commits that reports have named, by file. */
  readonly named = new Map<string, LostCommit[]>();

  /** `small`: asked for each disk, whether it shall be one that can be full. */
  constructor(folder: string, small: () => boolean) {
    this.#folder = folder;
    this.#small = small;
    this.#current = this.#make();
  }

  get directory(): string {
    return this.#current.directory;
  }

  get hasOld(): boolean {
    return this.#lost.length > 0;
  }

  /** What can happen to the disk in use. */
  get outages(): readonly Outage[] {
    return this.#current.small === undefined ? [] : ["full disk"];
  }

  fill(random: Random): void {
    this.#current.small?.fill(random);
  }

  makeRoom(): void {
    this.#current.small?.makeRoom();
  }

  /** The machine lost power: of what nobody had synced anything may be left. Catalogs are as they were, or gone: parts of them are synced. */
  losePower(random: Random): void {
    const { directory } = this.#current;
    const older = `${directory}-older`;
    if (random.chance(0.3)) keepCopy(directory, older);
    vandalise(directory, older, random.fork(), ["keep", "keep", "delete"]);
  }

  /** Takes all disks away. */
  clear(): void {
    for (const disk of [this.#current, ...this.#lost]) this.#remove(disk);
  }

  /** Work is done on the disk in use. */
  work(): void {
    this.#worked = this.#current;
  }

  /** The disk is lost; the next one is empty, or one that was lost before. */
  change(next: "new" | "old", random: Random): void {
    const old = next === "old" && this.hasOld ? random.pick(this.#lost) : undefined;
    if (old !== undefined) this.#lost.splice(this.#lost.indexOf(old), 1);
    this.#lost.push(this.#current);
    this.#current = old ?? this.#make();
    while (this.#lost.length > KEPT) this.#remove(this.#lost.shift() as Disk);
  }

  /** What the node shows after the last work; what it does not, the disk that this was done on has to name. */
  shown(writes: readonly Write[], shown: readonly Shown[]): void {
    const disk = this.#worked;
    this.#worked = undefined;
    if (disk === undefined) return;
    const there = new Set(shown.flatMap((cell) => cell.rows.map((row) => row.token)));
    for (const { token, cell, outcome, level } of writes) {
      if (outcome === "refused" || there.has(token)) continue;
      const expected = disk.expected.get(cell) ?? { least: 0, most: 0, tokens: [] };
      disk.expected.set(cell, expected);
      expected.most += 1;
      // At `memory` it may never have been written to a disk.
      if (outcome !== "acknowledged" || level === "memory") continue;
      expected.least += 1;
      expected.tokens.push(token);
    }
  }

  /** Sentences about lost+found of the disk in use. */
  check(): string[] {
    const { directory, expected } = this.#current;
    const wrong: string[] = [];
    const folder = path.join(directory, "lost+found");
    const files = fs.existsSync(folder)
      ? fs.readdirSync(folder).filter((name) => name.includes("behind-the-seal"))
      : [];
    const named = new Map<string, number>();
    const kept: string[] = [];
    for (const name of files) {
      const file = path.join(folder, name);
      if (name.endsWith(".bin")) kept.push(fs.readFileSync(file, "latin1"));
      if (!name.endsWith(".json")) continue;
      const { commits } = JSON.parse(fs.readFileSync(file, "utf8")) as { commits: LostCommit[] };
      for (const cell of commits.flatMap(({ cells }) => cells)) named.set(cell, (named.get(cell) ?? 0) + 1);
      this.named.set(file, commits);
    }
    for (const [cell, { least, most, tokens }] of expected) {
      const count = named.get(cell) ?? 0;
      named.delete(cell);
      if (count < least || count > most) {
        wrong.push(`lost+found names ${count} commits of ${cell}; ${least} to ${most} are lost: ${tokens.join(" ")}`);
      }
      const missing = tokens.filter((token) => !kept.some((bytes) => bytes.includes(token)));
      if (missing.length > 0) wrong.push(`lost+found does not keep ${missing.join(" ")} of ${cell}`);
    }
    for (const [cell, count] of named)
      wrong.push(`lost+found names ${count} commits of ${cell}; nothing is lost of it`);
    return wrong;
  }

  #make(): Disk {
    this.#made += 1;
    const directory = path.join(this.#folder, `disk-${this.#made}`);
    return { directory, small: this.#small() ? SmallDisk.make(directory) : undefined, expected: new Map() };
  }

  #remove({ directory, small }: Disk): void {
    small?.remove();
    fs.rmSync(directory, { recursive: true, force: true });
    fs.rmSync(`${directory}-older`, { recursive: true, force: true });
  }
}
