// Erasing: what a cell held goes from the bucket, piece by piece, everybody else keeps what is theirs, and it is told what is left.

import fs from "node:fs";
import path from "node:path";
import { expect, test } from "vitest";
import type { Bucket } from "../../src/bucket/bucket.ts";
import { listAll } from "../../src/bucket/listAll.ts";
import { checkpointKey } from "../../src/bucket/objectKeys.ts";
import { openBucket } from "../../src/bucket/open.ts";
import { Cell } from "../../src/cell/cell.ts";
import { readBlock } from "../../src/codec/objectReader.ts";
import { readFooter } from "../../src/log/runObjects.ts";
import { backup } from "../../src/server/upkeep/backup.ts";
import { SlotHistories } from "../../src/server/slots/slotHistory.ts";
import { verifyCopy } from "../../src/server/upkeep/verifyCopy.ts";
import { writeCheckpoint } from "../../src/store/checkpoint.ts";
import { writeSnapshot } from "../../src/store/snapshot.ts";
import type { RunNumber, Slot } from "../../src/types.ts";
import { codeOf, type Opened, openIn, temporaryDirectory } from "../cell/nodes.ts";

const TTL = 3_000;
const DAY_MS = 24 * 3600_000;
const OLD = new Date(Date.UTC(2020, 0, 1));

class Book extends Cell {
  static override migrations = ["CREATE TABLE line (id INTEGER PRIMARY KEY, text TEXT NOT NULL) STRICT"];
  add(text: string) {
    this.sql`INSERT INTO line (text) VALUES (${text})`;
  }
  all() {
    return this.sql.all<{ text: string }>`SELECT text FROM line ORDER BY id`.map(({ text }) => text);
  }
  async keep(text: string) {
    return (await this.files.put(text)).hash;
  }
  async kept(hash: string) {
    return (await this.files.get(hash))?.text();
  }
}

const cells = { book: Book };

function onNewDisk(bucket: string): Promise<Opened> {
  return openIn(temporaryDirectory(), cells, { bucket: { url: `dir:${bucket}` }, ttlMs: TTL });
}

/** The first part of the keys of all objects that hold a text, inflated or as they are. */
async function places(bucket: Bucket, text: string): Promise<string[]> {
  const found = new Set<string>();
  for await (const { key } of listAll(bucket, "")) {
    const bytes = (await bucket.get(key))?.bytes as Buffer;
    const isObject = bytes.subarray(0, 8).equals(Buffer.from("FRONDOBJ"));
    const footer = isObject ? await readFooter(bucket, key) : undefined;
    const raw = footer?.blocks.map((block) =>
      readBlock(bytes.subarray(block.offset, block.offset + block.stored), block, key),
    );
    if ((raw ?? [bytes]).some((part) => part.includes(text))) found.add(key.split("/")[0] as string);
  }
  return [...found].toSorted();
}

/** Writes a checkpoint of a slot as a node would in time, and a snapshot of each of its cells. */
async function checkpoint(bucket: Bucket, slot: Slot): Promise<void> {
  const histories = new SlotHistories(bucket);
  const record = await histories.newest(slot);
  if (record === undefined) throw new Error("nobody owns the slot");
  const { epoch, run, from, sources } = record;
  const to = await histories.sealOf(run);
  const index = await histories.read(slot, [...sources, { epoch, run, from, to }], undefined);
  const options = { runId: run, breathe: async () => {}, temporary: path.join(temporaryDirectory(), "pages") };
  const whole = [...index.cells.values()].map(({ entry, places: its }) => ({ entry, places: its, base: undefined }));
  for (const cell of whole) await writeSnapshot(bucket, cell, options);
  const plan = { slot, epoch, seq: to, at: index.at, lastMs: index.lastMs, run: 1 as RunNumber, cells: whole };
  await writeCheckpoint(bucket, plan, options);
  expect(await bucket.get(checkpointKey(slot, epoch, to))).toBeDefined();
}

test("an erased cell goes from packs, checkpoints and snapshots at once, from the log in time, and then its name; others stay", async () => {
  const url = path.join(temporaryDirectory(), "bucket");
  const first = await onNewDisk(url);
  for (const i of [1, 2, 3]) {
    await first.get(Book, "alice").add(`secret of alice ${i}`);
    await first.get(Book, "bob").add(`secret of bob ${i}`);
    await new Promise<void>((done) => first.node.commitLog.waitConfirmed(first.node.commitLog.appended, done));
  }
  const slots = first.node.control.cells(undefined, 9).map(({ slot }) => slot as Slot);
  // The process is gone with its disk: the next one packs what is left of its log.
  await first.node.keeper?.stop();
  const second = await onNewDisk(url);
  const bucket = await openBucket(`dir:${url}`);
  const packed = () => fs.existsSync(path.join(url, "pack")) && fs.readdirSync(path.join(url, "pack")).length > 0;
  while (!packed()) await new Promise((resolve) => setTimeout(resolve, 20));
  await second.get(Book, "alice").add("secret of alice 4");
  // Through the pack, which knows of the last commits alone, into its segments.
  const commits = await second.node.control.history("book/alice", { limit: 9 });
  expect(commits.map(({ what }) => what)).toEqual(["changed", "changed", "changed", "created"]);
  await second.node.stop();
  for (const slot of slots) await checkpoint(bucket, slot);
  const copy = await openBucket(`dir:${path.join(temporaryDirectory(), "copy")}`);
  await backup({ from: bucket, to: copy });
  expect(await places(bucket, "secret of alice")).toEqual(["cell", "log", "pack"]);

  const third = await onNewDisk(url);
  const { control } = third.node;
  expect(await third.get(Book, "bob").all()).toHaveLength(3);
  const state = await control.erase("book/alice");
  expect(state).toMatchObject({
    address: "book/alice",
    left: { packs: 0, checkpoints: 0, snapshots: 0, commits: 4, files: 0 },
  });
  expect(state.goneByMs).toBeGreaterThan(Date.now() + 7 * 24 * 3600_000);
  expect(await places(bucket, "secret of alice")).toEqual(["log"]);
  expect(await places(bucket, "secret of bob")).toEqual(["cell", "log", "pack"]);
  // A copy that is made again gets packs and checkpoints without it; snapshots and the log stay there as they were.
  await backup({ from: bucket, to: copy });
  expect(await places(copy, "secret of alice")).toEqual(["cell", "log"]);
  expect(await places(copy, "secret of bob")).toEqual(["cell", "log", "pack"]);
  expect(await verifyCopy(bucket)).toMatchObject({ wrong: [] });
  expect(await third.get(Book, "bob").all()).toHaveLength(3);
  const past = { epoch: 1, txid: 99 };
  expect(await codeOf(control.restoreInto("book/alice", past))).toBe("CELL_MISSING");
  expect(await codeOf(control.history("book/alice", { limit: 9 }))).toBe("CELL_MISSING");
  expect(await codeOf(control.erase("book/none"))).toBe("CELL_MISSING");
  expect(await control.history("book/bob", { limit: 9 })).toHaveLength(3);
  // The name can be used again, and its new past is nobody's secret.
  await third.get(Book, "alice").add("another alice");
  expect(await control.history("book/alice", { limit: 9 })).toHaveLength(1);
  await third.node.stop();

  // The retention has passed: the segments go, from the oldest on.
  for (const run of fs.readdirSync(path.join(url, "log"))) {
    for (const name of fs
      .readdirSync(path.join(url, "log", run))
      .toSorted()
      .slice(0, -1)) {
      const key = `log/${run}/${name}`;
      const footer = await readFooter(bucket, key);
      const holds = [...(footer?.entries ?? [])].some(
        (entry) => entry.head().txid < state.txid && entry.headBytes.includes("alice"),
      );
      if (holds || fs.existsSync(path.join(url, "pack", run))) fs.rmSync(path.join(url, key));
    }
  }
  const fourth = await onNewDisk(url);
  // Where its segments are gone a pack stands for them.
  expect(await fourth.node.control.history("book/bob", { limit: 9 })).toMatchObject([{ epoch: 1, what: "created" }]);
  await fourth.node.erasures.look();
  const [gone] = await fourth.node.control.erasures();
  expect(gone).toMatchObject({ hash: state.hash, goneMs: expect.any(Number), left: { commits: 0 } });
  expect(gone?.address).toBeUndefined();
  expect(await places(bucket, "secret of alice")).toEqual([]);
  expect(
    (await bucket.get(`erased/${state.hash}/0000000003-${String(state.txid).padStart(16, "0")}`))?.bytes.toString(),
  ).not.toContain("alice");
  expect(await fourth.get(Book, "alice").all()).toEqual(["another alice"]);
});

test("files go when they are old enough and no other cell names them, nor has named them; a cell that was deleted before is erased, too", async () => {
  const directory = temporaryDirectory();
  const { hashes, stop } = await aMonthAgo(directory);
  await stop();
  const opened = await openIn(directory, cells, { bucket: "as before", ttlMs: TTL, retentionMs: 7 * DAY_MS });
  const { control, erasures } = opened.node;
  const b = opened.get(Book, "b");
  await control.delete("book/c");
  const folder = path.join(directory, "bucket", "files");
  const there = (): string[] => hashes.filter((hash) => fs.existsSync(path.join(folder, hash)));
  expect((await control.erase("book/a")).left).toMatchObject({ files: 3 });
  expect(there()).toEqual(hashes);
  for (const hash of hashes) fs.utimesSync(path.join(folder, hash), OLD, OLD);
  await erasures.look();
  expect(there()).toEqual(hashes.slice(1));
  expect(await b.kept(hashes[1] as string)).toBe("of both");
  expect(await control.erasures()).toMatchObject([{ address: "book/a", left: { files: 0 } }]);
  await control.restoreInto("book/c", { atMs: Date.now() - DAY_MS });
  expect(await opened.get(Book, "c").kept(hashes[2] as string)).toBe("of one that is deleted");

  await b.add("x");
  await control.delete("book/b");
  expect(await control.history("book/b", { limit: 9 })).toHaveLength(3);
  await control.erase("book/b");
  expect(await codeOf(control.history("book/b", { limit: 9 }))).toBe("CELL_MISSING");
  expect(await codeOf(control.restoreInto("book/b", { atMs: Date.now() - 1 }))).toBe("CELL_MISSING");
});

test("a tool, which does not know the retention, leaves the files of an erased cell to the node that serves it next", async () => {
  const directory = temporaryDirectory();
  const { hashes, stop } = await aMonthAgo(directory);
  await stop();
  const folder = path.join(directory, "bucket", "files");
  for (const hash of hashes) fs.utimesSync(path.join(folder, hash), OLD, OLD);
  const there = (): string[] => hashes.filter((hash) => fs.existsSync(path.join(folder, hash)));
  const tool = await openIn(directory, cells, { bucket: "as before", ttlMs: TTL });
  expect((await tool.node.control.erase("book/a")).left).toMatchObject({ files: 3 });
  await tool.node.stop();
  expect(there()).toEqual(hashes);
  const next = await openIn(directory, cells, { bucket: "as before", ttlMs: TTL, retentionMs: 7 * DAY_MS });
  await next.node.erasures.look();
  expect(there()).toEqual(hashes.slice(1));
});

/** Three files: of one cell, of two, and of that one and another. */
async function aMonthAgo(directory: string): Promise<{ hashes: string[]; stop: () => Promise<void> }> {
  const { now } = Date;
  Date.now = () => now() - 30 * DAY_MS;
  const { get, node } = await openIn(directory, cells, { bucket: "as before", ttlMs: TTL });
  const hashes: string[] = [];
  for (const text of ["only mine", "of both", "of one that is deleted"]) hashes.push(await get(Book, "a").keep(text));
  await get(Book, "b").keep("of both");
  await get(Book, "c").keep("of one that is deleted");
  const stop = (): Promise<void> => node.stop().finally(() => (Date.now = now));
  return { hashes, stop };
}
