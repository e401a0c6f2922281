// The input gate of one cell: whether an event (a call, an alarm, a message of a socket) may begin.
//
// Rule: events begin while the gate is open, in their order. It is closed by a scope that has the cell for itself
// (blockConcurrencyWhile, storage.transaction), by maintenance, and by an asynchronous storage operation until the end of
// the turn of the event loop, so that code written for Durable Objects (`get`, then `put`) meets nobody in between.
// Scopes that want the cell while another one has it wait in their order, before the events that wait.

import type { Invocation } from "./invocation.ts";

/** See the head of the file. Owned by its live cell. */
export class InputGate {
  /** What an event has to wait for before it asks again; undefined: the gate is open. Read for every call. */
  obstacle: Promise<void> | undefined;
  /** The scope that has the cell for itself. */
  holder: Invocation | undefined;
  #opened: PromiseWithResolvers<void> | undefined;
  #maintenance: Promise<void> | undefined;
  #turn: { readonly ended: Promise<void>; readonly end: () => void } | undefined;
  readonly #waiting: { scope: Invocation; go: () => void }[] = [];

  /** Resolves when the scope has the cell. The gate is closed at once. */
  acquire(scope: Invocation): Promise<void> {
    if (this.holder === undefined) {
      this.#give(scope);
      return Promise.resolve();
    }
    return new Promise((go) => this.#waiting.push({ scope, go }));
  }

  /** The scope has ended: the next one has the cell, or the gate opens. */
  release(scope: Invocation): void {
    if (this.holder !== scope) return;
    const opened = this.#opened;
    const next = this.#waiting.shift();
    this.holder = undefined;
    this.#opened = undefined;
    if (next === undefined) this.#refresh();
    else {
      this.#give(next.scope);
      next.go();
    }
    opened?.resolve();
  }

  /** The instance is gone: who waits asks again and finds another one, or is refused with `error`. */
  abandon(error?: unknown): void {
    for (const { go } of this.#waiting.splice(0)) go();
    const opened = this.#opened;
    if (opened === undefined) return;
    if (error === undefined) return opened.resolve();
    opened.reject(error);
  }

  /** The gate stays closed until `work` is done. `work` never rejects. */
  maintain(work: Promise<void>): void {
    this.#maintenance = work;
    this.#refresh();
    // The first to be told, so that events which came later do not overtake those that wait.
    void work.then(() => {
      if (this.#maintenance !== work) return;
      this.#maintenance = undefined;
      this.#refresh();
    });
  }

  get maintained(): boolean {
    return this.#maintenance !== undefined;
  }

  /** The gate stays closed until this turn of the event loop has ended. */
  closeForTurn(): void {
    if (this.#turn !== undefined) return;
    const { promise: ended, resolve } = Promise.withResolvers<void>();
    const end = (): void => {
      if (this.#turn?.end !== end) return;
      this.#turn = undefined;
      this.#refresh();
      resolve();
    };
    this.#turn = { ended, end };
    setImmediate(end);
    this.#refresh();
  }

  /** What was to open the gate may have been lost with its turn of the event loop: it is opened by another one. */
  shaken(): void {
    if (this.#turn !== undefined) setImmediate(this.#turn.end);
    if (this.#maintenance !== undefined) this.maintain(this.#maintenance);
  }

  /** Resolves when the present scope has ended. */
  get opened(): Promise<void> | undefined {
    return this.#opened?.promise;
  }

  #give(scope: Invocation): void {
    this.holder = scope;
    this.#opened = Promise.withResolvers();
    // Nobody has to wait for it.
    this.#opened.promise.catch(() => {});
    this.#refresh();
  }

  #refresh(): void {
    this.obstacle = this.#maintenance ?? this.#opened?.promise ?? this.#turn?.ended;
  }
}
