// Who is running: the identity of one call of a verb.
//
// Rule: every statement belongs to exactly one invocation, found through AsyncLocalStorage, so two verbs never share a
// transaction however their awaits interleave. A statement outside any invocation, or after its end, is refused.
// Rejected: "commit in a microtask" without identity (a verb resumed in between writes into another's transaction).

import { AsyncLocalStorage } from "node:async_hooks";
import type { Lsn } from "../types.ts";
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
  lsn = 0 as Lsn;
  /** The first synchronous stretch is running; a sync verb never leaves it. */
  sync = true;
  done = false;
  /** The failure that ended its transaction; everything it does from then on fails with it. */
  failed: unknown = undefined;
  /** Calls of stubs made inside the open transaction: they leave after its commit, and are dropped with it. */
  held: HeldCall[] | undefined;

  constructor(cell: LiveCell, verb: string) {
    this.cell = cell;
    this.verb = verb;
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
