// Calls between cells: when they leave, when they are dropped, in which order they arrive, and in whose name.

import { expect, test } from "vitest";
import { Cell } from "../../src/cell/cell.ts";
import { codeOf, failureOf, openCells } from "./nodes.ts";

const turn = () => new Promise<void>((resolve) => setImmediate(resolve));

class Box extends Cell {
  static override migrations = ["CREATE TABLE t (v TEXT) STRICT"];
  put(v: string) {
    this.sql`INSERT INTO t VALUES (${v})`;
  }
  all() {
    return this.sql.all<{ v: string }>`SELECT v FROM t ORDER BY rowid`.map((row) => row.v);
  }
  fail() {
    this.put("lost");
    throw new Error("the callee failed");
  }
}

class Sender extends Box {
  readonly other = this.get(Box, "other");
  codes: unknown[] = [];

  /** Notes the outcome of a call that the verb itself does not wait for. */
  watch(call: Promise<unknown>) {
    call.then(
      () => this.codes.push("arrived"),
      (error: { code?: string }) => this.codes.push(error.code),
    );
  }
  outcomes() {
    return this.codes;
  }
  callThenWrite(fail: boolean) {
    this.watch(this.other.put("before the write"));
    this.put("own");
    this.watch(this.get(Box, "other").put("after the write"));
    if (fail) throw new Error("take it back");
  }
  callOnly(fail: boolean) {
    this.watch(this.other.put("no write"));
    if (fail) throw new Error("take it back");
  }
  callInParts() {
    this.put("own");
    this.watch(this.other.put("1 kept"));
    try {
      this.transaction(() => {
        this.watch(this.other.put("2 dropped"));
        this.transaction(() => this.watch(this.other.put("3 dropped")));
        throw new Error("this part only");
      });
    } catch {
      // Goes on without it.
    }
    this.transaction(() => this.watch(this.other.put("4 kept")));
  }
  breakOwnTransaction() {
    this.sql`CREATE TABLE u (v TEXT UNIQUE) STRICT`;
    this.sql`INSERT INTO u VALUES ('x')`;
    this.watch(this.other.put("dropped"));
    try {
      this.sql`INSERT OR ROLLBACK INTO u VALUES ('x')`;
    } catch {
      // Swallowed, and yet the verb has failed: this call does not leave either.
    }
    this.watch(this.other.put("never made"));
  }
  async breakOwnStretch() {
    await turn();
    this.put("own");
    try {
      this.sql`INSERT OR ROLLBACK INTO u VALUES ('y'), ('y')`;
    } catch {
      // The verb has failed from here on: what it still calls goes nowhere.
    }
    await this.other.put("never made");
  }
  makeTable() {
    this.sql`CREATE TABLE IF NOT EXISTS u (v TEXT UNIQUE) STRICT`;
  }
  async callInStretch() {
    await turn();
    this.put("own");
    const seen = this.other.put("from a stretch");
    // Not yet: the stretch is open.
    await seen;
    return this.other.all();
  }
  async dropInStretch() {
    await turn();
    let call: Promise<unknown> | undefined;
    try {
      this.transaction(() => {
        this.put("own");
        call = this.other.put("dropped");
        throw new Error("undone");
      });
    } catch {
      // Only the call is of interest.
    }
    await call;
  }
  async throughAnother() {
    this.put("a");
    await this.get(Middle, "m").back(this.name);
    this.put("c");
    return this.all();
  }
  async toItself() {
    this.put("1");
    await this.get(Sender, this.name).put("2");
    this.put("3");
    return this.all();
  }
  async callFailing() {
    this.put("own");
    const failure = await failureOf(this.other.fail());
    return [failure.message, failure.remote];
  }
  async inOrder(count: number) {
    const calls: Promise<unknown>[] = [];
    for (let i = 0; i < count; i++) {
      if (i % 3 === 0) this.put(`own ${i}`);
      calls.push(this.other.put(`${i}`));
      if (i % 7 === 0) await Promise.resolve();
    }
    await Promise.all(calls);
  }
}

class Middle extends Cell {
  async back(name: string) {
    await this.get(Sender, name).put("b");
  }
}

async function boxes() {
  const opened = await openCells({ box: Box, sender: Sender, middle: Middle });
  return { ...opened, a: opened.get(Sender, "a"), other: opened.get(Box, "other") };
}

test("a call made in a sync verb leaves when the verb has committed", async () => {
  const { a, other } = await boxes();
  await a.callThenWrite(false);
  await turn();
  expect(await other.all()).toEqual(["before the write", "after the write"]);
  expect(await a.outcomes()).toEqual(["arrived", "arrived"]);
});

test("a call made in a sync verb that throws is dropped", async () => {
  const { a, other } = await boxes();
  await failureOf(a.callThenWrite(true));
  await failureOf(a.callOnly(true));
  await turn();
  expect(await other.all()).toEqual([]);
  expect(await a.outcomes()).toEqual(["TX_ABORTED", "TX_ABORTED", "TX_ABORTED"]);
  await a.callOnly(false);
  await turn();
  expect(await other.all()).toEqual(["no write"]);
});

test("a call made in a part that is rolled back is dropped with that part", async () => {
  const { a, other } = await boxes();
  await a.callInParts();
  await turn();
  expect(await other.all()).toEqual(["1 kept", "4 kept"]);
  expect(await codeOf(a.breakOwnTransaction())).toBe("TX_ABORTED");
  await turn();
  expect(await other.all()).toEqual(["1 kept", "4 kept"]);
  await a.makeTable();
  expect(await codeOf(a.breakOwnStretch())).toBe("TX_ABORTED");
  expect(await other.all()).toEqual(["1 kept", "4 kept"]);
  expect(await codeOf(a.dropInStretch())).toBe("TX_ABORTED");
  expect(await other.all()).toEqual(["1 kept", "4 kept"]);
});

test("a call made in a stretch leaves with the stretch's commit", async () => {
  const { a } = await boxes();
  expect(await a.callInStretch()).toEqual(["from a stretch"]);
});

test("a cell that waits for a call takes other calls: A to B to A, and A to A, do not deadlock", async () => {
  const { a } = await boxes();
  expect(await a.throughAnother()).toEqual(["a", "b", "c"]);
  const { a: again } = await boxes();
  expect(await again.toItself()).toEqual(["1", "2", "3"]);
});

test("what the callee throws is thrown to the caller, and takes back nothing of the caller", async () => {
  const { a, other } = await boxes();
  expect(await a.callFailing()).toEqual(["the callee failed", true]);
  expect(await a.all()).toEqual(["own"]);
  expect(await other.all()).toEqual([]);
});

test("calls of one caller to one cell arrive in the order in which they were made", async () => {
  const { a, other, get } = await boxes();
  await a.inOrder(50);
  expect(await other.all()).toEqual(Array.from({ length: 50 }, (_, i) => `${i}`));
  const direct = get(Box, "direct");
  const calls = Array.from({ length: 20 }, (_, i) => direct.put(`${i}`));
  await Promise.all(calls);
  expect(await direct.all()).toEqual(Array.from({ length: 20 }, (_, i) => `${i}`));
});
