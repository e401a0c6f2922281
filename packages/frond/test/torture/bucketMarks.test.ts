// A build that forgets the watermark of the bucket between cells is caught by what the levels promise. It is no matter of the
// rounds: those have no bucket yet whose loss would show it.

import { expect, test } from "vitest";
import { mutate } from "../../src/torture/mutants.ts";
import { openHanded } from "../cell/levels.ts";
import { isSettled, turns } from "../cell/nodes.ts";

/** A cell at `disk` tells what it heard of one at `bucket` when everything is on the disk, and nothing is in the bucket. */
async function tellsEarly(): Promise<boolean> {
  const { request, flushed, confirm } = await openHanded();
  const write = request("safe/s/put/x");
  const look = request("plain/a/look/safe/s");
  await turns();
  await flushed();
  const early = await isSettled(look);
  expect(await isSettled(write)).toBe(false);
  await confirm();
  expect(await look).toEqual(["x"]);
  return early;
}

test("a broken build whose calls between cells forget the bucket is caught, and the real one is not", async () => {
  expect(await tellsEarly()).toBe(false);
  mutate("unmerged-bucket");
  expect(await tellsEarly()).toBe(true);
});
