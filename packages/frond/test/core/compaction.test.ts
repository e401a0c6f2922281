// What is packed when: a run has few objects however long it is, each record is written again a few times only, and no pack
// is larger than it may be.

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { nextPack, type PackPart, PackRule } from "../../src/core/compaction.ts";
import { MAX_PACK_BYTES, PACK_AFTER_MS, PACK_FAN_IN, PACK_SEGMENTS } from "../../src/limits.ts";
import type { Seq } from "../../src/types.ts";

/** A run in the bucket, to which segments come. */
class World {
  packs: PackPart[] = [];
  segments: PackPart[] = [];
  /** Segments that were written again, over all packs. Count. */
  written = 0;
  next = 1;

  come(bytes: number): void {
    this.segments.push({ from: this.next as Seq, to: (this.next + 1) as Seq, bytes });
    this.next += 1;
  }

  pack(rest: boolean, fits: (bytes: number) => boolean = () => true): void {
    const tooLarge = new Set<string>();
    for (;;) {
      const { packs, segments } = this;
      const chosen = nextPack({ packs, segments, rest }, (from, to) => tooLarge.has(`${from}-${to}`));
      if (chosen === undefined) return;
      const bytes = chosen.reduce((sum, part) => sum + part.bytes, 0);
      const { from } = chosen[0] as PackPart;
      const { to } = chosen.at(-1) as PackPart;
      expect(chosen.length).toBeGreaterThan(1);
      expect(bytes).toBeLessThanOrEqual(MAX_PACK_BYTES);
      for (const [i, part] of chosen.entries()) expect(part.from).toBe(i === 0 ? from : chosen[i - 1]?.to);
      if (fits(bytes)) this.#replace(chosen, { from, to, bytes });
      else tooLarge.add(`${from}-${to}`);
    }
  }

  #replace(chosen: readonly PackPart[], made: PackPart): void {
    this.written += made.to - made.from;
    this.packs = [...this.packs.filter((pack) => !chosen.includes(pack)), made].sort((a, b) => a.from - b.from);
    this.segments = this.segments.filter(({ from }) => from >= made.to);
  }

  get levels(): number {
    return Math.floor(Math.log(Math.max(1, this.next - 1)) / Math.log(PACK_FAN_IN)) + 1;
  }
}

const arrivals = fc.array(fc.record({ count: fc.integer({ min: 1, max: 120 }), rest: fc.boolean() }), {
  maxLength: 60,
});

describe("which parts are merged", () => {
  test("a run has few objects, and each record was written again once for each level", () => {
    fc.assert(
      fc.property(arrivals, (all) => {
        const world = new World();
        for (const { count, rest } of all) {
          for (let i = 0; i < count; i++) {
            world.come(1000);
            world.pack(rest && i === count - 1);
          }
          expect(world.segments.length).toBeLessThan(rest ? 2 : PACK_SEGMENTS);
          expect(world.packs.length).toBeLessThanOrEqual((PACK_FAN_IN - 1) * world.levels);
          expect(world.written).toBeLessThanOrEqual(world.next * world.levels);
        }
      }),
    );
  });

  test("segments are packed when there are enough of them, or as a rest of more than one", () => {
    const world = new World();
    for (let i = 1; i < PACK_SEGMENTS; i++) world.come(10);
    world.pack(false);
    expect(world.packs).toEqual([]);
    world.come(10);
    world.pack(false);
    expect(world.packs).toEqual([{ from: 1, to: 33, bytes: 320 }]);
    world.come(10);
    world.pack(true);
    expect(world.segments).toHaveLength(1);
    world.come(10);
    world.pack(true);
    expect(world.packs.map(({ from, to }) => [from, to])).toEqual([
      [1, 33],
      [33, 35],
    ]);
  });

  test("small packs in front of large ones are merged with those", () => {
    const ends = [1, 41, 43, 83, 85, 125] as Seq[];
    const packs = ends.slice(1).map((to, i): PackPart => ({ from: ends[i] as Seq, to, bytes: 1 }));
    expect(nextPack({ packs, segments: [], rest: false })).toEqual(packs.slice(0, 4));
    expect(nextPack({ packs: packs.slice(0, 4), segments: [], rest: false })).toBeUndefined();
  });

  test("what stands apart is not merged: something between was lost", () => {
    const packs = [1, 40, 80, 120].map((from) => ({ from: from as Seq, to: (from + 39) as Seq, bytes: 1 }));
    const whole = { packs: packs.map(({ from, bytes }) => ({ from, to: (from + 40) as Seq, bytes })) };
    expect(nextPack({ ...whole, segments: [], rest: false })).toBeUndefined();
    const side = packs.map((_, i) => ({ from: (1 + i * 40) as Seq, to: (41 + i * 40) as Seq, bytes: 1 }));
    expect(nextPack({ packs: side, segments: [], rest: false })).toEqual(side);
  });

  test("no pack is larger than it may be, and large ones do not keep others from being merged", () => {
    const sizes = fc.array(fc.integer({ min: 1, max: MAX_PACK_BYTES / 2 }), { minLength: 1, maxLength: 300 });
    fc.assert(
      fc.property(sizes, fc.integer({ min: 2 ** 20, max: MAX_PACK_BYTES }), (all, most) => {
        const world = new World();
        for (const bytes of all) {
          world.come(bytes);
          world.pack(false, (made) => made <= most);
        }
        world.pack(true, (made) => made <= most);
        const parts = [...world.packs, ...world.segments].sort((a, b) => a.from - b.from);
        // Two neighbours that would fit together are never both left as they came.
        for (const [i, part] of world.segments.entries()) {
          const next = world.segments[i + 1];
          if (next !== undefined && next.from === part.to) expect(part.bytes + next.bytes).toBeGreaterThan(most);
        }
        expect(parts.every(({ from }, i) => i === 0 || from >= (parts[i - 1]?.to ?? 0))).toBe(true);
      }),
      { numRuns: 50 },
    );
  });
});

describe("when it is looked", () => {
  test("when there are enough segments, or two of them have waited", () => {
    const rule = new PackRule();
    const at = (count: number, now: number) => rule.look((count + 1) as Seq, now);
    expect(at(1, 0)).toBe("nothing");
    expect(at(1, 2 * PACK_AFTER_MS)).toBe("nothing");
    expect(at(2, 2 * PACK_AFTER_MS)).toBe("nothing");
    expect(at(5, 3 * PACK_AFTER_MS - 1)).toBe("nothing");
    expect(at(5, 3 * PACK_AFTER_MS)).toBe("rest");
    rule.packed(6 as Seq);
    expect(at(6, 3 * PACK_AFTER_MS)).toBe("nothing");
    expect(at(5 + PACK_SEGMENTS, 3 * PACK_AFTER_MS)).toBe("full ones");
    rule.packed((6 + PACK_SEGMENTS) as Seq);
    expect(at(5 + PACK_SEGMENTS, 9 * PACK_AFTER_MS)).toBe("nothing");
  });
});
