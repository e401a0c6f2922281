// Sync verbs: each is one transaction, whole or without a trace, and one record in the log.

import { expect, test } from "vitest";
import { Cell } from "../../src/cell/cell.ts";
import { codeOf, commitsIn, failureOf, openCells, reopen } from "./nodes.ts";

class Notes extends Cell {
  static override migrations = ["CREATE TABLE note (id INTEGER PRIMARY KEY, body TEXT NOT NULL UNIQUE) STRICT"];
  calls = 0;

  add(...bodies: string[]) {
    this.calls++;
    for (const body of bodies) this.sql`INSERT INTO note (body) VALUES (${body})`;
    return this.count();
  }
  count() {
    return this.sql.one<{ n: number }>`SELECT count(*) AS n FROM note`.n;
  }
  addAndThrow(body: string) {
    this.add(body);
    throw new Error("after the write");
  }
  addAndReturn(body: string, what: "function" | "symbol") {
    this.add(body);
    return what === "function" ? () => body : Symbol(body);
  }
  rename(from: string, to: string) {
    return this.sql`UPDATE note SET body = ${to} WHERE body = ${from}`.changes;
  }
  fields() {
    return this.calls;
  }
  vacuumAfter(what: "read" | "write") {
    if (what === "read") this.count();
    else this.add("x");
    this.vacuum();
  }
  addLater(body: string): Promise<number> {
    this.add(`${body} 1`);
    return new Promise((resolve) => setImmediate(resolve)).then(() => this.add(`${body} 2`));
  }
  throwBeforePromise(body: string): Promise<number> {
    this.add(body);
    if (body !== "") throw new Error("before there was a promise");
    return Promise.resolve(0);
  }
}

const cells = { notes: Notes };

test("a sync verb commits whole, as one record", async () => {
  const opened = await openCells(cells);
  expect(await opened.get(Notes, "a").add("one", "two", "three")).toBe(3);
  await opened.get(Notes, "a").add("four", "five");
  await opened.node.commitLog.flushed();
  expect(commitsIn(opened.directory, "notes/a")).toHaveLength(2);
  const again = await reopen(opened, cells);
  expect(await again.get(Notes, "a").count()).toBe(5);
});

test("a sync verb that throws leaves no trace in the database", async () => {
  const opened = await openCells(cells);
  const notes = opened.get(Notes, "a");
  await notes.add("one");
  expect((await failureOf(notes.addAndThrow("two"))).message).toBe("after the write");
  // The third row breaks a constraint: the two before it go with it.
  expect(await codeOf(notes.add("two", "three", "one"))).toBe("SQL_CONSTRAINT");
  expect(await notes.count()).toBe(1);
  await opened.node.commitLog.flushed();
  expect(commitsIn(opened.directory)).toHaveLength(1);
  expect(await (await reopen(opened, cells)).get(Notes, "a").count()).toBe(1);
});

test("a result that cannot be given takes the sync verb back", async () => {
  const { get } = await openCells(cells);
  const notes = get(Notes, "a");
  await notes.add("one");
  const failure = await failureOf(notes.addAndReturn("two", "function"));
  expect(failure.code).toBe("NOT_CLONEABLE");
  expect(failure.message).toContain("addAndReturn");
  expect(await codeOf(notes.addAndReturn("two", "symbol"))).toBe("NOT_CLONEABLE");
  expect(await notes.count()).toBe(1);
});

test("reads open no transaction, the first write does", async () => {
  const opened = await openCells(cells);
  const notes = opened.get(Notes, "a");
  await notes.add("one");
  // VACUUM is possible outside a transaction only.
  await notes.vacuumAfter("read");
  expect(await codeOf(notes.vacuumAfter("write"))).toBe("TX_ABORTED");
  expect(await notes.count()).toBe(1);
});

test("a verb that changes nothing writes no record", async () => {
  const opened = await openCells(cells);
  const notes = opened.get(Notes, "a");
  await notes.add("one");
  await opened.node.commitLog.flushed();
  expect(await notes.count()).toBe(1);
  expect(await notes.rename("none", "other")).toBe(0);
  expect(await notes.add()).toBe(1);
  await opened.node.commitLog.flushed();
  expect(commitsIn(opened.directory)).toHaveLength(1);
});

test("fields are never rolled back, and last as long as the instance", async () => {
  const opened = await openCells(cells);
  const notes = opened.get(Notes, "a");
  await notes.add("one");
  await failureOf(notes.addAndThrow("two"));
  expect(await notes.fields()).toBe(2);
  const again = await reopen(opened, cells);
  expect(await again.get(Notes, "a").fields()).toBe(0);
});

test("a verb that returns a promise without being declared async runs by stretches", async () => {
  const opened = await openCells(cells);
  const notes = opened.get(Notes, "a");
  expect(await notes.addLater("x")).toBe(2);
  await opened.node.commitLog.flushed();
  expect(commitsIn(opened.directory)).toHaveLength(2);
  // One that throws before it has a promise was a sync verb.
  await failureOf(notes.throwBeforePromise("y"));
  expect(await notes.count()).toBe(2);
});

test("a thenable that a verb returns runs as part of the verb", async () => {
  class Lazy extends Cell {
    query(value: string) {
      // As query builders do: nothing runs before `then`.
      return {
        // oxlint-disable-next-line unicorn/no-thenable
        then: (resolve: (rows: unknown) => void) => {
          this.ctx.storage.sql.exec("CREATE TABLE IF NOT EXISTS t (v TEXT) STRICT; INSERT INTO t VALUES (?)", value);
          resolve(this.sql.all`SELECT v FROM t`);
        },
      };
    }
    hostile() {
      return {
        // oxlint-disable-next-line unicorn/no-thenable
        get then(): unknown {
          throw new Error("then has a trap");
        },
      };
    }
  }
  const opened = await openCells({ lazy: Lazy });
  expect(await opened.get(Lazy, "a").query("x")).toEqual([{ v: "x" }]);
  expect((await failureOf(opened.get(Lazy, "a").hostile())).message).toBe("then has a trap");
  expect(await opened.get(Lazy, "a").query("y")).toEqual([{ v: "x" }, { v: "y" }]);
});
