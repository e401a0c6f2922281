// A disk that is full while slots are taken and cells are made anew from the bucket: whoever asks is told so, nothing is lost by it, and
// everything is there when space returns.
//
// Needs the right to mount a tmpfs; where that is missing the test is counted as skipped.

import { spawnSync } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import { afterEach, describe, expect, onTestFinished, test } from "vitest";
import { Cell } from "../../src/cell/cell.ts";
import { codeOf, openIn, temporaryDirectory } from "../cell/nodes.ts";

const CELLS = 60;

class Book extends Cell {
  static override migrations = ["CREATE TABLE line (text TEXT NOT NULL) STRICT"];
  add(text: string) {
    this.sql`INSERT INTO line VALUES (${text})`;
  }
  all() {
    return this.sql.all<{ text: string }>`SELECT text FROM line`.map(({ text }) => text);
  }
}

const cells = { book: Book };
const mounted: string[] = [];

/** A disk of `mb` megabytes, or undefined without the right to make one. */
function smallDisk(mb: number): string | undefined {
  const folder = temporaryDirectory();
  const { status } = spawnSync("mount", ["-t", "tmpfs", "-o", `size=${mb}m`, "tmpfs", folder]);
  if (status === 0) mounted.push(folder);
  return status === 0 ? folder : undefined;
}

afterEach(() => {
  for (const folder of mounted.splice(0)) spawnSync("umount", ["-l", folder]);
});

/** Takes all space that is left. */
function fill(file: string): void {
  const fd = fs.openSync(file, "w");
  try {
    for (let bytes = Buffer.alloc(1024 * 1024, 1); bytes.length > 0; bytes = bytes.subarray(bytes.length >> 1)) {
      try {
        for (;;) if (fs.writeSync(fd, bytes) < bytes.length) break;
      } catch {
        // With a smaller piece.
      }
      if (bytes.length === 1) break;
    }
  } finally {
    fs.closeSync(fd);
  }
}

describe.skipIf(spawnSync("unshare", ["--mount", "true"]).status !== 0)("a disk that is full", () => {
  test("is told to whoever needs a slot, and slots are taken when there is space", async () => {
    const disk = smallDisk(16);
    if (disk === undefined) throw new Error("this user may unshare mounts and mount nothing");
    const bucket = { url: `dir:${path.join(temporaryDirectory(), "bucket")}` };
    const first = await openIn(temporaryDirectory(), cells, { bucket, ttlMs: 3_000 });
    for (let i = 0; i < CELLS; i++) await first.get(Book, `b${i}`).add(`line of ${i}`);
    await first.node.stop();

    const second = await openIn(path.join(disk, "data"), cells, { bucket, ttlMs: 3_000 });
    onTestFinished(() => second.node.stop(0));
    const ballast = path.join(disk, "ballast");
    fill(ballast);
    const codes = new Set<string>();
    for (let i = 0; i < CELLS; i++) codes.add(await codeOf(second.get(Book, `b${i}`).all()));
    expect([...codes]).toEqual(["DISK_FULL"]);
    expect(second.fatal).toEqual([]);
    fs.rmSync(ballast);
    for (let i = 0; i < CELLS; i++) expect(await second.get(Book, `b${i}`).all()).toEqual([`line of ${i}`]);
    const add = (): Promise<boolean> =>
      second
        .get(Book, "b0")
        .add("more")
        .then(
          () => true,
          () => false,
        );
    // The log looks for space now and then.
    while (!(await add())) await new Promise((resolve) => setTimeout(resolve, 20));
    expect(await second.get(Book, "b0").all()).toEqual(["line of 0", "more"]);
    expect(second.fatal).toEqual([]);
    await second.node.stop();
  });
});
