// Random histories of commits, uploads, packs, checkpoints, clean-ups, stops, crashes, lapses and lost disks: whoever opens a
// slot finds what survives of it, and whoever goes back within the retention finds what was.

import { describe, expect, test } from "vitest";
import { temporaryDirectory } from "../cell/nodes.ts";
import { type Broken, HistoryWorld } from "./historyWorld.ts";

const HISTORIES = 25;
const STEPS = 150;
const HISTORIES_TO_CATCH = 60;

async function play(seed: number, broken?: Broken): Promise<HistoryWorld> {
  const world = new HistoryWorld(seed, temporaryDirectory(), broken);
  await world.play(STEPS);
  return world;
}

test("a slot is found as it is, and as it was at any moment of the retention", { timeout: 120_000 }, async () => {
  const happened = new Map<string, number>();
  for (let seed = 1; seed <= HISTORIES; seed++) {
    const world = await play(seed);
    expect(world.problems, `seed ${seed}`).toEqual([]);
    for (const [what, count] of world.happened) happened.set(what, (happened.get(what) ?? 0) + count);
  }
  // The histories are worth looking at.
  for (const what of ["logObjects", "checkpoints", "snapshots", "records", "looked back", "too far back"]) {
    expect(happened.get(what), what).toBeGreaterThan(10);
  }
});

describe("a mistake is caught", () => {
  const mistakes: readonly Broken[] = [
    "a checkpoint of what is not confirmed",
    "deletes before the base is raised",
    "clean-up does not ask the base checkpoints",
    "a disk's own files are believed beyond the end of its log",
    "a txid is used again",
  ];
  test.for(mistakes)("%s", { timeout: 120_000 }, async (broken) => {
    for (let seed = 1; seed <= HISTORIES_TO_CATCH; seed++) if ((await play(seed, broken)).problems.length > 0) return;
    expect.fail("nobody noticed");
  });
});
