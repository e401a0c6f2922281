// `PRAGMA foreign_keys` in the SQL of `ctx.storage.sql`.
//
// Rule: as in a Durable Object it is taken and changes nothing, since SQLite ignores it inside a transaction, where the code
// of a cell always runs. Tools such as drizzle-kit write it into migrations that make a table anew, and rely on it: with
// foreign keys enforced, DROP TABLE first deletes the rows, and with them, by ON DELETE actions, those of other tables. So a
// DROP TABLE after it is refused where it would do that.
// Rejected: to refuse the pragma, as `this.sql` does (generated migrations would not run); to believe it (rows are lost).

import { FrondError } from "../errors.ts";
import { nameOf, tokenize } from "../store/tokens.ts";
import type { LiveCell } from "./live.ts";
import { read } from "./statements.ts";

/** What a statement is, as far as it matters here. */
export type ForeignKeyWord = { readonly off: boolean } | { readonly drops: string } | undefined;

/** Reads a statement: the pragma with a value, or DROP TABLE. */
export function foreignKeyWord(sql: string): ForeignKeyWord {
  if (!/\b(?:foreign_keys|drop)\b/i.test(sql)) return undefined;
  const tokens = tokenize(sql);
  const words = tokens.map(({ upper, text }) => (upper === "" ? text : upper));
  if (words[0] === "PRAGMA") {
    const name = words[2] === "." ? 3 : 1;
    if (words[name] !== "FOREIGN_KEYS" || (words[name + 1] !== "=" && words[name + 1] !== "(")) return undefined;
    return { off: /^['"]?(0|OFF|NO|FALSE)\b/i.test(words[name + 2] ?? "") };
  }
  if (words[0] !== "DROP" || words[1] !== "TABLE") return undefined;
  const first = words[2] === "IF" ? 4 : 2;
  const token = tokens[words[first + 1] === "." ? first + 2 : first];
  return { drops: (token && nameOf(token)) ?? "" };
}

/** Throws SQL_DENIED where dropping the table would delete or change rows of other tables. */
export function refuseCascade(cell: LiveCell, table: string): void {
  read(cell, "DROP TABLE", () => {
    const sql = `SELECT child.name AS child, key."from" AS name
      FROM sqlite_schema AS child, pragma_foreign_key_list(child.name) AS key
      WHERE child.type = 'table' AND child.name <> ?1 COLLATE NOCASE AND key."table" = ?1 COLLATE NOCASE
        AND key.on_delete IN ('CASCADE', 'SET NULL', 'SET DEFAULT')`;
    for (const { child, name } of cell.db.prepare(sql).all(table) as { child: string; name: string }[]) {
      const found = cell.db.prepare(`SELECT 1 FROM ${quoted(child)} WHERE ${quoted(name)} IS NOT NULL LIMIT 1`).get();
      if (found === undefined) continue;
      const why = "PRAGMA foreign_keys = OFF has no effect inside a transaction, and a cell always runs in one";
      const instead = `make ${child} anew without its foreign key first`;
      throw new FrondError(
        "SQL_DENIED",
        `DROP TABLE ${table} would delete or change rows of ${child}: ${why}; ${instead}`,
      );
    }
  });
}

function quoted(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}
