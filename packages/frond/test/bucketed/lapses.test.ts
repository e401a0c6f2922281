// What is different after a lapse: the process goes on as a further run, and everything that depends on runs goes on with it.

import fs from "node:fs";
import path from "node:path";
import { expect, test } from "vitest";
import { Cell } from "../../src/cell/cell.ts";
import { listLogFiles } from "../../src/log/files.ts";
import { type Opened, openIn, temporaryDirectory } from "../cell/nodes.ts";

class Blob extends Cell {
  static override migrations = ["CREATE TABLE part (id INTEGER PRIMARY KEY, bytes BLOB NOT NULL) STRICT"];
  put(id: number, fill: number): void {
    this.sql`INSERT OR REPLACE INTO part VALUES (${id}, ${new Uint8Array(120_000).fill(fill)})`;
  }
  count(): number {
    return this.sql.one<{ n: number }>`SELECT count(*) AS n FROM part`.n;
  }
}

const cells = { blob: Blob };
const TTL = 2000;

async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise((resolve) => setTimeout(resolve, 20));
}

async function putMany({ node, get }: Opened, times: number): Promise<void> {
  for (let i = 0; i < times; i++) {
    await get(Blob, "busy").put(i % 5, 1);
    await node.commitLog.flushed();
    await new Promise<void>((resolve) => node.commitLog.waitConfirmed(node.commitLog.appended, resolve));
  }
}

test("log files of a run that has lapsed go like all others", async () => {
  const folder = path.join(temporaryDirectory(), "bucket");
  const options = { bucket: { url: `dir:${folder}` }, ttlMs: TTL, logFileBytes: 256 * 1024, localLogBytes: 600 * 1024 };
  const opened = await openIn(temporaryDirectory(), cells, options);
  const { node, directory } = opened;
  await putMany(opened, 4);
  fs.renameSync(folder, `${folder}-away`);
  await until(() => node.state().refuse === "overloaded");
  fs.renameSync(`${folder}-away`, folder);
  await until(() => node.commitLog.run === 2 && node.state().ready);
  await until(() => opened.lines.some((line) => line.includes("serves again")));
  await putMany(opened, 16);
  const files = listLogFiles(path.join(directory, "log"));
  expect(files.filter(({ run }) => run === 1)).toEqual([]);
  expect(files.reduce((sum, { path: file }) => sum + fs.statSync(file).size, 0)).toBeLessThan(1024 * 1024);
});

test("with a lease that outlasts an outage, writes are refused when too much waits for the bucket; reads go on, and so do writes when it is back", async () => {
  const folder = path.join(temporaryDirectory(), "bucket");
  const options = { bucket: { url: `dir:${folder}` }, ttlMs: 600_000, uploadQueueBytes: 1024 * 1024 };
  const opened = await openIn(temporaryDirectory(), cells, options);
  const { node, get } = opened;
  await putMany(opened, 2);
  fs.renameSync(folder, `${folder}-away`);
  const refused = async (): Promise<unknown> => {
    for (let i = 0; ; i++) {
      try {
        await get(Blob, "busy").put(i % 5, 2);
      } catch (error) {
        return error;
      }
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  };
  expect(await refused()).toMatchObject({ code: "OVERLOADED", retryable: true });
  expect(node.state().ready).toBe(true);
  expect(await get(Blob, "busy").count()).toBeGreaterThan(0);
  fs.renameSync(`${folder}-away`, folder);
  for (;;) {
    const went = get(Blob, "busy")
      .put(7, 7)
      .then(() => true)
      .catch(() => false);
    if (await went) break;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  expect(node.commitLog.run).toBe(1);
});

test("a cell that is made anew waits for nothing that others have just written", async () => {
  const options = { bucket: { url: `dir:${path.join(temporaryDirectory(), "bucket")}` }, ttlMs: TTL };
  const first = await openIn(temporaryDirectory(), cells, options);
  await putMany(first, 1);
  await first.node.stop();
  const { node, get } = await openIn(temporaryDirectory(), cells, options);
  await get(Blob, "other").put(1, 1);
  expect(await get(Blob, "busy").count()).toBe(1);
  // Nobody has asked for it to be in the bucket.
  expect(node.commitLog.wanted).toBe(0);
});
