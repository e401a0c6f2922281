// The app's file becomes an App.
//
// Rule: an error here says what was found and what to write instead; it is the first thing a newcomer meets.

import { existsSync, statSync } from "node:fs";
import path from "node:path";
import { pathToFileURL } from "node:url";
import { App } from "../cell/app.ts";
import { FrondError } from "../errors.ts";

/** The app that `file` exports by default. Throws NOT_AN_APP, and APP_FAILED when the file cannot be loaded. */
export async function loadApp(file: string): Promise<App> {
  checkAppFile(file);
  let exported: unknown;
  try {
    const module = (await import(pathToFileURL(path.resolve(file)).href)) as { default?: unknown };
    exported = module.default;
  } catch (cause) {
    // The stack of a syntax error begins with the file and the line.
    const reason = cause instanceof Error ? ownStack(cause.stack ?? cause.message) : String(cause);
    throw new FrondError("APP_FAILED", `${file} could not be loaded:\n${reason}${remedyFor(cause)}`, { cause });
  }
  if (exported instanceof App) return exported;
  throw new FrondError(
    "NOT_AN_APP",
    `${file} ${describe(exported)}; write: export default frond({ cells: { ... }, fetch })`,
  );
}

/** The stack without the frames that tell nothing of the app: those of Node and of this command. */
function ownStack(stack: string): string {
  const foreign = (line: string): boolean => line.includes("node:internal/") || line.includes(import.meta.dirname);
  return stack
    .split("\n")
    .filter((line) => !(/^ +at /.test(line) && foreign(line)))
    .join("\n");
}

/** What to do about the two mistakes that a project of one's own begins with. */
function remedyFor(cause: unknown): string {
  const { code, message } = cause as { code?: unknown; message?: unknown };
  if (code === "ERR_MODULE_NOT_FOUND" && /Cannot find package 'frond'/.test(String(message))) {
    return "\nfrond is not installed in the folder of the app or above: npm install it there, as its README shows";
  }
  if (/Cannot use import statement outside a module/.test(String(message))) {
    return '\nthe package.json nearest to that file must say "type": "module"';
  }
  return "";
}

/** Throws NOT_AN_APP unless there is such a file. */
export function checkAppFile(file: string): void {
  if (!existsSync(file)) throw new FrondError("NOT_AN_APP", `there is no file ${path.resolve(file)}`);
  if (!statSync(file).isFile())
    throw new FrondError("NOT_AN_APP", `${path.resolve(file)} is not a file; name the app's file`);
}

function describe(exported: unknown): string {
  if (exported === undefined) return "has no default export";
  if (typeof exported === "function") {
    const isClass = /^class\b/.test(Function.prototype.toString.call(exported));
    return `exports ${isClass ? "the class" : "the function"} ${exported.name || "(anonymous)"} by default and not an app`;
  }
  if (typeof exported !== "object" || exported === null)
    return `exports ${JSON.stringify(exported)} by default and not an app`;
  const name = exported.constructor?.name ?? "Object";
  if (name === "App" && "definition" in exported)
    return "exports an app of another copy of frond (npm ls frond shows them)";
  const fetches = "fetch" in exported ? ", which can stand in it as fetch: (request) => router.fetch(request)" : "";
  return `exports an object of class ${name} by default and not an app${fetches}`;
}
