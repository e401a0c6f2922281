// The script of the pages: a few plain modules of the browser, served as they stand in client/.
//
// Rule: only the files that lay there at the start are served; a path never reaches the disk.

import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { text } from "./answers.ts";

const FOLDER = path.join(import.meta.dirname, "client");

const FILES: ReadonlyMap<string, string> = new Map(
  readdirSync(FOLDER).map((name) => [name, readFileSync(path.join(FOLDER, name), "utf8")]),
);

/** The answer to a request for one of the modules, or undefined if there is none of that name. */
export function readClient(name: string): Response | undefined {
  const module = FILES.get(name);
  return module === undefined ? undefined : text(module, "text/javascript; charset=utf-8");
}
