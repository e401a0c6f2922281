// What `npm test` itself promises: counts that never flatter, a clear word where Node is too old, visible gaps.

import { afterEach, describe, expect, test, vi } from "vitest";
import { need } from "../../test-support/need.ts";
import { findTool, installCommand, TOOLS } from "../../test-support/tools.ts";
import { ROOT, run } from "../run.ts";
import { closingLine, countTests, summaryLines } from "../tests-report.ts";

afterEach(() => {
  vi.unstubAllEnvs();
});

describe("counting tests", () => {
  const file = (status: string, ...tests: string[]): unknown => ({
    name: "a.test.ts",
    status,
    assertionResults: tests.map((one) => ({ status: one, fullName: `a ${one}` })),
  });
  const count = (...testResults: unknown[]) => countTests(JSON.stringify({ testResults }));

  test("every test counts once, by what became of it", () => {
    const counted = count(file("passed", "passed", "passed", "skipped"), file("failed", "passed", "failed"));
    expect(counted).toEqual({ passed: 3, failed: 1, skipped: ["a skipped"] });
    expect(closingLine(counted)).toBe("3 passed, 1 failed");
  });

  test("a file that cannot be loaded is a failure", () => {
    expect(count(file("failed")).failed).toBe(1);
    expect(count(file("failed", "passed")).failed).toBe(1);
    expect(count(file("failed", "failed", "failed")).failed).toBe(2);
  });

  test("no report is a failure", () => {
    expect(countTests(undefined)).toEqual({ passed: 0, failed: 1, skipped: [] });
  });

  test("the summary is what vitest says last", () => {
    const output =
      " ✓ a.test.ts\n\n\u001b[2m Test Files \u001b[22m 1 passed (1)\n      Tests  3 passed (3)\n   Duration  1s\n\n   Advice\n";
    expect(summaryLines(output)).toContain("Tests  3 passed (3)\n");
    expect(summaryLines(output)).not.toMatch(/a\.test\.ts|Advice/);
    expect(summaryLines("nothing of the kind")).toBe("");
  });
});

describe("the commands", () => {
  test("an unknown step is an error that names the steps", async () => {
    const { ok, output } = await run("node", ["scripts/check.ts", "--only", "tesst"]);
    expect(ok).toBe(false);
    expect(output).toContain("format, lint, types, tests, package");
  });

  test("a command that fails or cannot start is not ok", async () => {
    expect(await run("node", ["--eval", "console.log(1); process.exit(3)"])).toMatchObject({
      ok: false,
      stdout: "1\n",
    });
    expect((await run(`${ROOT}/no-such-command`, [])).ok).toBe(false);
  });

  test("an old Node gets a clear message", async () => {
    const pretend = `data:text/javascript,Object.defineProperty(process.versions,"node",{value:"20.1.0"})`;
    const old = await run("node", ["--import", pretend, "scripts/require-node.js"]);
    expect(old.ok).toBe(false);
    expect(old.output).toContain("this is Node 20.1.0");
    expect(old.output).toContain("optional dependencies");
    expect(await run("node", ["scripts/require-node.js"])).toEqual({ ok: true, output: "", stdout: "" });
  });
});

describe("programs that npm does not bring", () => {
  test("a missing one fails in CI and is a gap elsewhere", () => {
    vi.stubEnv("PATH", "");
    vi.stubEnv("CI", "");
    expect(need("chromium")).toBe(undefined);
    vi.stubEnv("CI", "true");
    expect(() => need("chromium")).toThrow(installCommand(TOOLS.chromium));
  });

  test("one that is there is found on the PATH", () => {
    expect(findTool({ commands: ["no-such-command", "node"], packages: [] })).toMatch(/\/node$/);
  });
});
