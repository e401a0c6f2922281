// `this.files` on real nodes: what is put, referenced, read and let go; the bucket is the folder inside of the directory.

import { createHash } from "node:crypto";
import fs from "node:fs";
import path from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { Cell } from "../../src/cell/cell.ts";
import type { FileRange } from "../../src/cell/fileBody.ts";
import { type FileSource, piecesOf } from "../../src/cell/filePieces.ts";
import type { FileInfo, FileOptions, StoredFile } from "../../src/cell/files.ts";
import { FILE_PIECE_BYTES, MAX_FILE_BYTES, MAX_FILE_LABEL } from "../../src/limits.ts";
import { fileRows } from "../../src/store/fileRows.ts";
import { afterKill, codeOf, commitsIn, failureOf, type Opened, openCells, reopen } from "./nodes.ts";

class Box extends Cell {
  static override migrations = ["CREATE TABLE kept (hash TEXT NOT NULL) STRICT"];

  async put(source: Uint8Array | string, options?: FileOptions): Promise<StoredFile> {
    return this.files.put(source, options);
  }
  async putFrom(make: number): Promise<StoredFile> {
    return this.files.put(SOURCES[make]?.() as FileSource);
  }
  putAndReturn(source: string): Promise<StoredFile> {
    return this.files.put(source);
  }
  async putAndName(source: string): Promise<string[]> {
    const { hash } = await this.files.put(source);
    this.sql`INSERT INTO kept VALUES (${hash})`;
    return this.named();
  }
  named(): string[] {
    return this.sql.all<{ hash: string }>`SELECT hash FROM kept`.map(({ hash }) => hash);
  }
  putUnawaited(source: string): void {
    void this.files.put(source);
  }
  putAndThrow(source: string): void {
    void this.files.put(source);
    throw new Error("taken back");
  }
  async putInTransaction(source: string): Promise<string> {
    let put: Promise<unknown> | undefined;
    try {
      this.transaction(() => {
        this.sql`INSERT INTO kept VALUES ('x')`;
        put = this.files.put(source);
        throw new Error("taken back");
      });
    } catch {
      // Looked at below.
    }
    return (await failureOf(put as Promise<unknown>)).code as string;
  }
  async putInLong(source: string, fails: boolean): Promise<void> {
    await this.ctx.storage.transaction(async () => {
      await this.files.put(source);
      if (fails) throw new Error("taken back");
    });
  }
  async text(hash: string, range?: FileRange): Promise<string | undefined> {
    return (await this.files.get(hash, range))?.text();
  }
  async bytes(hash: string, range?: FileRange): Promise<Uint8Array | undefined> {
    const file = await this.files.get(hash, range);
    return file && new Uint8Array(await file.arrayBuffer());
  }
  async chunks(hash: string): Promise<number[]> {
    const sizes: number[] = [];
    const file = await this.files.get(hash);
    for await (const chunk of file?.stream ?? []) sizes.push(chunk.length);
    return sizes;
  }
  async info(hash: string): Promise<unknown> {
    const { size, type, name } = (await this.files.get(hash)) ?? {};
    return { size, type, name };
  }
  keep(hash: string): void {
    this.files.keep(hash);
  }
  drop(hash: string): boolean {
    return this.files.delete(hash);
  }
  dropAndThrow(hash: string): void {
    this.files.delete(hash);
    throw new Error("taken back");
  }
  has(hash: string): boolean {
    return this.files.has(hash);
  }
  list(): FileInfo[] {
    return this.files.list();
  }
  async deleteEverything(): Promise<void> {
    await this.ctx.storage.deleteAll();
  }
  async inOrder(): Promise<string[]> {
    const order: string[] = [];
    const put = this.files.put("a").then(() => order.push("put"));
    await this.ctx.blockConcurrencyWhile(async () => {
      await new Promise((resolve) => setTimeout(resolve, 300));
      order.push("scope");
    });
    await put;
    return order;
  }
  override async fetch(request: Request): Promise<Response> {
    if (request.method === "PUT")
      return Response.json(await this.files.put(request.body as ReadableStream<Uint8Array>));
    return this.files.response(new URL(request.url).pathname.slice(1), request, { "x-own": "yes" });
  }
}

/** Sources that cannot be sent to a cell. */
const SOURCES: (() => unknown)[] = [];

function reserve(make: () => unknown): number {
  return SOURCES.push(make) - 1;
}

const cells = { box: Box };

function sha256(content: string | Uint8Array): string {
  return createHash("sha256").update(content).digest("hex");
}

/** Where the objects of a directory lie. */
function objects({ directory }: Opened): string {
  return path.join(directory, "bucket", "files");
}

function stored(opened: Opened): string[] {
  return fs.existsSync(objects(opened)) ? fs.readdirSync(objects(opened)).toSorted() : [];
}

function spooled({ directory }: Opened): string[] {
  return fs.readdirSync(path.join(directory, "tmp")).filter((name) => name.startsWith("file-"));
}

const large = Buffer.alloc(3 * FILE_PIECE_BYTES + 12_345, "0123456789abcdefghijk");

describe("put", () => {
  test("stores bytes, text, blobs and streams under their SHA-256", async () => {
    const opened = await openCells(cells);
    const box = opened.get(Box, "a");
    expect(await box.put("hällo")).toEqual({ hash: sha256("hällo"), size: 6 });
    expect(await box.put(new Uint8Array([1, 2, 3]))).toEqual({ hash: sha256(new Uint8Array([1, 2, 3])), size: 3 });
    expect(await box.put("")).toEqual({ hash: sha256(""), size: 0 });
    expect(await box.put(large)).toEqual({ hash: sha256(large), size: large.length });
    const sources = [
      () => new Blob(["of a ", "blob"]),
      () => new Response("of a stream").body,
      async function* () {
        yield Buffer.from("of ");
        yield Buffer.alloc(0);
        yield Buffer.from("crumbs");
      },
    ];
    const [blob, stream, crumbs] = await Promise.all(
      sources.map((make) => box.putFrom(reserve(() => (make as () => unknown)()))),
    );
    expect([blob?.hash, stream?.hash, crumbs?.hash]).toEqual(["of a blob", "of a stream", "of crumbs"].map(sha256));
    expect(await Promise.all(["hällo", "", "of crumbs"].map((text) => box.text(sha256(text))))).toEqual([
      "hällo",
      "",
      "of crumbs",
    ]);
    expect(Buffer.compare((await box.bytes(sha256(large))) as Uint8Array, large)).toBe(0);
    expect(stored(opened)).toHaveLength(7);
    expect(spooled(opened)).toEqual([]);
  });

  test("resolves when the file is in the bucket, and the verb goes on with the reference committed", async () => {
    const opened = await openCells(cells);
    expect(await opened.get(Box, "a").putAndName("x")).toEqual([sha256("x")]);
    expect(stored(opened)).toEqual([sha256("x")]);
    await opened.node.commitLog.flushed();
    // The migrations and the reference, then the row that names it.
    expect(commitsIn(opened.directory, "box/a")).toHaveLength(2);
    const killed = await afterKill(opened, cells);
    expect(await killed.get(Box, "a").list()).toMatchObject([{ hash: sha256("x"), size: 1, references: 1 }]);
    expect(await killed.get(Box, "a").text(sha256("x"))).toBe("x");
  });

  test("a source is read no faster than it is stored", async () => {
    const opened = await openCells(cells);
    let given = 0;
    let most = 0;
    const pieces = reserve(async function* () {
      for (let i = 0; i < 40; i++) {
        given += 1;
        const [spool] = spooled(opened);
        const there = spool === undefined ? 0 : fs.statSync(path.join(opened.directory, "tmp", spool)).size;
        most = Math.max(most, given * FILE_PIECE_BYTES - there);
        yield new Uint8Array(FILE_PIECE_BYTES).fill(i);
      }
    });
    expect(await opened.get(Box, "a").putFrom(pieces)).toMatchObject({ size: 40 * FILE_PIECE_BYTES });
    expect(most).toBeLessThanOrEqual(2 * FILE_PIECE_BYTES);
  });

  test("a source that fails is the failure of put, and leaves nothing", async () => {
    const opened = await openCells(cells);
    const box = opened.get(Box, "a");
    let ended = false;
    const failing = reserve(async function* () {
      yield Buffer.from("some");
      throw new RangeError("the client has gone");
    });
    expect(await failureOf(box.putFrom(failing))).toMatchObject({ name: "RangeError", message: "the client has gone" });
    const wrong = reserve(async function* () {
      try {
        yield "text";
      } finally {
        ended = true;
      }
    });
    expect(await codeOf(box.putFrom(wrong))).toBe("BAD_VALUE");
    expect(ended).toBe(true);
    expect(await codeOf(box.putFrom(reserve(() => 7)))).toBe("BAD_VALUE");
    expect(await codeOf(box.put("x", { kind: "x" } as FileOptions))).toBe("BAD_OPTION");
    expect(await codeOf(box.put("x", { name: "a".repeat(MAX_FILE_LABEL + 1) }))).toBe("BAD_OPTION");
    expect(await codeOf(box.put("x", { name: "a\nb" }))).toBe("BAD_OPTION");
    expect(await box.list()).toEqual([]);
    expect([stored(opened), spooled(opened)]).toEqual([[], []]);
  });

  test("more than MAX_FILE_BYTES are refused: before the first byte where the size is known, else when they come", async () => {
    const file = path.join(
      fs.mkdtempSync(path.join(import.meta.dirname, "../../../../node_modules/.frond-large-")),
      "large",
    );
    onTestFinished(() => fs.rmSync(path.dirname(file), { recursive: true }));
    fs.writeFileSync(file, "");
    fs.truncateSync(file, MAX_FILE_BYTES + 1);
    const blob = await fs.openAsBlob(file);
    let pieces = 0;
    const drain = async (from: FileSource): Promise<void> => {
      for await (const piece of piecesOf(from, () => {})) pieces += Number(piece.length > 0);
    };
    expect(await codeOf(drain(blob))).toBe("FILE_TOO_LARGE");
    expect(pieces).toBe(0);
    const piece = new Uint8Array(FILE_PIECE_BYTES);
    const stream = async function* (): AsyncGenerator<Uint8Array> {
      for (let at = 0; at < MAX_FILE_BYTES; at += piece.length) yield piece;
      yield piece.subarray(0, 1);
    };
    expect(await codeOf(drain(stream()))).toBe("FILE_TOO_LARGE");
    expect(pieces).toBe(MAX_FILE_BYTES / FILE_PIECE_BYTES);
  });

  test("the same bytes are stored once, and are whoever's who put them", async () => {
    const opened = await openCells(cells);
    await opened.get(Box, "a").put("same");
    const [object] = stored(opened);
    const { ino } = fs.statSync(path.join(objects(opened), object as string));
    await opened.get(Box, "b").put("same");
    expect(fs.statSync(path.join(objects(opened), object as string)).ino).toBe(ino);
    expect(await opened.get(Box, "a").drop(sha256("same"))).toBe(true);
    expect(await opened.get(Box, "b").text(sha256("same"))).toBe("same");
    expect(await opened.get(Box, "c").has(sha256("same"))).toBe(false);
    expect(await opened.get(Box, "c").text(sha256("same"))).toBeUndefined();
  });
});

describe("put and transactions", () => {
  test("a verb that does not await a put does not end before it", async () => {
    const opened = await openCells(cells);
    const box = opened.get(Box, "a");
    await box.putUnawaited("late");
    await opened.node.stop();
    const again = await reopen(opened, cells);
    expect(await again.get(Box, "a").has(sha256("late"))).toBe(true);
  });

  test("a verb that is not declared async can return what put promises", async () => {
    const { get } = await openCells(cells);
    expect(await get(Box, "a").putAndReturn("x")).toMatchObject({ size: 1 });
    expect(await get(Box, "a").has(sha256("x"))).toBe(true);
  });

  test("what was put in a transaction that is rolled back is not referenced, and nobody has to await it", async () => {
    const { get } = await openCells(cells);
    const box = get(Box, "a");
    expect(await failureOf(box.putAndThrow("one"))).toMatchObject({ message: "taken back" });
    expect(await box.putInTransaction("two")).toBe("TX_ABORTED");
    expect((await failureOf(box.putInLong("three", true))).message).toBe("taken back");
    await box.putInLong("four", false);
    expect((await box.list()).map(({ hash }) => hash)).toEqual([sha256("four")]);
  });

  test("the end of a put waits for a scope that has the cell", async () => {
    const { get } = await openCells(cells);
    expect(await get(Box, "a").inOrder()).toEqual(["scope", "put"]);
  });
});

describe("references", () => {
  test("a cell has a file until it was deleted as often as it was put and kept", async () => {
    const { get } = await openCells(cells);
    const box = get(Box, "a");
    const { hash } = await box.put("x");
    await box.put("x");
    await box.keep(hash);
    expect(await box.list()).toMatchObject([{ references: 3 }]);
    expect([await box.drop(hash), await box.drop(hash), await box.has(hash)]).toEqual([true, true, true]);
    expect([await box.drop(hash), await box.drop(hash), await box.has(hash)]).toEqual([true, false, false]);
    expect(await codeOf(box.keep(hash))).toBe("FILE_MISSING");
    expect(await box.text(hash)).toBeUndefined();
    await box.put("x");
    expect(await box.text(hash)).toBe("x");
  });

  test("keep and delete are writes of their verb, and taken back with it", async () => {
    const { get } = await openCells(cells);
    const box = get(Box, "a");
    const { hash } = await box.put("x");
    await failureOf(box.dropAndThrow(hash));
    expect(await box.has(hash)).toBe(true);
  });

  test("a file that was let go is still named, with its time, for those who restore and collect", async () => {
    const { get, node } = await openCells(cells);
    const box = get(Box, "a");
    const { hash } = await box.put("gone");
    await box.put("there");
    const before = Date.now() - 1;
    await box.drop(hash);
    const cell = node.host.openCell("box/a" as never);
    const hashes = (since?: number): string[] =>
      fileRows((cell as NonNullable<typeof cell>).db, since).map((row) => row.hash);
    expect(hashes()).toEqual([sha256("there")]);
    expect(hashes(before)).toEqual([sha256("gone"), sha256("there")].toSorted());
    expect(hashes(Date.now())).toEqual([sha256("there")]);
  });

  test("a name and a type are kept with a file, those of the last put that states them", async () => {
    const { get } = await openCells(cells);
    const box = get(Box, "a");
    const { hash } = await box.put("x", { name: "a.txt", type: "text/plain" });
    await box.put("x", { name: "b.txt" });
    expect(await box.info(hash)).toEqual({ size: 1, type: "text/plain", name: "b.txt" });
    expect(await box.list()).toMatchObject([{ type: "text/plain", name: "b.txt" }]);
  });

  test("the files of a cell go with it", async () => {
    const { get } = await openCells(cells);
    const box = get(Box, "a");
    const { hash } = await box.put("x");
    await box.deleteEverything();
    expect([await box.has(hash), await box.list()]).toEqual([false, []]);
  });

  test("what is no hash is refused", async () => {
    const { get } = await openCells(cells);
    const box = get(Box, "a");
    const wrong = ["x", `${"a".repeat(63)}G`, "../../cluster", 7 as unknown as string];
    for (const hash of wrong) expect(await codeOf(box.has(hash))).toBe("BAD_VALUE");
    expect(await codeOf(box.text("x"))).toBe("BAD_VALUE");
    expect(await codeOf(box.drop("x"))).toBe("BAD_VALUE");
  });
});

describe("get", () => {
  test("gives a file piece by piece, or a part of it", async () => {
    const { get } = await openCells(cells);
    const box = get(Box, "a");
    const { hash } = await box.put(large);
    expect(await box.chunks(hash)).toEqual([FILE_PIECE_BYTES, FILE_PIECE_BYTES, FILE_PIECE_BYTES, 12_345]);
    const from = FILE_PIECE_BYTES - 5;
    expect(await box.text(hash, { from, to: from + 10 })).toBe(large.toString("latin1", from, from + 10));
    expect(await box.text(hash, { from: large.length - 3 })).toBe(large.toString("latin1", large.length - 3));
    expect(await box.text(hash, { from: large.length + 7 })).toBe("");
    for (const range of [{ from: -1 }, { from: 2, to: 1 }, { to: 0.5 }])
      expect(await codeOf(box.text(hash, range))).toBe("BAD_OPTION");
  });

  test("a file that the bucket has lost, or that is not what its name says, is told as such", async () => {
    const opened = await openCells(cells);
    const box = opened.get(Box, "a");
    const object = (text: string): string => path.join(objects(opened), sha256(text));
    for (const text of ["lost", "other", "short"]) await box.put(text);
    fs.rmSync(object("lost"));
    fs.writeFileSync(object("other"), "othes");
    fs.writeFileSync(object("short"), "sho");
    expect(await codeOf(box.text(sha256("lost")))).toBe("FILE_MISSING");
    expect(await failureOf(box.text(sha256("other")))).toMatchObject({
      code: "OBJECT_DAMAGED",
      message: expect.stringContaining(`files/${sha256("other")}`),
    });
    expect(await codeOf(box.text(sha256("short")))).toBe("OBJECT_DAMAGED");
    // It is not taken for what it says it is, and put whole again.
    await box.put("short");
    expect(await box.text(sha256("short"))).toBe("short");
  });

  test("a bucket that is away is a failure that a later attempt can cure", async () => {
    const opened = await openCells(cells);
    const box = opened.get(Box, "a");
    const { hash } = await box.put("x");
    const bucket = path.join(opened.directory, "bucket");
    fs.renameSync(bucket, `${bucket}-away`);
    expect(await failureOf(box.text(hash))).toMatchObject({ code: "BUCKET_FAILED", retryable: true });
    expect(await failureOf(box.put("y"))).toMatchObject({ code: "BUCKET_FAILED", retryable: true });
    fs.renameSync(`${bucket}-away`, bucket);
    expect(await box.text(hash)).toBe("x");
    await box.put("y");
    expect((await box.list()).length).toBe(2);
  });
});

describe("response", () => {
  type Ask = (headers?: Record<string, string>, method?: string, text?: string) => Promise<Response>;

  async function served(): Promise<Ask> {
    const { get } = await openCells(cells);
    const box = get(Box, "a");
    await box.put("0123456789", { type: "text/plain" });
    return (headers = {}, method = "GET", text = "0123456789") =>
      box.fetch(new Request(`http://x/${sha256(text)}`, { headers, method }));
  }

  test("answers with the file, its type, its length and its hash", async () => {
    const ask = await served();
    const answer = await ask();
    expect([answer.status, await answer.text()]).toEqual([200, "0123456789"]);
    expect(Object.fromEntries(answer.headers)).toMatchObject({
      "content-type": "text/plain",
      "content-length": "10",
      etag: `"${sha256("0123456789")}"`,
      "accept-ranges": "bytes",
      "x-own": "yes",
    });
  });

  test("answers HEAD, 304, 404 and ranges as HTTP has them", async () => {
    const ask = await served();
    const etag = `"${sha256("0123456789")}"`;
    const head = await ask({}, "HEAD");
    expect([head.status, head.headers.get("content-length"), await head.text()]).toEqual([200, "10", ""]);
    expect((await ask({ "if-none-match": `"x", W/${etag}` })).status).toBe(304);
    expect((await ask({}, "GET", "another")).status).toBe(404);
    const cases: [string, number, string, string | null][] = [
      ["bytes=2-4", 206, "234", "bytes 2-4/10"],
      ["bytes=7-", 206, "789", "bytes 7-9/10"],
      ["bytes=7-99", 206, "789", "bytes 7-9/10"],
      ["bytes=-3", 206, "789", "bytes 7-9/10"],
      ["bytes=-30", 206, "0123456789", "bytes 0-9/10"],
      ["bytes=10-", 416, "", "bytes */10"],
      ["bytes=-0", 416, "", "bytes */10"],
      ["bytes=4-2", 200, "0123456789", null],
      ["bytes=0-1,3-4", 200, "0123456789", null],
      ["lines=1-2", 200, "0123456789", null],
    ];
    for (const [range, status, text, content] of cases) {
      const answer = await ask({ range });
      expect([range, answer.status, await answer.text(), answer.headers.get("content-range")]).toEqual([
        range,
        status,
        text,
        content,
      ]);
    }
    expect((await ask({ range: "bytes=2-4", "if-range": etag })).status).toBe(206);
    expect((await ask({ range: "bytes=2-4", "if-range": '"other"' })).status).toBe(200);
  });

  test("a body that was sent to a cell can be put and answered again as a stream", async () => {
    const { node, get } = await openCells(cells, {
      fetch: (request, context) => context.get(Box, "a").fetch(request),
    });
    const info = { remoteAddress: "127.0.0.1" };
    const put = await node.handle(new Request("http://x/", { method: "PUT", body: large }), info);
    expect(await put.json()).toEqual({ hash: sha256(large), size: large.length });
    const answer = await node.handle(new Request(`http://x/${sha256(large)}`), info);
    expect(Buffer.compare(Buffer.from(await answer.arrayBuffer()), large)).toBe(0);
    expect(await get(Box, "a").has(sha256(large))).toBe(true);
  });
});
