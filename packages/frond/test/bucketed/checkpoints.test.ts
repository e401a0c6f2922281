// A real node checkpoints what it owns, by itself, and an empty disk reads its cells through that. Real threads, real directories.

import fs from "node:fs";
import path from "node:path";
import { expect, test } from "vitest";
import { Cell } from "../../src/cell/cell.ts";
import { CHECKPOINT_BYTES_CHANGED, LARGE_CELL_BYTES } from "../../src/limits.ts";
import { openIn, temporaryDirectory } from "../cell/nodes.ts";

class Box extends Cell {
  static override migrations = ["CREATE TABLE thing (id INTEGER PRIMARY KEY, bytes BLOB NOT NULL) STRICT"];
  put(bytes: number, value: number): number {
    const thing = new Uint8Array(bytes).fill(value);
    return this.sql.one<{ id: number }>`INSERT INTO thing (bytes) VALUES (${thing}) RETURNING id`.id;
  }
  async keep(): Promise<number> {
    const at = Date.now() + 1e9;
    await this.ctx.storage.setAlarm(at);
    return at;
  }
  async armed(): Promise<number | null> {
    return this.ctx.storage.getAlarm();
  }
  override async alarm(): Promise<void> {}
  sum(): number {
    return this.sql.one<{ n: number }>`SELECT coalesce(sum(length(bytes)), 0) AS n FROM thing`.n;
  }
}

const cells = { box: Box };

test("slots are checkpointed as they grow, large cells have snapshots, and both are what an empty disk reads", async () => {
  const bucket = path.join(temporaryDirectory(), "bucket");
  const options = { bucket: { url: `dir:${bucket}` }, ttlMs: 900 };
  const first = await openIn(temporaryDirectory(), cells, options);
  const due = await first.get(Box, "small").keep();
  await first.get(Box, "small").put(2 * CHECKPOINT_BYTES_CHANGED, 7);
  for (let i = 0; i < 3; i++) await first.get(Box, "large").put(LARGE_CELL_BYTES / 2, i);
  await until(() => objects(bucket, "@checkpoint").length === 2 && objects(bucket, "large").length === 1);
  await first.get(Box, "small").put(10, 1);
  await first.get(Box, "large").put(10, 1);
  await first.node.stop();
  // What the checkpoints cover is not needed: whoever reads does not look at it.
  const logs = fs.readdirSync(path.join(bucket, "log"));
  const segments = logs.flatMap((run) => fs.readdirSync(path.join(bucket, "log", run)).map((name) => [run, name]));
  for (const [run, name] of segments as [string, string][]) {
    if (name === "0000000001") fs.rmSync(path.join(bucket, "log", run, name));
  }

  const second = await openIn(temporaryDirectory(), cells, options);
  expect(await second.get(Box, "small").sum()).toBe(2 * CHECKPOINT_BYTES_CHANGED + 10);
  expect(await second.get(Box, "small").armed()).toBe(due);
  expect(await second.get(Box, "large").sum()).toBe((3 * LARGE_CELL_BYTES) / 2 + 10);
  expect(second.lines.join("\n")).not.toContain("checkpoint");
}, 60_000);

/** Objects below a folder of some slot. */
function objects(bucket: string, name: string): string[] {
  const root = path.join(bucket, "cell");
  if (!fs.existsSync(root)) return [];
  const slots = fs.readdirSync(root).map((slot) => path.join(root, slot));
  const folders = slots.flatMap((slot) => fs.readdirSync(slot).map((folder) => path.join(slot, folder)));
  return folders.filter((folder) => path.basename(folder).includes(name)).flatMap((folder) => fs.readdirSync(folder));
}

async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise((resolve) => setTimeout(resolve, 50));
}
