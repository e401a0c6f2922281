// The host of cells: which cells are open on this node, and how a call finds its cell.
//
// Rule: at most one live cell per address; a cell is opened when it is first called and closed when room is needed and it
// is idle. A call costs the same however many cells there are.
// Calls from the front door run at once, on the caller's stack; calls from inside a cell run in a turn of their own, so a
// cell never runs in the middle of another's stretch.

import fs from "node:fs";
import path from "node:path";
import { parseAddress, rootAddress, slotOf } from "../address.ts";
import { activate } from "../cell/activate.ts";
import type { App, CellKind } from "../cell/app.ts";
import { cloneArguments } from "../cell/clone.ts";
import type { Committer } from "../cell/commit.ts";
import { type Caller, type Invocation, invocations } from "../cell/invocation.ts";
import type { CellHost, LiveCell } from "../cell/live.ts";
import { type CallPort, Stubs, unknownVerb } from "../cell/stub.ts";
import { Templates } from "../cell/template.ts";
import { FrondError, isFrondError } from "../errors.ts";
import { readChain } from "../log/chain.ts";
import type { CellEntry } from "../store/catalog.ts";
import { CellDatabase } from "../store/database.ts";
import { cellPath, slotFolder } from "../store/paths.ts";
import { cutWal, removeCell, writeCell, writeNew } from "../store/restore.ts";
import type { Address, Durability, RunNumber, Slot } from "../types.ts";
import type { Ledger } from "./ledger.ts";

/** What the host is made of. */
export interface HostOptions {
  readonly app: App;
  readonly directory: string;
  readonly committer: Committer;
  readonly ledger: Ledger;
  readonly durability: Durability;
  readonly run: RunNumber;
  readonly doubtfulThrough: RunNumber;
  /** Cells that stay open when they are idle. Count. */
  readonly maxOpen: number;
  /** Cells that are open at all, those in which verbs run included. Count. */
  readonly mostOpen: number;
  readonly pathOfLogFile: (file: number) => string | undefined;
  readonly warn: (fields: object, message: string) => void;
  readonly fatal: (error: unknown) => void;
}

/** See the head of the file. One per node. */
export class Host implements CellHost, CallPort {
  readonly committer: Committer;
  readonly stubs: Stubs;
  stopping = false;
  readonly #o: HostOptions;
  readonly #open = new Map<CellKind, Map<string, LiveCell>>();
  readonly #ring = new Set<LiveCell>();
  readonly #templates: Templates;
  /** Slots whose folder is there. */
  readonly #folders = new Set<Slot>();
  #hand: IterableIterator<LiveCell> | undefined;
  /** What the calls of a cell that cannot be opened yet wait for, in their order. */
  readonly #waits = new Map<Address, Promise<void>>();

  constructor(options: HostOptions) {
    this.#o = options;
    this.committer = options.committer;
    this.stubs = new Stubs(options.app, this);
    this.#templates = new Templates(path.join(options.directory, "tmp"));
    for (const kind of options.app.kinds.values()) this.#open.set(kind, new Map());
  }

  /** Cells that are open. Count. */
  get openCells(): number {
    return this.#ring.size;
  }

  isOpen(address: Address): boolean {
    const [pair] = parseAddress(address);
    const kind = pair && this.#o.app.kinds.get(pair.kind);
    return kind !== undefined && this.#open.get(kind)?.has(pair?.name ?? "") === true;
  }

  /** See {@link CallPort}. Rejects with UNKNOWN_VERB, STOPPING, and with what opening or the verb throws. */
  call(caller: Caller, kind: CellKind, name: string, verb: string, args: unknown[]): Promise<unknown> {
    let copies: unknown[];
    try {
      copies = verb === "fetch" ? args : cloneArguments(args, verb);
    } catch (error) {
      return Promise.reject(error);
    }
    // The code that is running calls, whoever the stub was made for: a stub in a field serves every verb of its cell.
    const invocation = invocations.getStore() ?? caller.invocation;
    if (invocation === undefined) return this.#enter(caller, kind, name, verb, copies);
    if (invocation.failed !== undefined) return Promise.reject(invocation.failed);
    // A cell must not run in the middle of another's stretch.
    if (!invocation.cell.holdsCalls(invocation)) {
      return Promise.resolve().then(() => this.#enter(invocation, kind, name, verb, copies));
    }
    return this.#hold(invocation, kind, name, verb, copies);
  }

  /** Runs `work` as a verb of a cell that exists. For tools. Throws UNKNOWN_KIND, CELL_MISSING. */
  async withCell<T>(address: string, work: (cell: LiveCell) => T): Promise<T> {
    const pairs = parseAddress(address);
    const pair = pairs[0];
    const kind = pair && this.#o.app.kinds.get(pair.kind);
    if (pair === undefined || pairs.length > 1 || kind === undefined) {
      const known = [...this.#o.app.kinds.keys()].join(", ");
      throw new FrondError(
        "UNKNOWN_KIND",
        `${address} is not a KIND/NAME address of this app, whose kinds are: ${known}`,
      );
    }
    for (;;) {
      const cell = this.#find(kind, pair.name);
      if (cell instanceof Promise) {
        await cell;
        continue;
      }
      if (!cell.exists) throw new FrondError("CELL_MISSING", `there is no cell ${address}`);
      // Bare results: rows are for the tool alone, and reach it as they are.
      return (await cell.invoke("fetch", () => work(cell), [])) as T;
    }
  }

  discard(cell: LiveCell): void {
    if (isFrondError(cell.broken?.cause, "CELL_DAMAGED")) {
      this.#o.warn(
        { address: cell.address, err: cell.broken },
        "a cell's file was damaged; it is made anew from the log",
      );
    }
    this.#forget(cell);
    cell.db.discard();
    this.#waitForLog(cell.address);
  }

  admit(): void {
    if (this.stopping) throw stopping();
    this.committer.log.admit();
  }

  fatal(error: unknown): void {
    this.#o.fatal(error);
  }

  /** Waits until no verb runs, at most `graceMs`; after that nothing is opened or written. */
  async settle(graceMs: number): Promise<void> {
    // Not the time of day, which may be set meanwhile.
    const deadline = performance.now() + graceMs;
    const busy = (): boolean => [...this.#ring].some((cell) => cell.running > 0 || cell.gate !== undefined);
    while (busy() && performance.now() < deadline) {
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    this.stopping = true;
    for (const cell of this.#ring) cell.commitOpenStretch();
  }

  /** Closes every cell. The log must hold everything. */
  closeAll(): void {
    for (const cell of this.#ring) this.#close(cell);
  }

  /** Keeps a call until the transaction it was made in is committed. */
  #hold(invocation: Invocation, kind: CellKind, name: string, verb: string, args: unknown[]): Promise<unknown> {
    const { promise, resolve, reject } = Promise.withResolvers<unknown>();
    invocation.held ??= [];
    invocation.held.push({
      leave: () => queueMicrotask(() => resolve(this.#enter(invocation, kind, name, verb, args))),
      drop: () => {
        // Nobody has to await it: what made the roll-back is told by the verb.
        promise.catch(() => {});
        const why = "the transaction it was made in was rolled back";
        reject(new FrondError("TX_ABORTED", `the call of ${verb} on ${kind.kind}/${name} was dropped: ${why}`));
      },
    });
    return promise;
  }

  #enter(caller: Caller, kind: CellKind, name: string, verb: string, args: unknown[]): Promise<unknown> {
    try {
      const cell = this.#find(kind, name);
      if (!(cell instanceof Promise)) return this.#run(caller, cell, verb, args);
      return cell.then(() => this.#enter(caller, kind, name, verb, args));
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /** The open cell, opening it if need be, or what to wait for before asking again. */
  #find(kind: CellKind, name: string): LiveCell | Promise<void> {
    const cell = this.#open.get(kind)?.get(name);
    if (cell !== undefined) return cell.busy ?? cell;
    if (this.stopping) throw stopping();
    const address = rootAddress(kind.kind, name);
    const wait = this.#waits.get(address) ?? (this.#hasRoom() ? undefined : this.#waitForLog(address));
    if (wait !== undefined) return wait;
    if (this.#ring.size >= this.#o.mostOpen) {
      const what = `verbs run in ${this.#ring.size} cells, as many as this process has descriptors for`;
      throw new FrondError("OVERLOADED", `${address} cannot be opened: ${what}; try again later`);
    }
    return this.#activate(kind, name, address);
  }

  /** Calls of this cell wait until everything logged so far is durable. */
  #waitForLog(address: Address): Promise<void> {
    const flushed = this.committer.log.flushed();
    this.#waits.set(address, flushed);
    // The first to be told, so that calls which came later do not overtake those that wait.
    void flushed.then(() => this.#waits.delete(address));
    return flushed;
  }

  #run(caller: Caller, cell: LiveCell, name: string, args: unknown[]): Promise<unknown> {
    const verb = name === "fetch" ? fetchOf(cell) : cell.kind.verbs.get(name);
    if (verb === undefined) return Promise.reject(unknownVerb(cell.kind, name));
    // What the caller has seen, whoever hears from this cell has seen too.
    if (caller.lsn > cell.lsn) cell.lsn = caller.lsn;
    let result: unknown;
    try {
      result = cell.invoke(name, verb, args);
    } catch (error) {
      heard(caller, cell);
      return Promise.reject(error);
    }
    if (!(result instanceof Promise)) {
      heard(caller, cell);
      return Promise.resolve(result);
    }
    return result.then(
      (value: unknown) => {
        heard(caller, cell);
        return value;
      },
      (error: unknown) => {
        heard(caller, cell);
        throw error;
      },
    );
  }

  #activate(kind: CellKind, name: string, address: Address): LiveCell {
    const slot = slotOf(address);
    const entry = this.#o.ledger.find(address);
    const file = this.#fileOf(slot, address);
    const fresh = entry === undefined || entry.deleted;
    const template = fresh ? this.#templates.of(kind) : undefined;
    const db = fresh ? this.#newFile(kind, file, template) : this.#openFile(address, entry, file);
    const durability = kind.durability ?? this.#o.durability;
    const cell = activate(this, { kind, name, address, slot, durability, db, entry, template, raw: kind.raw });
    this.#open.get(kind)?.set(name, cell);
    this.#ring.add(cell);
    return cell;
  }

  #fileOf(slot: Slot, address: Address): string {
    const cells = path.join(this.#o.directory, "cells");
    if (!this.#folders.has(slot)) {
      fs.mkdirSync(slotFolder(cells, slot), { recursive: true, mode: 0o700 });
      this.#folders.add(slot);
    }
    return cellPath(cells, slot, address);
  }

  #newFile(kind: CellKind, file: string, template: Uint8Array | undefined): CellDatabase {
    // Left by a process that ended before the first record: it never happened. A WAL alone would be replayed into the new file.
    if (fs.existsSync(file) || fs.existsSync(`${file}-wal`)) removeCell(file);
    if (template !== undefined) writeNew(file, template);
    return CellDatabase.open(file, kind.pageSize);
  }

  #openFile(address: Address, entry: CellEntry, file: string): CellDatabase {
    if (this.#usable(entry, file)) {
      try {
        return openAsLogged(entry, file);
      } catch (error) {
        if (!isFrondError(error, "CELL_DAMAGED") && !isFrondError(error, "WAL_DAMAGED")) throw error;
        this.#o.warn({ address, file, err: error }, "a cell's file was damaged; it is made anew from the log");
      }
    }
    this.#rebuild(entry, file);
    return CellDatabase.open(file, entry.pageSize);
  }

  /** The file can be used as a cache of the log, after its WAL was cut back to it. */
  #usable(entry: CellEntry, file: string): boolean {
    if (entry.fileRun <= this.#o.doubtfulThrough || !fs.existsSync(file)) return false;
    return cutWal(file, entry) !== "short";
  }

  #rebuild(entry: CellEntry, file: string): void {
    const content = readChain(this.#o.pathOfLogFile, entry.address, entry.place);
    writeCell(file, content.pageSize, content.pageCount, (number) => content.pages.get(number));
    entry.fileRun = this.#o.run;
    this.#o.ledger.touch(entry);
  }

  /**
   * Closes idle cells that were not called lately, by the clock algorithm, a few steps at a time. False when cells would be
   * idle if only the log were written; cells in which verbs run are not waited for (they may wait for this very call).
   */
  #hasRoom(): boolean {
    let resting = 0;
    // Before a call is refused, every cell is looked at, and once more for those that were called lately.
    const most = this.#ring.size < this.#o.mostOpen ? 64 : this.#ring.size * 2 + 1;
    for (let steps = 0; steps < most && this.#ring.size >= this.#o.maxOpen; steps++) {
      this.#hand ??= this.#ring.values();
      const next = this.#hand.next();
      if (next.done === true) {
        this.#hand = undefined;
        continue;
      }
      const cell = next.value;
      if (cell.used) cell.used = false;
      else if (cell.idle) this.#close(cell);
      else if (cell.running === 0) resting += 1;
    }
    return resting === 0 || this.#ring.size < this.#o.maxOpen;
  }

  #close(cell: LiveCell): void {
    this.#forget(cell);
    // Only at the end of the node, for verbs that outlasted its grace.
    if (cell.running > 0) cell.broken = stopping();
    if (cell.exists) cell.db.close();
    else cell.db.discard();
  }

  #forget(cell: LiveCell): void {
    this.#ring.delete(cell);
    const cells = this.#open.get(cell.kind);
    if (cells?.get(cell.name) === cell) cells.delete(cell.name);
  }
}

/** Opens a file that should be what the log says. SQLite takes an empty or a shortened one for a smaller database. */
function openAsLogged(entry: CellEntry, file: string): CellDatabase {
  const db = CellDatabase.open(file, entry.pageSize);
  const pages = db.pageCount;
  if (pages === entry.pageCount && db.pageSize === entry.pageSize) return db;
  db.discard();
  throw new FrondError("CELL_DAMAGED", `${file} has ${pages} pages, its last record says ${entry.pageCount}`);
}

/** The caller hears what the cell knows: merged for an answer and for an error alike. */
function heard(caller: Caller, cell: LiveCell): void {
  if (cell.lsn > caller.lsn) caller.lsn = cell.lsn;
}

function stopping(): FrondError {
  return new FrondError("STOPPING", "the node is stopping; try again on its successor");
}

function fetchOf(cell: LiveCell): ((...args: unknown[]) => unknown) | undefined {
  return cell.instance.fetch as ((...args: unknown[]) => unknown) | undefined;
}
