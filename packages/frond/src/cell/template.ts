// Templates: the database that the migrations of a kind make of nothing, made once and copied for each new cell.
//
// Rule: a copy is byte for byte what running the migrations would have made. So there is a template only where that is sure:
// where no statement could give another result in another cell or at another time. Others run their migrations.
// Why: a schema with full-text search costs a millisecond or two per cell, a copied file of it a few hundredths.
// Rejected: running the migrations twice and comparing (times differ by seconds, not by runs).

import fs from "node:fs";
import path from "node:path";
import { CellDatabase } from "../store/database.ts";
import { removeCell } from "../store/restore.ts";
import { nameOf, type Token, tokenize } from "../store/tokens.ts";
import type { CellKind } from "./app.ts";
import { migrate } from "./migrate.ts";

/** Names whose value may be another each time. */
const CHANGING = new Set(
  (
    "RANDOM RANDOMBLOB DATE TIME DATETIME JULIANDAY UNIXEPOCH STRFTIME TIMEDIFF " +
    "CURRENT_DATE CURRENT_TIME CURRENT_TIMESTAMP"
  ).split(" "),
);

/** The templates of one node; made when the first cell of a kind begins. */
export class Templates {
  readonly #folder: string;
  readonly #images = new Map<CellKind, Buffer | undefined>();

  /** `folder` is for files that last as long as a call. */
  constructor(folder: string) {
    this.#folder = folder;
  }

  /** The bytes of a new cell's file; undefined for a kind that has no template. Throws as `migrate` does. */
  of(kind: CellKind): Buffer | undefined {
    if (!this.#images.has(kind)) this.#images.set(kind, isFixed(kind) ? this.#make(kind) : undefined);
    return this.#images.get(kind);
  }

  #make(kind: CellKind): Buffer {
    const file = path.join(this.#folder, `template-${kind.kind}.db`);
    removeCell(file);
    const db = CellDatabase.open(file, kind.pageSize);
    try {
      migrate(kind, `a new ${kind.kind}`, db, true, () => db.begin());
      db.commit();
    } catch (error) {
      db.discard();
      throw error;
    }
    // Closing moves everything into the main file, which nobody else has open.
    db.close();
    const image = fs.readFileSync(file);
    removeCell(file);
    return image;
  }
}

/** True if the migrations make the same of nothing whenever and wherever they run. */
function isFixed(kind: CellKind): boolean {
  if (kind.raw || kind.migrations.length === 0) return false;
  const statements = kind.migrations.flatMap((migration) => migration.statements).map((sql) => tokenize(sql));
  if (statements.every(isDefinition)) return true;
  // A row can get its value from a default, a trigger or a view that another statement has defined.
  return !statements.some((tokens) => tokens.some(isChanging));
}

/** What a CREATE holds is text for later, except the rows of CREATE TABLE ... AS. */
function isDefinition(tokens: readonly Token[]): boolean {
  const words = tokens.map((token) => token.upper);
  return words[0] === "CREATE" && !(words.includes("TABLE") && (words.includes("SELECT") || words.includes("VALUES")));
}

// A quoted name can be a function's too.
function isChanging(token: Token): boolean {
  return CHANGING.has(nameOf(token)?.toUpperCase() ?? "");
}
