// this.transaction and ctx.storage.transactionSync: all or nothing, nested as savepoints, and what may end one early.

import { expect, test } from "vitest";
import { Cell } from "../../src/cell/cell.ts";
import { afterKill, codeOf, commitsIn, failureOf, openCells } from "./nodes.ts";

const turn = () => new Promise<void>((resolve) => setImmediate(resolve));

class Ledger extends Cell {
  static override migrations = [
    `CREATE TABLE entry (n INTEGER PRIMARY KEY) STRICT;
     CREATE TABLE parent (id INTEGER PRIMARY KEY) STRICT;
     CREATE TABLE child (id INTEGER REFERENCES parent DEFERRABLE INITIALLY DEFERRED) STRICT;
     CREATE TRIGGER refuse BEFORE INSERT ON entry WHEN new.n = 666 BEGIN SELECT RAISE(ROLLBACK, 'not this one'); END`,
  ];
  add(n: number) {
    this.sql`INSERT INTO entry VALUES (${n})`;
  }
  entries() {
    return this.sql.all<{ n: number }>`SELECT n FROM entry ORDER BY n`.map((row) => row.n);
  }
  caught(work: () => unknown) {
    try {
      work();
    } catch (error) {
      return (error as { code?: string }).code ?? (error as Error).message;
    }
    return "nothing";
  }
  nested() {
    this.add(1);
    const outer = this.caught(() =>
      this.transaction(() => {
        this.add(2);
        const inner = this.caught(() =>
          this.ctx.storage.transactionSync(() => {
            this.add(3);
            this.transaction(() => this.add(4));
            throw new Error("inner");
          }),
        );
        this.add(5);
        return inner;
      }),
    );
    this.caught(() =>
      this.transaction(() => {
        this.add(6);
        throw new Error("undone alone");
      }),
    );
    this.add(7);
    return outer;
  }
  async nestedAsync() {
    await turn();
    this.caught(() =>
      this.transaction(() => {
        this.add(1);
        throw new Error("undone");
      }),
    );
    this.add(2);
    const result = this.transaction(() => {
      this.transaction(() => this.add(3));
      return "given";
    });
    await turn();
    this.caught(() =>
      this.transaction(() => {
        this.transaction(() => this.add(4));
        throw new Error("undone with what had succeeded in it");
      }),
    );
    return result;
  }
  givenAsync() {
    this.add(1);
    this.transaction(async () => {
      this.add(2);
      await turn();
      this.add(3);
    });
  }
  givenAsyncAndSwallowedAtOnce() {
    this.add(1);
    this.caught(() => this.transaction(async () => this.add(2)));
  }
  async givenAsyncAndSwallowed() {
    await turn();
    this.add(1);
    const code = this.caught(() =>
      this.transaction(async () => {
        this.add(2);
        await turn();
        this.add(3);
      }),
    );
    await turn();
    await turn();
    return code;
  }
  rollBackByStatement(how: "or" | "raise", then: "add" | "read" | "nothing" | "throw" | "nest") {
    this.add(1);
    const bad = () => {
      if (how === "raise") return this.add(666);
      this.sql`INSERT OR ROLLBACK INTO entry VALUES (1)`;
    };
    if (then === "nest") return this.transaction(() => this.transaction(bad));
    const code = this.caught(bad);
    if (then === "add") this.add(2);
    if (then === "read") this.entries();
    if (then === "throw") throw new Error("own");
    return code;
  }
  async rollBackInStretch() {
    this.add(1);
    await turn();
    this.add(2);
    const code = this.caught(() => this.add(666));
    await turn();
    return code;
  }
  orphan() {
    this.add(1);
    this.sql`INSERT INTO child VALUES (7)`;
  }
  adopted() {
    this.sql`INSERT INTO child VALUES (7)`;
    this.sql`INSERT INTO parent VALUES (7)`;
  }
  orphanInTransaction() {
    return this.caught(() => this.transaction(() => this.orphan()));
  }
  fill(from: number, to: number) {
    for (let n = from; n < to; n++) this.add(n);
  }
  empty() {
    this.sql`DELETE FROM entry`;
  }
  vacuumIt(inTransaction: boolean) {
    if (inTransaction) this.transaction(() => this.vacuum());
    else this.vacuum();
    return this.ctx.storage.sql.databaseSize;
  }
  deferred() {
    this.ctx.storage.sql.exec("PRAGMA defer_foreign_keys = ON");
    this.sql`INSERT INTO child VALUES (8)`;
    this.sql`INSERT INTO parent VALUES (8)`;
  }
}

async function ledger() {
  const opened = await openCells({ ledger: Ledger });
  return { ...opened, a: opened.get(Ledger, "a") };
}

test("a transaction that throws undoes itself alone, at every depth", async () => {
  const { a, node, directory } = await ledger();
  expect(await a.nested()).toBe("nothing");
  expect(await a.entries()).toEqual([1, 2, 5, 7]);
  await node.commitLog.flushed();
  expect(commitsIn(directory)).toHaveLength(1);
});

test("a transaction gives its result, and nests in async verbs too", async () => {
  const { a } = await ledger();
  expect(await a.nestedAsync()).toBe("given");
  expect(await a.entries()).toEqual([2, 3]);
});

test("a transaction that is given an async function fails with TX_ASYNC, and nothing of it happens later", async () => {
  const { a } = await ledger();
  expect(await codeOf(a.givenAsync())).toBe("TX_ASYNC");
  expect(await codeOf(a.givenAsyncAndSwallowedAtOnce())).toBe("TX_ASYNC");
  expect(await a.entries()).toEqual([]);
  expect(await codeOf(a.givenAsyncAndSwallowed())).toBe("TX_ASYNC");
  await turn();
  expect(await a.entries()).toEqual([1]);
});

test("a verb whose own statement rolled its transaction back fails with TX_ABORTED, also when it swallows the error", async () => {
  for (const how of ["or", "raise"] as const) {
    for (const then of ["add", "read", "nothing", "throw", "nest"] as const) {
      const { a, node, directory } = await ledger();
      const failure = await failureOf(a.rollBackByStatement(how, then));
      expect(failure.code, `${how} ${then}`).toBe("TX_ABORTED");
      expect((failure.cause as { code: string }).code).toBe("SQL_CONSTRAINT");
      expect(await a.entries()).toEqual([]);
      await node.commitLog.flushed();
      expect(commitsIn(directory)).toHaveLength(0);
      await a.add(3);
      expect(await a.entries()).toEqual([3]);
    }
  }
});

test("in an async verb such a statement takes back its stretch and fails the verb", async () => {
  const { a } = await ledger();
  expect(await codeOf(a.rollBackInStretch())).toBe("TX_ABORTED");
  expect(await a.entries()).toEqual([1]);
});

test("a deferred foreign key that fails at COMMIT fails the verb, and nothing of it is there", async () => {
  const { a, node, directory } = await ledger();
  expect(await codeOf(a.orphan())).toBe("SQL_CONSTRAINT");
  // A savepoint does not check it: the verb's commit does.
  expect(await codeOf(a.orphanInTransaction())).toBe("SQL_CONSTRAINT");
  expect(await a.entries()).toEqual([]);
  await node.commitLog.flushed();
  expect(commitsIn(directory)).toHaveLength(0);
  await a.adopted();
  await a.deferred();
});

test("this.vacuum gives unused pages back, as a commit of its own and so outside of transactions", async () => {
  const { a, ...opened } = await ledger();
  await a.fill(1000, 4000);
  await a.empty();
  await a.add(5000);
  expect(await codeOf(a.vacuumIt(true))).toBe("TX_ABORTED");
  expect(await a.vacuumIt(false)).toBeLessThan(16 * 1024);
  await a.add(5001);
  await opened.node.commitLog.flushed();
  expect(commitsIn(opened.directory, "ledger/a")).toHaveLength(5);
  const rebuilt = await afterKill(opened, { ledger: Ledger }, { boot: "another boot" });
  expect(await rebuilt.get(Ledger, "a").entries()).toEqual([5000, 5001]);
});
