// Cutting segments: they cover the log without gaps, none is larger than it may be or empty, and the same cut gives the
// same bytes.

import { describe, expect, onTestFinished, test } from "vitest";
import { cutSegment, type Segment } from "../../src/log/cut.ts";
import { LogTail } from "../../src/log/tail.ts";
import { SEGMENT_BYTES } from "../../src/limits.ts";
import type { Lsn, RunId, RunNumber, Seq } from "../../src/types.ts";
import { readWhole, START } from "../codec/objects.ts";
import { commit, openLog } from "./hands.ts";

const NAME = { runId: START.runId, intent: START.intent, createdMs: START.createdMs };

/** A log of commits of so many pages, and its end. */
async function logOf(pages: readonly number[]) {
  const { log, folder } = openLog({ fileBytes: 1024 * 1024 });
  for (const [i, count] of pages.entries()) commit(log, i + 1, count);
  await log.flushed();
  const end = log.durable;
  await log.close();
  return { folder, end };
}

function tailOf(folder: string, from = 0): LogTail {
  const tail = new LogTail(folder, 1 as RunNumber, from as Lsn);
  onTestFinished(() => tail.close());
  return tail;
}

async function cutAll(tail: LogTail, end: Lsn): Promise<Segment[]> {
  const segments: Segment[] = [];
  for (let seq = 1; ; seq++) {
    const segment = await cutSegment(tail, end, { ...NAME, seq: seq as Seq });
    if (segment === undefined) return segments;
    segments.push(segment);
  }
}

function rawBytes({ bytes }: Segment): number {
  return readWhole(bytes).bytes.reduce((sum, record) => sum + record.length, 0);
}

describe("segments", () => {
  test("cover the log in order, each as large as it may be", async () => {
    const { folder, end } = await logOf(Array.from({ length: 2800 }, (_, i) => 1 + (i % 11)));
    const segments = await cutAll(tailOf(folder), end);
    expect(segments.length).toBe(3);
    let lsn = 0;
    for (const [i, segment] of segments.entries()) {
      const { header, footer } = readWhole(segment.bytes);
      expect(header).toEqual({ kind: "segment", intent: NAME.intent, runId: NAME.runId, number: i + 1 });
      expect([segment.fromLsn, footer.fromLsn, footer.toLsn]).toEqual([lsn, lsn, segment.toLsn]);
      expect(footer.entries.length).toBe(segment.records);
      expect(rawBytes(segment)).toBeLessThanOrEqual(SEGMENT_BYTES);
      // The next record would not have fitted.
      if (i < 2) expect(rawBytes(segment)).toBeGreaterThan(SEGMENT_BYTES - 11 * 520 - 100);
      lsn = segment.toLsn;
    }
    expect(lsn).toBe(end);
    const txids = segments.flatMap(({ bytes }) => readWhole(bytes).records.map(({ txid }) => txid));
    expect(txids).toEqual(Array.from({ length: 2800 }, (_, i) => i + 1));
  });

  test("a record that is larger than a segment has one of its own", async () => {
    const large = Math.ceil(SEGMENT_BYTES / 512) + 1;
    const { folder, end } = await logOf([1, 1, large, 1]);
    expect((await cutAll(tailOf(folder), end)).map(({ records }) => records)).toEqual([2, 1, 1]);
  });

  test("none is empty", async () => {
    const { folder, end } = await logOf([1]);
    const tail = tailOf(folder);
    expect(await cutSegment(tail, 0 as Lsn, { ...NAME, seq: 1 as Seq })).toBeUndefined();
    expect(await cutAll(tail, end)).toHaveLength(1);
    expect(await cutAll(tail, end)).toHaveLength(0);
  });

  test("the same cut gives the same bytes; another run or intent gives others", async () => {
    const { folder, end } = await logOf([1, 2, 3]);
    const [first] = await cutAll(tailOf(folder), end);
    const [again] = await cutAll(tailOf(folder), end);
    expect(again?.bytes.equals(first?.bytes as Buffer)).toBe(true);
    const name = { ...NAME, seq: 1 as Seq };
    for (const other of [
      { ...name, runId: "ff".repeat(16) as RunId },
      { ...name, intent: new Uint8Array(16) },
      { ...name, seq: 2 as Seq },
    ]) {
      const its = await cutSegment(tailOf(folder), end, other);
      expect(its?.bytes.equals(first?.bytes as Buffer)).toBe(false);
    }
  });

  test("a cut gives the thread to others, as often as they are asked for, and is the same", async () => {
    const { folder, end } = await logOf(Array.from({ length: 500 }, () => 8));
    const [whole] = await cutAll(tailOf(folder), end);
    let others = 0;
    let over = false;
    const count = (): void => {
      others += 1;
      if (!over) setImmediate(count);
    };
    setImmediate(count);
    let asked = 0;
    const breathe = (): Promise<void> | undefined => {
      asked += 1;
      return asked % 100 === 0 ? new Promise((resolve) => setImmediate(resolve)) : undefined;
    };
    const cut = await cutSegment(tailOf(folder), end, { ...NAME, seq: 1 as Seq }, breathe);
    over = true;
    expect(cut?.bytes.equals(whole?.bytes as Buffer)).toBe(true);
    expect([asked, others >= 5]).toEqual([500, true]);
  });
});
