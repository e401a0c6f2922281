// Which states of a mailbox are offered, and what going to one of them would change.

import type { PastCommit } from "frond";
import { expect, test } from "vitest";
import { compare, type Item } from "../src/inventory.ts";
import { chooseMoments, MOST_MOMENTS } from "../src/moments.ts";

const NOW = Date.UTC(2026, 10, 23, 15, 30);
const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** Commits at these ages, in ms, the newest first. */
function commits(ages: readonly number[], what: Record<number, PastCommit["what"]> = {}): PastCommit[] {
  return ages.map((age, i) => ({
    position: `1-${ages.length - i}`,
    time: NOW - age,
    size: 65_536,
    what: what[i] ?? "changed",
  }));
}

const agesOf = (ages: readonly number[], what?: Record<number, PastCommit["what"]>): number[] =>
  chooseMoments(commits(ages, what), NOW).map(({ time }) => NOW - time);

test("the present is not among them, and of the last minutes each change is", () => {
  expect(agesOf([])).toEqual([]);
  expect(agesOf([MINUTE])).toEqual([]);
  expect(agesOf([0, 1, 2, MINUTE, 14 * MINUTE])).toEqual([1, 2, MINUTE, 14 * MINUTE]);
});

test("of older ones it is the last of ten minutes, of an hour, of a day", () => {
  expect(agesOf([0, 21 * MINUTE, 22 * MINUTE, 29 * MINUTE, 31 * MINUTE])).toEqual([21 * MINUTE, 31 * MINUTE]);
  expect(agesOf([0, 2 * HOUR, 2 * HOUR + 9 * MINUTE, 2 * HOUR + 31 * MINUTE, 23 * HOUR])).toEqual([
    2 * HOUR,
    2 * HOUR + 31 * MINUTE,
    23 * HOUR,
  ]);
  expect(agesOf([0, 2 * DAY, 2 * DAY + HOUR, 3 * DAY, 3 * DAY + 16 * HOUR])).toEqual([
    2 * DAY,
    3 * DAY,
    3 * DAY + 16 * HOUR,
  ]);
});

test("a mailbox that changes all the time has few of them, over all of its history", () => {
  const ages = Array.from({ length: 7 * 24 * 60 }, (_, i) => i * MINUTE);
  const chosen = agesOf(ages);
  expect(chosen.length).toBeLessThanOrEqual(MOST_MOMENTS);
  expect(chosen.at(-1)).toBeGreaterThan(6 * DAY);
  expect(chosen.filter((age) => age < 15 * MINUTE).length).toBeGreaterThan(5);
});

test("what a restore has replaced is always there and says so; what it wrote, and a mailbox that was none, is not", () => {
  const ages = [0, 3 * HOUR, 3 * HOUR + 1, 3 * HOUR + 2, 4 * HOUR, 5 * HOUR];
  const found = chooseMoments(commits(ages, { 2: "replaced", 4: "deleted" }), NOW);
  expect(found.map(({ time, undone }) => [NOW - time, undone])).toEqual([
    [3 * HOUR, false],
    [3 * HOUR + 2, true],
    [5 * HOUR, false],
  ]);
});

test("messages are told apart by their bytes, drafts by their numbers; what moved or was written on is changed", () => {
  const message = (key: string, mark = "inbox 1 0 "): Item => ({ key, draft: 0, mark, subject: key });
  const draft = (key: string, mark = ""): Item => ({ key, draft: 1, mark, subject: key });
  const found = compare(
    [message("A"), message("B"), message("C"), draft("1"), draft("2", "old")],
    [message("B"), message("C", "trash 0 0 "), message("D"), draft("2", "new"), draft("3"), draft("4")],
  );
  const keys = (items: readonly Item[]): string[] => items.map(({ key }) => key);
  expect(keys(found.messagesBack)).toEqual(["A"]);
  expect(keys(found.messagesGone)).toEqual(["D"]);
  expect(keys(found.draftsBack)).toEqual(["1"]);
  expect(keys(found.draftsGone)).toEqual(["3", "4"]);
  expect([found.messagesChanged, found.draftsChanged]).toEqual([1, 1]);
});
