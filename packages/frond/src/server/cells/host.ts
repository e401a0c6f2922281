// The host of cells: which cells are open on this node.
//
// Rule: at most one live cell per address; a cell is opened when it is first called and closed when room is needed and it
// is idle. A call costs the same however many cells there are. How a call finds its way, and its answer the way back, stands
// in calls.ts.

import path from "node:path";
import { parseAddress, rootAddress, slotOf } from "../../address.ts";
import { activate } from "../../cell/activate.ts";
import type { App, CellKind, Verb } from "../../cell/app.ts";
import { Cell } from "../../cell/cell.ts";
import type { Committer } from "../../cell/commit.ts";
import type { FileStore } from "../../cell/files.ts";
import { type Invocation, invocations } from "../../cell/invocation.ts";
import type { CellHost, LiveCell } from "../../cell/live.ts";
import type { SocketRegistry } from "../../cell/sockets.ts";
import { Stubs } from "../../cell/stub.ts";
import { Templates } from "../../cell/template.ts";
import { raise } from "../../cell/watermarks.ts";
import type { Clock } from "../../clock.ts";
import { FrondError, isFrondError } from "../../errors.ts";
import type { CellEntry } from "../../store/catalog.ts";
import type { CellDatabase } from "../../store/database.ts";
import type { Marker } from "../../store/marker.ts";
import type { Address, Durability, Lsn, RunNumber, Slot } from "../../types.ts";
import { Aside, type AsideHost } from "../contents/aside.ts";
import { Calls, type CallsHost } from "./calls.ts";
import { CellFiles, type FilesOptions } from "./cellFiles.ts";
import type { Ledger } from "./ledger.ts";
import type { CellLoad } from "../operator/nodeControl.ts";
import { OpenCells, type OpenLimits } from "./openCells.ts";
import { type CellEvent, soon } from "./queues.ts";
import { type Gate, Session } from "../door/session.ts";
import type { Strikes } from "./strikes.ts";
import { Unconfirmed } from "./unconfirmed.ts";
import { Waits } from "./waits.ts";

/** What the host is made of. */
export interface HostOptions extends OpenLimits {
  readonly app: App;
  readonly directory: string;
  readonly committer: Committer;
  readonly ledger: Ledger;
  readonly durability: Durability;
  readonly run: RunNumber;
  readonly doubtfulThrough: RunNumber;
  readonly clock: Clock;
  readonly gate: Gate;
  readonly sockets: SocketRegistry;
  readonly files: FileStore;
  readonly dev: boolean;
  readonly marker: Marker;
  readonly strikes: Strikes;
  readonly pathOfLogFile: (file: number) => string | undefined;
  /** Without it the node has no bucket: it owns every slot, and cells are made anew from the log of this disk alone. */
  readonly slots: SlotDoor | undefined;
  readonly putContent: AsideHost["putContent"];
  readonly warn: (fields: object, message: string) => void;
  readonly fatal: (error: unknown) => void;
}

/** Which slots the node serves, and where the cells in them come from. */
export interface SlotDoor {
  isOpen(slot: Slot): boolean;
  /** Throws OVERLOADED while no further write may begin. */
  admit(): void;
  /** Resolves when the slot is served. Rejects with what keeps it from that. */
  open(slot: Slot): Promise<void>;
  /** Makes the file of a cell anew from the bucket. Rejects with what keeps it from that. */
  fetch(entry: CellEntry, file: string): Promise<void>;
}

/** How a cell gets another content. */
export interface Replacement {
  /** What takes its time and is done first, while nobody can open the cell. */
  readonly stage?: () => Promise<void>;
  /** Logs the content. Throws what keeps it from that. */
  readonly write: () => void;
}

/** What the close of a socket says whose cell goes on with another content: clients connect again. */
const SERVICE_RESTART = 1012;
/** Why a cell cannot be opened that can be replaced all the same. */
const UNREADABLE = ["CELL_DAMAGED", "OBJECT_DAMAGED", "RECORD_DAMAGED", "LOG_DAMAGED", "WAL_DAMAGED"] as const;

/** See the head of the file. One per node. */
export class Host implements CellHost, CallsHost {
  readonly committer: Committer;
  readonly stubs: Stubs;
  readonly sockets: SocketRegistry;
  readonly files: FileStore;
  readonly clock: Clock;
  readonly dev: boolean;
  readonly marker: Marker;
  readonly calls: Calls;
  critical = false;
  running: Invocation | undefined;
  /** The event for which a cell is being opened. */
  opening: CellEvent | undefined;
  /** Why nothing is opened or written any more; undefined: it is. */
  #refusal: (() => FrondError) | undefined;
  readonly #o: HostOptions;
  readonly #open: OpenCells;
  readonly #templates: Templates;
  readonly #cellFiles: CellFiles;
  readonly #aside: Aside;
  readonly #waits: Waits;
  readonly #unconfirmed: Unconfirmed;

  constructor(options: HostOptions) {
    this.#o = options;
    this.committer = options.committer;
    this.clock = options.clock;
    this.sockets = options.sockets;
    this.files = options.files;
    this.dev = options.dev;
    this.marker = options.marker;
    this.#waits = new Waits(options.committer.log);
    this.#unconfirmed = new Unconfirmed(options.committer.log);
    this.calls = new Calls(this);
    this.stubs = new Stubs(options.app, this.calls);
    this.#templates = new Templates(path.join(options.directory, "tmp"));
    const { directory, run, doubtfulThrough, pathOfLogFile, warn, ledger } = options;
    const rebuilt: Ledger["touch"] = (entry) => ledger.touch(entry);
    const fetch: FilesOptions["fetch"] =
      options.slots && ((entry, file) => (options.slots as SlotDoor).fetch(entry, file));
    this.#cellFiles = new CellFiles({ directory, run, doubtfulThrough, pathOfLogFile, warn, rebuilt, fetch });
    this.#open = new OpenCells(options.app, options, (cell) => this.#close(cell));
    this.#aside = new Aside({
      ...options,
      files: this.#cellFiles,
      waits: this.#waits,
      isResting: () => this.#refusal !== undefined,
      openCell: (address) => this.openCell(address),
      leave: (cell) => this.#leave(cell),
      closeFile: (cell) => this.#closeFile(cell),
      serve: (slot) => this.#serve(slot),
      admit: () => this.admit(),
      swap: (...how) => this.#swap(...how),
    });
  }

  /** Cells that are open. Count. */
  get openCells(): number {
    return this.#open.size;
  }

  /** What the open cells have taken, the busiest first. */
  loads(): CellLoad[] {
    const loads = [...this.#open].map(({ address, calls, busyMs, running }) => {
      return { address, calls, busyMs, running, waiting: this.calls.queues.length(address) };
    });
    return loads.sort((a, b) => b.busyMs - a.busyMs);
  }

  openOf(kind: CellKind, name: string): LiveCell | undefined {
    return this.#open.get(kind, name);
  }

  /** The live cell of an address, if it is open. */
  openCell(address: Address): LiveCell | undefined {
    return this.#open.at(address);
  }

  /**
   * Runs `run` in a cell as an event of its own, named `what`: behind those that came before, when the gate is open. The cell
   * is opened if need be. Rejects with what it throws.
   */
  event(kind: CellKind, name: string, what: string, run: (cell: LiveCell) => unknown): Promise<unknown> {
    return this.calls.enter(eventOf(kind, name, what, run));
  }

  /** The same in a turn of its own: whoever brings the event does not end with it, should the watchdog have to end it. */
  laterEvent(kind: CellKind, name: string, what: string, run: (cell: LiveCell) => unknown): Promise<unknown> {
    const event = eventOf(kind, name, what, run);
    return new Promise((resolve, reject) => {
      event.fail = reject;
      soon(() => resolve(this.calls.enter(event)));
    });
  }

  /**
   * Runs `work` as a verb of a cell that exists. For tools. `bare`: no code of its class runs to open it, which may not work or
   * not end; an instance that was opened so is given up at once. Throws UNKNOWN_KIND, CELL_MISSING.
   */
  async withCell<T>(address: string, work: (cell: LiveCell) => T, bare = false): Promise<T> {
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
    const opens = bare ? withoutCode(kind) : kind;
    return (await this.event(opens, pair.name, "a tool", (cell) => {
      try {
        if (!cell.exists) throw new FrondError("CELL_MISSING", `there is no cell ${address}`);
        return work(cell);
      } finally {
        if (cell.kind === opens && bare) cell.reset(new FrondError("ABORTED", `${address} was open for a tool`));
      }
    })) as T;
  }

  /**
   * Gives a cell another content, whether it exists or not. `prepare` looks at the present one, if it can be opened. Rejects with what
   * `prepare` throws, the cell is then untouched, and with what the log does not take.
   *
   * The instance is given up, and the file goes before the record is written. Without a file the log alone says what a cell holds, so
   * a crash at any point leaves the old content or the new one; and the log is waited for before the file is made anew from it.
   */
  async replace(kind: CellKind, name: string, prepare: (present: LiveCell | undefined) => Replacement): Promise<void> {
    const address = rootAddress(kind.kind, name);
    let opened = false;
    let done: Promise<void> | undefined;
    try {
      await this.event(withoutCode(kind), name, "a tool", (cell) => {
        opened = true;
        const replacement = prepare(cell.exists ? cell : undefined);
        this.admit();
        this.sockets.of(cell).dismiss(SERVICE_RESTART, "this cell was replaced", cell.lastLsn, cell.bucketLsn);
        cell.reset(new FrondError("ABORTED", `${address} was given another content by its operator`), true);
        done = this.#carryOut(kind, address, replacement);
      });
    } catch (error) {
      if (opened || !UNREADABLE.some((code) => isFrondError(error, code))) throw error;
      await this.#unwatched(address);
      // The run may be another one by now.
      for (const slot = slotOf(address); this.#o.slots?.isOpen(slot) === false; await this.#unwatched(address))
        await this.#serve(slot);
      this.admit();
      done = this.#carryOut(kind, address, prepare(undefined));
    }
    await done;
  }

  /** The cell is not open, and stays closed until this is done. */
  #carryOut(kind: CellKind, address: Address, { stage, write }: Replacement): Promise<void> | undefined {
    const swap = (): void => {
      try {
        this.#swap(kind, address, write);
      } finally {
        void this.#waits.forLog(address);
      }
    };
    if (stage === undefined) {
      swap();
      return undefined;
    }
    const staged = async (): Promise<void> => {
      await stage();
      await this.#serve(slotOf(address));
      this.admit();
      swap();
    };
    const work = staged();
    this.#waits.forWork(
      address,
      work.catch(() => {}),
    );
    return work;
  }

  /** The slot is served, by whichever run. */
  async #serve(slot: Slot): Promise<void> {
    while (this.#o.slots?.isOpen(slot) === false) await this.#o.slots.open(slot);
  }

  /** The cell is not open, nobody waits for its file, and none is being made. */
  async #unwatched(address: Address): Promise<void> {
    for (;;) {
      const wait = this.#waits.of(address) ?? this.#cellFiles.coming(address);
      // Whatever it ends with.
      if (wait !== undefined) await Promise.allSettled([wait]);
      else if (!(await this.deactivate(address))) return;
    }
  }

  #swap(kind: CellKind, address: Address, write: () => void, to?: string): void {
    const { log } = this.committer;
    this.critical = true;
    try {
      this.#cellFiles.remove(slotOf(address), address, to);
      write();
    } finally {
      this.critical = false;
      const lastLsn = log.appended;
      const isBucket = (kind.durability ?? this.#o.durability) === "bucket";
      const bucketLsn = isBucket ? lastLsn : (this.#unconfirmed.of(address)?.bucketLsn ?? (0 as Lsn));
      if (bucketLsn > this.committer.bucketLsn) this.committer.bucketLsn = bucketLsn;
      this.#unconfirmed.keep({ address, bucketLsn, lastLsn });
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
    void this.#waits.forLog(cell.address);
  }

  retire(cell: LiveCell): void {
    this.#forget(cell);
    void this.#waits.forLog(cell.address, () => this.#closeFile(cell));
  }

  /** What waited in one turn of the event loop may have been lost: whatever goes on by such steps is set going again. */
  shaken(): void {
    this.#waits.shaken();
    for (const cell of this.#open) cell.gate.shaken();
    this.calls.queues.resume();
  }

  admit(): void {
    if (this.#refusal !== undefined) throw this.#refusal();
    this.#o.slots?.admit();
    this.committer.log.admit();
  }

  whenTold(lsn: Lsn, bucketLsn: Lsn, done: () => void): void {
    this.#o.gate(lsn, bucketLsn, done);
  }

  /** Resolves when everything that was written so far may be told, whoever has heard of it. */
  allTold(): Promise<void> {
    const { log, bucketLsn } = this.committer;
    return new Promise((resolve) => this.whenTold(log.appended, bucketLsn, resolve));
  }

  warn(fields: object, message: string): void {
    this.#o.warn(fields, message);
  }

  fatal(error: unknown): void {
    this.#o.fatal(error);
  }

  /** Waits until no verb runs, at most `graceMs`; after that nothing is opened or written, for the reason that `why` gives. */
  async settle(graceMs: number, why: () => FrondError = stopping): Promise<void> {
    // Not the time of day, which may be set meanwhile.
    const deadline = performance.now() + graceMs;
    const busy = (): boolean =>
      [...this.#open].some((cell) => cell.running > 0 || cell.queued || cell.gate.obstacle !== undefined);
    while (busy() && performance.now() < deadline) {
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    this.#refusal = why;
    for (const cell of this.#open) {
      cell.tx.commitOpenStretch();
      // A transaction over awaits, which would commit into a log that is being closed.
      if (cell.tx.owner !== undefined) cell.reset(why());
    }
  }

  /** Goes on after it was settled. */
  resume(): void {
    this.#refusal = undefined;
  }

  /** Large cells are worked on no further: they are as they were. */
  endWork(): void {
    this.#aside.stop();
  }

  vacuumSoon(cell: LiveCell): void {
    this.#aside.vacuumSoon(cell);
  }

  /** Closes a cell as soon as it is idle. False when it is not open. For tools and tests. */
  async deactivate(address: Address): Promise<boolean> {
    for (;;) {
      const cell = this.openCell(address);
      if (cell === undefined) return false;
      if (cell.idle) {
        this.#close(cell);
        return true;
      }
      await this.committer.log.flushed();
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
  }

  /** Closes every cell. The log must hold everything. */
  closeAll(): void {
    for (const cell of this.#open) this.#close(cell);
  }

  /** The open cell, opening it if need be, or what to wait for before asking again. */
  ready(event: CellEvent, address?: Address): LiveCell | Promise<void> {
    const { kind, name } = event;
    const cell = this.#open.get(kind, name);
    if (cell?.settle()) return cell.busy ?? cell;
    if (this.#refusal !== undefined) throw this.#refusal();
    const where = address ?? rootAddress(kind.kind, name);
    if (!kind.raw) this.#o.strikes.check(where);
    const slot = slotOf(where);
    if (this.#o.slots?.isOpen(slot) === false) return this.#o.slots.open(slot);
    const wait = this.#waits.of(where) ?? (this.#open.makeRoom() ? undefined : this.#waits.forLog(where));
    if (wait !== undefined) return wait;
    if (this.#open.full) {
      const what = `verbs run in ${this.#open.size} cells, as many as this process has descriptors for`;
      throw new FrondError("OVERLOADED", `${where} cannot be opened: ${what}; try again later`);
    }
    this.opening = event;
    // An instance that does not come about has looked into its file all the same.
    raise(event.caller, "bucket", this.#unconfirmed.of(where)?.bucketLsn ?? (0 as Lsn));
    try {
      const opened = this.#activate(kind, name, where, slot, event.caller.invocation);
      return opened instanceof Promise ? opened : (opened.busy ?? opened);
    } finally {
      this.opening = undefined;
    }
  }

  #activate(
    kind: CellKind,
    name: string,
    address: Address,
    slot: Slot,
    parent: Invocation | undefined,
  ): LiveCell | Promise<void> {
    const entry = this.#o.ledger.find(address);
    const fresh = entry === undefined || entry.deleted;
    const template = fresh ? this.#templates.of(kind) : undefined;
    const db: CellDatabase | Promise<void> = fresh
      ? this.#cellFiles.create(kind, slot, address, template)
      : this.#cellFiles.open(entry);
    if (db instanceof Promise) return db;
    const migrated = fresh || kind.raw ? undefined : this.#aside.migrate(kind, entry, db);
    if (migrated !== undefined) return migrated;
    const durability = kind.durability ?? this.#o.durability;
    const unconfirmed = this.#unconfirmed.of(address);
    const given = { kind, name, address, slot, durability, db, entry, unconfirmed, template, raw: kind.raw };
    const cell = activate(this, given, parent);
    cell.queued = this.calls.queues.has(address);
    this.#open.add(cell);
    return cell;
  }

  #close(cell: LiveCell): void {
    this.#leave(cell);
    this.#closeFile(cell);
  }

  #leave(cell: LiveCell): void {
    this.#forget(cell);
    // For verbs that outlasted the grace of a stop; of a cell that is closed for room none runs, and nothing closes it again.
    cell.closed = cell.broken === undefined;
    cell.broken ??= (this.#refusal ?? stopping)();
  }

  #closeFile(cell: LiveCell): void {
    if (cell.tx.owner !== undefined) cell.tx.rollback(cell.tx.owner);
    if (cell.exists) cell.db.close();
    else cell.db.discard();
  }

  #forget(cell: LiveCell): void {
    this.#unconfirmed.keep(cell);
    this.#open.remove(cell);
    this.marker.release(cell.mark);
    cell.mark = 0;
  }
}

function eventOf(kind: CellKind, name: string, what: string, run: (cell: LiveCell) => unknown): CellEvent {
  const verb: Verb = () => run(invocations.getStore()?.cell as LiveCell);
  return { caller: new Session(), kind, name, what, verb, args: [], give: giveAsIs, fail: undefined };
}

function withoutCode(kind: CellKind): CellKind {
  return { ...kind, type: class extends Cell {}, migrations: [], raw: true };
}

function giveAsIs(value: unknown): unknown {
  return value;
}

function stopping(): FrondError {
  return new FrondError("STOPPING", "the node is stopping; try again on its successor");
}
