// Damage that a whole node meets: in what was acknowledged, in runs that were settled long ago, in files that are gone.
//
// What was lost is reported with file and offset, what was not lost is served, a cell whose history has a hole says so
// and no cell shows anything that its log does not hold: not at once, and not after the next loss of power either.

import fs from "node:fs";
import path from "node:path";
import { describe, expect, test } from "vitest";
import { failureOf, type Opened, temporaryDirectory } from "../cell/nodes.ts";
import {
  image,
  lostAndFound,
  makeSteps,
  openTallies,
  pathOfFile,
  type Stand,
  standsOf,
  type Step,
  Tally,
  valuesOf,
} from "./tallies.ts";

const FIRST: readonly Step[] = [
  { name: "a", n: 1 },
  { name: "b", n: 2 },
  { name: "c", n: 3 },
  { name: "a", n: 4 },
  { name: "b", n: 5 },
  { name: "c", n: 6 },
];
const SECOND: readonly Step[] = [{ name: "a", n: 7 }];

function flip(directory: string, file: number, offset: number): void {
  const name = pathOfFile(directory, file);
  const bytes = fs.readFileSync(name);
  bytes[offset] = (bytes[offset] as number) ^ 0x40;
  fs.writeFileSync(name, bytes);
}

function forgetCatalog(directory: string): void {
  for (const name of ["catalog.db", "catalog.db-wal"]) fs.rmSync(path.join(directory, name), { force: true });
}

/** A directory of one run that stopped cleanly, and where its records stand. */
async function oneRun(): Promise<{ directory: string; stands: Stand[] }> {
  const directory = temporaryDirectory();
  const opened = await openTallies(directory, "boot-1");
  await makeSteps(opened, FIRST);
  await opened.node.stop();
  return { directory, stands: standsOf(directory, FIRST) };
}

/** A directory of two runs, the first of which stopped cleanly, as a kill of the second leaves it. */
async function twoRuns(): Promise<{ directory: string; stands: Stand[] }> {
  const { directory } = await oneRun();
  const opened = await openTallies(directory, "boot-1");
  await makeSteps(opened, SECOND);
  const copy = image(directory);
  return { directory: copy, stands: standsOf(copy, [...FIRST, ...SECOND]) };
}

function reportsOf(opened: Opened): [string, string, number][] {
  return opened.node.recovered.reports.map(({ kind, file, offset }) => [kind, path.basename(file), offset]);
}

describe("what was acknowledged by the last run is damaged", () => {
  test.each([["boot-1"], ["boot-2"]])("the cells go back to what is left, and stay sound on %s", async (boot) => {
    const { directory, stands } = await oneRun();
    const lost = stands[4] as Stand;
    flip(directory, lost.file, lost.offset + 60);
    const opened = await openTallies(directory, boot);
    expect(reportsOf(opened)).toEqual([["damage", path.basename(pathOfFile(directory, lost.file)), lost.batch]]);
    expect(lostAndFound(directory)).toHaveLength(1);
    expect(await valuesOf(opened)).toEqual({ a: 4, b: 2, c: 3 });
    // What is written from here on rests on the log as it is now, and is there when the files are gone.
    await makeSteps(opened, [{ name: "b", n: 8 }]);
    await opened.node.stop();
    fs.rmSync(path.join(directory, "cells"), { recursive: true });
    const again = await openTallies(directory, "boot-3");
    expect(reportsOf(again)).toEqual([]);
    expect(await valuesOf(again)).toEqual({ a: 4, b: 8, c: 3 });
  });

  test("a log that was cut right behind a batch is known to be short", async () => {
    const { directory, stands } = await oneRun();
    const kept = stands[3] as Stand;
    fs.truncateSync(pathOfFile(directory, kept.file), kept.end);
    const opened = await openTallies(directory, "boot-1");
    expect(reportsOf(opened)).toEqual([["damage", path.basename(pathOfFile(directory, kept.file)), kept.end]]);
    expect(await valuesOf(opened)).toEqual({ a: 4, b: 2, c: 3 });
  });

  test("a log file that is gone is asked for: the files of the cells may be the last copy", async () => {
    const { directory, stands } = await oneRun();
    const name = pathOfFile(directory, (stands[0] as Stand).file);
    fs.renameSync(name, `${name}.away`);
    const failure = await failureOf(openTallies(directory, "boot-1"));
    expect(failure.code).toBe("DATA_DAMAGED");
    expect(failure.message).toMatch(/log file 1, .* is gone .* restore it/);
    fs.renameSync(`${name}.away`, name);
    expect(await valuesOf(await openTallies(directory, "boot-1"))).toEqual({ a: 4, b: 5, c: 6 });
  });

  test("epochs go on above those that were lost", async () => {
    const { directory, stands } = await twoRuns();
    const lost = stands.at(-1) as Stand;
    const slot = await epochAfterStop(directory);
    flip(directory, lost.file, 70);
    const opened = await openTallies(directory, "boot-2");
    await makeSteps(opened, [{ name: "a", n: 9 }]);
    const [row] = opened.node.ledger.list("", 1);
    expect(row?.epoch).toBeGreaterThan(slot);
  });
});

/** Starts and stops a node, so that the catalog knows everything; gives the epoch of the cell a. */
async function epochAfterStop(directory: string): Promise<number> {
  const opened = await openTallies(directory, "boot-1");
  const [row] = opened.node.ledger.list("", 1);
  await opened.node.stop();
  return row?.epoch ?? 0;
}

describe("a run that was settled long ago is damaged", () => {
  test("costs the cells whose history runs through it, when they are made anew", async () => {
    const { directory, stands } = await twoRuns();
    const hole = stands[4] as Stand;
    flip(directory, hole.file, hole.offset + 60);
    const opened = await openTallies(directory, "boot-2");
    expect(await opened.get(Tally, "a").read()).toBe(7);
    expect(await opened.get(Tally, "c").read()).toBe(6);
    const failure = await failureOf(opened.get(Tally, "b").read());
    expect(failure.code).toBe("CELL_DAMAGED");
    expect(failure.message).toContain(`offset ${hole.offset}`);
    expect(failure.message).toContain(path.basename(pathOfFile(directory, hole.file)));
  });

  test("costs nothing while the files of the cells are there", async () => {
    const { directory, stands } = await twoRuns();
    flip(directory, (stands[4] as Stand).file, (stands[4] as Stand).offset + 60);
    const opened = await openTallies(directory, "boot-1");
    expect(await valuesOf(opened)).toEqual({ a: 7, b: 5, c: 6 });
  });

  test("is reported when the catalog is made anew, and what stands behind it is still found", async () => {
    const { directory, stands } = await twoRuns();
    const hole = stands[4] as Stand;
    flip(directory, hole.file, hole.offset + 60);
    forgetCatalog(directory);
    const opened = await openTallies(directory, "boot-1");
    expect(reportsOf(opened)).toEqual([["damage", path.basename(pathOfFile(directory, hole.file)), hole.batch]]);
    expect(await opened.get(Tally, "a").read()).toBe(7);
    expect(await opened.get(Tally, "c").read()).toBe(6);
    expect(await opened.get(Tally, "b").read()).toBe(2);
  });

  test("in the header of its file: the records behind it are still found", async () => {
    const { directory, stands } = await twoRuns();
    const hole = stands[4] as Stand;
    flip(directory, hole.file, 20);
    forgetCatalog(directory);
    const opened = await openTallies(directory, "boot-1");
    expect(reportsOf(opened)).toEqual([["damage", path.basename(pathOfFile(directory, hole.file)), 0]]);
    expect(await valuesOf(opened)).toEqual({ a: 7, b: 5, c: 6 });
  });

  test("its file is gone: the cells say which one they miss", async () => {
    const { directory, stands } = await twoRuns();
    const { file } = stands[0] as Stand;
    fs.rmSync(pathOfFile(directory, file));
    const opened = await openTallies(directory, "boot-2");
    const failure = await failureOf(opened.get(Tally, "b").read());
    expect(failure.code).toBe("CELL_DAMAGED");
    expect(failure.message).toContain(`log file ${file} does not exist`);
  });
});

describe("files that only cache the log", () => {
  test("a damaged WAL of a cell is thrown away and made anew, a damaged file too", async () => {
    const directory = temporaryDirectory();
    const opened = await openTallies(directory, "boot-1");
    await makeSteps(opened, FIRST);
    const copy = image(directory);
    const files = fs.readdirSync(path.join(copy, "cells"), { recursive: true, encoding: "utf8" });
    for (const file of files.filter((name) => name.endsWith("-wal"))) {
      // The magic of the WAL: salts and length are as the log says.
      const wal = fs.readFileSync(path.join(copy, "cells", file));
      wal.fill(0x5f, 0, 4);
      fs.writeFileSync(path.join(copy, "cells", file), wal);
    }
    const again = await openTallies(copy, "boot-1");
    expect(await valuesOf(again)).toEqual({ a: 4, b: 5, c: 6 });
    await again.node.stop();
    for (const file of files.filter((name) => name.endsWith(".db")))
      fs.writeFileSync(path.join(copy, "cells", file), "?".repeat(4096));
    expect(await valuesOf(await openTallies(copy, "boot-1"))).toEqual({ a: 4, b: 5, c: 6 });
  });

  test("a WAL that is left without its file never reaches a new cell", async () => {
    const directory = temporaryDirectory();
    const opened = await openTallies(directory, "boot-1");
    await makeSteps(opened, FIRST);
    const copy = image(directory);
    for (const name of fs.readdirSync(path.join(copy, "cells"), { recursive: true, encoding: "utf8" })) {
      if (name.endsWith(".db")) fs.rmSync(path.join(copy, "cells", name));
    }
    // As if nothing had reached the log: the cells are new.
    forgetCatalog(copy);
    fs.rmSync(path.join(copy, "log"), { recursive: true });
    fs.mkdirSync(path.join(copy, "log"));
    const again = await openTallies(copy, "boot-1");
    expect(await valuesOf(again)).toEqual({ a: 0, b: 0, c: 0 });
    await makeSteps(again, [{ name: "a", n: 10 }]);
    await again.node.stop();
    fs.rmSync(path.join(copy, "cells"), { recursive: true });
    expect(await valuesOf(await openTallies(copy, "boot-2"))).toEqual({ a: 10, b: 0, c: 0 });
  });

  test("a damaged catalog is refused with what to do, and doing it loses nothing", async () => {
    const { directory } = await oneRun();
    forgetCatalog(directory);
    fs.writeFileSync(path.join(directory, "catalog.db"), "this is no database".repeat(300));
    const failure = await failureOf(openTallies(directory, "boot-1"));
    expect(failure.code).toBe("DATA_DAMAGED");
    expect(failure.message).toMatch(/catalog.db is damaged; delete it/);
    forgetCatalog(directory);
    expect(await valuesOf(await openTallies(directory, "boot-1"))).toEqual({ a: 4, b: 5, c: 6 });
  });

  test("the space that a dead run had allocated is given back", async () => {
    const { directory } = await twoRuns();
    const spares = (): string[] =>
      fs
        .readdirSync(path.join(directory, "log"), { recursive: true, encoding: "utf8" })
        .filter((name) => name.includes("spare"));
    expect(spares().length).toBeGreaterThan(0);
    const opened = await openTallies(directory, "boot-1");
    expect(spares().every((name) => name.startsWith(String(opened.node.recovered.run).padStart(10, "0")))).toBe(true);
  });
});
