// The house: which room stands on which floor, and who may call whom.
//
// Rule: a lower layer never imports a higher one, and rooms of one layer do not import each other unless the arrow is
// listed below with its reason. Types count like values: a type that points upwards is a design that points upwards.
// Files do not load each other in a circle; inside one room two types may know each other (`import type` loads nothing).
// No room opens its doors through an index file.

import type { Finding, Source, SyntaxNode } from "./tree.ts";
import { isNode, lineAt, walk } from "./tree.ts";

export const SOURCE_ROOT = "packages/frond/src/";

/** Layer of each room. A room is a folder of src, or a file that stands directly in it. */
export const LAYERS: Readonly<Record<string, number>> = {
  errors: 0,
  assert: 0,
  limits: 0,
  types: 0,
  address: 0,
  clock: 0,
  version: 0,
  nearest: 0,
  client: 0,
  core: 1,
  codec: 1,
  bucket: 2,
  store: 3,
  log: 3,
  link: 3,
  cell: 4,
  server: 5,
  cli: 6,
  dashboard: 6,
  manhole: 6,
  testing: 6,
  sim: 6,
  torture: 6,
  index: 7,
};

/** Arrows between rooms of one layer, each with its reason. */
export const ARROWS: readonly { from: string; to: string; why: string }[] = [
  { from: "clock", to: "assert", why: "time does not run backwards" },
  { from: "address", to: "errors", why: "a bad address is an operating error" },
  { from: "address", to: "limits", why: "names and addresses have bounds" },
  { from: "address", to: "types", why: "it makes the brands Address and Slot" },
];

/**
 * Rooms that may import less than their layer allows: the simulator drives the protocol, not the machine; the client runs
 * in browsers, where nothing else of frond is.
 */
const NARROW: Readonly<Record<string, readonly string[]>> = {
  client: ["client"],
  sim: ["errors", "assert", "limits", "types", "address", "core", "codec", "bucket", "sim"],
};

/** Files that exist to be a front door; any other file that only passes on exports is a barrel. */
const DOORS = new Set([`${SOURCE_ROOT}index.ts`]);

/** One import of one file, resolved if it points into the project. */
export interface Import {
  readonly from: string;
  readonly specifier: string;
  /** Path from the project's root for a relative import, else undefined. */
  readonly to: string | undefined;
  /** Only types cross: the import is gone when the file runs. */
  readonly types: boolean;
  readonly line: number;
}

/** All imports of a file: static, re-exports, dynamic ones with a literal, `import("...")` types, and worker URLs. */
export function importsOf(source: Source): Import[] {
  const found: Import[] = [];
  walk(source.program, (node) => {
    const specifier = specifierOf(node);
    if (specifier === undefined) return;
    const to = specifier.startsWith(".") ? resolvePath(source.path, specifier) : undefined;
    const types = node.type === "TSImportType" || node["importKind"] === "type" || node["exportKind"] === "type";
    found.push({ from: source.path, specifier, to, types, line: lineAt(source.text, node.start) });
  });
  return found;
}

function specifierOf(node: SyntaxNode): string | undefined {
  let holder: unknown;
  if (/^(?:Import|ExportNamed|ExportAll)Declaration$/.test(node.type)) holder = node["source"];
  else if (node.type === "ImportExpression" || node.type === "TSImportType") holder = node["source"];
  else if (node.type === "NewExpression") {
    // new URL("./worker.ts", import.meta.url)
    const callee = node["callee"];
    const [first, second] = node["arguments"] as unknown[];
    if (!isNode(callee) || callee["name"] !== "URL" || !isNode(second)) return undefined;
    holder = first;
    const value = isNode(holder) ? holder["value"] : undefined;
    return typeof value === "string" && /^\.{1,2}\/.*\.ts$/.test(value) ? value : undefined;
  }
  const value = isNode(holder) ? holder["value"] : undefined;
  return typeof value === "string" ? value : undefined;
}

/** The room of a file of frond's sources, or undefined for a file that stands elsewhere. */
export function roomOf(path: string): string | undefined {
  if (!path.startsWith(SOURCE_ROOT)) return undefined;
  const [first = ""] = path.slice(SOURCE_ROOT.length).split("/");
  return first.replace(/\.ts$/, "");
}

/** Checks layers, arrows, cycles and barrels over frond's sources. */
export function checkLayers(sources: readonly Source[]): Finding[] {
  const findings: Finding[] = [];
  const graph = new Map<string, Import[]>();
  for (const source of sources) {
    const room = roomOf(source.path);
    if (room === undefined) continue;
    const imports = importsOf(source);
    graph.set(source.path, imports);
    if (LAYERS[room] === undefined) {
      findings.push(finding("layers", source.path, 1, `the room "${room}" stands in no layer of the table`));
      continue;
    }
    for (const one of imports) {
      const message = wrongArrow(room, one);
      if (message !== undefined) findings.push(finding("layers", source.path, one.line, message));
    }
    findings.push(...checkBarrel(source));
  }
  return [...findings, ...checkCycles(graph)];
}

function wrongArrow(room: string, one: Import): string | undefined {
  if (one.specifier === "frond" || one.specifier.startsWith("frond/")) return "frond imports itself by its own name";
  if (one.to === undefined) return undefined;
  const target = roomOf(one.to);
  if (target === undefined) {
    return one.to === "packages/frond/package.json" ? undefined : `imports ${one.to}, which is not published with it`;
  }
  if (target === room) return undefined;
  const narrow = NARROW[room];
  if (narrow !== undefined && !narrow.includes(target)) return `${room} may import only ${narrow.join(", ")}`;
  const [here = 0, there] = [LAYERS[room], LAYERS[target]];
  if (there === undefined) return `imports the room "${target}", which stands in no layer of the table`;
  if (there > here) return `layer ${here} (${room}) imports layer ${there} (${target})`;
  if (there === here && !ARROWS.some(({ from, to }) => from === room && to === target)) {
    return `${room} imports its neighbour ${target} of layer ${here}; no arrow is listed`;
  }
  return undefined;
}

function checkBarrel(source: Source): Finding[] {
  if (DOORS.has(source.path)) return [];
  if (source.path.endsWith("/index.ts")) {
    return [finding("barrel", source.path, 1, "an index file inside src; import the file that holds the thing")];
  }
  const body = source.program["body"] as SyntaxNode[];
  const passesOn = (node: SyntaxNode): boolean =>
    node.type === "ExportAllDeclaration" || (node.type === "ExportNamedDeclaration" && isNode(node["source"]));
  if (body.length === 0 || !body.every(passesOn)) return [];
  return [finding("barrel", source.path, 1, "a file that only passes on exports of others")];
}

function checkCycles(graph: ReadonlyMap<string, readonly Import[]>): Finding[] {
  const findings: Finding[] = [];
  const done = new Set<string>();
  const visit = (path: string, trail: readonly string[]): void => {
    const at = trail.indexOf(path);
    if (at !== -1) {
      const names = [...trail.slice(at), path].map((name) => name.slice(SOURCE_ROOT.length));
      findings.push(finding("cycle", path, 1, names.join(" -> ")));
      return;
    }
    if (done.has(path)) return;
    for (const { to, types } of graph.get(path) ?? []) {
      if (to !== undefined && !types && graph.has(to)) visit(to, [...trail, path]);
    }
    done.add(path);
  };
  for (const path of graph.keys()) visit(path, []);
  return findings;
}

function resolvePath(from: string, specifier: string): string {
  const parts = from.split("/").slice(0, -1);
  for (const part of specifier.split("/")) {
    if (part === "..") parts.pop();
    else if (part !== ".") parts.push(part);
  }
  return parts.join("/");
}

function finding(rule: string, path: string, line: number, message: string): Finding {
  return { rule, path, line, message };
}
