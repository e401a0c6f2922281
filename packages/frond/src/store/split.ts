// A script, cut into its statements.
//
// Rule: every token of the script is in exactly one statement; only the separating `;`, the whitespace and the comments
// between statements are dropped. node:sqlite's `prepare` reads the first statement of a text and silently ignores the
// rest, so whoever runs a script cuts it here and whoever runs one statement checks that there is one.
// A `;` ends a statement except inside CREATE TRIGGER, which ends at `; END` as in SQLite's own `sqlite3_complete`: a
// CASE ... END of the body has no `;` before its END.
// Rejected: `db.exec` for scripts (it neither reports which statement failed nor lets each one be checked).

import type { Token } from "./tokens.ts";
import { tokenize } from "./tokens.ts";

/** The statements of `sql` in order, without their `;`; empty statements are left out. Never throws. */
export function splitStatements(sql: string): string[] {
  return splitTokens(tokenize(sql)).map((part) => {
    return sql.slice((part[0] as Token).start, (part.at(-1) as Token).end);
  });
}

/** The same as {@link splitStatements} on tokens: one non-empty list of tokens for each statement. */
export function splitTokens(tokens: readonly Token[]): Token[][] {
  const parts: Token[][] = [];
  let part: Token[] = [];
  let isTrigger = false;
  for (const token of tokens) {
    if (token.text === ";" && !(isTrigger && !endsTrigger(part))) {
      if (part.length > 0) parts.push(part);
      part = [];
      isTrigger = false;
      continue;
    }
    part.push(token);
    if (token.upper === "TRIGGER" && part.length <= 6) isTrigger ||= opensTrigger(part);
  }
  if (part.length > 0) parts.push(part);
  return parts;
}

/** True when the tokens are `[EXPLAIN [QUERY PLAN]] CREATE [TEMP|TEMPORARY] TRIGGER`. */
function opensTrigger(part: readonly Token[]): boolean {
  const words = part.map((token) => token.upper).join(" ");
  return /^(EXPLAIN (QUERY PLAN )?)?CREATE (TEMP |TEMPORARY )?TRIGGER$/.test(words);
}

function endsTrigger(part: readonly Token[]): boolean {
  return part.at(-1)?.upper === "END" && part.at(-2)?.text === ";";
}
