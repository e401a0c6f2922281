// Callers outside of cells: a request at the front door, and a service of the app.
//
// Rule (law 5): nobody outside hears of a commit that is not as durable as was asked. A request collects what its calls have
// seen, and its response waits once, at the end; a service has no such end, so each of its answers waits.

import type { App, CellKind } from "../cell/app.ts";
import type { Caller } from "../cell/invocation.ts";
import { type CallPort, type Get, Stubs } from "../cell/stub.ts";
import type { Lsn } from "../types.ts";

/** Calls `done` once everything before `lsn` is durable. */
export type Gate = (lsn: Lsn, done: () => void) => void;

/** One request, or one call of a service. */
export class Session implements Caller {
  lsn = 0 as Lsn;
  readonly invocation = undefined;

  /** Resolves when what was seen so far may be told. */
  told(gate: Gate): Promise<void> {
    return new Promise((resolve) => gate(this.lsn, resolve));
  }
}

/** A `get` whose every answer, errors included, waits until it may be told. */
export function gatedGet(app: App, port: CallPort, gate: Gate): Get {
  const gated: CallPort = {
    async call(_caller: Caller, kind: CellKind, name: string, verb: string, args: unknown[]): Promise<unknown> {
      const session = new Session();
      try {
        return await port.call(session, kind, name, verb, args);
      } finally {
        await session.told(gate);
      }
    },
  };
  return new Stubs(app, gated).getFor(new Session());
}
