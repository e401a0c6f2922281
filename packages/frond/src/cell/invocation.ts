// Who is running: the identity of one call of a verb.
//
// Rule: every statement belongs to exactly one invocation, found through AsyncLocalStorage, so two verbs never share a
// transaction however their awaits interleave. A statement outside any invocation, or after its end, is refused.
// An invocation knows who waits for it, so a call that comes back to a cell whose gate its own callers hold is told at
// once (REENTRANT) and not left waiting for itself.
// Rejected: "commit in a microtask" without identity (a verb resumed in between writes into another's transaction); one
// id per chain of calls (two calls made side by side by one caller do not wait for each other, and must not be refused).

import { AsyncLocalStorage } from "node:async_hooks";
import type { Lsn } from "../types.ts";
import type { Verb } from "./app.ts";
import type { Cell } from "./cell.ts";
import type { LiveCell } from "./live.ts";
import type { Watermarks } from "./watermarks.ts";

/** Ends the wait of a caller whose answer will never come by itself. */
export type Fail = (error: unknown) => void;

/** Whoever calls a verb: a request at the front door, a service of the app, or another cell; and what it has seen. */
export interface Caller extends Watermarks {
  /** The calling invocation, when a cell calls. */
  readonly invocation: Invocation | undefined;
  /** Ends the caller's own wait, for a caller outside of cells. */
  readonly fail?: Fail | undefined;
}

/** One call of a verb of one cell, or a part of one that has the cell for itself (a scope, see block.ts). */
export class Invocation implements Caller {
  readonly cell: LiveCell;
  /** Name of the verb, for messages. */
  readonly verb: string;
  /** The first synchronous stretch of a verb that is not declared async is running; a sync verb never leaves it. */
  sync: boolean;
  /** Its transaction lasts over awaits, until the scope ends. */
  long = false;
  /** It has deleted the cell, which happens when it commits: nothing may follow. */
  erases = false;
  done = false;
  /** It is answered, and lives on for the work that it told the runtime to wait for. */
  answered = false;
  /** Pieces of such work. Count. */
  pending = 0;
  /** Stretches that were committed. Count. */
  commits = 0;
  /** The failure that ended its transaction; everything it does from then on fails with it. */
  failed: unknown = undefined;
  /** The last failure of a statement, for messages: some libraries throw another one instead. */
  stumbled: unknown = undefined;
  /** Calls of stubs made inside the open transaction: they leave after its commit, and are dropped with it. */
  held: HeldCall[] | undefined;
  /** What it began and does not end before: operations of the storage that wait for their turn, scopes inside of a scope. */
  late: Promise<void> | undefined;
  /** Rejects what its caller waits for, should its code never come to an end. */
  fail: Fail | undefined;
  #parent: Invocation | undefined;

  constructor(cell: LiveCell, verb: string, sync: boolean, parent?: Invocation | undefined) {
    this.cell = cell;
    this.verb = verb;
    this.sync = sync;
    // Those that have ended hold nothing; kept, cells that call each other in turns would grow a chain for ever.
    if (parent !== undefined) parent.#parent = living(parent.#parent);
    this.#parent = living(parent);
  }

  /** What a cell has seen, every verb of it can know: they share its fields. */
  get lsn(): Lsn {
    return this.cell.lsn;
  }

  set lsn(lsn: Lsn) {
    this.cell.lsn = lsn;
  }

  get bucketLsn(): Lsn {
    return this.cell.bucketLsn;
  }

  set bucketLsn(lsn: Lsn) {
    this.cell.bucketLsn = lsn;
  }

  get invocation(): Invocation {
    return this;
  }

  /** Whoever waits for this one: the invocation that called, or the one that asked for the scope. */
  get parent(): Invocation | undefined {
    return this.#parent;
  }
}

function living(invocation: Invocation | undefined): Invocation | undefined {
  let one = invocation;
  while (one?.done === true) one = one.parent;
  return one;
}

/** True if `holder` is the invocation itself or waits for it. */
export function isWithin(invocation: Invocation | undefined, holder: Invocation): boolean {
  for (let one = invocation; one !== undefined; one = one.parent) if (one === holder) return true;
  return false;
}

/** A call that waits for the commit of the transaction it was made in. */
export interface HeldCall {
  leave(): void;
  drop(): void;
}

/** The invocation of the code that is running. */
export const invocations = new AsyncLocalStorage<Invocation>();

const AsyncFunction = (async () => {}).constructor;

/** Declared async: every stretch of it is known for one from its start. */
export function isAsync(verb: Verb): boolean {
  return verb instanceof AsyncFunction;
}

/** Calls a verb. What it promises is always a native promise. */
export function call(verb: Verb, instance: Cell, args: unknown[]): unknown {
  const result = verb.apply(instance, args);
  // Here, because query builders run their query in `then`: it belongs to the verb.
  return isThenable(result) ? Promise.resolve(result) : result;
}

/** Calls a hook inside of its event: one that is declared async runs by stretches from its start, as a verb does. */
export function callHook(hook: (...args: never[]) => unknown, instance: Cell, args: unknown[]): unknown {
  const invocation = invocations.getStore();
  if (invocation !== undefined && isAsync(hook as Verb)) invocation.sync = false;
  return hook.apply(instance, args as never[]);
}

/** The invocation does not end before `work`, nor before what it has to wait for already. `work` never rejects. */
export function endsAfter(invocation: Invocation, work: Promise<void>): Promise<void> {
  const late = Promise.all([invocation.late, work]).then(() => {
    if (invocation.late === late) invocation.late = undefined;
  });
  invocation.late = late;
  return late;
}

/** The transaction is committed: what was called in it leaves. */
export function releaseCalls(invocation: Invocation): void {
  const { held } = invocation;
  invocation.held = undefined;
  if (held !== undefined) for (const one of held) one.leave();
}

/** The transaction is rolled back: what was called in it, from the call numbered `from` on, never leaves. */
export function dropCalls(invocation: Invocation, from: number): void {
  for (const one of invocation.held?.splice(from) ?? []) one.drop();
}

/** Something that can be awaited. */
export function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof value === "object" && value !== null && typeof (value as { then?: unknown }).then === "function";
}
