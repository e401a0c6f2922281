// docs/API.md against the program: a code or a command that is missing there would be looked up in vain.

import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { expect, test } from "vitest";
import { App } from "../../src/cell/app.ts";
import { Cell } from "../../src/cell/cell.ts";
import { CellContext } from "../../src/cell/context.ts";
import { FileBody } from "../../src/cell/fileBody.ts";
import { CellFiles } from "../../src/cell/files.ts";
import { KeyValues } from "../../src/cell/kv.ts";
import { CellSocket } from "../../src/cell/socket.ts";
import { SqlCursor, SqlStorage } from "../../src/cell/sqlStorage.ts";
import { AsyncKeyValues, CellStorage, StorageTransaction } from "../../src/cell/storage.ts";
import { ERROR_CODES, type ErrorCode, FrondError } from "../../src/errors.ts";
import { TestNode } from "../../src/testing/testNode.ts";

const page = readFileSync(path.resolve(import.meta.dirname, "../../../../docs/API.md"), "utf8");
const sources = path.resolve(import.meta.dirname, "../../src");
/** All that stands between backticks. */
const shown = [...page.matchAll(/``? ?([^\n]+?) ?`?`(?=[^`])/g)].map(([, text]) => text).join("\n");

const isWordShown = (word: string): boolean => new RegExp(`\\b${word}\\b`).test(shown);

/** What the pattern finds in the sources of a layer. */
function found(layer: string, pattern: RegExp): string[] {
  const files = readdirSync(path.join(sources, layer), { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".ts"))
    .map((name) => readFileSync(path.join(sources, layer, name), "utf8"));
  return [...new Set(files.flatMap((text) => [...text.matchAll(pattern)].map((match) => match[1] as string)))];
}
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

test("every command and option of the command line stands on it", () => {
  const commands = found("cli", /\.command\("([a-z]+)"\)/g);
  const options = found("cli", /(?:\.option|new Option)\(\s*"(--[a-z0-9-]+)/g);
  expect([commands.length > 10, options.length > 10]).toEqual([true, true]);
  const isShown = (word: string): boolean => new RegExp(`(?:^|[ ;])${word}(?:$|[ ;])`, "m").test(shown);
  expect([...commands, ...options].filter((word) => !isShown(word))).toEqual([]);
});

test("every code that clients are told stands on it", () => {
  // A line of the log, and what node says of a request.
  const codes = found("server", /(?:code: |failure\(\d+, )"([A-Z_]+)"/g).filter((code) => !code.startsWith("HPE_"));
  codes.push(...found("client", /code: "([A-Z_]+)"/g), ...found("cell", /refusal\(\d+, "([A-Z_]+)"/g));
  expect(codes.length).toBeGreaterThan(20);
  expect(codes.filter((code) => !page.includes(`\`${code}\``))).toEqual([]);
});

test("every public member of cells, sockets, storage and test nodes stands on it", () => {
  // For the runtime, or of what JavaScript itself asks for.
  const internal = new Set(["constructor", "putRows", "deleteAll of KeyValues", "run", "next"]);
  const classes = [
    Cell,
    CellContext,
    CellStorage,
    AsyncKeyValues,
    StorageTransaction,
    KeyValues,
    SqlStorage,
    SqlCursor,
    CellFiles,
    FileBody,
  ];
  const members = [...classes, CellSocket, TestNode].flatMap((type) =>
    Object.getOwnPropertyNames(type.prototype)
      .filter((name) => !internal.has(name) && !internal.has(`${name} of ${type.name}`))
      .map((name) => [type.name, name] as const),
  );
  expect(members.length).toBeGreaterThan(50);
  expect(members.filter(([, name]) => !isWordShown(name))).toEqual([]);
});

test("every option of frond() stands on it", () => {
  const message = (() => {
    try {
      return String(new App({ cells: {}, nothing: 1 } as never));
    } catch (error) {
      return (error as Error).message;
    }
  })();
  const names = /knows (.+), not/.exec(message)?.[1]?.split(", ") ?? [];
  expect(names.length).toBeGreaterThan(4);
  expect(names.filter((name) => !isWordShown(name))).toEqual([]);
});
