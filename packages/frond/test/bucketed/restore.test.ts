// Going back: what a cell was at any of its commits, out of the bucket, over runs, deletions and packs.

import fs from "node:fs";
import path from "node:path";
import { DatabaseSync } from "node:sqlite";
import { expect, test } from "vitest";
import { Cell } from "../../src/cell/cell.ts";
import { MAX_COMMIT_BYTES } from "../../src/limits.ts";
import type { CellCommit, Moment } from "../../src/server/operator/nodeControl.ts";
import { openOffline } from "../../src/server/openNode.ts";
import { codeOf, type Opened, openIn, temporaryDirectory } from "../cell/nodes.ts";

const LATER = Date.UTC(2999, 0, 1);
const TTL = 3_000;
/** What verbs wait for. */
const waiting = new Set<string>();

class Book extends Cell {
  static override migrations = ["CREATE TABLE IF NOT EXISTS line (id INTEGER PRIMARY KEY, text TEXT NOT NULL) STRICT"];
  add(text: string) {
    this.sql`INSERT INTO line (text) VALUES (${text})`;
  }
  all() {
    return this.sql.all<{ text: string }>`SELECT text FROM line ORDER BY id`.map(({ text }) => text);
  }
  later(days: number) {
    return this.schedule(new Date(LATER + days * 86_400_000), "add", "alarm");
  }
  async after(wait: string, text: string) {
    while (waiting.has(wait)) await new Promise((resolve) => setImmediate(resolve));
    this.add(text);
  }
}

const cells = { book: Book };

function onNewDisk(bucket: string): Promise<Opened> {
  return openIn(temporaryDirectory(), cells, { bucket: { url: `dir:${bucket}` }, ttlMs: TTL });
}

async function restored({ node }: Opened, at: Moment): Promise<string[]> {
  const file = path.join(temporaryDirectory(), "then.db");
  await node.control.restoreTo("book/a", at, file);
  const db = new DatabaseSync(file, { readOnly: true });
  const rows = db.prepare("SELECT text FROM line ORDER BY id").all() as { text: string }[];
  db.close();
  return rows.map(({ text }) => text);
}

async function tick(after: number): Promise<void> {
  while (Date.now() <= after) await new Promise((resolve) => setTimeout(resolve, 1));
}

const shown = (commits: readonly CellCommit[]) => commits.map(({ epoch, txid, what }) => `${epoch}-${txid} ${what}`);

test("every commit of a cell can be listed and restored: by position, by time, over runs, behind a deletion", async () => {
  const bucket = path.join(temporaryDirectory(), "bucket");
  const first = await onNewDisk(bucket);
  const states: { state: string[] | undefined; ms: number }[] = [];
  const note = async ({ node, get }: Opened) => {
    const exists = node.control.cells(undefined, 9).some(({ address }) => address === "book/a");
    const ms = Date.now();
    states.push({ state: exists ? await get(Book, "a").all() : undefined, ms });
    await tick(ms);
  };
  for (const text of ["1", "2"]) {
    await first.get(Book, "a").add(text);
    await note(first);
  }
  await first.node.stop();
  const second = await onNewDisk(bucket);
  const { control } = second.node;
  await second.get(Book, "a").add("3");
  await note(second);
  await control.delete("book/a");
  await note(second);
  await second.get(Book, "a").add("anew");
  await note(second);

  const commits = await control.history("book/a", { limit: 100 });
  expect(shown(commits)).toEqual(["2-5 created", "2-4 deleted", "2-3 changed", "1-2 changed", "1-1 created"]);
  expect(commits.every(({ bytes, what, pages }) => (what === "deleted" ? pages === 0 : bytes > 0 && pages > 0))).toBe(
    true,
  );
  expect(shown(await control.history("book/a", { limit: 2 }))).toEqual(["2-5 created", "2-4 deleted"]);
  const since = (commits[2] as CellCommit).timeMs;
  expect((await control.history("book/a", { limit: 100, sinceMs: since })).length).toBe(3);
  expect(await control.history("book/a", { limit: 100, sinceMs: Date.now() + 1000 })).toEqual([]);
  expect(await codeOf(control.history("book/none", { limit: 1 }))).toBe("CELL_MISSING");

  for (const [i, { epoch, txid, timeMs }] of commits.toReversed().entries()) {
    const { state, ms } = states[i] as (typeof states)[number];
    for (const at of [{ epoch, txid }, { atMs: timeMs }, { atMs: ms }]) {
      const found = await restored(second, at).catch((error: { code: string }) => error.code);
      expect([at, found]).toEqual([at, state ?? "CELL_MISSING"]);
    }
  }
  expect(await restored(second, { epoch: 1, txid: 99 })).toEqual(["1", "2"]);
  expect(await restored(second, { atMs: LATER })).toEqual(["anew"]);
  expect(await codeOf(restored(second, { atMs: (commits.at(-1) as CellCommit).timeMs - 1 }))).toBe("CELL_MISSING");
});

test("a cell goes back to what it was, alarms included, and can go forward again; a deleted one comes back", async () => {
  const opened = await openIn(temporaryDirectory(), cells, { bucket: "as before", ttlMs: TTL });
  const { control } = opened.node;
  const a = opened.get(Book, "a");
  await a.add("1");
  expect(await a.later(1)).toBe(1);
  await a.add("2");
  expect(await a.later(2)).toBe(2);
  waiting.add("restore");
  const running = codeOf(a.after("restore", "never"));
  const back = await control.restoreInto("book/a", { epoch: 1, txid: 2 });
  waiting.clear();
  expect(back).toMatchObject({ epoch: 1, txid: 2, before: { epoch: 1, txid: 4 }, now: { epoch: 1, txid: 5 } });
  expect(await running).toBe("ABORTED");
  expect(await a.all()).toEqual(["1"]);
  expect(control.alarms(undefined, 10, false)).toMatchObject([{ dueMs: LATER + 86_400_000 }]);
  expect(await a.later(3)).toBe(3);

  const preview = await control.previewRestore("book/a", back.before as Moment);
  expect(preview).toMatchObject({ epoch: 1, txid: 4, tables: [{ table: "line", rows: 2, now: 1 }] });
  await control.restoreInto("book/a", back.before as Moment);
  expect(await a.all()).toEqual(["1", "2"]);
  await control.delete("book/a");
  const gone = await control.previewRestore("book/a", { epoch: 1, txid: 2 });
  expect(gone.tables).toEqual([{ table: "line", rows: 1, now: -1 }]);
  const again = await control.restoreInto("book/a", { epoch: 1, txid: 2 });
  expect(again.before).toBeUndefined();
  expect(await a.all()).toEqual(["1"]);
  expect(shown(await control.history("book/a", { limit: 4 }))).toEqual([
    "1-9 created",
    "1-8 deleted",
    "1-7 replaced",
    "1-6 changed",
  ]);
  await opened.node.stop();
  const offline = await openOffline({ dataDirectory: opened.directory });
  await offline.restoreInto("book/a", { epoch: 1, txid: 7 });
  await offline.close();
  const last = await openIn(opened.directory, cells, { bucket: "as before", ttlMs: TTL });
  expect(await last.get(Book, "a").all()).toEqual(["1", "2"]);
});

test("a content that is larger than a record goes through the bucket, and can be gone back from and to", async () => {
  const bucket = path.join(temporaryDirectory(), "bucket");
  const opened = await onNewDisk(bucket);
  const { control } = opened.node;
  const a = opened.get(Book, "a");
  await a.add("small");
  const file = path.join(temporaryDirectory(), "large.db");
  const db = new DatabaseSync(file);
  db.exec(
    `CREATE TABLE line (id INTEGER PRIMARY KEY, text TEXT NOT NULL); INSERT INTO line (text) VALUES ('large');
     CREATE TABLE b (b BLOB); INSERT INTO b VALUES (randomblob(${MAX_COMMIT_BYTES + 5_000_000}))`,
  );
  db.close();
  const calls: Promise<unknown>[] = [];
  const importing = control.importFrom("book/a", file, true);
  while (fs.readdirSync(path.join(opened.directory, "tmp")).length === 0)
    await new Promise((done) => setImmediate(done));
  calls.push(a.all());
  const imported = await importing;
  expect(imported.bytes).toBeGreaterThan(MAX_COMMIT_BYTES);
  expect([["small"], ["large"]]).toContainEqual(await calls[0]);
  await a.add("more");
  expect(await a.all()).toEqual(["large", "more"]);
  const commits = await control.history("book/a", { limit: 9 });
  expect(shown(commits)).toEqual(["1-4 changed", "1-3 changed", "1-2 replaced", "1-1 created"]);
  expect(await restored(opened, { epoch: 1, txid: 2 })).toEqual(["large"]);
  await control.restoreInto("book/a", { epoch: 1, txid: 1 });
  expect(await a.all()).toEqual(["small"]);
  await control.restoreInto("book/a", { epoch: 1, txid: 4 });
  await a.add("last");
  await opened.node.stop();
  // The same disk has no chain of it, and another one nothing at all.
  fs.rmSync(path.join(opened.directory, "cells"), { recursive: true });
  const again = await openIn(opened.directory, cells, { bucket: "as before", ttlMs: TTL, boot: "another" });
  expect(await again.get(Book, "a").all()).toEqual(["large", "more", "last"]);
  await again.node.stop();
  expect(await (await onNewDisk(bucket)).get(Book, "a").all()).toEqual(["large", "more", "last"]);
});

test("what was restored into a file is whole and plain, and nothing is left where it failed", async () => {
  const opened = await openIn(temporaryDirectory(), cells, { bucket: "as before", ttlMs: TTL });
  const folder = temporaryDirectory();
  await opened.get(Book, "a").add("1");
  await opened.node.control.restoreTo("book/a", { atMs: Date.now() }, path.join(folder, "then.db"));
  expect(fs.readdirSync(folder)).toEqual(["then.db"]);
  // Bytes 18 and 19: neither reader nor writer needs a log beside it.
  expect([...fs.readFileSync(path.join(folder, "then.db")).subarray(18, 20)]).toEqual([1, 1]);
  const none = opened.node.control.restoreTo("book/b", { atMs: Date.now() }, path.join(folder, "none.db"));
  expect(await codeOf(none)).toBe("CELL_MISSING");
  expect(fs.readdirSync(folder)).toEqual(["then.db"]);
  const without = await openIn(temporaryDirectory(), cells);
  await without.get(Book, "a").add("1");
  expect(await codeOf(without.node.control.history("book/a", { limit: 1 }))).toBe("NO_BUCKET");
});
