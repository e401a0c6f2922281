// docs/API.md against the program: a code or a command that is missing there would be looked up in vain.

import { readFileSync } from "node:fs";
import path from "node:path";
import { expect, test } from "vitest";
import { ERROR_CODES, type ErrorCode, FrondError } from "../../src/errors.ts";

const page = readFileSync(path.resolve(import.meta.dirname, "../../../../docs/API.md"), "utf8");
const rows = [...page.matchAll(/^\| `([A-Z_]+)` \| (.+) \|$/gm)].map(([, code, meaning]) => ({ code, meaning }));

test("the table of errors has every code once, in the order of errors.ts", () => {
  expect(rows.map(({ code }) => code)).toEqual(Object.keys(ERROR_CODES));
});

test("it says which errors a later attempt can cure, and which came of load", () => {
  for (const { code, meaning = "" } of rows) {
    const { retryable, overloaded } = new FrondError(code as ErrorCode, "");
    expect([code, /\bretryable\b/.test(meaning), /\boverloaded\b/.test(meaning)]).toEqual([
      code,
      retryable,
      overloaded,
    ]);
  }
});
