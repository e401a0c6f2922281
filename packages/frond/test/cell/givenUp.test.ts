// What is left of an instance that was given up, of a constructor that threw, of a commit that failed: code that goes on,
// and what it still wants to tell. Nobody hears of what never happened, and a closed file is not touched again.

import { AsyncResource } from "node:async_hooks";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { expect, onTestFinished, test } from "vitest";
import { Cell } from "../../src/cell/cell.ts";
import type { CellContext } from "../../src/cell/context.ts";
import { FrondError } from "../../src/errors.ts";
import { Session } from "../../src/server/door/session.ts";
import type { Address } from "../../src/types.ts";
import { codeOf, openCells, reopen, SlowDisk, turns } from "./nodes.ts";

let url = "";
let outcomes: unknown[] = [];
let outsider: () => void = () => {};
let hold: PromiseWithResolvers<void> = Promise.withResolvers();

const note = (answer: Promise<unknown>): Promise<void> =>
  answer.then(
    (value) => void outcomes.push(value),
    (error: { code?: string }) => void outcomes.push(error.code),
  );

class Book extends Cell {
  static override migrations = [
    "CREATE TABLE t (v TEXT PRIMARY KEY, parent TEXT REFERENCES t (v) DEFERRABLE INITIALLY DEFERRED) STRICT",
  ];
  field = "as it was";
  put(v: string) {
    this.sql`INSERT INTO t (v) VALUES (${v})`;
    return v;
  }
  all() {
    return this.sql.all<{ v: string }>`SELECT v FROM t ORDER BY rowid`.map((row) => row.v);
  }
  async setAndAbort() {
    await turns(1);
    this.field = "never happened";
    this.ctx.abort("no");
  }
  async tellLater() {
    await turns(4);
    await note(this.get(Book, "other").put(this.field));
    await note(this.ctx.fetch(url));
  }
  async swallowAndFetch() {
    this.sql`INSERT INTO t (v, parent) VALUES ('orphan', 'nobody')`;
    await turns(1);
    await note(this.ctx.fetch(url));
  }
  async tooLarge() {
    await turns(1);
    this.field = "never happened";
    for (let i = 0; i < 40; i++) this.put("x".repeat(1_000_000) + String(i));
    outsider();
  }
  whatField() {
    return this.field;
  }
  async transact() {
    await this.ctx.storage.transaction(async () => {
      this.put("in the transaction");
      await hold.promise;
    });
  }
  async startTimer() {
    outsider = AsyncResource.bind(() => {
      void note(this.get(Book, "other").put("from a timer"));
      void note(this.ctx.fetch(url).then((response) => response.text()));
    });
  }
  tellAndThrow() {
    this.put("taken back");
    void this.ctx.fetch(url);
    void this.get(Book, "other", { timeoutMs: 1000 }).put("taken back");
    throw new Error("no");
  }
}

class Note extends Book {
  static override durability = "memory" as const;
}

class Broken extends Cell {
  static override migrations = ["CREATE TABLE t (v TEXT) STRICT"];
  constructor(ctx: CellContext) {
    super(ctx);
    void ctx.blockConcurrencyWhile(async () => {
      outcomes.push("the scope runs");
      this.sql`INSERT INTO t VALUES ('x')`;
    });
    throw new Error("no luck");
  }
  verb() {}
}

const cells = { book: Book, note: Note, broken: Broken };

async function books(options: Parameters<typeof openCells>[1] = {}) {
  outcomes = [];
  hold = Promise.withResolvers();
  const server = createServer((_request, response) => void response.end("hello"));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => void server.close());
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  const unhandled: unknown[] = [];
  const listen = (error: unknown): void => void unhandled.push(error);
  process.on("unhandledRejection", listen);
  onTestFinished(() => void process.off("unhandledRejection", listen));
  const opened = await openCells(cells, options);
  return { ...opened, a: opened.get(Book, "a"), unhandled };
}

test("an instance that was given up tells nobody anything: its calls and requests fail as its statements do", async () => {
  const { a, get } = await books();
  const telling = a.tellLater().catch(() => {});
  expect(await codeOf(a.setAndAbort())).toBe("ABORTED");
  await telling;
  expect(outcomes).toEqual(["ABORTED", "ABORTED"]);
  expect(await get(Book, "other").all()).toEqual([]);
});

test("nor does what it has left behind", async () => {
  const { a, get } = await books();
  await a.startTimer();
  expect(await codeOf(a.setAndAbort())).toBe("ABORTED");
  outsider();
  await turns();
  expect(outcomes).toEqual(["ABORTED", "ABORTED"]);
  expect(await get(Book, "other").all()).toEqual([]);
});

test("nobody has to await a call with options or a request that a roll-back has dropped", async () => {
  const { a, unhandled } = await books();
  await expect(a.tellAndThrow()).rejects.toThrow("no");
  await turns();
  expect(unhandled).toEqual([]);
});

test("ctx.fetch of a verb whose commit failed fails with it", async () => {
  const { a } = await books();
  expect(await codeOf(a.swallowAndFetch())).toBe("SQL_CONSTRAINT");
  expect(outcomes).toEqual(["SQL_CONSTRAINT"]);
});

test("an event that begins as another's commit fails is answered by the cell as the log has it", async () => {
  const { a } = await books();
  await a.put("kept");
  let answers: Promise<unknown[]> | undefined;
  outsider = AsyncResource.bind(() => void (answers = Promise.all([a.whatField(), a.all()])));
  expect(await codeOf(a.tooLarge())).toBe("RECORD_TOO_LARGE");
  expect(await answers).toEqual(["as it was", ["kept"]]);
});

test("a call at durability disk waits, though the instance was given up behind its commit", async () => {
  const disk = new SlowDisk();
  const { node } = await books({ io: disk });
  const session = new Session();
  const stub = node.host.stubs.getFor(session)(Note, "a", { durability: "disk" });
  disk.hold();
  const answer = stub.put("x");
  node.host.openCell("note/a" as Address)?.reset(new FrondError("ABORTED", "given up"));
  await answer;
  expect(session.lsn).toBe(node.commitLog.appended);
  expect(session.lsn).toBeGreaterThan(node.commitLog.durable);
});

test("what a constructor has begun that throws does not run", async () => {
  const { get, unhandled, fatal } = await books();
  expect(await codeOf(get(Broken, "a").verb())).toBe("ACTIVATION_FAILED");
  await turns(20);
  expect([outcomes, unhandled, fatal]).toEqual([[], [], []]);
});

test("a cell that was closed for room is not closed again, whatever its instance has left", async () => {
  const { node, a, unhandled } = await books();
  await a.startTimer();
  const address = "book/a" as Address;
  const before = node.host.openCell(address);
  await node.host.deactivate(address);
  await a.put("x");
  // What the watchdog does with the cell of code that holds the loop.
  before?.reset(new FrondError("TERMINATED", "held the loop"));
  await node.commitLog.flushed();
  await turns();
  expect(unhandled).toEqual([]);
  expect(await a.all()).toEqual(["x"]);
  // Calls are no statements: those of a timer go on.
  outsider();
  await expect.poll(() => outcomes).toEqual(["from a timer", "hello"]);
});

test("a transaction over awaits that outlasts the grace of a stop is undone", async () => {
  const disk = new SlowDisk();
  const opened = await books({ io: disk });
  await opened.a.put("kept");
  const transaction = codeOf(opened.a.transact());
  await turns();
  disk.hold();
  await opened.get(Book, "b").put("kept");
  const stopped = opened.node.stop(0);
  await turns(20);
  // The log is being written: what is committed now could still get into it.
  hold.resolve();
  expect(await transaction).toBe("STOPPING");
  disk.release();
  await stopped;
  const { get } = await reopen(opened, cells);
  expect(await get(Book, "a").all()).toEqual(["kept"]);
});
