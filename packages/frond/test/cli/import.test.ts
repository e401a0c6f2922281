// `frond import` as its users meet it: beside a running node and without one.

import { writeFileSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";
import { expect, test } from "vitest";
import { Folder, frond, Running } from "./command.ts";

test("a file becomes a cell, on a running node and in a directory; one that exists is replaced only with --replace", async () => {
  const folder = new Folder();
  const run = (...args: string[]) => frond(folder, args);
  const node = new Running(folder, ["start", "app.ts", "--listen", "0"]);
  const url = await node.ready();
  for (const n of ["1", "2"]) expect(await (await fetch(`${url}/a`)).text()).toBe(n);
  expect((await run("export", "counter/a", "a.db")).code).toBe(0);
  await (await fetch(`${url}/a`)).text();

  const made = await run("import", "a.db", "counter/b");
  expect([made.code, made.out]).toEqual([0, `counter/b holds ${folder.at("a.db")} now (3.0 KiB)\n`]);
  expect(await (await fetch(`${url}/b`)).text()).toBe("3");
  const refused = await run("import", "a.db", "counter/a");
  expect([refused.code, refused.out]).toEqual([1, ""]);
  expect(refused.err).toMatch(/^error CELL_EXISTS: .*counter\/a.*--replace/m);
  const replaced = await run("import", "a.db", "counter/a", "--replace");
  expect(replaced.out).toMatch(/counter\/a holds .* now[^]*what it held is at \d+-\d+: frond restore counter\/a --at /);
  expect(await (await fetch(`${url}/a`)).text()).toBe("3");
  expect(await node.stop()).toBe(0);

  const still = await run("import", "a.db", "counter/c", "--json");
  expect(JSON.parse(still.out)).toEqual({
    address: "counter/c",
    file: folder.at("a.db"),
    epoch: expect.any(Number),
    txid: expect.any(Number),
    bytes: 3072,
    files: 0,
    missingFiles: 0,
  });
  expect((await run("sql", "counter/c", "SELECT sum(n) AS sum FROM entry")).out).toMatch(/^sum\n +2\n$/);
  folder.remove();
});

test("what cannot be taken is refused before anything is read, with what to do", async () => {
  const folder = new Folder();
  const data = ["--data", folder.at("data")];
  const run = (...args: string[]) => frond(folder, ["import", ...args, ...data]);
  expect((await run("none.db", "counter/a")).err).toMatch(/^error BAD_OPTION: there is no file .*none\.db/);
  expect((await run(".", "counter/a")).err).toMatch(/^error BAD_OPTION: .* is not a file/);
  expect((await run("app.ts", "counter")).err).toMatch(/^error BAD_ADDRESS/);
  const db = new DatabaseSync(folder.at("live.db"));
  db.exec("PRAGMA journal_mode = WAL; CREATE TABLE t (v); INSERT INTO t VALUES (1)");
  const journaled = await run("live.db", "counter/a");
  db.close();
  expect([journaled.code, journaled.err]).toEqual([
    1,
    expect.stringMatching(
      /^error BAD_CONTENT: .*live\.db-wal holds a part of the database.*wal_checkpoint\(TRUNCATE\)/,
    ),
  ]);
  writeFileSync(folder.at("live.db-wal"), "");
  expect((await run("live.db", "counter/a")).err).toMatch(/^error NO_DATA/);
  folder.remove();
});
