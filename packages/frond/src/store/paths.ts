// File names of cells: `cells/<slot>/<escaped address>.db`.
//
// Rule: a name never becomes a path unescaped. Everything but lower-case letters, digits, `_`, `-`, `@`, `+` and inner
// dots is percent-encoded in lower case, so the name is the same on file systems that fold case; a long one keeps its
// head, for people, and gets a hash, for uniqueness (`~` stands in no escaped name).

import { createHash } from "node:crypto";
import path from "node:path";
import type { Address, Slot } from "../types.ts";

/** Longest escaped name that is used as it is; file systems allow 255 bytes, and SQLite adds `-wal`. */
const LONGEST = 180;
const KEPT = 100;

/** The path of a cell's database file below the folder `cells/`. */
export function cellPath(cellsFolder: string, slot: Slot, address: Address): string {
  return path.join(slotFolder(cellsFolder, slot), `${fileNameOf(address)}.db`);
}

/** The folder of a slot's cells. */
export function slotFolder(cellsFolder: string, slot: Slot): string {
  return path.join(cellsFolder, slot.toString(16).padStart(3, "0"));
}

/** The escaped name of an address, without extension. */
export function fileNameOf(address: string): string {
  let escaped = "";
  for (const byte of Buffer.from(address)) {
    const plain =
      (byte >= 0x61 && byte <= 0x7a) ||
      (byte >= 0x30 && byte <= 0x39) ||
      byte === 0x5f ||
      byte === 0x2d ||
      byte === 0x40 ||
      byte === 0x2b ||
      (byte === 0x2e && escaped !== "");
    escaped += plain ? String.fromCharCode(byte) : `%${byte.toString(16).padStart(2, "0")}`;
  }
  if (escaped.length <= LONGEST) return escaped;
  const hash = createHash("sha256").update(address).digest("hex");
  // Not in the middle of an escape: `%4` alone would read as another name.
  const head = escaped.slice(0, KEPT).replace(/%[0-9a-f]?$/, "");
  return `${head}~${hash}`;
}
