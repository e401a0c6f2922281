// What is wrong when code uses a cell that it may not use now: said with who, where, and what to do instead.

import { FrondError } from "../errors.ts";
import type { Invocation } from "./invocation.ts";
import type { LiveCell } from "./live.ts";

/** A statement that belongs to nobody, or to somebody who is not on. */
export function stray(cell: LiveCell, invocation: Invocation | undefined): FrondError {
  let where = "outside of any verb (a timer or an event that no verb waits for?)";
  if (invocation !== undefined) {
    if (invocation.cell !== cell) {
      where = `by ${invocation.cell.address}; a cell is reached through a stub: this.get(...)`;
    } else if (invocation.done) {
      where = `after its verb ${invocation.verb} had ended; await what it starts`;
    } else {
      where = `by its verb ${invocation.verb} in the middle of ${cell.tx.owner?.verb ?? "another"}, which called into it`;
    }
  }
  return new FrondError("STRAY_STATEMENT", `${cell.address} was used ${where}`);
}

/** A statement beside a scope that has the cell for itself. */
export function closed(cell: LiveCell, invocation: Invocation): FrondError {
  const who = `${cell.address} was used by its verb ${invocation.verb}`;
  const why = `while ${cell.tx.exclusive?.verb ?? "a transaction"} has the cell for itself`;
  return new FrondError("CELL_BUSY", `${who} ${why}; calls wait for that by themselves, timers do not`);
}

/** A statement behind deleteAll in a sync verb. */
export function erased(cell: LiveCell, invocation: Invocation): FrondError {
  const what = `${cell.address}.${invocation.verb} goes on after deleteAll`;
  return new FrondError("TX_ABORTED", `${what}, which happens when a sync verb commits; make it async, or end there`);
}
