// The input gate: who waits while a scope has a cell for itself, who is told that it waits for itself, and how long.

import { expect, test } from "vitest";
import { Cell } from "../../src/cell/cell.ts";
import type { CellContext } from "../../src/cell/context.ts";
import { FakeClock } from "../../src/clock.ts";
import { MAX_BLOCK_MS, MAX_CELL_QUEUE, MAX_QUEUE_MS } from "../../src/limits.ts";
import { codeOf, failureOf, isSettled, openCells, reopen, turns } from "./nodes.ts";

const turn = () => new Promise<void>((resolve) => setImmediate(resolve));

/** What a test holds a verb with. */
let hold: Promise<void> = Promise.resolve();

function holdBack(): () => void {
  const { promise, resolve } = Promise.withResolvers<void>();
  hold = promise;
  return resolve;
}

class Book extends Cell {
  static override migrations = ["CREATE TABLE t (v TEXT) STRICT"];
  log: string[] = [];
  put(v: string) {
    this.sql`INSERT INTO t VALUES (${v})`;
    this.log.push(v);
  }
  all() {
    return this.sql.all<{ v: string }>`SELECT v FROM t ORDER BY rowid`.map((row) => row.v);
  }
  logged() {
    return this.log;
  }
  async block(v: string) {
    return this.ctx.blockConcurrencyWhile(async () => {
      this.put(`${v} begins`);
      await hold;
      this.put(`${v} ends`);
      return v;
    });
  }
  /** Two scopes of one verb, side by side. */
  async blockTwice() {
    await Promise.all([this.block("one"), this.block("two")]);
  }
  async blockAndCall(where: string, verb: "put" | "all" | "callBack") {
    return this.ctx.blockConcurrencyWhile(async () => this.get(Book, where)[verb](this.name));
  }
  async callBack(where: string) {
    return this.get(Book, where).all();
  }
  async throughAnother(where: string) {
    return this.get(Book, where).callBack(this.name);
  }
  async catchReentrant(where: string) {
    return this.ctx.blockConcurrencyWhile(async () => {
      try {
        await this.get(Book, where).callBack(this.name);
        return "served";
      } catch (error) {
        return (error as { code?: string }).code;
      }
    });
  }
  async besides(where: string) {
    const scope = this.block("scope");
    const call = this.get(Book, where).callBack(this.name);
    await turn();
    return Promise.all([scope, call]);
  }
  /** An answer comes while another verb has the cell for itself. */
  async askAndWrite(where: string) {
    await this.get(Book, where).slow();
    this.put("after the answer");
  }
  async slow() {
    await turn();
    await turn();
  }
  async failBlocked() {
    return this.ctx.blockConcurrencyWhile(async () => {
      this.put("committed before the failure");
      await turn();
      throw new Error("no luck");
    });
  }
}

const cells = { book: Book };

test("no event of a cell runs during blockConcurrencyWhile: calls wait, in their order", async () => {
  const { get } = await openCells(cells);
  const book = get(Book, "a");
  const release = holdBack();
  const scope = book.block("scope");
  const calls = [book.put("1"), book.put("2"), book.all(), book.put("3")];
  expect(await isSettled(Promise.race(calls))).toBe(false);
  release();
  expect(await scope).toBe("scope");
  await Promise.all(calls);
  expect(await calls[2]).toEqual(["scope begins", "scope ends", "1", "2"]);
  expect(await book.all()).toEqual(["scope begins", "scope ends", "1", "2", "3"]);
});

test("scopes of one cell have it one after the other, before the calls that wait", async () => {
  const { get } = await openCells(cells);
  const book = get(Book, "a");
  const release = holdBack();
  const both = book.blockTwice();
  const call = book.put("call");
  await turns();
  release();
  await Promise.all([both, call]);
  expect(await book.all()).toEqual(["one begins", "one ends", "two begins", "two ends", "call"]);
});

test("a call that comes back to a cell whose gate its own caller holds fails at once with REENTRANT", async () => {
  const { get } = await openCells(cells);
  expect(await codeOf(get(Book, "a").blockAndCall("a", "put"))).toBe("REENTRANT");
  // The failure of the scope gave the instance up; the cell goes on.
  expect(await codeOf(get(Book, "a").blockAndCall("b", "callBack"))).toBe("REENTRANT");
  expect(await get(Book, "a").catchReentrant("b")).toBe("REENTRANT");
  expect(await get(Book, "a").all()).toEqual([]);
  // The gate is open: the same way is served.
  expect(await get(Book, "a").throughAnother("b")).toEqual([]);
});

test("a call made beside the scope waits for it and is not taken for reentrant", async () => {
  const { get } = await openCells(cells);
  const release = holdBack();
  const both = get(Book, "a").besides("b");
  await turns();
  expect(await isSettled(both)).toBe(false);
  release();
  expect(await both).toEqual(["scope", ["scope begins", "scope ends"]]);
});

test("an answer that comes while another verb has the cell for itself waits for it", async () => {
  const { get } = await openCells(cells);
  const book = get(Book, "a");
  const release = holdBack();
  const asking = book.askAndWrite("b");
  const scope = book.block("scope");
  await turns(10);
  expect(await isSettled(asking)).toBe(false);
  release();
  await Promise.all([asking, scope]);
  expect(await book.all()).toEqual(["scope begins", "scope ends", "after the answer"]);
});

test("a blockConcurrencyWhile that throws gives the instance up; who waits finds a new one", async () => {
  const { get } = await openCells(cells);
  const book = get(Book, "a");
  await book.put("before");
  const failing = failureOf(book.failBlocked());
  const waiting = book.logged();
  expect((await failing).message).toBe("no luck");
  expect(await waiting).toEqual([]);
  expect(await book.all()).toEqual(["before", "committed before the failure"]);
});

test("a scope that takes too long gives the instance up with ABORTED", async () => {
  const clock = new FakeClock();
  const { get } = await openCells(cells, { clock });
  const book = get(Book, "a");
  await book.put("before");
  holdBack();
  const scope = codeOf(book.block("scope"));
  await turns();
  clock.advance(1);
  const waiting = book.logged();
  clock.advance(MAX_BLOCK_MS - 2);
  expect(await isSettled(waiting)).toBe(false);
  clock.advance(1);
  expect(await scope).toBe("ABORTED");
  expect(await waiting).toEqual([]);
  expect(await book.all()).toEqual(["before", "scope begins"]);
});

test("a call that waits longer than it may is refused with CELL_BUSY", async () => {
  const clock = new FakeClock();
  const { get } = await openCells({ stuck: Stuck }, { clock });
  const cell = get(Stuck, "a");
  const chain = cell.chain().catch((error: { code?: string }) => error.code);
  await turns();
  const first = codeOf(cell.hello());
  clock.advance(MAX_QUEUE_MS - 10);
  await turns();
  const second = codeOf(cell.hello());
  clock.advance(10);
  expect(await first).toBe("CELL_BUSY");
  expect(await isSettled(second)).toBe(false);
  clock.advance(MAX_QUEUE_MS - 10);
  expect(await second).toBe("CELL_BUSY");
  stuck.going = false;
  await chain;
});

const stuck = { going: false };

/** One scope after the other, none of which is too long. */
class Stuck extends Cell {
  hello() {
    return "hello";
  }
  async chain() {
    stuck.going = true;
    while (stuck.going) {
      const next = this.ctx.blockConcurrencyWhile(() => turn());
      // The next one is asked for before this one ends, so the gate never opens.
      await Promise.race([next, turn()]);
    }
  }
}

test("a full queue refuses the next call with QUEUE_FULL, after it was tried again for its caller", async () => {
  const clock = new FakeClock();
  const { get } = await openCells(cells, { clock });
  const book = get(Book, "a");
  const release = holdBack();
  const scope = book.block("scope");
  await turns();
  const waiting = Array.from({ length: MAX_CELL_QUEUE }, () => book.logged());
  const refused = codeOf(book.put("one too many"));
  const spared = book.put("tried again");
  await turns();
  clock.advance(50);
  await turns();
  clock.advance(100);
  await turns();
  expect(await isSettled(refused)).toBe(false);
  clock.advance(200);
  expect(await refused).toBe("QUEUE_FULL");
  await failureOf(spared);
  const later = book.put("tried again");
  release();
  await scope;
  await Promise.all(waiting);
  clock.advance(50);
  await later;
  expect(await book.all()).toEqual(["scope begins", "scope ends", "tried again"]);
});

test("many calls that were let in together leave turns to others", async () => {
  const { get } = await openCells({ book: Book, busy: Busy });
  const busy = get(Busy, "a");
  const release = holdBack();
  const scope = busy.block("scope");
  await turns();
  let done = 0;
  const calls = Array.from({ length: 20 }, () => busy.work().then(() => (done += 1)));
  release();
  await scope;
  let seen = -1;
  await new Promise<void>((resolve) => {
    const look = (): void => {
      if (done > 0 && done < 20) seen = done;
      if (done === 20) resolve();
      else setImmediate(look);
    };
    look();
  });
  await Promise.all(calls);
  expect(seen).toBeGreaterThan(0);
});

class Busy extends Book {
  work() {
    const until = performance.now() + 2;
    while (performance.now() < until);
  }
}

class Loading extends Cell {
  value = "not loaded";
  constructor(ctx: CellContext) {
    super(ctx);
    void ctx
      .blockConcurrencyWhile(async () => {
        this.ctx.storage.sql.exec("CREATE TABLE IF NOT EXISTS t (v TEXT)");
        await turn();
        const [row] = this.ctx.storage.sql.exec<{ v: string }>("SELECT v FROM t").toArray();
        if (mayLoad) this.value = row?.v ?? "nothing yet";
        else throw new Error("cannot load");
      })
      .catch(() => {});
  }
  read() {
    return this.value;
  }
  set(v: string) {
    this.ctx.storage.sql.exec("INSERT INTO t VALUES (?)", v);
  }
}
let mayLoad = true;

test("blockConcurrencyWhile of a constructor comes before the first call, and leaves nothing by itself", async () => {
  const opened = await openCells({ loading: Loading });
  const cell = opened.get(Loading, "a");
  expect(await Promise.all([cell.read(), cell.read()])).toEqual(["nothing yet", "nothing yet"]);
  expect(opened.node.ledger.count()).toBe(0);
  await cell.set("kept");
  expect(opened.node.ledger.count()).toBe(1);
  const again = await reopen(opened, { loading: Loading });
  expect(await again.get(Loading, "a").read()).toBe("kept");
});

test("when it fails, the calls that wait for the cell are refused with ACTIVATION_FAILED, and the next one tries again", async () => {
  const opened = await openCells({ loading: Loading });
  const cell = opened.get(Loading, "a");
  mayLoad = false;
  expect(await Promise.all([codeOf(cell.read()), codeOf(cell.read())])).toEqual([
    "ACTIVATION_FAILED",
    "ACTIVATION_FAILED",
  ]);
  mayLoad = true;
  expect(await cell.read()).toBe("nothing yet");
});
