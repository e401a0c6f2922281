// The output gate: nobody outside hears of a commit that is not as durable as was asked. The disk is held back, and it
// is seen who is answered meanwhile.

import { AsyncResource } from "node:async_hooks";
import { expect, test } from "vitest";
import type { FetchContext } from "../../src/cell/app.ts";
import { Cell } from "../../src/cell/cell.ts";
import type { Get } from "../../src/cell/stub.ts";
import type { Address } from "../../src/types.ts";
import { afterKill, codeOf, failureOf, isSettled, openCells, reopen, SlowDisk, turns } from "./nodes.ts";

class Note extends Cell {
  static override migrations = ["CREATE TABLE t (v TEXT) STRICT"];
  heard: unknown;

  put(v: string) {
    this.sql`INSERT INTO t VALUES (${v})`;
  }
  all() {
    return this.sql.all<{ v: string }>`SELECT v FROM t ORDER BY rowid`.map((row) => row.v);
  }
  async putAndThrow() {
    this.put("then an error");
    await Promise.resolve();
    throw new Error("after the commit");
  }
  remember(what: unknown) {
    this.heard = what;
  }
  recall() {
    return this.heard;
  }
  async rememberAndPut(v: string) {
    await new Promise((resolve) => setImmediate(resolve));
    queueMicrotask(inBetween);
    this.heard = v;
    this.put(v);
  }
  async look() {
    this.heard = await this.get(Note, "n").all();
    return this.heard;
  }
  run(what: "inside") {
    insides.get(what)?.();
  }
  async putAndTell() {
    this.put("told");
    await Promise.resolve();
    await this.get(Scratch, "s").remember("what n has written");
  }
}

/** Code of a service that a verb calls into, as an emitter of events does. */
const insides = new Map<string, () => void>();

/** Runs between the end of the code of a stretch and its commit. */
let inBetween = (): void => {};

class Scratch extends Note {
  static override durability = "memory" as const;
}

const cells = { note: Note, scratch: Scratch };

async function front(request: Request, { get }: FetchContext): Promise<Response> {
  const [, kind, name, verb, arg] = new URL(request.url).pathname.split("/") as [
    string,
    string,
    string,
    string,
    string,
  ];
  const stub = get(kind === "scratch" ? Scratch : Note, name) as unknown as Record<string, (v: string) => unknown>;
  return Response.json((await stub[verb]?.(arg)) ?? null);
}

async function held(options: { durability?: "memory" | "disk" } = {}) {
  const disk = new SlowDisk();
  let service: Get | undefined;
  const opened = await openCells(cells, {
    io: disk,
    fetch: front,
    start: (context) => {
      service = context.get;
    },
    ...options,
  });
  await opened.node.startServices();
  const request = (path: string) =>
    opened.node.handle(new Request(`http://test/${path}`), { remoteAddress: "" }).then((response) => response.json());
  for (const cell of ["note/n", "note/viewer", "note/apart", "scratch/s"]) await request(`${cell}/put/first`);
  await opened.node.commitLog.flushed();
  disk.hold();
  return { ...opened, disk, request, service: service as Get };
}

test("a response waits until what it tells is on the disk", async () => {
  const { disk, request } = await held();
  const answer = request("note/n/put/x");
  expect(await isSettled(answer)).toBe(false);
  disk.release();
  expect(await answer).toBe(null);
});

test("a response to a verb that only read what is durable does not wait", async () => {
  const { request } = await held();
  void request("note/n/put/x");
  expect(await request("note/apart/all")).toEqual(["first"]);
});

test("an error response waits like any other", async () => {
  const { disk, request } = await held();
  const answer = failureOf(request("note/n/putAndThrow"));
  expect(await isSettled(answer)).toBe(false);
  disk.release();
  expect((await answer).message).toBe("after the commit");
});

test("whoever reads another's commit waits for it", async () => {
  const { disk, request } = await held();
  const write = request("note/n/put/x");
  const read = request("note/n/all");
  expect(await isSettled(read)).toBe(false);
  disk.release();
  expect(await read).toEqual(["first", "x"]);
  await write;
});

test("a commit that was heard of through a second cell is waited for, also when it is told again from a field", async () => {
  const { disk, request } = await held();
  const write = request("note/n/put/x");
  const look = request("note/viewer/look");
  expect(await isSettled(look)).toBe(false);
  const recall = request("note/viewer/recall");
  expect(await isSettled(recall)).toBe(false);
  disk.release();
  expect(await recall).toEqual(["first", "x"]);
  await Promise.all([write, look]);
});

test("what an open stretch has set in a field is heard with its commit, not before it", async () => {
  const { disk, request } = await held();
  let recall: Promise<unknown> | undefined;
  // As a request that comes in, not as a part of the verb.
  inBetween = AsyncResource.bind(() => {
    recall = request("note/n/recall");
  });
  const write = request("note/n/rememberAndPut/x");
  await turns();
  expect(await isSettled(recall as Promise<unknown>)).toBe(false);
  disk.release();
  expect(await recall).toBe("x");
  await write;
});

test("at the level memory nothing waits but for what was heard from elsewhere", async () => {
  const { disk, request } = await held();
  expect(await request("scratch/s/put/x")).toBe(null);
  expect(await request("scratch/s/all")).toEqual(["first", "x"]);
  // What a cell of the level disk has seen goes along with its calls, its own commits first of all.
  const tell = request("note/n/putAndTell");
  expect(await isSettled(tell)).toBe(false);
  const recall = request("scratch/s/recall");
  expect(await isSettled(recall)).toBe(false);
  disk.release();
  expect(await recall).toBe("what n has written");
  await tell;
});

test("inside the node nothing waits for the disk", async () => {
  const { get, disk, request } = await held();
  const tell = request("note/n/putAndTell");
  await turns();
  // A session that no gate holds back sees that the second cell was reached.
  expect(await get(Scratch, "s").recall()).toBe("what n has written");
  expect(await isSettled(tell)).toBe(false);
  disk.release();
  await tell;
});

test("each answer to a service waits, its errors too", async () => {
  const { disk, service } = await held();
  const put = service(Note, "n").put("x");
  const error = failureOf(service(Note, "apart").putAndThrow());
  const read = service(Note, "n").all();
  expect(await isSettled(put)).toBe(false);
  expect(await isSettled(error)).toBe(false);
  expect(await isSettled(read)).toBe(false);
  expect(await isSettled(service(Note, "viewer").all())).toBe(true);
  disk.release();
  await put;
  expect((await error).message).toBe("after the commit");
  expect(await read).toEqual(["first", "x"]);
});

test("a service's answer waits, too, when the code that asks was called by a cell", async () => {
  const { disk, service, request } = await held();
  const write = request("note/n/put/x");
  let read: Promise<unknown> | undefined;
  insides.set("inside", () => {
    read = service(Note, "n").all();
  });
  await request("note/apart/run/inside");
  expect(await isSettled(read as Promise<unknown>)).toBe(false);
  disk.release();
  expect(await read).toEqual(["first", "x"]);
  await write;
});

test("a cell that has heard of what is not durable is not closed before it is", async () => {
  const { disk, request, node } = await held();
  const write = request("note/n/put/x");
  const look = request("note/viewer/look");
  await turns();
  const closed = node.host.deactivate("note/viewer" as Address);
  await new Promise((resolve) => setTimeout(resolve, 20));
  expect(await isSettled(closed)).toBe(false);
  disk.release();
  await Promise.all([closed, write, look]);
});

test("the level that the node was started with is that of classes that set none", async () => {
  const { request } = await held({ durability: "memory" });
  expect(await request("note/n/put/x")).toBe(null);
  expect(await request("note/n/all")).toEqual(["first", "x"]);
});

test("a clean stop keeps what was acknowledged at the level memory, a kill may lose it", async () => {
  const opened = await held();
  // Two batches are on their way to the disk, the third is not: it never happened, though the cell's file has it.
  for (const v of ["x", "y", "z"]) {
    await opened.request(`scratch/s/put/${v}`);
    await turns();
  }
  const killed = await afterKill(opened, cells);
  expect(await killed.get(Scratch, "s").all()).toEqual(["first", "x", "y"]);
  opened.disk.release();
  expect(await (await reopen(opened, cells)).get(Scratch, "s").all()).toEqual(["first", "x", "y", "z"]);
});

test("what the operator's commands answer is durable", async () => {
  const { node, disk } = await held();
  const call = node.control.call("note/n", "put", ["x"]);
  expect(await isSettled(call)).toBe(false);
  const sql = node.control.sql("note/n", "SELECT count(*) AS n FROM t", [], false);
  expect(await isSettled(sql)).toBe(false);
  disk.release();
  await call;
  expect((await sql).rows).toEqual([[2]]);
  expect(await codeOf(node.control.call("note/n", "none", []))).toBe("UNKNOWN_VERB");
});
