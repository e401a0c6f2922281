// A node with a bucket, from the outside: what is in the bucket is enough. Real threads, real directories.

import fs from "node:fs";
import path from "node:path";
import { expect, test } from "vitest";
import { Cell } from "../../src/cell/cell.ts";
import { openIn, temporaryDirectory } from "../cell/nodes.ts";

class Note extends Cell {
  static override migrations = ["CREATE TABLE line (id INTEGER PRIMARY KEY, text TEXT NOT NULL) STRICT"];
  add(text: string): number {
    return this.sql.one<{ id: number }>`INSERT INTO line (text) VALUES (${text}) RETURNING id`.id;
  }
  all(): string[] {
    return this.sql.all<{ text: string }>`SELECT text FROM line ORDER BY id`.map(({ text }) => text);
  }
}

class Safe extends Note {
  static override durability = "bucket" as const;
}

const cells = { note: Note, safe: Safe };
const TTL = 1500;

/** A node on a new disk, with this bucket. */
function onNewDisk(bucket: string): ReturnType<typeof openIn> {
  return openIn(temporaryDirectory(), cells, { bucket: { url: `dir:${bucket}` }, ttlMs: TTL });
}

test("after a clean stop an empty disk finds every cell in the bucket", async () => {
  const bucket = path.join(temporaryDirectory(), "bucket");
  const first = await onNewDisk(bucket);
  for (const name of ["a", "b", "c"]) for (let i = 0; i < 3; i++) await first.get(Note, name).add(`${name}${i}`);
  await first.node.stop();
  fs.rmSync(first.directory, { recursive: true });

  const second = await onNewDisk(bucket);
  for (const name of ["a", "b", "c"])
    expect(await second.get(Note, name).all()).toEqual([0, 1, 2].map((i) => name + i));
  expect(await second.get(Note, "a").add("more")).toBe(4);
  await second.node.stop();

  const third = await onNewDisk(bucket);
  expect(await third.get(Note, "a").all()).toEqual(["a0", "a1", "a2", "more"]);
  expect(await third.get(Note, "c").all()).toEqual(["c0", "c1", "c2"]);
});

test("what was acknowledged at the level bucket survives the loss of the disk", async () => {
  const bucket = path.join(temporaryDirectory(), "bucket");
  const first = await onNewDisk(bucket);
  const answer = await first.node.handle(new Request("http://x/"), { remoteAddress: "127.0.0.1" });
  expect(answer.status).toBe(404);
  await first.get(Safe, "a").add("kept");
  await first.node.commitLog.flushed();
  await new Promise<void>((resolve) => first.node.commitLog.waitConfirmed(first.node.commitLog.appended, resolve));
  // The process is gone with its disk: nobody finishes its log.
  await first.node.keeper?.stop();

  const second = await onNewDisk(bucket);
  expect(await second.get(Safe, "a").all()).toEqual(["kept"]);
  expect(second.lines.join("\n")).toMatch(/another run may be alive/);
});

test("while the bucket is away requests are refused, and the node goes on as a new run when it is back", async () => {
  const bucket = path.join(temporaryDirectory(), "bucket");
  const { node, get, lines } = await onNewDisk(bucket);
  await get(Note, "a").add("before");
  fs.renameSync(bucket, `${bucket}-away`);
  await until(() => node.state().refuse === "overloaded");
  await expect(get(Note, "a").add("refused")).rejects.toMatchObject({ code: "OVERLOADED", retryable: true });
  fs.renameSync(`${bucket}-away`, bucket);
  await until(() => node.state().ready);
  await until(() => lines.some((line) => line.includes("serves again")));
  expect(await get(Note, "a").add("after")).toBe(2);
  expect(node.commitLog.run).toBe(2);
  await node.stop();

  const next = await onNewDisk(bucket);
  expect(await next.get(Note, "a").all()).toEqual(["before", "after"]);
});

test("a log that somebody else has sealed ends the node; its end is kept in lost+found and the cells are what the bucket says", async () => {
  const bucket = path.join(temporaryDirectory(), "bucket");
  const first = await onNewDisk(bucket);
  await first.get(Note, "a").add("kept");
  const { commitLog, keeper } = first.node;
  await new Promise<void>((resolve) => commitLog.waitConfirmed(commitLog.appended, resolve));
  // Cut off from the bucket, it writes on.
  await keeper?.stop();
  await first.get(Note, "a").add("lost");
  await commitLog.flushed();
  const disk = temporaryDirectory();
  fs.cpSync(first.directory, disk, { recursive: true, filter: (file) => !path.basename(file).startsWith("lock.") });
  const second = await onNewDisk(bucket);
  expect(await second.get(Note, "a").all()).toEqual(["kept"]);
  await second.get(Note, "a").add("of the second");
  await second.node.stop();

  const back = await openIn(disk, cells, { bucket: { url: `dir:${bucket}` }, ttlMs: TTL });
  expect(await back.get(Note, "a").all()).toEqual(["kept", "of the second"]);
  expect(back.lines.join("\n")).toMatch(/lost to their cells, and kept in lost\+found/);
  const report = fs.readdirSync(path.join(disk, "lost+found")).find((name) => name.endsWith(".json"));
  const told = JSON.parse(fs.readFileSync(path.join(disk, "lost+found", report as string), "utf8")) as object;
  expect(told).toMatchObject({ commits: [{ cells: ["note/a"] }] });
});

test("slots that are opened one after the other do not keep the lease from being renewed", async () => {
  const { node, get, lines } = await onNewDisk(path.join(temporaryDirectory(), "bucket"));
  const end = performance.now() + 2 * TTL;
  for (let i = 0; performance.now() < end; i++) await get(Note, `n${i}`).all();
  expect(node.state()).toEqual({ ready: true });
  expect(lines.filter((line) => line.includes("lapsed"))).toEqual([]);
});

test("a bucket thread that fails ends the node", async () => {
  const { node, fatal } = await onNewDisk(path.join(temporaryDirectory(), "bucket"));
  const thread = node.keeper?.thread;
  await thread?.terminate();
  await until(() => fatal.length > 0);
  expect(fatal[0]).toMatchObject({ code: "LOG_FAILED" });
});

async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise((resolve) => setTimeout(resolve, 20));
}
