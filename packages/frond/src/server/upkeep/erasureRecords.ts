// What the bucket has written down of erasures.
//
// Rule: whoever is to be given something of a cell's past is asked for here first: one listing tells up to where it is erased, by
// names that say nothing to who does not know the address.

import { createHash } from "node:crypto";
import type { Bucket } from "../../bucket/bucket.ts";
import { listAll } from "../../bucket/listAll.ts";
import { ERASED_PREFIX, erasureKey, erasuresPrefix, positionOfErasure } from "../../bucket/objectKeys.ts";
import { decodeErasure, encodeDocument, type ErasureDocument } from "../../codec/documents.ts";
import { FrondError } from "../../errors.ts";
import type { CellEntry } from "../../store/catalog.ts";
import { comparePositions, type Position } from "../../types.ts";

/** What is left of an address when its cell is gone. */
export function erasureHash(address: string): string {
  return createHash("sha256").update(address).digest("hex");
}

/** Writes an erasure down, or how far it is. */
export async function putErasure(bucket: Bucket, document: ErasureDocument): Promise<void> {
  await bucket.put(erasureKey(document.hash, document), encodeDocument(document));
}

/** All that were written down. */
export async function listErasures(bucket: Bucket): Promise<ErasureDocument[]> {
  const found: ErasureDocument[] = [];
  for await (const { key } of listAll(bucket, ERASED_PREFIX)) {
    const stored = positionOfErasure(key) && (await bucket.get(key));
    if (stored !== undefined) found.push(decodeErasure(stored.bytes, key));
  }
  return found;
}

/** Up to where cells are erased, by the hashes of their addresses. */
export async function allErased(bucket: Bucket): Promise<Map<string, Position>> {
  const found = new Map<string, Position>();
  for await (const { key } of listAll(bucket, ERASED_PREFIX)) {
    const at = positionOfErasure(key);
    if (at !== undefined) found.set(key.split("/")[1] as string, at);
  }
  return found;
}

/** Up to where a cell is erased; undefined: it is not. */
export async function erasedThrough(bucket: Bucket, address: string): Promise<Position | undefined> {
  let last: Position | undefined;
  for await (const { key } of listAll(bucket, erasuresPrefix(erasureHash(address))))
    last = positionOfErasure(key) ?? last;
  return last;
}

/** Throws CELL_MISSING for a state of a cell that was erased since. */
export async function checkNotErased(bucket: Bucket, entry: CellEntry): Promise<void> {
  const through = await erasedThrough(bucket, entry.address);
  if (through === undefined || comparePositions(entry, through) > 0) return;
  throw new FrondError("CELL_MISSING", `what ${entry.address} was then has been erased`);
}
