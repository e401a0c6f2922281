// How far back cells can be restored, as it is said on the command line.

import { expect, test } from "vitest";
import { parseRetention } from "../../src/cli/options.ts";
import { MAX_RETENTION_MS, MIN_RETENTION_MS, RETENTION_MS } from "../../src/limits.ts";

test("days, hours and minutes", () => {
  expect(["7d", "12h", "30m"].map(parseRetention)).toEqual([RETENTION_MS, 12 * 3600_000, 30 * 60_000]);
  expect(parseRetention("10m")).toBe(MIN_RETENTION_MS);
  expect(parseRetention("400d")).toBe(MAX_RETENTION_MS);
});

test.for(["9m", "401d", "7", "d", "7w", "1.5h", "-7d", "0d", " 7d", "9999999d"])("%s is refused", (value) => {
  expect(() => parseRetention(value)).toThrow(/as in 7d, 12h or 30m/);
});
