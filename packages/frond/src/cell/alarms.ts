// The alarms of one cell: the one of its hook `alarm`, and the calls that it has scheduled.
//
// Rule: all of them are rows of a table in the cell's own database, so they are set, cancelled, fired and taken back with
// the transaction that does it, and move wherever the cell moves. The table begins to exist with the first of them.
// A row goes when its run has ended, in the transaction of its effects if the run was synchronous: a crash in between lets
// it run again, never not at all. A run that throws leaves its row, to be tried again later; after the last try the row
// stays, as failed, where people can see it.
// What is set anew during a run is another alarm than the one that runs: `gen` tells them apart.
// Calls that follow a cron expression go on after a failure: what fails on one night is wanted on the next.

import type { DatabaseSync, StatementSync } from "node:sqlite";
import { deserialize, serialize } from "node:v8";
import { FrondError } from "../errors.ts";
import { ALARM_RETRIES, ALARM_RETRY_MS, MAX_FAILURE_LENGTH, MAX_SCHEDULED_BYTES } from "../limits.ts";
import type { Verb } from "./app.ts";
import type { AlarmState } from "./commit.ts";
import { callHook, invocations, isThenable } from "./invocation.ts";
import type { LiveCell } from "./live.ts";
import { nextTime, timeOf, timingOf, type When } from "./schedule.ts";
import { read, write } from "./statements.ts";
import { unknownVerb } from "./stub.ts";

/** What the hook `alarm` is told. */
export interface AlarmInfo {
  /** Runs of this alarm before, that threw. Count. */
  readonly retryCount: number;
  readonly isRetry: boolean;
}

/** A call that a cell has scheduled. */
export interface ScheduledCall {
  readonly id: number;
  /** When it runs next, in ms since 1970; of one that failed: when it last ran, or should have. */
  readonly when: number;
  readonly verb: string;
  readonly args: unknown[];
  readonly cron?: string;
  readonly zone?: string;
  /** Runs that threw since it was last due by its own time. Count. */
  readonly tries: number;
  /** Why it was given up: what its last run threw. With `cron`: since its last success. */
  readonly failed?: string;
}

/** A row of the table. `id` 0: the alarm of the hook. */
export interface AlarmRow {
  readonly id: number;
  readonly state: number;
  readonly due: number;
  readonly gen: number;
  readonly tries: number;
  readonly verb: string;
  readonly args: Uint8Array | null;
  readonly cron: string | null;
  readonly zone: string | null;
  readonly failed: string | null;
}

/** What became of an alarm whose run threw. `gone`: it had been cancelled or set anew meanwhile. */
export type AfterFailure = "again" | "failed" | "gone";

/** `state` of a row: it waits for its time; so does one with cron, though it failed the last time; it is given up. */
const WAITS = 0;
const WAITS_FAILED = 1;
const GIVEN_UP = 2;
/** That of the row which counts ids. */
const NO_ALARM = -1;

const HOOK = 0;
/**
 * The row that counts ids, in `due`: the id of a call that has run must not name another one, or an old id would cancel it.
 * Not AUTOINCREMENT, whose count anybody who empties sqlite_sequence sets back.
 */
const COUNTER = -1;

const TABLE = `
  CREATE TABLE IF NOT EXISTS _frond_alarm (
    id INTEGER PRIMARY KEY, state INTEGER NOT NULL, due INTEGER NOT NULL, gen INTEGER NOT NULL,
    tries INTEGER NOT NULL, verb TEXT NOT NULL, args BLOB, cron TEXT, zone TEXT, failed TEXT
  ) STRICT;
  CREATE INDEX IF NOT EXISTS _frond_alarm_due ON _frond_alarm (state, due);`;

/** See the head of the file. Owned by its live cell. */
export class CellAlarms {
  /** Something was written since the last record: what the index knows may have changed. */
  touched = false;
  readonly #cell: LiveCell;
  #firing: AlarmRow | undefined;
  /** The highest id that was given here, also by what was taken back since. */
  #lastId = 0;
  #find: StatementSync | undefined;

  constructor(cell: LiveCell) {
    this.#cell = cell;
  }

  /** Arms the hook's alarm. Throws BAD_OPTION. */
  set(time: Date | number): void {
    const due = timeOf(time, "setAlarm");
    const { kind } = this.#cell;
    if (hookOf(this.#cell) === undefined) {
      throw new FrondError("BAD_OPTION", `${kind.type.name} has no method alarm(), which setAlarm is for`);
    }
    const sql = `INSERT INTO _frond_alarm VALUES (${HOOK}, ${WAITS}, ?, ?, 0, 'alarm', NULL, NULL, NULL, NULL)
      ON CONFLICT (id) DO UPDATE SET state = ${WAITS}, due = excluded.due, gen = gen + 1, tries = 0, failed = NULL`;
    const gen = this.#firing?.id === HOOK ? this.#firing.gen + 1 : 0;
    this.#write("setAlarm", () => this.#cell.db.prepare(sql).run(due, gen));
  }

  /** When the hook's alarm is due, in ms since 1970; null: none is armed. The one that is running is none. */
  get(): number | null {
    const row = read(this.#cell, "getAlarm", () => this.#row(HOOK));
    if (row === undefined || row.state === GIVEN_UP) return null;
    return this.#firing?.id === HOOK && this.#firing.gen === row.gen ? null : row.due;
  }

  delete(): void {
    this.#remove("deleteAlarm", HOOK);
  }

  /** Plans a call of a verb of this cell. Returns its id. Throws BAD_OPTION, UNKNOWN_VERB, NOT_CLONEABLE, KEY_TOO_LARGE. */
  schedule(when: When, verb: string, args: unknown[]): number {
    const { kind, host, db } = this.#cell;
    if (verbOf(this.#cell, verb) === undefined) throw unknownVerb(kind, String(verb), true);
    const { due, cron = null, zone = null } = timingOf(when, host.clock.now());
    const bytes = args.length === 0 ? null : encode(verb, args);
    const sql = `INSERT INTO _frond_alarm (id, state, due, gen, tries, verb, args, cron, zone)
      VALUES (?, ${WAITS}, ?, 0, 0, ?, ?, ?, ?)`;
    return this.#write("schedule", () => {
      const id = this.#nextId();
      db.prepare(sql).run(id, due, verb, bytes, cron, zone);
      return id;
    });
  }

  /** Cancels a scheduled call; true if it was there. One that runs goes on. */
  unschedule(id: number): boolean {
    if (!Number.isSafeInteger(id) || id <= HOOK) {
      throw new FrondError("BAD_OPTION", `unschedule takes the id that schedule gave, not ${String(id)}`);
    }
    return this.#remove("unschedule", id);
  }

  /** The scheduled calls, in the order of their ids. */
  list(): ScheduledCall[] {
    return this.rows().flatMap((row) => (row.id === HOOK ? [] : [describe(row)]));
  }

  /** All rows, the hook's alarm first. */
  rows(): AlarmRow[] {
    return read(this.#cell, "schedules", () => {
      if (!this.#there()) return [];
      return this.#cell.db
        .prepare("SELECT * FROM _frond_alarm WHERE id >= 0 ORDER BY id")
        .all() as unknown as AlarmRow[];
    });
  }

  /** The highest id that a scheduled call of this cell has had, those before its last deletion included. */
  lastId(): number {
    return Math.max(this.#lastId, this.#cell.entry?.lastId ?? 0, lastIdIn(this.#cell.db));
  }

  /** What the index is to know, read from the table. */
  state(): AlarmState {
    return alarmStateIn(this.#cell.db);
  }

  /**
   * Runs what is due first, as the event that is running; undefined: nothing is due by `now`. Tells `begun` before the
   * user's code runs. Throws what that throws.
   */
  fire(now: number, begun: (row: AlarmRow) => void): unknown {
    const row = read(this.#cell, "an alarm", () => (this.#there() ? this.#first() : undefined));
    if (row === undefined || row.due > now) return undefined;
    begun(row);
    const verb = row.id === HOOK ? hookOf(this.#cell) : verbOf(this.#cell, row.verb);
    if (verb === undefined) throw unknownVerb(this.#cell.kind, row.verb);
    const args =
      row.id === HOOK ? [{ retryCount: row.tries, isRetry: row.tries > 0 } satisfies AlarmInfo] : decode(row);
    this.#firing = row;
    let result: unknown;
    try {
      result = callHook(verb, this.#cell.instance, args);
      if (!isThenable(result)) this.#ran(row);
    } finally {
      if (!isThenable(result)) this.#firing = undefined;
    }
    return isThenable(result) ? this.#afterwards(row, result) : undefined;
  }

  /** The run of `row` threw, which is noted as an event of its own. */
  threw(row: AlarmRow, error: unknown): AfterFailure {
    if (!this.#stands(row)) return "gone";
    const { db, host } = this.#cell;
    const message = (error instanceof Error ? error.message : String(error)).slice(0, MAX_FAILURE_LENGTH);
    const now = host.clock.now();
    if (row.tries < ALARM_RETRIES) {
      const sql = "UPDATE _frond_alarm SET tries = tries + 1, due = ? WHERE id = ?";
      this.#write("an alarm", () => db.prepare(sql).run(now + ALARM_RETRY_MS * 2 ** row.tries, row.id));
      return "again";
    }
    const next = row.cron === null ? undefined : nextTime(row.cron, row.zone ?? undefined, now);
    const sql = "UPDATE _frond_alarm SET state = ?, due = ?, tries = ?, failed = ? WHERE id = ?";
    const state = next === undefined ? GIVEN_UP : WAITS_FAILED;
    const tries = next === undefined ? row.tries + 1 : 0;
    this.#write("an alarm", () => db.prepare(sql).run(state, next ?? row.due, tries, message, row.id));
    return "failed";
  }

  async #afterwards(row: AlarmRow, result: PromiseLike<unknown>): Promise<void> {
    try {
      await result;
      const invocation = invocations.getStore();
      // Another verb's transaction may have the cell; refused there, a run that has ended would happen again.
      if (invocation !== undefined) await this.#cell.closedTo(invocation);
      this.#ran(row);
    } finally {
      this.#firing = undefined;
    }
  }

  /** The run of `row` has ended well: it goes, or waits for its next time. */
  #ran(row: AlarmRow): void {
    // What deletes the cell takes the table along.
    if (invocations.getStore()?.erases === true || !this.#stands(row)) return;
    const { db, host } = this.#cell;
    const next = row.cron === null ? undefined : nextTime(row.cron, row.zone ?? undefined, host.clock.now());
    this.#write("an alarm", () => {
      if (next === undefined) return db.prepare("DELETE FROM _frond_alarm WHERE id = ?").run(row.id);
      const sql = `UPDATE _frond_alarm SET state = ${WAITS}, due = ?, tries = 0, failed = NULL WHERE id = ?`;
      return db.prepare(sql).run(next, row.id);
    });
  }

  /** The row is still the one that was run. */
  #stands({ id, gen, due, tries }: AlarmRow): boolean {
    const row = read(this.#cell, "an alarm", () => this.#row(id));
    return row !== undefined && row.gen === gen && row.due === due && row.tries === tries;
  }

  #nextId(): number {
    this.#lastId = this.lastId() + 1;
    const sql = `INSERT INTO _frond_alarm (id, state, due, gen, tries, verb) VALUES (${COUNTER}, ${NO_ALARM}, ?, 0, 0, '')
      ON CONFLICT (id) DO UPDATE SET due = excluded.due`;
    this.#cell.db.prepare(sql).run(this.#lastId);
    return this.#lastId;
  }

  #remove(what: string, id: number): boolean {
    if (read(this.#cell, what, () => this.#row(id)) === undefined) return false;
    this.#write(what, () => this.#cell.db.prepare("DELETE FROM _frond_alarm WHERE id = ?").run(id));
    return true;
  }

  #write<T>(what: string, work: () => T): T {
    this.touched = true;
    return write(this.#cell, what, () => {
      if (!this.#there()) this.#cell.db.exec(TABLE);
      return work();
    });
  }

  #row(id: number): AlarmRow | undefined {
    if (!this.#there()) return undefined;
    return this.#cell.db.prepare("SELECT * FROM _frond_alarm WHERE id = ?").get(id) as AlarmRow | undefined;
  }

  #first(): AlarmRow | undefined {
    return firstIn(this.#cell.db);
  }

  #there(): boolean {
    // Asked each time: a roll-back may have taken the table away again.
    this.#find ??= this.#cell.db.prepare("SELECT 1 FROM sqlite_schema WHERE name = '_frond_alarm'");
    return this.#find.get() !== undefined;
  }
}

/** Whatever prepares statements on a cell's database. */
type Prepares = Pick<DatabaseSync, "prepare">;

/** What the index is to know of the alarms in a cell's database, open in a live cell or not. */
export function alarmStateIn(db: Prepares): AlarmState {
  if (!isTableIn(db)) return { alarm: 0, failedAlarms: 0 };
  const failed = db.prepare(`SELECT count(*) AS n FROM _frond_alarm WHERE state >= ${WAITS_FAILED}`).get();
  return { alarm: firstIn(db)?.due ?? 0, failedAlarms: failed?.["n"] as number };
}

/** The highest id of a scheduled call that a cell's database knows of; 0 = none. */
export function lastIdIn(db: Prepares): number {
  if (!isTableIn(db)) return 0;
  const sql = `SELECT max(due) AS n FROM (SELECT due FROM _frond_alarm WHERE id = ${COUNTER}
    UNION ALL SELECT max(id) FROM _frond_alarm)`;
  return Math.max(0, db.prepare(sql).get()?.["n"] as number);
}

function isTableIn(db: Prepares): boolean {
  return db.prepare("SELECT 1 FROM sqlite_schema WHERE name = '_frond_alarm'").get() !== undefined;
}

function firstIn(db: Prepares): AlarmRow | undefined {
  const find = db.prepare("SELECT * FROM _frond_alarm WHERE state = ? ORDER BY due, id LIMIT 1");
  const [a, b] = [WAITS, WAITS_FAILED].map((state) => find.get(state) as AlarmRow | undefined);
  return a === undefined || (b !== undefined && b.due < a.due) ? b : a;
}

function hookOf({ instance, kind }: LiveCell): Verb | undefined {
  // The constructor has no instance yet.
  const hook = (instance ?? kind.type.prototype).alarm as unknown;
  return typeof hook === "function" ? (hook as Verb) : undefined;
}

function verbOf({ kind }: LiveCell, name: string): Verb | undefined {
  return kind.verbs.get(name) ?? kind.inner.get(name);
}

function describe(row: AlarmRow): ScheduledCall {
  return {
    id: row.id,
    when: row.due,
    verb: row.verb,
    args: decode(row),
    ...(row.cron !== null && { cron: row.cron }),
    ...(row.zone !== null && { zone: row.zone }),
    tries: row.tries,
    ...(row.failed !== null && { failed: row.failed }),
  };
}

function decode({ args }: AlarmRow): unknown[] {
  return args === null ? [] : (deserialize(args) as unknown[]);
}

function encode(verb: string, args: unknown[]): Buffer {
  let bytes: Buffer;
  try {
    bytes = serialize(args);
  } catch (error) {
    const what = `an argument of the scheduled ${verb} cannot be kept: ${(error as Error).message}`;
    throw new FrondError("NOT_CLONEABLE", what, { cause: error });
  }
  if (bytes.length <= MAX_SCHEDULED_BYTES) return bytes;
  const what = `the arguments of the scheduled ${verb} take ${bytes.length} bytes`;
  throw new FrondError("KEY_TOO_LARGE", `${what}; at most ${MAX_SCHEDULED_BYTES}, larger ones belong into a table`);
}
