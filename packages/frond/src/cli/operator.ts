// How a command reaches a node: the one that runs, or the data directory itself when none does.
//
// Rule: a running node is always asked, never worked around; only when nobody answers on the control socket does the
// command open the directory, under its lock, and it closes it again before it ends.

import { existsSync } from "node:fs";
import path from "node:path";
import { FrondError } from "../errors.ts";
import { connectControl, viewOf } from "../server/controlClient.ts";
import type { OperatorView } from "../server/controlClient.ts";

/** Folders of the current directory that hold data by default: of `frond start` and of `frond dev`. */
export const START_DATA = path.join(".frond", "data");
export const DEV_DATA = path.join(".frond", "dev");

/** The last line of help for every command that looks into a data directory. */
export const DATA_HELP = `Without --data: FROND_DATA, else ${START_DATA} or ${DEV_DATA} in the current folder (a running node first).`;

/** Works with the node of `data` if one runs, else with the directory itself. Throws NO_DATA, DATA_LOCKED. */
export async function withNode<T>(data: string | undefined, work: (view: OperatorView) => Promise<T>): Promise<T> {
  const { directory, view: running } = await find(data);
  if (running) return closing(running, work);
  if (!existsSync(path.join(directory, "frond.json"))) {
    throw new FrondError("NO_DATA", `${directory} is not a data directory; name one with --data`);
  }
  // Loaded only here: asking a node that runs needs none of it.
  const { openOffline } = await import("../server/node.ts");
  const control = await openOffline({ dataDirectory: directory });
  return closing(
    viewOf(control, () => control.close()),
    work,
  );
}

/** Works with the node that runs. Throws NOT_RUNNING, naming the command that starts one. */
export async function withRunningNode<T>(
  data: string | undefined,
  work: (view: OperatorView) => Promise<T>,
): Promise<T> {
  const { directory, view } = await find(data);
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

async function closing<T>(view: OperatorView, work: (view: OperatorView) => Promise<T>): Promise<T> {
  try {
    return await work(view);
  } finally {
    await view.close();
  }
}

async function find(data: string | undefined): Promise<{ directory: string; view: OperatorView | undefined }> {
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
  const [first] = present;
  if (first !== undefined) return { directory: first, view: undefined };
  throw new FrondError(
    "NO_DATA",
    `there is no ${START_DATA} and no ${DEV_DATA} in ${process.cwd()}; name a data directory with --data`,
  );
}
