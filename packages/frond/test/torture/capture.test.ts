// Capture is right: the pages that are captured commit by commit make a database that equals the original, whatever its
// history. Random histories of real SQLite, at page sizes from the smallest to the largest, and the cases that are
// known to be hard, one by one.

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { isFrondError } from "../../src/errors.ts";
import { PAGE_CACHE_KIB } from "../../src/limits.ts";
import { Mirror } from "./mirror.ts";

const SCHEMA = `
  CREATE TABLE row (id INTEGER PRIMARY KEY, word TEXT, n INTEGER);
  CREATE INDEX row_word ON row (word);
  CREATE TABLE keyless (a TEXT, b BLOB);
  CREATE TABLE flat (k TEXT, v TEXT, PRIMARY KEY (k, v)) WITHOUT ROWID;
  CREATE VIRTUAL TABLE page USING fts5(body)`;

/** One thing that happens inside a transaction. */
type Change =
  | { do: "insert" | "delete" | "update" | "keyless" | "flat" | "fts" | "fts-delete"; n: number }
  | { do: "fts-optimize" | "fts-merge" | "schema" | "drop" }
  | { do: "blob"; kib: number }
  | { do: "savepoint"; keep: boolean; changes: Change[] };

/** One thing that happens between transactions. */
type Step =
  | { do: "commit" | "rollback"; changes: Change[] }
  | { do: "spill then rollback"; kib: number }
  | { do: "vacuum" | "checkpoint" | "reopen" | "kill" | "compare" };

const WORDS = ["heron", "alder", "moss", "reed", "otter", "fern", "peat", "lark"];

function change(mirror: Mirror, one: Change): void {
  const { db } = mirror;
  const word = WORDS["n" in one ? one.n % WORDS.length : 0] as string;
  switch (one.do) {
    case "insert":
      return db.exec(
        `WITH RECURSIVE c (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < ${one.n})
         INSERT INTO row (word, n) SELECT '${word}' || i || hex(randomblob(20)), i FROM c`,
      );
    case "delete":
      return db.exec(`DELETE FROM row WHERE id % ${1 + (one.n % 5)} = 0`);
    case "update":
      return db.exec(`UPDATE row SET word = '${word}' || id, n = n + 1 WHERE id % ${1 + (one.n % 7)} = 0`);
    case "keyless":
      return db.exec(
        `INSERT INTO keyless VALUES ('${word}', zeroblob(${one.n * 10})); DELETE FROM keyless WHERE rowid % 3 = 2`,
      );
    case "flat":
      return db.exec(
        `INSERT OR REPLACE INTO flat VALUES ('${word}${one.n}', hex(randomblob(${one.n}))); DELETE FROM flat WHERE k < '${word}'`,
      );
    case "fts":
      return db.exec(
        `INSERT INTO page SELECT '${WORDS.join(" ")} ' || id || ' ${word}' FROM row LIMIT ${one.n}; INSERT INTO page VALUES ('${word}')`,
      );
    case "fts-delete":
      return db.exec(`DELETE FROM page WHERE rowid % ${1 + (one.n % 4)} = 0`);
    case "fts-optimize":
      return db.exec("INSERT INTO page (page) VALUES ('optimize')");
    case "fts-merge":
      return db.exec("INSERT INTO page (page, rank) VALUES ('merge', 4)");
    case "schema":
      return db.exec(
        `CREATE TABLE IF NOT EXISTS extra (x); ALTER TABLE extra ADD COLUMN c${mirror.serial()}; INSERT INTO extra (x) VALUES (randomblob(300))`,
      );
    case "drop":
      return db.exec("DROP TABLE IF EXISTS extra");
    case "blob":
      return db.exec(`INSERT INTO keyless VALUES ('blob', randomblob(${one.kib * 1024}))`);
    case "savepoint":
      db.exec("SAVEPOINT s");
      for (const inner of one.changes) change(mirror, inner);
      return db.exec(one.keep ? "RELEASE s" : "ROLLBACK TO s; RELEASE s");
  }
}

function run(mirror: Mirror, step: Step): void {
  switch (step.do) {
    case "commit":
      return mirror.transaction(() => step.changes.forEach((one) => change(mirror, one)));
    case "rollback":
      mirror.db.begin();
      for (const one of step.changes) change(mirror, one);
      return mirror.db.rollback();
    case "spill then rollback":
      mirror.db.begin();
      mirror.db.exec(`INSERT INTO keyless SELECT 'spilled', randomblob(1024) FROM (${numbers(step.kib)})`);
      mirror.db.rollback();
      return mirror.transaction(() => mirror.db.exec("INSERT INTO keyless VALUES ('small', NULL)"));
    case "vacuum":
      mirror.db.exec("VACUUM");
      return mirror.capture();
    case "checkpoint":
      return mirror.db.checkpoint();
    case "reopen":
      return mirror.reopen();
    case "kill":
      return mirror.afterKill();
    case "compare":
      expect(mirror.differences()).toEqual([]);
  }
}

function numbers(count: number): string {
  return `WITH RECURSIVE c (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < ${count}) SELECT i FROM c`;
}

const n = fc.integer({ min: 1, max: 60 });
const { change: anyChange } = fc.letrec<{ change: Change; savepoint: Change }>((tie) => ({
  change: fc.oneof(
    { maxDepth: 3, withCrossShrink: true },
    fc.record({ do: fc.constantFrom("insert", "delete", "update", "keyless", "flat", "fts", "fts-delete"), n }),
    fc.record({ do: fc.constantFrom("fts-optimize", "fts-merge", "schema", "drop") }),
    fc.record({ do: fc.constant("blob"), kib: fc.integer({ min: 1, max: 300 }) }),
    tie("savepoint"),
  ),
  savepoint: fc.record({
    do: fc.constant("savepoint"),
    keep: fc.boolean(),
    changes: fc.array(tie("change"), { maxLength: 4 }),
  }),
}));

const changes = fc.array(anyChange, { minLength: 1, maxLength: 5 });
const anyStep: fc.Arbitrary<Step> = fc.oneof(
  { weight: 8, arbitrary: fc.record({ do: fc.constantFrom("commit", "rollback"), changes }) },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant("spill then rollback"),
      kib: fc.integer({ min: PAGE_CACHE_KIB, max: 4 * PAGE_CACHE_KIB }),
    }),
  },
  { weight: 4, arbitrary: fc.record({ do: fc.constantFrom("vacuum", "checkpoint", "reopen", "kill", "compare") }) },
);

describe("captured pages make the same database", () => {
  test.each([[512], [1024], [4096], [65_536]])(
    "at page size %i, after any history",
    { timeout: 240_000 },
    (pageSize) => {
      const history = fc.property(
        fc.array(anyStep, { minLength: 1, maxLength: 20 }),
        fc.integer({ min: 1, max: 4 }),
        (steps, held) => {
          const mirror = new Mirror(pageSize, held);
          try {
            mirror.transaction(() => mirror.db.exec(SCHEMA));
            for (const step of steps) run(mirror, step);
            expect(mirror.differences()).toEqual([]);
          } finally {
            mirror.close();
          }
        },
      );
      fc.assert(history, { numRuns: 60 });
    },
  );

  test.each<[string, Step[]]>([
    [
      "a transaction larger than the page cache, rolled back, then a small commit",
      [{ do: "spill then rollback", kib: 8 * PAGE_CACHE_KIB }],
    ],
    [
      "a transaction larger than the page cache, kept",
      [
        {
          do: "commit",
          changes: [
            { do: "blob", kib: 4 * PAGE_CACHE_KIB },
            { do: "insert", n: 60 },
            { do: "delete", n: 1 },
          ],
        },
      ],
    ],
    [
      "nested savepoints, the outer one taken back, with a spill between",
      [
        {
          do: "commit",
          changes: [
            { do: "insert", n: 50 },
            {
              do: "savepoint",
              keep: false,
              changes: [
                { do: "blob", kib: 2 * PAGE_CACHE_KIB },
                { do: "savepoint", keep: true, changes: [{ do: "insert", n: 60 }] },
              ],
            },
            { do: "update", n: 3 },
          ],
        },
      ],
    ],
    ["a value of 5 MB", [{ do: "commit", changes: [{ do: "blob", kib: 5 * 1024 }] }]],
    [
      "VACUUM of a database that has shrunk",
      [
        {
          do: "commit",
          changes: [
            { do: "blob", kib: 900 },
            { do: "insert", n: 60 },
          ],
        },
        { do: "commit", changes: [{ do: "delete", n: 5 }, { do: "drop" }] },
        { do: "vacuum" },
        { do: "commit", changes: [{ do: "insert", n: 5 }] },
      ],
    ],
    [
      "a checkpoint, and a WAL begun anew",
      [
        { do: "checkpoint" },
        { do: "commit", changes: [{ do: "insert", n: 9 }] },
        { do: "checkpoint" },
        { do: "checkpoint" },
        { do: "commit", changes: [{ do: "flat", n: 9 }] },
      ],
    ],
    [
      "schema changes",
      [
        { do: "commit", changes: [{ do: "schema" }] },
        { do: "rollback", changes: [{ do: "schema" }] },
        { do: "commit", changes: [{ do: "drop" }, { do: "schema" }] },
      ],
    ],
    [
      "FTS5 with deletes and an optimize",
      [
        {
          do: "commit",
          changes: [
            { do: "insert", n: 60 },
            { do: "fts", n: 60 },
          ],
        },
        { do: "commit", changes: [{ do: "fts-delete", n: 1 }, { do: "fts-optimize" }] },
      ],
    ],
  ])("after %s", { timeout: 120_000 }, (_title, steps) => {
    for (const pageSize of [512, 1024, 4096]) {
      const mirror = new Mirror(pageSize, 1);
      mirror.transaction(() => mirror.db.exec(SCHEMA));
      for (const step of steps) {
        run(mirror, step);
        expect(mirror.differences()).toEqual([]);
      }
      mirror.close();
    }
  });

  test("a commit that changed nothing gives nothing, also with frames of a rollback behind it", () => {
    const mirror = new Mirror(1024, 1);
    mirror.transaction(() => mirror.db.exec(SCHEMA));
    mirror.db.begin();
    mirror.db.exec(`INSERT INTO keyless SELECT 'spilled', randomblob(1024) FROM (${numbers(1000)})`);
    mirror.db.rollback();
    mirror.db.begin();
    mirror.db.commit();
    expect(mirror.db.capture.read()).toBeUndefined();
    expect(mirror.differences()).toEqual([]);
    mirror.close();
  });

  test("a commit above MAX_COMMIT_BYTES is refused", { timeout: 120_000 }, () => {
    const mirror = new Mirror(4096, 1);
    mirror.transaction(() => mirror.db.exec(SCHEMA));
    mirror.db.begin();
    mirror.db.exec(`INSERT INTO keyless SELECT 'large', randomblob(1000000) FROM (${numbers(34)})`);
    mirror.db.commit();
    let refused: unknown;
    try {
      mirror.db.capture.read();
    } catch (error) {
      refused = error;
    }
    expect(isFrondError(refused, "RECORD_TOO_LARGE")).toBe(true);
    mirror.close();
  });
});
