// A directory and a bucket that have seen many runs: a start asks the bucket no more than after the first, and what nobody needs of
// the runs before is gone behind it.

import { randomBytes } from "node:crypto";
import fs from "node:fs";
import path from "node:path";
import { expect, test } from "vitest";
import { slotOf } from "../../src/address.ts";
import { openDirectoryBucket } from "../../src/bucket/directory.ts";
import { leaseKey, logKey, slotKey } from "../../src/bucket/objectKeys.ts";
import { encodeDocument, type SlotDocument } from "../../src/codec/documents.ts";
import { encodeSeal } from "../../src/codec/objectWriter.ts";
import { Cell } from "../../src/cell/cell.ts";
import { listRuns, logFilePath } from "../../src/log/files.ts";
import { makeRunFolder } from "../../src/server/cells/recover.ts";
import { Catalog, type RunRow } from "../../src/store/catalog.ts";
import type { Address, Epoch, Lsn, RunId, RunNumber, Seq } from "../../src/types.ts";
import { type Opened, openIn, temporaryDirectory } from "../cell/nodes.ts";

class Note extends Cell {
  static override migrations = ["CREATE TABLE line (id INTEGER PRIMARY KEY, text TEXT NOT NULL) STRICT"];
  add(text: string): number {
    return this.sql.one<{ id: number }>`INSERT INTO line (text) VALUES (${text}) RETURNING id`.id;
  }
}

const cells = { note: Note };
const RUNS = 300;
/** What the bucket thread may have begun beside a start by the time at which it is looked. Count. */
const SOME = 6;
const SLOT = slotOf("note/a" as Address);

function newOptions(): { bucket: { url: string }; ttlMs: number } {
  return { bucket: { url: `dir:${path.join(temporaryDirectory(), "bucket")}` }, ttlMs: 60_000 };
}

/** What the start asked the bucket for. Count. */
function requestsOf({ node }: Opened): number {
  const { create, put, get, list } = node.keeper?.status().requests ?? { create: 0, put: 0, get: 0, list: 0 };
  return create + put + get + list;
}

/** As if a node had been started and killed again and again, and had taken its slot each time without writing to it. */
async function restart(directory: string, url: string, times: number): Promise<void> {
  const bucket = openDirectoryBucket(url.slice("dir:".length));
  const catalog = new Catalog(path.join(directory, "catalog.db"));
  const logFolder = path.join(directory, "log");
  const first = catalog.runs().at(-1) as RunRow;
  const at = catalog.slots().find(({ slot }) => slot === SLOT);
  let epoch = at?.epoch as number;
  const text = (await bucket.get(slotKey(SLOT, epoch as Epoch)))?.bytes.toString() as string;
  const record = JSON.parse(text) as SlotDocument;
  const sources = [
    ...record.sources,
    { epoch: record.epoch, run: first.id as RunId, from: record.from, to: first.seal as Seq },
  ];
  for (let i = 1; i <= times; i++) {
    const run = (first.run + i) as RunNumber;
    const id = randomBytes(16).toString("hex") as RunId;
    makeRunFolder(logFolder, run, id);
    // A log file that the run had begun, and in which nothing came to stand.
    fs.writeFileSync(logFilePath(logFolder, run, 1000 + i), "");
    catalog.putRun({
      ...first,
      run,
      id,
      ended: i % 2 === 0 ? "clean" : "unclean",
      synced: i % 2 === 0,
      seal: 1 as Seq,
    });
    const seal = { runId: id, number: 1 as Seq, toLsn: 0 as Lsn, intent: randomBytes(16), createdMs: 1 };
    await bucket.create(logKey(id, 1 as Seq), encodeSeal(seal));
    epoch += 1;
    const txid = at?.txid as SlotDocument["before"]["txid"];
    const before = { epoch: (epoch - 1) as Epoch, txid };
    const next = { ...record, epoch: epoch as Epoch, run: id, from: 1 as Seq, before, sources, covered: undefined };
    await bucket.create(slotKey(SLOT, epoch as Epoch), encodeDocument({ ...next, intent: id }));
    if (i === times) catalog.putOpened({ slot: SLOT, epoch: epoch as Epoch, txid }, run);
  }
  catalog.cover(1000 + times + 1);
  catalog.close();
  await bucket.close();
}

test("a start after many runs asks the bucket no more than one after the first, and leaves nothing of them here", async () => {
  const options = newOptions();
  const first = await openIn(temporaryDirectory(), cells, options);
  const { directory } = first;
  expect(await first.get(Note, "a").add("one")).toBe(1);
  await first.node.stop();
  const once = await openIn(directory, cells, options);
  const few = requestsOf(once);
  expect(await once.get(Note, "a").add("two")).toBe(2);
  await once.node.stop();

  await restart(directory, options.bucket.url, RUNS);
  const again = await openIn(directory, cells, options);
  expect(requestsOf(again)).toBeLessThanOrEqual(few + SOME);
  expect(await again.get(Note, "a").add("three")).toBe(3);
  expect(again.node.catalog.runs().length).toBeLessThan(70);
  expect(listRuns(path.join(directory, "log")).length).toBeLessThan(70);
  await again.node.stop();
  const last = await openIn(directory, cells, options);
  expect(await last.get(Note, "a").add("four")).toBe(4);
});

test("an empty disk starts on such a bucket with as few requests, and leases that were left of it go", async () => {
  const options = newOptions();
  const first = await openIn(temporaryDirectory(), cells, options);
  await first.get(Note, "a").add("one");
  await first.node.stop();
  const empty = await openIn(temporaryDirectory(), cells, options);
  const few = requestsOf(empty);
  await empty.node.stop();
  await restart(first.directory, options.bucket.url, RUNS);
  const bucket = openDirectoryBucket(options.bucket.url.slice("dir:".length));
  const left = (await bucket.list("log/")).slice(0, 5).map(({ key }) => key.split("/")[1] as RunId);
  const facts = { counter: 1, ttlMs: 3000, startedMs: 1, writtenMs: 1, host: "", pid: 1, version: "1" };
  for (const run of left) await bucket.put(leaseKey(run), encodeDocument({ run, ...facts }));
  const again = await openIn(temporaryDirectory(), cells, options);
  // Of each of these it is looked whether it is over.
  expect(requestsOf(again)).toBeLessThanOrEqual(few + 2 * left.length + SOME);
  expect((await bucket.list("node/")).length).toBe(1);
  expect(await again.get(Note, "a").add("two")).toBe(2);
});
