// Who is running: the identity of one call of a verb.
//
// Rule: every statement belongs to exactly one invocation, found through AsyncLocalStorage, so two verbs never share a
// transaction however their awaits interleave. A statement outside any invocation, or after its end, is refused.
// Rejected: "commit in a microtask" without identity (a verb resumed in between writes into another's transaction).

import { AsyncLocalStorage } from "node:async_hooks";
import type { Lsn } from "../types.ts";
import type { Verb } from "./app.ts";
import type { Cell } from "./cell.ts";
import type { LiveCell } from "./live.ts";

/** Whoever calls a verb: a request at the front door, a service of the app, or another cell. */
export interface Caller {
  /** What the caller has seen: its answers leave the node only when this lsn is durable. */
  lsn: Lsn;
  /** The calling invocation, when a cell calls. */
  readonly invocation: Invocation | undefined;
}

/** One call of a verb of one cell. */
export class Invocation implements Caller {
  readonly cell: LiveCell;
  /** Name of the verb, for messages. */
  readonly verb: string;
  /** The first synchronous stretch of a verb that is not declared async is running; a sync verb never leaves it. */
  sync: boolean;
  done = false;
  /** The failure that ended its transaction; everything it does from then on fails with it. */
  failed: unknown = undefined;
  /** Calls of stubs made inside the open transaction: they leave after its commit, and are dropped with it. */
  held: HeldCall[] | undefined;

  constructor(cell: LiveCell, verb: string, sync: boolean) {
    this.cell = cell;
    this.verb = verb;
    this.sync = sync;
  }

  /** What a cell has seen, every verb of it can know: they share its fields. */
  get lsn(): Lsn {
    return this.cell.lsn;
  }

  set lsn(lsn: Lsn) {
    this.cell.lsn = lsn;
  }

  get invocation(): Invocation {
    return this;
  }
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
