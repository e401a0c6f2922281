// What a test says when it needs a program that npm does not bring.
//
// `const chromium = need("chromium")`, and then `test.skipIf(chromium === undefined)` for the tests that drive it.
//
// Rule: a gap is visible. On a developer's machine such a test is counted as skipped, and provision.ts has printed what
// would install the program; in CI the gap is a failure, because nobody reads the word "skipped" there.

import type { ToolName } from "./tools.ts";
import { findTool, installCommand, TOOLS } from "./tools.ts";

/** Full path of the program, or undefined where its tests are to be skipped. Throws in CI (CI=true) if it is missing. */
export function need(name: ToolName): string | undefined {
  const tool = TOOLS[name];
  const path = findTool(tool);
  if (path === undefined && process.env["CI"] === "true") {
    throw new Error(`${name} is missing, and in CI no test may be skipped. To install it: ${installCommand(tool)}`);
  }
  return path;
}
