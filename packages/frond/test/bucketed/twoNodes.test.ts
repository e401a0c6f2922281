// Two nodes that want one bucket, or are copies of each other: one of them goes on, and the other one says why it does not.

import fs from "node:fs";
import path from "node:path";
import { expect, test } from "vitest";
import { Cell } from "../../src/cell/cell.ts";
import { failureOf, type Opened, openIn, temporaryDirectory } from "../cell/nodes.ts";

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
const TTL = 1500;

function newBucket(): { bucket: { url: string }; ttlMs: number } {
  return { bucket: { url: `dir:${path.join(temporaryDirectory(), "bucket")}` }, ttlMs: TTL };
}

/** What is on the disk of a node, in another place. */
function copyOf({ directory }: Opened): string {
  const copy = temporaryDirectory();
  fs.cpSync(directory, copy, { recursive: true, filter: (file) => !path.basename(file).startsWith("lock.") });
  return copy;
}

async function inBucket({ node: { commitLog } }: Opened): Promise<void> {
  await commitLog.flushed();
  await new Promise<void>((resolve) => commitLog.waitConfirmed(commitLog.appended, resolve));
}

test("a copy of the directory of a node that is alive is refused, and the node goes on", async () => {
  const options = newBucket();
  const live = await openIn(temporaryDirectory(), cells, options);
  await live.get(Note, "a").add("one");
  await inBucket(live);
  const refused = await failureOf(openIn(copyOf(live), cells, options));
  expect(refused).toMatchObject({ code: "BUCKET_IN_USE" });
  expect(refused.message).toMatch(/is a copy of its data directory/);
  expect(await live.get(Note, "a").add("two")).toBe(2);
  await inBucket(live);
  await live.node.stop();
  expect(live.fatal).toEqual([]);
  const next = await openIn(temporaryDirectory(), cells, options);
  expect(await next.get(Note, "a").all()).toEqual(["one", "two"]);
});

test("a copy of the directory of a node that is dead waits until that is sure, and brings what only the disk had", async () => {
  const options = newBucket();
  const dead = await openIn(temporaryDirectory(), cells, options);
  await dead.get(Note, "a").add("in the bucket");
  await inBucket(dead);
  await dead.node.keeper?.stop();
  await dead.get(Note, "a").add("on the disk");
  await dead.node.commitLog.flushed();
  const copy = await openIn(copyOf(dead), cells, options);
  expect(copy.lines.join("\n")).toMatch(/another run may be alive/);
  expect(await copy.get(Note, "a").all()).toEqual(["in the bucket", "on the disk"]);
});

test("the directory of a node that is dead is not waited for, also under another name", async () => {
  const options = newBucket();
  const dead = await openIn(path.join(temporaryDirectory(), "data"), cells, options);
  await dead.get(Note, "a").add("one");
  await dead.node.commitLog.flushed();
  await dead.node.keeper?.stop();
  const copy = copyOf(dead);
  await dead.node.stop(0);
  // As the node left it, in the very same folder.
  for (const name of fs.readdirSync(dead.directory)) fs.rmSync(path.join(dead.directory, name), { recursive: true });
  fs.cpSync(copy, dead.directory, { recursive: true });
  const renamed = `${dead.directory}-renamed`;
  fs.renameSync(dead.directory, renamed);
  const again = await openIn(renamed, cells, options);
  expect(again.lines.join("\n")).not.toMatch(/another run may be alive/);
  expect(await again.get(Note, "a").all()).toEqual(["one"]);
});

test("of two nodes that start at the same moment one goes on, and the other one says that the bucket is in use", async () => {
  const options = newBucket();
  // Both wait for a third one that is dead, and are through with that at the same moment.
  const dead = await openIn(temporaryDirectory(), cells, options);
  await dead.get(Note, "a").add("zero");
  await inBucket(dead);
  await dead.node.keeper?.stop();
  const opened: Opened[] = [];
  const open = async (): Promise<void> => void opened.push(await openIn(temporaryDirectory(), cells, options));
  const started = await Promise.allSettled([open(), open()]);
  const refused = started.filter((start) => start.status === "rejected");
  expect(refused.map(({ reason }) => (reason as { code?: string }).code)).toEqual(["BUCKET_IN_USE"]);
  const [one] = opened as [Opened];
  expect(await one.get(Note, "a").add("one")).toBe(2);
  await one.node.stop();
  const bucket = options.bucket.url.slice("dir:".length);
  expect(fs.existsSync(path.join(bucket, "node"))).toBe(false);
});
