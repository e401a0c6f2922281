// Which column a parameter goes to: never a wrong one.
//
// Rule: every parameter gets a mark of its own, SQLite executes the statement, and a column that was named for a
// parameter must hold that mark afterwards. How many parameters there are SQLite says too.

import fc from "fast-check";
import { DatabaseSync } from "node:sqlite";
import { resolveParameters } from "../../src/store/parameters.ts";
import { gap } from "./sqlText.ts";
import { type Entrance, target, type Target } from "./target.ts";

const COLUMNS = ["one", "two", "three", "odd name", "values"] as const;
const INFO = COLUMNS.map((name) => ({ name, type: "TEXT" }));

/** What stands as a value: with a parameter alone, in something, or without one. */
const VALUES = [
  ..."? ? ? ? ?1 ?2 ?5 ?03 (?) +? ?||'' 'lit?' NULL 1 upper(?) (SELECT?) ((?)) ?COLLATE/**/NOCASE (SELECT/*?*/?)".split(
    " ",
  ),
  "CASE WHEN ? THEN ? END",
  "coalesce(?, ?)",
  "(SELECT ? UNION SELECT 'x')",
  "iif(? = ',', '(', ?)",
];

interface ParameterCase {
  readonly kind: "insert" | "replace" | "update" | "upsert" | "select" | "returning" | "union" | "row";
  readonly columns: readonly (typeof COLUMNS)[number][];
  readonly rows: readonly (readonly number[])[];
  readonly sets: readonly number[];
  readonly where: number;
  readonly list: boolean;
  readonly gaps: readonly number[];
}

export function parametersTarget(resolve: typeof resolveParameters = resolveParameters): Target {
  return target("parameters", 1500, (): Entrance<ParameterCase> => {
    const db = new DatabaseSync(":memory:");
    const names = COLUMNS.map((name) => `"${name}"`);
    const seen = `INSERT INTO seen VALUES (${names.map((name) => `new.${name}`).join(", ")})`;
    // Before, since a row that meets a conflict is not there afterwards.
    db.exec(`CREATE TABLE p (${names.join(" TEXT, ")} TEXT, k TEXT UNIQUE DEFAULT 'k', g AS (one || two));
      CREATE TABLE seen (${names.join(", ")});
      CREATE TRIGGER inserted BEFORE INSERT ON p BEGIN ${seen}; END;
      CREATE TRIGGER updated BEFORE UPDATE ON p BEGIN ${seen}; END`);
    const value = fc.nat(VALUES.length - 1);
    return {
      input: fc.record({
        kind: fc.constantFrom("insert", "replace", "update", "upsert", "select", "returning", "union", "row"),
        columns: fc.shuffledSubarray([...COLUMNS], { minLength: 1 }),
        rows: fc.array(fc.array(value, { minLength: 6, maxLength: 6 }), { minLength: 1, maxLength: 2 }),
        sets: fc.array(value, { minLength: 6, maxLength: 6 }),
        where: value,
        list: fc.boolean(),
        gaps: fc.array(fc.nat(99), { minLength: 1, maxLength: 8 }),
      }),
      check(input) {
        const sql = textOf(input);
        const targets = resolve(sql, (table) =>
          table.toLowerCase() === "p" ? [...INFO, { name: "k", type: "TEXT" }] : undefined,
        );
        const marks = targets.map((_, i) => `mark ${i + 1}`);
        const found = new Set<string>();
        // An upsert inserts where there is no row with its key and updates where there is one.
        for (const present of [false, true]) {
          db.exec(`DELETE FROM p; DELETE FROM seen; ${present ? "INSERT INTO p (k) VALUES ('k')" : ""}`);
          if (!execute(db, sql, marks)) return;
          for (const row of db.prepare("SELECT * FROM seen").all()) {
            for (const [column, content] of Object.entries(row)) found.add(`${column}=${String(content)}`);
          }
        }
        for (const [i, one] of targets.entries()) {
          if (one === null || found.has(`${one.column}=${marks[i]}`)) continue;
          if (input.kind === "update" && found.size === 0) continue;
          throw new Error(`${JSON.stringify(sql)}: parameter ${i + 1} does not go to ${one.column}`);
        }
      },
      close: () => db.close(),
    };
  });
}

/** Runs `sql`; false where SQLite refuses it. Throws where it has another number of parameters than `marks`. */
function execute(db: DatabaseSync, sql: string, marks: readonly string[]): boolean {
  let statement;
  try {
    statement = db.prepare(sql);
  } catch {
    return false;
  }
  try {
    statement.all(...marks);
  } catch (error) {
    if ((error as Error).message.includes("out of range")) throw error;
    return false;
  }
  try {
    statement.all(...marks, "one more");
  } catch {
    return true;
  }
  throw new Error(`${JSON.stringify(sql)} has more than ${marks.length} parameters`);
}

function textOf({ kind, columns, rows, sets, where, list, gaps }: ParameterCase): string {
  let used = 0;
  const space = (): string => gap(gaps[used++ % gaps.length] as number);
  const name = (column: string, i: number): string =>
    /^(one|two|three)$/.test(column) && i % 2 === 0 ? column : [`"${column}"`, `[${column}]`, `\`${column}\``][i % 3]!;
  const names = columns.map(name);
  const lists = rows.map((row) => `(${columns.map((_, i) => space() + VALUES[row[i]!]! + space()).join(",")})`);
  const values = `VALUES${space()}${lists.join(`,${space()}`)}`;
  const assigned = list
    ? `(${names.join(", ")}) = (${columns.map((_, i) => VALUES[sets[i]!]!).join(",")})`
    : names.map((column, i) => `${column}${space()}=${space()}${VALUES[sets[i]!]!}`).join(", ");
  const into = `INTO${space()}p${space()}(${names.join(space() + ",")})`;
  const condition = VALUES[where]!;
  switch (kind) {
    case "insert":
    case "row":
      return `INSERT${space()}${into} ${values};`;
    case "replace":
      return `REPLACE ${into}${space()}${values}`;
    case "returning":
      return `INSERT OR REPLACE ${into} ${values} RETURNING ${condition}, one`;
    case "upsert":
      return `INSERT ${into} ${values}${space()}ON CONFLICT (k) DO UPDATE SET${space()}${assigned} WHERE ${condition} IS NOT 5`;
    case "select":
      return `INSERT ${into} SELECT ${columns.map((_, i) => VALUES[rows[0]![i]!]!).join(",")}`;
    case "union":
      return `WITH x AS (SELECT ?) INSERT ${into} ${values} UNION SELECT ${columns.map(() => condition).join(",")}`;
    case "update":
      return `UPDATE OR REPLACE main.p SET${space()}${assigned} WHERE ${condition} IS NOT 5`;
  }
}
