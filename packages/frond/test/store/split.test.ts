// Scripts and tokens, cut by frond and by SQLite: both must cut at the same places.

import { DatabaseSync } from "node:sqlite";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { splitStatements } from "../../src/store/split.ts";
import { tokenize } from "../../src/store/tokens.ts";
import { schemaOf } from "./guarded.ts";

const TRIGGER = `CREATE TRIGGER note AFTER INSERT ON a BEGIN
  INSERT INTO log VALUES (CASE WHEN new.x > 1 THEN 'big; END;' ELSE (CASE new.x WHEN 0 THEN 'z' END) END);
  UPDATE a SET x = x + 1 WHERE x = new.x; -- ; END;
END`;

/** Complete statements that run one after the other, each with what could be taken for its end. */
const SCRIPT = [
  "CREATE TABLE a (x INTEGER, \"odd;name\" TEXT DEFAULT ';', `b;` , [c;'])",
  "CREATE TABLE log (line TEXT)",
  TRIGGER,
  "CREATE TEMP TRIGGER t2 AFTER DELETE ON a BEGIN DELETE FROM log; END",
  "INSERT INTO a (x) VALUES (5), (0), (/* ; */ 7)",
  "INSERT INTO log VALUES ('it''s; fine'), (x'3b'), ((SELECT \"odd;name\" FROM a))",
  "CREATE TRIGGER IF NOT EXISTS t3 BEFORE DELETE ON log WHEN 1 BEGIN SELECT 1; SELECT CASE 1 WHEN 1 THEN 2 END; END",
  "CREATE VIEW v AS SELECT x AS trigger, CASE x WHEN 1 THEN 'a' END AS y FROM a",
  "WITH c AS (SELECT 1 AS end) UPDATE a SET x = x - (SELECT end FROM c)",
  "EXPLAIN QUERY PLAN CREATE TRIGGER t4 AFTER INSERT ON a BEGIN SELECT 1; END",
];

describe("splitStatements", () => {
  test.each([
    ["", []],
    [" ; ;; -- nothing\n ; /* ; */ ", []],
    ["SELECT 1", ["SELECT 1"]],
    ["SELECT 1; SELECT 2;", ["SELECT 1", "SELECT 2"]],
    ["-- first\nSELECT 1 -- last\n;", ["SELECT 1"]],
    ["SELECT ';', \";\", `;`, [;]; x", ["SELECT ';', \";\", `;`, [;]", "x"]],
    ["SELECT 'it''s;'; SELECT 2", ["SELECT 'it''s;'", "SELECT 2"]],
    ["SELECT 'no end; SELECT 2", ["SELECT 'no end; SELECT 2"]],
    ["SELECT 1 /* no end; SELECT 2", ["SELECT 1"]],
    ["SELECT 1 /*/ ; */; SELECT 2", ["SELECT 1", "SELECT 2"]],
    ["CREATE TABLE trigger (x); SELECT 1", ["CREATE TABLE trigger (x)", "SELECT 1"]],
    [`${TRIGGER}; SELECT 1`, [TRIGGER, "SELECT 1"]],
    ["CREATE TRIGGER t AFTER INSERT ON a BEGIN SELECT 1;", ["CREATE TRIGGER t AFTER INSERT ON a BEGIN SELECT 1;"]],
    [
      "create/**/trigger t after insert on a begin select 1; end ; x",
      ["create/**/trigger t after insert on a begin select 1; end", "x"],
    ],
    ["\uFEFFSELECT 1;\uFEFFSELECT 2", ["SELECT 1", "SELECT 2"]],
    ["SELECT $a(;); SELECT 2", ["SELECT $a(;)", "SELECT 2"]],
  ])("%j", (sql, expected) => {
    expect(splitStatements(sql)).toEqual(expected);
  });

  test("a script does the same statement by statement as in one exec", () => {
    const space = fc.constantFrom(" ", "\n", "\t", "-- ; END;\n", "/* ; */", "; ", " ;\n;");
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: SCRIPT.length }),
        fc.array(space, { maxLength: 30 }),
        fc.boolean(),
        (count, spaces, closed) => {
          let i = 0;
          const gap = () => spaces[i++] ?? " ";
          const wanted = SCRIPT.slice(0, count);
          const script = wanted.map((sql) => gap() + gap() + sql + gap()).join(";") + (closed ? ";" : "") + gap();
          const parts = splitStatements(script);
          expect(parts).toEqual(wanted);

          const whole = new DatabaseSync(":memory:");
          const single = new DatabaseSync(":memory:");
          whole.exec(script);
          for (const part of parts) single.prepare(part).run();
          expect(schemaOf(single)).toEqual(schemaOf(whole));
          if (count > 1)
            expect(single.prepare("SELECT * FROM a, log").all()).toEqual(whole.prepare("SELECT * FROM a, log").all());
          whole.close();
          single.close();
        },
      ),
      { numRuns: 60 },
    );
  });

  test("loses no token but the separators", () => {
    const piece = fc.constantFrom(
      ..."' \" ` [ ] ; -- /* */ \n ( ) CREATE TRIGGER TEMP BEGIN END CASE x 1 1e 0x 'a' ? ?1 :a $a( @ , . -> é \uFEFF \v \0 x'".split(
        " ",
      ),
      "\n",
      " ",
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 40 }), (pieces) => {
        const sql = pieces.join(" ");
        const texts = (text: string) => tokenize(text).map((token) => token.text);
        const kept = splitStatements(sql).flatMap(texts);
        const isSeparator = (text: string) => text === ";";
        expect(kept.filter((text) => !isSeparator(text))).toEqual(texts(sql).filter((text) => !isSeparator(text)));
        expect(kept.length).toBeLessThanOrEqual(texts(sql).length);
      }),
      { numRuns: 2000 },
    );
  });

  test("a long script with long strings is split in one pass", () => {
    const statement = `INSERT INTO t VALUES ('${"x;''".repeat(100_000)}')`;
    expect(splitStatements(`${statement};`.repeat(5))).toEqual(Array.from({ length: 5 }, () => statement));
  });
});

describe("tokenize", () => {
  // SQLite names an unnamed column after its text up to the next token: that shows how its own tokenizer has cut it.
  test("cuts where SQLite cuts", () => {
    const quoted = (quote: string) =>
      fc
        .string({ unit: fc.constantFrom(quote, ";", "-", "/", "*", "\n", "a", "é", "?", "(") })
        .map((text) => quote + text.replaceAll(quote, quote + quote) + quote);
    const literal = fc.oneof(
      quoted("'"),
      fc.constantFrom(
        "1",
        "1.",
        ".5",
        "1.5e-3",
        "0x1F",
        "1_000",
        "x'00ff'",
        "X''",
        "?",
        "?3",
        "NULL",
        "1->>2",
        "a$b+0",
        "é+0",
        "1 || 2",
        "-1",
      ),
    );
    const gap = fc.constantFrom("", " ", "\n\v", "/* , */", "-- ,\n", " \uFEFF", "\f", "/***/");
    const column = fc.tuple(gap, literal, gap);
    fc.assert(
      fc.property(fc.array(column, { minLength: 1, maxLength: 6 }), (columns) => {
        const sql = `SELECT ${columns.map((parts) => parts.join("")).join(",")} FROM (SELECT 1 AS a$b, 2 AS é);`;
        const db = new DatabaseSync(":memory:");
        const names = db
          .prepare(sql)
          .columns()
          .map((found) => found.name);
        db.close();
        const tokens = tokenize(sql);
        const expected: string[] = [];
        let start = -1;
        for (const token of tokens.slice(1)) {
          if (start === -1) ({ start } = token);
          if (token.text !== "," && token.upper !== "FROM") continue;
          expected.push(sql.slice(start, token.start).replace(/[ \t\n\v\f\r]+$/, ""));
          start = -1;
          if (token.upper === "FROM") break;
        }
        expect(expected).toEqual(names);
        expect(tokens.every((token) => token.kind !== "bad")).toBe(true);
      }),
      { numRuns: 500 },
    );
  });

  test.each([
    "'open",
    '"open',
    "`open",
    "[open",
    "x'0",
    "x'0g'",
    "1a",
    "0x",
    "1__0",
    "1e",
    "@",
    ":",
    "#",
    "\0",
    "\v",
    "\\",
    "{",
    "^",
    "!",
  ])("calls bad what SQLite does not read: %j", (text) => {
    const isBad = tokenize(`SELECT 1,${text}`).some((token) => token.kind === "bad");
    const db = new DatabaseSync(":memory:");
    let message = "";
    try {
      db.prepare(`SELECT 1,${text.replace("\0", "\u0001")}`);
    } catch (error) {
      message = (error as Error).message;
    }
    db.close();
    expect(message).toMatch(/unrecognized token|syntax error|incomplete input/);
    expect(isBad || text === "!").toBe(true);
  });
});
