// Strikes on disk: when a cell is parked, what a restart knows, what is bounded, and what damage does.

import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { MAX_STRUCK_CELLS, STRIKE_WINDOW_MS } from "../../src/limits.ts";
import { Cell } from "../../src/cell/cell.ts";
import { Strikes, type Suspect } from "../../src/server/cells/strikes.ts";
import { openCells, openIn } from "../cell/nodes.ts";

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
  for (const text of ["", "{", "null", "[]", '"text"', '{"format":1}', '{"format":2,"cells":[]}', '{"cells":[]}']) {
    const { directory, open, said } = setUp();
    for (const name of ["strikes.json", "suspect.json"]) writeFileSync(path.join(directory, name), text);
    const strikes = open();
    expect(said.map((line) => line.slice(0, 21))).toEqual(["a file cannot be read", "a file cannot be read"]);
    expect(readdirSync(directory).toSorted()).toEqual(["strikes.json.damaged", "suspect.json.damaged"]);
    expect(readFileSync(path.join(directory, "strikes.json.damaged"), "utf8")).toBe(text);
    expect(strikes.add("mailbox/a", "first")).toBe(false);
  }
});

test("what can be read of a damaged file goes on, and the file is kept, each time under a name of its own", () => {
  const good = { atMs: 1, why: "w" };
  const parked = { address: "mailbox/b", parkedMs: 5, strikes: [good] };
  const damages = [null, 5, { address: 5 }, { address: "mailbox/c", parkedMs: 0, strikes: [null, good, { atMs: 1 }] }];
  const { directory, open, said } = setUp();
  const file = path.join(directory, "strikes.json");
  for (const [i, damage] of damages.entries()) {
    const text = JSON.stringify({ format: 1, cells: [damage, parked] });
    writeFileSync(file, text);
    expect(open().parked()).toEqual([{ address: "mailbox/b", sinceMs: 5, strikes: [good] }]);
    expect(said).toHaveLength(i + 1);
    const kept = `${file}.damaged${i === 0 ? "" : i + 1}`;
    expect(said[i]).toBe(
      `a file cannot be read as what frond wrote; it is kept as ${kept}, what can be read of it goes on`,
    );
    expect(readFileSync(kept, "utf8")).toBe(text);
    // It was written anew, so the next start finds nothing wrong.
    expect(open().parked()).toHaveLength(1);
    expect(said).toHaveLength(i + 1);
  }
});

test("a node starts with files that are damaged, says so, and its cells run", async () => {
  class Plain extends Cell {
    ask() {
      return "answered";
    }
  }
  const opened = await openCells({ plain: Plain });
  await opened.node.stop();
  for (const name of ["strikes.json", "suspect.json"]) writeFileSync(path.join(opened.directory, name), "{");
  const next = await openIn(opened.directory, { plain: Plain });
  expect(next.lines).toEqual([
    expect.stringMatching(/^warn .*strikes\.json\.damaged, the strikes of cells begin anew, none is parked$/),
    expect.stringMatching(/^warn .*suspect\.json\.damaged, no cell gets a strike for the end of the run before$/),
  ]);
  expect(await next.get(Plain, "a").ask()).toBe("answered");
});

test("the files are as docs/formats.md shows them", () => {
  const text = readFileSync(new URL("../../../../docs/formats.md", import.meta.url), "utf8");
  const example = (name: string): string => {
    const found = new RegExp(`### ${name}\n[\\s\\S]*?\`\`\`json\n([\\s\\S]*?)\`\`\``).exec(text)?.[1];
    expect(found, name).toBeDefined();
    return found as string;
  };
  const { directory, open, said, now } = setUp();
  const suspect = JSON.parse(example("suspect.json")) as Suspect;
  expect(Object.keys(suspect)).toEqual(["address", "verb", "sql", "ms", "atMs", "run"]);
  writeFileSync(path.join(directory, "suspect.json"), example("suspect.json"));
  now(suspect.atMs - START);
  const strikes = open();
  expect(said).toHaveLength(1);
  strikes.add(suspect.address as string, "a sentence for people", suspect.atMs + 60_000);
  strikes.add(suspect.address as string, "a sentence for people", suspect.atMs + 120_000);
  strikes.add("mailbox/bob", "a sentence for people", suspect.atMs + 180_000);
  const written: unknown = JSON.parse(readFileSync(path.join(directory, "strikes.json"), "utf8"));
  expect(written).toEqual(JSON.parse(example("strikes.json")));
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
