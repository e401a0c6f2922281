// Names of cells: any well-formed text reaches its own cell and file, and none gets out of the data directory.

import fs from "node:fs";
import path from "node:path";
import { expect, test } from "vitest";
import { Cell } from "../../src/cell/cell.ts";
import { formatAddress } from "../../src/address.ts";
import { cellFiles, openCells, reopen } from "./nodes.ts";

class Named extends Cell {
  set() {
    this.ctx.storage.kv.put("name", this.name);
    return this.name;
  }
  stored() {
    return [this.name, this.ctx.id.name, this.ctx.storage.kv.get("name")];
  }
}

const NAMES = [
  "a", "A", "..", ".", "../../etc/passwd", "/", "//", "a/b", "a%2fb", "%", "%2", "%00", "a b", "a\tb", "a\nb", "\u007f",
  "alice@example.org", "https://example.org/x?y=z#w", "con", "nul.db", "x-wal", "x.db-wal", "~", "a~b", "-rf", "'; DROP",
  "\\", "C:\\x", "é", "e\u0301", "É", "名前", "\u{1f600}", "\u202e", "\ufeff", "\u2028", "0", "null", "__proto__", "constructor",
  "then", "x".repeat(512), "é".repeat(256), "\u{1f600}".repeat(128), `${"x".repeat(511)}y`, `${"x".repeat(510)}.y`,
  "%".repeat(512), "/".repeat(512),
]; // prettier-ignore

test("any well-formed name reaches its own cell and its own file", async () => {
  const opened = await openCells({ named: Named });
  for (const name of NAMES) expect(await opened.get(Named, name).set()).toBe(name);
  await opened.node.commitLog.flushed();
  expect(opened.node.control.status().cells).toBe(NAMES.length);
  const addresses = opened.node.control.cells(undefined, 1000).map((cell) => cell.address);
  expect(new Set(addresses)).toEqual(new Set(NAMES.map((name) => formatAddress([{ kind: "named", name }]))));
  for (const address of addresses) {
    expect((await opened.node.control.sql(address, "SELECT 1", [], false)).rows).toEqual([[1]]);
  }
  const again = await reopen(opened, { named: Named });
  for (const name of NAMES) expect(await again.get(Named, name).stored()).toEqual([name, name, name]);
  expect(again.lines.filter((line) => !line.startsWith("info"))).toEqual([]);
});

test("no name gets out of its folder", async () => {
  const opened = await openCells({ named: Named });
  const before = fs.readdirSync(path.dirname(opened.directory)).filter((name) => !name.startsWith("frond-"));
  for (const name of NAMES) await opened.get(Named, name).set();
  const files = cellFiles(opened.directory).filter((name) => name.endsWith(".db"));
  expect(files).toHaveLength(NAMES.length);
  // A folder for the slot, one plain file name in it, the same on file systems that fold case.
  for (const file of files) expect(file).toMatch(/^[0-9a-f]{3}\/named%2f[a-z0-9_@+.%~-]+\.db$/);
  expect(new Set(files.map((file) => path.basename(file).toLowerCase())).size).toBe(NAMES.length);
  for (const file of files) expect(Buffer.byteLength(path.basename(file))).toBeLessThanOrEqual(250);
  expect(fs.readdirSync(path.dirname(opened.directory)).filter((name) => !name.startsWith("frond-"))).toEqual(before);
  expect(fs.readdirSync(opened.directory).sort()).toEqual(
    ["catalog.db", "catalog.db-wal", "cells", "frond.json", "lock.db", "lock.pid", "log", "tmp"].sort(),
  );
});

test("what is no text, empty, too long or holds NUL names no cell", async () => {
  const { get } = await openCells({ named: Named });
  const wrong = [
    "",
    "x".repeat(513),
    "é".repeat(257),
    "nul \0",
    "\ud800",
    "x\udfff",
    5,
    null,
    undefined,
    {},
    ["a"],
    Symbol("s"),
  ];
  for (const name of wrong as string[]) {
    expect(() => get(Named, name), String(name as unknown)).toThrow(expect.objectContaining({ code: "BAD_ADDRESS" }));
  }
});

test("a cell is its kind and name: the class may be renamed, and a name under two kinds is two cells", async () => {
  const opened = await openCells({ named: Named });
  await opened.get(Named, "a").set();
  class Renamed extends Named {}
  class Other extends Named {}
  const again = await reopen(opened, { named: Renamed, other: Other });
  expect(await again.get(Renamed, "a").stored()).toEqual(["a", "a", "a"]);
  expect(await again.get(Other, "a").stored()).toEqual(["a", "a", undefined]);
});
