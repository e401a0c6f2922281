// The watchdog by itself, in a process that gets stuck in each of the ways that there are: it ends what can be ended and the
// process lives on; where nothing can be ended, the process ends with its code and has noted the suspect.

import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { EXIT_STUCK } from "../../src/server/watch/endProcess.ts";

const CHILD = path.resolve(import.meta.dirname, "watchdog/child.ts");

interface Outcome {
  readonly code: number | null;
  /** What the host was told, and what the process said. */
  readonly said: Record<string, unknown>[];
  /** Lines of the log. */
  readonly log: Record<string, unknown>[];
  readonly suspect: Record<string, unknown> | undefined;
}

async function stick(how: string, execArgv: string[] = []): Promise<Outcome> {
  const directory = mkdtempSync(path.join(tmpdir(), "frond-watchdog-"));
  onTestFinished(() => rmSync(directory, { recursive: true }));
  const child = spawn(process.execPath, [...execArgv, CHILD, how, directory], { stdio: ["ignore", "pipe", "ignore"] });
  onTestFinished(() => void child.kill("SIGKILL"));
  let out = "";
  child.stdout.setEncoding("utf8").on("data", (chunk: string) => (out += chunk));
  const code = await new Promise<number | null>((resolve) => child.on("close", resolve));
  const lines = out
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as Record<string, unknown>);
  const file = path.join(directory, "suspect.json");
  return {
    code,
    said: lines.filter((line) => !("level" in line)),
    log: lines.filter((line) => "level" in line),
    suspect: existsSync(file) ? (JSON.parse(readFileSync(file, "utf8")) as Record<string, unknown>) : undefined,
  };
}

const SLOW = "the event loop is held up";
const FORCED = "code that held the event loop was ended by force";

describe("code that goes on for ever is ended, and the process lives on", () => {
  const lost = { shaken: true };
  // What was lost with it is told: the rest of the queue that it was called from.
  const ways: [string, object[]][] = [
    ["timer", []],
    ["tick", []],
    ["immediate", [lost]],
    ["microtask", [lost]],
    ["await", [lost]],
    ["regexp", []],
    ["log", []],
    ["swallowed", []],
  ];
  test.each(ways)("%s", async (how, more) => {
    const { code, said, log, suspect } = await stick(how);
    expect(said).toEqual([{ ended: how, code: "TERMINATED", byForce: true }, ...more, { alive: true }]);
    // A machine that is busy may hold it up again.
    expect(log.slice(0, 2).map(({ msg }) => msg)).toEqual([SLOW, FORCED]);
    for (const line of log.slice(0, 2)) expect(line).toMatchObject({ level: 40, address: "counter/a", verb: how });
    expect(log[0]?.["at"]).toMatch(/^\/.*child\.ts:\d+:\d+$/);
    expect([code, suspect]).toEqual([0, undefined]);
  });

  test("by an ordinary error, if it asks something of its cell", async () => {
    const { code, said, log } = await stick("caught");
    expect(said).toEqual([
      { caught: "TERMINATED" },
      { ended: "caught", code: "TERMINATED", byForce: false },
      { alive: true },
    ]);
    expect(log.map(({ msg }) => msg)).not.toContain(FORCED);
    expect(code).toBe(0);
  });

  test("also when it is of no cell", async () => {
    const { code, said, log } = await stick("outside");
    expect(said).toEqual([{ ended: null, code: "TERMINATED", byForce: true }, { alive: true }]);
    expect(log.every((line) => !("address" in line))).toBe(true);
    expect(code).toBe(0);
  });
});

describe("where nothing can be ended the process ends with its code", () => {
  test("inside SQLite, with the statement and its cell noted", async () => {
    const { code, said, log, suspect } = await stick("sqlite");
    const what = { address: "counter/slow", sql: expect.stringMatching(/^WITH RECURSIVE/) };
    expect(code).toBe(EXIT_STUCK);
    expect(said).toEqual([]);
    expect(suspect).toMatchObject({ ...what, run: 7, ms: expect.any(Number), atMs: expect.any(Number) });
    expect(log).toMatchObject([
      { level: 40, ...what, msg: `${SLOW}, inside SQLite` },
      { level: 60, ...what, code: EXIT_STUCK },
    ]);
  });

  test("inside other native code, with the cell that was called last", async () => {
    const { code, suspect } = await stick("native");
    expect(code).toBe(EXIT_STUCK);
    expect(suspect).toMatchObject({ address: "counter/native" });
    expect(suspect).not.toHaveProperty("sql");
  });

  test("in the middle of what nothing may break off", async () => {
    const { code, said, suspect } = await stick("critical");
    expect(code).toBe(EXIT_STUCK);
    expect(said).toEqual([]);
    expect(suspect).toMatchObject({ address: "counter/a", verb: "critical" });
  });
});

test("what is over in time is left alone", async () => {
  const { code, said } = await stick("brief");
  expect([code, said]).toEqual([0, [{ alive: true }]]);
});

test("under a debugger nobody watches", async () => {
  const directory = mkdtempSync(path.join(tmpdir(), "frond-watchdog-"));
  const child = spawn(process.execPath, ["--inspect=127.0.0.1:0", CHILD, "debugged", directory], {
    stdio: ["ignore", "pipe", "ignore"],
  });
  let out = "";
  child.stdout.setEncoding("utf8").on("data", (chunk: string) => (out += chunk));
  const code = await new Promise<number | null>((resolve) => child.on("close", resolve));
  rmSync(directory, { recursive: true });
  expect([code, out]).toEqual([0, '{"watched":false}\n{"alive":true}\n']);
});
