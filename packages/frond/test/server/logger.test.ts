// The log as operators and programs read it: its lines, and what must never stand in them.

import { expect, test } from "vitest";
import { FrondError } from "../../src/errors.ts";
import { createLogger } from "../../src/server/logger.ts";
import type { LoggerOptions } from "../../src/server/logger.ts";
import { Warnings } from "../../src/server/warnings.ts";

function written(options: LoggerOptions, act: (log: ReturnType<typeof createLogger>) => void): string[] {
  const lines: string[] = [];
  act(createLogger({ ...options, write: (line) => lines.push(line) }));
  return lines;
}

test("JSON: one object per line, errors with code and stack", () => {
  const error = Object.assign(new Error("no\nspace"), { code: "ENOSPC" });
  const [line, ...more] = written({ format: "json" }, (log) =>
    log.error({ err: error, cell: "a/b" }, "a write failed"),
  );
  expect(more).toEqual([]);
  expect(line?.indexOf("\n")).toBe(line!.length - 1);
  const wanted = {
    level: 50,
    msg: "a write failed",
    cell: "a/b",
    pid: process.pid,
    err: { code: "ENOSPC", message: "no\nspace" },
  };
  expect(JSON.parse(line!)).toMatchObject(wanted);
  expect((JSON.parse(line!) as { err: { stack: string } }).err.stack).toContain("logger.test.ts");
});

test("text: time, level, sentence, fields; the stack below", () => {
  const [plain, failed] = written({ format: "text" }, (log) => {
    log.info({ cell: "mailbox/alice", why: "a b", n: 3 }, "opened");
    log.error({ err: new Error("broken") }, "failed");
  });
  expect(plain).toMatch(/^\d\d:\d\d:\d\d info  opened cell=mailbox\/alice why="a b" n=3\n$/);
  expect(failed).toMatch(/^\d\d:\d\d:\d\d error failed\n    Error: broken\n        at /);
});

test("an error of frond shows its code, as text and as JSON", () => {
  const err = new FrondError("MIGRATION_DRIFT", "not the one that ran");
  const [text] = written({ format: "text" }, (log) => log.error({ err }, "failed"));
  expect(text).toMatch(/ failed\n    FrondError \[MIGRATION_DRIFT\]: not the one that ran\n        at /);
  const [json] = written({ format: "json" }, (log) => log.error({ err }, "failed"));
  expect(JSON.parse(json!)).toMatchObject({ err: { type: "FrondError", code: "MIGRATION_DRIFT" } });
});

test("text from outside cannot move the cursor of a terminal", () => {
  const hostile = "\u001b[2Jx\r\ny\u009b2K";
  const [line] = written({ format: "text" }, (log) => log.info({ name: hostile }, `hello ${hostile}`));
  expect([...line!].filter((c) => c < " " || (c > "~" && c < "\u00a0"))).toEqual(["\n"]);
  expect(line).toContain("hello \\x1b[2Jx\\x0d\\x0ay\\x9b2K");
});

test("the level decides what is written", () => {
  const say = (log: ReturnType<typeof createLogger>) => {
    log.debug("d");
    log.warn("w");
  };
  expect(written({}, say)).toHaveLength(1);
  expect(written({ level: "debug" }, say)).toHaveLength(2);
  expect(written({ level: "silent" }, say)).toHaveLength(0);
});

test("fields named like secrets are not written, nor one object deep", () => {
  const secrets = {
    authorization: "Bearer s3cret",
    cookie: "s3cret",
    "set-cookie": "s3cret",
    token: "s3cret",
    password: "s3cret",
  };
  const [line] = written({ format: "json" }, (log) => log.info({ ...secrets, headers: secrets, path: "/x" }, "asked"));
  expect(line).not.toContain("s3cret");
  expect(JSON.parse(line!)).toMatchObject({
    path: "/x",
    authorization: "[redacted]",
    headers: { cookie: "[redacted]" },
  });
});

test("a warning by the thousand is one line, and the next one counts the rest", async () => {
  const lines: { count: number; msg: string }[] = [];
  const warnings = new Warnings(createLogger({ format: "json", write: (line) => lines.push(JSON.parse(line)) }));
  for (let i = 0; i < 1_000; i++) warnings.count("refused");
  warnings.count("dropped");
  expect(lines.map(({ count, msg }) => [count, msg])).toEqual([
    [1, "refused"],
    [1, "dropped"],
  ]);
  await expect
    .poll(
      () => {
        warnings.count("refused");
        return lines.length;
      },
      { timeout: 10_000 },
    )
    .toBe(3);
  expect(lines[2]!.count).toBeGreaterThan(999);
});
