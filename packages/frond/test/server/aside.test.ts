// Large cells whose migrations and vacuum are done by a process of their own: the same outcome as for small ones, while others run on.

import fs from "node:fs";
import path from "node:path";
import { expect, test } from "vitest";
import { Cell } from "../../src/cell/cell.ts";
import type { CellSocket } from "../../src/cell/socket.ts";
import { ASIDE_CELL_BYTES, MAX_COMMIT_BYTES } from "../../src/limits.ts";
import {
  afterKill,
  cellFiles,
  codeOf,
  commitsIn,
  failureOf,
  isSettled,
  openCells,
  type Opened,
  openIn,
  reopen,
  SlowDisk,
  turns,
} from "../cell/nodes.ts";
import { join, openRooms } from "../cell/rooms.ts";

const TABLE = "CREATE TABLE thing (id INTEGER PRIMARY KEY, bytes BLOB NOT NULL) STRICT";
const COLUMN = "ALTER TABLE thing ADD COLUMN note TEXT DEFAULT 'new'";
/** Takes a moment, whatever it is run on. */
const SLOW = `CREATE TABLE slow (n INTEGER) STRICT; INSERT INTO slow
  WITH RECURSIVE c (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 1000000) SELECT count(*) FROM c`;
const ENDLESS = `CREATE TABLE slow (n INTEGER) STRICT; INSERT INTO slow
  WITH RECURSIVE c (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c) SELECT count(*) FROM c`;
const PART = 4 * 1024 * 1024;
const LATER = Date.UTC(2999, 0, 1);

/** A large cell takes its time on a busy machine. */
const OPTIONS = { timeout: 60_000 };
/** What verbs wait for. */
const waiting = new Set<string>();

class Store extends Cell {
  override fetch(request: Request): Response {
    return this.accept(request);
  }
  override webSocketMessage(socket: CellSocket): void {
    socket.send(String(this.sums().length));
  }
  static override pageSize = 4096;
  #asked = 0;
  /** How often this instance was asked. */
  asked() {
    return ++this.#asked;
  }
  put(bytes: number) {
    this.sql`INSERT INTO thing (bytes) VALUES (randomblob(${bytes}))`;
  }
  sums() {
    return this.sql.all<{ id: number; n: number }>`SELECT id, length(bytes) AS n FROM thing ORDER BY id`;
  }
  columns() {
    return this.sql.all<{ name: string }>`SELECT name FROM pragma_table_info('thing')`.map(({ name }) => name);
  }
  later() {
    return this.schedule(new Date(LATER), "put", 1);
  }
  soon() {
    return this.schedule(new Date(1), "put", 1);
  }
  drop(from: number) {
    this.sql`DELETE FROM thing WHERE id >= ${from}`;
  }
  shrink() {
    this.vacuum();
  }
  writeAndShrink() {
    this.put(1);
    this.vacuum();
  }
  async hold(what: string) {
    while (waiting.has(what)) await turns(1);
    return this.sums().length;
  }
}

function version(...migrations: string[]): typeof Store {
  return class extends Store {
    static override migrations = migrations;
  };
}

const One = version(TABLE);
const Two = version(TABLE, COLUMN);

/** A node with a cell `a` of so many parts, and a small cell `b`. */
async function withParts(count: number): Promise<Opened> {
  const opened = await openCells({ store: One });
  for (let i = 0; i < count; i++) await opened.get(One, "a").put(PART);
  await opened.get(One, "b").put(1);
  return opened;
}

const LARGE_PARTS = ASIDE_CELL_BYTES / PART + 1;

function entryOf({ node }: Opened, name = "a") {
  const entry = node.ledger.find(`store/${name}` as never);
  if (entry === undefined) throw new Error(`there is no ${name}`);
  return { epoch: entry.epoch, txid: entry.txid, bytes: entry.pageCount * entry.pageSize };
}

function leftOver({ directory }: Opened): string[] {
  return fs.readdirSync(path.join(directory, "tmp"));
}

test(
  "a large cell is migrated while others run on and its calls wait; what differs is one small commit",
  OPTIONS,
  async () => {
    const first = await withParts(LARGE_PARTS);
    await first.node.commitLog.flushed();
    const before = commitsIn(first.directory, "store/a").length;
    const Slow = version(TABLE, COLUMN, SLOW);
    const opened = await reopen(first, { store: Slow });
    const waits = [opened.get(Slow, "a").columns(), opened.get(Slow, "a").sums()];
    const migrated = { over: false };
    void Promise.all(waits).then(() => (migrated.over = true));
    let answered = 0;
    // It was migrated as a small one, here: that takes its time before the answer, not between two.
    await opened.get(Slow, "b").sums();
    while (!migrated.over) {
      await opened.get(Slow, "b").sums();
      answered += 1;
      await turns(1);
    }
    expect(answered).toBeGreaterThan(3);
    expect(await waits[0]).toEqual(["id", "bytes", "note"]);
    expect(await waits[1]).toHaveLength(LARGE_PARTS);
    await opened.get(Slow, "a").put(7);
    await opened.node.commitLog.flushed();
    const commits = commitsIn(opened.directory, "store/a").slice(before);
    expect(commits).toHaveLength(2);
    expect(commits[0]?.cells[0]?.pages.count).toBeLessThan(30);
    expect(commits[0]?.changes).toEqual([]);
    expect(leftOver(opened)).toEqual([]);
    for (const options of [{}, { boot: "another boot" }]) {
      const again = await afterKill(opened, { store: Slow }, options);
      expect(await again.get(Slow, "a").sums()).toHaveLength(LARGE_PARTS + 1);
      expect(await again.get(Slow, "a").columns()).toEqual(["id", "bytes", "note"]);
    }
  },
);

test("migrations of a large cell fail as those of a small one do, and leave it as it was", OPTIONS, async () => {
  const first = await withParts(LARGE_PARTS);
  await first.get(One, "a").later();
  const at = entryOf(first);
  await first.node.stop();
  const FK = `CREATE TABLE parent (id INTEGER PRIMARY KEY) STRICT;
    CREATE TABLE child (id INTEGER REFERENCES parent DEFERRABLE INITIALLY DEFERRED) STRICT; INSERT INTO child VALUES (1)`;
  const versions: [typeof Store, string][] = [
    [version(TABLE, COLUMN, "INSERT INTO nowhere VALUES (1)"), "MIGRATION_FAILED"],
    [version(TABLE, "UPDATE thing SET bytes = x'00'; COMMIT"), "MIGRATION_FAILED"],
    [version(TABLE, "INSERT OR ROLLBACK INTO thing VALUES (1, x'00')"), "MIGRATION_FAILED"],
    [version(TABLE, "UPDATE _frond_migration SET n = 7"), "MIGRATION_FAILED"],
    [version(TABLE, FK), "SQL_CONSTRAINT"],
    [version(`${TABLE} `, COLUMN, "this is not SQL"), "MIGRATION_FAILED"],
    [version(TABLE.replace("thing", "another"), COLUMN), "MIGRATION_DRIFT"],
    [version(), "SCHEMA_NEWER"],
  ];
  for (const [Version, code] of versions) {
    const opened = await openIn(first.directory, { store: Version });
    const failure = await failureOf(opened.get(Version, "a").sums());
    expect(failure).toMatchObject({ code, remote: false });
    const small = await failureOf(opened.get(Version, "b").sums());
    expect(failure.message).toBe(small.message.replaceAll("store/b", "store/a"));
    // Told again, at once.
    expect((await failureOf(opened.get(Version, "a").sums())).message).toBe(failure.message);
    expect(entryOf(opened)).toEqual(at);
    expect(leftOver(opened)).toEqual([]);
    await opened.node.stop();
  }
  const again = await openIn(first.directory, { store: One });
  expect(await again.get(One, "a").sums()).toHaveLength(LARGE_PARTS);
  expect(again.node.control.alarms(undefined, 10, false)).toHaveLength(1);
});

test(
  "a stop does not wait for the migrations of a large cell; who waits for them is told, and the cell is as it was",
  OPTIONS,
  async () => {
    const first = await withParts(LARGE_PARTS);
    const at = entryOf(first);
    const Endless = version(TABLE, ENDLESS);
    const opened = await reopen(first, { store: Endless });
    const waits = [codeOf(opened.get(Endless, "a").sums()), codeOf(opened.get(Endless, "a").put(1))];
    while (copyIn(opened) === undefined) await turns(1);
    await opened.node.stop();
    expect(await Promise.all(waits)).toEqual(["STOPPING", "STOPPING"]);
    const again = await openIn(opened.directory, { store: Two });
    expect(entryOf(again)).toEqual(at);
    expect(await again.get(Two, "a").columns()).toEqual(["id", "bytes", "note"]);
  },
);

/** The file on which a process works. */
function copyIn(opened: Opened, suffix = ".db-wal"): string | undefined {
  return leftOver(opened).find((name) => name.startsWith("aside-") && name.endsWith(suffix));
}

test("an alarm that is due waits for the migrations of a large cell, and runs then", OPTIONS, async () => {
  const first = await withParts(LARGE_PARTS);
  await first.get(One, "a").soon();
  const Slow = version(TABLE, SLOW);
  const opened = await reopen(first, { store: Slow });
  expect(await opened.node.alarms.runDue()).toBe(1);
  expect(await opened.get(Slow, "a").sums()).toHaveLength(LARGE_PARTS + 1);
  expect(await opened.get(Slow, "a").columns()).toEqual(["id", "bytes"]);
});

test(
  "until its record is in the log a large cell holds what it held, whatever becomes of the process",
  OPTIONS,
  async () => {
    const first = await withParts(LARGE_PARTS);
    await first.node.stop();
    const disk = new SlowDisk();
    const opened = await openIn(first.directory, { store: Two }, { io: disk });
    const migrated = opened.get(Two, "a").columns();
    while (copyIn(opened) === undefined) await turns(1);
    disk.hold();
    // Two batches are on their way, so the record is in memory.
    for (const name of ["p", "q"]) {
      await opened.get(Two, name).put(1);
      await turns();
    }
    const there = (): boolean => cellFiles(opened.directory).some((name) => name.endsWith("2fa.db"));
    while (there()) await turns(1);
    expect(await isSettled(migrated)).toBe(false);
    expect(there()).toBe(false);
    const killed = await afterKill(opened, { store: One });
    expect(await killed.get(One, "a").columns()).toEqual(["id", "bytes"]);
    expect(await killed.get(One, "a").sums()).toHaveLength(LARGE_PARTS);
    disk.release();
    expect(await migrated).toEqual(["id", "bytes", "note"]);
    expect(there()).toBe(true);
  },
);

test("sockets of a large cell stay open over its vacuum, and their messages wait", OPTIONS, async () => {
  const opened = await openRooms({ store: One });
  const a = opened.get(One, "a");
  for (let i = 0; i < LARGE_PARTS; i++) await a.put(PART);
  const client = await join(opened, "/store/a");
  const at = entryOf(opened);
  await a.drop(3);
  await a.shrink();
  while (copyIn(opened, ".db") === undefined) await new Promise((resolve) => setTimeout(resolve, 1));
  client.ws.send("how many");
  expect(await client.got(1)).toEqual(["2"]);
  expect(entryOf(opened).txid).toBe(at.txid + 2);
});

test("a deletion waits for the migrations of a large cell", OPTIONS, async () => {
  const first = await withParts(LARGE_PARTS);
  const Slow = version(TABLE, SLOW);
  const opened = await reopen(first, { store: Slow });
  const { control } = opened.node;
  const order: string[] = [];
  const sums = opened
    .get(Slow, "a")
    .sums()
    .then((rows) => order.push(`${rows.length} rows`));
  while (copyIn(opened) === undefined) await turns(1);
  const deleted = control.delete("store/a").then(() => order.push("deleted"));
  await Promise.all([sums, deleted]);
  expect(order).toEqual([`${LARGE_PARTS} rows`, "deleted"]);
  expect(control.cells(undefined, 10).map(({ address }) => address)).toEqual(["store/b"]);
});

test("without a bucket, migrations that change more than a commit holds are refused", OPTIONS, async () => {
  const first = await withParts(MAX_COMMIT_BYTES / PART + 1);
  const at = entryOf(first);
  const Much = version(TABLE, "UPDATE thing SET bytes = randomblob(length(bytes))");
  const opened = await reopen(first, { store: Much });
  expect(await codeOf(opened.get(Much, "a").sums())).toBe("RECORD_TOO_LARGE");
  expect(entryOf(opened)).toEqual(at);
  const again = await reopen(opened, { store: One });
  expect(await again.get(One, "a").sums()).toHaveLength(MAX_COMMIT_BYTES / PART + 1);
  expect(await codeOf(again.get(One, "a").shrink())).toBe("RECORD_TOO_LARGE");
});

test(
  "the vacuum of a large cell begins when nothing runs in it any more, and calls wait for its end",
  OPTIONS,
  async () => {
    const opened = await withParts(LARGE_PARTS + 1);
    const a = opened.get(One, "a");
    await a.later();
    await a.drop(3);
    const at = entryOf(opened);
    expect(await codeOf(a.writeAndShrink())).toBe("TX_ABORTED");
    waiting.add("vacuum");
    const held = a.hold("vacuum");
    await a.shrink();
    await a.shrink();
    for (let i = 0; i < 5; i++) {
      await new Promise((resolve) => setTimeout(resolve, 20));
      expect(await a.sums()).toHaveLength(2);
    }
    expect(entryOf(opened)).toEqual(at);
    waiting.clear();
    expect(await held).toBe(2);
    expect(await a.asked()).toBe(1);
    while (entryOf(opened).txid === at.txid) await new Promise((resolve) => setTimeout(resolve, 5));
    expect(await a.asked()).toBe(1);
    expect(await a.sums()).toHaveLength(2);
    const after = entryOf(opened);
    expect(after.txid).toBe(at.txid + 1);
    expect(after.bytes).toBeLessThan(3 * PART);
    const file = cellFiles(opened.directory).find((name) => name.endsWith("a.db"));
    expect(fs.statSync(path.join(opened.directory, "cells", file ?? "")).size).toBe(after.bytes);
    expect(await a.later()).toBe(2);
    await opened.node.commitLog.flushed();
    for (const options of [{}, { boot: "another boot" }]) {
      const again = await afterKill(opened, { store: One }, options);
      expect(await again.get(One, "a").sums()).toHaveLength(2);
      expect(again.node.control.alarms(undefined, 10, false)).toHaveLength(1);
    }
  },
);
