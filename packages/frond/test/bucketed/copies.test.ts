// Disks that were copied, or set back to an earlier state: what the bucket says is true, whatever stands on them.

import fs from "node:fs";
import path from "node:path";
import { DatabaseSync } from "node:sqlite";
import { expect, test } from "vitest";
import { slotOf } from "../../src/address.ts";
import { Cell } from "../../src/cell/cell.ts";
import type { Address } from "../../src/types.ts";
import { failureOf, openIn, temporaryDirectory } from "../cell/nodes.ts";

class Note extends Cell {
  static override migrations = ["CREATE TABLE line (id INTEGER PRIMARY KEY, text TEXT NOT NULL) STRICT"];
  add(text: string): number {
    return this.sql.one<{ id: number }>`INSERT INTO line (text) VALUES (${text}) RETURNING id`.id;
  }
  all(): string[] {
    return this.sql.all<{ text: string }>`SELECT text FROM line ORDER BY id`.map(({ text }) => text);
  }
}

const cells = { note: Note };
const TTL = 3000;

test("a disk that is set back to a run that had opened its slots and written nothing yet finds what that run wrote later", async () => {
  const bucket = { url: `dir:${path.join(temporaryDirectory(), "bucket")}` };
  const first = await openIn(temporaryDirectory(), cells, { bucket, ttlMs: TTL });
  await first.get(Note, "a").add("first");
  await first.node.stop();

  const second = await openIn(first.directory, cells, { bucket, ttlMs: TTL });
  expect(await second.get(Note, "a").all()).toEqual(["first"]);
  expect(second.node.keeper?.isOpen(slotOf("note/a" as Address))).toBe(true);
  const disk = temporaryDirectory();
  fs.cpSync(first.directory, disk, { recursive: true, filter: (file) => !path.basename(file).startsWith("lock.") });
  await second.get(Note, "a").add("second");
  await second.node.stop();

  const back = await openIn(disk, cells, { bucket, ttlMs: TTL });
  expect(await back.get(Note, "a").all()).toEqual(["first", "second"]);
  expect(await back.get(Note, "a").add("third")).toBe(3);
  await back.node.stop();
  const empty = await openIn(temporaryDirectory(), cells, { bucket, ttlMs: TTL });
  expect(await empty.get(Note, "a").all()).toEqual(["first", "second", "third"]);
});

test("a slot that was taken in the bucket and could not be written down here is read there when it is asked for again", async () => {
  const bucket = { url: `dir:${path.join(temporaryDirectory(), "bucket")}` };
  const first = await openIn(temporaryDirectory(), cells, { bucket, ttlMs: TTL });
  await first.get(Note, "a").add("first");
  await first.node.stop();
  // As a scan of a log leaves it of which the older files are gone: where the slot stands is known, and not which cells there are.
  const catalog = new DatabaseSync(path.join(first.directory, "catalog.db"));
  catalog.exec("DELETE FROM cell; UPDATE slot SET opened = 0; UPDATE meta SET value = 1000 WHERE key = 'covered'");
  catalog.close();

  const { node, get } = await openIn(first.directory, cells, { bucket, ttlMs: TTL });
  const batch = node.catalog.batch.bind(node.catalog);
  node.catalog.batch = () => {
    node.catalog.batch = batch;
    throw new Error("no space");
  };
  await expect(get(Note, "a").all()).rejects.toThrow("no space");
  expect(await get(Note, "a").all()).toEqual(["first"]);
});

/** A copy of a folder, and how it takes the folder's place. */
function copyOf(folder: string): () => void {
  const copy = temporaryDirectory();
  fs.cpSync(folder, copy, { recursive: true });
  return () => {
    fs.rmSync(folder, { recursive: true });
    fs.cpSync(copy, folder, { recursive: true });
  };
}

test("a disk that is ahead of a bucket that was set back is refused, and says what can be done", async () => {
  const folder = path.join(temporaryDirectory(), "bucket");
  const bucket = { url: `dir:${folder}` };
  const first = await openIn(temporaryDirectory(), cells, { bucket, ttlMs: TTL });
  await first.get(Note, "a").add("first");
  const setBackToRun = copyOf(folder);
  await first.get(Note, "a").add("second");
  await first.node.stop();
  const setBackToStop = copyOf(folder);
  const second = await openIn(first.directory, cells, { bucket, ttlMs: TTL });
  await second.get(Note, "a").add("third");
  const killed = temporaryDirectory();
  fs.cpSync(first.directory, killed, {
    recursive: true,
    filter: (file) => !path.basename(file).startsWith("lock."),
  });
  await second.node.stop();

  for (const disk of [first.directory, killed]) {
    for (const setBack of [setBackToStop, setBackToRun]) {
      setBack();
      const refused = await failureOf(openIn(disk, cells, { bucket, ttlMs: TTL }));
      expect(refused).toMatchObject({ code: "DATA_FOREIGN" });
      expect(refused.message).toMatch(/earlier state.*another --data/);
    }
  }
  const other = await openIn(temporaryDirectory(), cells, { bucket, ttlMs: TTL });
  expect((await other.get(Note, "a").all()).length).toBeLessThan(3);
});
