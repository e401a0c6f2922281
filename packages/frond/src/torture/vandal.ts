// What a loss of power may leave of the files that nobody syncs: cells, their WALs, the catalog.
//
// Rule: anything at all. The log is the truth, so whatever happens to these files, a start on another boot of the machine
// makes them anew. Only what is synced by promise is left alone: the log, frond.json, and the lock, which holds nothing.

import fs from "node:fs";
import path from "node:path";
import type { Random } from "./random.ts";

/** What may have become of the catalog: as it was, gone, or as it was when the copy was kept. */
type CatalogFate = "keep" | "delete" | "older";
const FATES: readonly CatalogFate[] = ["keep", "keep", "delete", "older"];
const DAMAGES = ["delete", "garble", "truncate", "empty", "older"] as const;

/** Breaks files of a data directory that no process uses. `older` is a folder with what `keepCopy` once kept, or nothing. */
export function vandalise(
  directory: string,
  older: string,
  random: Random,
  fates: readonly CatalogFate[] = FATES,
): number {
  let broken = 0;
  const share = random.pick([0.1, 0.5, 1]);
  for (const file of cellFiles(directory)) {
    if (!random.chance(share)) continue;
    damage(path.join(directory, file), path.join(older, file), random);
    broken += 1;
  }
  const catalog = random.pick(fates);
  const has = fs.existsSync(path.join(older, "catalog.db"));
  if (catalog === "keep" || (catalog === "older" && !has)) return broken;
  for (const name of ["catalog.db", "catalog.db-wal"]) {
    fs.rmSync(path.join(directory, name), { force: true });
    if (catalog === "older") copy(path.join(older, name), path.join(directory, name));
  }
  return broken;
}

/** Keeps cells and catalog as they are now, for `vandalise` to bring back later. */
export function keepCopy(directory: string, older: string): void {
  fs.rmSync(older, { recursive: true, force: true });
  for (const file of [...cellFiles(directory), "catalog.db", "catalog.db-wal"]) {
    copy(path.join(directory, file), path.join(older, file));
  }
}

function cellFiles(directory: string): string[] {
  const found = fs.readdirSync(path.join(directory, "cells"), { recursive: true, withFileTypes: true });
  return found
    .filter((entry) => entry.isFile())
    .map((entry) => path.relative(directory, path.join(entry.parentPath, entry.name)))
    .sort();
}

function damage(file: string, older: string, random: Random): void {
  const { size } = fs.statSync(file);
  switch (random.pick(DAMAGES)) {
    case "delete":
      return fs.rmSync(file);
    case "truncate":
      return fs.truncateSync(file, random.between(0, size));
    case "empty":
      return fs.truncateSync(file, 0);
    case "older":
      return copy(older, file);
    case "garble":
      return garble(file, size, random);
  }
}

/** Overwrites a few sectors with noise or with zeros. */
function garble(file: string, size: number, random: Random): void {
  const fd = fs.openSync(file, "r+");
  for (let n = random.between(1, 8); n > 0; n--) {
    const noise = Buffer.alloc(512, random.between(0, 255));
    fs.writeSync(fd, noise, 0, noise.length, Math.floor(random.between(0, size) / 512) * 512);
  }
  fs.closeSync(fd);
}

function copy(from: string, to: string): void {
  if (!fs.existsSync(from)) return;
  fs.mkdirSync(path.dirname(to), { recursive: true });
  fs.copyFileSync(from, to);
}
