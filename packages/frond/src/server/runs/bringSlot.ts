// A slot as a directory held it before it had a bucket, brought into the bucket as a checkpoint out of its files.
//
// Rule: this is for directories whose log cannot be brought, because a part of it is damaged: what was lost of it may be older
// pages of any cell, so nothing of the log is used, and the cells are taken as they are. Nobody owns the slot yet, and nobody
// writes to the files. Written again it is the same, so a start that was interrupted begins anew.
// A cell that nobody can read is in it without its pages: it is damaged for everybody, and not taken for one that never was.
// Rejected: the log around the damage (a cell would be made anew with pages that were older than it knows).

import { setImmediate as nextTurn } from "node:timers/promises";
import type { Bucket } from "../../bucket/bucket.ts";
import { type CheckpointCell, writeCheckpoint } from "../../store/checkpoint.ts";
import { NO_PAGES } from "../../store/cellRecords.ts";
import type { Epoch, RunId, RunNumber, Seq } from "../../types.ts";
import type { SlotBrought } from "../persist/bucketTalk.ts";
import { ContentFile } from "../contents/contentFile.ts";

/** Who brings it. */
export interface Bringer {
  readonly run: RunNumber;
  readonly runId: RunId;
  readonly signal: AbortSignal;
}

/** Writes the checkpoint, which covers all epochs that the slot has had. Throws what the bucket throws. */
export async function bringSlot(bucket: Bucket, brought: SlotBrought, { run, runId, signal }: Bringer): Promise<void> {
  const { slot, epoch, txid } = brought;
  const cells = brought.cells.map(({ entry, file }): CheckpointCell => {
    const open = file === undefined ? () => ({ ...NO_PAGES, close: () => {} }) : () => new ContentFile(file, entry);
    return { entry, places: [], base: undefined, open };
  });
  const lastMs = Math.max(0, ...brought.cells.map(({ entry }) => entry.changedMs));
  const plan = { slot, epoch: (epoch + 1) as Epoch, seq: 1 as Seq, at: { epoch, txid }, lastMs, run, cells };
  const breathe = async (): Promise<void> => {
    signal.throwIfAborted();
    await nextTurn();
  };
  await writeCheckpoint(bucket, plan, { runId, temporary: "", breathe, signal });
}
