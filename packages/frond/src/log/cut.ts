// Cutting the next segment out of a run's log.
//
// Rule: a segment goes on where the one before it ended, holds whole records and is never empty. It depends on nothing but
// the log, where it begins and how far it may go: whoever has to cut it again cuts the same one.

import { ObjectWriter } from "../codec/objectWriter.ts";
import { SEGMENT_BYTES } from "../limits.ts";
import type { Lsn, RunId, Seq, Slot } from "../types.ts";
import type { LogTail } from "./tail.ts";

/** What a segment says of itself beside its records. */
export interface SegmentName {
  readonly runId: RunId;
  readonly seq: Seq;
  /** The id of the intent to create it. */
  readonly intent: Uint8Array;
  /** In ms since 1970. */
  readonly createdMs: number;
}

/** A segment in memory. */
export interface Segment {
  /** The object, as it goes into the bucket. */
  readonly bytes: Buffer;
  readonly fromLsn: Lsn;
  readonly toLsn: Lsn;
  /** Count. */
  readonly records: number;
  /** Bytes of its records, slot by slot. */
  readonly changed: ReadonlyMap<Slot, number>;
}

/**
 * Takes the next records from `tail`, up to `through` (what is durable) and SEGMENT_BYTES of them, but one at least, and
 * makes a segment of them; undefined when there are none. `breathe` is asked after each bit of work, and waited for when it
 * gives the thread to others: compressing a segment takes tenths of a second on a busy machine. The tail is not used
 * meanwhile. Throws as LogTail.read does.
 */
export async function cutSegment(
  tail: LogTail,
  through: Lsn,
  { runId, seq, intent, createdMs }: SegmentName,
  breathe: () => Promise<void> | undefined = () => undefined,
): Promise<Segment | undefined> {
  const fromLsn = tail.lsn;
  const records = tail.read(through, SEGMENT_BYTES);
  if (records.length === 0) return undefined;
  const toLsn = tail.lsn;
  const writer = new ObjectWriter({ kind: "segment", runId, number: seq, intent, createdMs, fromLsn, toLsn });
  const changed = new Map<Slot, number>();
  for (const i of records.bySlot()) {
    const turn = breathe();
    // Not for every record: it would cost as much as the small ones.
    if (turn !== undefined) await turn;
    const [slot, bytes] = [records.slotOf(i), records.bytesOf(i)];
    writer.add(records.chunkOf(i), records.placeOf(i), bytes);
    changed.set(slot, (changed.get(slot) ?? 0) + bytes);
  }
  return { bytes: Buffer.concat(writer.finish()), fromLsn, toLsn, records: records.length, changed };
}
