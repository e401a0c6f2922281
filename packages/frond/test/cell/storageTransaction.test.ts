// ctx.storage.transaction: all or nothing over awaits, the cell for itself meanwhile.

import { expect, test } from "vitest";
import { Cell } from "../../src/cell/cell.ts";
import type { StorageTransaction } from "../../src/cell/storage.ts";
import { FakeClock } from "../../src/clock.ts";
import { MAX_BLOCK_MS } from "../../src/limits.ts";
import { afterKill, codeOf, commitsIn, failureOf, isSettled, openCells, turns } from "./nodes.ts";

const turn = () => new Promise<void>((resolve) => setImmediate(resolve));

/** What a test holds a transaction with. */
let hold: Promise<void> = Promise.resolve();

function holdBack(): () => void {
  const { promise, resolve } = Promise.withResolvers<void>();
  hold = promise;
  return resolve;
}

class Ledger extends Cell {
  static override migrations = ["CREATE TABLE t (v TEXT) STRICT"];
  leaked: StorageTransaction | undefined;
  visits = 0;

  put(v: string) {
    this.visits += 1;
    this.sql`INSERT INTO t VALUES (${v})`;
  }
  all() {
    return this.sql.all<{ v: string }>`SELECT v FROM t ORDER BY rowid`.map((row) => row.v);
  }
  keys() {
    return [...this.ctx.storage.kv.list()].map(([key]) => key);
  }
  seen() {
    return this.visits;
  }
  async transfer(then: "commit" | "throw" | "rollback") {
    this.put("before");
    return this.ctx.storage.transaction(async (txn) => {
      await txn.put("a", 1);
      this.put("in it");
      await hold;
      await turn();
      await txn.put({ b: 2, c: 3 });
      expect(await txn.get(["a", "b"])).toEqual(new Map(Object.entries({ a: 1, b: 2 })));
      if (then === "throw") throw new Error("no luck");
      if (then === "rollback") txn.rollback();
      return then;
    });
  }
  async refused(what: "after" | "rolledBack" | "rollbackAfter" | "inPart") {
    await this.ctx.storage.transaction(async (txn) => {
      this.leaked = txn;
      await txn.put("x", 1);
      if (what === "inPart") this.ctx.storage.transactionSync(() => txn.rollback());
      if (what !== "rolledBack") return;
      txn.rollback();
      txn.rollback();
      await txn.get("x");
    });
    if (what === "after") await this.leaked?.put("y", 1);
    this.leaked?.rollback();
  }
  async goOnAfterRollback() {
    return this.ctx.storage.transaction(async (txn) => {
      await txn.put("gone", 1);
      txn.rollback();
      await this.ctx.storage.put("stays", 1);
      return this.keys();
    });
  }
  async parts() {
    return this.ctx.storage.transaction(async (txn) => {
      await txn.put("one", 1);
      try {
        this.ctx.storage.transactionSync(() => {
          this.ctx.storage.kv.put("undone", 1);
          throw new Error("alone");
        });
      } catch {
        // Only the part is undone.
      }
      await turn();
      this.transaction(() => this.ctx.storage.kv.put("two", 2));
    });
  }
  async nested() {
    return this.ctx.storage.transaction(async (txn) => {
      await txn.put("outer", 1);
      await this.ctx.storage.transaction(async (inner) => inner.put("inner", 1));
    });
  }
  async blockInside() {
    return this.ctx.storage.transaction(async (txn) => {
      await txn.put("outer", 1);
      await this.ctx.blockConcurrencyWhile(async () => {
        await turn();
        this.put("in the block");
      });
      txn.rollback();
    });
  }
  async twoInOneBlock() {
    await this.ctx.blockConcurrencyWhile(async () => {
      await Promise.all(["a", "b"].map((v) => this.twoSteps(v)));
    });
  }
  async twoSteps(v: string) {
    await this.ctx.storage.transaction(async (txn) => {
      this.put(`${v} 1`);
      await turn();
      await txn.put(v, 1);
      await turn();
      this.put(`${v} 2`);
    });
  }
  async notAwaited() {
    await this.ctx.storage.transaction(async (txn) => {
      await turn();
      void txn.put("late", 1);
    });
  }
  /** Verbs that run already when the transaction of another one opens. */
  async laterStatement() {
    await turn();
    await turn();
    this.put("a statement of a timer");
  }
  async laterOperation() {
    await turn();
    await turn();
    await this.ctx.storage.put("an operation", 1);
  }
  async laterTransaction() {
    await turn();
    await turn();
    await this.ctx.storage.transaction(async (txn) => txn.put("a transaction", 1));
  }
  async laterBlock() {
    await turn();
    await turn();
    await this.ctx.blockConcurrencyWhile(async () => this.put("a block"));
  }
  async callInside(where: string) {
    return this.ctx.storage.transaction(async (txn) => {
      await txn.put("x", 1);
      await this.get(Ledger, where).put("at once");
      throw new Error("only this side is taken back");
    });
  }
  async wrong() {
    await this.ctx.storage.transaction(5 as never);
  }
}

const cells = { ledger: Ledger };

async function ledger(options = {}) {
  hold = Promise.resolve();
  const opened = await openCells(cells, options);
  return { ...opened, a: opened.get(Ledger, "a") };
}

test("storage.transaction commits over its awaits as one record, and gives its result", async () => {
  const { a, node, directory } = await ledger();
  expect(await a.transfer("commit")).toBe("commit");
  expect(await a.keys()).toEqual(["a", "b", "c"]);
  expect(await a.all()).toEqual(["before", "in it"]);
  await node.commitLog.flushed();
  // The stretch before it was committed by itself.
  expect(commitsIn(directory, "ledger/a")).toHaveLength(2);
});

test("when it throws, or is rolled back, nothing of it is there; what came before it stays", async () => {
  const { a } = await ledger();
  expect((await failureOf(a.transfer("throw"))).message).toBe("no luck");
  expect(await a.keys()).toEqual([]);
  expect(await a.transfer("rollback")).toBe("rollback");
  expect(await a.keys()).toEqual([]);
  expect(await a.all()).toEqual(["before", "before"]);
});

test("a kill in the middle of it leaves nothing of it", async () => {
  const { a, ...opened } = await ledger();
  const release = holdBack();
  const transfer = a.transfer("commit");
  await turns();
  await opened.node.commitLog.flushed();
  const killed = await afterKill(opened, cells);
  expect(await killed.get(Ledger, "a").keys()).toEqual([]);
  expect(await killed.get(Ledger, "a").all()).toEqual(["before"]);
  release();
  await transfer;
});

test("no event of the cell runs meanwhile: calls wait, in their order", async () => {
  const { a } = await ledger();
  const release = holdBack();
  const transfer = a.transfer("commit");
  const calls = [a.put("1"), a.keys(), a.put("2")];
  expect(await isSettled(Promise.race(calls))).toBe(false);
  release();
  await transfer;
  expect(await calls[1]).toEqual(["a", "b", "c"]);
  await Promise.all(calls);
  expect(await a.all()).toEqual(["before", "in it", "1", "2"]);
});

test("a verb that runs already waits with its operations, transactions and scopes; its statements are refused", async () => {
  const { a } = await ledger();
  for (const verb of ["laterOperation", "laterTransaction", "laterBlock"] as const) {
    const later = a[verb]();
    const release = holdBack();
    const transfer = a.transfer("throw").catch(() => {});
    expect(await isSettled(later)).toBe(false);
    release();
    await transfer;
    await later;
  }
  expect(await a.keys()).toEqual(["a transaction", "an operation"]);
  const later = a.laterStatement();
  const release = holdBack();
  const transfer = a.transfer("commit");
  const refused = await failureOf(later);
  expect(refused).toMatchObject({ code: "CELL_BUSY", retryable: true });
  release();
  await transfer;
  expect(await a.all()).toEqual(["before", "before", "before", "a block", "before", "in it"]);
});

test("transactionSync inside is undone alone; blockConcurrencyWhile inside is part of it", async () => {
  const { a } = await ledger();
  await a.parts();
  expect(await a.keys()).toEqual(["one", "two"]);
  await a.blockInside();
  expect(await a.keys()).toEqual(["one", "two"]);
  expect(await a.all()).toEqual([]);
});

test("one inside another is refused; two of one verb come one after the other", async () => {
  const { a } = await ledger();
  expect(await codeOf(a.nested())).toBe("TX_ABORTED");
  expect(await a.keys()).toEqual([]);
  await a.twoInOneBlock();
  expect(await a.all()).toEqual(["a 1", "a 2", "b 1", "b 2"]);
});

test("what it does not await is part of it", async () => {
  const { a } = await ledger();
  await Promise.all([a.notAwaited(), a.laterOperation()]);
  expect(await a.keys()).toEqual(["an operation", "late"]);
});

test("the handle of a transaction is refused after it, and after its rollback", async () => {
  const { a } = await ledger();
  const message = async (what: "after" | "rolledBack" | "rollbackAfter" | "inPart") =>
    (await failureOf(a.refused(what))).message;
  const ended = "on transaction that has already committed: did you move `txn` outside of the closure?";
  expect(await message("after")).toBe(`Cannot call put() ${ended}`);
  expect(await message("rollbackAfter")).toBe(`Cannot call rollback() ${ended}`);
  expect(await message("rolledBack")).toBe("Cannot get() on rolled back transaction");
  expect(await message("inPart")).toMatch(/^Cannot call rollback\(\) within transactionSync/);
  expect(await a.keys()).toEqual(["x"]);
  expect(await codeOf(a.wrong())).toBe("BAD_OPTION");
});

test("what the work writes by the storage itself after a rollback is a transaction of its own", async () => {
  const { a } = await ledger();
  expect(await a.goOnAfterRollback()).toEqual(["stays"]);
  expect(await a.keys()).toEqual(["stays"]);
});

test("calls out of it leave at once, since it waits for their answers", async () => {
  const { a, get } = await ledger();
  expect((await failureOf(a.callInside("b"))).message).toBe("only this side is taken back");
  expect(await get(Ledger, "b").all()).toEqual(["at once"]);
  expect(await a.keys()).toEqual([]);
});

test("one that takes too long is undone, and the instance given up, with ABORTED", async () => {
  const clock = new FakeClock();
  const { a } = await ledger({ clock });
  await a.put("counts a visit");
  const release = holdBack();
  const transfer = codeOf(a.transfer("commit"));
  await turns();
  clock.advance(1);
  const waiting = a.seen();
  clock.advance(MAX_BLOCK_MS - 2);
  expect(await isSettled(waiting)).toBe(false);
  clock.advance(1);
  expect(await transfer).toBe("ABORTED");
  expect(await waiting).toBe(0);
  // What is left of its work can do nothing any more.
  release();
  await turns();
  expect(await a.keys()).toEqual([]);
  expect(await a.all()).toEqual(["counts a visit", "before"]);
});
