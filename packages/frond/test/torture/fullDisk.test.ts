// A real disk of 24 MB, filled by a real node and by somebody else: writes fail clearly and without a trace, reads go on,
// nothing acknowledged is lost, and writes resume when space returns.
//
// Needs the right to mount a tmpfs; where that is missing the tests are counted as skipped. (test/log/space.test.ts tries
// the same on a file layer that is told to be full.)

import { spawnSync } from "node:child_process";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { afterEach, describe, expect, test } from "vitest";
import { Cell } from "../../src/cell/cell.ts";
import { FrondError } from "../../src/errors.ts";
import { type Opened, openIn } from "../cell/nodes.ts";

class Heap extends Cell {
  static override readonly migrations = ["CREATE TABLE thing (id INTEGER PRIMARY KEY, bytes BLOB NOT NULL) STRICT"];
  put(kib: number): number {
    return this.sql.one<{ id: number }>`
      INSERT INTO thing (bytes) VALUES (randomblob(${kib * 1024})) RETURNING id`.id;
  }
  ids(): number[] {
    return this.sql.all<{ id: number }>`SELECT id FROM thing ORDER BY id`.map((row) => row.id);
  }
  sound(): string {
    return this.sql.one<{ integrity_check: string }>`PRAGMA integrity_check`.integrity_check;
  }
}

const CELLS = { heap: Heap };
const OPTIONS = { logFileBytes: 1024 * 1024, boot: "boot-1" };
const mounted: string[] = [];

/** A disk of `mb` megabytes, or undefined without the right to make one. */
function smallDisk(mb: number): string | undefined {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "frond-disk-"));
  const { status } = spawnSync("mount", ["-t", "tmpfs", "-o", `size=${mb}m`, "tmpfs", folder]);
  if (status === 0) {
    mounted.push(folder);
    return folder;
  }
  fs.rmSync(folder, { recursive: true });
  return undefined;
}

function unmountAll(): void {
  for (const folder of mounted.splice(0)) {
    spawnSync("umount", ["-l", folder]);
    fs.rmSync(folder, { recursive: true, force: true });
  }
}

const canMount = process.platform === "linux" && smallDisk(1) !== undefined;
unmountAll();
afterEach(unmountAll);

/** What was acknowledged, by cell. */
type Told = Map<string, number[]>;

/** Writes one thing; the code of the error if it was refused. The answer counts when it is durable. */
async function put(opened: Opened, told: Told, name: string, kib: number): Promise<string | undefined> {
  try {
    const id = await opened.get(Heap, name).put(kib);
    await opened.node.commitLog.flushed();
    told.set(name, [...(told.get(name) ?? []), id]);
    return undefined;
  } catch (error) {
    if (!(error instanceof FrondError)) throw error;
    expect(error).toMatchObject({ retryable: true });
    return error.code;
  }
}

/** Writes to many cells until one is refused. */
async function fill(opened: Opened, told: Told): Promise<string> {
  for (let i = 0; ; i++) {
    const code = await put(opened, told, `h${i % 7}`, 40);
    if (code !== undefined) return code;
  }
}

async function check(opened: Opened, told: Told): Promise<void> {
  for (const [name, ids] of told) {
    expect(await opened.get(Heap, name).ids()).toEqual(ids);
    expect(await opened.get(Heap, name).sound()).toBe("ok");
  }
}

describe.skipIf(!canMount)("a disk that is full", () => {
  test("refuses writes, keeps what it told, and goes on when space returns", { timeout: 120_000 }, async () => {
    const disk = smallDisk(24) as string;
    const ballast = path.join(disk, "ballast");
    fs.writeFileSync(ballast, Buffer.alloc(8 * 1024 * 1024, 1));
    const opened = await openIn(path.join(disk, "data"), CELLS, OPTIONS);
    const told: Told = new Map();
    expect(await fill(opened, told)).toBe("DISK_FULL");
    expect([...told.values()].flat().length).toBeGreaterThan(20);
    for (let i = 0; i < 50; i++) {
      const code = await put(opened, told, `h${i % 9}`, 30);
      expect(code === undefined || code === "DISK_FULL", code).toBe(true);
    }
    fs.rmSync(ballast);
    const deadline = Date.now() + 30_000;
    while ((await put(opened, told, "h1", 20)) !== undefined && Date.now() < deadline) {
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    await check(opened, told);
    for (let i = 0; i < 20; i++) expect(await put(opened, told, `h${i % 7}`, 10)).toBeUndefined();
    await check(opened, told);
    expect(opened.fatal).toEqual([]);
    await opened.node.stop();
    const again = await openIn(path.join(disk, "data"), CELLS, { ...OPTIONS, boot: "boot-2" });
    await check(again, told);
    await again.node.stop();
  });

  test("holds what it told also when the process dies on it", { timeout: 120_000 }, async () => {
    const disk = smallDisk(24) as string;
    const opened = await openIn(path.join(disk, "data"), CELLS, OPTIONS);
    const told: Told = new Map();
    expect(await fill(opened, told)).toBe("DISK_FULL");
    const copy = smallDisk(64) as string;
    const skip = (file: string): boolean => !path.basename(file).startsWith("lock.");
    fs.cpSync(path.join(disk, "data"), path.join(copy, "data"), { recursive: true, filter: skip });
    const again = await openIn(path.join(copy, "data"), CELLS, { ...OPTIONS, boot: "boot-2" });
    await check(again, told);
    await again.node.stop();
    await opened.node.stop();
  });

  test("refuses a start clearly, and lets it in when there is space", { timeout: 120_000 }, async () => {
    const disk = smallDisk(24) as string;
    const opened = await openIn(path.join(disk, "data"), CELLS, OPTIONS);
    const told: Told = new Map();
    await put(opened, told, "h1", 100);
    await opened.node.stop();
    const ballast = path.join(disk, "ballast");
    const fd = fs.openSync(ballast, "w");
    try {
      for (;;) fs.writeSync(fd, Buffer.alloc(4096, 1));
    } catch {
      fs.closeSync(fd);
    }
    let started: Opened | undefined;
    try {
      started = await openIn(path.join(disk, "data"), CELLS, OPTIONS);
    } catch (error) {
      expect(error).toMatchObject({ code: "DISK_FULL" });
    }
    // Where it could start, reads work and writes say why they do not.
    if (started !== undefined) {
      expect(await put(started, told, "h1", 100)).toBe("DISK_FULL");
      await check(started, told);
      await started.node.stop();
    }
    fs.rmSync(ballast);
    const again = await openIn(path.join(disk, "data"), CELLS, OPTIONS);
    await check(again, told);
    expect(await put(again, told, "h1", 100)).toBeUndefined();
    await again.node.stop();
  });
});
