// Histories, looks at the past, restores and archives, as the app has them outside of its cells.

import fs from "node:fs";
import path from "node:path";
import { afterEach, expect, test } from "vitest";
import type { FetchContext, ServiceContext } from "../../src/cell/app.ts";
import { Cell } from "../../src/cell/cell.ts";
import type { PastCommit } from "../../src/cell/past.ts";
import { PAST_AT_ONCE } from "../../src/limits.ts";
import { readArchive } from "../../src/server/files/fileArchive.ts";
import { codeOf, type Opened, openIn, SlowDisk, temporaryDirectory } from "./nodes.ts";

class Book extends Cell {
  static override migrations = ["CREATE TABLE line (id INTEGER PRIMARY KEY, text TEXT NOT NULL) STRICT"];
  add(text: string) {
    this.sql`INSERT INTO line (text) VALUES (${text})`;
  }
  all() {
    return this.sql.all<{ text: string }>`SELECT text FROM line ORDER BY id`.map(({ text }) => text);
  }
  keep(text: string) {
    return this.files.put(text, { name: "kept.txt" });
  }
  wipe() {
    return this.ctx.storage.deleteAll();
  }
}

class Stranger extends Cell {}

const cells = { book: Book };

/** What the next request does. */
let work: (context: FetchContext) => Promise<unknown> = async () => {};
afterEach(() => void (work = async () => {}));

interface Served extends Opened {
  /** Does something as a request of the app; resolves when its answer may leave. */
  ask<T>(what: (context: FetchContext) => Promise<T>): Promise<T>;
  readonly service: ServiceContext;
}

async function serve(options: Parameters<typeof openIn>[2] = {}): Promise<Served> {
  let service: ServiceContext | undefined;
  const opened = await openIn(temporaryDirectory(), cells, {
    bucket: "as before",
    async fetch(_request, context) {
      await work(context);
      return new Response();
    },
    start: (context) => void (service = context),
    ...options,
  });
  await opened.node.startServices();
  return {
    ...opened,
    service: service as unknown as ServiceContext,
    async ask<T>(what: (context: FetchContext) => Promise<T>): Promise<T> {
      let answer: T | undefined;
      work = async (context) => (answer = await what(context));
      await opened.node.handle(new Request("http://test/"), { remoteAddress: "" });
      return answer as T;
    },
  };
}

const inTmp = ({ directory }: Opened): string[] => fs.readdirSync(path.join(directory, "tmp"));
const texts = (rows: readonly { text: string }[]): string[] => rows.map(({ text }) => text);

test("a request lists the past of a cell, looks at it, goes back to it, and forward again", async () => {
  const served = await serve();
  const before = Date.now();
  for (const text of ["1", "2", "3"]) await served.get(Book, "a/b").add(text);
  await served.ask(async ({ get, history, past, restore }) => {
    const commits = await history(Book, "a/b");
    expect(commits.map(({ position, what }) => `${position} ${what}`)).toEqual([
      "1-3 changed",
      "1-2 changed",
      "1-1 created",
    ]);
    expect(commits.every(({ time, size }) => time >= before && time <= Date.now() && size > 0)).toBe(true);
    const [newest, second] = commits as [PastCommit, PastCommit];
    expect(await history(Book, "a/b", { limit: 1 })).toEqual([newest]);
    expect(await history(Book, "a/b", { since: new Date(before), limit: 2 })).toEqual([newest, second]);
    expect(await history(Book, "a/b", { since: Date.now() + 60_000 })).toEqual([]);

    const then = past(Book, "a/b", { at: second.position });
    expect(texts(await then.all<{ text: string }>`SELECT text FROM line ORDER BY id`)).toEqual(["1", "2"]);
    expect(await then.first`SELECT text FROM line WHERE id > ${1}`).toEqual({ text: "2" });
    expect(await then.first`SELECT text FROM line WHERE id > ${2}`).toBeUndefined();
    expect(await past(Book, "a/b", { at: second.time }).one`SELECT count(*) >= 2 AS n FROM line`).toEqual({ n: 1 });

    const back = await restore(Book, "a/b", { at: second.position });
    expect(back).toEqual({ position: "1-2", time: second.time, now: "1-4", before: "1-3", missingFiles: 0 });
    expect(await get(Book, "a/b").all()).toEqual(["1", "2"]);
    await restore(Book, "a/b", { at: back.before as string });
    expect(await get(Book, "a/b").all()).toEqual(["1", "2", "3"]);
    expect((await history(Book, "a/b", { limit: 2 })).map(({ what }) => what)).toEqual(["replaced", "replaced"]);
    const late = restore(Book, "a/b", { at: "1-1", ifAt: "1-4" });
    expect(await codeOf(late)).toBe("CELL_CHANGED");
    expect(await codeOf(restore(Book, "none", { at: "1-1", ifAt: "1-1" }))).toBe("CELL_MISSING");
    expect(await get(Book, "a/b").all()).toEqual(["1", "2", "3"]);
    expect((await restore(Book, "a/b", { at: "1-3", ifAt: "1-5" })).now).toBe("1-6");
    await get(Book, "a/b").wipe();
    const again = await restore(Book, "a/b", { at: "1-1" });
    expect([again.position, again.before]).toEqual(["1-1", undefined]);
    expect(await get(Book, "a/b").all()).toEqual(["1"]);
  });
  expect(inTmp(served)).toEqual([]);
});

test("the past cannot be changed, and answers as a cell does", async () => {
  const served = await serve();
  await served.get(Book, "a").add("1");
  await served.ask(async ({ past }) => {
    const then = past(Book, "a", { at: "1-1" });
    expect(await codeOf(then.all`DELETE FROM line`)).toBe("SQL_DENIED");
    expect(await codeOf(then.all`SELECT * FROM _frond_migration`)).toBe("SQL_DENIED");
    expect(await codeOf(then.all`SELECT nothing FROM line`)).toBe("SQL_ERROR");
    expect(await codeOf(then.one`SELECT 1 FROM line WHERE id = 9`)).toBe("SQL_ONE_ROW");
    expect(await codeOf(then.all`SELECT ${{}}`)).toBe("BAD_VALUE");
    expect(await codeOf(then.all("SELECT 1" as never))).toBe("SQL_ERROR");
    expect(await codeOf(past(Book, "none", { at: "1-1" }).all`SELECT 1`)).toBe("CELL_MISSING");
    expect(await codeOf(past(Book, "a", { at: 5 }).all`SELECT 1`)).toBe("CELL_MISSING");
  });
  expect(await served.get(Book, "a").all()).toEqual(["1"]);
  expect(inTmp(served)).toEqual([]);
});

test("what makes no sense is refused before anything is done", async () => {
  const served = await serve();
  await served.get(Book, "a").add("1");
  await served.ask(async ({ history, past, restore, export: archive }) => {
    const wrong: Promise<unknown>[] = [
      history(Book, "a", { limit: 0 }),
      history(Book, "a", { limit: 10_001 }),
      history(Book, "a", { since: new Date(Number.NaN) }),
      history(Book, "a", { until: 5 } as never),
      restore(Book, "a", {} as never),
      restore(Book, "a", undefined as never),
      restore(Book, "a", { at: "yesterday" }),
      restore(Book, "a", { at: "1-1", ifAt: "now" }),
      restore(Book, "a", { at: "1-1", dry: true } as never),
    ];
    for (const [i, each] of wrong.entries()) expect([i, await codeOf(each)]).toEqual([i, "BAD_OPTION"]);
    expect(() => past(Book, "a", { at: Number.NaN })).toThrow(/at is a Date or a time in ms/);
    expect(await codeOf(restore(Stranger, "a", { at: "1-1" }))).toBe("UNKNOWN_KIND");
    expect(await codeOf(archive(Book, ""))).toBe("BAD_ADDRESS");
    expect(await codeOf(archive(Book, "none"))).toBe("CELL_MISSING");
    expect(await codeOf(history(Book, "none"))).toBe("CELL_MISSING");
  });
});

test("without a bucket there is no past, and an archive all the same", async () => {
  const served = await serve({ bucket: undefined } as never);
  await served.get(Book, "a").add("1");
  await served.ask(async ({ history, past, restore, export: archive }) => {
    expect(await codeOf(history(Book, "a"))).toBe("NO_BUCKET");
    expect(await codeOf(restore(Book, "a", { at: "1-1" }))).toBe("NO_BUCKET");
    expect(await codeOf(past(Book, "a", { at: "1-1" }).all`SELECT 1`)).toBe("NO_BUCKET");
    const { size, stream } = await archive(Book, "a");
    expect((await new Response(stream).arrayBuffer()).byteLength).toBe(size);
  });
});

test("an archive is a stream of the database and the files, and takes no space when it was read or given up", async () => {
  const served = await serve();
  await served.get(Book, "a").add("1");
  const { hash } = await served.get(Book, "a").keep("a file");
  const file = path.join(temporaryDirectory(), "a.tar");
  await served.ask(async ({ export: archive }) => {
    const { size, stream } = await archive(Book, "a");
    expect(inTmp(served)).toEqual([]);
    fs.writeFileSync(file, new Uint8Array(await new Response(stream).arrayBuffer()));
    expect(fs.statSync(file).size).toBe(size);
    const given = await archive(Book, "a");
    await given.stream.cancel();
    expect(openFiles(served)).toEqual([]);
  });
  const entries: string[] = [];
  for await (const { name, content } of readArchive(file)) {
    let bytes = 0;
    for await (const chunk of content) bytes += chunk.length;
    entries.push(`${name} ${bytes > 0}`);
  }
  expect(entries).toEqual(["cell.db true", `files/${hash} true`]);
});

/** Archives in the folder for temporary files that this process has open. */
function openFiles({ directory }: Opened): string[] {
  return fs
    .readdirSync("/proc/self/fd")
    .flatMap((fd) => {
      try {
        return [fs.readlinkSync(`/proc/self/fd/${fd}`)];
      } catch {
        return [];
      }
    })
    .filter((target) => target.startsWith(path.join(directory, "tmp")) && target.includes("export-"));
}

test("a service has the same tools, and of much work little runs at once, and all gets its turn", async () => {
  const served = await serve();
  await served.get(Book, "a").add("1");
  const { history, past, restore, export: archive } = served.service;
  expect(await past(Book, "a", { at: "1-1" }).one`SELECT text FROM line`).toEqual({ text: "1" });
  expect((await history(Book, "a")).length).toBe(1);
  const seen: number[] = [];
  const look = setInterval(() => seen.push(inTmp(served).filter((name) => /^archive-.*\.db$/.test(name)).length), 1);
  const archives = Promise.all(Array.from({ length: PAST_AT_ONCE * 3 }, () => archive(Book, "a")));
  for (const { stream } of await archives) await stream.cancel();
  clearInterval(look);
  const most = Math.max(...seen);
  expect([most > 0, most <= PAST_AT_ONCE]).toEqual([true, true]);
  expect((await restore(Book, "a", { at: "1-1" })).now).toBe("1-2");
});

test("nothing of it is told before the disk has it: an archive, a restore, nor that there is no cell", async () => {
  const disk = new SlowDisk();
  const served = await serve({ io: disk });
  await served.get(Book, "a").add("1");
  await served.service.history(Book, "a");
  disk.hold();
  const { export: archive, restore } = served.service;
  void served.get(Book, "a").add("2");
  const told: string[] = [];
  const waits = [
    archive(Book, "a").then(({ stream }) => {
      told.push("archive");
      return stream.cancel();
    }),
    codeOf(archive(Book, "none")).then(() => void told.push("missing")),
  ];
  for (let i = 0; i < 50; i++) await new Promise((resolve) => setTimeout(resolve, 5));
  expect(told).toEqual([]);
  disk.release();
  await Promise.all(waits);
  expect(told.toSorted()).toEqual(["archive", "missing"]);
  expect((await restore(Book, "a", { at: "1-1" })).before).toBe("1-2");
});
