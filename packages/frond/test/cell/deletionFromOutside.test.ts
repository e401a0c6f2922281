// Deletion by the operator: of cells that are open, that sleep, in which verbs run, of a running node and of a directory.

import { expect, test } from "vitest";
import { Cell } from "../../src/cell/cell.ts";
import { openOffline } from "../../src/server/openNode.ts";
import { afterKill, codeOf, commitsIn, isSettled, openCells, openIn, reopen, SlowDisk, turns } from "./nodes.ts";

const turn = () => new Promise<void>((resolve) => setImmediate(resolve));

class Notes extends Cell {
  static override migrations = [
    `CREATE TABLE note (v TEXT NOT NULL) STRICT; INSERT INTO note VALUES ('welcome');
     CREATE TRIGGER keep BEFORE DELETE ON note BEGIN SELECT RAISE(ABORT, 'never'); END;
     CREATE VIRTUAL TABLE found USING fts5(v)`,
  ];
  visits = 0;
  put(v: string) {
    this.visits += 1;
    this.sql`INSERT INTO note VALUES (${v})`;
    this.ctx.storage.kv.put("last", v);
  }
  all() {
    return this.sql.all<{ v: string }>`SELECT v FROM note ORDER BY rowid`.map((row) => row.v);
  }
  seen() {
    return this.visits;
  }
  async slowly(v: string) {
    for (let i = 0; i < 5; i++) await turn();
    this.put(v);
  }
}

const cells = { notes: Notes };

async function notes(options = {}) {
  const opened = await openCells(cells, options);
  return { ...opened, a: opened.get(Notes, "a") };
}

test("the operator deletes a cell: its instance is given up, and the name begins anew", async () => {
  const { a, ...opened } = await notes();
  await a.put("x");
  await opened.node.control.delete("notes/a");
  expect(opened.node.control.cells(undefined, 10)).toEqual([]);
  expect(opened.node.control.status().cells).toBe(0);
  expect(await a.seen()).toBe(0);
  expect(await a.all()).toEqual(["welcome"]);
  expect(await codeOf(opened.node.control.delete("notes/a"))).toBe("CELL_MISSING");
  expect(await codeOf(opened.node.control.delete("notes/none"))).toBe("CELL_MISSING");
  expect(await codeOf(opened.node.control.delete("none/a"))).toBe("UNKNOWN_KIND");
  await a.put("new");
  await opened.node.commitLog.flushed();
  for (const options of [{}, { boot: "another boot" }]) {
    expect(await (await afterKill(opened, cells, options)).get(Notes, "a").all()).toEqual(["welcome", "new"]);
  }
});

test("a verb that runs in a deleted cell ends with ABORTED; calls that wait find the cell anew", async () => {
  const { a, node } = await notes();
  await a.put("x");
  const running = codeOf(a.slowly("never"));
  const deletion = node.control.delete("notes/a");
  const waiting = a.all();
  await deletion;
  expect(await running).toBe("ABORTED");
  expect(await waiting).toEqual(["welcome"]);
  expect(node.ledger.count()).toBe(0);
});

test("a sleeping cell is deleted as well", async () => {
  const opened = await notes();
  await opened.a.put("x");
  await opened.get(Notes, "b").put("stays");
  const again = await reopen(opened, cells);
  expect(again.node.host.openCells).toBe(0);
  await again.node.control.delete("notes/a");
  const third = await reopen(again, cells);
  expect(third.node.control.cells(undefined, 10).map(({ address }) => address)).toEqual(["notes/b"]);
  expect(await third.get(Notes, "a").all()).toEqual(["welcome"]);
});

test("a deletion is told when it is durable, and has not happened before", async () => {
  const disk = new SlowDisk();
  const { a, ...opened } = await notes({ io: disk });
  await a.put("x");
  await opened.node.commitLog.flushed();
  disk.hold();
  // Two batches are on their way, so the tombstone is in memory.
  for (const name of ["p", "q"]) {
    await opened.get(Notes, name).put("x");
    await turns();
  }
  const deletion = opened.node.control.delete("notes/a");
  expect(await isSettled(deletion)).toBe(false);
  const killed = await afterKill(opened, cells);
  expect(await killed.get(Notes, "a").all()).toEqual(["welcome", "x"]);
  disk.release();
  await deletion;
  expect(await (await afterKill(opened, cells)).get(Notes, "a").all()).toEqual(["welcome"]);
});

test("a cell is deleted in a directory that no node serves, without its class", async () => {
  const { a, ...opened } = await notes();
  await a.put("x");
  await opened.get(Notes, "b").put("stays");
  await opened.node.stop();
  const offline = await openOffline({ dataDirectory: opened.directory });
  await offline.delete("notes/a");
  expect(await codeOf(offline.delete("notes/a"))).toBe("CELL_MISSING");
  expect(offline.status().cells).toBe(1);
  await offline.close();
  const again = await openIn(opened.directory, cells);
  expect(await again.get(Notes, "a").all()).toEqual(["welcome"]);
  await again.get(Notes, "a").put("new");
  await again.node.commitLog.flushed();
  expect(commitsIn(opened.directory, "notes/a").map(({ txid }) => txid)).toEqual([1, 2, 3]);
});
