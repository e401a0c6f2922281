// Many async verbs at once, resumed in random order: no transaction ever holds the writes of two of them, nor a part of
// a stretch. Seen from outside: the database as it was after each record of the log.

import fs from "node:fs";
import path from "node:path";
import { DatabaseSync } from "node:sqlite";
import { expect, test } from "vitest";
import { Cell } from "../../src/cell/cell.ts";
import type { DecodedCell } from "../../src/codec/record.ts";
import { writeCell } from "../../src/store/restore.ts";
import { commitsIn, failureOf, openCells, temporaryDirectory } from "./nodes.ts";

/** A small deterministic source of chance, so that a failing seed can be run again. */
function chance(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    // mulberry32
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  };
}

const pauses: (() => Promise<unknown>)[] = [
  async () => null,
  () => Promise.resolve().then(() => null),
  () => new Promise<void>((resolve) => queueMicrotask(resolve)),
  () => new Promise<void>((resolve) => process.nextTick(resolve)),
  () => new Promise<void>((resolve) => setImmediate(resolve)),
  () => new Promise<void>((resolve) => setTimeout(resolve, 0)),
];

interface Write {
  verb: number;
  stretch: number;
  size: number;
}

class Board extends Cell {
  static override migrations = [
    "CREATE TABLE w (id INTEGER PRIMARY KEY, verb INT NOT NULL, stretch INT NOT NULL, size INT NOT NULL) STRICT",
  ];
  put(verb: number, stretch: number, size: number) {
    for (let i = 0; i < size; i++) this.sql`INSERT INTO w (verb, stretch, size) VALUES (${verb}, ${stretch}, ${size})`;
  }
  putAndThrow(verb: number) {
    this.put(verb, 0, 3);
    throw new Error("taken back");
  }
  async run(verb: number, seed: number) {
    const random = chance(seed);
    const stretches = 1 + random(5);
    for (let stretch = 0; stretch < stretches; stretch++) {
      const size = 1 + random(3);
      const kind = random(6);
      if (kind === 0) this.transaction(() => this.put(verb, stretch, size));
      else if (kind === 1) this.sql.all`SELECT * FROM w`;
      else if (kind === 2) void this.get(Board, this.name).put(1000 + verb * 10 + stretch, 0, size);
      else this.put(verb, stretch, size);
      if (kind === 3) await failureOf(this.get(Board, this.name).putAndThrow(2000 + verb));
      const pause = pauses[random(pauses.length)];
      await pause?.();
    }
  }
}

/** The rows that each record of a cell added, oldest first. */
function additions(directory: string, address: string): Write[][] {
  const folder = temporaryDirectory();
  const pages = new Map<number, Uint8Array>();
  let known = 0;
  return commitsIn(directory, address).map((commit, n) => {
    const cell = commit.cells[0] as DecodedCell;
    for (let i = 0; i < cell.pages.count; i++) {
      const at = cell.pages.offsets[i] as number;
      pages.set(cell.pages.numbers[i] as number, cell.pages.source.subarray(at, at + cell.pageSize));
    }
    const file = path.join(folder, `${n}.db`);
    writeCell(file, cell.pageSize, cell.pageCount, (number) => pages.get(number));
    const db = new DatabaseSync(file);
    const rows = db.prepare("SELECT verb, stretch, size FROM w WHERE id > ? ORDER BY id").all(known);
    known += rows.length;
    db.close();
    fs.rmSync(file);
    return rows as unknown as Write[];
  });
}

test("two async verbs never share a transaction, however their awaits interleave", async () => {
  for (let seed = 1; seed <= 6; seed++) {
    const opened = await openCells({ board: Board });
    const board = opened.get(Board, "a");
    await Promise.all(Array.from({ length: 25 }, (_, verb) => board.run(verb, seed * 1000 + verb)));
    await opened.node.commitLog.flushed();
    const records = additions(opened.directory, "board/a");
    expect(records.length).toBeGreaterThan(30);
    for (const rows of records) {
      expect(new Set(rows.map((row) => row.verb)).size, `seed ${seed}: ${JSON.stringify(rows)}`).toBeLessThanOrEqual(1);
      // A stretch is in one record, whole.
      for (const row of rows) {
        expect(rows.filter((other) => other.stretch === row.stretch)).toHaveLength(row.size);
      }
    }
    const verbs = new Set(records.flat().map((row) => row.verb));
    expect([...verbs].some((verb) => verb >= 2000)).toBe(false);
    expect([...verbs].some((verb) => verb >= 1000)).toBe(true);
    await opened.node.stop();
  }
});
