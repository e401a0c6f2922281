// Packs of a real node: runs that were finished are packed in the background by the next, and a node on an empty disk reads
// its cells through them, also where the segments are gone.

import fs from "node:fs";
import path from "node:path";
import { expect, test } from "vitest";
import { openBucket } from "../../src/bucket/open.ts";
import { listPacks } from "../../src/log/cover.ts";
import { listRunLog } from "../../src/log/runObjects.ts";
import { Cell } from "../../src/cell/cell.ts";
import type { RunId } from "../../src/types.ts";
import { type Opened, openIn, temporaryDirectory } from "../cell/nodes.ts";

class Book extends Cell {
  static override migrations = ["CREATE TABLE line (id INTEGER PRIMARY KEY, text TEXT NOT NULL) STRICT"];
  add(text: string): number {
    return this.sql.one<{ id: number }>`INSERT INTO line (text) VALUES (${text}) RETURNING id`.id;
  }
  clear(): void {
    this.sql.all`DELETE FROM line`;
  }
  end(): Promise<void> {
    return this.ctx.storage.deleteAll();
  }
  all(): string[] {
    return this.sql.all<{ text: string }>`SELECT text FROM line ORDER BY id`.map(({ text }) => text);
  }
}

const TTL = 3_000;
const cells = { book: Book };

function onNewDisk(bucket: string): ReturnType<typeof openIn> {
  return openIn(temporaryDirectory(), cells, { bucket: { url: `dir:${bucket}` }, ttlMs: TTL });
}

async function until(holds: () => Promise<boolean>): Promise<void> {
  while (!(await holds())) await new Promise((resolve) => setTimeout(resolve, 50));
}

/** Everything that was written is in a segment. */
async function inBucket({ node: { commitLog } }: Opened): Promise<void> {
  await new Promise<void>((resolve) => commitLog.waitConfirmed(commitLog.appended, resolve));
}

/** The run that has packs, and what is in them. */
async function packedRun(url: string): Promise<{ run: RunId; parts: string[] } | undefined> {
  const bucket = await openBucket(`dir:${url}`);
  try {
    for (const run of fs.readdirSync(path.join(url, "log")) as RunId[]) {
      const packs = await listPacks(bucket, run);
      if (packs.length > 0) return { run, parts: packs.map(({ from, to }) => `${from}-${to}`) };
    }
    return undefined;
  } finally {
    await bucket.close();
  }
}

test("what is left of a run whose process died is packed, and read through its pack alone", async () => {
  const url = path.join(temporaryDirectory(), "bucket");
  const first = await onNewDisk(url);
  const [a, b, c] = [first.get(Book, "a"), first.get(Book, "b"), first.get(Book, "c")];
  const steps = [() => a.add("a1"), () => b.add("b1"), () => a.clear(), () => b.end(), () => c.add("c".repeat(20_000))];
  for (const step of [...steps, () => a.add("a2")]) {
    await step();
    await inBucket(first);
  }
  // The process is gone with its disk: nobody finishes its log.
  await first.node.keeper?.stop();

  const second = await onNewDisk(url);
  await until(async () => (await packedRun(url)) !== undefined);
  const packed = (await packedRun(url)) as { run: RunId; parts: string[] };
  const bucket = await openBucket(`dir:${url}`);
  const { seqs } = await listRunLog(bucket, packed.run);
  const seal = seqs.at(-1) as number;
  expect(seal).toBeGreaterThan(3);
  expect(packed.parts).toEqual([`1-${seal}`]);
  // Whoever reads segments now finds nothing.
  await bucket.delete(seqs.slice(0, -1).map((seq) => `log/${packed.run}/${String(seq).padStart(10, "0")}`));
  await bucket.close();
  expect(await second.get(Book, "a").all()).toEqual(["a2"]);
  expect(await second.get(Book, "b").all()).toEqual([]);
  expect(await second.get(Book, "b").add("b2")).toBe(1);
  expect(await second.get(Book, "c").all()).toEqual(["c".repeat(20_000)]);
  await second.node.stop();
});
