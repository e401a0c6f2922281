// Which column a parameter goes to, for the parameters where that is certain.
//
// Rule: never wrong. A target is named only for a parameter that stands alone as a value of INSERT ... VALUES or of a
// SET (of UPDATE, or of ON CONFLICT DO UPDATE), once in the whole statement; everything else is null: expressions,
// functions, WHERE, a number used twice, INSERT ... SELECT, tables that the caller does not know. A target lets a
// wrong value be refused with the column's name, and it is also what a wrong target would break: so null when unsure.
// Rejected: asking SQLite (it reports columns of results only); treating every `column = ?` as a target (in a WHERE a
// number compared with text is legal and sometimes meant).

import { MAX_PARAMETERS } from "../limits.ts";
import type { Token } from "./tokens.ts";
import { nameOf, tokenize } from "./tokens.ts";

/** A column that an INSERT fills: its name and its declared type ("" where the column converts nothing). */
export interface ColumnInfo {
  readonly name: string;
  readonly type: string;
}

/** What SQLite makes of a value on its way into a column (https://sqlite.org/datatype3.html#determination_of_column_affinity). */
export type Affinity = "text" | "integer" | "real" | "numeric" | "blob";

/** The column that a parameter's value goes to. */
export interface ParameterTarget {
  readonly table: string;
  readonly column: string;
  readonly affinity: Affinity;
}

/**
 * The columns of a table of `main` in the order in which INSERT without a column list fills them: without generated and
 * hidden ones. Undefined for anything but an ordinary table, and for names that do not exist.
 */
export type ColumnsOf = (table: string) => readonly ColumnInfo[] | undefined;

/** The affinity that SQLite gives a column of this declared type. */
export function affinityOf(type: string): Affinity {
  const upper = type.toUpperCase();
  if (upper.includes("INT")) return "integer";
  if (/CHAR|CLOB|TEXT/.test(upper)) return "text";
  if (upper === "" || upper.includes("BLOB")) return "blob";
  return /REAL|FLOA|DOUB/.test(upper) ? "real" : "numeric";
}

/**
 * For each parameter number of one statement (index 0 is parameter 1) the column that its value goes to, or null.
 * The length is the highest parameter number. Named parameters count as SQLite counts them and have no target.
 */
export function resolveParameters(
  sql: string,
  columnsOf: ColumnsOf,
  tokens: readonly Token[] = tokenize(sql),
): (ParameterTarget | null)[] {
  return new Resolver(tokens, columnsOf).resolve();
}

/** The number of each parameter token, by its index in `tokens`; and the highest one. */
export function numberParameters(tokens: readonly Token[]): { numbers: Map<number, number>; highest: number } {
  const numbers = new Map<number, number>();
  const named = new Map<string, number>();
  let highest = 0;
  for (const [index, { kind, text }] of tokens.entries()) {
    if (kind !== "param") continue;
    let number = highest + 1;
    if (text[0] !== "?") {
      number = named.get(text) ?? number;
      named.set(text, number);
    } else if (text.length > 1) {
      number = Number(text.slice(1));
    }
    numbers.set(index, number);
    highest = Math.max(highest, number);
  }
  return { numbers, highest };
}

/** Where the main verb (SELECT, INSERT, ...) of a statement stands: behind its WITH clause. -1 when that is not readable. */
export function mainVerbIndex(tokens: readonly Token[]): number {
  if (tokens[0]?.upper !== "WITH") return 0;
  let at = tokens[1]?.upper === "RECURSIVE" ? 2 : 1;
  for (;;) {
    if (nameOf(tokens[at]) === undefined) return -1;
    at++;
    if (tokens[at]?.text === "(") at = behindParenthesis(tokens, at);
    if (tokens[at++]?.upper !== "AS") return -1;
    if (tokens[at]?.upper === "NOT") at++;
    if (tokens[at]?.upper === "MATERIALIZED") at++;
    if (tokens[at]?.text !== "(") return -1;
    at = behindParenthesis(tokens, at);
    if (tokens[at]?.text !== ",") return at;
    at++;
  }
}

/** Index behind the parenthesis that matches the one at `at`. */
function behindParenthesis(tokens: readonly Token[], at: number): number {
  let depth = 0;
  for (; at < tokens.length; at++) {
    if (tokens[at]?.text === "(") depth++;
    else if (tokens[at]?.text === ")" && --depth === 0) return at + 1;
  }
  return at;
}

class Resolver {
  readonly #tokens: readonly Token[];
  readonly #columnsOf: ColumnsOf;
  /** Column names to which each token index goes. */
  readonly #places = new Map<number, string>();
  #at = 0;

  constructor(tokens: readonly Token[], columnsOf: ColumnsOf) {
    this.#tokens = tokens.at(-1)?.text === ";" ? tokens.slice(0, -1) : tokens;
    this.#columnsOf = columnsOf;
  }

  resolve(): (ParameterTarget | null)[] {
    const { numbers, highest } = numberParameters(this.#tokens);
    // SQLite refuses such a statement; a number like ?4000000000 must not make an array of that length.
    if (highest > MAX_PARAMETERS) return [];
    const targets: (ParameterTarget | null)[] = Array.from({ length: highest }, () => null);
    if (highest === 0) return targets;
    const table = this.#statement();
    const columns = table === undefined ? undefined : this.#columnsOf(table);
    if (table === undefined || columns === undefined) return targets;
    this.#fill(columns);
    const uses = new Map<number, number>();
    for (const number of numbers.values()) uses.set(number, (uses.get(number) ?? 0) + 1);
    for (const [index, name] of this.#places) {
      const number = numbers.get(index);
      const column = columns.find((candidate) => sameName(candidate.name, name));
      if (number === undefined || column === undefined || uses.get(number) !== 1) continue;
      targets[number - 1] = { table, column: column.name, affinity: affinityOf(column.type) };
    }
    return targets;
  }

  /** Reads up to the table of an INSERT, REPLACE or UPDATE, and returns its name. */
  #statement(): string | undefined {
    this.#at = mainVerbIndex(this.#tokens);
    const verb = this.#word();
    this.#at++;
    if (verb === "UPDATE") {
      this.#skipConflictWord();
    } else if (verb === "INSERT" || verb === "REPLACE") {
      if (verb === "INSERT") this.#skipConflictWord();
      if (this.#word() !== "INTO") return undefined;
      this.#at++;
    } else {
      return undefined;
    }
    let table = nameOf(this.#tokens[this.#at++]);
    if (this.#text() === ".") {
      if (table?.toLowerCase() !== "main") return undefined;
      table = nameOf(this.#tokens[++this.#at]);
      this.#at++;
    }
    return table;
  }

  /** Reads the rest of the statement and notes which token goes to which column. */
  #fill(columns: readonly ColumnInfo[]): void {
    if (this.#word() === "AS") this.#at += 2;
    let names: readonly (string | undefined)[] = columns.map((column) => column.name);
    if (this.#text() === "(") names = this.#nameList();
    if (this.#word() === "VALUES") this.#values(names);
    this.#sets();
  }

  /** VALUES (...), (...): the rows count only if the list ends there (a UNION behind it would make it a query). */
  #values(names: readonly (string | undefined)[]): void {
    const found = new Map<number, string>();
    do {
      this.#at++;
      if (this.#text() !== "(") return;
      const row = this.#items();
      if (row.length !== names.length) return;
      row.forEach((index, i) => {
        const name = names[i];
        if (index !== undefined && name !== undefined) found.set(index, name);
      });
    } while (this.#text() === ",");
    const behind = this.#tokens[this.#at];
    if (behind !== undefined && behind.upper !== "ON" && behind.upper !== "RETURNING") return;
    for (const [index, name] of found) this.#places.set(index, name);
  }

  /** Every SET at the outermost level: of the UPDATE itself, or of each DO UPDATE SET. */
  #sets(): void {
    while (this.#at < this.#tokens.length) {
      if (this.#text() === "(") this.#at = behindParenthesis(this.#tokens, this.#at);
      else if (this.#word() === "SET") this.#assignments();
      else this.#at++;
    }
  }

  /** `a = ?, (b, c) = (?, ?), ...`; stops at the first thing that is not an assignment. */
  #assignments(): void {
    do {
      this.#at++;
      const isList = this.#text() === "(";
      const names = isList ? this.#nameList() : [nameOf(this.#tokens[this.#at++])];
      if (this.#text() !== "=" && this.#text() !== "==") return;
      this.#at++;
      const start = this.#at;
      const isRow =
        isList && this.#text() === "(" && !/^(SELECT|VALUES|WITH)$/.test(this.#tokens[start + 1]?.upper ?? "");
      const values = isRow ? this.#items() : [start];
      const behind = isRow ? this.#at : start + 1;
      this.#skipExpression();
      if (this.#at !== behind || values.length !== names.length) continue;
      values.forEach((index, i) => {
        const name = names[i];
        if (index !== undefined && name !== undefined) this.#places.set(index, name);
      });
    } while (this.#text() === ",");
  }

  /** Moves to the next `,` of this level, or to a word that ends a list of assignments. */
  #skipExpression(): void {
    while (this.#at < this.#tokens.length && !this.#isAssignmentEnd()) {
      this.#at = this.#text() === "(" ? behindParenthesis(this.#tokens, this.#at) : this.#at + 1;
    }
  }

  #isAssignmentEnd(): boolean {
    const token = this.#tokens[this.#at];
    return token === undefined || token.text === "," || /^(WHERE|FROM|RETURNING|ON|ORDER|LIMIT)$/.test(token.upper);
  }

  /** The items of a parenthesis: the token index of each that is one token, undefined for each that is more. */
  #items(): (number | undefined)[] {
    const end = behindParenthesis(this.#tokens, this.#at);
    const items: (number | undefined)[] = [];
    let start = this.#at + 1;
    for (let at = start; at < end;) {
      const { text } = this.#tokens[at] as Token;
      if (text === "," || at === end - 1) {
        items.push(at === start + 1 ? start : undefined);
        start = at + 1;
      }
      at = text === "(" ? behindParenthesis(this.#tokens, at) : at + 1;
    }
    this.#at = end;
    return items;
  }

  /** The names in a parenthesis. */
  #nameList(): (string | undefined)[] {
    return this.#items().map((index) => (index === undefined ? undefined : nameOf(this.#tokens[index])));
  }

  #skipConflictWord(): void {
    if (this.#word() === "OR") this.#at += 2;
  }

  #word(): string | undefined {
    return this.#tokens[this.#at]?.upper;
  }

  #text(): string | undefined {
    return this.#tokens[this.#at]?.text;
  }
}

function sameName(a: string, b: string): boolean {
  return a === b || asciiLower(a) === asciiLower(b);
}

/** SQLite folds the case of ASCII letters only. */
function asciiLower(text: string): string {
  return text.replace(/[A-Z]/g, (c) => c.toLowerCase());
}
