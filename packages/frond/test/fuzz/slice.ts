// The fuzzing as tests: a slice of each target with a fixed seed, and its oracle on broken entrances.

import { expect, test } from "vitest";
import type { Target } from "./target.ts";

const SEED = 20_260_101;

/** A test that runs the slice of `target`. */
export function holds(target: Target): void {
  test(`${target.name}: ${target.slice} cases`, async () => {
    expect(await target.run(target.slice, SEED)).toBeUndefined();
  });
}

/** A test that `target`, made for a broken entrance, finds it out within as many cases as its slice has. */
export function catches(what: string, target: Target): void {
  test(`${target.name}: catches ${what}`, async () => {
    expect(await target.run(target.slice, SEED)).toContain(`--target ${target.name} --seed ${SEED}`);
  });
}
