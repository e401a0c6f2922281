// Strikes on disk: when a cell is parked, what a restart knows, what is bounded, and what damage does.

import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { MAX_STRUCK_CELLS, STRIKE_WINDOW_MS } from "../../src/limits.ts";
import { Strikes } from "../../src/server/strikes.ts";

const START = 1_800_000_000_000;

function setUp(): { directory: string; open: () => Strikes; said: string[]; now: (ms: number) => void } {
  const directory = mkdtempSync(path.join(tmpdir(), "frond-strikes-"));
  onTestFinished(() => rmSync(directory, { recursive: true }));
  const said: string[] = [];
  let now = START;
  return {
    directory,
    said,
    now: (ms) => (now = START + ms),
    open: () => new Strikes({ directory, now: () => now, warn: (_fields, message) => void said.push(message) }),
  };
}

const refusal = (strikes: Strikes, address: string): string | undefined => {
  try {
    strikes.check(address);
    return undefined;
  } catch (error) {
    return (error as { code: string }).code;
  }
};

test("three strikes within an hour park a cell, over restarts too, until it is released", () => {
  const { open, now, said } = setUp();
  const strikes = open();
  expect(strikes.add("mailbox/a", "first")).toBe(false);
  now(1);
  expect(strikes.add("mailbox/a", "second")).toBe(false);
  expect(refusal(strikes, "mailbox/a")).toBeUndefined();
  const next = open();
  now(STRIKE_WINDOW_MS - 1);
  expect(next.add("mailbox/a", "third")).toBe(true);
  expect(said).toEqual(["a cell was parked: nothing runs in it until it is released"]);
  const last = open();
  expect(refusal(last, "mailbox/a")).toBe("CELL_PARKED");
  expect(refusal(last, "mailbox/b")).toBeUndefined();
  expect(() => last.check("mailbox/a")).toThrow("frond parked release mailbox/a");
  expect(last.parked()).toMatchObject([{ address: "mailbox/a", sinceMs: START + STRIKE_WINDOW_MS - 1 }]);
  expect(last.parked()[0]?.strikes.map(({ why }) => why)).toEqual(["first", "second", "third"]);
  expect(last.release("mailbox/b")).toBe(false);
  expect(last.release("mailbox/a")).toBe(true);
  expect(refusal(last, "mailbox/a")).toBeUndefined();
  const after = open();
  expect(after.parked()).toEqual([]);
  expect(after.add("mailbox/a", "a new first")).toBe(false);
});

test("strikes that are further apart than an hour park nothing", () => {
  const { open, now } = setUp();
  const strikes = open();
  for (let i = 0; i < 10; i++) {
    now((i * STRIKE_WINDOW_MS) / 2);
    expect(strikes.add("mailbox/a", "again")).toBe(false);
  }
});

test("what the process noted before it ended is a strike, once, however often it is read", () => {
  const { directory, open, said } = setUp();
  const suspect = { address: "mailbox/a", sql: "SELECT 1", ms: 500.4, atMs: START - 5, run: 3 };
  const note = (): void => writeFileSync(path.join(directory, "suspect.json"), JSON.stringify(suspect));
  note();
  const first = open();
  expect(first.add("mailbox/a", "second")).toBe(false);
  expect(said).toEqual(["the run before was ended: its event loop was held for too long, inside: SELECT 1"]);
  expect(readdirSync(directory)).toEqual(["strikes.json"]);
  // As if it had ended before the note was removed.
  note();
  expect(open().add("mailbox/a", "third", START + 1)).toBe(true);
});

test("a note that names no cell gives no strike, and goes", () => {
  const { directory, open, said } = setUp();
  writeFileSync(path.join(directory, "suspect.json"), JSON.stringify({ ms: 500, atMs: START, run: 3 }));
  open();
  expect(said).toHaveLength(1);
  expect(readdirSync(directory)).toEqual([]);
});

test("files that are damaged are reported and kept, and the node starts", () => {
  for (const text of ["", "{", "null", "[]", '"text"', '{"format":1}']) {
    const { directory, open, said } = setUp();
    for (const name of ["strikes.json", "suspect.json"]) writeFileSync(path.join(directory, name), text);
    const strikes = open();
    expect(said.map((line) => line.slice(0, 21))).toEqual(["a file cannot be read", "a file cannot be read"]);
    expect(readdirSync(directory).toSorted()).toEqual(["strikes.json.damaged", "suspect.json.damaged"]);
    expect(readFileSync(path.join(directory, "strikes.json.damaged"), "utf8")).toBe(text);
    expect(strikes.add("mailbox/a", "first")).toBe(false);
  }
  const { directory, open } = setUp();
  const cells = [null, 5, { address: 5 }, { address: "mailbox/b", parkedMs: 5, strikes: [null, { atMs: 1 }, {}] }];
  writeFileSync(path.join(directory, "strikes.json"), JSON.stringify({ format: 1, cells }));
  expect(open().parked()).toEqual([{ address: "mailbox/b", sinceMs: 5, strikes: [] }]);
});

test("no more cells are remembered than may be, and parked ones are kept before others", () => {
  const { directory, open, now, said } = setUp();
  // Written in one go: each strike is synced to the disk.
  const cells = Array.from({ length: MAX_STRUCK_CELLS }, (_, i) => ({
    address: `mailbox/${i}`,
    parkedMs: i === 0 || i === 2 ? 1 : 0,
    strikes: [{ atMs: START, why: "w" }],
  }));
  const file = path.join(directory, "strikes.json");
  writeFileSync(file, JSON.stringify({ format: 1, cells }));
  const strikes = open();
  now(1);
  strikes.add("mailbox/x", "y".repeat(100_000));
  const kept = (JSON.parse(readFileSync(file, "utf8")) as { cells: { address: string }[] }).cells;
  expect(kept).toHaveLength(MAX_STRUCK_CELLS);
  expect(kept.slice(0, 3).map(({ address }) => address)).toEqual(["mailbox/0", "mailbox/2", "mailbox/3"]);
  expect(readFileSync(file).length).toBeLessThan(200_000);
  expect(said).toEqual([]);
});
