// What leaves a cell other than its answers: requests to other servers, and the wait for the disk.
//
// Rule (law 5): nothing leaves before the commits that it may tell of are as durable as was asked; what a rolled-back
// transaction wanted to send never leaves. What other packages send is not seen by frond: `await this.durable()` first.

import { FrondError } from "../errors.ts";
import type { Lsn } from "../types.ts";
import { invocations } from "./invocation.ts";
import type { LiveCell } from "./live.ts";

/** Resolves when everything that the cell has committed or heard of so far is as durable as its class asks. */
export function durable(cell: LiveCell): Promise<void> {
  return told(cell, () => cell.lsn);
}

/** Resolves when everything that the cell has committed so far is on the disk, whatever its class asks. */
export function synced(cell: LiveCell): Promise<void> {
  return told(cell, () => (cell.lastLsn > cell.lsn ? cell.lastLsn : cell.lsn));
}

async function told(cell: LiveCell, lsnOf: () => Lsn): Promise<void> {
  const asking = cell.enter();
  // The stretch that asks ends first: what it wrote counts.
  await undefined;
  if (!cell.tx.isMidway) cell.tx.commitOpenStretch();
  if (asking.failed !== undefined) throw asking.failed;
  const lsn = lsnOf();
  if (lsn > cell.host.committer.log.durable) await new Promise<void>((resolve) => cell.host.whenTold(lsn, resolve));
  await cell.closedTo(asking);
}

/** The global fetch, behind the output gate. */
export function fetchOut(cell: LiveCell, input: string | URL | Request, init?: RequestInit): Promise<Response> {
  const asking = invocations.getStore();
  // It would wait for the end of what waits for it.
  if (asking?.cell === cell && asking.long && cell.tx.owner === asking) {
    const what = `ctx.fetch in a storage.transaction of ${cell.address} that has written`;
    return Promise.reject(new FrondError("TX_ABORTED", `${what}; nothing leaves before its end: fetch outside of it`));
  }
  const { promise, resolve, reject } = Promise.withResolvers<Response>();
  const go = (): void => resolve(globalThis.fetch(input, init));
  cell.whenCommitted(
    () => {
      if (cell.lsn > cell.host.committer.log.durable) cell.host.whenTold(cell.lsn, go);
      else go();
    },
    () => {
      // Nobody has to await it: what made the roll-back is told by the verb.
      promise.catch(() => {});
      const what = `a request of ${cell.address} was not sent`;
      reject(new FrondError("TX_ABORTED", `${what}: the transaction it was made in was rolled back`));
    },
  );
  if (asking === undefined || asking.cell !== cell) return promise;
  return promise.finally(() => cell.closedTo(asking));
}
