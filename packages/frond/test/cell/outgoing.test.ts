// What leaves a cell other than its answers: streamed bodies chunk by chunk, requests to other servers, and the wait that
// code can ask for. A real server counts what reaches it while the disk is held back.

import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import v8 from "node:v8";
import vm from "node:vm";
import { expect, onTestFinished, test } from "vitest";
import { Cell } from "../../src/cell/cell.ts";
import type { Get } from "../../src/cell/stub.ts";
import { createLogger } from "../../src/server/logger.ts";
import { listenHttp } from "../../src/server/door/http.ts";
import { failureOf, isSettled, openCells, SlowDisk, turns } from "./nodes.ts";

let next: PromiseWithResolvers<void> = Promise.withResolvers();
/** The transaction of a test has begun: what it meets may come. */
let answered: PromiseWithResolvers<void> = Promise.withResolvers();

class Writer extends Cell {
  static override migrations = ["CREATE TABLE t (v TEXT) STRICT"];
  field = "";
  put(v: string) {
    this.sql`INSERT INTO t VALUES (${v})`;
  }
  count() {
    return this.sql.one<{ n: number }>`SELECT count(*) AS n FROM t`.n;
  }
  async putAndWait(v: string) {
    this.put(v);
    await this.durable();
    return "durable";
  }
  async syncs(v: string) {
    this.put(v);
    await this.ctx.storage.sync();
  }
  async ask(url: string) {
    this.put("before the request");
    const response = await this.ctx.fetch(url);
    return response.text();
  }
  askAndThrow(url: string) {
    this.put("taken back");
    void this.ctx.fetch(url).catch((error: { code?: string }) => codes.push(error.code));
    throw new Error("no");
  }
  async askInTransaction(url: string) {
    return this.ctx.storage.transaction(async () => {
      this.put("taken back");
      return (await this.ctx.fetch(url)).text();
    });
  }
  async waitInTransaction() {
    return this.ctx.storage.transaction(async () => {
      await this.durable();
      this.put("taken back");
      await this.durable();
    });
  }
  async setAndPut(v: string) {
    await turns(1);
    this.field = v;
    // Whoever waits for this goes on before the stretch is committed.
    next.resolve();
    this.put(v);
  }
  async askWithField(url: string) {
    await next.promise;
    return (await this.ctx.fetch(url + this.field)).text();
  }
  askInSync(url: string) {
    this.put("kept");
    void this.ctx.fetch(url);
  }
  async askAndPut(url: string) {
    const response = await this.ctx.fetch(url);
    next.resolve();
    this.put(await response.text());
  }
  async transact() {
    await this.ctx.storage.transaction(async () => {
      this.put("begins");
      answered.resolve();
      await settledLater();
      this.put("ends");
    });
  }
  all() {
    return this.sql.all<{ v: string }>`SELECT v FROM t ORDER BY rowid`.map((row) => row.v);
  }
  override fetch(): Response {
    const { put } = this;
    const write = put.bind(this);
    let chunk = 0;
    const stream = new ReadableStream<Uint8Array>({
      async pull(controller) {
        chunk += 1;
        if (chunk > 1) await next.promise;
        write(`chunk ${chunk}`);
        controller.enqueue(Buffer.from(`chunk ${chunk}\n`));
        if (chunk === 3) controller.close();
      },
    });
    return new Response(stream, { headers: { "x-kind": "stream" } });
  }
}

/** Answers with a stream; its own commit fails. */
class Orphan extends Cell {
  static override migrations = [
    `CREATE TABLE t (v TEXT PRIMARY KEY, parent TEXT REFERENCES t (v) DEFERRABLE INITIALLY DEFERRED) STRICT`,
  ];
  override fetch(): Response {
    this.sql`INSERT INTO t VALUES ('a', 'nobody')`;
    return new Response(new ReadableStream({ pull() {} }, { highWaterMark: 0 }));
  }
}

/** Answers with a stream that nobody reads, at once or after an await; or looks at the answer of another one. */
class Stream extends Cell {
  override async fetch(request: Request): Promise<Response> {
    if (request.url.endsWith("/look"))
      return new Response(String((await this.get(Stream, "other").fetch(look)).status));
    await turns(1);
    return new Response(new ReadableStream({ pull() {} }, { highWaterMark: 0 }));
  }
}
const look = new Request("http://test/");

/** Answers with a stream after an await; the commit of what the second chunk tells fails. */
class Late extends Cell {
  static override migrations = [
    `CREATE TABLE t (v TEXT PRIMARY KEY, parent TEXT REFERENCES t (v) DEFERRABLE INITIALLY DEFERRED) STRICT`,
  ];
  all() {
    return this.sql.all<{ v: string }>`SELECT v FROM t`.map((row) => row.v);
  }
  override async fetch(): Promise<Response> {
    await turns(1);
    const rows = [
      ["kept", null],
      ["not kept", "nobody"],
    ].values();
    const write = (row: (string | null)[]): unknown => this.sql`INSERT INTO t VALUES (${row[0]}, ${row[1]})`;
    const body = new ReadableStream<Uint8Array>({
      async pull(controller) {
        await turns(1);
        const row = rows.next();
        if (row.done === true) return controller.close();
        write(row.value);
        controller.enqueue(Buffer.from(`${row.value[0]}`));
      },
    });
    return new Response(body);
  }
}

const codes: unknown[] = [];

async function outside(): Promise<{ url: string; hits: () => number }> {
  let hits = 0;
  const server = createServer((_request, response) => {
    hits += 1;
    response.end("hello");
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => void server.close());
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`, hits: () => hits };
}

async function settledLater(): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, 50));
}

test("this.durable and storage.sync resolve when what was committed is on the disk", async () => {
  const disk = new SlowDisk();
  const { get } = await openCells({ writer: Writer }, { io: disk });
  const cell = get(Writer, "a");
  await cell.put("first");
  disk.hold();
  const answers = [cell.putAndWait("x"), cell.syncs("y")];
  expect(await isSettled(Promise.race(answers))).toBe(false);
  disk.release();
  expect(await answers[0]).toBe("durable");
  await answers[1];
});

test("ctx.fetch leaves when what the cell has seen is on the disk", async () => {
  const disk = new SlowDisk();
  const { get } = await openCells({ writer: Writer }, { io: disk });
  const { url, hits } = await outside();
  const cell = get(Writer, "a");
  await cell.put("first");
  disk.hold();
  const answer = cell.ask(url);
  await settledLater();
  expect(hits()).toBe(0);
  disk.release();
  expect(await answer).toBe("hello");
  expect(hits()).toBe(1);
});

test("a body of ctx.fetch that comes during another verb's transaction is given after it", async () => {
  const { get } = await openCells({ writer: Writer });
  answered = Promise.withResolvers();
  const server = createServer((_request, response) => {
    response.write("hel");
    void answered.promise.then(() => response.end("lo"));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => void server.close());
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  next = Promise.withResolvers();
  const cell = get(Writer, "a");
  const asked = cell.askAndPut(url);
  await next.promise;
  await Promise.all([asked, cell.transact()]);
  expect(await cell.all()).toEqual(["begins", "ends", "hello"]);
});

test("ctx.fetch tells nothing of another verb's stretch before its commit", async () => {
  const disk = new SlowDisk();
  const { get, node } = await openCells({ writer: Writer }, { io: disk });
  const { url, hits } = await outside();
  const cell = get(Writer, "a");
  await cell.put("first");
  await node.commitLog.flushed();
  next = Promise.withResolvers();
  const answer = cell.askWithField(url);
  disk.hold();
  const write = cell.setAndPut("x");
  await settledLater();
  expect(hits()).toBe(0);
  disk.release();
  expect(await answer).toBe("hello");
  await write;
});

test("ctx.fetch of a sync verb leaves with its commit and is dropped with its roll-back", async () => {
  const { get } = await openCells({ writer: Writer });
  const { url, hits } = await outside();
  const cell = get(Writer, "a");
  await cell.askAndThrow(url).catch(() => {});
  await settledLater();
  expect([hits(), codes]).toEqual([0, ["TX_ABORTED"]]);
  await cell.askInSync(url);
  await expect.poll(hits).toBe(1);
});

test("ctx.fetch of a transaction over awaits that has written is refused: nothing may leave before its end", async () => {
  const { url, hits } = await outside();
  const { get } = await openCells({ writer: Writer });
  const failure = await failureOf(get(Writer, "a").askInTransaction(url));
  expect(failure).toMatchObject({ code: "TX_ABORTED" });
  expect(hits()).toBe(0);
  expect(await get(Writer, "a").count()).toBe(0);
});

test("this.durable in a transaction over awaits that has written is refused: what it knows may be taken back", async () => {
  const { get } = await openCells({ writer: Writer });
  expect(await failureOf(get(Writer, "a").waitInTransaction())).toMatchObject({ code: "TX_ABORTED" });
  expect(await get(Writer, "a").count()).toBe(0);
});

test("each chunk of a streamed body waits until what it tells is on the disk", async () => {
  const disk = new SlowDisk();
  const { node } = await openCells(
    { writer: Writer },
    { io: disk, fetch: (request, { get }) => get(Writer, "a").fetch(request) },
  );
  const front = await listenHttp({
    host: "127.0.0.1",
    port: 0,
    handler: (request, info) => node.handle(request, info),
    log: createLogger({ level: "fatal", format: "json" }),
    state: () => ({ ready: true }),
  });
  onTestFinished(() => front.stop(0));
  next = Promise.withResolvers();
  const response = await fetch(`http://127.0.0.1:${front.address.port}/`);
  expect(response.headers.get("x-kind")).toBe("stream");
  const reader = (response.body as ReadableStream<Uint8Array>).getReader();
  const read = async () => Buffer.from((await reader.read()).value ?? []).toString();
  expect(await read()).toBe("chunk 1\n");
  disk.hold();
  next.resolve();
  const second = read();
  await settledLater();
  expect(await isSettled(second)).toBe(false);
  disk.release();
  expect((await second) + (await read())).toBe("chunk 2\nchunk 3\n");
  expect((await reader.read()).done).toBe(true);
});

test("a streamed body belongs to the invocation that answered with it, until it has ended or nobody wants it", async () => {
  const { node, get } = await openCells({ writer: Writer });
  next = Promise.withResolvers();
  const response = await get(Writer, "a").fetch(new Request("http://test/"));
  const reader = (response.body as ReadableStream<Uint8Array>).getReader();
  await reader.read();
  const live = node.host.openCell("writer/a" as never);
  expect(live?.running).toBe(1);
  await reader.cancel("enough");
  await turns();
  expect(live?.running).toBe(0);
  expect(await get(Writer, "a").count()).toBe(1);
});

test("a body that was thrown away unread ends, also that of a verb whose commit failed", async () => {
  v8.setFlagsFromString("--expose-gc");
  const collect = vm.runInNewContext("gc") as () => void;
  const { node, get } = await openCells({ writer: Writer, orphan: Orphan });
  next = Promise.withResolvers();
  expect((await get(Writer, "a").fetch(new Request("http://test/"))).status).toBe(200);
  expect((await failureOf(get(Orphan, "a").fetch(new Request("http://test/")))).message).toMatch(/FOREIGN KEY/);
  const running = () => {
    collect();
    return node.host.loads().map((load) => load.running);
  };
  await expect.poll(running).toEqual([0, 0]);
});

test("so does one that was thrown away by a cell or a service", async () => {
  v8.setFlagsFromString("--expose-gc");
  const collect = vm.runInNewContext("gc") as () => void;
  let get: Get | undefined;
  const { node } = await openCells({ stream: Stream }, { start: (service) => void (get = service.get) });
  await node.startServices();
  expect(await (await (get as Get)(Stream, "a").fetch(new Request("http://test/look"))).text()).toBe("200");
  expect((await (get as Get)(Stream, "b").fetch(look)).status).toBe(200);
  const running = () => {
    collect();
    return node.host.loads().map((load) => load.running);
  };
  await expect.poll(running).toEqual([0, 0, 0]);
});

test("a chunk whose commit fails is not told, also of a body that came after an await", async () => {
  const { get } = await openCells({ late: Late });
  const response = await get(Late, "a").fetch(new Request("http://test/"));
  const told: string[] = [];
  const reading = (async () => {
    for await (const chunk of response.body as ReadableStream<Uint8Array>) told.push(Buffer.from(chunk).toString());
  })();
  expect((await failureOf(reading)).message).toMatch(/FOREIGN KEY/);
  expect(told).toEqual(["kept"]);
  expect(await get(Late, "a").all()).toEqual(["kept"]);
});

test("at the level memory this.durable waits for nothing of the cell's own, storage.sync does", async () => {
  const disk = new SlowDisk();
  const { get } = await openCells({ writer: Writer }, { io: disk, durability: "memory" });
  const cell = get(Writer, "a");
  await cell.put("first");
  disk.hold();
  expect(await cell.putAndWait("x")).toBe("durable");
  const synced = cell.syncs("y");
  expect(await isSettled(synced)).toBe(false);
  disk.release();
  await synced;
});
