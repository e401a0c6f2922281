// Async verbs: each stretch between two awaits commits by itself, and what is committed is never rolled back.

import { expect, test } from "vitest";
import { Cell } from "../../src/cell/cell.ts";
import { codeOf, commitsIn, failureOf, openCells } from "./nodes.ts";

const turn = () => new Promise<void>((resolve) => setImmediate(resolve));

class Steps extends Cell {
  static override migrations = [
    `CREATE TABLE step (n INTEGER PRIMARY KEY) STRICT;
     CREATE TABLE parent (id INTEGER PRIMARY KEY) STRICT;
     CREATE TABLE child (id INTEGER REFERENCES parent DEFERRABLE INITIALLY DEFERRED) STRICT`,
  ];
  seen: string[] = [];

  step(n: number) {
    this.sql`INSERT INTO step VALUES (${n})`;
  }
  orphan() {
    this.sql`INSERT INTO child VALUES (7)`;
  }
  steps() {
    return this.sql.all<{ n: number }>`SELECT n FROM step ORDER BY n`.map((row) => row.n);
  }
  orphans() {
    return this.sql.one<{ n: number }>`SELECT count(*) AS n FROM child`.n;
  }
  async three() {
    this.step(1);
    this.step(2);
    await turn();
    this.step(3);
    this.step(4);
    await Promise.resolve();
    this.step(5);
    return this.steps();
  }
  async throwIn(stretch: number) {
    this.step(1);
    if (stretch === 1) throw new Error("in stretch 1");
    await turn();
    this.step(2);
    if (stretch === 2) throw new Error("in stretch 2");
    await turn();
    this.step(3);
    throw new Error("in stretch 3");
  }
  async orphanIn(stretch: number) {
    this.step(1);
    if (stretch === 1) this.orphan();
    await turn();
    this.seen.push("second");
    this.step(2);
    if (stretch === 2) this.orphan();
    await turn();
    this.seen.push("third");
    this.step(3);
    if (stretch === 3) this.orphan();
    return "all went well";
  }
  async transactionIn(stretch: number) {
    if (stretch > 1) await turn();
    try {
      this.transaction(() => {
        this.step(1);
        this.orphan();
      });
    } catch (error) {
      this.seen.push((error as { code: string }).code);
    }
    this.step(2);
    return this.steps();
  }
  async branches() {
    const branch = async (first: number) => {
      this.step(first);
      await Promise.resolve();
      this.step(first + 1);
      await turn();
      this.step(first + 2);
    };
    await Promise.all([branch(10), branch(20), branch(30)]);
    return this.steps();
  }
  what() {
    return this.seen;
  }
}

async function steps() {
  const opened = await openCells({ steps: Steps });
  const commits = async () => {
    await opened.node.commitLog.flushed();
    return commitsIn(opened.directory, "steps/a").length;
  };
  return { ...opened, commits, a: opened.get(Steps, "a") };
}

test("each stretch of an async verb is a commit of its own", async () => {
  const { a, commits } = await steps();
  expect(await a.three()).toEqual([1, 2, 3, 4, 5]);
  expect(await commits()).toBe(3);
});

test("a throw in an async verb takes back nothing, not even of its own stretch", async () => {
  for (const stretch of [1, 2, 3]) {
    const { a } = await steps();
    expect((await failureOf(a.throwIn(stretch))).message).toBe(`in stretch ${stretch}`);
    expect(await a.steps()).toEqual([1, 2, 3].slice(0, stretch));
  }
});

test("a stretch whose commit fails is gone, and its failure is the answer", async () => {
  for (const stretch of [1, 2, 3]) {
    const { a } = await steps();
    expect(await codeOf(a.orphanIn(stretch))).toBe("SQL_CONSTRAINT");
    expect(await a.steps()).toEqual([1, 2, 3].slice(0, stretch - 1));
    expect(await a.orphans()).toBe(0);
    // The code runs on to its next statement, which fails with the same error, and no further.
    expect(await a.what()).toEqual(["second", "third"].slice(0, stretch));
    await a.step(9);
    expect(await a.steps()).toContain(9);
  }
});

test("this.transaction of an async verb commits before it returns", async () => {
  for (const stretch of [1, 2]) {
    const { a, commits } = await steps();
    expect(await a.transactionIn(stretch)).toEqual([2]);
    expect(await a.what()).toEqual(["SQL_CONSTRAINT"]);
    expect(await a.orphans()).toBe(0);
    expect(await commits()).toBe(1);
  }
});

test("branches of one invocation may share a stretch", async () => {
  const { a } = await steps();
  expect(await a.branches()).toEqual([10, 11, 12, 20, 21, 22, 30, 31, 32]);
});
