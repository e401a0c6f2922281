// The app under torture: books, cells that list what was written to them in a way that shows every fault.
//
// Rule: an entry is several rows and a step of the counter in one transaction, under a token that is used once. So a lost
// commit is a missing token, a doubled one stands twice, a torn one misses rows, and a reordered one breaks the numbers.
// There are books at each level, with small and large pages, and the verbs cover what the runtime promises: sync and
// async verbs, savepoints, throws, calls between cells, answers that rest on another cell's commit, values of many pages.

import { crc32 } from "node:zlib";
import { Cell, type CellClass } from "../cell/cell.ts";
import type { Get } from "../cell/stub.ts";
import type { Shown, ShownRow } from "../core/invariants.ts";
import type { Durability } from "../types.ts";

/** What a book answers about its newest entry, or about what it was told: a token that is then known to be committed. */
export interface Heard {
  readonly token: string | undefined;
  /** The entry of another cell that this one rests on. */
  readonly cause: string | undefined;
}

class Book extends Cell {
  static override readonly migrations = [
    `CREATE TABLE counter (id INTEGER PRIMARY KEY CHECK (id = 1), n INTEGER NOT NULL) STRICT;
     INSERT INTO counter VALUES (1, 0);
     CREATE TABLE entry (
       seq INTEGER NOT NULL, part INTEGER NOT NULL, token TEXT NOT NULL, cause TEXT, PRIMARY KEY (seq, part)
     ) STRICT, WITHOUT ROWID;
     CREATE INDEX entry_token ON entry (token)`,
    `CREATE TABLE pile (id INTEGER PRIMARY KEY, seq INTEGER NOT NULL, crc INTEGER NOT NULL, bytes BLOB NOT NULL) STRICT`,
  ];
  /** Heard from another cell and kept in memory only: telling it makes no commit. */
  #rumour: string | undefined;

  add(token: string, rows: number, cause: string | null = null): number {
    const seq = this.sql.one<{ n: number }>`UPDATE counter SET n = n + 1 RETURNING n`.n;
    for (let part = 1; part <= rows; part++) this.sql`INSERT INTO entry VALUES (${seq}, ${part}, ${token}, ${cause})`;
    return seq;
  }

  /** An entry of one row with a value of many pages, which replaces an older one and so leaves free pages behind. */
  heap(token: string, id: number, bytes: Uint8Array): number {
    const seq = this.add(token, 1);
    this.sql`INSERT OR REPLACE INTO pile VALUES (${id}, ${seq}, ${crc32(bytes)}, ${bytes})`;
    return seq;
  }

  /** Leaves no trace. */
  refuse(token: string, rows: number): never {
    this.add(token, rows);
    throw new RangeError("refused on purpose");
  }

  /** A savepoint that is taken back, then an entry. */
  nest(dropped: string, token: string, rows: number): number {
    try {
      this.transaction(() => this.refuse(dropped, rows));
    } catch {
      // The entry of the inner transaction is gone; the verb goes on.
    }
    return this.transaction(() => this.add(token, rows));
  }

  /** Two stretches: each commits by itself, in this order. */
  async late(first: string, second: string, rows: number): Promise<number[]> {
    const one = this.add(first, rows);
    await new Promise((resolve) => setTimeout(resolve, 1));
    return [one, this.add(second, rows)];
  }

  /** An entry here, then one in another book that rests on it. */
  async relay(token: string, rows: number, kind: string, name: string, effect: string): Promise<number[]> {
    const seq = this.add(token, rows);
    return [seq, await peer(this, kind, name).add(effect, rows, token)];
  }

  /** An entry here that another book is told of, without a commit there. */
  async whisper(token: string, rows: number, kind: string, name: string): Promise<number[]> {
    const seq = this.add(token, rows);
    await peer(this, kind, name).hear(token);
    return [seq];
  }

  /** Writes nothing here: the answer is another book's commit. */
  async borrow(token: string, rows: number, kind: string, name: string): Promise<number[]> {
    return [await peer(this, kind, name).add(token, rows)];
  }

  hear(token: string): void {
    this.#rumour = token;
  }

  rumour(): Heard {
    return { token: undefined, cause: this.#rumour };
  }

  newest(): Heard {
    const row = this.sql.first<{ token: string; cause: string | null }>`
      SELECT token, cause FROM entry ORDER BY seq DESC LIMIT 1`;
    return { token: row?.token, cause: row?.cause ?? undefined };
  }

  show(): Shown {
    const rows = this.sql.all<ShownRow>`SELECT seq, part, token FROM entry ORDER BY seq, part`;
    const counter = this.sql.one<{ n: number }>`SELECT n FROM counter`.n;
    return { cell: String(this.ctx.id), counter, rows, wrong: this.#wrong(rows, counter) };
  }

  #wrong(rows: readonly ShownRow[], counter: number): string[] {
    const wrong = this.sql.all<{ integrity_check: string }>`PRAGMA integrity_check`.map((row) => row.integrity_check);
    const sentences = wrong.filter((text) => text !== "ok").map((text) => `integrity_check: ${text}`);
    const indexed = this.sql.one<{ n: number }>`SELECT count(*) AS n FROM entry INDEXED BY entry_token WHERE token > ''`
      .n;
    if (indexed !== rows.length) sentences.push(`${rows.length} rows, ${indexed} in the index`);
    for (const pile of this.sql.all<{ id: number; seq: number; crc: number; bytes: Uint8Array }>`SELECT * FROM pile`) {
      if (crc32(pile.bytes) !== pile.crc)
        sentences.push(`value ${pile.id} has another checksum than it was written with`);
      if (pile.seq > counter) sentences.push(`value ${pile.id} is of entry ${pile.seq}, which is not there`);
    }
    return sentences;
  }
}

class DiskBook extends Book {
  static override readonly durability = "disk";
}
class MemoryBook extends Book {
  static override readonly durability = "memory";
}
class SafeBook extends Book {
  static override readonly durability = "bucket";
}
class WideBook extends Book {
  static override readonly pageSize = 4096;
}

/** The classes of books by kind. */
export const BOOK_CLASSES: Readonly<Record<string, CellClass<Book>>> = {
  disk: DiskBook,
  memory: MemoryBook,
  safe: SafeBook,
  wide: WideBook,
};

/** The level of each kind of book; the node's default is `disk`. */
export const BOOKS: Readonly<Record<string, Durability>> = {
  disk: "disk",
  memory: "memory",
  safe: "bucket",
  wide: "disk",
};

function peer(book: Book, kind: string, name: string) {
  return book.get(BOOK_CLASSES[kind] as CellClass<Book>, name);
}

/** One call of a book, as it travels to the front door. `bytes`: argument 2 is that many bytes, made on arrival. */
export interface BookCall {
  readonly kind: string;
  readonly name: string;
  readonly verb: string;
  readonly args: readonly unknown[];
  readonly bytes?: number;
  /** Raises the level of this call. */
  readonly durability?: Durability;
}

/** Makes a call and gives what the verb returns. */
export async function callBook(call: BookCall, get: Get): Promise<unknown> {
  const { kind, name, verb, args, bytes, durability } = call;
  const stub = get(BOOK_CLASSES[kind] as CellClass<Book>, name, {
    ...(durability && { durability }),
  }) as unknown as Record<string, (...args: unknown[]) => unknown>;
  const all = bytes === undefined ? args : [...args, pageful(String(args[0]), bytes)];
  return stub[verb]?.(...all);
}

/** Bytes that look different on every page. */
function pageful(seed: string, bytes: number): Uint8Array {
  const value = Buffer.alloc(bytes);
  let word = crc32(seed);
  for (let at = 0; at + 4 <= bytes; at += 4) {
    word = (Math.imul(word, 1_664_525) + 1_013_904_223) >>> 0;
    value.writeUInt32LE(word, at);
  }
  return value;
}
