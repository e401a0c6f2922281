// Being somebody who may not write: root may everything, and tests are run by root and by others.

import fs from "node:fs";
import path from "node:path";

const NOBODY = 65_534;

/** Runs `work` without the right to write below `folder`, which lies in `base`: as root by being somebody else for the time. */
export async function asNobody(base: string, folder: string, work: () => Promise<void>): Promise<void> {
  const root = process.geteuid?.() === 0;
  const below = fs.readdirSync(folder, { recursive: true, withFileTypes: true });
  const all = below.map((entry) => ({ name: path.join(entry.parentPath, entry.name), folder: entry.isDirectory() }));
  const folders = [folder, ...all.filter((entry) => entry.folder).map(({ name }) => name)];
  fs.chmodSync(base, 0o755);
  for (const name of folders) fs.chmodSync(name, 0o555);
  // What can be written without the folder stays readable.
  if (root) for (const { name, folder: is } of all) if (!is) fs.chownSync(name, NOBODY, NOBODY);
  if (root) process.seteuid?.(NOBODY);
  try {
    await work();
  } finally {
    if (root) process.seteuid?.(0);
    for (const name of folders) fs.chmodSync(name, 0o755);
  }
}
