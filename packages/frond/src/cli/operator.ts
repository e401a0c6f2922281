// How a command reaches a node: the one that runs, or the data directory itself when none does.
//
// Rule: a running node is always asked, never worked around; only when nobody answers on the control socket does the
// command open the directory, under its lock, and it closes it again before it ends.

import { existsSync, readdirSync } from "node:fs";
import path from "node:path";
import { FrondError } from "../errors.ts";
import { connectControl, viewOf } from "../server/operator/controlClient.ts";
import type { OperatorView } from "../server/operator/controlClient.ts";

/** Folders of the current directory that hold data by default: of `frond start` and of `frond dev`. */
export const START_DATA = path.join(".frond", "data");
export const DEV_DATA = path.join(".frond", "dev");

/** The last line of help for every command that looks into a data directory. */
export const DATA_HELP = `Without --data: FROND_DATA, else ${START_DATA} or ${DEV_DATA} in the current folder (a running node first, then
the one with cells); which one it was is told on standard error, unless --json.`;

/** How a command was told where to look. */
export interface Where {
  readonly data?: string;
  readonly json?: true;
}

/** Works with the node of `data` if one runs, else with the directory itself. Throws NO_DATA, DATA_LOCKED. */
export async function withNode<T>(where: Where, work: (view: OperatorView) => Promise<T>): Promise<T> {
  const { directory, view: running } = await find(where.data);
  tellChoice(where, directory);
  if (running) return closing(running, work);
  if (!existsSync(path.join(directory, "frond.json"))) {
    throw new FrondError("NO_DATA", `${directory} is not a data directory; name one with --data`);
  }
  // Loaded only here: asking a node that runs needs none of it.
  const { openOffline } = await import("../server/openNode.ts");
  const control = await openOffline({ dataDirectory: directory });
  return closing(
    viewOf(control, () => control.close()),
    work,
  );
}

/** Works with the node that runs. Throws NOT_RUNNING, naming the command that starts one. */
export async function withRunningNode<T>(where: Where, work: (view: OperatorView) => Promise<T>): Promise<T> {
  const { directory, view } = await find(where.data);
  tellChoice(where, directory);
  if (view) return closing(view, work);
  const start = directory === path.resolve(DEV_DATA) ? "frond dev app.ts" : `frond start app.ts --data ${directory}`;
  throw new FrondError("NOT_RUNNING", `no node runs on ${directory}; start one with: ${start}`);
}

/** The node that runs, if one does. */
export async function findRunningNode(data: string | undefined): Promise<OperatorView | undefined> {
  try {
    return (await find(data)).view;
  } catch (error) {
    if (error instanceof FrondError && error.code === "NO_DATA") return undefined;
    throw error;
  }
}

/** A choice that nobody made is told; standard error is JSON with --json, and stays so. */
function tellChoice(where: Where, directory: string): void {
  if (where.data === undefined && where.json !== true) process.stderr.write(`data: ${directory}\n`);
}

async function closing<T>(view: OperatorView, work: (view: OperatorView) => Promise<T>): Promise<T> {
  try {
    return await work(view);
  } finally {
    await view.close();
  }
}

/** The data directory of a command, and the node that serves it, if one runs. Throws NO_DATA when there is none. */
export async function find(data: string | undefined): Promise<{ directory: string; view: OperatorView | undefined }> {
  const named = data ?? process.env["FROND_DATA"];
  if (named !== undefined && named !== "") {
    const directory = path.resolve(named);
    return { directory, view: await connectControl(directory) };
  }
  const present = [START_DATA, DEV_DATA].map((folder) => path.resolve(folder)).filter((folder) => existsSync(folder));
  for (const directory of present) {
    const view = await connectControl(directory);
    if (view) return { directory, view };
  }
  const [best] = present.toSorted((a, b) => useOf(b) - useOf(a));
  if (best !== undefined) return { directory: best, view: undefined };
  throw new FrondError(
    "NO_DATA",
    `there is no ${START_DATA} and no ${DEV_DATA} in ${process.cwd()}; name a data directory with --data`,
  );
}

/** How much a directory has been used: a start that failed leaves an empty one, which must not hide the other. */
function useOf(directory: string): number {
  if (!existsSync(path.join(directory, "frond.json"))) return 0;
  const cells = path.join(directory, "cells");
  return existsSync(cells) && readdirSync(cells).length > 0 ? 2 : 1;
}
