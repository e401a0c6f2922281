// Reading where stuck code is from a stack trace.

import { expect, test } from "vitest";
import { readStack, takeStack } from "../../src/server/watch/frames.ts";

const OWN = new URL("../../src/", import.meta.url).href;
const HEAD = ["Error: here", `    at Watchdog.asked (${OWN}server/watch/watchdog.ts:1:1)`, "    at the-question:1:9"];

const read = (...lines: string[]): ReturnType<typeof readStack> =>
  readStack([...HEAD, ...lines.map((line) => `    at ${line}`)].join("\n"), "the-question");

test("the innermost frame with a place decides whose code runs", () => {
  const app = "Mailbox.find (file:///srv/my (old) app/app.ts:12:5)";
  const own = `LiveCell.execute (${OWN}cell/live.ts:1:1)`;
  expect(read(app)).toMatchObject({ innermost: "app", inApp: true });
  expect(read("Array.sort (<anonymous>)", app, own)).toMatchObject({ innermost: "app" });
  expect(read(own, app)).toMatchObject({ innermost: "runtime", inApp: true });
  expect(read("Buffer.from (node:buffer:1:1)", app)).toMatchObject({ innermost: "node", inApp: true });
  expect(read("LOG (/srv/node_modules/pino/lib/tools.js:1:1)", app)).toMatchObject({ innermost: "runtime" });
  expect(read("parse (/srv/node_modules/any/index.js:7:1)", own)).toMatchObject({ innermost: "app" });
  expect(read("file:///srv/app.ts:3:1", own)).toMatchObject({ innermost: "app", at: "/srv/app.ts:3:1" });
  expect(read(own, "listOnTimeout (node:internal/timers:1:1)")).toMatchObject({ innermost: "runtime", inApp: false });
  expect(read("Array.map (<anonymous>)")).toMatchObject({ innermost: "none", inApp: false });
});

test("the place of the app is its innermost one, also below frames of others; who waits does not count", () => {
  expect(read("Buffer.from (node:buffer:1:1)", "a (file:///srv/a.ts:1:2)", "b (file:///srv/b.ts:3:4)").at).toBe(
    "/srv/a.ts:1:2",
  );
  expect(read("Buffer.from (node:buffer:1:1)", "async a (file:///srv/a.ts:1:2)")).toEqual({
    innermost: "node",
    inApp: false,
    inImmediates: false,
  });
  expect(read("a (file:///srv/a.ts:1:2)", "process.processImmediate (node:internal/timers:5:6)").inImmediates).toBe(
    true,
  );
});

test("a trace is taken without asking anybody else what a trace is", () => {
  const { prepareStackTrace, stackTraceLimit } = Error;
  const mine = (): string => {
    throw new Error("code of the app");
  };
  Reflect.set(Error, "prepareStackTrace", mine);
  try {
    expect(takeStack()).toContain("frames.test.ts");
    expect(Error.prepareStackTrace).toBe(mine);
    expect(Error.stackTraceLimit).toBe(stackTraceLimit);
  } finally {
    Reflect.set(Error, "prepareStackTrace", prepareStackTrace);
  }
});
