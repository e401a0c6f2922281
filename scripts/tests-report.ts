// What a run of the tests amounts to: how many passed, failed, were skipped.
//
// Rule: a file that could not be loaded counts as one failed test, a missing report as a failure; a count never looks
// better than what happened.

import { stripVTControlCharacters } from "node:util";

export interface TestCount {
  readonly passed: number;
  readonly failed: number;
  /** Full titles of the tests that did not run. */
  readonly skipped: readonly string[];
}

interface Report {
  readonly testResults: readonly {
    readonly name: string;
    readonly status: string;
    readonly assertionResults: readonly { readonly status: string; readonly fullName: string }[];
  }[];
}

/** Counts the tests of vitest's JSON report; undefined (no report was written) is one failure. */
export function countTests(report: string | undefined): TestCount {
  if (report === undefined) return { passed: 0, failed: 1, skipped: [] };
  let [passed, failed] = [0, 0];
  const skipped: string[] = [];
  for (const file of (JSON.parse(report) as Report).testResults) {
    const failedBefore = failed;
    for (const { status, fullName } of file.assertionResults) {
      if (status === "passed") passed++;
      else if (status === "failed") failed++;
      else skipped.push(fullName);
    }
    if (file.status === "failed" && failed === failedBefore) failed++;
  }
  return { passed, failed, skipped };
}

/** The last line of `npm test`. */
export function closingLine({ passed, failed }: TestCount): string {
  return `${passed} passed, ${failed} failed`;
}

/** The lines with which vitest sums up: from "Test Files" to "Duration"; empty if it never got there. */
export function summaryLines(output: string): string {
  const lines = output.split("\n");
  const plain = lines.map(stripVTControlCharacters);
  const from = plain.findLastIndex((line) => /^\s*Test Files\s/.test(line));
  const to = plain.findLastIndex((line) => /^\s*Duration\s/.test(line));
  return from === -1
    ? ""
    : `${lines
        .slice(from, to < from ? undefined : to + 1)
        .join("\n")
        .trimEnd()}\n`;
}
