// Copies of a cluster: made while a node writes, broken off and gone on with, started on, and looked through.

import fs from "node:fs";
import path from "node:path";
import { DatabaseSync } from "node:sqlite";
import { expect, test } from "vitest";
import type { Bucket } from "../../src/bucket/bucket.ts";
import { openBucket } from "../../src/bucket/open.ts";
import { Cell } from "../../src/cell/cell.ts";
import { FrondError } from "../../src/errors.ts";
import { MAX_COMMIT_BYTES } from "../../src/limits.ts";
import { backup } from "../../src/server/upkeep/backup.ts";
import { verifyCopy } from "../../src/server/upkeep/verifyCopy.ts";
import { codeOf, type Opened, openIn, temporaryDirectory } from "../cell/nodes.ts";

const TTL = 3_000;

class Book extends Cell {
  static override migrations = ["CREATE TABLE line (id INTEGER PRIMARY KEY, text TEXT NOT NULL) STRICT"];
  add(text: string) {
    this.sql`INSERT INTO line (text) VALUES (${text})`;
  }
  all() {
    return this.sql.all<{ text: string }>`SELECT text FROM line ORDER BY id`.map(({ text }) => text);
  }
  async keep(text: string) {
    return (await this.files.put(text)).hash;
  }
  async kept(hash: string) {
    return (await this.files.get(hash))?.text();
  }
}

const cells = { book: Book };

function folder(): string {
  return path.join(temporaryDirectory(), "bucket");
}

function onNewDisk(bucket: string): Promise<Opened> {
  return openIn(temporaryDirectory(), cells, { bucket: { url: `dir:${bucket}` }, ttlMs: TTL });
}

function inBucket({ node: { commitLog } }: Opened): Promise<void> {
  return new Promise((resolve) => commitLog.waitConfirmed(commitLog.appended, resolve));
}

/** A bucket with some calls that do what they are told here. */
function changed(bucket: Bucket, calls: Partial<Bucket>): Bucket {
  return new Proxy(bucket, {
    get: (target, name) => {
      const own = calls[name as keyof Bucket];
      const value: unknown = own ?? target[name as keyof Bucket];
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}

async function copy(from: string, to: string): Promise<Awaited<ReturnType<typeof backup>>> {
  const [source, target] = [await openBucket(`dir:${from}`), await openBucket(`dir:${to}`)];
  try {
    return await backup({ from: source, to: target });
  } finally {
    await Promise.all([source.close(), target.close()]);
  }
}

test("a copy that is made while a node writes holds what was confirmed before, and a node starts on it", async () => {
  const [from, to] = [folder(), folder()];
  const first = await onNewDisk(from);
  await first.get(Book, "a").add("before");
  const hash = await first.get(Book, "a").keep("a file");
  await inBucket(first);
  const stop = new AbortController();
  const writing = (async () => {
    for (let i = 0; !stop.signal.aborted; i++) {
      await first.get(Book, `n${i % 50}`).add(`${i}`);
      await first.node.commitLog.flushed();
    }
  })();
  const source = await openBucket(`dir:${from}`);
  const slow = changed(source, {
    get: async (...args) => {
      // Segments come in between.
      await new Promise((resolve) => setTimeout(resolve, 50));
      return source.get(...args);
    },
  });
  const target = await openBucket(`dir:${to}`);
  const counts = await backup({ from: slow, to: target });
  stop.abort();
  await writing;
  expect(counts).toMatchObject({ passes: 1, objects: counts.copied });
  const verified = await verifyCopy(target);
  expect(verified).toMatchObject({ wrong: [] });
  expect(verified.cells).toBeGreaterThan(0);
  expect(fs.existsSync(path.join(to, "node"))).toBe(false);

  const second = await onNewDisk(to);
  expect(await second.get(Book, "a").all()).toEqual(["before"]);
  expect(await second.get(Book, "a").kept(hash)).toBe("a file");
  await second.get(Book, "a").add("in the copy");
  expect(second.lines.join("\n")).toMatch(/another run had ended without a word/);
  expect(await first.get(Book, "a").all()).toEqual(["before"]);
  // It goes its own way now.
  await second.node.stop();
  expect(await codeOf(copy(from, to))).toBe("DATA_FOREIGN");

  const back = folder();
  await copy(to, back);
  const third = await onNewDisk(back);
  expect(await third.get(Book, "a").all()).toEqual(["before", "in the copy"]);
});

test("a copy that was broken off is refused to nodes and as a source, and goes on where it was; a later one brings what is new", async () => {
  const [from, to] = [folder(), folder()];
  const first = await onNewDisk(from);
  for (const name of ["a", "b", "c"]) await first.get(Book, name).add(name);
  await first.node.stop();
  const [source, target] = [await openBucket(`dir:${from}`), await openBucket(`dir:${to}`)];
  let puts = 0;
  const breaks = changed(target, {
    put: (...args) => {
      puts += 1;
      if (puts > 3) return Promise.reject(new FrondError("BUCKET_FAILED", "the line is down"));
      return target.put(...args);
    },
  });
  expect(await codeOf(backup({ from: source, to: breaks }))).toBe("BUCKET_FAILED");
  expect(await codeOf(onNewDisk(to))).toBe("COPY_INCOMPLETE");
  expect(await codeOf(copy(to, folder()))).toBe("COPY_INCOMPLETE");
  const rest = await backup({ from: source, to: target });
  expect(rest.copied).toBeLessThan(rest.objects);
  expect(await backup({ from: source, to: target })).toMatchObject({ objects: rest.objects, copied: 0, bytes: 0 });

  const again = await openIn(first.directory, cells, { bucket: "as before", ttlMs: TTL });
  await again.get(Book, "a").add("more");
  await again.node.stop();
  const more = await backup({ from: source, to: target });
  expect(more.copied).toBeGreaterThan(0);
  expect(more.objects).toBe(rest.objects + more.copied);
  expect(await verifyCopy(target)).toMatchObject({ wrong: [], cells: 3 });
  const second = await onNewDisk(to);
  expect(await second.get(Book, "a").all()).toEqual(["a", "more"]);
  // A node is there.
  expect(await codeOf(copy(from, to))).toBe("BUCKET_IN_USE");
});

test("what goes from the source while it is copied is looked for anew, and a place that is not empty is left alone", async () => {
  const [from, to] = [folder(), folder()];
  const first = await onNewDisk(from);
  await first.get(Book, "a").add("a");
  await first.node.stop();
  const source = await openBucket(`dir:${from}`);
  const missed = new Set<string>();
  const misses = changed(source, {
    get: (key, ...rest) => {
      if (!key.startsWith("log/") || missed.has(key)) return source.get(key, ...rest);
      missed.add(key);
      return Promise.resolve(undefined);
    },
  });
  const target = await openBucket(`dir:${to}`);
  expect(await backup({ from: misses, to: target })).toMatchObject({ passes: 2 });
  expect(await verifyCopy(target)).toMatchObject({ wrong: [], cells: 1 });
  const never = changed(source, {
    get: (key, ...rest) => (key === "cluster" ? source.get(key, ...rest) : Promise.resolve(undefined)),
  });
  expect(await codeOf(backup({ from: never, to: await openBucket(`dir:${folder()}`) }))).toBe("BUCKET_FAILED");

  const other = await onNewDisk(folder());
  expect(await codeOf(copy(other.node.keeper?.bucket.url.slice(4) as string, to))).toBe("DATA_FOREIGN");
  const foreign = folder();
  await (await openBucket(`dir:${foreign}`)).put("something/else", Buffer.from("x"));
  expect(await codeOf(copy(from, foreign))).toBe("DATA_FOREIGN");
  expect(await codeOf(copy(folder(), to))).toBe("DATA_FOREIGN");
});

test("a look through a copy names what is missing, cut off or another object", async () => {
  const from = folder();
  const first = await onNewDisk(from);
  for (const name of ["a", "b"]) await first.get(Book, name).add(name);
  await first.node.stop();
  const run = fs.readdirSync(path.join(from, "log"))[0] as string;
  const segment = path.join(from, "log", run, "0000000001");
  const bytes = fs.readFileSync(segment);
  const bucket = await openBucket(`dir:${from}`);
  const wrong = async () => (await verifyCopy(bucket)).wrong.join("\n");
  expect(await wrong()).toBe("");
  fs.writeFileSync(segment, bytes.subarray(0, -3));
  expect(await wrong()).toContain(`log/${run}/0000000001`);
  fs.rmSync(segment);
  expect(await wrong()).toContain(`log/${run}/0000000001 is gone`);
  fs.writeFileSync(segment, bytes);
  const pack = path.join(from, "pack", run, "0000000001-0000000002");
  fs.mkdirSync(path.dirname(pack), { recursive: true });
  fs.writeFileSync(pack, bytes);
  expect(await wrong()).toContain("0000000001-0000000002");
});

test("what a commit needs that comes into the copy comes along: a file, and a content that was put in, while it is made", async () => {
  const [from, to] = [folder(), folder()];
  const first = await onNewDisk(from);
  await first.get(Book, "a").add("before");
  await first.get(Book, "b").add("before");
  await inBucket(first);
  const large = path.join(temporaryDirectory(), "large.db");
  const db = new DatabaseSync(large);
  db.exec(`CREATE TABLE b (b BLOB); INSERT INTO b VALUES (randomblob(${MAX_COMMIT_BYTES + 1_000_000}))`);
  db.close();
  const source = await openBucket(`dir:${from}`);
  let hash = "";
  const busy = changed(source, {
    list: async (...args) => {
      if (args[0].startsWith("log/") && hash === "") {
        hash = await first.get(Book, "a").keep("a file");
        await first.node.control.importFrom("book/b", large, true);
        await inBucket(first);
      }
      return source.list(...args);
    },
  });
  const target = await openBucket(`dir:${to}`);
  await backup({ from: busy, to: target });
  expect(hash).not.toBe("");
  expect(await verifyCopy(target)).toMatchObject({ wrong: [] });
  const second = await onNewDisk(to);
  const kept = await second
    .get(Book, "a")
    .kept(hash)
    .catch((error: Error) => error.message);
  expect([undefined, "a file"]).toContain(kept);
  // As it was before, or with the content that has no lines.
  expect([["before"], []]).toContainEqual(await second.get(Book, "b").all());
});
