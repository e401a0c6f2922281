// The input gate of one cell: whether an event (a call, an alarm, a message of a socket) may begin.
//
// Rule: events begin while the gate is open, in their order. It is closed by a scope that has the cell for itself
// (blockConcurrencyWhile, storage.transaction), by maintenance, and by an asynchronous storage operation until the end of
// the turn of the event loop, so that code written for Durable Objects (`get`, then `put`) meets nobody in between: neither
// an event that begins, nor an answer, nor a verb that runs already and came on in the same turn.
// Scopes that want the cell while another one has it wait in their order, before the events that wait.

import type { Invocation } from "./invocation.ts";

/** See the head of the file. Owned by its live cell. */
export class InputGate {
  /** What an event has to wait for before it asks again; undefined: the gate is open. Read for every call. */
  obstacle: Promise<void> | undefined;
  /** The scope that has the cell for itself. */
  holder: Invocation | undefined;
  #opened: PromiseWithResolvers<void> | undefined;
  /** Answers that wait until no scope has the cell. */
  #answers: PromiseWithResolvers<void> | undefined;
  #maintenance: Promise<void> | undefined;
  /** Ends when nobody has a turn any more. */
  #turn: PromiseWithResolvers<void> | undefined;
  #turnOf: Invocation | undefined;
  /** The turn is for those who come on after a scope. */
  #answering = false;
  #turnNumber = 0;
  #turns: { invocation: Invocation; go: () => void }[] = [];
  readonly #waiting: { scope: Invocation; go: () => void }[] = [];

  /**
   * Resolves when the scope has the cell. The gate is closed at once, but for those who come on after a scope and want the
   * next one while events wait (`awaited`): those have their turn first, else a verb that goes from one to the next would
   * keep them waiting for as long as it runs.
   */
  acquire(scope: Invocation, awaited: boolean): Promise<void> {
    if (this.holder === undefined) {
      if (awaited && this.#answering && this.#turnOf !== scope.parent && this.#turn !== undefined)
        return this.#turn.promise.then(() => this.acquire(scope, false));
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
    if (next === undefined) {
      this.#letAnswersIn(scope);
      this.#refresh();
    } else {
      this.#give(next.scope);
      next.go();
    }
    opened?.resolve();
  }

  /** The instance is gone: who waits asks again and finds another one, or is refused with `error`. */
  abandon(error?: unknown): void {
    for (const { go } of this.#waiting.splice(0)) go();
    this.#answers?.resolve();
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

  /**
   * Gives the invocation this turn of the event loop: until it has ended the gate stays closed, and asynchronous operations of
   * others wait. Where it is another's already: resolves when a turn of its own has come.
   */
  takeTurn(invocation: Invocation): Promise<void> | undefined {
    if (this.#turnOf === invocation) return undefined;
    if (this.#turnOf !== undefined) return new Promise((go) => this.#turns.push({ invocation, go }));
    this.#turnOf = invocation;
    this.#turn = Promise.withResolvers();
    this.#refresh();
    this.#endTurn();
    return undefined;
  }

  /** Resolves when it is no longer the turn of somebody else. */
  turnOfOthers(invocation: Invocation): Promise<void> | undefined {
    return this.#turnOf === invocation ? undefined : this.#turn?.promise;
  }

  /** What was to open the gate may have been lost with its turn of the event loop: it is opened by another one. */
  shaken(): void {
    if (this.#turn !== undefined) this.#endTurn();
    if (this.#maintenance !== undefined) this.maintain(this.#maintenance);
  }

  /** Resolves when the present scope has ended. */
  get opened(): Promise<void> | undefined {
    return this.#opened?.promise;
  }

  /** Resolves when no scope has the cell any more. */
  free(): Promise<void> | undefined {
    if (this.holder === undefined) return undefined;
    this.#answers ??= Promise.withResolvers();
    return this.#answers.promise;
  }

  /** Before the events that wait, which wait on until this turn of the event loop has ended: else they could for ever be first. */
  #letAnswersIn(ended: Invocation): void {
    const answers = this.#answers;
    if (answers === undefined) return;
    this.#answers = undefined;
    this.#answering = true;
    if (this.#turn === undefined) {
      this.#turnOf = ended;
      this.#turn = Promise.withResolvers();
      this.#endTurn();
    }
    answers.resolve();
  }

  /** Ends the turn when the event loop does, once, however often it is asked to. */
  #endTurn(): void {
    const number = ++this.#turnNumber;
    setImmediate(() => {
      if (number === this.#turnNumber) this.#nextTurn();
    });
  }

  #nextTurn(): void {
    const next = this.#turns[0]?.invocation;
    this.#answering = false;
    this.#turnOf = next;
    if (next === undefined) {
      const turn = this.#turn;
      this.#turn = undefined;
      this.#refresh();
      return turn?.resolve();
    }
    this.#endTurn();
    // All that it wants, in its order.
    const mine = this.#turns.filter(({ invocation }) => invocation === next);
    this.#turns = this.#turns.filter(({ invocation }) => invocation !== next);
    for (const { go } of mine) go();
  }

  #give(scope: Invocation): void {
    this.holder = scope;
    this.#opened = Promise.withResolvers();
    // Nobody has to wait for it.
    this.#opened.promise.catch(() => {});
    this.#refresh();
  }

  #refresh(): void {
    this.obstacle = this.#maintenance ?? this.#opened?.promise ?? this.#turn?.promise;
  }
}
