// A slice of the fuzzing of SQL, of values and of keys, with a fixed seed; and that each oracle catches an entrance that
// is broken.

import { describe } from "vitest";
import type { CellDatabase } from "../../src/store/database.ts";
import { resolveParameters } from "../../src/store/parameters.ts";
import { splitStatements } from "../../src/store/split.ts";
import type { Prepared } from "../../src/store/statements.ts";
import { guardTarget } from "./guard.ts";
import { keysTarget } from "./keys.ts";
import { parametersTarget } from "./parameters.ts";
import { scriptTarget } from "./scripts.ts";
import { catches, holds } from "./slice.ts";
import { valuesTarget } from "./values.ts";

describe("scripts", () => {
  holds(scriptTarget());
  catches(
    "a cut at every semicolon",
    scriptTarget((sql) => splitStatements(sql).flatMap((one) => one.split(";"))),
  );
  const inTriggers = scriptTarget((sql) =>
    splitStatements(sql).flatMap((one) => (/^create.*trigger/is.test(one) ? one.split(/;(?=[^;]*$)/) : [one])),
  );
  catches("a cut inside triggers", inTriggers);
  catches(
    "a piece that is lost",
    scriptTarget((sql) => splitStatements(sql).filter((one) => one !== "BEGIN")),
  );
});

describe("what a cell may say", () => {
  holds(guardTarget());
  catches("a guard that reads the first word only", guardTarget(firstWord));
  const blind = guardTarget((cell, sql) => {
    const prepared = cell.statements.prepare(sql);
    return { ...methods(prepared), writes: prepared.writes && !/^\s*WITH/i.test(sql) };
  });
  catches("a guard that takes WITH for a query", blind);
});

describe("parameters", () => {
  holds(parametersTarget());
  const shifted = parametersTarget((...args) => {
    const targets = resolveParameters(...args);
    return targets.map((_, i) => targets[targets.length - 1 - i] ?? null);
  });
  catches("columns in the wrong order", shifted);
  const more = parametersTarget((...args) => [...resolveParameters(...args), null]);
  catches("a parameter too many", more);
});

describe("values", () => {
  holds(valuesTarget());
  catches(
    "values that are bound as JSON",
    valuesTarget((value) => (Array.isArray(value) ? JSON.stringify(value) : value)),
  );
  catches(
    "integers that are bound as doubles",
    valuesTarget((value) => (typeof value === "bigint" ? Number(value) : value)),
  );
});

describe("keys", () => {
  holds(keysTarget());
  const unordered = keysTarget((play) => async (steps) => {
    const outcomes = await play(steps);
    return outcomes.map((one) =>
      "value" in one && Array.isArray(one.value) ? { value: [...one.value].reverse() } : one,
    );
  });
  catches("a list that is out of order", unordered);
  const folded = keysTarget(
    (play) => (steps) => play(steps.map((one) => ("key" in one && one.key === "A" ? { ...one, key: "a" } : one))),
  );
  catches("keys that fold case", folded);
});

/** A statement under a guard that looks at its first word alone. */
function firstWord(cell: CellDatabase, sql: string): Prepared {
  const allowed = /^\s*(SELECT|INSERT|UPDATE|DELETE|CREATE|DROP|WITH)\b/i.test(sql);
  if (!allowed) return cell.statements.prepare(sql);
  const statement = cell.prepare(sql);
  const none = { sql, writes: true, schema: true, columns: [], targets: [], values: () => [] };
  return { ...none, all: () => statement.all(), run: () => ({ changes: 0, lastRowId: 0 }) };
}

/** A prepared statement whose facts can be replaced. */
function methods(prepared: Prepared): Prepared {
  const { sql, writes, schema, columns, targets } = prepared;
  return {
    sql,
    writes,
    schema,
    columns,
    targets,
    run: (args) => prepared.run(args),
    all: (args) => prepared.all(args),
    values: (args) => prepared.values(args),
  };
}
