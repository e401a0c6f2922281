// Ten thousand cells in a process that may hold 1,024 descriptors: as many machines are set up.

import { execFile } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { promisify } from "node:util";
import { expect, onTestFinished, test } from "vitest";

test(
  "ten thousand cells are made and asked with 1,024 descriptors, without an error",
  { timeout: 300_000 },
  async () => {
    const directory = mkdtempSync(path.join(tmpdir(), "frond-many-"));
    onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
    const program = path.join(import.meta.dirname, "manyCells.ts");
    const command = 'ulimit -n 1024 && exec "$0" --conditions=frond-source "$1" "$2"';
    const { stdout, stderr } = await promisify(execFile)("sh", ["-c", command, process.execPath, program, directory]);
    expect(stderr).toBe("");
    const found = JSON.parse(stdout) as Record<string, number>;
    expect(found).toMatchObject({ wrong: 0, cells: 10_000, limit: 1024 });
    expect(found["open"]).toBeLessThanOrEqual(136);
    expect(found["mostDescriptors"]).toBeLessThan(700);
  },
);
