// The decisions of the bucket side, driven together: several machines with wrong clocks, over a bucket that loses, delays
// and refuses. Nothing that was acknowledged may ever be gone, and when the faults stop, everything goes on.
// A checker that cannot fail proves nothing: each mistake that this protocol is known for is made on purpose, and must be
// seen within a bounded number of histories.

import { describe, expect, test } from "vitest";
import { Machine } from "./bucketNode.ts";
import { type Broken, FAULTS_MS, QUIET_MS, World } from "./bucketWorld.ts";

const HISTORIES = 150;
const HISTORIES_TO_CATCH = 600;

/** What is wrong in the history of this seed; an assertion that fails counts too. */
function play(seed: number, broken?: Broken): { problems: readonly string[]; world: World } {
  const world = new World(seed, broken);
  try {
    for (const name of ["a", "b", "c"]) new Machine(world, name).start();
    world.runUntil(FAULTS_MS + QUIET_MS);
    if (world.observer.problems.length === 0) world.observer.end();
  } catch (error) {
    world.observer.wrong(String((error as Error).stack));
  }
  return { problems: world.observer.problems, world };
}

test("acknowledged commits stay, one owner serves, and everything goes on when the faults stop", () => {
  let epochs = 0;
  let acked = 0;
  for (let seed = 0; seed < HISTORIES; seed++) {
    const { problems, world } = play(seed);
    expect(problems, `seed ${seed}`).toEqual([]);
    epochs += world.newestSlot()?.epoch ?? 0;
    acked += world.observer.acked.size;
  }
  // The histories are worth looking at: slots changed hands, and many commits were acknowledged.
  expect(epochs).toBeGreaterThan(2 * HISTORIES);
  expect(acked).toBeGreaterThan(100 * HISTORIES);
}, 120_000);

test("a seed repeats its history", () => {
  const [one, two] = [play(7).world, play(7).world];
  expect([...one.bucket]).toEqual([...two.bucket]);
});

describe("a mistake is caught", () => {
  const mistakes: readonly Broken[] = [
    "no seal",
    "seal behind the highest",
    "seal removed by clean-up",
    "deletes before the base is raised",
    "exists after unknown is a defeat",
    "unknown is created",
    "a lapsed run renews",
    "lease removed before the tail is uploaded",
    "nobody renews for a tail",
    "serves while the claim is open",
    "newer owners are not listed",
  ];
  test.for(mistakes)("%s", { timeout: 120_000 }, (broken) => {
    const caught = (): boolean => {
      for (let seed = 0; seed < HISTORIES_TO_CATCH; seed++) if (play(seed, broken).problems.length > 0) return true;
      return false;
    };
    expect(caught()).toBe(true);
  });
});
