// Scopes beside each other and inside of each other: what of a scope is waited for, and that whoever was let in before or
// between them is neither refused nor runs in their middle.

import { expect, onTestFinished, test } from "vitest";
import { Cell } from "../../src/cell/cell.ts";
import { FakeClock } from "../../src/clock.ts";
import { codeOf, openCells, turns } from "./nodes.ts";

/** What a test holds the code of a cell with. */
let hold: PromiseWithResolvers<void> = Promise.withResolvers();
let noted: string[] = [];

class Book extends Cell {
  static override migrations = ["CREATE TABLE t (v TEXT) STRICT"];
  put(v: string) {
    this.sql`INSERT INTO t VALUES (${v})`;
  }
  all() {
    return this.sql.all<{ v: string }>`SELECT v FROM t ORDER BY rowid`.map((row) => row.v);
  }
  async rest(count: number) {
    await turns(count);
  }
  transact(v: string) {
    return this.ctx.storage.transaction(async () => {
      this.put(`${v} begins`);
      await turns(4);
      this.put(`${v} ends`);
      noted.push(`${v} ends`);
    });
  }
  async nested() {
    await this.ctx.blockConcurrencyWhile(async () => {
      void this.transact("inner");
      await turns(1);
      noted.push("outer ends");
    });
    noted.push("told");
  }
  async askAndTransact(v: string) {
    await this.get(Book, "other").rest(1);
    await this.transact(v);
    this.put(`${v} after`);
  }
  async transactLater(v: string) {
    await turns(1);
    await this.transact(v);
  }
  async askAndPut() {
    await this.get(Book, "other").rest(4);
    this.put("after the answer");
  }
  async askOften(times: number) {
    for (let i = 0; i < times; i++) await this.get(Book, "other").rest(1);
  }
  async transactOften(times: number) {
    for (let i = 0; i < times; i++) await this.ctx.storage.transaction(() => turns(1));
    noted.push("no more of them");
  }
  async held() {
    await hold.promise;
  }
  async askHeld() {
    await this.get(Book, "other").held();
    this.put("after the answer");
  }
  leaveTransaction() {
    void this.transact("left");
  }
  scopesAndThrow() {
    void this.transact("never");
    void this.ctx.blockConcurrencyWhile(async () => this.put("never"));
    throw new Error("no");
  }
  async scopeInPart() {
    const part = (): void => {
      void this.ctx.blockConcurrencyWhile(async () => this.put("never"));
      throw new Error("no");
    };
    await this.ctx.storage.transaction(async () => {
      this.put("kept");
      expect(() => this.transaction(part)).toThrow("no");
      await turns(1);
    });
    expect(() => this.transaction(part)).toThrow("no");
    await turns(4);
  }
  async leaveWork() {
    await this.ctx.blockConcurrencyWhile(async () => {
      const left = async (): Promise<void> => {
        await turns(3);
        this.put("left");
      };
      this.ctx.waitUntil(left());
    });
  }
  failsLater() {
    void this.ctx.blockConcurrencyWhile(async () => {
      throw new Error("nobody awaits this");
    });
  }
  async arm() {
    await this.ctx.storage.setAlarm(1);
  }
  override async alarm() {
    noted.push("alarm");
    await hold.promise;
  }
  async transactAround() {
    await turns(1);
    await this.ctx.storage.transaction(async () => {
      this.put("begins");
      hold.resolve();
      await turns(4);
    });
  }
  async readAndPut() {
    const response = await this.get(Book, "other").fetch(new Request("http://x/"));
    noted.push("reads");
    this.put(await response.text());
  }
  async readInTransaction() {
    const response = await this.get(Book, "other").fetch(new Request("http://x/"));
    await this.ctx.storage.transaction(async () => this.put(await response.text()));
  }
  async readOwnInTransaction() {
    const response = await this.get(Book, this.name).fetch(new Request("http://x/"));
    await this.ctx.storage.transaction(async () => this.put(await response.text()));
  }
  override fetch(): Response {
    const chunks = ["1", "2"].values();
    const all = (): unknown => this.all();
    const body = new ReadableStream<Uint8Array>(
      {
        async pull(controller) {
          await turns(2);
          const { done, value } = chunks.next();
          all();
          if (done === true) controller.close();
          else controller.enqueue(Buffer.from(value));
        },
      },
      { highWaterMark: 0 },
    );
    return new Response(body);
  }
}

async function book(options: Parameters<typeof openCells>[1] = {}) {
  noted = [];
  hold = Promise.withResolvers();
  const opened = await openCells({ book: Book }, options);
  return { ...opened, a: opened.get(Book, "a") };
}

test("a scope ends after the scopes that it began inside and did not await", async () => {
  const { a } = await book();
  const [, call] = await Promise.allSettled([a.nested(), a.put("call")]);
  // Were the gate opened with the outer one, the node would stand still until the inner one has ended.
  expect(call.status).toBe("fulfilled");
  expect(noted).toEqual(["outer ends", "inner ends", "told"]);
  expect(await a.all()).toEqual(["inner begins", "inner ends", "call"]);
});

test("verbs that run side by side write after transactions of theirs, each behind that of another", async () => {
  const { a } = await book();
  const verbs = ["a", "b", "c"].map((v) => a.askAndTransact(v));
  await Promise.all(verbs);
  const all = await a.all();
  expect(all.length).toBe(9);
  for (const v of ["a", "b", "c"]) expect(all.indexOf(`${v} ends`)).toBe(all.indexOf(`${v} begins`) + 1);
});

test("an answer that comes during a scope waits for those behind it, too", async () => {
  const { a } = await book();
  await Promise.all([a.askAndPut(), a.transactLater("one"), a.transactLater("two")]);
  expect(await a.all()).toEqual(["one begins", "one ends", "two begins", "two ends", "after the answer"]);
});

test("answers go before the events that wait, so that a verb comes on however many there are", async () => {
  const { a } = await book();
  const asking = a.askOften(8).then(() => void noted.push("asked"));
  let count = 0;
  const events: Promise<void>[] = [];
  // More of them come than can be served meanwhile.
  for (; !noted.includes("asked") && count < 300; count++) {
    events.push(a.transact("x"));
    await turns(1);
  }
  await asking;
  expect(count).toBeLessThan(300);
  await Promise.all(events);
});

test("events come on, too, beside a verb that goes from one transaction to the next", async () => {
  const { a } = await book();
  const verb = a.transactOften(200);
  await turns(3);
  await a.put("an event").then(() => noted.push("an event"));
  await verb;
  expect(noted).toEqual(["an event", "no more of them"]);
});

test("a verb whose answer came just before goes on before the transaction of a verb that has ended", async () => {
  const { a, get } = await book();
  await Promise.all([a.all(), get(Book, "other").all()]);
  // The call begins at one of the steps in which the answer is on its way.
  for (let steps = 0; steps < 12; steps++) {
    hold = Promise.withResolvers();
    const asked = a.askHeld();
    await turns(3);
    const left = hold.promise.then(async () => {
      for (let i = 0; i < steps; i++) await undefined;
      await a.leaveTransaction();
    });
    hold.resolve();
    await Promise.all([asked, left]);
    await a.all();
  }
});

test("a scope that was asked for in what is rolled back does not begin, and nobody has to await it", async () => {
  const unhandled: unknown[] = [];
  const listen = (error: unknown): void => void unhandled.push(error);
  process.on("unhandledRejection", listen);
  onTestFinished(() => void process.off("unhandledRejection", listen));
  const { a, lines } = await book();
  await expect(a.scopesAndThrow()).rejects.toThrow("no");
  await a.scopeInPart();
  expect(await a.all()).toEqual(["kept"]);
  expect([noted, lines, unhandled]).toEqual([[], [], []]);
});

test("what a blockConcurrencyWhile leaves to waitUntil goes on after it", async () => {
  const { a, lines } = await book();
  await a.leaveWork();
  await expect.poll(() => a.all()).toEqual(["left"]);
  expect(lines).toEqual([]);
});

test("a blockConcurrencyWhile that fails when its verb is answered goes to the log", async () => {
  const { a, lines } = await book();
  await a.failsLater();
  await turns();
  expect(lines).toEqual([
    "warn a blockConcurrencyWhile failed that its verb had not awaited: the instance was given up: nobody awaits this",
  ]);
});

test("an alarm whose hook ends during another's transaction has run, and does not run again", async () => {
  const { a, node } = await book({ clock: new FakeClock() });
  await a.arm();
  const around = a.transactAround();
  expect(await node.alarms.runDue()).toBe(1);
  await around;
  expect(await node.alarms.runDue()).toBe(0);
  expect(noted).toEqual(["alarm"]);
});

test("a body that is read during a transaction waits for its end", async () => {
  const { a } = await book();
  const response = await a.fetch(new Request("http://x/"));
  const transaction = a.transactLater("x");
  onTestFinished(() => transaction);
  await turns(3);
  expect(await response.text()).toBe("12");
  await transaction;
});

test("a verb that reads a body goes on after a transaction that began meanwhile, and may read it in its own", async () => {
  const { a } = await book();
  const reading = a.readAndPut();
  while (!noted.includes("reads")) await turns(1);
  await Promise.all([reading, a.transact("x")]);
  expect(await a.all()).toEqual(["x begins", "x ends", "12"]);
  await a.readInTransaction();
  expect((await a.all()).at(-1)).toBe("12");
  // Its own body would wait for the transaction, and that for the body.
  expect(await codeOf(a.readOwnInTransaction())).toBe("CELL_BUSY");
});
