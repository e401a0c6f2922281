// `this.files`: bytes that are too many for a database: attachments, pictures, uploads.
//
// Rule: a file is an object in the bucket, named by the SHA-256 of its bytes. `put` resolves when the bucket has it, and only
// then is the reference written: a row of the cell that names it cannot be committed before it is there. A cell reads the
// files that it has put itself, and no others, whoever knows their names.
// References are counted, one for each `put`: two rows that name the same bytes were two puts and take two deletes, so
// neither takes the file from the other. What no cell references is collected after the retention (server/files/fileSide.ts).
// What a verb has put and then lost, by a roll-back or a crash, is such a file; a reference that was committed before the
// crash, and the row that was to name it was not, stays: `list` shows it.
// Rejected: a reference that is written with the row that names it and not by `put` (who forgets it loses the file, days
// later and in silence); one object for each put (the same letter in a thousand mailboxes would be stored a thousand times).

import { FrondError } from "../errors.ts";
import { MAX_FILE_LABEL } from "../limits.ts";
import { addReference, FILE_TABLE, fileRow, type FileRow, fileRows, removeReference } from "../store/fileRows.ts";
import { FileBody, type FileRange } from "./fileBody.ts";
import { type FileSource, type Piece, piecesOf } from "./filePieces.ts";
import { fileResponse, notFound } from "./fileResponse.ts";
import { endsAfter } from "./invocation.ts";
import type { LiveCell } from "./live.ts";
import { read, write } from "./statements.ts";
import { obstacle } from "./storage.ts";

/** A file in the bucket. */
export interface StoredFile {
  /** SHA-256 of the bytes, in lower-case hex. */
  readonly hash: string;
  /** Bytes. */
  readonly size: number;
}

/** A file that a cell has. */
export interface FileInfo extends StoredFile {
  /** How often it was put or kept, and not deleted. Count. */
  readonly references: number;
  readonly type?: string;
  readonly name?: string;
  /** When it was first put, in ms since 1970. */
  readonly created: number;
}

/** What is kept with a file; of several puts of the same bytes the last one that states it. */
export interface FileOptions {
  /** MIME type, for `response`. */
  readonly type?: string;
  readonly name?: string;
}

/** Where the files of a node's cells lie. Implemented by the node. */
export interface FileStore {
  /** Stores the pieces as one file. Resolves when it is in the bucket; rejects with what the pieces or the bucket throw. */
  put(pieces: AsyncIterable<Piece>): Promise<StoredFile>;
  /** Reads a part; undefined when there is no such file. Fewer bytes than asked for: it is shorter. */
  read(hash: string, from: number, bytes: number): Promise<Uint8Array | undefined>;
}

/** See the head of the file. One per cell that uses it. */
export class CellFiles {
  readonly #cell: LiveCell;

  constructor(cell: LiveCell) {
    this.#cell = cell;
  }

  /**
   * Stores a file and adds a reference to it, as a write of the verb that asks. Streams are read as fast as they are stored.
   * Rejects with FILE_TOO_LARGE, BAD_VALUE for what is no source, BAD_OPTION, BUCKET_FAILED (retryable) and BUCKET_DENIED,
   * DISK_FULL, OVERLOADED, what the source throws, and TX_ABORTED when the transaction that it was asked for in is rolled
   * back. What was not stored is not referenced.
   */
  put(source: FileSource, options: FileOptions = {}): Promise<StoredFile> {
    const cell = this.#cell;
    const wish: Wish = { dropped: undefined };
    try {
      const asking = cell.known();
      checkOptions(options);
      cell.host.admit();
      const done = this.#put(source, options, wish);
      const settled = done.then(
        () => {},
        () => {},
      );
      // Nobody has to await it, but the verb does not end before it.
      cell.extend(asking, endsAfter(asking, settled));
      cell.whenCommitted(
        () => {},
        () => {
          const what = `a file of ${cell.address} was not put`;
          wish.dropped = new FrondError("TX_ABORTED", `${what}: the transaction it was asked for in was rolled back`);
          told.catch(() => {});
        },
      );
      // Another promise: a failure that the code does not handle is told.
      const told = done.then((stored) => stored);
      return told;
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /** One reference more to a file that the cell has, for a further row that names it. Throws FILE_MISSING. */
  keep(hash: string): void {
    const row = this.#row("files.keep", hash);
    if (row === undefined) {
      const what = `${this.#cell.address} has no file ${hash}: files.put stores one`;
      throw new FrondError("FILE_MISSING", what);
    }
    const { host, db } = this.#cell;
    write(this.#cell, "files.keep", () => addReference(db, { ...row, type: null, name: null }, host.clock.now()));
  }

  /** Takes one reference away; false if there was none. The cell has the file until it was deleted as often as it was put. */
  delete(hash: string): boolean {
    if (this.#row("files.delete", hash) === undefined) return false;
    const { host, db } = this.#cell;
    write(this.#cell, "files.delete", () => removeReference(db, hash, host.clock.now()));
    return true;
  }

  /** The cell has this file. */
  has(hash: string): boolean {
    return this.#row("files.has", hash) !== undefined;
  }

  /** The files of the cell, in order of their hashes. */
  list(): FileInfo[] {
    return read(this.#cell, "files.list", () => fileRows(this.#cell.db)).map(infoOf);
  }

  /**
   * A file of this cell, or a part of it; undefined if the cell has none of that name. Rejects with BUCKET_FAILED (retryable),
   * FILE_MISSING when the bucket has lost it, OBJECT_DAMAGED, and BAD_OPTION for what is no range.
   */
  async get(hash: string, range: FileRange = {}): Promise<FileBody | undefined> {
    const cell = this.#cell;
    const asking = cell.known();
    checkRange(range);
    const row = this.#row("files.get", hash);
    if (row === undefined) return undefined;
    try {
      return await FileBody.open(cell, row, range, (...part) => cell.host.files.read(...part));
    } finally {
      await cell.closedTo(asking);
    }
  }

  /**
   * Answers a request with a file: its type, its length, a part of it where `Range` asks for one (206, 416), 304 where
   * `If-None-Match` names it, 404 where the cell does not have it. `headers` are added, and replace those of the file.
   */
  async response(
    hash: string,
    request?: Request,
    headers?: ConstructorParameters<typeof Headers>[0],
  ): Promise<Response> {
    const row = this.#row("files.response", hash);
    if (row === undefined) return notFound();
    return fileResponse(row, request, new Headers(headers), (range) => this.get(hash, range));
  }

  async #put(source: FileSource, options: FileOptions, wish: Wish): Promise<StoredFile> {
    const cell = this.#cell;
    const alive = (): void => {
      if (wish.dropped !== undefined) throw wish.dropped;
      cell.known();
    };
    const asking = cell.known();
    const stored = await cell.host.files.put(piecesOf(source, alive)).finally(() => cell.closedTo(asking));
    for (let wait = obstacle(cell, true); wait !== undefined; wait = obstacle(cell, true)) await wait;
    alive();
    const { type = null, name = null } = options;
    write(cell, "files.put", () => {
      cell.db.exec(FILE_TABLE);
      addReference(cell.db, { ...stored, type, name }, cell.host.clock.now());
    });
    return stored;
  }

  #row(what: string, hash: string): FileRow | undefined {
    if (typeof hash !== "string" || !/^[0-9a-f]{64}$/.test(hash)) {
      const shown = typeof hash === "string" ? JSON.stringify(hash.slice(0, 80)) : typeof hash;
      throw new FrondError("BAD_VALUE", `${what}: a file is named by its hash, 64 hex digits, and not by ${shown}`);
    }
    return read(this.#cell, what, () => fileRow(this.#cell.db, hash));
  }
}

/** That a file be put. Dropped with the transaction that it was asked for in. */
interface Wish {
  dropped: FrondError | undefined;
}

function infoOf({ hash, size, refs, type, name, created }: FileRow): FileInfo {
  return { hash, size, references: refs, created, ...(type !== null && { type }), ...(name !== null && { name }) };
}

function checkOptions(options: FileOptions): void {
  for (const [option, value] of Object.entries(options)) {
    const known = option === "type" || option === "name";
    const fits = typeof value === "string" && value.length <= MAX_FILE_LABEL && value.isWellFormed() && isLine(value);
    if (known && (value === undefined || fits)) continue;
    const what = `type and name, each a line of at most ${MAX_FILE_LABEL} characters`;
    throw new FrondError("BAD_OPTION", `the options of files.put are ${what}, not ${option}: ${JSON.stringify(value)}`);
  }
}

function isLine(text: string): boolean {
  return !/\p{Cc}/u.test(text);
}

function checkRange(range: FileRange): void {
  const { from = 0, to = Infinity } = range;
  const fits = Number.isSafeInteger(from) && from >= 0 && (to === Infinity || Number.isSafeInteger(to)) && to >= from;
  if (fits) return;
  throw new FrondError("BAD_OPTION", `files.get reads from a byte to a later one, not ${from} to ${to}`);
}
