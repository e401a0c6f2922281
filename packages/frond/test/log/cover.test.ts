// Which objects are read for a part of a log: the fewest that listings allow, without a gap, whatever stands there.

import fc from "fast-check";
import { expect, test } from "vitest";
import { openMemoryBucket } from "../../src/bucket/memory.ts";
import { logKey, packKey, parsePackKey } from "../../src/bucket/objectKeys.ts";
import { cover, listPacks, listSegments, type SeqRange, superseded } from "../../src/log/cover.ts";
import type { RunId, Seq } from "../../src/types.ts";

const RUN = "a".repeat(32) as RunId;
const range = (from: number, to: number): SeqRange => ({ from: from as Seq, to: to as Seq });
const anyRange = fc
  .tuple(fc.integer({ min: 1, max: 30 }), fc.integer({ min: 1, max: 12 }))
  .map(([a, n]) => range(a, a + n));

test("the parts go on where the one before ended, and no pack reaches behind the end", () => {
  fc.assert(
    fc.property(fc.array(anyRange, { maxLength: 12 }), anyRange, (packs, wanted) => {
      let at = wanted.from;
      for (const part of cover(RUN, packs, wanted)) {
        expect(part.from).toBeLessThanOrEqual(at);
        expect(part.to).toBeGreaterThan(at);
        const isPack = packs.some(({ from, to }) => from === part.from && to === part.to);
        expect(part.kind === "pack").toBe(isPack && part.key === packKey(RUN, part.from, part.to));
        if (part.kind === "segment") expect(part.key).toBe(logKey(RUN, at));
        // No pack would have reached further.
        expect(packs.some(({ from, to }) => from <= at && to > part.to && to <= wanted.to)).toBe(false);
        at = part.to;
      }
      expect(at).toBe(wanted.to);
    }),
  );
});

test("packs may be allowed to reach further than what is read", () => {
  const packs = [range(1, 33)];
  expect(cover(RUN, packs, range(5, 7)).map(({ kind }) => kind)).toEqual(["segment", "segment"]);
  expect(cover(RUN, packs, range(5, 7), 33 as Seq).map(({ to }) => to)).toEqual([33]);
});

test("nobody needs a pack that another one holds whole", () => {
  const packs = [range(1, 33), range(1, 129), range(33, 65), range(120, 140), range(1, 129)];
  expect(superseded(packs)).toEqual([range(1, 33), range(33, 65)]);
});

test("listings pass over what is foreign", async () => {
  const bucket = openMemoryBucket();
  const keys = [packKey(RUN, 1 as Seq, 33 as Seq), packKey(RUN, 33 as Seq, 34 as Seq), logKey(RUN, 33 as Seq)];
  const other = [`pack/${RUN}/0000000033`, `pack/${RUN}/0000000033-0000000033`, `pack/${RUN}/0000000000-0000000003`];
  for (const key of [...keys, ...other, `log/${RUN}/x`, logKey(RUN, 34 as Seq), logKey(RUN, 36 as Seq)]) {
    await bucket.create(key, Buffer.alloc(7));
  }
  const bytes = 7;
  expect(await listPacks(bucket, RUN)).toEqual([
    { ...range(1, 33), bytes },
    { ...range(33, 34), bytes },
  ]);
  expect(await listSegments(bucket, RUN, range(34, 36))).toEqual([{ ...range(34, 35), bytes }]);
  expect(await listSegments(bucket, RUN, range(1, 99))).toHaveLength(3);
  expect(parsePackKey("b".repeat(32) as RunId, keys[0] as string)).toBeUndefined();
});

test("long listings are read to their end", async () => {
  const bucket = openMemoryBucket();
  for (let seq = 1; seq <= 1200; seq++) {
    await bucket.create(logKey(RUN, seq as Seq), Buffer.alloc(1));
    await bucket.create(packKey(RUN, seq as Seq, (seq + 1) as Seq), Buffer.alloc(1));
  }
  expect(await listPacks(bucket, RUN)).toHaveLength(1200);
  expect(await listSegments(bucket, RUN, range(100, 1150))).toHaveLength(1050);
});
