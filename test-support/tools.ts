// Programs that some tests need and npm does not bring: how to find them, and the command that installs them.
//
// Rule: such a program is looked for on the PATH only, by the names that distributions give it.
// Rejected: downloading a browser through npm (a second channel to trust, and hundreds of megabytes for every clone).

import { existsSync } from "node:fs";
import { delimiter } from "node:path";

/** What is known about one program: names on the PATH, best first, and the Debian packages that bring it. */
export interface Tool {
  readonly commands: readonly string[];
  readonly packages: readonly string[];
}

export const TOOLS = {
  chromium: { commands: ["chromium", "chromium-browser", "google-chrome"], packages: ["chromium"] },
  radosgw: { commands: ["radosgw"], packages: ["ceph-mon", "ceph-osd", "radosgw"] },
} as const satisfies Record<string, Tool>;

export type ToolName = keyof typeof TOOLS;

/** Full path of a program, or undefined if the machine does not have it. */
export function findTool(tool: Tool): string | undefined {
  const folders = (process.env["PATH"] ?? "").split(delimiter).filter((folder) => folder !== "");
  for (const command of tool.commands) {
    for (const folder of folders) if (existsSync(`${folder}/${command}`)) return `${folder}/${command}`;
  }
  return undefined;
}

/** The command, for Debian and its relatives, that installs a program. */
export function installCommand(tool: Tool): string {
  return `apt-get update && apt-get install -y --no-install-recommends ${tool.packages.join(" ")}`;
}
