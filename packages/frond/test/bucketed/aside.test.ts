// Large cells that are worked on beside, on a node with a bucket: what is more than a commit holds, a kill, a lapse, a file that is gone.

import { fork } from "node:child_process";
import { once } from "node:events";
import fs from "node:fs";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { DatabaseSync } from "node:sqlite";
import { expect, onTestFinished, test } from "vitest";
import { MAX_COMMIT_BYTES } from "../../src/limits.ts";
import type { Address } from "../../src/types.ts";
import { codeOf, type Opened, openIn, temporaryDirectory } from "../cell/nodes.ts";
import { bucketIn, LATER, Little, Much, PART, Slow, Store } from "./asideCells.ts";

const OPTIONS = { timeout: 120_000 };
const PARTS = MAX_COMMIT_BYTES / PART + 2;

/** Opens a node whose bucket lies beside its data. */
function open(directory: string, Version: typeof Store, ttlMs?: number): Promise<Opened> {
  return openIn(directory, { store: Version }, bucketIn(directory, ttlMs));
}

/** A node on a new directory with a cell of so many parts. */
async function withParts(count: number): Promise<Opened> {
  const opened = await open(path.join(temporaryDirectory(), "data"), Store);
  for (let i = 0; i < count; i++) await opened.get(Store, "a").put(PART);
  return opened;
}

async function reopen(opened: Opened, Version: typeof Store, ttlMs?: number): Promise<Opened> {
  await opened.node.stop();
  return open(opened.directory, Version, ttlMs);
}

function entryOf({ node }: Opened) {
  const entry = node.ledger.find("store/a" as Address);
  if (entry === undefined) throw new Error("there is no such cell");
  const { epoch, txid, createdMs, pageCount } = entry;
  return { at: { epoch, txid }, createdMs, pageCount };
}

/** Files on which is worked. */
function temporary({ directory }: Pick<Opened, "directory">, suffix: string): string[] {
  return fs.readdirSync(path.join(directory, "tmp")).filter((name) => name.endsWith(suffix));
}

/** So that everything comes from the bucket. */
function forgetCells({ directory }: Opened): void {
  fs.rmSync(path.join(directory, "cells"), { recursive: true });
}

function runs(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await sleep(20);
}

test(
  "a migration that changes more than a commit holds goes through the bucket, as does a vacuum; alarms, ids and files stay",
  OPTIONS,
  async () => {
    const first = await withParts(PARTS);
    const a = first.get(Store, "a");
    const hash = await a.keep("a file");
    for (const id of [1, 2, 3]) expect(await a.later()).toBe(id);
    await a.cancel(3);
    const [before, early] = [entryOf(first), await a.first()];

    const opened = await reopen(first, Much);
    const { control } = opened.node;
    const b = opened.get(Much, "a");
    expect(await b.count()).toBe(PARTS);
    const late = await b.first();
    expect(late).not.toBe(early);
    expect(entryOf(opened).createdMs).toBe(before.createdMs);
    expect(entryOf(opened).at.epoch).toBeGreaterThan(before.at.epoch);
    expect(control.alarms(undefined, 10, false)).toEqual([{ address: "store/a", dueMs: LATER, failed: 0 }]);
    expect(await b.later()).toBe(4);
    expect(await b.kept(hash)).toBe("a file");
    await b.drop(PARTS);
    const { at, pageCount } = entryOf(opened);
    await b.shrink();
    await until(() => entryOf(opened).at.txid > at.txid);
    expect(await b.count()).toBe(PARTS - 1);
    expect(entryOf(opened).pageCount).toBeLessThan(pageCount);
    expect(temporary(opened, "")).toEqual([]);

    await opened.node.stop();
    forgetCells(opened);
    const again = await open(opened.directory, Much);
    const c = again.get(Much, "a");
    expect(await c.count()).toBe(PARTS - 1);
    expect(await c.first()).toBe(late);
    expect(await c.later()).toBe(5);
    const file = path.join(temporaryDirectory(), "then.db");
    for (const [position, value] of [
      [before.at, early],
      [at, late],
    ] as const) {
      await again.node.control.restoreTo("store/a", position, file);
      const db = new DatabaseSync(file, { readOnly: true });
      const row = db.prepare("SELECT hex(substr(bytes, 1, 8)) AS h FROM thing WHERE id = 1").get();
      db.close();
      fs.rmSync(file);
      expect(row?.["h"]).toBe(value);
    }
  },
);

test(
  "a process that is killed in the midst of a migration leaves the cell as it was, and nobody who works on",
  OPTIONS,
  async () => {
    const first = await withParts(5);
    const { at } = entryOf(first);
    const value = await first.get(Store, "a").first();
    await first.node.stop();
    const child = fork(new URL("./asideNode.ts", import.meta.url), [first.directory], { execArgv: [] });
    onTestFinished(() => void child.kill("SIGKILL"));
    const [[worker]] = (await once(child, "message")) as [[number]];
    expect(runs(worker)).toBe(true);
    child.kill("SIGKILL");
    await once(child, "exit");
    await until(() => !runs(worker));
    expect(temporary(first, ".db")).toHaveLength(1);
    const again = await open(first.directory, Little);
    expect(temporary(first, "")).toEqual([]);
    expect(entryOf(again).at).toEqual(at);
    expect(await again.get(Little, "a").first()).toBe(value);
    expect(await again.get(Little, "a").count()).toBe(5);
    expect(entryOf(again).at).not.toEqual(at);
  },
);

test("a lease that lapses in the midst of a migration costs an attempt at most", OPTIONS, async () => {
  const first = await withParts(5);
  const opened = await reopen(first, Slow, 900);
  const bucket = `${opened.directory}-bucket`;
  const call = opened
    .get(Slow, "a")
    .count()
    .catch((error: { retryable?: boolean }) => {
      expect(error).toMatchObject({ retryable: true });
      return undefined;
    });
  await until(() => temporary(opened, ".db-wal").length > 0);
  fs.renameSync(bucket, `${bucket}-away`);
  await until(() => opened.node.state().refuse === "overloaded");
  fs.renameSync(`${bucket}-away`, bucket);
  await until(() => opened.node.state().ready);
  await call;
  // It may be refused once more, while the next run begins.
  while (
    (await opened
      .get(Slow, "a")
      .count()
      .catch(() => 0)) !== 5
  )
    await sleep(20);
  await opened.get(Slow, "a").put(1);
  expect(opened.fatal).toEqual([]);
  await opened.node.stop();
  forgetCells(opened);
  const again = await open(opened.directory, Store);
  expect(await codeOf(again.get(Store, "a").count())).toBe("SCHEMA_NEWER");
  const newer = await reopen(again, Slow);
  expect(await newer.get(Slow, "a").count()).toBe(6);
});

test(
  "the file of a large cell is made anew by the thread of the bucket, also where this disk has its log",
  OPTIONS,
  async () => {
    const first = await withParts(5);
    await first.node.stop();
    forgetCells(first);
    const opened = await open(first.directory, Store);
    const look = { over: false, seen: false };
    const count = opened
      .get(Store, "a")
      .count()
      .finally(() => (look.over = true));
    // What this thread made, it would not see while it is made.
    while (!look.over) {
      const files = fs.readdirSync(path.join(opened.directory, "cells"), { recursive: true, encoding: "utf8" });
      look.seen ||= files.some((name) => name.endsWith(".db.new"));
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(await count).toBe(5);
    expect(look.seen).toBe(true);
  },
);
