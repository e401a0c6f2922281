// Scripts, cut into statements by frond and by SQLite.
//
// Rule: SQLite prepares the first statement of a text and can be asked how much of it that was. So it cuts a script by
// itself, statement by statement, up to the first that it refuses; frond's cuts must be the same.

import fc from "fast-check";
import { DatabaseSync } from "node:sqlite";
import { splitStatements } from "../../src/store/split.ts";
import { tokenize } from "../../src/store/tokens.ts";
import { gap, spell, type Spelling, spelling } from "./sqlText.ts";
import { type Entrance, target, type Target } from "./target.ts";

const STATEMENTS = [
  "SELECT 1",
  "SELECT ';' , \"a\" , [b] , `c;` , x'3b' FROM t",
  "SELECT 'it''s;' , '--' , '/*' , \"\"\"\" FROM t",
  "SELECT a -> ';' , a ->> 'x' , 1.5e-3 , 0x1F , .5 , 1_000 FROM t",
  "SELECT ? , ?7 , :a , @b , $c , $d::e(;)",
  "SELECT CASE a WHEN 1 THEN 'x' ELSE 'END;' END AS @trigger FROM t",
  "SELECT a AS @end , b AS @begin FROM t",
  "INSERT INTO t VALUES ( 1 , ';' , NULL )",
  "WITH x AS ( SELECT 1 AS @trigger ) UPDATE t SET a = 1 WHERE a IN ( SELECT * FROM x )",
  "CREATE TABLE @trigger ( x , y )",
  "CREATE TRIGGER tr AFTER INSERT ON t BEGIN SELECT 1 ; SELECT CASE 1 WHEN 1 THEN 2 END ; END",
  "CREATE TEMP TRIGGER tr AFTER DELETE ON t BEGIN DELETE FROM t ; END",
  "CREATE TEMPORARY TRIGGER IF NOT EXISTS tr BEFORE UPDATE OF a ON t WHEN new.a > 1 BEGIN SELECT ';' ; END",
  "EXPLAIN CREATE TRIGGER tr AFTER INSERT ON t BEGIN SELECT 1 ; END",
  "EXPLAIN QUERY PLAN CREATE TRIGGER tr AFTER INSERT ON t BEGIN SELECT 1 ; END",
  "CREATE VIEW v AS SELECT a AS @trigger FROM t",
  "DROP TABLE t",
  "BEGIN",
  "END",
  "PRAGMA user_version",
];
const JUNK = [
  ";",
  "'",
  '"',
  "[",
  "END",
  "TRIGGER",
  "CREATE",
  "\\",
  "1a",
  "x'0",
  "é",
  "(",
  ")",
  "--",
  "/*",
  "EXPLAIN",
  "\u0001",
];

interface ScriptCase {
  readonly parts: readonly { readonly template: string; readonly choices: Spelling; readonly between: string }[];
}

const between = fc
  .array(fc.oneof(fc.constantFrom(";", "; ;", ";;"), fc.nat(20).map(gap)), { minLength: 1, maxLength: 4 })
  .map((list) => list.join(""));

export function scriptTarget(split: (sql: string) => string[] = splitStatements): Target {
  return target("script", 2500, (): Entrance<ScriptCase> => {
    const db = new DatabaseSync(":memory:");
    db.exec("CREATE TABLE t (a, b, c)");
    const part = fc.record({
      template: fc.oneof(
        { weight: 8, arbitrary: fc.constantFrom(...STATEMENTS) },
        { weight: 1, arbitrary: fc.constantFrom(...JUNK) },
        { weight: 1, arbitrary: fc.string({ maxLength: 6 }).filter((text) => !text.includes("\0")) },
      ),
      choices: spelling,
      between,
    });
    return {
      input: fc.record({ parts: fc.array(part, { maxLength: 5 }) }),
      check({ parts }) {
        const script = parts.map(({ template, choices, between: end }) => spell(template, choices) + end).join("");
        const cut = split(script);
        judgeTokens(script, cut);
        const { statements, whole } = bySqlite(db, script);
        if (whole ? cut.length !== statements.length : cut.length < statements.length) {
          throw new Error(
            `${JSON.stringify(script)}: SQLite reads ${statements.length} statements, frond ${cut.length}`,
          );
        }
        for (const [i, text] of statements.entries()) {
          const mine = cut[i] as string;
          const at = behindBlank(text, 0);
          if (!text.startsWith(mine, at) || behindBlank(text, at + mine.length) !== text.length) {
            throw new Error(`SQLite reads ${JSON.stringify(text)}, frond ${JSON.stringify(mine)}`);
          }
        }
      },
      close: () => db.close(),
    };
  });
}

/** The statements of a script as SQLite cuts them, up to the first that it refuses. */
function bySqlite(db: DatabaseSync, script: string): { statements: string[]; whole: boolean } {
  const statements: string[] = [];
  for (let rest = script; ;) {
    let text: string;
    try {
      text = db.prepare(rest).sourceSQL;
    } catch (error) {
      return { statements, whole: (error as Error).message.includes("no statements") };
    }
    // A text that ends without `;` may come back without what stands behind its last token.
    statements.push(text);
    rest = rest.slice(text.length);
    if (rest === "") return { statements, whole: true };
  }
}

/** Behind the white space, comments and `;` from `at` on; a comment without its end goes to the end of the text. */
function behindBlank(text: string, at: number): number {
  for (;;) {
    if (" \t\n\f\r\v\uFEFF;".includes(text[at] ?? "x")) at += 1;
    else if (text.startsWith("--", at)) at = behind(text, "\n", at);
    else if (text.startsWith("/*", at) && at + 2 < text.length) at = behind(text, "*/", at + 2);
    else return at;
  }
}

function behind(text: string, end: string, at: number): number {
  const found = text.indexOf(end, at);
  return found === -1 ? text.length : found + end.length;
}

/** Tokens follow each other and leave out nothing but blanks; statements leave out nothing but separators. */
function judgeTokens(script: string, cut: readonly string[]): void {
  let at = 0;
  for (const { start, end, text } of tokenize(script)) {
    if (start < at || end <= start || script.slice(start, end) !== text)
      throw new Error(`a token at ${start} to ${end}`);
    if (behindBlank(script, at) !== start && script[at] !== ";" && script[start] !== ";") {
      throw new Error(`${JSON.stringify(script.slice(at, start))} is in no token`);
    }
    at = end;
  }
  let from = 0;
  for (const statement of cut) {
    from = behindBlank(script, from);
    if (!script.startsWith(statement, from)) throw new Error("a piece of the script is in no statement");
    from += statement.length;
  }
  if (behindBlank(script, from) !== script.length) throw new Error("the end of the script is in no statement");
}
