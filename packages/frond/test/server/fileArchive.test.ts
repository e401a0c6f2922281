// A cell as an archive: the system's own tar unpacks it, and what was changed in it is found.

import { execFileSync } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import { DatabaseSync } from "node:sqlite";
import { expect, test } from "vitest";
import { Cell } from "../../src/cell/cell.ts";
import { FILE_PIECE_BYTES } from "../../src/limits.ts";
import { readArchive } from "../../src/server/files/fileArchive.ts";
import { codeOf, type Opened, openCells, temporaryDirectory } from "../cell/nodes.ts";

class Album extends Cell {
  static override migrations = ["CREATE TABLE picture (hash TEXT NOT NULL) STRICT"];
  async add(bytes: Uint8Array): Promise<string> {
    const { hash } = await this.files.put(bytes);
    this.sql`INSERT INTO picture VALUES (${hash})`;
    return hash;
  }
  remove(hash: string): boolean {
    return this.files.delete(hash);
  }
}

const pictures = [Buffer.alloc(2 * FILE_PIECE_BYTES + 7, "picture"), Buffer.alloc(0), Buffer.alloc(512, 1)];

async function album(): Promise<Opened & { hashes: string[] }> {
  const opened = await openCells({ album: Album });
  const hashes: string[] = [];
  for (const picture of pictures) hashes.push(await opened.get(Album, "a").add(picture));
  await opened.get(Album, "a").remove(await opened.get(Album, "a").add(Buffer.from("let go")));
  return { ...opened, hashes };
}

async function read(archive: string): Promise<Map<string, Buffer>> {
  const found = new Map<string, Buffer>();
  for await (const { name, hash, content } of readArchive(archive)) {
    const chunks: Uint8Array[] = [];
    for await (const chunk of content) chunks.push(chunk);
    expect(hash === undefined).toBe(name === "cell.db");
    found.set(name, Buffer.concat(chunks));
  }
  return found;
}

test("an export to a name that ends in .tar holds the database and its files, as any tar unpacks them", async () => {
  const { node, hashes, directory } = await album();
  const folder = temporaryDirectory();
  const archive = path.join(folder, "a.tar");
  const { bytes, files } = await node.control.exportTo("album/a", archive);
  expect([bytes, files]).toEqual([fs.statSync(archive).size, 3]);
  execFileSync("tar", ["-xf", archive, "-C", folder]);
  for (const [i, hash] of hashes.entries())
    expect(fs.readFileSync(path.join(folder, "files", hash)).equals(pictures[i] as Buffer)).toBe(true);
  const db = new DatabaseSync(path.join(folder, "cell.db"));
  expect(db.prepare("SELECT count(*) AS n FROM picture").get()).toEqual({ n: 4 });
  db.close();
  const found = await read(archive);
  expect([...found.keys()]).toEqual(["cell.db", ...hashes.map((hash) => `files/${hash}`).toSorted()]);
  expect(found.get(`files/${hashes[0]}`)?.equals(pictures[0] as Buffer)).toBe(true);
  expect(fs.readdirSync(path.join(directory, "tmp"))).toEqual([]);
});

test("any other name is the plain database, and how many files are not in it is told", async () => {
  const { node } = await album();
  const file = path.join(temporaryDirectory(), "a.db");
  expect(await node.control.exportTo("album/a", file)).toMatchObject({ files: 3 });
  expect(fs.readFileSync(file).toString("latin1", 0, 15)).toBe("SQLite format 3");
});

test("a file that is missing or damaged in the bucket fails the export, and leaves nothing", async () => {
  const { node, hashes, directory } = await album();
  const object = path.join(directory, "bucket", "files", hashes[2] as string);
  const folder = temporaryDirectory();
  const archive = path.join(folder, "a.tar");
  fs.writeFileSync(object, Buffer.alloc(512, 2));
  expect(await codeOf(node.control.exportTo("album/a", archive))).toBe("OBJECT_DAMAGED");
  fs.writeFileSync(object, Buffer.alloc(100, 1));
  expect(await codeOf(node.control.exportTo("album/a", archive))).toBe("OBJECT_DAMAGED");
  fs.rmSync(object);
  expect(await codeOf(node.control.exportTo("album/a", archive))).toBe("FILE_MISSING");
  expect([fs.readdirSync(folder), fs.readdirSync(path.join(directory, "tmp"))]).toEqual([[], []]);
});

test("an archive that was cut, changed or is another one is refused when it is read", async () => {
  const { node } = await album();
  const folder = temporaryDirectory();
  const archive = path.join(folder, "a.tar");
  await node.control.exportTo("album/a", archive);
  const bytes = fs.readFileSync(archive);
  const other = path.join(folder, "other.tar");
  const refused = async (content: Uint8Array): Promise<void> => {
    fs.writeFileSync(other, content);
    expect(await codeOf(read(other))).toBe("OBJECT_DAMAGED");
  };
  const at = bytes.indexOf("picture".repeat(9));
  await refused(bytes.subarray(0, at + 100));
  await refused(bytes.subarray(0, 300));
  await refused(bytes.subarray(0, bytes.length - 1024));
  await refused(Buffer.alloc(1024));
  const changed = Buffer.from(bytes);
  changed[at + 100] = 0;
  await refused(changed);
  fs.writeFileSync(path.join(folder, "x"), "y");
  execFileSync("tar", ["-cf", other, "-C", folder, "x"]);
  expect(await codeOf(read(other))).toBe("OBJECT_DAMAGED");
});
