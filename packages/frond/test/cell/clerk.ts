// A cell with alarms and scheduled calls, and a node for it whose clock the test moves.

import type { AlarmInfo } from "../../src/cell/alarms.ts";
import { Cell } from "../../src/cell/cell.ts";
import type { When } from "../../src/cell/schedule.ts";
import { FakeClock } from "../../src/clock.ts";
import { openCells, type Opened, turns } from "./nodes.ts";

/** The time at which the offices of these tests open. */
export const START = Date.UTC(2026, 2, 28, 12);

/** A cell that notes what runs in it, and can be told what to do then. */
export class Clerk extends Cell {
  static override migrations = ["CREATE TABLE seen (id INTEGER PRIMARY KEY, what TEXT NOT NULL) STRICT"];
  /** What the next runs do. */
  static behave: (cell: Clerk, info: AlarmInfo | undefined) => unknown = () => {};

  note(what: string) {
    this.sql`INSERT INTO seen (what) VALUES (${what})`;
  }
  seen() {
    return this.sql.all<{ what: string }>`SELECT what FROM seen ORDER BY id`.map((row) => row.what);
  }
  override alarm(info?: AlarmInfo) {
    this.note(`alarm ${info?.retryCount}${info?.isRetry === true ? " retry" : ""}`);
    return Clerk.behave(this, info);
  }
  set(time: number | Date) {
    return this.ctx.storage.setAlarm(time);
  }
  /** Has the cell for itself until `unblock`, and sets the alarm then. */
  static unblock: () => void = () => {};
  blockAndSet(time: number) {
    return this.ctx.blockConcurrencyWhile(async () => {
      await new Promise<void>((resolve) => (Clerk.unblock = resolve));
      await this.set(time);
    });
  }
  armed() {
    return this.ctx.storage.getAlarm();
  }
  disarm() {
    return this.ctx.storage.deleteAlarm();
  }
  setAndThrow(time: number) {
    void this.ctx.storage.setAlarm(time);
    throw new Error("no");
  }
  setInParts(kept: number, undone: number) {
    void this.ctx.storage.setAlarm(kept);
    try {
      this.transaction(() => {
        void this.ctx.storage.setAlarm(undone);
        this.schedule(undone, "note", "undone");
        throw new Error("undone");
      });
    } catch {
      // Only the part is taken back.
    }
  }
  plan(when: When, what: string) {
    return this.schedule(when, "note", what);
  }
  planInner(when: When, ...args: unknown[]) {
    return this.schedule(when, "_inner", ...args);
  }
  planAny(when: unknown, verb: string, ...args: unknown[]) {
    return (this.schedule as (...all: unknown[]) => number).call(this, when, verb, ...args);
  }
  cancel(id: number) {
    return this.unschedule(id);
  }
  planned() {
    return this.schedules();
  }
  wipe() {
    return this.ctx.storage.deleteAll();
  }
  _inner(...args: unknown[]) {
    this.note(`inner ${JSON.stringify(args)}`);
    return Clerk.behave(this, undefined);
  }
}

/** A node with clerks, and its clock. */
export interface Office extends Opened {
  readonly clock: FakeClock;
}

/** Opens a node whose alarms fire when its clock is moved. */
export async function open(startMs = START): Promise<Office> {
  Clerk.behave = () => {};
  const clock = new FakeClock(startMs);
  const opened = await openCells({ clerk: Clerk }, { clock });
  await opened.node.startServices();
  return { ...opened, clock };
}

/** Lets time pass, with everything that it sets off. */
export async function pass(office: Office, ms: number): Promise<void> {
  office.clock.advance(ms);
  await turns();
  await office.node.alarms.settled();
}
