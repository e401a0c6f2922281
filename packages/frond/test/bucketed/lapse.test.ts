// A bucket that a working node cannot reach for longer than its lease, or that has no room: what was acknowledged at `bucket` is
// there, and the node serves again by itself. Real threads, real directories.

import { spawnSync } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { expect, onTestFinished, test } from "vitest";
import { Cell } from "../../src/cell/cell.ts";
import { type Opened, openIn, temporaryDirectory } from "../cell/nodes.ts";

class Pile extends Cell {
  static override durability = "bucket" as const;
  static override migrations = ["CREATE TABLE thing (id INTEGER PRIMARY KEY, bytes BLOB NOT NULL) STRICT"];
  put(kib: number): number {
    return this.sql.one<{ id: number }>`
      INSERT INTO thing (bytes) VALUES (randomblob(${kib * 1024})) RETURNING id`.id;
  }
  ids(): number[] {
    return this.sql.all<{ id: number }>`SELECT id FROM thing ORDER BY id`.map((row) => row.id);
  }
}

const cells = { pile: Pile };
const NAMES = ["a", "b", "c", "d", "e", "f"];

function onNewDisk(bucket: string): Promise<Opened> {
  return openIn(temporaryDirectory(), cells, { bucket: { url: `dir:${bucket}` }, ttlMs: 900 });
}

/** Writes without a pause until told to stop; what was acknowledged, by cell. */
class Writers {
  readonly told = new Map<string, number[]>(NAMES.map((name) => [name, []]));
  #stopped = false;
  readonly #working: Promise<void[]>;

  constructor({ node, get }: Opened, kib: number) {
    const { commitLog } = node;
    const write = async (name: string): Promise<void> => {
      while (!this.#stopped) {
        const id = await get(Pile, name)
          .put(kib)
          .catch((error: { retryable?: boolean }) => {
            expect(error).toMatchObject({ retryable: true });
            return sleep(5);
          });
        if (typeof id !== "number") continue;
        // What stands outside of a request waits by itself.
        await new Promise<void>((resolve) => commitLog.waitConfirmed(commitLog.appended, resolve));
        this.told.get(name)?.push(id);
      }
    };
    this.#working = Promise.all(NAMES.map(write));
  }

  get count(): number {
    return [...this.told.values()].flat().length;
  }

  /** More is acknowledged than `before`. */
  async gone(before: number): Promise<void> {
    while (this.count <= before) await sleep(20);
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#working;
  }
}

async function expectThere(opened: Opened, told: Writers["told"]): Promise<void> {
  for (const [name, ids] of told) expect(await opened.get(Pile, name).ids()).toEqual(expect.arrayContaining(ids));
}

test(
  "a node at work whose bucket was away goes on when it is back, and loses nothing",
  { timeout: 60_000 },
  async () => {
    const bucket = path.join(temporaryDirectory(), "bucket");
    const first = await onNewDisk(bucket);
    const writers = new Writers(first, 1);
    await writers.gone(0);
    for (let times = 0; times < 2; times++) {
      fs.renameSync(bucket, `${bucket}-away`);
      while (first.node.state().refuse !== "overloaded") await sleep(10);
      await sleep(100);
      fs.renameSync(`${bucket}-away`, bucket);
      await writers.gone(writers.count);
    }
    await writers.stop();
    expect(first.fatal).toEqual([]);
    await first.node.keeper?.stop();
    await expectThere(await onNewDisk(bucket), writers.told);
  },
);

const mounts =
  process.platform === "linux" && spawnSync("mount", ["--version"]).status === 0 && process.getuid?.() === 0;

test.skipIf(!mounts)(
  "a bucket without room holds writes up and loses none; with room it goes on",
  { timeout: 60_000 },
  async () => {
    const disk = temporaryDirectory();
    const mounted = spawnSync("mount", ["-t", "tmpfs", "-o", "size=12m", "tmpfs", disk]).status === 0;
    if (!mounted) return;
    onTestFinished(() => void spawnSync("umount", ["-l", disk]));
    const bucket = path.join(disk, "bucket");
    const first = await onNewDisk(bucket);
    const writers = new Writers(first, 20);
    await writers.gone(0);
    const ballast = path.join(disk, "ballast");
    const full = spawnSync("dd", ["if=/dev/zero", `of=${ballast}`, "bs=4096"]);
    expect(full.status).not.toBe(0);
    while (first.node.state().refuse !== "overloaded") await sleep(10);
    fs.rmSync(ballast);
    await writers.gone(writers.count);
    await writers.stop();
    expect(first.fatal).toEqual([]);
    await first.node.keeper?.stop();
    await expectThere(await onNewDisk(bucket), writers.told);
  },
);
