// The tree that the tidy rules look at: paths and texts, nothing else.
//
// Rule: a rule never touches the disk; it gets a Tree. So every rule can be tried on a small tree in memory that breaks
// it. Parsing is done by the parser that the bundler already brings, because a scanner of our own would be a second
// opinion about TypeScript.

import { readdirSync, readFileSync } from "node:fs";
import { parseSync } from "vite";

/** Path from the root of the project, with `/`, to the text of the file. */
export type Tree = ReadonlyMap<string, string>;

/** One broken rule, at one place. */
export interface Finding {
  readonly rule: string;
  readonly path: string;
  readonly line: number;
  readonly message: string;
}

/** A node of the syntax tree: its kind, its place, and whatever the kind holds. */
export interface SyntaxNode {
  readonly type: string;
  readonly start: number;
  readonly end: number;
  readonly [key: string]: unknown;
}

/** One parsed source file. */
export interface Source {
  readonly path: string;
  readonly text: string;
  readonly program: SyntaxNode;
  readonly comments: readonly { readonly value: string; readonly start: number; readonly end: number }[];
}

const SKIPPED_FOLDERS = new Set(["node_modules", "dist", ".git", ".frond", ".cache"]);
const TEXT_FILE =
  /(?:\.(?:ts|tsx|js|mjs|cjs|json|md|css|html|sql|sh|lua|toml|yaml|yml|txt|capnp)|\/run|LICENSE|\.npmrc|\.gitignore)$/;

/** Reads all text files below `root` that belong to the project. */
export function readTree(root: string): Tree {
  const tree = new Map<string, string>();
  const visit = (folder: string): void => {
    for (const entry of readdirSync(`${root}/${folder}`, { withFileTypes: true })) {
      const path = folder === "" ? entry.name : `${folder}/${entry.name}`;
      if (entry.isDirectory()) {
        if (!SKIPPED_FOLDERS.has(entry.name)) visit(path);
      } else if (entry.isFile() && TEXT_FILE.test(`/${path}`)) {
        tree.set(path, readFileSync(`${root}/${path}`, "utf8"));
      }
    }
  };
  visit("");
  return tree;
}

/** The TypeScript and JavaScript files of a tree. */
export function isCode(path: string): boolean {
  return /\.(?:ts|tsx|js|mjs|cjs)$/.test(path);
}

/** A test file, or what stands beside tests to support them. */
export function isTest(path: string): boolean {
  return path.endsWith(".test.ts");
}

/** Parses a file; a text that is no TypeScript is a finding of its own (the caller gets the first error's message). */
export function parseSource(path: string, text: string): Source | string {
  const result = parseSync(path, text, { sourceType: "module", preserveParens: false });
  const error = result.errors[0];
  if (error !== undefined) return error.message;
  return { path, text, program: result.program as unknown as SyntaxNode, comments: result.comments };
}

/** Calls `visit` for every node below `root`, with the chain of its parents, nearest first. */
export function walk(
  root: SyntaxNode,
  visit: (node: SyntaxNode, parents: readonly SyntaxNode[], key: string) => void,
): void {
  const step = (node: SyntaxNode, parents: readonly SyntaxNode[], key: string): void => {
    visit(node, parents, key);
    const below = [node, ...parents];
    for (const [name, value] of Object.entries(node)) {
      if (Array.isArray(value)) for (const item of value) if (isNode(item)) step(item, below, name);
      if (isNode(value)) step(value, below, name);
    }
  };
  step(root, [], "");
}

/** The number of the line, from 1, in which the byte of `text` at `offset` stands. */
export function lineAt(text: string, offset: number): number {
  let line = 1;
  for (let at = text.indexOf("\n"); at !== -1 && at < offset; at = text.indexOf("\n", at + 1)) line++;
  return line;
}

export function isNode(value: unknown): value is SyntaxNode {
  return typeof value === "object" && value !== null && typeof (value as { type?: unknown }).type === "string";
}
