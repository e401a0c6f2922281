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
    const reason = cause instanceof Error ? (cause.stack ?? cause.message) : String(cause);
    throw new FrondError("APP_FAILED", `${file} could not be loaded:\n${reason}`, { cause });
  }
  if (exported instanceof App) return exported;
  throw new FrondError(
    "NOT_AN_APP",
    `${file} ${describe(exported)}; write: export default frond({ cells: { ... }, fetch })`,
  );
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
