// PageSet, over many commits: it keeps the last version of each page and nothing of the commit before.

import fc from "fast-check";
import { expect, test } from "vitest";
import { PageSet } from "../../src/codec/pages.ts";

function entries(set: PageSet): Map<number, number> {
  return new Map(Array.from({ length: set.count }, (_, i) => [set.numbers[i] as number, set.offsets[i] as number]));
}

test("keeps the last version of each page, however many there are, and is empty again after reset", () => {
  const set = new PageSet();
  const step = fc.record({ number: fc.integer({ min: 1, max: 60 }), offset: fc.nat() });
  fc.assert(
    fc.property(
      fc.array(step, { minLength: 40, maxLength: 200, size: "max" }),
      fc.integer({ min: 0, max: 60 }),
      fc.array(step, { maxLength: 100, size: "max" }),
      (first, last, more) => {
        const source = new Uint8Array(1);
        set.reset(source, 512);
        const model = new Map<number, number>();
        const put = ({ number, offset }: { number: number; offset: number }) => {
          expect(set.put(number, offset)).toBe(!model.has(number));
          model.set(number, offset);
        };
        first.forEach(put);
        expect(entries(set)).toEqual(model);
        set.dropAbove(last);
        for (const number of model.keys()) if (number > last) model.delete(number);
        expect(entries(set)).toEqual(model);
        more.forEach(put);
        expect(entries(set)).toEqual(model);
        expect(set.count).toBe(model.size);
        expect(set.byteLength).toBe(model.size * 512);
        expect(set.source).toBe(source);
      },
    ),
  );
});

test("a large commit does not leave its arrays behind", () => {
  const set = new PageSet();
  set.reset(new Uint8Array(0), 512);
  for (let i = 1; i <= 5000; i++) set.put(i, i);
  set.reset(new Uint8Array(0), 512);
  expect(set.numbers.length).toBe(0);
  expect(set.offsets.length).toBe(0);
  expect(set.count).toBe(0);
});
