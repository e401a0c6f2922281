// Each invariant on a history that keeps it and on histories that break it in one way: a check that cannot fail checks
// nothing.

import { describe, expect, test } from "vitest";
import {
  acknowledgedSurvive,
  type LoggedCell,
  type LoggedRecord,
  recordsAreWhole,
  restoredIsPrefix,
  sequencesRise,
  shownIsLogged,
  type Shown,
  type ShownRow,
  type Write,
} from "../../src/core/invariants.ts";
import type { Epoch, LogPlace, RunNumber, Slot, Txid } from "../../src/types.ts";

function write(token: string, seq: number, over: Partial<Write> = {}): Write {
  return { cell: "book/a", token, rows: 2, level: "disk", outcome: "acknowledged", seq, after: undefined, ...over };
}

/** A cell that shows entries of two rows each, in order. */
function showing(cell: string, tokens: readonly string[], over: Partial<Shown> = {}): Shown {
  const rows = tokens.flatMap((token, i): ShownRow[] => [
    { seq: i + 1, part: 1, token },
    { seq: i + 1, part: 2, token },
  ]);
  return { cell, counter: tokens.length, rows, wrong: [], ...over };
}

const writes = [write("t1", 1), write("t2", 2), write("t3", 3, { outcome: "unknown", seq: undefined })];

describe("I2, acknowledged writes survive", () => {
  test("nothing is said of a history that kept them", () => {
    expect(acknowledgedSurvive(writes, [showing("book/a", ["t1", "t2"])], "power")).toEqual([]);
    expect(acknowledgedSurvive(writes, [showing("book/a", ["t1", "t2", "t3"])], "kill")).toEqual([]);
  });

  test("a lost one is named, with level and fault", () => {
    const wrong = acknowledgedSurvive(writes, [showing("book/a", ["t1"])], "kill");
    expect(wrong).toEqual(["I2: t2 was acknowledged by book/a at disk and is gone after a kill"]);
  });

  test("a doubled one is named, unacknowledged ones too", () => {
    expect(acknowledgedSurvive(writes, [showing("book/a", ["t1", "t2", "t2"])], "stop")[0]).toMatch(/t2 .* 2 times/);
    expect(acknowledgedSurvive(writes, [showing("book/a", ["t1", "t2", "t3", "t3"])], "stop")[0]).toMatch(
      /t3 .* 2 times/,
    );
  });

  test("one that stands elsewhere than it was acknowledged is named", () => {
    expect(acknowledgedSurvive(writes, [showing("book/a", ["t2", "t1"])], "stop")).toHaveLength(2);
    const elsewhere = [showing("book/a", ["t1"]), showing("book/b", ["x", "t2"])];
    expect(acknowledgedSurvive(writes, elsewhere, "stop")[0]).toContain("stands at book/b 2");
  });

  test("at memory it has to survive a clean stop only", () => {
    const soft = [write("m1", 1, { level: "memory" })];
    expect(acknowledgedSurvive(soft, [showing("book/a", [])], "kill")).toEqual([]);
    expect(acknowledgedSurvive(soft, [showing("book/a", [])], "power")).toEqual([]);
    expect(acknowledgedSurvive(soft, [showing("book/a", [])], "stop")).toHaveLength(1);
  });
});

function commit(
  place: number,
  slot: number,
  epoch: number,
  txid: number,
  run: number,
  cells: LoggedCell[] = [],
): LoggedRecord {
  return {
    place: place as LogPlace,
    slot: slot as Slot,
    epoch: epoch as Epoch,
    txid: txid as Txid,
    run: run as RunNumber,
    claim: undefined,
    cells,
  };
}

function claim(
  place: number,
  slot: number,
  epoch: number,
  txid: number,
  run: number,
  previous = epoch - 1,
): LoggedRecord {
  const said = { previousEpoch: previous as Epoch, run: run as RunNumber };
  return { ...commit(place, slot, epoch, txid, run), claim: said };
}

function link(address: string, previous: number): LoggedCell {
  return { address, previous: previous as LogPlace, created: previous === 0, deleted: false };
}

/** The cell ends, and begins again. */
const rebirth = (first: number, over: Partial<LoggedCell> = {}): LoggedRecord[] => [
  commit(8, 7, 2, 4, 3, [{ ...link("book/a", 7), deleted: true }]),
  commit(9, 7, 2, 5, 3, [{ ...link("book/a", first), ...over }]),
];

const history = [
  claim(1, 7, 1, 0, 1),
  commit(2, 7, 1, 1, 1, [link("book/a", 0)]),
  claim(3, 8, 1, 0, 1),
  commit(4, 8, 1, 1, 1, [link("book/b", 0)]),
  commit(5, 7, 1, 2, 1, [link("book/a", 2)]),
  claim(6, 7, 2, 2, 3),
  commit(7, 7, 2, 3, 3, [link("book/a", 5)]),
];

function changed(index: number, over: Partial<LoggedRecord>): LoggedRecord[] {
  return history.map((record, i) => (i === index ? { ...record, ...over } : record));
}

describe("I3, numbers only rise", () => {
  test("nothing is said of a sound log", () => {
    expect(sequencesRise(history)).toEqual([]);
    expect(sequencesRise([...history, ...rebirth(0)])).toEqual([]);
  });

  test.each<[string, LoggedRecord[], RegExp]>([
    ["a txid is left out", changed(4, { txid: 3 as Txid }), /txid 3 follows 1/],
    ["a txid comes twice", changed(4, { txid: 1 as Txid }), /txid 1 follows 1/],
    ["an epoch does not rise", changed(5, { epoch: 1 as Epoch }), /a claim of epoch 1 after epoch 1/],
    ["a claim forgets commits", changed(5, { txid: 1 as Txid }), /a claim after txid 1; it was 2/],
    ["a run writes without a claim", history.filter((_, i) => i !== 5), /no claim by this run/],
    ["a claim is of another run", changed(5, { run: 4 as RunNumber }), /a claim by run 3 in the log of run 4/],
    ["a claim misstates the epoch before", [claim(1, 7, 5, 0, 1, 4)], /a claim after epoch 4; it was 0/],
    ["a run claims twice", [...history, claim(8, 7, 3, 3, 3)], /a second claim by run 3/],
    [
      "the chain of a cell skips a record",
      changed(6, { cells: [link("book/a", 2)] }),
      /names 2 as its record before; it is 5/,
    ],
    ["a cell is created again", changed(6, { cells: [{ ...link("book/a", 5), created: true }] }), /created again/],
    [
      "a cell was never created",
      changed(1, { cells: [{ ...link("book/a", 0), created: false }] }),
      /created by no record/,
    ],
    ["a deleted cell goes on", [...history, ...rebirth(8)], /names 8 as its record before; it is 0/],
    ["a deleted cell is not created", [...history, ...rebirth(0, { created: false })], /created by no record/],
    ["places fall", changed(3, { place: 2 as LogPlace }), /not behind 3/],
  ])("%s", (_title, records, sentence) => {
    expect(sequencesRise(records).join("\n")).toMatch(sentence);
  });
});

describe("I5, a restored cell is a prefix of its history", () => {
  const before = [showing("book/a", ["t0"]), showing("book/empty", [])];
  const later = [write("t1", 2), write("t2", 4), write("t3", 3, { outcome: "unknown", seq: undefined })];

  test("nothing is said of a prefix, whichever", () => {
    expect(restoredIsPrefix(before, later, [showing("book/a", ["t0"])])).toEqual([]);
    expect(restoredIsPrefix(before, later, [showing("book/a", ["t0", "t1", "t3", "t2"])])).toEqual([]);
  });

  test("what was shown before may neither go nor change", () => {
    expect(restoredIsPrefix(before, later, [showing("book/a", [])])[0]).toMatch(/entry 1 .* was t0 and is now gone/);
    expect(restoredIsPrefix(before, later, [showing("book/a", ["t1", "t0"])])[0]).toMatch(/was t0 and is now t1/);
    expect(restoredIsPrefix(before, later, [])).toEqual(["I5: book/a had 1 entries and is not shown"]);
  });

  test("nothing may show up that was not sent, was sent elsewhere, or was acknowledged as another entry", () => {
    expect(restoredIsPrefix(before, later, [showing("book/a", ["t0", "ghost"])])[0]).toMatch(
      /ghost, which was not sent/,
    );
    expect(restoredIsPrefix([], later, [showing("book/a", ["t2"])])).toEqual([
      "I5: t2 was acknowledged as book/a 4 and stands at book/a 1",
    ]);
    const swapped = [showing("book/a", ["t0"]), showing("book/b", ["t1"])];
    expect(restoredIsPrefix(before, later, swapped)[0]).toMatch(/t1, which was sent to book\/a/);
  });

  test("an effect may not outlive its cause", () => {
    const caused = [write("t1", 2), write("e1", 1, { cell: "book/b", after: "t1" })];
    const both = [showing("book/a", ["t0", "t1"]), showing("book/b", ["e1"])];
    expect(restoredIsPrefix(before, caused, both)).toEqual([]);
    const effect = [showing("book/a", ["t0"]), showing("book/b", ["e1"])];
    expect(restoredIsPrefix(before, caused, effect)).toEqual(["I5: book/b 1 shows e1, but not its cause t1"]);
  });
});

test("I5 by the log: a cell shows one entry for each of its commits", () => {
  expect(shownIsLogged([showing("book/a", ["t1", "t2", "t3"]), showing("book/b", ["t4"])], history)).toEqual([]);
  expect(shownIsLogged([showing("book/a", ["t1", "t2"]), showing("book/c", ["t5"])], history)).toEqual([
    "I5: book/a shows 2 entries, the log holds 3 commits of it",
    "I5: book/c shows 1 entries, the log holds 0 commits of it",
  ]);
});

describe("I6, a record is whole or absent", () => {
  test("nothing is said of whole entries", () => {
    expect(recordsAreWhole(writes, [showing("book/a", ["t1", "t2"])])).toEqual([]);
    expect(recordsAreWhole(writes, [showing("book/a", [])])).toEqual([]);
  });

  test("a missing row, a counter that went alone, a hole in the list", () => {
    const whole = showing("book/a", ["t1", "t2"]);
    expect(recordsAreWhole(writes, [{ ...whole, rows: whole.rows.slice(0, 3) }])).toEqual([
      "I6: t2 has 1 of its 2 rows at book/a 2",
    ]);
    expect(recordsAreWhole(writes, [{ ...whole, counter: 3 }])).toEqual(["I6: book/a counts 3 entries and lists 2"]);
    const hole = whole.rows.map((row) => ({ ...row, seq: row.seq === 2 ? 3 : row.seq }));
    expect(recordsAreWhole(writes, [{ ...whole, rows: hole }])[0]).toMatch(/has book\/a 3 as its entry 2/);
  });

  test("what was refused may not be there, and damage inside the cell counts", () => {
    const refused = [write("t1", 1, { outcome: "refused", seq: undefined })];
    expect(recordsAreWhole(refused, [showing("book/a", ["t1"])])[0]).toMatch(/t1 was refused/);
    const torn = showing("book/a", [], { wrong: ["row 3 missing from index"] });
    expect(recordsAreWhole([], [torn])).toEqual(["I6: book/a: row 3 missing from index"]);
  });
});
