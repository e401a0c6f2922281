// How far the bucket is behind: as old as the oldest that it does not have, and the worst of an hour.

import { expect, test } from "vitest";
import { Lag } from "../../src/server/persist/lag.ts";
import type { Lsn } from "../../src/types.ts";

const at = (value: number): Lsn => value as Lsn;

test("it is behind for as long as what it does not have has been on the disk", () => {
  const lag = new Lag();
  lag.look(0, at(0), at(0));
  expect(lag.behindMs(100)).toBe(0);
  lag.look(250, at(10), at(0));
  lag.look(500, at(20), at(0));
  expect(lag.behindMs(700)).toBe(450);
  // It has the first now, and not the second.
  lag.look(750, at(20), at(10));
  expect(lag.behindMs(750)).toBe(250);
  lag.look(1000, at(20), at(20));
  expect(lag.behindMs(5000)).toBe(0);
  // What went up between two looks was never seen behind.
  lag.look(1250, at(30), at(30));
  expect([lag.behindMs(1250), lag.mostMs]).toEqual([0, 250]);
});

test("the most is that of the last hour", () => {
  const lag = new Lag();
  lag.look(0, at(10), at(0));
  lag.look(9_000, at(10), at(0));
  lag.look(10_000, at(10), at(10));
  expect(lag.mostMs).toBe(9_000);
  lag.look(59 * 60_000, at(10), at(10));
  expect(lag.mostMs).toBe(9_000);
  lag.look(60 * 60_000, at(11), at(10));
  lag.look(60 * 60_000 + 500, at(11), at(10));
  expect(lag.mostMs).toBe(500);
  lag.look(600 * 60_000, at(11), at(11));
  expect(lag.mostMs).toBe(0);
});
