// Rules about the texts of the project: what they may name, and what they promise.
//
// Rule: a document that promises something is checked against the thing it promises. A rule of SEMANTICS.md names a
// test that exists; a dependency is pinned and has its reason in docs/decisions; no text depends on one machine or on
// one package server.

import type { Finding, Tree } from "./tree.ts";
import { isTest, lineAt } from "./tree.ts";

const SEMANTICS = "docs/SEMANTICS.md";
const DECISIONS = "docs/decisions/";

/** Folders that exist on somebody's machine only. */
const MACHINE_PATH = /(?<![\w.)}-])\/(?:work|home|root|Users|tmp)\/[\w.]/g;
/** A host that serves packages: the project must install from whichever one its user has. */
const PACKAGE_HOST = /\bregistry\.[a-z0-9-]+\.[a-z]{2,}|\b[a-z0-9-]+\.(?:pkg\.dev|jfrog\.io)\b|\/artifactory\//g;

/** No text names a machine's folders or a package server; the lockfile resolves nothing to a host. */
export function checkPlaces(tree: Tree): Finding[] {
  const findings: Finding[] = [];
  for (const [path, text] of tree) {
    if (path === "package-lock.json") {
      const at = text.search(/"resolved": "https?:/);
      if (at !== -1) findings.push(finding("places", path, text, at, "the lockfile names the server of a package"));
      findings.push(...checkLock(path, text));
      continue;
    }
    for (const match of text.matchAll(MACHINE_PATH)) {
      findings.push(finding("places", path, text, match.index, `"${match[0]}": a folder of one machine`));
    }
    for (const match of text.matchAll(PACKAGE_HOST)) {
      findings.push(finding("places", path, text, match.index, `"${match[0]}": the host of a package server`));
    }
  }
  return findings;
}

/**
 * A package that has one binary per platform lists them all as optional; `npm ci` refuses a lockfile that lacks one. A
 * lockfile comes to lack one when it is made where that version is not to be had, or from a filled node_modules.
 */
function checkLock(path: string, text: string): Finding[] {
  const locked = (JSON.parse(text) as { packages: Record<string, { optionalDependencies?: Record<string, string> }> })
    .packages;
  const names = new Set(Object.keys(locked).map((key) => key.replace(/^.*node_modules\//, "")));
  return Object.entries(locked).flatMap(([key, { optionalDependencies = {} }]) =>
    Object.keys(optionalDependencies)
      .filter((name) => !names.has(name))
      .map((name) =>
        finding("places", path, text, Math.max(0, text.indexOf(`"${key}"`)), `the lockfile lacks ${name}`),
      ),
  );
}

/**
 * Every dependency is pinned to one version and named, in backticks, in a decision. A peer is what the application brings:
 * of that, one major version from the oldest that will do.
 */
export function checkDependencies(tree: Tree): Finding[] {
  const findings: Finding[] = [];
  const decisions = [...tree].filter(([path]) => path.startsWith(DECISIONS)).map(([, text]) => text);
  for (const [path, text] of tree) {
    if (!/(?:^|\/)package\.json$/.test(path)) continue;
    const manifest = JSON.parse(text) as Record<string, Record<string, string> | undefined>;
    for (const field of ["dependencies", "devDependencies", "optionalDependencies", "peerDependencies"]) {
      for (const [name, version] of Object.entries(manifest[field] ?? {})) {
        const at = Math.max(0, text.indexOf(`"${name}"`, text.indexOf(`"${field}"`)));
        const exact = field === "peerDependencies" ? version.replace(/^\^/, "") : version;
        if (!/^\d+\.\d+\.\d+(?:-[\w.]+)?$/.test(exact)) {
          findings.push(finding("dependencies", path, text, at, `"${name}": "${version}" is not one exact version`));
        }
        if (name !== "frond" && !decisions.some((decision) => decision.includes(`\`${name}\``))) {
          findings.push(
            finding("dependencies", path, text, at, `no file of ${DECISIONS} gives the reason for ${name}`),
          );
        }
      }
    }
  }
  return findings;
}

/** A rule of SEMANTICS.md. */
export interface SemanticsRule {
  readonly number: number;
  readonly tests: readonly string[];
  readonly at: number;
}

/** Reads the rules: `**S12** text. — test: \`title\`, \`title\``, each a paragraph. */
export function parseSemantics(text: string): SemanticsRule[] {
  return [...text.matchAll(/^(?:[-*] )?\*\*S(\d+)\*\*/gm)].map((match) => {
    const rest = text.slice(match.index + match[0].length);
    const end = rest.search(/\n\s*\n|\n(?:[-*] )?\*\*S\d|\n#/);
    const body = (end === -1 ? rest : rest.slice(0, end)).trimEnd();
    const named = /— tests?: ((?:`[^`]+`(?:,\s+)?)+)$/.exec(body)?.[1] ?? "";
    const tests = [...named.matchAll(/`([^`]+)`/g)].map(([, title = ""]) => title.replaceAll(/\s+/g, " "));
    return { number: Number(match[1]), tests, at: match.index };
  });
}

/** Every rule has its own number, and names tests that exist. */
export function checkSemantics(tree: Tree): Finding[] {
  const text = tree.get(SEMANTICS);
  if (text === undefined) return [];
  const findings: Finding[] = [];
  const titles = new Set([...tree].filter(([path]) => isTest(path)).flatMap(([, code]) => testTitles(code)));
  let last = 0;
  for (const rule of parseSemantics(text)) {
    const add = (message: string): void => {
      findings.push(finding("semantics", SEMANTICS, text, rule.at, `S${rule.number} ${message}`));
    };
    if (rule.number <= last) add(`follows S${last}: numbers only rise, and a number is never used again`);
    last = Math.max(last, rule.number);
    if (rule.tests.length === 0) add("does not end with `— test: `title``");
    for (const title of rule.tests) if (!titles.has(title)) add(`names the test "${title}", which no test file holds`);
  }
  return findings;
}

/** Titles of the tests in a test file: first arguments of test(...), it(...) and of what test.each(...) returns. */
export function testTitles(code: string): string[] {
  const call =
    /(?:\b(?:test|it)(?:\.\w+)*|\))\s*\(\s*(?:"((?:[^"\\\n]|\\.)*)"|'((?:[^'\\\n]|\\.)*)'|`((?:[^`\\]|\\.)*)`)/g;
  return [...code.matchAll(call)].map(([, double, single, template]) =>
    (double ?? single ?? template ?? "").replaceAll(/\\(.)/g, "$1").replaceAll(/\s+/g, " "),
  );
}

function finding(rule: string, path: string, text: string, at: number, message: string): Finding {
  return { rule, path, line: lineAt(text, at), message };
}
