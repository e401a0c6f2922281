// Activation: from an open file to a live cell.
//
// Rule: migrations and the constructor are one transaction. For a cell that exists, what they change is a record of its own;
// for one that does not, it is kept until the first commit of a verb, so that looking at a cell leaves nothing.

import { FrondError } from "../errors.ts";
import type { CellEntry } from "../store/catalog.ts";
import type { CellDatabase } from "../store/database.ts";
import type { Address, Durability, Slot } from "../types.ts";
import type { CellKind } from "./app.ts";
import { CellContext } from "./context.ts";
import { Invocation } from "./invocation.ts";
import { type CellHost, LiveCell, type Unconfirmed } from "./live.ts";
import { write } from "./statements.ts";
import { migrate } from "./migrate.ts";

/** What a cell is activated with. */
export interface Activation {
  readonly kind: CellKind;
  readonly name: string;
  readonly address: Address;
  readonly slot: Slot;
  readonly durability: Durability;
  readonly db: CellDatabase;
  readonly entry: CellEntry | undefined;
  /** What the instance before it has left to wait for. */
  readonly unconfirmed: Unconfirmed | undefined;
  /** What the new file was made of, when it was: its migrations have run. */
  readonly template: Uint8Array | undefined;
  /** Leave the schema alone: for tools that open a cell without its class. */
  readonly raw: boolean;
}

/**
 * Makes a live cell. Throws MIGRATION_*, SCHEMA_NEWER, ACTIVATION_FAILED (the constructor threw); the file is then closed
 * again, and removed when the cell does not exist.
 */
export function activate(host: CellHost, a: Activation, parent?: Invocation): LiveCell {
  const cell = new LiveCell(host, a.kind, a.name, a.address, a.slot, a.durability, a.db, a.entry);
  const fresh = !cell.exists;
  if (a.unconfirmed !== undefined) cell.takeOver(a.unconfirmed);
  if (a.template !== undefined) cell.beginWith(a.template);
  const invocation = new Invocation(cell, "constructor", true, parent);
  try {
    cell.within(
      invocation,
      () => {
        if (!a.raw && a.template === undefined)
          migrate(a.kind, a.address, a.db, fresh, () => write(cell, "migrations", () => {}));
        cell.instance = construct(cell);
      },
      [],
      (value) => value,
    );
  } catch (error) {
    host.marker.release(cell.mark);
    cell.mark = 0;
    if (cell.broken === undefined) {
      // For what the constructor has begun, a scope or a timer: it finds no file any more.
      cell.broken = error instanceof FrondError ? error : failed(cell, error);
      if (fresh) a.db.discard();
      else a.db.close();
    }
    throw error;
  }
  cell.activated(invocation);
  return cell;
}

function construct(cell: LiveCell): LiveCell["instance"] {
  try {
    return new cell.kind.type(new CellContext(cell));
  } catch (error) {
    if (error instanceof FrondError && error.retryable) throw error;
    throw failed(cell, error);
  }
}

function failed({ kind, address }: LiveCell, error: unknown): FrondError {
  const message = error instanceof Error ? error.message : String(error);
  return new FrondError("ACTIVATION_FAILED", `the constructor of ${kind.type.name} threw for ${address}: ${message}`, {
    cause: error,
  });
}
