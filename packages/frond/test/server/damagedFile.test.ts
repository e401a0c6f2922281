// A cell's file that something outside of frond has damaged: the file is a cache, the log has the cell.

import fs from "node:fs";
import path from "node:path";
import { expect, test } from "vitest";
import { Cell } from "../../src/index.ts";
import { failureOf, openCells, openIn } from "../cell/nodes.ts";

class Tally extends Cell {
  static override migrations = ["CREATE TABLE t (v INTEGER, b BLOB) STRICT"];
  add(v: number) {
    this.sql`INSERT INTO t VALUES (${v}, ${new Uint8Array(3000)})`;
  }
  values() {
    return this.sql.all<{ v: number }>`SELECT v FROM t ORDER BY v`.map((row) => row.v);
  }
}

const cells = { tally: Tally };
const WHOLE = [1, 2, 3, 4, 5, 6];

for (const [what, bytes] of [
  ["empty", 0],
  ["one page", 1024],
  ["two pages short", -2048],
] as const) {
  test(`a file that was cut behind the node's back is made anew: ${what}`, async () => {
    const opened = await openCells(cells);
    for (const v of WHOLE) await opened.get(Tally, "a").add(v);
    await opened.node.stop();
    const folder = path.join(opened.directory, "cells");
    const name = fs.readdirSync(folder, { recursive: true, encoding: "utf8" }).find((file) => file.endsWith(".db"));
    const file = path.join(folder, name as string);
    fs.truncateSync(file, bytes < 0 ? fs.statSync(file).size + bytes : bytes);
    const again = await openIn(opened.directory, cells);
    expect(await again.get(Tally, "a").values()).toEqual(WHOLE);
    expect(again.lines.join()).toContain("a cell's file was damaged; it is made anew from the log");
    await again.get(Tally, "a").add(7);
    await again.node.stop();
    expect(await (await openIn(opened.directory, cells)).get(Tally, "a").values()).toEqual([...WHOLE, 7]);
  });
}

for (const [what, at, byte] of [
  ["a schema format that SQLite does not know", 47, 9],
  ["a version that is not read", 19, 3],
  ["another page size", 16, 8],
] as const) {
  test(`a file whose header was changed is made anew: ${what}`, async () => {
    const opened = await openCells(cells);
    for (const v of WHOLE) await opened.get(Tally, "a").add(v);
    await opened.node.stop();
    const folder = path.join(opened.directory, "cells");
    const name = fs.readdirSync(folder, { recursive: true, encoding: "utf8" }).find((file) => file.endsWith(".db"));
    const fd = fs.openSync(path.join(folder, name as string), "r+");
    fs.writeSync(fd, Buffer.of(byte), 0, 1, at);
    fs.closeSync(fd);
    const again = await openIn(opened.directory, cells);
    expect(await again.get(Tally, "a").values()).toEqual(WHOLE);
    expect(again.lines.join()).toContain("a cell's file was damaged; it is made anew from the log");
  });
}

test("a page that is found damaged while verbs run costs that call, and the next one finds the cell as the log has it", async () => {
  const opened = await openCells(cells);
  for (const v of WHOLE) await opened.get(Tally, "a").add(v);
  await opened.node.stop();
  const folder = path.join(opened.directory, "cells");
  const name = fs.readdirSync(folder, { recursive: true, encoding: "utf8" }).find((file) => file.endsWith(".db"));
  const file = path.join(folder, name as string);
  const bytes = fs.readFileSync(file);
  for (let page = 2; page * 1024 < bytes.length; page++) bytes.fill(0xee, page * 1024, page * 1024 + 200);
  fs.writeFileSync(file, bytes);
  const again = await openIn(opened.directory, cells);
  const failure = await failureOf(again.get(Tally, "a").values());
  expect(failure).toMatchObject({ code: "COMMIT_FAILED", retryable: true });
  expect(failure.message).toContain("is damaged and is made anew from the log");
  expect(again.lines.join()).toContain("a cell's file was damaged; it is made anew from the log");
  expect(await again.get(Tally, "a").values()).toEqual(WHOLE);
  await again.get(Tally, "a").add(7);
  expect(await again.get(Tally, "a").values()).toEqual([...WHOLE, 7]);
  expect(again.fatal).toEqual([]);
});
