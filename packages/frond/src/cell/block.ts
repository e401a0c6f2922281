// Scopes: work over several awaits that has the cell for itself: blockConcurrencyWhile and the async storage.transaction.
//
// Rule: the input gate is closed from the moment the scope is asked for until it has ended; the work begins in a turn of its
// own, when the stretch that asked has been committed. What asked lives on as long as its scope does, so a constructor
// need not wait for it. A scope that takes too long, and a blockConcurrencyWhile that throws, give the instance up, as
// they do in a Durable Object: who waits behind them finds a new one.
// Out of the scope calls leave at once, since it waits for their answers; one that comes back is told REENTRANT.

import { FrondError } from "../errors.ts";
import { MAX_BLOCK_MS } from "../limits.ts";
import { dropCalls, endsAfter, Invocation, invocations, isWithin, releaseCalls } from "./invocation.ts";
import type { LiveCell } from "./live.ts";

/** Runs `work` with the input gate closed. Rejects with what it throws; the instance is then given up. */
export function blockConcurrencyWhile<T>(cell: LiveCell, work: () => T | Promise<T>): Promise<T> {
  return withCell(cell, "blockConcurrencyWhile", false, async () => {
    try {
      return await work();
    } catch (error) {
      // Before the gate opens: who waits must not meet this instance any more.
      const { stumbled } = invocations.getStore() as Invocation;
      const before = stumbled instanceof Error && stumbled !== error ? `; before that: ${stumbled.message}` : "";
      const message = (error instanceof Error ? error.message : String(error)) + before;
      const what = `blockConcurrencyWhile of ${cell.address} failed`;
      const code = cell.activating ? "ACTIVATION_FAILED" : "ABORTED";
      cell.reset(new FrondError(code, `${what}: ${message}`, { cause: error }));
      throw error;
    }
  });
}

/** Runs `work` as one transaction over its awaits: all or nothing. Rejects with what it throws. */
export function transactionOverAwaits<T>(cell: LiveCell, work: (scope: Invocation) => T | Promise<T>): Promise<T> {
  return withCell(cell, "storage.transaction", true, work);
}

function withCell<T>(
  cell: LiveCell,
  what: string,
  long: boolean,
  work: (scope: Invocation) => T | Promise<T>,
): Promise<T> {
  const asking = cell.known();
  const { gate } = cell;
  const nestedIn = cell.tx.exclusive === asking;
  if (nestedIn && long) throw nested(cell, asking);
  const wish = wishFor(cell, what);
  if (nestedIn) {
    // Its transaction has the cell for itself already.
    wish.told = Promise.resolve().then(() => {
      if (wish.dropped !== undefined) throw wish.dropped;
      return work(asking);
    });
    return wish.told as Promise<T>;
  }
  const scope = new Invocation(cell, what, false, asking);
  const inside = gate.holder !== undefined && isWithin(asking, gate.holder);
  const turn = inside ? Promise.resolve() : gate.acquire(scope, cell.queued);
  let free: Promise<void> | undefined;
  const done = turn
    .then(() => run(cell, { asking, scope, long, inside, wish }, work))
    .finally(() => {
      // What it left to waitUntil goes on by stretches; behind a transaction nothing does.
      if (scope.pending > 0 && !long) scope.answered = true;
      else scope.done = true;
      if (inside) return;
      // Who asked goes on as with any answer: when no scope has the cell, before the events that wait.
      free = cell.closedTo(asking);
      gate.release(scope);
      if (cell.activating && gate.holder === undefined) cell.activating = false;
    });
  const { activating } = cell;
  const ended = done.then(
    () => {},
    (err: unknown) => {
      // What a constructor began is told to those who wait for the cell.
      if (long || activating || !asking.answered || wish.dropped !== undefined) return;
      const fields = { address: cell.address, verb: asking.verb, err };
      cell.host.warn(fields, `a ${what} failed that its verb had not awaited: the instance was given up`);
    },
  );
  // The gate is the outer scope's: opened before this one has ended, it would let events in beside it.
  cell.extend(asking, inside ? endsAfter(asking, ended) : ended);
  if (inside) return done;
  const told = done.finally(() => free);
  told.catch(() => {});
  return told;
}

interface Wish {
  dropped: FrondError | undefined;
  /** What who asked was given. */
  told: Promise<unknown> | undefined;
}

/** That a scope be. What was asked for in a transaction that is rolled back never happens, as with a call. */
function wishFor(cell: LiveCell, what: string): Wish {
  const wish: Wish = { dropped: undefined, told: undefined };
  const drop = (): void => {
    const why = "the transaction it was asked for in was rolled back";
    wish.dropped = new FrondError("TX_ABORTED", `a ${what} of ${cell.address} did not begin: ${why}`);
    // Nobody has to await it.
    wish.told?.catch(() => {});
  };
  cell.whenCommitted(() => {}, drop);
  return wish;
}

interface Scope {
  readonly asking: Invocation;
  readonly scope: Invocation;
  readonly long: boolean;
  /** It is a part of the scope that has the cell. */
  readonly inside: boolean;
  readonly wish: Wish;
}

async function run<T>(cell: LiveCell, how: Scope, work: (scope: Invocation) => T | Promise<T>): Promise<T> {
  const { tx } = cell;
  const { scope, long } = how;
  const { promise: freed, resolve: free } = Promise.withResolvers<void>();
  const limit = timeLimit(cell, scope);
  try {
    await Promise.race([begin(cell, how, freed), limit.passed]);
    const value = await Promise.race([invocations.run(scope, whole, scope, work), limit.passed]);
    if (scope.failed !== undefined) throw scope.failed;
    if (cell.broken !== undefined) throw cell.broken;
    if (long && tx.owner === scope) tx.commit(scope);
    else if (long) releaseCalls(scope);
    return value;
  } catch (error) {
    if (long && tx.owner === scope) tx.rollback(scope);
    dropCalls(scope, 0);
    throw scope.failed ?? error;
  } finally {
    limit.cancel();
    if (tx.exclusive === scope) tx.exclusive = undefined;
    free();
  }
}

/** Has the cell for the scope alone. */
async function begin(
  cell: LiveCell,
  { asking, scope, long, inside, wish }: Scope,
  freed: Promise<void>,
): Promise<void> {
  const { tx } = cell;
  // Verbs whose answers came before the gate was closed come to their next await first: their statements would be refused.
  // The scope is counted, and the verb that asked if it has no answer yet.
  const own = asking.answered ? 1 : 2;
  if (!inside && cell.running > own) await new Promise((resolve) => setImmediate(resolve));
  tx.commitOpenStretch();
  if (asking.failed !== undefined) throw asking.failed;
  if (cell.broken !== undefined) throw cell.broken;
  if (wish.dropped !== undefined) throw wish.dropped;
  scope.long = long;
  if (!long) return;
  // Scopes inside of one scope do not wait for each other at the gate.
  while (tx.exclusive !== undefined) await tx.freed;
  tx.exclusive = scope;
  tx.freed = freed;
}

/** The work, and the asynchronous operations that it began and did not await. */
async function whole<T>(scope: Invocation, work: (scope: Invocation) => T | Promise<T>): Promise<T> {
  try {
    return await work(scope);
  } finally {
    while (scope.late !== undefined) await scope.late;
  }
}

interface Limit {
  readonly passed: Promise<never>;
  cancel(): void;
}

function timeLimit(cell: LiveCell, scope: Invocation): Limit {
  const { promise: passed, reject } = Promise.withResolvers<never>();
  // When the work ends first, nobody waits for this any more.
  passed.catch(() => {});
  const cancel = cell.host.clock.after(MAX_BLOCK_MS, () => {
    const what = `${scope.verb} of ${cell.address} took longer than ${MAX_BLOCK_MS} ms`;
    const error = new FrondError("ABORTED", `${what}; its work was undone as far as it was not committed`);
    reject(error);
    cell.reset(error);
  });
  return { passed, cancel };
}

function nested(cell: LiveCell, asking: Invocation): FrondError {
  const what = `${cell.address}.${asking.verb} began a storage.transaction while one of its own is open`;
  return new FrondError("TX_ABORTED", `${what}; use transactionSync inside, or await the first`);
}
