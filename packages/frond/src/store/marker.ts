// Which cell runs, in memory that the watchdog's thread can read while the main thread is stuck.
//
// Rule: what the way of every call pays is a few plain integer writes; texts are written once, when a cell is opened and when a
// statement is first seen. A reader may see a mark that is a moment old, and only believes one that stays.
// A thread inside SQLite answers nobody, so this is the only way to learn whose statement holds it.
// Rejected: Atomics for the marks (no order is needed between them), the address at each statement (a copy per call).

import { MAX_ADDRESS_BYTES } from "../limits.ts";

/** Cells that can be named at once: more than ever are open. Count. */
const CELLS = 8_192;
/** Statements that can be named, the first ones that run. Count. */
const TEXTS = 4_096;
/** Bytes kept of one. */
const TEXT_BYTES = 512;

/** Places in the integers at the head of the memory. */
const BEAT = 0;
const PAUSED = 1;
const RUNNING = 2;
const INSIDE = 3;
const STATEMENT = 4;
const HEAD_BYTES = 64;

/** One text each: its length in 4 bytes, then UTF-8. */
const CELL_STRIDE = 4 + MAX_ADDRESS_BYTES;
const TEXT_STRIDE = 4 + TEXT_BYTES;
const TEXTS_AT = HEAD_BYTES + CELLS * CELL_STRIDE;

/** What marks say of the main thread. Absent: not known. */
export interface Marked {
  /** The cell inside whose statement it is, else the one whose code was entered last without an await since. */
  readonly address?: string;
  /** The statement that it is inside of. */
  readonly sql?: string;
  /** It is inside SQLite. */
  readonly inSqlite: boolean;
}

/** The side of the main thread. One per node. Number 0 means "not known" throughout. */
export class Marker {
  /** The memory to share; without a watchdog there is nobody to share it with, and no texts are kept. */
  readonly memory: SharedArrayBuffer;
  readonly #marks: Int32Array;
  readonly #bytes: Buffer | undefined;
  readonly #free: number[] = [];
  readonly #texts = new Map<string, number>();
  #cells = 0;

  constructor(watched: boolean) {
    // Pages that nobody writes to take no memory.
    this.memory = new SharedArrayBuffer(watched ? TEXTS_AT + TEXTS * TEXT_STRIDE : HEAD_BYTES);
    this.#marks = new Int32Array(this.memory, 0, HEAD_BYTES / 4);
    this.#bytes = watched ? Buffer.from(this.memory) : undefined;
  }

  /** Somebody may read the marks. */
  get watched(): boolean {
    return this.#bytes !== undefined;
  }

  /** The number of a cell that is opened now. */
  register(address: string): number {
    if (this.#bytes === undefined) return 0;
    const number = this.#free.pop() ?? (this.#cells < CELLS - 1 ? ++this.#cells : 0);
    if (number !== 0) write(this.#bytes, HEAD_BYTES + number * CELL_STRIDE, address, MAX_ADDRESS_BYTES);
    return number;
  }

  /** The cell is closed. */
  release(number: number): void {
    if (number !== 0) this.#free.push(number);
  }

  /** The number of a statement's text. */
  sqlNumber(text: string): number {
    if (this.#bytes === undefined) return 0;
    const known = this.#texts.get(text);
    if (known !== undefined) return known;
    const number = this.#texts.size + 1;
    if (number >= TEXTS) return 0;
    this.#texts.set(text, number);
    write(this.#bytes, TEXTS_AT + number * TEXT_STRIDE, text.slice(0, TEXT_BYTES), TEXT_BYTES);
    return number;
  }

  /** SQLite is entered for a cell. Statements do not nest. */
  enter(cell: number, sql: number): void {
    this.#marks[STATEMENT] = sql;
    this.#marks[INSIDE] = cell === 0 ? -1 : cell;
  }

  leave(): void {
    this.#marks[INSIDE] = 0;
  }

  /** Code of a cell is called. Returns the number that was there before, to be given back to this method when it returns. */
  run(cell: number): number {
    const before = this.#marks[RUNNING] as number;
    this.#marks[RUNNING] = cell;
    return before;
  }

  /** The event loop has come by; `paused`: it is not to be watched, a debugger may stop it. */
  beat(paused: boolean): void {
    this.#marks[PAUSED] = paused ? 1 : 0;
    Atomics.add(this.#marks, BEAT, 1);
    // Nothing runs when the event loop comes by: a mark that was left by an end by force goes.
    this.#marks[RUNNING] = 0;
    this.#marks[INSIDE] = 0;
  }

  /** How often it has come by, modulo 2^32. */
  get beats(): number {
    return Atomics.load(this.#marks, BEAT);
  }
}

/** The side of the watchdog's thread. */
export class MarkReader {
  readonly #marks: Int32Array;
  readonly #bytes: Buffer;

  constructor(memory: SharedArrayBuffer) {
    this.#marks = new Int32Array(memory, 0, HEAD_BYTES / 4);
    this.#bytes = Buffer.from(memory);
  }

  get beats(): number {
    return Atomics.load(this.#marks, BEAT);
  }

  get paused(): boolean {
    return Atomics.load(this.#marks, PAUSED) === 1;
  }

  read(): Marked {
    const inside = Atomics.load(this.#marks, INSIDE);
    const cell = inside === 0 ? Atomics.load(this.#marks, RUNNING) : inside;
    const text = inside === 0 ? 0 : Atomics.load(this.#marks, STATEMENT);
    return {
      inSqlite: inside !== 0,
      ...(cell > 0 && cell < CELLS && { address: read(this.#bytes, HEAD_BYTES + cell * CELL_STRIDE) }),
      ...(text > 0 && text < TEXTS && { sql: read(this.#bytes, TEXTS_AT + text * TEXT_STRIDE) }),
    };
  }
}

function write(bytes: Buffer, at: number, text: string, most: number): void {
  bytes.writeUInt32LE(bytes.write(text, at + 4, most), at);
}

function read(bytes: Buffer, at: number): string {
  return bytes.toString("utf8", at + 4, at + 4 + bytes.readUInt32LE(at));
}
