// Alarms of a node: which cells to start now, out of any number that have one armed.
//
// Rule (I8): no alarm starts before its time, and every armed alarm is started in the end, however many there are and
// whatever refuses to run. What is held is bounded: a window of the earliest ones. The rest stands in the slot index,
// which this machine has read up to a cursor; what is armed beyond the cursor is left there until the cursor comes by.
// Pure: told the time, told what was armed, it answers what to start, what to read, and when to ask again.
//
// One cell runs one alarm at a time. Starts are paced by a bucket of tokens, and few run at once; a run that takes very
// long gives up its place, or a few that hang would hold up everybody's alarms.
// A cell that could not run its alarm (it does not open, the disk is full) waits in the window, longer each time. When the
// window has no room for it, it is forgotten, and the index is read again from the beginning when its time has come.
//
// Rejected: a timer per alarm (memory grows with the sleeping cells), a poll of the index every second (late by up to one,
// and work when there is none).

import { compareAddresses } from "../address.ts";
import { assert } from "../assert.ts";
import { ALARM_REFUSED_MS, ALARM_RETRY_MS } from "../limits.ts";
import type { Address } from "../types.ts";

/** A cell and the time of its next alarm, in ms since 1970. Ordered by time, then by address. */
export interface Armed {
  readonly address: Address;
  readonly due: number;
}

/** The bounds that the machine keeps. */
export interface AlarmLimits {
  readonly startsPerSecond: number;
  /** Runs at once that hold a place. Count. */
  readonly running: number;
  /** A run holds its place for so long, in ms. */
  readonly placeMs: number;
  /** Alarms held. Count. */
  readonly window: number;
}

/** What to do now. */
export interface AlarmPlan {
  /** Run the alarms of these cells; each is told back by `ended`. */
  readonly start: readonly Address[];
  /** Read this part of the index, tell it by `refilled`, and ask again at once. */
  readonly refill: { readonly after: Armed; readonly limit: number } | undefined;
  /** Ask again at this time, in ms since 1970, or after the next change; Infinity: only then. */
  readonly wakeAt: number;
}

/** How a run ended: as it should (also by a throw that was noted in the cell), or without having happened. */
export type AlarmEnd = "ran" | "refused";

interface Waiting {
  readonly address: Address;
  readonly due: number;
  /** Not before this time: later than `due` after a refusal. */
  readonly wake: number;
  readonly refusals: number;
}

interface Run {
  since: number;
  /** The next alarm of the cell as it was last told; 0 = none. */
  due: number;
  readonly refusals: number;
}

const BEGINNING: Armed = { address: "" as Address, due: 0 };

/** See the head of the file. One per node. */
export class AlarmMachine {
  readonly #limits: AlarmLimits;
  /** By `wake`, then address. */
  readonly #window: Waiting[] = [];
  readonly #waiting = new Map<Address, Waiting>();
  /** In the order of their starts. */
  readonly #running = new Map<Address, Run>();
  /** Runs that gave up their place. */
  readonly #slow = new Map<Address, Run>();
  /** Everything armed up to here is known; undefined: everything. */
  #cursor: Armed | undefined = BEGINNING;
  /** When the index is to be read again from the beginning. */
  #sweepAt = Infinity;
  #tokens: number;
  #asked = 0;

  constructor(limits: AlarmLimits) {
    this.#limits = limits;
    this.#tokens = this.#burst;
  }

  /** Alarms that are held in memory. Count. */
  get held(): number {
    return this.#window.length + this.#running.size + this.#slow.size;
  }

  isRunning(address: Address): boolean {
    return this.#running.has(address) || this.#slow.has(address);
  }

  /** The next alarm of the cell is at `due` now. */
  set(address: Address, due: number): void {
    const run = this.#runOf(address);
    if (run !== undefined) {
      run.due = due;
      return;
    }
    this.#remove(address);
    this.#keep({ address, due, wake: due, refusals: 0 });
  }

  /** The cell has no alarm any more. */
  cleared(address: Address): void {
    const run = this.#runOf(address);
    if (run !== undefined) run.due = 0;
    else this.#remove(address);
  }

  /** The index behind the `after` that was asked for, up to `through`; `complete`: there is nothing behind it. */
  refilled(list: readonly Armed[], through: Armed, complete: boolean): void {
    this.#cursor = complete ? undefined : through;
    for (const { address, due } of list) {
      if (this.#waiting.has(address) || this.isRunning(address)) continue;
      this.#insert({ address, due, wake: due, refusals: 0 });
    }
  }

  /** The alarm of this cell is run now, whatever its time: a test asked for it. */
  started(address: Address, due: number, now: number): void {
    assert(!this.isRunning(address), "a cell runs one alarm at a time");
    const refusals = this.#waiting.get(address)?.refusals ?? 0;
    this.#remove(address);
    this.#running.set(address, { since: now, due, refusals });
  }

  /** A run that was started is over. Its effects on the cell's next alarm were told before. */
  ended(address: Address, end: AlarmEnd, now: number): void {
    const run = this.#runOf(address);
    assert(run !== undefined, "an alarm ends that was started");
    this.#running.delete(address);
    this.#slow.delete(address);
    const { due, refusals } = run;
    if (due === 0) return;
    if (end === "ran") return this.#keep({ address, due, wake: due, refusals: 0 });
    const delay = Math.min(ALARM_RETRY_MS * 2 ** refusals, ALARM_REFUSED_MS);
    this.#keep({ address, due, wake: Math.max(due, now + delay), refusals: refusals + 1 });
  }

  /** What to do at `now`, in ms since 1970. */
  plan(now: number): AlarmPlan {
    this.#earn(now);
    if (now >= this.#sweepAt && !this.#isBusy(now)) {
      this.#sweepAt = Infinity;
      this.#cursor = BEGINNING;
    }
    for (const [address, run] of this.#running) {
      // A clock that was set back takes nobody's place for longer.
      run.since = Math.min(run.since, now);
      if (now - run.since < this.#limits.placeMs) continue;
      this.#running.delete(address);
      this.#slow.set(address, run);
    }
    const start: Address[] = [];
    // Not before the index was read as far as the present: an earlier alarm may stand there.
    const refill = this.#refill(now);
    if (refill === undefined) {
      while (this.#canStart && this.#isDue(now)) start.push(this.#begin(now));
    }
    return { start, refill, wakeAt: refill === undefined ? this.#wakeAt(now) : now };
  }

  get #burst(): number {
    return Math.max(1, Math.floor(this.#limits.startsPerSecond / 10));
  }

  #earn(now: number): void {
    // A clock that was set back or far ahead earns nothing beyond what the bucket holds.
    const passed = Math.max(0, now - this.#asked);
    this.#tokens = Math.min(this.#burst, this.#tokens + (passed * this.#limits.startsPerSecond) / 1000);
    this.#asked = now;
  }

  get #canStart(): boolean {
    return this.#tokens >= 1 && this.#running.size < this.#limits.running;
  }

  /**
   * Something that is due waits, here or in the index. The index is read anew only after it: many that are refused again and
   * again would otherwise come first each time, and those behind them would never have a turn.
   */
  #isBusy(now: number): boolean {
    return this.#isDue(now) || (this.#cursor !== undefined && this.#cursor.due <= now);
  }

  #isDue(now: number): boolean {
    const first = this.#window[0];
    return first !== undefined && first.wake <= now;
  }

  #begin(now: number): Address {
    const { address, due, refusals } = this.#window[0] as Waiting;
    assert(due <= now, "no alarm starts before its time");
    this.#remove(address);
    this.#tokens -= 1;
    this.#running.set(address, { since: now, due, refusals });
    return address;
  }

  #refill(now: number): AlarmPlan["refill"] {
    const { window } = this.#limits;
    if (this.#cursor === undefined) return undefined;
    const after = this.#cursor;
    const room = window - this.#window.length;
    if (room > (window * 3) / 4) return { after, limit: room };
    if (after.due > now) return undefined;
    // The present has come to the cursor: worth reading where there is room, or something that can make room.
    const limit = Math.max(1, Math.floor(window / 4));
    const last = this.#window.at(-1);
    return room >= limit || (last !== undefined && last.wake > now) ? { after, limit } : undefined;
  }

  #wakeAt(now: number): number {
    let at = this.#isBusy(now) ? Infinity : this.#sweepAt;
    // Once it has come so far, the index is read whenever a run or a change makes room.
    if (this.#cursor !== undefined && this.#cursor.due > now) at = Math.min(at, this.#cursor.due);
    const first = this.#window[0];
    if (first === undefined) return at;
    if (first.wake > now) return Math.min(at, first.wake);
    if (this.#tokens < 1) {
      const missing = ((1 - this.#tokens) * 1000) / this.#limits.startsPerSecond;
      return Math.min(at, now + Math.max(1, Math.ceil(missing)));
    }
    const [oldest] = this.#running.values();
    assert(oldest !== undefined, "what is due waits for a token or for a place");
    return Math.min(at, Math.max(now + 1, oldest.since + this.#limits.placeMs));
  }

  /** Holds what stands before the cursor. What stands behind it will be read when its time comes nearer. */
  #keep(entry: Waiting): void {
    if (this.#cursor === undefined || compareArmed(entry, this.#cursor) <= 0) this.#insert(entry);
  }

  #insert(entry: Waiting): void {
    this.#window.splice(this.#placeOf(entry), 0, entry);
    this.#waiting.set(entry.address, entry);
    if (this.#window.length <= this.#limits.window) return;
    const last = this.#window.at(-1) as Waiting;
    this.#remove(last.address);
    if (last.wake > last.due) {
      this.#sweepAt = Math.min(this.#sweepAt, last.wake);
    } else if (this.#cursor === undefined || last.due <= this.#cursor.due) {
      this.#cursor = { address: "" as Address, due: last.due };
    }
  }

  #remove(address: Address): void {
    const entry = this.#waiting.get(address);
    if (entry === undefined) return;
    this.#waiting.delete(address);
    const at = this.#placeOf(entry);
    assert(this.#window[at] === entry, "the window is in order");
    this.#window.splice(at, 1);
  }

  /** Where the entry stands, or would stand. */
  #placeOf(entry: Waiting): number {
    let low = 0;
    let high = this.#window.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      const other = this.#window[middle] as Waiting;
      if (other.wake < entry.wake || (other.wake === entry.wake && other.address < entry.address)) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  #runOf(address: Address): Run | undefined {
    return this.#running.get(address) ?? this.#slow.get(address);
  }
}

/** The order of the index: by time, then by address. */
export function compareArmed(a: Armed, b: Armed): number {
  return a.due - b.due || compareAddresses(a.address, b.address);
}
