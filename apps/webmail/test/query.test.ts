// Whatever is typed becomes a query that FTS5 takes, and finds whole words.

import { DatabaseSync } from "node:sqlite";
import fc from "fast-check";
import { expect, test } from "vitest";
import { MAX_TERMS, searchQuery } from "../src/query.ts";

test.each([
  ["kernel", '"kernel"'],
  ["  two  words ", '"two" "words"'],
  ['say "side by side" now', '"say" "side by side" "now"'],
  ['"not closed', '"not closed"'],
  ["a AND b OR c NOT d NEAR(e f)", '"a" "AND" "b" "OR" "c" "NOT" "d" "NEAR(e" "f)"'],
  ["subject:x -y z* ^w {v} +u", '"subject:x" "-y" "z*" "^w" "{v}" "+u"'],
  ["user@example.org", '"user@example.org"'],
  ["-- !! ()", undefined],
  ['""', undefined],
  ["", undefined],
  ["\u1112\u1161\u11ab", '"\ud55c"'],
])("%j", (typed, query) => {
  expect(searchQuery(typed)).toBe(query);
});

test.each([
  ["ker", '"ker"*'],
  ["two wor", '"two" "wor"*'],
  ["two wor ", '"two" "wor"'],
  ['"side by si', '"side by si"*'],
  ['"side by side"', '"side by side"'],
  ["a", '"a"'],
  ["user@ex", '"user@ex"*'],
  ["what?", '"what?"'],
])("while it is typed, %j also finds what begins like its last word", (typed, query) => {
  expect(searchQuery(typed, true)).toBe(query);
});

test("terms have a bound", () => {
  expect(searchQuery("a ".repeat(500))?.split(" ").length).toBe(MAX_TERMS);
});

test("no text makes a query that FTS5 refuses", () => {
  const db = new DatabaseSync(":memory:");
  db.exec("CREATE VIRTUAL TABLE search USING fts5(a, b, tokenize = 'unicode61 remove_diacritics 2')");
  const find = db.prepare("SELECT count(*) AS n FROM search WHERE search MATCH ?");
  const piece = fc.oneof(
    fc.string(),
    fc.string({ unit: "binary" }),
    fc.constantFrom('"', "\0", "*", "^", " AND ", "NEAR(", ":", "'", "\ud800"),
  );
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 12 }), (pieces) => {
      for (const growing of [false, true]) {
        const query = searchQuery(pieces.join(""), growing);
        if (query !== undefined) find.get(query);
      }
    }),
    { numRuns: 2000 },
  );
});
