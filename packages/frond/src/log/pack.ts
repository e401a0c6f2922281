// Making a pack: the records of neighbouring segments and packs of one run, merged per cell.
//
// Rules.
// - What comes out depends on nothing but the records: the same range made twice, by whomever and out of whichever smaller
//   packs, is the same object. So nobody has to agree on who makes it, and a create that meets it has succeeded.
// - Only records of one epoch are merged: between two epochs that a run had a slot, another run may have had it.
//   Sorted by slot, then epoch, then address, the claim of an epoch in front.
// - Inputs are read side by side, slot by slot, in pieces: what is held is a piece of each, one slot's pages, and the object
//   that is being made, which one create has to take whole.
// Rejected: one record for each cell whatever the epochs (it would say that another run's pages in between never were).

import type { Bucket } from "../bucket/bucket.ts";
import { OBJECT_RECORD } from "../codec/layout.ts";
import { headLength } from "../codec/objectHead.ts";
import { ObjectWriter } from "../codec/objectWriter.ts";
import { FrondError } from "../errors.ts";
import {
  FETCH_BYTES,
  FETCHES_AT_ONCE,
  MAX_PACK_FOOTER_BYTES,
  MAX_PACK_PAGE_BYTES,
  PACK_READ_BYTES,
} from "../limits.ts";
import type { Epoch, RunId, Slot } from "../types.ts";
import { intentOfPack, type Part } from "./cover.ts";
import { SlotMerge } from "./merge.ts";
import { ObjectRecords, wantedOf } from "./objectRecords.ts";

/** How a pack is made. */
export interface PackOptions {
  /** Asked after each bit of work; what it returns is waited for. A thread that does other things too yields here. */
  readonly breathe?: () => Promise<void> | undefined;
  readonly signal?: AbortSignal;
  /** Largest footer of the pack, in bytes before compression. Default MAX_PACK_FOOTER_BYTES. */
  readonly footerBytes?: number;
  /** Makes what merges; another one in tests. */
  readonly newMerge?: (slot: Slot) => Pick<SlotMerge, "add" | "records" | "pageBytes">;
}

/**
 * The pack of `parts`, which follow each other without gaps, in order. Undefined: it would be too large for one object.
 * Throws OBJECT_DAMAGED where a part is gone or not what it should be, and what the bucket throws.
 */
export async function makePack(
  bucket: Bucket,
  parts: readonly Part[],
  options: PackOptions = {},
): Promise<Buffer | undefined> {
  const { newMerge = (slot: Slot) => new SlotMerge(slot) } = options;
  const inputs = await openAll(bucket, parts, options);
  const writer = new ObjectWriter({
    ...nameOf(parts),
    kind: "pack",
    createdMs: Math.max(...inputs.map(({ footer }) => footer.lastMs)),
  });
  const chunks: Buffer[] = [];
  for (const slot of slotsOf(inputs)) {
    let merge = newMerge(slot);
    let epoch: Epoch | undefined;
    for (const input of inputs) {
      for await (const records of input.records(slot)) {
        for (const record of records) {
          // A pack that begins before the end of the one in front of it repeats what that had of earlier epochs.
          if (epoch !== undefined && record.epoch < epoch) continue;
          if (epoch !== undefined && record.epoch > epoch) {
            if (!(await put(merge, writer, options))) return undefined;
            merge = newMerge(slot);
          }
          epoch = record.epoch;
          merge.add(record);
          if (merge.pageBytes > MAX_PACK_PAGE_BYTES) return undefined;
        }
        await options.breathe?.();
      }
    }
    if (!(await put(merge, writer, options))) return undefined;
    chunks.push(...writer.take());
  }
  return Buffer.concat([...chunks, ...writer.finish()]);
}

/** Writes what was merged; false: it does not fit. */
async function put(
  merge: Pick<SlotMerge, "records">,
  writer: ObjectWriter,
  { breathe, footerBytes = MAX_PACK_FOOTER_BYTES }: PackOptions,
): Promise<boolean> {
  for (const record of merge.records()) {
    if (writer.footerBytes + OBJECT_RECORD.head + headLength(record) > footerBytes) return false;
    writer.add(record);
    await breathe?.();
  }
  return true;
}

async function openAll(bucket: Bucket, parts: readonly Part[], { signal }: PackOptions): Promise<ObjectRecords[]> {
  const pieceBytes = Math.min(FETCH_BYTES, Math.ceil(PACK_READ_BYTES / parts.length));
  const inputs: ObjectRecords[] = [];
  for (let at = 0; at < parts.length; at += FETCHES_AT_ONCE) {
    const some = parts.slice(at, at + FETCHES_AT_ONCE);
    const opened = await Promise.all(
      some.map((part) => ObjectRecords.open(bucket, wantedOf(part), { pieceBytes, ...(signal && { signal }) })),
    );
    for (const [i, input] of opened.entries()) {
      if (input !== undefined) inputs.push(input);
      else throw new FrondError("OBJECT_DAMAGED", `${some[i]?.key} is gone from ${bucket.url}`);
    }
  }
  return inputs;
}

function slotsOf(inputs: readonly ObjectRecords[]): Slot[] {
  const slots = new Set<Slot>();
  for (const input of inputs) for (const slot of input.slots()) slots.add(slot);
  return [...slots].sort((a, b) => a - b);
}

function nameOf(parts: readonly Part[]): { runId: RunId; number: number; intent: Uint8Array } {
  const { run, from } = parts[0] as Part;
  const { to } = parts.at(-1) as Part;
  return { runId: run, number: from, intent: intentOfPack(run, { from, to }) };
}
