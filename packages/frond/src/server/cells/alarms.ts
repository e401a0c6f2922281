// The alarms of a node: the machine of core/alarm.ts, with a clock, the index and the cells.
//
// Rule: an alarm is an event of its cell like any other: it opens the cell, waits at its gate, and is waited for at a stop.
// What a run throws is noted in the cell, by an event of its own, and counts as a try. What kept a run from happening, or
// was a refusal of the runtime (no space, too much to do, a stop), counts as none and is tried again later.
// Nothing fires before the services of the app have started, nor once the node stops.

import { parseAddress } from "../../address.ts";
import type { AfterFailure, AlarmRow } from "../../cell/alarms.ts";
import type { App, CellKind } from "../../cell/app.ts";
import type { LiveCell } from "../../cell/live.ts";
import type { Clock } from "../../clock.ts";
import { type AlarmEnd, AlarmMachine, type Armed } from "../../core/alarm.ts";
import { type ErrorCode, FrondError, isFrondError } from "../../errors.ts";
import {
  ALARM_LOOK_MS,
  ALARM_PLACE_MS,
  ALARM_RETRIES,
  ALARM_STARTS_PER_SECOND,
  ALARM_WINDOW,
  ALARMS_RUNNING,
} from "../../limits.ts";
import type { CellEntry } from "../../store/catalog.ts";
import type { Address } from "../../types.ts";
import type { Ledger } from "./ledger.ts";

/** What alarms need of their node. */
export interface AlarmsNode {
  readonly app: App;
  readonly ledger: Ledger;
  readonly clock: Clock;
  readonly events: {
    event(kind: CellKind, name: string, what: string, run: (cell: LiveCell) => unknown): Promise<unknown>;
  };
  readonly log: {
    warn(fields: object, message: string): void;
    error(fields: object, message: string): void;
  };
}

/** Refusals of the runtime: they say nothing about the code of the alarm. */
const REFUSALS: ReadonlySet<ErrorCode> = new Set(["OVERLOADED", "CELL_BUSY", "QUEUE_FULL", "STOPPING", "DISK_FULL"]);

const BEGINNING: Armed = { address: "" as Address, due: 0 };

/** See the head of the file. One per node. */
export class Alarms {
  readonly #node: AlarmsNode;
  readonly #machine = new AlarmMachine({
    startsPerSecond: ALARM_STARTS_PER_SECOND,
    running: ALARMS_RUNNING,
    placeMs: ALARM_PLACE_MS,
    window: ALARM_WINDOW,
  });
  /** Runs that have not ended, by cell. */
  readonly #runs = new Map<Address, Promise<boolean>>();
  #on = false;
  #fired = 0;
  #wakeAt = Infinity;
  #cancel: () => void = () => {};

  constructor(node: AlarmsNode) {
    this.#node = node;
  }

  /** From now on alarms fire by themselves, overdue ones first. */
  start(): void {
    this.#on = true;
    this.#wake(this.#node.clock.now());
  }

  /** No further one begins. */
  stop(): void {
    this.#on = false;
    this.#cancel();
  }

  /** Alarms that are held in memory, of whichever number there are. Count. */
  get held(): number {
    return this.#machine.held;
  }

  /** A commit has changed the next alarm of a cell. */
  changed({ address, alarm }: CellEntry): void {
    if (alarm === 0) return this.#machine.cleared(address);
    this.#machine.set(address, alarm);
    if (this.#on && alarm < this.#wakeAt) this.#wake(alarm);
  }

  /** For tests: runs everything that is due now, at once, and waits until it has ended. Returns how many runs that were. */
  async runDue(): Promise<number> {
    const before = this.#fired;
    // Those that ran are due no more, unless they could not run.
    const refused = new Set<Address>();
    for (;;) {
      const due = this.#due().filter((address) => !refused.has(address));
      if (due.length === 0 && this.#runs.size === 0) return this.#fired - before;
      const runs = due.map(async (address) => {
        const running = this.#runs.get(address);
        if (!(await (running ?? this.#begin(address, false)))) refused.add(address);
      });
      await Promise.all([...runs, ...this.#runs.values()]);
    }
  }

  /** For tests: runs the next alarm or scheduled call of a cell now, whenever it is due. False if it has none. */
  async fire(address: Address): Promise<boolean> {
    for (let run; (run = this.#runs.get(address)) !== undefined;) await run;
    return this.#begin(address, true);
  }

  /** For tests: the runs that have not ended, by cell. */
  get runs(): ReadonlyMap<Address, Promise<unknown>> {
    return this.#runs;
  }

  /** For tests: resolves when no run is under way. */
  async settled(): Promise<void> {
    while (this.#runs.size > 0) await Promise.all(this.#runs.values());
  }

  #due(): Address[] {
    const { clock, ledger } = this.#node;
    const now = clock.now();
    const found: Address[] = [];
    for (let after = BEGINNING; ;) {
      const page = ledger.alarms(after, ALARM_WINDOW);
      for (const { address, due } of page.list) if (due <= now) found.push(address);
      if (page.complete || page.through.due > now) return found;
      after = page.through;
    }
  }

  #wake(at: number): void {
    const { clock } = this.#node;
    this.#cancel();
    this.#wakeAt = at;
    // The clock may be set: what is far away is looked at again.
    this.#cancel = clock.after(Math.min(at - clock.now(), ALARM_LOOK_MS), () => this.#look());
  }

  #look(): void {
    if (!this.#on) return;
    const { clock, ledger } = this.#node;
    for (;;) {
      const { start, refill, wakeAt } = this.#machine.plan(clock.now());
      for (const address of start) void this.#run(address, false);
      if (refill === undefined) return this.#wake(wakeAt);
      const { list, through, complete } = ledger.alarms(refill.after, refill.limit);
      this.#machine.refilled(list, through, complete);
    }
  }

  #begin(address: Address, early: boolean): Promise<boolean> {
    const { clock, ledger } = this.#node;
    this.#machine.started(address, ledger.find(address)?.alarm ?? 0, clock.now());
    return this.#run(address, early);
  }

  /** Runs the next alarm of a cell that the machine has started. True if code of the cell ran. */
  #run(address: Address, early: boolean): Promise<boolean> {
    const { clock } = this.#node;
    const run = this.#attempt(address, early).then(({ end, ran }) => {
      this.#runs.delete(address);
      if (ran) this.#fired += 1;
      this.#machine.ended(address, end, clock.now());
      this.#look();
      return ran;
    });
    this.#runs.set(address, run);
    return run;
  }

  async #attempt(address: Address, early: boolean): Promise<{ end: AlarmEnd; ran: boolean }> {
    const { app, clock, events, ledger } = this.#node;
    const [pair] = parseAddress(address);
    const kind = pair && app.kinds.get(pair.kind);
    let row: AlarmRow | undefined;
    try {
      if (pair === undefined || kind === undefined) {
        throw new FrondError("UNKNOWN_KIND", `${address} has an alarm, and the app has no cells of its kind`);
      }
      await events.event(kind, pair.name, "alarm", (cell) =>
        cell.alarms.fire(early ? Infinity : clock.now(), (begun) => {
          row = begun;
        }),
      );
      // Cancelled before its turn came; or the index says what the cell does not.
      const due = ledger.find(address)?.alarm ?? 0;
      const stale = row === undefined && due !== 0 && due <= clock.now();
      return { end: stale ? "refused" : "ran", ran: row !== undefined };
    } catch (error) {
      if (row === undefined || pair === undefined || kind === undefined || isRefusal(error)) {
        this.#tellRefusal(address, error);
        return { end: "refused", ran: false };
      }
      return { end: await this.#noteFailure(address, kind, pair.name, row, error), ran: true };
    }
  }

  async #noteFailure(address: Address, kind: CellKind, name: string, row: AlarmRow, error: unknown): Promise<AlarmEnd> {
    const { events, log } = this.#node;
    try {
      const after = await events.event(kind, name, "alarm", (cell) => cell.alarms.threw(row, error));
      const fields = { address, verb: row.verb, id: row.id, tries: row.tries + 1, err: error };
      if ((after as AfterFailure) === "failed") {
        const again = row.cron === null ? "see `frond alarms --failed`" : "it goes on with its next time";
        log.error(fields, `an alarm failed after ${ALARM_RETRIES} retries; ${again}`);
      } else {
        log.warn(fields, after === "again" ? "an alarm threw; it will be retried" : "an alarm threw and was replaced");
      }
      return "ran";
    } catch (refusal) {
      // The run happens again, and counts then.
      this.#tellRefusal(address, refusal);
      return "refused";
    }
  }

  #tellRefusal(address: Address, error: unknown): void {
    if (isFrondError(error, "STOPPING")) return;
    this.#node.log.warn({ address, err: error }, "an alarm could not be run; it will be tried again");
  }
}

function isRefusal(error: unknown): boolean {
  return error instanceof FrondError && REFUSALS.has(error.code);
}
