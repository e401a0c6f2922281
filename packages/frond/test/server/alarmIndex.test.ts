// The index of alarms: what the catalog and the rows not yet written say together, catalogs of the first format, and a node
// with far more overdue alarms than it holds in memory or may start at once.

import fs from "node:fs";
import path from "node:path";
import { DatabaseSync } from "node:sqlite";
import { describe, expect, test } from "vitest";
import { Cell } from "../../src/cell/cell.ts";
import { FakeClock } from "../../src/clock.ts";
import type { Armed } from "../../src/core/alarm.ts";
import { ALARM_STARTS_PER_SECOND, ALARM_WINDOW } from "../../src/limits.ts";
import { Catalog } from "../../src/store/catalog.ts";
import type { Address } from "../../src/types.ts";
import { openCells, openIn, temporaryDirectory, turns } from "../cell/nodes.ts";

const START = Date.UTC(2026, 0, 1);

class Bell extends Cell {
  static rung = 0;
  set(time: number) {
    return this.ctx.storage.setAlarm(time);
  }
  disarm() {
    return this.ctx.storage.deleteAlarm();
  }
  override alarm() {
    Bell.rung += 1;
  }
}

const BEGINNING: Armed = { address: "" as Address, due: 0 };

describe("the alarms of all cells", () => {
  test("are listed in the order of their times, written to the catalog or not, page by page", async () => {
    const { node, get } = await openCells({ bell: Bell });
    const set = async (name: string, time: number): Promise<void> => get(Bell, name).set(START + time);
    for (let i = 0; i < 12; i++) await set(`c${i}`, 1_000 - 10 * (i % 5));
    await node.ledger.flush();
    // Moved, cleared, and set anew since the catalog was written.
    await set("c3", 5);
    await set("c4", 2_000);
    await get(Bell, "c5").disarm();
    await set("new", 965);
    const expected = new Map<string, number>();
    for (let i = 0; i < 12; i++) if (i !== 5) expected.set(`bell/c${i}`, 1_000 - 10 * (i % 5));
    expected.set("bell/c3", 5).set("bell/c4", 2_000).set("bell/new", 965);
    const inOrder = [...expected].sort(([a, x], [b, y]) => x - y || (a < b ? -1 : 1));
    const wanted = inOrder.map(([address, time]) => ({ address, due: START + time }));
    for (const limit of [1, 2, 3, 7, 12, 13, 100]) {
      const found: Armed[] = [];
      let after = BEGINNING;
      for (;;) {
        const page = node.ledger.alarms(after, limit);
        expect(page.list.length).toBeLessThanOrEqual(limit);
        found.push(...page.list);
        if (page.complete) break;
        after = page.through;
      }
      expect(found.map((one) => ({ ...one }))).toEqual(wanted);
    }
  });

  test.each([1, 2])("a catalog of format %i is brought to the present one, and knows of no alarms", (format) => {
    const file = path.join(temporaryDirectory(), "catalog.db");
    const db = new DatabaseSync(file);
    db.exec(`
      CREATE TABLE meta (key TEXT PRIMARY KEY, value ANY) STRICT, WITHOUT ROWID;
      CREATE TABLE run (run INTEGER PRIMARY KEY, id TEXT NOT NULL, boot TEXT NOT NULL, started INTEGER NOT NULL,
        ended TEXT, synced INTEGER NOT NULL) STRICT;
      CREATE TABLE slot (slot INTEGER PRIMARY KEY, epoch INTEGER NOT NULL, txid INTEGER NOT NULL) STRICT;
      CREATE TABLE cell (
        address TEXT PRIMARY KEY, slot INTEGER NOT NULL, epoch INTEGER NOT NULL, txid INTEGER NOT NULL,
        created INTEGER NOT NULL, changed INTEGER NOT NULL, page_size INTEGER NOT NULL, page_count INTEGER NOT NULL,
        place INTEGER NOT NULL, wal_salt1 INTEGER NOT NULL, wal_salt2 INTEGER NOT NULL, wal_end INTEGER NOT NULL,
        file_run INTEGER NOT NULL, deleted INTEGER NOT NULL
      ) STRICT, WITHOUT ROWID;
      INSERT INTO cell VALUES ('bell/a', 1, 1, 1, 5, 6, 1024, 2, 4294967400, 1, 2, 3, 1, 0);
      PRAGMA user_version = ${format};`);
    if (format > 1) db.exec("ALTER TABLE cell ADD COLUMN alarm INTEGER NOT NULL DEFAULT 0");
    if (format > 1) db.exec("ALTER TABLE cell ADD COLUMN failed_alarms INTEGER NOT NULL DEFAULT 0");
    db.close();
    for (let opening = 0; opening < 2; opening++) {
      const catalog = new Catalog(file);
      const entry = catalog.find("bell/a" as Address);
      expect(entry).toMatchObject({
        txid: 1,
        pageCount: 2,
        alarm: opening * 77,
        failedAlarms: opening * 3,
        lastId: opening * 9,
      });
      if (entry !== undefined) catalog.put({ ...entry, alarm: 77, failedAlarms: 3, lastId: 9 });
      expect(catalog.alarms(BEGINNING, 5).map((one) => ({ ...one }))).toEqual([{ address: "bell/a", due: 77 }]);
      expect(catalog.countFailedAlarms()).toBe(3);
      catalog.close();
    }
  });

  test("come back from the log when the catalog is gone", async () => {
    const opened = await openCells({ bell: Bell });
    await opened.get(Bell, "a").set(START + 5);
    await opened.get(Bell, "b").set(START + 6);
    await opened.get(Bell, "b").disarm();
    await opened.node.stop();
    fs.rmSync(path.join(opened.directory, "catalog.db"));
    const { node } = await openIn(opened.directory, { bell: Bell });
    expect(node.ledger.alarms(BEGINNING, 5).list.map((one) => ({ ...one }))).toEqual([
      { address: "bell/a", due: START + 5 },
    ]);
  });
});

describe("more overdue alarms than are held in memory", () => {
  test("fire at a bounded rate after the start, and few of them are held in memory", { timeout: 180_000 }, async () => {
    const COUNT = ALARM_WINDOW + 400;
    const opened = await openCells({ bell: Bell }, { durability: "memory" });
    for (let i = 0; i < COUNT; i += 500) {
      const numbers = Array.from({ length: Math.min(500, COUNT - i) }, (_, n) => i + n);
      await Promise.all(numbers.map((n) => opened.get(Bell, `c${n}`).set(START - 1 - (n % 100))));
    }
    await opened.node.stop();
    Bell.rung = 0;
    const clock = new FakeClock(START);
    const { node, lines } = await openIn(opened.directory, { bell: Bell }, { clock, durability: "memory" });
    await node.startServices();
    const perSecond: number[] = [];
    while (Bell.rung < COUNT && perSecond.length < 100) {
      const before = Bell.rung;
      for (let i = 0; i < 100; i++) {
        clock.advance(10);
        await turns(1);
        await node.alarms.settled();
      }
      perSecond.push(Bell.rung - before);
      expect(node.alarms.held).toBeLessThanOrEqual(ALARM_WINDOW + 100);
    }
    // What the bucket of tokens holds at its start comes on top, once.
    expect(Math.max(...perSecond)).toBeLessThanOrEqual(ALARM_STARTS_PER_SECOND * 1.1);
    expect(Bell.rung).toBe(COUNT);
    expect(node.ledger.alarms(BEGINNING, 5).list).toEqual([]);
    expect(lines).toEqual([]);
  });
});
