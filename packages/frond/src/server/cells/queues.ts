// Events that wait for their cell: for its input gate, for its file, for room to open it.
//
// Rule: the events of one cell begin in the order in which they came, whatever they wait for. A queue is bounded, and so is
// the time in it; an event that waits for its own caller is told so at once. Many events that were let in together do not
// keep the event loop from everybody else: after a few milliseconds the rest goes on in the next turn.
// A cell for which nothing waits has no queue: the common call costs nothing here.

import type { CellKind, Verb } from "../../cell/app.ts";
import { type Caller, type Fail, type Invocation, isWithin } from "../../cell/invocation.ts";
import type { LiveCell } from "../../cell/live.ts";
import type { Clock } from "../../clock.ts";
import { assert } from "../../assert.ts";
import { FrondError } from "../../errors.ts";
import { MAX_CELL_QUEUE, MAX_QUEUE_MS, QUEUE_TURN_MS } from "../../limits.ts";
import type { Address } from "../../types.ts";

/** What is to run in a cell: a call, an alarm, a message of a socket. */
export interface CellEvent {
  readonly caller: Caller;
  readonly kind: CellKind;
  readonly name: string;
  /** The name of the verb, or of what runs. */
  readonly what: string;
  /** What runs; undefined: the verb of that name. */
  readonly verb: Verb | undefined;
  readonly args: unknown[];
  /** What becomes of the result before it is given to the caller. */
  readonly give: (value: unknown, invocation: Invocation) => unknown;
  /** Ends the wait of whoever waits for the answer. */
  fail: Fail | undefined;
  /** What its caller was given, where that is not the answer itself. */
  answer?: Promise<unknown>;
}

interface Waiting {
  readonly event: CellEvent;
  readonly since: number;
  readonly resolve: (answer: unknown) => void;
  readonly reject: Fail;
}

interface Queue {
  readonly address: Address;
  readonly waiting: Waiting[];
  cancel: () => void;
}

/** How a queue comes on. */
export interface QueueOwner {
  readonly clock: Clock;
  /** The cell, when an event may begin in it now, or what to wait for. Throws when the cell cannot be opened. */
  ready(event: CellEvent, address: Address): LiveCell | Promise<void>;
  /** Runs the event in the cell. */
  run(event: CellEvent, cell: LiveCell): Promise<unknown>;
  /** The cell, if it is open. */
  openCell(address: Address): LiveCell | undefined;
}

/** The queues of one node. */
export class Queues {
  readonly #owner: QueueOwner;
  readonly #queues = new Map<Address, Queue>();

  constructor(owner: QueueOwner) {
    this.#owner = owner;
  }

  /** Events that wait for this cell. Count. */
  length(address: Address): number {
    return this.#queues.get(address)?.waiting.length ?? 0;
  }

  has(address: Address): boolean {
    return this.#queues.has(address);
  }

  /**
   * Puts an event behind those that wait for its cell; `obstacle` is what the first one waits for. Throws REENTRANT, and
   * QUEUE_FULL beyond MAX_CELL_QUEUE. The answer rejects with CELL_BUSY after MAX_QUEUE_MS.
   */
  add(event: CellEvent, address: Address, obstacle: Promise<void>): Promise<unknown> {
    const cell = this.#owner.openCell(address);
    const holder = cell?.gate.holder;
    if (holder !== undefined && isWithin(event.caller.invocation, holder)) throw reentrant(event, address, holder);
    let queue = this.#queues.get(address);
    if (queue !== undefined && queue.waiting.length >= MAX_CELL_QUEUE) {
      const what = `${queue.waiting.length} events wait for ${address}`;
      throw new FrondError("QUEUE_FULL", `${what}, as many as may; ${event.what} did not begin`);
    }
    if (queue === undefined) {
      queue = { address, waiting: [], cancel: () => {} };
      this.#queues.set(address, queue);
      if (cell !== undefined) cell.queued = true;
      this.#wait(queue, obstacle);
      this.#watch(queue, MAX_QUEUE_MS);
    }
    const { waiting } = queue;
    return new Promise((resolve, reject) => {
      event.fail = reject;
      waiting.push({ event, since: this.#owner.clock.now(), resolve, reject });
    });
  }

  /** Goes on with every queue: what was to do so may have been lost. */
  resume(): void {
    for (const queue of this.#queues.values()) setImmediate(() => this.#drain(queue));
  }

  #wait(queue: Queue, obstacle: Promise<void>): void {
    obstacle.then(
      () => this.#drain(queue),
      (error: unknown) => {
        // The instance that they waited for never came about.
        for (const { reject } of queue.waiting.splice(0)) reject(error);
        this.#drain(queue);
      },
    );
  }

  #drain(queue: Queue): void {
    const { waiting, address } = queue;
    if (this.#queues.get(address) !== queue) return;
    const began = performance.now();
    // No verb is on the stack here: a sync one that still had its transaction would be waited for without end.
    assert(this.#owner.openCell(address)?.tx.owner?.sync !== true, "a sync verb ends within its turn");
    for (;;) {
      const next = waiting[0];
      if (next === undefined) break;
      if (performance.now() - began > QUEUE_TURN_MS) {
        setImmediate(() => this.#drain(queue));
        return;
      }
      try {
        const cell = this.#owner.ready(next.event, address);
        if (cell instanceof Promise) {
          this.#refuseReentrant(queue);
          return this.#wait(queue, cell);
        }
        cell.queued = true;
        waiting.shift();
        next.resolve(this.#owner.run(next.event, cell));
      } catch (error) {
        waiting.shift();
        next.reject(error);
      }
    }
    queue.cancel();
    this.#queues.delete(address);
    const cell = this.#owner.openCell(address);
    if (cell !== undefined) cell.queued = false;
  }

  /** Those that wait for themselves: the gate was closed by who waits for them. */
  #refuseReentrant({ waiting, address }: Queue): void {
    const holder = this.#owner.openCell(address)?.gate.holder;
    if (holder === undefined) return;
    for (let i = waiting.length - 1; i >= 0; i--) {
      const { event, reject } = waiting[i] as Waiting;
      if (!isWithin(event.caller.invocation, holder)) continue;
      waiting.splice(i, 1);
      reject(reentrant(event, address, holder));
    }
  }

  #watch(queue: Queue, ms: number): void {
    const { clock } = this.#owner;
    queue.cancel = clock.after(ms, () => {
      const now = clock.now();
      const { waiting, address } = queue;
      while (waiting[0] !== undefined && now - waiting[0].since >= MAX_QUEUE_MS) {
        const { event, reject } = waiting.shift() as Waiting;
        const why = this.#owner.openCell(address)?.gate.holder?.verb;
        const because = why === undefined ? "it could not be opened or was not free" : `${why} has it for itself`;
        const what = `${event.what} waited ${MAX_QUEUE_MS} ms for ${address} and did not begin`;
        reject(new FrondError("CELL_BUSY", `${what}: ${because}`));
      }
      this.#watch(queue, waiting[0] === undefined ? MAX_QUEUE_MS : MAX_QUEUE_MS - (now - waiting[0].since));
    });
  }
}

/**
 * In a turn of its own, behind what the calling code has left to do now: `return cell.verb()` in an async function takes
 * the answer's promise over in a turn that begins later, and would be lost if the verb had to be ended by force before.
 */
export function soon(run: () => void): void {
  queueMicrotask(() => queueMicrotask(run));
}

function reentrant(event: CellEvent, address: Address, holder: Invocation): FrondError {
  const what = `${event.what} of ${address} was called on behalf of its own ${holder.verb}`;
  return new FrondError("REENTRANT", `${what}, which has the cell for itself until it has the answer`);
}
