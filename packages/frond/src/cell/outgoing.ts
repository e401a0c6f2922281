// What leaves a cell other than its answers: requests to other servers, and the wait for the disk or the bucket.
//
// Rule (law 5): nothing leaves before the commits that it may tell of are as durable as was asked; what a rolled-back
// transaction wanted to send never leaves. What other packages send is not seen by frond: `await this.durable()` first.

import { FrondError } from "../errors.ts";
import type { Durability, Lsn } from "../types.ts";
import { type Invocation, invocations } from "./invocation.ts";
import type { LiveCell } from "./live.ts";
import { checkLevel, raise } from "./watermarks.ts";

/**
 * Resolves when everything that the cell has committed or heard of so far is as durable as its class asks, and at `level`.
 * Rejects with TX_ABORTED in a transaction over awaits that has written, since what that knows is durable after its end, and
 * with BAD_OPTION.
 */
export async function durable(cell: LiveCell, level?: Durability): Promise<void> {
  if (level !== undefined) checkLevel("the level of durable()", level);
  refuseInTransaction(cell, "durable()", "call it");
  // What it heard of from cells at `memory` is in no watermark, and in the log by now, like everything else.
  return told(cell, level, ({ host }) => host.committer.log.appended);
}

/** Resolves when everything that the cell has committed so far is as durable as its class asks, at least on the disk. */
export function synced(cell: LiveCell): Promise<void> {
  return told(cell, "disk", ({ lastLsn }) => lastLsn);
}

/** `through`: up to where the log has to be at `level`. */
async function told(cell: LiveCell, level: Durability | undefined, through: (cell: LiveCell) => Lsn): Promise<void> {
  const asking = cell.enter();
  // The stretch that asks ends first: what it wrote counts.
  await undefined;
  if (!cell.tx.isMidway) cell.tx.commitOpenStretch();
  if (asking.failed !== undefined) throw asking.failed;
  const { lsn, bucketLsn } = cell;
  const known = { lsn, bucketLsn };
  raise(known, level, through(cell));
  const { host } = cell;
  if (!host.committer.log.covers(known.lsn, known.bucketLsn))
    await new Promise<void>((resolve) => host.whenTold(known.lsn, known.bucketLsn, resolve));
  await cell.closedTo(asking);
}

/** The global fetch, behind the output gate. */
export function fetchOut(cell: LiveCell, input: string | URL | Request, init?: RequestInit): Promise<Response> {
  const asking = invocations.getStore();
  if (asking !== undefined && asking.cell === cell && !asking.done) {
    // What another's transaction has set in fields may yet be taken back.
    const { exclusive, freed } = cell.tx;
    if (exclusive !== undefined && exclusive !== asking && freed !== undefined)
      return freed.then(() => fetchOut(cell, input, init));
  }
  try {
    mayTell(cell, asking);
  } catch (error) {
    return Promise.reject(error);
  }
  const { promise, resolve, reject } = Promise.withResolvers<Response>();
  const closed = (): Promise<void> | undefined => (asking?.cell === cell ? cell.closedTo(asking) : undefined);
  const answer = promise.then(gated).finally(closed);
  const go = (): void => resolve(globalThis.fetch(input, init));
  cell.whenCommitted(
    () => {
      const { lsn, bucketLsn, host } = cell;
      if (host.committer.log.covers(lsn, bucketLsn)) go();
      else host.whenTold(lsn, bucketLsn, go);
    },
    () => {
      // Nobody has to await it: what made the roll-back is told by the verb.
      answer.catch(() => {});
      const what = `a request of ${cell.address} was not sent`;
      reject(new FrondError("TX_ABORTED", `${what}: the transaction it was made in was rolled back`));
    },
  );
  return answer;
}

const READERS = ["arrayBuffer", "blob", "bytes", "formData", "json", "text"] as const;

/** A body that is read whole is an answer too: who reads it goes on when no scope has the cell. */
function gated(response: Response): Response {
  // Tests of an app may have put something else in its place.
  if (!(response instanceof Response)) return response;
  for (const name of READERS) {
    const read = response[name].bind(response) as () => Promise<unknown>;
    const value = (): Promise<unknown> => {
      const reading = invocations.getStore();
      return reading === undefined ? read() : read().finally(() => reading.cell.closedTo(reading));
    };
    Object.defineProperty(response, name, { value, configurable: true, writable: true });
  }
  return response;
}

/** Throws where nothing may leave: what this code knows was taken back, or would leave before the commit it is part of. */
function mayTell(cell: LiveCell, asking: Invocation | undefined): void {
  refuseInTransaction(cell, "ctx.fetch", "fetch");
  // What another verb has set in fields must be in the log before it is told.
  if (cell.tx.owner !== asking) cell.settle();
  const failure = cell.silence(asking);
  if (failure !== undefined) throw failure;
}

/** It would wait for the end of what waits for it. */
function refuseInTransaction(cell: LiveCell, what: string, todo: string): void {
  const asking = invocations.getStore();
  if (asking === undefined || !asking.long || cell.tx.owner !== asking) return;
  const where = `${what} in a storage.transaction of ${cell.address} that has written`;
  throw new FrondError("TX_ABORTED", `${where}; nothing leaves before its end: ${todo} outside of it`);
}
