// The words of an SQL text, as SQLite's own tokenizer cuts them.
//
// Rule: never guess. A token ends where SQLite ends it, so a `;`, a `?` or a `(` inside a string, a quoted name or a
// comment is not taken for syntax. Whitespace and comments yield nothing; what SQLite would refuse is one `bad` token.
// This is not a parser: whoever needs structure (splitting, parameters, the allow-list) reads the tokens and leaves
// alone what it does not recognise, because SQLite itself judges the statement afterwards.
// Rejected: a regular expression (backtracks on long strings); a parser package (a second grammar to keep in step).

/**
 * What a token is. `word`: a bare name or keyword. `name`: a quoted name ("a", `a`, [a]). `param`: `?`, `?7`, `:a`,
 * `@a`, `$a`. `symbol`: an operator or punctuation. `bad`: what SQLite does not read, such as a string without end.
 */
export type TokenKind = "word" | "name" | "string" | "number" | "blob" | "param" | "symbol" | "bad";

/** One token: `text` is the slice of the source, `upper` the same in upper case for a `word` and empty for all others. */
export interface Token {
  readonly kind: TokenKind;
  readonly text: string;
  readonly upper: string;
  readonly start: number;
  readonly end: number;
}

const TAB = 0x09;
const NEWLINE = 0x0a;
const VERTICAL_TAB = 0x0b;
const FORM_FEED = 0x0c;
const RETURN = 0x0d;
const SPACE = 0x20;
const BYTE_ORDER_MARK = 0xfeff;
const TWO_CHARACTERS = new Set(["==", "!=", "<>", "<=", ">=", "<<", ">>", "||", "->"]);

/** The tokens of `sql` in order, without whitespace and comments. Never throws. */
export function tokenize(sql: string): Token[] {
  const tokens: Token[] = [];
  let at = skipSpace(sql, 0);
  while (at < sql.length) {
    const kind = kindAt(sql, at);
    let end = endOf(sql, at, kind);
    let found: TokenKind = kind;
    if (end < 0) {
      found = "bad";
      end = -end;
    }
    const text = sql.slice(at, end);
    tokens.push({ kind: found, text, upper: found === "word" ? text.toUpperCase() : "", start: at, end });
    at = skipSpace(sql, end);
  }
  return tokens;
}

/**
 * The name that a token stands for where SQLite expects one: a bare word, a quoted name, or a string (which SQLite
 * takes for a name there). Undefined for every other token.
 */
export function nameOf(token: Token | undefined): string | undefined {
  if (token === undefined) return undefined;
  if (token.kind === "word") return token.text;
  if (token.kind !== "name" && token.kind !== "string") return undefined;
  const inner = token.text.slice(1, -1);
  const quote = token.text[0] as string;
  return quote === "[" ? inner : inner.replaceAll(quote + quote, quote);
}

/** Position behind whitespace and comments from `at` on. */
function skipSpace(sql: string, at: number): number {
  for (;;) {
    const c = sql.charCodeAt(at);
    if (c === SPACE || c === NEWLINE || c === TAB || c === RETURN || c === FORM_FEED) {
      at++;
      // SQLite takes a vertical tab for whitespace only behind other whitespace.
      while (sql.charCodeAt(at) === VERTICAL_TAB) at++;
    } else if (c === BYTE_ORDER_MARK) {
      at++;
    } else if (c === 0x2d /* - */ && sql.charCodeAt(at + 1) === 0x2d) {
      at = orEnd(sql, sql.indexOf("\n", at), 0);
    } else if (c === 0x2f /* / */ && sql.charCodeAt(at + 1) === 0x2a && at + 2 < sql.length) {
      at = orEnd(sql, sql.indexOf("*/", at + 2), 2);
    } else {
      return at;
    }
  }
}

/** The kind that the character at `at` opens. */
function kindAt(sql: string, at: number): TokenKind {
  const c = sql[at] as string;
  if (c === "'") return "string";
  if (c === '"' || c === "`" || c === "[") return "name";
  if ((c === "x" || c === "X") && sql[at + 1] === "'") return "blob";
  if (isDigit(sql.charCodeAt(at)) || (c === "." && isDigit(sql.charCodeAt(at + 1)))) return "number";
  if (c === "?" || c === ":" || c === "@" || c === "$" || c === "#") return "param";
  if (isNameCharacter(sql.charCodeAt(at))) return "word";
  return "!%&()*+,-./;<=>|~".includes(c) ? "symbol" : "bad";
}

/** Position behind the token of this kind; negated when SQLite would not read it. */
function endOf(sql: string, at: number, kind: TokenKind): number {
  switch (kind) {
    case "string":
      return quotedEnd(sql, at, "'");
    case "name":
      if (sql[at] !== "[") return quotedEnd(sql, at, sql[at] as string);
      return unlessMissing(sql, sql.indexOf("]", at));
    case "blob":
      return blobEnd(sql, at);
    case "number":
      return numberEnd(sql, at);
    case "param":
      return parameterEnd(sql, at);
    case "word":
      return nameEnd(sql, at);
    case "symbol":
      return symbolEnd(sql, at);
    case "bad":
      return -(at + 1);
  }
}

function quotedEnd(sql: string, at: number, quote: string): number {
  let end = at + 1;
  for (;;) {
    end = sql.indexOf(quote, end);
    if (end === -1) return -sql.length;
    if (sql[end + 1] !== quote) return end + 1;
    end += 2;
  }
}

function blobEnd(sql: string, at: number): number {
  const close = sql.indexOf("'", at + 2);
  if (close === -1) return -sql.length;
  const digits = close - at - 2;
  const isHex = digits % 2 === 0 && !/[^0-9a-fA-F]/.test(sql.slice(at + 2, close));
  return isHex ? close + 1 : -(close + 1);
}

const NUMBER =
  /0[xX][0-9a-fA-F](?:_?[0-9a-fA-F])*|(?:\d(?:_?\d)*(?:\.(?:\d(?:_?\d)*)?)?|\.\d(?:_?\d)*)(?:[eE][+-]?\d(?:_?\d)*)?/y;

function numberEnd(sql: string, at: number): number {
  NUMBER.lastIndex = at;
  NUMBER.test(sql);
  const end = NUMBER.lastIndex;
  const behind = nameEnd(sql, end);
  return behind === end ? end : -behind;
}

function parameterEnd(sql: string, at: number): number {
  let end = at + 1;
  if (sql[at] === "?") {
    while (isDigit(sql.charCodeAt(end))) end++;
    return end;
  }
  const first = end;
  for (;;) {
    end = nameEnd(sql, end);
    if (sql[end] === ":" && sql[end + 1] === ":") {
      end += 2;
      continue;
    }
    if (end === first) return -end;
    if (sql[end] !== "(") return end;
    // Tcl's array element, `$a(b)`: SQLite reads it as part of the name.
    const close = sql.slice(end).search(/[)\s]/);
    if (close === -1) return -sql.length;
    return sql[end + close] === ")" ? end + close + 1 : -(end + close);
  }
}

function symbolEnd(sql: string, at: number): number {
  if (sql.startsWith("->>", at)) return at + 3;
  return TWO_CHARACTERS.has(sql.slice(at, at + 2)) ? at + 2 : at + 1;
}

function nameEnd(sql: string, at: number): number {
  while (isNameCharacter(sql.charCodeAt(at))) at++;
  return at;
}

function isDigit(c: number): boolean {
  return c >= 0x30 && c <= 0x39;
}

/** Letters, digits, `_`, `$` and everything above ASCII (a byte order mark is space only in front of a token). */
function isNameCharacter(c: number): boolean {
  return (c >= 0x61 && c <= 0x7a) || (c >= 0x41 && c <= 0x5a) || isDigit(c) || c === 0x5f || c === 0x24 || c > 0x7f;
}

function orEnd(sql: string, found: number, behind: number): number {
  return found === -1 ? sql.length : found + behind;
}

function unlessMissing(sql: string, found: number): number {
  return found === -1 ? -sql.length : found + 1;
}
