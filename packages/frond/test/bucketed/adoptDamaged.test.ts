// A data directory from before it had a bucket, of which the log is damaged: it gets its bucket all the same, with every cell that
// can be read.

import fs from "node:fs";
import path from "node:path";
import { expect, test } from "vitest";
import { slotOf } from "../../src/address.ts";
import { Cell } from "../../src/cell/cell.ts";
import { listLogFiles } from "../../src/log/files.ts";
import type { Address } from "../../src/types.ts";
import { codeOf, failureOf, type Opened, openIn, temporaryDirectory } from "../cell/nodes.ts";

class Note extends Cell {
  static override migrations = ["CREATE TABLE line (id INTEGER PRIMARY KEY AUTOINCREMENT, text TEXT NOT NULL) STRICT"];
  add(text: string): number {
    return this.sql.one<{ id: number }>`INSERT INTO line (text) VALUES (${text}) RETURNING id`.id;
  }
  all(): number {
    return this.sql.one<{ n: number }>`SELECT count(*) AS n FROM line`.n;
  }
}

const cells = { note: Note };
const NAMES = Array.from({ length: 40 }, (_, i) => `n${i}`);

function bucketOf(folder: string): { bucket: { url: string }; ttlMs: number } {
  return { bucket: { url: `dir:${folder}` }, ttlMs: 1500 };
}

/** A directory without a bucket, stopped, with several log files. */
async function before(): Promise<string> {
  const { node, get, directory } = await openIn(temporaryDirectory(), cells, { logFileBytes: 64 * 1024 });
  for (const name of NAMES) await get(Note, name).add("first");
  await get(Note, "gone").add("x");
  await node.control.delete("note/gone");
  for (let i = 0; i < 4; i++) for (const name of NAMES) await get(Note, name).add("x".repeat(500));
  await node.stop();
  return directory;
}

/** Turns a byte in the middle of the oldest log file. */
function rot(directory: string): string {
  const files = listLogFiles(path.join(directory, "log"));
  expect(files.length).toBeGreaterThan(3);
  const file = files[0]?.path as string;
  const bytes = fs.readFileSync(file);
  const at = Math.floor(bytes.length / 3);
  bytes[at] = (bytes[at] as number) ^ 0x40;
  fs.writeFileSync(file, bytes);
  return file;
}

function fileOf(directory: string, name: string): string {
  return fs.globSync(path.join(directory, "cells", "*", `note%2f${name}.db`))[0] as string;
}

async function counts({ get }: Opened, names = NAMES): Promise<number[]> {
  return Promise.all(names.map((name) => get(Note, name).all()));
}

test("a directory whose old log is damaged is taken into its bucket with all of its cells, and says what is damaged", async () => {
  const directory = await before();
  const file = rot(directory);
  const bucket = path.join(temporaryDirectory(), "bucket");
  const opened = await openIn(directory, cells, bucketOf(bucket));
  expect(opened.lines.join("\n")).toContain(`error ${file}`);
  expect(await counts(opened)).toEqual(NAMES.map(() => 5));
  expect(await opened.get(Note, "n7").add("behind")).toBe(6);
  await opened.node.stop();
  const kept = fs.readdirSync(path.join(directory, "lost+found"));
  expect(kept.filter((name) => name.endsWith(".bin")).length).toBe(1);

  const again = await openIn(directory, cells, bucketOf(bucket));
  expect(again.lines.join("\n")).not.toContain("error");
  expect(await again.get(Note, "n7").add("and again")).toBe(7);
  await again.node.stop();

  const empty = await openIn(temporaryDirectory(), cells, bucketOf(bucket));
  expect(await counts(empty)).toEqual(NAMES.map((name) => (name === "n7" ? 7 : 5)));
  // The deleted one is remembered, too: its ids name nothing new.
  expect(await empty.get(Note, "gone").all()).toBe(0);
  expect(empty.node.catalog.find("note/gone" as Address)).toMatchObject({ deleted: true });
});

test("a cell that nobody can read any more stays one, here and in the bucket, and keeps nothing else back", async () => {
  const directory = await before();
  rot(directory);
  // Its file is gone, and the first of its records stood behind the byte.
  const broken = NAMES[3] as string;
  fs.rmSync(fileOf(directory, broken));
  fs.truncateSync(listLogFiles(path.join(directory, "log"))[0]?.path as string, 4096);
  const bucket = path.join(temporaryDirectory(), "bucket");
  const opened = await openIn(directory, cells, bucketOf(bucket));
  expect(await codeOf(opened.get(Note, broken).all())).toBe("CELL_DAMAGED");
  expect(opened.lines.join("\n")).toMatch(new RegExp(`note/${broken}.*cannot be read`));
  const others = NAMES.filter((name) => name !== broken);
  expect(await counts(opened, others)).toEqual(others.map(() => 5));
  await opened.node.stop();
  const empty = await openIn(temporaryDirectory(), cells, bucketOf(bucket));
  expect(await counts(empty, others)).toEqual(others.map(() => 5));
  expect((await failureOf(empty.get(Note, broken).all())).code).toBe("CELL_DAMAGED");
});

test("a start that ended in the middle of it goes on where it ended", async () => {
  const directory = await before();
  rot(directory);
  const bucket = path.join(temporaryDirectory(), "bucket");
  // A file where one of the slots is to be written.
  const stone = path.join(bucket, "cell", String(slotOf("note/n20" as Address)).padStart(4, "0"));
  fs.mkdirSync(path.dirname(stone), { recursive: true });
  fs.writeFileSync(stone, "");
  await failureOf(openIn(directory, cells, bucketOf(bucket)));
  const begun = fs.readdirSync(path.join(bucket, "slot")).length;
  expect(begun).toBeGreaterThan(0);
  fs.rmSync(stone);
  const again = await openIn(directory, cells, bucketOf(bucket));
  expect(fs.readdirSync(path.join(bucket, "slot")).length).toBeGreaterThan(begun);
  expect(await counts(again)).toEqual(NAMES.map(() => 5));
  await again.node.stop();
  const empty = await openIn(temporaryDirectory(), cells, bucketOf(bucket));
  expect(await counts(empty)).toEqual(NAMES.map(() => 5));
});

test("a start that ended before the damaged files were kept leaves that to the next one", async () => {
  const directory = await before();
  const file = rot(directory);
  const bucket = path.join(temporaryDirectory(), "bucket");
  const lost = path.join(directory, "lost+found");
  fs.writeFileSync(lost, "");
  await failureOf(openIn(directory, cells, bucketOf(bucket)));
  fs.rmSync(lost);
  const opened = await openIn(directory, cells, bucketOf(bucket));
  expect(opened.lines.join("\n")).toContain(`error ${file}`);
  await opened.node.stop();
  const kept = fs.readdirSync(lost).filter((name) => name.endsWith(".bin"));
  expect(kept.map((name) => fs.statSync(path.join(lost, name)).size)).toEqual([fs.statSync(file).size]);
});

test("a start that ended before the directory knew of its bucket, and one without it: what was before comes along all the same", async () => {
  const directory = await before();
  rot(directory);
  const bucket = path.join(temporaryDirectory(), "bucket");
  // Where it is to be written down which bucket it is.
  const stone = path.join(directory, "frond.json.new");
  fs.mkdirSync(stone);
  await failureOf(openIn(directory, cells, bucketOf(bucket)));
  fs.rmdirSync(stone);
  const without = await openIn(directory, cells);
  expect(await without.get(Note, "n7").add("without")).toBe(6);
  await without.node.stop();
  const opened = await openIn(directory, cells, bucketOf(bucket));
  const expected = NAMES.map((name) => (name === "n7" ? 6 : 5));
  expect(await counts(opened)).toEqual(expected);
  await opened.node.stop();
  const empty = await openIn(temporaryDirectory(), cells, bucketOf(bucket));
  expect(await counts(empty)).toEqual(expected);
});

test("with a damaged log, too, a directory with cells is not taken into a bucket that has some", async () => {
  const bucket = path.join(temporaryDirectory(), "bucket");
  const other = await openIn(temporaryDirectory(), cells, bucketOf(bucket));
  await other.get(Note, "theirs").add("x");
  await other.node.stop();
  const directory = await before();
  rot(directory);
  expect(await codeOf(openIn(directory, cells, bucketOf(bucket)))).toBe("DATA_FOREIGN");
  const without = await openIn(directory, cells);
  expect(await counts(without)).toEqual(NAMES.map(() => 5));
});
