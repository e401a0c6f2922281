// Runs a command to its end and keeps what it said.
//
// Rule: output is shown where it explains a failure, and nowhere else; so it is collected here, both streams in the
// order in which they arrived, and the caller decides. Colours are for terminals: elsewhere they are taken out, since
// not every program leaves them out when asked to.

import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import { stripVTControlCharacters } from "node:util";

/** The root of the checkout. */
export const ROOT = fileURLToPath(new URL("..", import.meta.url)).replace(/\/$/, "");

export interface Result {
  /** Exit code 0. A command that cannot be started is not ok. */
  readonly ok: boolean;
  /** All that it wrote, both streams. */
  readonly output: string;
  /** What it wrote to standard output alone. */
  readonly stdout: string;
}

/** Runs `command` (found on the PATH, where npm puts the programs of the checkout) in `cwd`. Never throws. */
export function run(command: string, args: readonly string[], options: { cwd?: string } = {}): Promise<Result> {
  const color = process.stdout.isTTY ? { FORCE_COLOR: "1" } : { NO_COLOR: "1" };
  const { FORCE_COLOR: _force, NO_COLOR: _no, ...env } = process.env;
  return new Promise((resolve) => {
    const child = spawn(command, args, {
      cwd: options.cwd ?? ROOT,
      env: { ...env, ...color },
      stdio: ["ignore", "pipe", "pipe"],
    });
    let [output, stdout] = ["", ""];
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      output += text;
      stdout += text;
    });
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      output += text;
    });
    child.on("error", (error) => resolve({ ok: false, output: `${output}${command}: ${error.message}\n`, stdout }));
    child.on("close", (code, signal) => {
      if (signal !== null) output += `${command} was ended by ${signal}\n`;
      if (!process.stdout.isTTY)
        [output, stdout] = [stripVTControlCharacters(output), stripVTControlCharacters(stdout)];
      resolve({ ok: code === 0, output, stdout });
    });
  });
}
