// Packs made of segments of which one was changed: the merge refuses it, or makes what the sound ones make.
//
// Rule: without a forged checksum nothing that differs from what was written reaches a pack, for the pack is what is read from
// then on, and the segments go.

import fc from "fast-check";
import type { Bucket } from "../../src/bucket/bucket.ts";
import { openMemoryBucket } from "../../src/bucket/memory.ts";
import { cover, type Part } from "../../src/log/cover.ts";
import { makePack } from "../../src/log/pack.ts";
import type { Seq } from "../../src/types.ts";
import { anyHistory, play, runId, type Step } from "../log/histories.ts";
import { mutate, mutations } from "./mutate.ts";
import { codeAmong, type Entrance, target, type Target } from "./target.ts";

interface PackCase {
  readonly steps: readonly Step[];
  /** Which segment is changed, in parts of a thousand. */
  readonly which: number;
  readonly changes: Parameters<typeof mutate>[1];
  /** The object is gone altogether. */
  readonly gone: boolean;
}

type Make = (bucket: Bucket, parts: readonly Part[]) => Promise<Buffer | undefined>;

export function packsTarget(make: Make = (bucket, parts) => makePack(bucket, parts)): Target {
  return target("packs", 150, (): Entrance<PackCase> => ({
    input: fc.record({
      steps: anyHistory,
      which: fc.nat(999),
      changes: mutations,
      gone: fc.nat(20).map((n) => n === 0),
    }),
    check: (input) => judge(input, make),
  }));
}

async function judge({ steps, which, changes, gone }: PackCase, make: Make): Promise<void> {
  const bucket = openMemoryBucket();
  const run = runId(0);
  const { segments } = await play(steps, bucket);
  const to = ((segments.get(run) ?? 0) + 1) as Seq;
  const parts = cover(run, [], { from: 1 as Seq, to });
  const changed = parts[Math.floor((which * parts.length) / 1000)];
  if (changed === undefined) return;
  const sound = await makePack(bucket, parts);
  const { bytes } = (await bucket.get(changed.key)) ?? {};
  if (gone) await bucket.delete([changed.key]);
  else await bucket.put(changed.key, mutate(bytes as Buffer, changes));
  let made: Buffer | undefined;
  try {
    made = await make(bucket, parts);
  } catch (error) {
    codeAmong(["OBJECT_DAMAGED", "OBJECT_NEWER"], error);
    if (!String((error as Error).message).includes(changed.key))
      throw new Error("the object is not named", { cause: error });
    return;
  }
  if (made === undefined || sound === undefined || !made.equals(sound)) {
    throw new Error("a pack says something else than the sound segments do");
  }
}
