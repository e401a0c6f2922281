// Calls: how an event finds its cell, and what becomes of its answer.
//
// Rule: whoever hears an answer or an error has heard what the cell knew, so both leave with the cell's watermarks.
// Calls from the front door run at once, on the caller's stack; calls from inside a cell run in a turn of their own, so a
// cell never runs in the middle of another's stretch. What cannot begin now waits in queues.ts.

import { rootAddress } from "../../address.ts";
import type { CellKind, Verb } from "../../cell/app.ts";
import { cloneArguments, cloneResult } from "../../cell/clone.ts";
import type { Committer } from "../../cell/commit.ts";
import { type Caller, type Invocation, invocations } from "../../cell/invocation.ts";
import type { LiveCell } from "../../cell/live.ts";
import { type CallOptions, type CallPort, unknownVerb } from "../../cell/stub.ts";
import { hear, raise } from "../../cell/watermarks.ts";
import type { Clock } from "../../clock.ts";
import { FrondError, isFrondError } from "../../errors.ts";
import { QUEUE_FULL_RETRIES, QUEUE_FULL_WAIT_MS } from "../../limits.ts";
import type { Address } from "../../types.ts";
import { giveResponse } from "../door/bodies.ts";
import { type CellEvent, Queues, soon } from "./queues.ts";

/** Who opens the cells. */
export interface CallsHost {
  readonly clock: Clock;
  readonly committer: Committer;
  /** The cell, if it is open: by its class and name, and by its address. */
  openOf(kind: CellKind, name: string): LiveCell | undefined;
  openCell(address: Address): LiveCell | undefined;
  /** The cell, when an event may begin in it now, or what to wait for. Throws when the cell cannot be opened. */
  ready(event: CellEvent, address: Address): LiveCell | Promise<void>;
}

/** See the head of the file. One per node. */
export class Calls implements CallPort {
  readonly queues: Queues;
  readonly #host: CallsHost;

  constructor(host: CallsHost) {
    this.#host = host;
    this.queues = new Queues({
      clock: host.clock,
      ready: (event, address) => host.ready(event, address),
      run: (event, cell) => this.run(event, cell),
      openCell: (address) => host.openCell(address),
    });
  }

  /** See {@link CallPort}. Rejects with UNKNOWN_VERB, STOPPING, and with what opening or the verb throws. */
  call(
    caller: Caller,
    kind: CellKind,
    name: string,
    verb: string,
    args: unknown[],
    options?: CallOptions,
  ): Promise<unknown> {
    let copies: unknown[];
    try {
      copies = verb === "fetch" ? args : cloneArguments(args, verb);
    } catch (error) {
      return Promise.reject(error);
    }
    // The code that is running calls, whoever the stub was made for: a stub in a field serves every verb of its cell.
    const invocation = invocations.getStore() ?? caller.invocation;
    const from = invocation ?? caller;
    const give = verb === "fetch" ? giveResponse(from) : giveCopy;
    const { fail } = from;
    const event: CellEvent = { caller: from, kind, name, what: verb, verb: undefined, args: copies, give, fail };
    const sent = this.#send(event, invocation);
    // Somebody outside whose stub is used by code that runs in a cell hears of the answer too.
    const isInside = invocation === undefined || caller.invocation !== undefined;
    const bounded = options === undefined ? sent : this.#bounded(event, options, sent);
    const given = isInside ? bounded : heardToo(caller, invocation, bounded);
    if (given !== sent) event.answer = given;
    return given;
  }

  /** Runs an event in a cell that is open to it. */
  run(event: CellEvent, cell: LiveCell): Promise<unknown> {
    const { caller, what } = event;
    const verb = event.verb ?? (what === "fetch" ? fetchOf(cell) : cell.kind.verbs.get(what));
    if (verb === undefined) return Promise.reject(unknownVerb(cell.kind, what));
    // What the caller has seen, whoever hears from this cell has seen too.
    hear(caller, cell);
    let result: unknown;
    try {
      result = cell.invoke(what, verb, event.args, event.give, caller.invocation, event.fail);
    } catch (error) {
      result = Promise.reject(error);
    }
    if (!(result instanceof Promise)) {
      const closed = heard(caller, cell);
      return closed === undefined ? Promise.resolve(result) : closed.then(() => result);
    }
    return result.then(
      (value: unknown) => {
        const closed = heard(caller, cell);
        return closed === undefined ? value : closed.then(() => value);
      },
      async (error: unknown) => {
        await heard(caller, cell);
        throw error;
      },
    );
  }

  #send(event: CellEvent, invocation: Invocation | undefined): Promise<unknown> {
    if (invocation === undefined) return this.enter(event);
    // What the fields of a given-up instance hold may never have happened: it tells nobody.
    const failure = invocation.cell.silence(invocation);
    if (failure !== undefined) return Promise.reject(failure);
    // A cell must not run in the middle of another's stretch.
    if (invocation.cell.holdsCalls(invocation)) return this.#hold(event, invocation);
    return new Promise((resolve, reject) => {
      event.fail = reject;
      soon(() => resolve(this.enter(event)));
    });
  }

  /** Keeps a call until the transaction it was made in is committed. */
  #hold(event: CellEvent, invocation: Invocation): Promise<unknown> {
    const { promise, resolve, reject } = Promise.withResolvers<unknown>();
    event.fail = reject;
    invocation.held ??= [];
    invocation.held.push({
      leave: () => soon(() => resolve(this.enter(event))),
      drop: () => {
        // Nobody has to await it: what made the roll-back is told by the verb.
        (event.answer ?? promise).catch(() => {});
        const { kind, name, what } = event;
        const why = "the transaction it was made in was rolled back";
        reject(new FrondError("TX_ABORTED", `the call of ${what} on ${kind.kind}/${name} was dropped: ${why}`));
      },
    });
    return promise;
  }

  /** Lets an event into its cell, at once if it may, else behind those that wait. Rejects with what opening or the verb throws. */
  enter(event: CellEvent, attempt = 0): Promise<unknown> {
    try {
      const cell = this.#host.openOf(event.kind, event.name);
      if (cell?.settle() && !cell.queued && cell.busy === undefined) return this.run(event, cell);
      return this.#later(event);
    } catch (error) {
      // Nothing has happened: for a moment the caller is spared the trouble of trying again.
      if (isFrondError(error, "QUEUE_FULL") && attempt < QUEUE_FULL_RETRIES) return this.#again(event, attempt);
      return Promise.reject(error);
    }
  }

  #later(event: CellEvent): Promise<unknown> {
    const address = rootAddress(event.kind.kind, event.name);
    // Behind those that wait already, the obstacle is theirs.
    if (this.queues.has(address)) return this.queues.add(event, address, Promise.resolve());
    const cell = this.#host.ready(event, address);
    return cell instanceof Promise ? this.queues.add(event, address, cell) : this.run(event, cell);
  }

  #again(event: CellEvent, attempt: number): Promise<unknown> {
    return new Promise((resolve) => {
      this.#host.clock.after(QUEUE_FULL_WAIT_MS * 2 ** attempt, () => resolve(this.enter(event, attempt + 1)));
    });
  }

  /** An answer under the options of its stub. */
  async #bounded(event: CellEvent, options: CallOptions, answer: Promise<unknown>): Promise<unknown> {
    const { caller, kind, name, what } = event;
    const { durability, timeoutMs } = options;
    const { promise: passed, reject } = Promise.withResolvers<never>();
    const cancel =
      timeoutMs === undefined
        ? undefined
        : this.#host.clock.after(timeoutMs, () => {
            const message = `${what} of ${kind.kind}/${name} gave no answer within ${timeoutMs} ms`;
            reject(new FrondError("OUTCOME_UNKNOWN", `${message}; it may have happened, or happen yet`));
          });
    try {
      return await Promise.race([answer, passed]);
    } finally {
      cancel?.();
      if (durability !== undefined) {
        const { committer } = this.#host;
        // Where the cell was closed, all of it is on the disk; where it was given up, it may be the last in the log.
        const lsn = this.#host.openOf(kind, name)?.lastLsn ?? committer.log.appended;
        raise(caller, durability, lsn);
        // A timer of the caller may tell it, too.
        if (durability === "bucket" && lsn > committer.bucketLsn) committer.bucketLsn = lsn;
      }
    }
  }
}

/** The caller hears what the cell knows, by an answer and by an error alike. Returns what it has to wait for. */
function heard(caller: Caller, cell: LiveCell): Promise<void> | undefined {
  hear(cell, caller);
  const { invocation } = caller;
  return invocation?.cell.closedTo(invocation);
}

async function heardToo(caller: Caller, invocation: Invocation, answer: Promise<unknown>): Promise<unknown> {
  try {
    return await answer;
  } finally {
    hear(invocation, caller);
  }
}

function giveCopy(value: unknown, invocation: Invocation): unknown {
  return cloneResult(value, invocation.verb);
}

function fetchOf(cell: LiveCell): Verb | undefined {
  return cell.instance.fetch as Verb | undefined;
}
