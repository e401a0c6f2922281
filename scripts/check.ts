// `npm test`: every check of the project, one line each.
//
// Rule: a step that passes says one line with its time; a step that fails shows all that it said; all steps run, so one
// look tells everything that is wrong. The last line counts the tests. No test run at all is a failure.
// Rejected: a task runner (five commands in a row need none).

import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { parseArgs } from "node:util";
import { findTool, installCommand, TOOLS } from "../test-support/tools.ts";
import { run, type Result } from "./run.ts";
import { closingLine, countTests, summaryLines } from "./tests-report.ts";

interface Step {
  readonly name: string;
  readonly what: string;
  readonly run: () => Promise<Result>;
}

let summary = "";
let counted: string | undefined;

const STEPS: readonly Step[] = [
  { name: "format", what: "oxfmt", run: () => run("oxfmt", ["--check", "."]) },
  { name: "lint", what: "oxlint", run: () => run("oxlint", ["--deny-warnings"]) },
  { name: "types", what: "tsc", run: () => run("tsc", ["--noEmit", "-p", "tsconfig.json"]) },
  { name: "tests", what: "vitest", run: runTests },
  { name: "package", what: "build, pack, publint, attw, install", run: () => run("node", ["scripts/package.ts"]) },
];

async function runTests(): Promise<Result> {
  const folder = mkdtempSync(`${tmpdir()}/frond-check-`);
  try {
    const file = `${folder}/report.json`;
    const reporters = ["--reporter=default", "--reporter=json", `--outputFile.json=${file}`];
    const result = await run("vitest", ["run", ...reporters]);
    const count = countTests(readText(file));
    summary = summaryLines(result.output);
    for (const title of count.skipped) summary += `   skipped: ${title}\n`;
    if (count.skipped.length > 0) summary += missingTools();
    counted = closingLine(count);
    const none = count.passed + count.failed === 0 ? "no test ran\n" : "";
    return { ...result, ok: result.ok && count.failed === 0 && none === "", output: result.output + none };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function missingTools(): string {
  return Object.entries(TOOLS)
    .filter(([, tool]) => findTool(tool) === undefined)
    .map(([name, tool]) => `   ${name} is missing. To install it: ${installCommand(tool)}\n`)
    .join("");
}

function readText(file: string): string | undefined {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return undefined;
  }
}

async function main(): Promise<void> {
  const { values } = parseArgs({ options: { only: { type: "string", multiple: true } } });
  const names = STEPS.map(({ name }) => name);
  const unknown = values.only?.find((name) => !names.includes(name));
  if (unknown !== undefined) {
    console.error(`there is no step "${unknown}"; the steps are ${names.join(", ")}`);
    process.exitCode = 2;
    return;
  }
  console.log(`Node ${process.versions.node}`);
  const failed: string[] = [];
  for (const step of STEPS) {
    if (values.only !== undefined && !values.only.includes(step.name)) continue;
    const start = performance.now();
    const { ok, output } = await step.run();
    const seconds = ((performance.now() - start) / 1000).toFixed(1);
    console.log(`${ok ? "ok    " : "FAILED"} ${step.name.padEnd(8)} ${seconds.padStart(6)} s  ${step.what}`);
    if (ok) continue;
    failed.push(step.name);
    console.log(output.trimEnd());
  }
  if (summary !== "") console.log(`\n${summary.trimEnd()}`);
  if (failed.length > 0) console.log(`\nfailed: ${failed.join(", ")}`);
  if (counted !== undefined) console.log(counted);
  process.exitCode = failed.length > 0 ? 1 : 0;
}

await main();
