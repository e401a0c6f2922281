// Deletion by the operator: of cells that are open, that sleep, in which verbs run, of a running node and of a directory.

import { expect, test } from "vitest";
import { Cell } from "../../src/cell/cell.ts";
import type { CellContext } from "../../src/cell/context.ts";
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

test("a cell that does not open is deleted all the same, and none of its code runs", async () => {
  class Closed extends Notes {
    static opened = 0;
    constructor(ctx: CellContext) {
      super(ctx);
      Closed.opened += 1;
      throw new Error("never opens");
    }
  }
  class Drifted extends Notes {
    static override migrations = ["CREATE TABLE other (v TEXT) STRICT"];
  }
  for (const [type, code] of [
    [Closed, "ACTIVATION_FAILED"],
    [Drifted, "MIGRATION_DRIFT"],
  ] as const) {
    const { a, ...opened } = await notes();
    await a.put("x");
    const broken = await reopen(opened, { notes: type });
    expect(await codeOf(broken.get(type, "a").all())).toBe(code);
    const before = Closed.opened;
    // One of several finds it there.
    const deletions = await Promise.allSettled(
      ["a", "a", "a"].map((name) => broken.node.control.delete(`notes/${name}`)),
    );
    expect(deletions.map(({ status }) => status).toSorted()).toEqual(["fulfilled", "rejected", "rejected"]);
    expect(Closed.opened).toBe(before);
    expect(broken.node.host.openCells).toBe(0);
    expect(await codeOf(broken.node.control.delete("notes/a"))).toBe("CELL_MISSING");
    expect(broken.node.host.openCells).toBe(0);
    const again = await reopen(broken, cells);
    expect(await again.get(Notes, "a").all()).toEqual(["welcome"]);
  }
});

test("a deletion that waits behind calls is one of the instance that they open", async () => {
  const { a, node, ...opened } = await notes();
  await a.put("x");
  await node.host.deactivate("notes/a" as never);
  const disk = new SlowDisk();
  await node.stop();
  const slow = await openIn(opened.directory, cells, { io: disk, maxOpenCells: 1, mostOpenCells: 4 });
  disk.hold();
  // Its room is not free before the log is written, so that calls of the other cell wait.
  await slow.get(Notes, "b").put("y");
  const calls = [slow.get(Notes, "a").put("z"), slow.node.control.delete("notes/a"), slow.get(Notes, "a").all()];
  await turns(20);
  disk.release();
  await Promise.all(calls);
  expect(await calls[2]).toEqual(["welcome"]);
});
