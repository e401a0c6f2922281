// `this.sql`: SQL as a template tag, values as parameters.
//
// Rule: what stands in ${} is always a value, never SQL. The tag alone runs a statement that gives no rows; `.all`, `.first`
// and `.one` read rows, and `.one` insists on exactly one, so a forgotten case is an error and not an undefined.

import { FrondError } from "../errors.ts";
import type { Row } from "../store/rows.ts";
import type { Prepared } from "../store/statements.ts";
import { execute } from "./statements.ts";
import type { LiveCell } from "./live.ts";

/** What a statement without rows did. */
export interface Changes {
  /** Rows inserted, updated or deleted. */
  readonly changes: number;
  /** Row id of the last inserted row. */
  readonly lastRowId: number | bigint;
}

/** SQL of one cell. Every form throws SQL_ERROR, SQL_CONSTRAINT, SQL_DENIED and BAD_VALUE. */
export interface Sql {
  /** Runs a statement that gives no rows. */
  (strings: TemplateStringsArray, ...values: unknown[]): Changes;
  /** All rows. Throws RESULT_TOO_LARGE above MAX_RESULT_BYTES. */
  all<T extends object = Row>(strings: TemplateStringsArray, ...values: unknown[]): T[];
  /** The first row, or undefined. */
  first<T extends object = Row>(strings: TemplateStringsArray, ...values: unknown[]): T | undefined;
  /** The only row. Throws SQL_ONE_ROW when there are none or more. */
  one<T extends object = Row>(strings: TemplateStringsArray, ...values: unknown[]): T;
}

const texts = new WeakMap<TemplateStringsArray, string>();

/** The tag for one cell. */
export function sqlOf(cell: LiveCell): Sql {
  const all = (strings: TemplateStringsArray, values: unknown[]): Row[] =>
    execute(cell, textOf(strings), values, readAll);
  const tag = (strings: TemplateStringsArray, ...values: unknown[]): Changes =>
    execute(cell, textOf(strings), values, runOnly);
  return Object.assign(tag, {
    all: (strings: TemplateStringsArray, ...values: unknown[]) => all(strings, values),
    first: (strings: TemplateStringsArray, ...values: unknown[]) => all(strings, values)[0],
    one(strings: TemplateStringsArray, ...values: unknown[]) {
      return onlyRow(all(strings, values), strings);
    },
  }) as unknown as Sql;
}

/** The only one of the rows. Throws SQL_ONE_ROW when there are none or more. */
export function onlyRow(rows: readonly Row[], strings: TemplateStringsArray): Row {
  const [row] = rows;
  if (row !== undefined && rows.length === 1) return row;
  throw new FrondError(
    "SQL_ONE_ROW",
    `sql.one got ${rows.length} rows, not one, from: ${textOf(strings).trim().slice(0, 120)}`,
  );
}

/** The text of a statement with a ? for each value. Throws SQL_ERROR for a call that is no template. */
export function textOf(strings: TemplateStringsArray): string {
  let text = texts.get(strings);
  if (text === undefined) {
    if (!Array.isArray(strings) || !("raw" in strings)) {
      throw new FrondError(
        "SQL_ERROR",
        "sql is a template tag: write sql`SELECT ...`, or use ctx.storage.sql.exec(text, ...values)",
      );
    }
    text = strings.join("?");
    texts.set(strings, text);
  }
  return text;
}

function readAll(prepared: Prepared, values: unknown[]): Row[] {
  return prepared.all(values);
}

function runOnly(prepared: Prepared, values: unknown[]): Changes {
  if (prepared.columns.length > 0) {
    throw new FrondError(
      "SQL_ERROR",
      `the statement gives rows; read them with sql.all, sql.first or sql.one: ${prepared.sql.trim().slice(0, 120)}`,
    );
  }
  return prepared.run(values);
}
