// The tidy rules together: a tree in, findings out.
//
// Rule: what this project says about its own shape (DESIGN of the house in ARCHITECTURE.md, habits in CONTRIBUTING.md)
// is checked here on every run of the tests, or it is not said.

import { checkCode, GOAL_LINES, lineCount } from "./code.ts";
import { checkLayers } from "./layers.ts";
import { checkDependencies, checkPlaces, checkSemantics } from "./texts.ts";
import type { Finding, Source, Tree } from "./tree.ts";
import { isCode, parseSource } from "./tree.ts";

/** All broken rules of a tree, in the order of paths and lines. */
export function tidy(tree: Tree): Finding[] {
  const findings: Finding[] = [];
  const sources: Source[] = [];
  for (const [path, text] of tree) {
    if (!isCode(path)) continue;
    const source = parseSource(path, text);
    if (typeof source === "string") findings.push({ rule: "parse", path, line: 1, message: source });
    else sources.push(source);
  }
  findings.push(...sources.flatMap(checkCode), ...checkLayers(sources));
  findings.push(...checkPlaces(tree), ...checkDependencies(tree), ...checkSemantics(tree));
  return findings.toSorted((a, b) => a.path.localeCompare(b.path) || a.line - b.line);
}

/** Source files that are longer than they aim to be, longest first: shown, not refused. */
export function longFiles(tree: Tree): { path: string; lines: number }[] {
  return [...tree]
    .filter(([path]) => isCode(path))
    .map(([path, text]) => ({ path, lines: lineCount(text) }))
    .filter(({ lines }) => lines > GOAL_LINES)
    .toSorted((a, b) => b.lines - a.lines);
}

/** `path:line  rule  message`, as editors make it clickable. */
export function formatFinding({ path, line, rule, message }: Finding): string {
  return `${path}:${line}  ${rule}  ${message}`;
}
