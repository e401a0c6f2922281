// The disk of a node with a bucket: the log goes, and nothing with it.

import fs from "node:fs";
import path from "node:path";
import { expect, test } from "vitest";
import { Cell } from "../../src/cell/cell.ts";
import type { Address } from "../../src/types.ts";
import { listLogFiles } from "../../src/log/files.ts";
import { openIn, temporaryDirectory } from "../cell/nodes.ts";

class Blob extends Cell {
  static override migrations = ["CREATE TABLE part (id INTEGER PRIMARY KEY, bytes BLOB NOT NULL) STRICT"];
  put(id: number, fill: number): void {
    this.sql`INSERT OR REPLACE INTO part VALUES (${id}, ${new Uint8Array(120_000).fill(fill)})`;
  }
  sum(): number {
    return this.sql.all<{ bytes: Uint8Array }>`SELECT bytes FROM part`.reduce(
      (sum, { bytes }) => sum + (bytes[0] ?? 0),
      0,
    );
  }
}

test("log files that are in the bucket go, and a cell that needs them comes from there", async () => {
  const directory = temporaryDirectory();
  const options = { bucket: "as before", logFileBytes: 256 * 1024, localLogBytes: 600 * 1024 } as const;
  const first = await openIn(directory, { blob: Blob }, options);
  const { node, get } = first;
  await get(Blob, "old").put(1, 7);
  for (let i = 0; i < 16; i++) {
    await get(Blob, "busy").put(i % 5, 1);
    await node.commitLog.flushed();
    await new Promise<void>((resolve) => node.commitLog.waitConfirmed(node.commitLog.appended, resolve));
  }
  const files = listLogFiles(path.join(directory, "log"));
  expect(files[0]?.number).toBeGreaterThan(3);
  expect(files.reduce((sum, { path: file }) => sum + fs.statSync(file).size, 0)).toBeLessThan(1024 * 1024);
  // Its record is in a log file that is gone.
  await node.host.deactivate("blob/old" as Address);
  const file = fs.globSync(path.join(directory, "cells", "*", "blob%2fold.db"))[0] as string;
  fs.truncateSync(file, 100);
  expect(await get(Blob, "old").sum()).toBe(7);
  await node.stop();

  const second = await openIn(directory, { blob: Blob }, { ...options });
  expect(await second.get(Blob, "busy").sum()).toBe(5);
  expect(await second.get(Blob, "old").sum()).toBe(7);
});
