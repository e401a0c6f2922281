// Callers outside of cells: a request at the front door, and a service of the app.
//
// Rule (law 5): nobody outside hears of a commit that is not as durable as was asked. A request collects what its calls have
// seen, and its response waits once, at the end; a service has no such end, so each of its answers waits.

import type { App } from "../../cell/app.ts";
import type { Caller, Fail } from "../../cell/invocation.ts";
import { type CallPort, type Get, Stubs } from "../../cell/stub.ts";
import type { Lsn } from "../../types.ts";

/** Calls `done` once everything before `lsn` is on the disk, and everything before `bucketLsn` in the bucket. */
export type Gate = (lsn: Lsn, bucketLsn: Lsn, done: () => void) => void;

/** One request, or one call of a service. */
export class Session implements Caller {
  lsn = 0 as Lsn;
  bucketLsn = 0 as Lsn;
  readonly invocation = undefined;
  fail: Fail | undefined;
  readonly #gate: Gate | undefined;

  /** Without a gate, what was seen may be told at any time: for callers inside the node. */
  constructor(gate?: Gate) {
    this.#gate = gate;
  }

  /** Resolves when what was seen so far may be told. */
  told(): Promise<void> {
    const gate = this.#gate;
    if (gate === undefined) return Promise.resolve();
    return new Promise((resolve) => gate(this.lsn, this.bucketLsn, resolve));
  }
}

/** A `get` whose every answer, errors included, waits until it may be told. */
export function gatedGet(app: App, port: CallPort, gate: Gate): Get {
  const gated: CallPort = {
    call(_caller, kind, name, verb, args, options): Promise<unknown> {
      const session = new Session(gate);
      return new Promise((resolve, reject) => {
        session.fail = reject;
        // What is left of a call, a body that is being read, must not hold its answer.
        const told = (tell: () => void): void =>
          void session.told().then(() => {
            tell();
            session.fail = undefined;
          });
        port.call(session, kind, name, verb, args, options).then(
          (value) => told(() => resolve(value)),
          (error: unknown) => told(() => reject(error)),
        );
      });
    },
  };
  return new Stubs(app, gated).getFor(new Session());
}
