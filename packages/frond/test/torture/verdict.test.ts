// The verdict over the actors: a history that kept every promise is found right, and each way to break one is found wrong.

import { describe, expect, test } from "vitest";
import type { ActorRow, ActorShown, Op } from "../../src/torture/script.ts";
import { type Evidence, judge, type Note } from "../../src/torture/verdict.ts";
import { Playwright } from "../../src/torture/playwright.ts";
import { Random } from "../../src/torture/random.ts";

function row(seq: number, token: string, more: Partial<ActorRow> = {}): ActorRow {
  return { seq, token, unit: token, size: 1, cause: null, via: "sql", ...more };
}

function shown(cell: string, rows: readonly ActorRow[], more: Partial<ActorShown> = {}): ActorShown {
  return { cell, rows, tally: rows.length, last: undefined, bumps: 0, wrong: [], ...more };
}

const sent = (tokens: string[], more: Partial<Extract<Note, { sent: number }>> = {}): Note => ({
  sent: 1,
  tokens,
  never: [],
  erases: [],
  ...more,
});
const heard = (seen: string[], erased: string[] = []): Note => ({ heard: { seen, erased } });

const pair = { unit: "u", size: 2 };
const before = shown("disk/a", [row(1, "disk/a#1")]);
const rows = [row(1, "disk/a#1"), row(2, "disk/a#2", pair), row(3, "disk/a#3", { ...pair, cause: "memory/m#1" })];

/** Two cells after a loss of power, which kept what it had to; with changes. */
function evidence(more: Partial<Evidence> = {}): Evidence {
  return {
    past: [before],
    notes: [
      sent(["disk/a#2", "disk/a#3", "disk/a#4", "memory/m#1", "memory/m#2"], { never: ["disk/a#4"] }),
      heard(["disk/a#2", "disk/a#3", "memory/m#2"]),
    ],
    shown: [shown("disk/a", rows), shown("memory/m", [row(1, "memory/m#1")])],
    fault: "power",
    levels: { disk: "disk", memory: "memory" },
    commits: new Map([
      ["disk/a", 2],
      ["memory/m", 1],
    ]),
    ...more,
  };
}

/** The evidence, with other rows in the first cell. */
function withRows(changed: readonly ActorRow[], more: Partial<ActorShown> = {}, commits = 2): Evidence {
  return evidence({
    shown: [shown("disk/a", changed, more), shown("memory/m", [row(1, "memory/m#1")])],
    commits: new Map([
      ["disk/a", commits],
      ["memory/m", 1],
    ]),
  });
}

const erase = sent([], { erases: [{ id: "e", cell: "disk/a" }] });

test("a history that kept every promise is found right", () => {
  expect(judge(evidence())).toEqual([]);
  // Deleted after everything was heard, and told so: nothing is left.
  const gone = [...evidence().notes, erase, heard([], ["e"])];
  expect(judge({ ...withRows([], {}, 0), notes: gone })).toEqual([]);
  // Asked for and never answered: all of it, or nothing.
  expect(judge({ ...withRows([], {}, 0), notes: [...evidence().notes, erase] })).toEqual([]);
  expect(judge({ ...evidence(), notes: [...evidence().notes, erase] })).toEqual([]);
});

describe("a history that broke one is found wrong", () => {
  test.each<[string, Evidence, RegExp]>([
    ["what was told is gone", withRows(rows.slice(0, 1), {}, 1), /disk\/a#2 was told and is gone/],
    [
      "what was told at the level memory is gone after a stop",
      evidence({ fault: "stop" }),
      /memory\/m#2 was told and is gone/,
    ],
    [
      "what is taken back was told",
      evidence({ notes: [...evidence().notes, heard(["disk/a#4"])] }),
      /always taken back/,
    ],
    ["what is taken back is there", withRows([...rows, row(4, "disk/a#4")], {}, 3), /stands at 4, but is always/],
    ["what was never sent was told", evidence({ notes: [heard(["disk/a#9"])] }), /never sent/],
    ["what was never sent is there", withRows([...rows, row(4, "disk/a#9")], {}, 3), /was not sent here/],
    ["half of a unit", withRows(rows.slice(0, 2)), /1 of its 2 rows/],
    [
      "others between a unit",
      withRows([rows[0] as ActorRow, row(2, "disk/a#2", pair), row(3, "disk/a#8"), row(4, "disk/a#3", pair)], {}, 3),
      /others stand between/,
    ],
    ["two units in one commit", withRows(rows, {}, 1), /2 units, the log holds 1/],
    ["the tally was left behind", withRows(rows, { tally: 2 }), /tally is 2/],
    ["the key was left behind", withRows(rows, { last: "disk/a#2" }), /the key says/],
    ["the number was left behind", withRows(rows, { bumps: 1 }), /the number is 1/],
    ["SQLite found damage", withRows(rows, { wrong: ["page 3"] }), /page 3/],
    [
      "an effect without its cause",
      evidence({ shown: [shown("disk/a", rows), shown("memory/m", [])], commits: new Map([["disk/a", 2]]) }),
      /is there, but not memory\/m#1/,
    ],
    [
      "the past has changed",
      withRows([row(1, "disk/a#2", pair), row(2, "disk/a#3", pair)], {}, 1),
      /row 1 was disk\/a#1/,
    ],
    [
      "what was deleted is there",
      evidence({ notes: [...evidence().notes, erase, heard([], ["e"])] }),
      /was deleted and stands/,
    ],
  ])("%s", (_title, broken, finding) => {
    expect(judge(broken).join("\n")).toMatch(finding);
  });
});

test("the scripts that are drawn use every instruction", () => {
  const cast = Array.from({ length: 8 }, (_, i) => ({ kind: i % 2 === 0 ? "actor" : "mortal", name: `a${i}` }));
  const playwright = new Playwright(cast, "r1");
  const random = new Random(1);
  const seen = new Set<string>();
  const visit = (ops: readonly Op[]): void => {
    for (const op of ops) {
      seen.add(op.op);
      if ("ops" in op) visit(op.ops);
      if ("play" in op) visit(op.play.ops);
    }
  };
  for (let i = 0; i < 500; i++) visit(playwright.draw(random).play.ops);
  const all = "abort block break bump call durable erase keep later long part pause read ring tell throw write";
  expect([...seen].sort().join(" ")).toBe(all);
});
