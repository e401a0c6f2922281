// Rules about single source files: how they open, how long they are, what they may not use.
//
// Rule: each check here names the line and the reason, so that nobody has to look up why it exists. What the compiler
// or the linter already refuses is left to them; what is here they cannot see (core's purity), see too late (a
// decorator fails only when Node runs the file) or can be told to ignore by a comment.

import type { Finding, Source, SyntaxNode } from "./tree.ts";
import { isNode, isTest, lineAt, walk } from "./tree.ts";
import { importsOf, SOURCE_ROOT } from "./layers.ts";

/** Longest source file, in lines. */
export const MAX_LINES = 500;
/** The length that a file aims to stay below, in lines; longer ones are counted in the report. */
export const GOAL_LINES = 300;

/** Globals that bring the outside into a pure machine: time, chance, timers, the process. */
const IMPURE = new Set([
  "Date",
  "performance",
  "setTimeout",
  "setInterval",
  "setImmediate",
  "clearTimeout",
  "clearInterval",
  "clearImmediate",
  "queueMicrotask",
  "process",
  "crypto",
  "fetch",
  "globalThis",
  "console",
]);

/** Syntax that Node cannot strip, or that hides what a file does. */
const REFUSED_SYNTAX: Readonly<Record<string, string>> = {
  TSEnumDeclaration: "an enum: use a const object or a union of strings",
  TSParameterProperty: "a parameter property: declare the field and assign it",
  Decorator: "a decorator: say it in code",
  TSAnyKeyword: "`any`: use `unknown` and check, or name the type",
};

/** Checks one source file against all rules of this file. */
export function checkCode(source: Source): Finding[] {
  const findings: Finding[] = [];
  const add = (rule: string, at: number, message: string): void => {
    findings.push({ rule, path: source.path, line: lineAt(source.text, at), message });
  };
  checkOpening(source, add);
  checkLength(source, add);
  checkComments(source, add);
  const pure = source.path.startsWith(`${SOURCE_ROOT}core/`);
  walk(source.program, (node, parents, key) => {
    const refused = REFUSED_SYNTAX[node.type];
    if (refused !== undefined) add("syntax", node.start, refused);
    if (isTest(source.path)) checkTestCall(node, add);
    if (pure) checkPure(node, parents, key, add);
    if (source.path.startsWith(SOURCE_ROOT)) checkSourceUrl(node, add);
  });
  if (pure) {
    for (const { specifier, line } of importsOf(source)) {
      if (specifier.startsWith(".") || specifier === "node:assert") continue;
      const message = `core/ imports "${specifier}"; it decides and leaves acting to others`;
      findings.push({ rule: "purity", path: source.path, line, message });
    }
  }
  return findings;
}

/** How many lines a text has; a last line without its end counts. */
export function lineCount(text: string): number {
  return text.split("\n").length - (text.endsWith("\n") ? 1 : 0);
}

type Add = (rule: string, at: number, message: string) => void;

function checkOpening(source: Source, add: Add): void {
  const text = source.text.replace(/^#!.*\n/, (line) => " ".repeat(line.length));
  const first = source.comments.find(({ start }) => text[start] === "/");
  if (first === undefined || text.slice(0, first.start).trim() !== "") {
    add("opening", 0, "does not open with a comment that says what the file is and which rule it keeps");
  }
  if (/(?:^|\/)utils?\.[a-z]+$/.test(source.path)) add("opening", 0, "a file named utils: name the idea instead");
}

function checkLength(source: Source, add: Add): void {
  const lines = lineCount(source.text);
  if (lines > MAX_LINES)
    add("length", source.text.length, `${lines} lines; at most ${MAX_LINES}, aim for ${GOAL_LINES}`);
}

function checkComments(source: Source, add: Add): void {
  for (const comment of source.comments) {
    if (/@ts-(?:ignore|nocheck|expect-error)/.test(comment.value)) {
      add("comment", comment.start, "switches the type checker off; make the types true");
    }
    if (/\b(?:TODO|FIXME|XXX)\b/.test(comment.value)) add("comment", comment.start, "a note of unfinished work");
  }
}

/** A test that does not run protects nothing. `skipIf` is allowed: it is for what a machine lacks (see need.ts). */
function checkTestCall(node: SyntaxNode, add: Add): void {
  if (node.type !== "MemberExpression" || node["computed"] === true) return;
  const name = (node["property"] as SyntaxNode)["name"];
  if (name !== "skip" && name !== "only" && name !== "todo" && name !== "fails") return;
  let root = node["object"];
  while (isNode(root) && root.type === "MemberExpression") root = root["object"];
  const object = isNode(root) ? root["name"] : undefined;
  if (object === "test" || object === "it" || object === "describe" || object === "bench") {
    add("tests", node.start, `\`.${name}\`: every test runs`);
  }
}

function checkPure(node: SyntaxNode, parents: readonly SyntaxNode[], key: string, add: Add): void {
  if (node.type === "MemberExpression") {
    const [object, property] = [node["object"], node["property"]];
    if (isNode(object) && object["name"] === "Math" && isNode(property) && property["name"] === "random") {
      add("purity", node.start, "Math.random in core/: chance comes in as an argument");
    }
  }
  if (node.type !== "Identifier" || !IMPURE.has(node["name"] as string)) return;
  const parent = parents[0];
  const isMember = parent?.type === "MemberExpression" && key === "property" && parent["computed"] !== true;
  const isKey = key === "key" && parent?.["computed"] !== true;
  const isType = parent?.type.startsWith("TS") === true;
  if (isMember || isKey || isType) return;
  add("purity", node.start, `\`${node["name"]}\` in core/: time, chance and the world come in as arguments`);
}

/** The compiler rewrites imports of `.ts`, not URLs: such a URL works here and fails in the published package. */
function checkSourceUrl(node: SyntaxNode, add: Add): void {
  if (node.type !== "NewExpression") return;
  const [callee, first] = [node["callee"], (node["arguments"] as unknown[])[0]];
  if (!isNode(callee) || callee["name"] !== "URL" || !isNode(first)) return;
  if (typeof first["value"] === "string" && first["value"].endsWith(".ts")) {
    add(
      "published",
      node.start,
      "a URL to a .ts file; the published package holds .js: take the ending of import.meta.url",
    );
  }
}
