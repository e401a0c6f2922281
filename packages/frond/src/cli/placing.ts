// Where a command puts a file that it has made: whole, and never over another one unasked.

import { existsSync, statSync } from "node:fs";
import { link, rename } from "node:fs/promises";
import path from "node:path";
import { FrondError } from "../errors.ts";

/** Throws BAD_OPTION unless a file can be put there. */
export function checkPlace(file: string): void {
  const folder = path.dirname(file);
  const found = statSync(folder, { throwIfNoEntry: false });
  if (found === undefined) throw new FrondError("BAD_OPTION", `there is no folder ${folder}; make it first`);
  if (!found.isDirectory()) throw new FrondError("BAD_OPTION", `${folder} is a file; name a folder to export into`);
  if (statSync(file, { throwIfNoEntry: false })?.isDirectory() === true) {
    throw new FrondError("BAD_OPTION", `${file} is a folder; name a file in it`);
  }
}

/** Throws FILE_EXISTS. A journal that belongs to an older database would be played into the new one by whoever opens it. */
export function refuseOld(file: string, force: boolean): void {
  if (existsSync(file) && !force) throw new FrondError("FILE_EXISTS", `${file} exists; --force replaces it`);
  const left = ["-wal", "-journal", "-shm"].map((suffix) => file + suffix).find((name) => existsSync(name));
  if (left !== undefined) {
    throw new FrondError("FILE_EXISTS", `${left} is left of another database; remove it, or choose another file`);
  }
}

/** Gives a whole file its name. Throws FILE_EXISTS. */
export async function place(temporary: string, file: string, force: boolean): Promise<void> {
  if (force) return rename(temporary, file);
  try {
    // Unlike a rename, a link never replaces what somebody put there meanwhile.
    await link(temporary, file);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "EEXIST") throw new FrondError("FILE_EXISTS", `${file} exists; --force replaces it`);
    // File systems without links: the check before was all there is.
    if (code !== "EPERM" && code !== "ENOTSUP" && code !== "EOPNOTSUPP") throw error;
    await rename(temporary, file);
  }
}
