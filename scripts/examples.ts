// The examples of the documentation, as programs.
//
// Convention: a block fenced as `ts` in README.md, in a file of docs/ or in a docstring of a file that src/index.ts
// reaches is a whole module: it has its imports, it type-checks, and it runs to its end without throwing. To show a
// result it asserts it. A fragment that is no module is fenced as `js` or `text`, and nobody checks it.
//
// Rule: what a reader copies works. Rejected: comparing printed output (a second language inside comments).

import { importsOf, SOURCE_ROOT } from "./tidy/layers.ts";
import type { Source, Tree } from "./tidy/tree.ts";
import { lineAt, parseSource } from "./tidy/tree.ts";

export interface Example {
  /** Where its first line stands, as `path:line`. */
  readonly place: string;
  readonly code: string;
}

const FENCED = /^```ts\n([^]*?)^```$/gm;

/** All examples of a tree, in the order of its files. */
export function examplesOf(tree: Tree): Example[] {
  const documents = [...tree].filter(([path]) => /^(?:[^/]*|docs\/.*|packages\/frond\/[^/]*)\.md$/.test(path));
  const fromDocuments = documents.flatMap(([path, text]) => blocks(path, text, text, 0));
  const fromDocstrings = publicSources(tree).flatMap(({ path, text, comments }) =>
    comments
      .filter((comment) => comment.value.startsWith("*"))
      .flatMap((comment) => blocks(path, text, comment.value.replaceAll(/^[ \t]*\*[ \t]?/gm, ""), comment.start)),
  );
  return [...fromDocuments, ...fromDocstrings];
}

function blocks(path: string, whole: string, text: string, start: number): Example[] {
  return [...text.matchAll(FENCED)].map((match) => {
    const line = lineAt(whole, start) + lineAt(text, match.index);
    return { place: `${path}:${line}`, code: match[1] ?? "" };
  });
}

/** The files that what can be imported from the package reaches: what the public documentation is generated from. */
function publicSources(tree: Tree): Source[] {
  const reached = new Map<string, Source>();
  const visit = (path: string): void => {
    const text = tree.get(path);
    if (text === undefined || reached.has(path)) return;
    const source = parseSource(path, text);
    if (typeof source === "string") return;
    reached.set(path, source);
    for (const { to } of importsOf(source)) if (to?.endsWith(".ts") === true) visit(to);
  };
  for (const door of ["index.ts", "client/connect.ts", "testing/testNode.ts"]) visit(`${SOURCE_ROOT}${door}`);
  return [...reached.values()];
}
