// Runs once before the tests: in CI, as root, it installs what the tests need and the machine lacks.
//
// Rule: only CI=true as root installs; on a developer's machine the same gap is shown, with the command that closes it,
// and the tests that need the program are counted as skipped. In CI they fail instead (see need.ts).

import { spawnSync } from "node:child_process";
import type { Tool } from "./tools.ts";
import { findTool, installCommand, TOOLS } from "./tools.ts";

/** Called by vitest before the first test. */
export default function provision(): void {
  for (const [name, tool] of Object.entries<Tool>(TOOLS)) {
    if (findTool(tool) !== undefined) continue;
    const command = installCommand(tool);
    if (process.env["CI"] === "true" && process.getuid?.() === 0) {
      console.log(`${name} is missing; running: ${command}`);
      const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive" };
      const { status, stdout, stderr } = spawnSync("sh", ["-c", command], { env, encoding: "utf8" });
      if (status !== 0) console.error(`${command}\n${stdout}\n${stderr}`);
    } else {
      console.warn(`${name} is missing: the tests that need it are skipped. To run them: ${command}`);
    }
  }
}
