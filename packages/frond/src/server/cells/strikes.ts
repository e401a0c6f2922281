// Strikes: what cells did to the whole node, and which of them are parked for it.
//
// Rule: a cell that held the event loop for too long has a strike; three within an hour park it: nothing runs in it until an
// operator releases it, so one cell cannot take the node down again and again. Both survive a restart, since a restart
// may be just what the cell causes, and the deletion of the cell by its own code, which would otherwise never be parked.
// The file is bounded, and one that cannot be read is reported, kept and begun anew.
// Rejected: a table of the catalog (it is written behind the log, this must be on disk before the process ends), keeping
// strikes in memory alone (the worst ones end the process).

import fs from "node:fs";
import path from "node:path";
import { FrondError } from "../../errors.ts";
import { MAX_STRUCK_CELLS, STRIKES_TO_PARK, STRIKE_WINDOW_MS } from "../../limits.ts";
import { syncFolder, writeDurably } from "../durably.ts";

/** What the watchdog noted before it ended the process: its next start gives the strike. In suspect.json. */
export interface Suspect {
  /** Absent: it is not known which cell it was. */
  readonly address?: string | undefined;
  readonly verb?: string | undefined;
  readonly sql?: string | undefined;
  /** How long the event loop was held, in ms. */
  readonly ms: number;
  /** When, in ms since 1970. */
  readonly atMs: number;
  /** For people: the number of the run that was ended. */
  readonly run: number;
}

/** One strike. `why` is a sentence for people. */
export interface Strike {
  readonly atMs: number;
  readonly why: string;
}

/** A cell in which nothing runs until it is released. */
export interface ParkedCell {
  readonly address: string;
  readonly sinceMs: number;
  readonly strikes: readonly Strike[];
}

interface Entry {
  strikes: Strike[];
  parkedMs: number;
}

export const STRIKES_NAME = "strikes.json";
export const SUSPECT_NAME = "suspect.json";

/** Of strikes.json. */
const FORMAT = 1;

/** Longest sentence kept of a strike, in characters. */
const MAX_WHY_LENGTH = 1_000;

/** What strikes are opened with. */
export interface StrikesOptions {
  readonly directory: string;
  /** Time in ms since 1970. */
  readonly now: () => number;
  readonly warn: (fields: object, message: string) => void;
}

/** The strikes of one data directory, whose lock the owner holds. */
export class Strikes {
  readonly #o: StrikesOptions;
  readonly #file: string;
  /** In order of the last strike. */
  readonly #cells = new Map<string, Entry>();
  #parked = 0;

  /** Reads what is known, and gives the strike that the run before could not. */
  constructor(options: StrikesOptions) {
    this.#o = options;
    this.#file = path.join(options.directory, STRIKES_NAME);
    this.#read();
    this.#takeSuspect();
  }

  /** Throws CELL_PARKED if nothing may run in this cell. */
  check(address: string): void {
    if (this.#parked === 0 || !this.#isParked(address)) return;
    const how = `frond parked says why, frond parked release ${address} lets it run again`;
    throw new FrondError("CELL_PARKED", `${address} is parked: it held up the whole node too often; ${how}`);
  }

  /** Gives a strike. True if it parked the cell. */
  add(address: string, why: string, atMs: number = this.#o.now()): boolean {
    const entry = this.#cells.get(address) ?? { strikes: [], parkedMs: 0 };
    // What the process noted before it ended can be read twice, when it ends between this and the removal of the note.
    if (entry.strikes.some((one) => one.atMs === atMs)) return false;
    const recent = entry.strikes.filter((one) => Math.abs(atMs - one.atMs) < STRIKE_WINDOW_MS);
    entry.strikes = [...recent, { atMs, why: why.slice(0, MAX_WHY_LENGTH) }].slice(-STRIKES_TO_PARK);
    const parks = entry.parkedMs === 0 && entry.strikes.length >= STRIKES_TO_PARK;
    if (parks) {
      entry.parkedMs = atMs;
      this.#parked += 1;
    }
    this.#cells.delete(address);
    this.#cells.set(address, entry);
    this.#forgetOld();
    this.#write();
    if (parks) this.#o.warn({ address, why }, "a cell was parked: nothing runs in it until it is released");
    return parks;
  }

  /** Lets a parked cell run again, and forgets its strikes. False if it was not parked. Throws DISK_FULL. */
  release(address: string): boolean {
    if (!this.#isParked(address)) return false;
    this.forget(address);
    return true;
  }

  /** Forgets the strikes of a cell that its operator has deleted: the name begins anew. Throws DISK_FULL. */
  forget(address: string): void {
    if (this.#isParked(address)) this.#parked -= 1;
    if (this.#cells.delete(address)) this.#save();
  }

  /** Cells that are parked, the latest last. */
  parked(): ParkedCell[] {
    return [...this.#cells]
      .filter(([, { parkedMs }]) => parkedMs > 0)
      .map(([address, { parkedMs, strikes }]) => ({ address, sinceMs: parkedMs, strikes }));
  }

  #isParked(address: string): boolean {
    return (this.#cells.get(address)?.parkedMs ?? 0) > 0;
  }

  /** Those that are not parked go first: to forget a parked one is to release it. */
  #forgetOld(): void {
    if (this.#cells.size <= MAX_STRUCK_CELLS) return;
    const [first] = this.#cells.keys();
    const oldest = [...this.#cells].find(([, { parkedMs }]) => parkedMs === 0)?.[0] ?? first;
    if (oldest === undefined) return;
    if (this.#cells.get(oldest)?.parkedMs !== 0) {
      this.#parked -= 1;
      this.#o.warn(
        { address: oldest },
        `more than ${MAX_STRUCK_CELLS} cells are parked: the first of them is released`,
      );
    }
    this.#cells.delete(oldest);
  }

  /** A disk that takes nothing more must not keep the node from going on: the strike counts until it ends. */
  #write(): void {
    try {
      this.#save();
    } catch (error) {
      this.#o.warn(
        { err: error, file: this.#file },
        "strikes could not be written down; a restart forgets the last one",
      );
    }
  }

  #save(): void {
    const cells = [...this.#cells].map(([address, { strikes, parkedMs }]) => ({ address, parkedMs, strikes }));
    writeDurably(this.#file, Buffer.from(`${JSON.stringify({ format: FORMAT, cells })}\n`));
  }

  #read(): void {
    const value = readJson(this.#file);
    if (value === undefined) return;
    const { format, cells } = (value ?? {}) as { format?: unknown; cells?: unknown };
    if (format !== FORMAT || !Array.isArray(cells)) {
      return this.#setAside(this.#file, "the strikes of cells begin anew, none is parked");
    }
    let whole = true;
    for (const one of cells as Record<string, unknown>[]) {
      const { address, parkedMs, strikes } = one ?? {};
      const known = typeof address === "string" && typeof parkedMs === "number" && Array.isArray(strikes);
      const good = known ? (strikes as Strike[]).filter(isStrike) : [];
      whole &&= known && good.length === strikes.length;
      if (!known) continue;
      this.#cells.set(address, { parkedMs, strikes: good.slice(-STRIKES_TO_PARK) });
      if (parkedMs > 0) this.#parked += 1;
    }
    if (whole) return;
    this.#setAside(this.#file, "what can be read of it goes on");
    this.#write();
  }

  #takeSuspect(): void {
    const file = path.join(this.#o.directory, SUSPECT_NAME);
    const value = readJson(file);
    if (value === undefined) return;
    const { address, ms, atMs, verb, sql } = (value ?? {}) as Partial<Record<keyof Suspect, unknown>>;
    if (typeof ms !== "number" || typeof atMs !== "number") {
      return this.#setAside(file, "no cell gets a strike for the end of the run before");
    }
    const what = typeof sql === "string" ? `inside: ${sql}` : "outside of SQLite, where nothing can end it";
    const where = typeof verb === "string" ? `its verb ${verb} ` : "";
    const why = `${where}held the node for ${Math.round(ms)} ms ${what}`;
    const told = "the run before was ended: its event loop was held for too long";
    this.#o.warn({ ...(typeof address === "string" && { address }), ms: Math.round(ms) }, `${told}, ${what}`);
    if (typeof address === "string") this.add(address, why, atMs);
    fs.rmSync(file, { force: true });
    syncFolder(this.#o.directory);
  }

  #setAside(file: string, therefore: string): void {
    let kept = `${file}.damaged`;
    // What was kept of an earlier damage stays, too.
    for (let i = 2; fs.existsSync(kept); i++) kept = `${file}.damaged${i}`;
    fs.renameSync(file, kept);
    syncFolder(this.#o.directory);
    this.#o.warn({ file }, `a file cannot be read as what frond wrote; it is kept as ${kept}, ${therefore}`);
  }
}

function isStrike(value: unknown): value is Strike {
  const { atMs, why } = (value ?? {}) as Partial<Record<keyof Strike, unknown>>;
  return typeof atMs === "number" && typeof why === "string";
}

/** What is in a file; undefined: there is none; null: it is not JSON. */
function readJson(file: string): unknown {
  let text: string;
  try {
    text = fs.readFileSync(file, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" ? value : null;
  } catch {
    return null;
  }
}
