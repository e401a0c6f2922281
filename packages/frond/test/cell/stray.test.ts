// Statements that belong to no running verb of their cell are refused: timers, work that nobody awaited, another cell's
// `this`, code that was called into in the middle of a verb.

import { AsyncResource } from "node:async_hooks";
import { expect, test } from "vitest";
import { Cell } from "../../src/cell/cell.ts";
import { codeOf, failureOf, openCells } from "./nodes.ts";

const turn = () => new Promise<void>((resolve) => setImmediate(resolve));
let leaked: Loose | undefined;
const outcomes: string[] = [];
/** Functions that run in the context of the test, wherever they are called. */
const outsiders = new Map<string, () => void>();

function keep(cell: Loose): void {
  leaked = cell;
}

/** What happens to `work`, noted for the test. */
async function note(name: string, work: () => unknown): Promise<void> {
  try {
    await work();
    outcomes.push(`${name}: done`);
  } catch (error) {
    outcomes.push(`${name}: ${(error as { code?: string }).code ?? String(error)}`);
  }
}

class Loose extends Cell {
  static override migrations = ["CREATE TABLE t (v TEXT) STRICT"];
  bound: (() => void) | undefined;

  write(v: string) {
    this.sql`INSERT INTO t VALUES (${v})`;
  }
  rows() {
    return this.sql.all<{ v: string }>`SELECT v FROM t ORDER BY rowid`.map((row) => row.v);
  }
  leak() {
    keep(this);
  }
  startTimer() {
    setTimeout(() => void note("timer", () => this.write("timer")), 0);
  }
  async startUnawaited() {
    this.write("awaited");
    const work = async () => {
      await turn();
      this.write("unawaited");
    };
    void note("unawaited", work);
    void note("read", async () => {
      await turn();
      this.rows();
    });
    void note("kv", async () => {
      await turn();
      this.ctx.storage.kv.get("k");
    });
    void note("transaction", async () => {
      await turn();
      this.transaction(() => {});
    });
  }
  async timerWithin() {
    await new Promise<void>((resolve) => {
      setTimeout(() => {
        this.write("timer within");
        resolve();
      }, 0);
    });
  }
  useOther() {
    this.write("before");
    return (leaked as Loose).rows();
  }
  getOfOther() {
    (leaked as Loose).get(Loose, "c");
  }
  /** A function that runs as this verb, wherever it is called, as libraries bind their callbacks. */
  async bindFor(turns: number) {
    this.bound = AsyncResource.bind(() => this.write("called into"));
    for (let i = 0; i < turns; i++) await turn();
  }
  callBound(how: "sync" | "transaction") {
    this.write("first");
    if (how === "sync") this.bound?.();
    else this.transaction(() => this.bound?.());
    this.write("second");
  }
  readAndCallOutside(outside: string) {
    const before = this.rows().length;
    outsiders.get(outside)?.();
    return this.rows().length - before;
  }
  callOutside(outside: string, fail: boolean) {
    this.write("first");
    outsiders.get(outside)?.();
    this.write("second");
    if (fail) throw new Error("taken back");
  }
  async callBoundInTransaction() {
    await turn();
    this.transaction(() => {
      this.write("first");
      this.bound?.();
    });
  }
}

async function loose() {
  outcomes.length = 0;
  leaked = undefined;
  const opened = await openCells({ loose: Loose });
  return { ...opened, a: opened.get(Loose, "a"), b: opened.get(Loose, "b") };
}

test("a statement outside of any verb is refused", async () => {
  const { a } = await loose();
  await a.leak();
  expect(() => leaked?.write("from the test")).toThrow(/loose\/a was used outside of any verb/);
  expect(() => leaked?.ctx.storage.sql.exec("SELECT 1")).toThrow(/outside of any verb/);
  expect(() => leaked?.ctx.storage.sql.databaseSize).toThrow(/outside of any verb/);
  expect(() => leaked?.get(Loose, "b")).toThrow(/outside of any verb/);
  expect(() => leaked?.vacuum()).toThrow(/outside of any verb/);
  // Who it is can be asked at any time.
  expect(leaked?.name).toBe("a");
  expect(String(leaked?.ctx.id)).toBe("loose/a");
  expect(await a.rows()).toEqual([]);
});

test("what a verb starts and does not await is refused once the verb has ended", async () => {
  const { a } = await loose();
  await a.startTimer();
  await new Promise((resolve) => setTimeout(resolve, 5));
  expect(outcomes).toEqual(["timer: STRAY_STATEMENT"]);
  await a.startUnawaited();
  await turn();
  await turn();
  expect(outcomes.slice(1).sort()).toEqual([
    "kv: STRAY_STATEMENT",
    "read: STRAY_STATEMENT",
    "transaction: STRAY_STATEMENT",
    "unawaited: STRAY_STATEMENT",
  ]);
  expect(await a.rows()).toEqual(["awaited"]);
});

test("a timer that the verb waits for belongs to the verb", async () => {
  const { a } = await loose();
  await a.timerWithin();
  expect(await a.rows()).toEqual(["timer within"]);
});

test("the this of another cell cannot be used inside a verb", async () => {
  const { a, b } = await loose();
  await a.leak();
  const failure = await failureOf(b.useOther());
  expect(failure.code).toBe("STRAY_STATEMENT");
  expect(failure.message).toContain("loose/a was used by loose/b");
  expect(await b.rows()).toEqual([]);
  expect(await codeOf(b.getOfOther())).toBe("STRAY_STATEMENT");
});

test("a call that comes in the middle of a sync verb from elsewhere begins when the verb has ended", async () => {
  for (const fail of [false, true]) {
    const { a } = await loose();
    let call: Promise<void> | undefined;
    const write = AsyncResource.bind(() => {
      call = a.write("from outside");
    });
    outsiders.set("write", write);
    await a.callOutside("write", fail).catch(() => {});
    await call;
    expect(await a.rows()).toEqual(fail ? ["from outside"] : ["first", "second", "from outside"]);
    // The same where the verb has not written.
    expect(await a.readAndCallOutside("write")).toBe(0);
    await call;
    expect((await a.rows()).at(-1)).toBe("from outside");
  }
});

test("nobody else's statement gets into the middle of a sync verb or of a transaction", async () => {
  const { a } = await loose();
  const running = a.bindFor(8);
  for (const how of ["sync", "transaction"] as const) {
    const failure = await failureOf(a.callBound(how));
    expect(failure.code).toBe("STRAY_STATEMENT");
    expect(failure.message).toContain("in the middle of callBound");
  }
  expect(await codeOf(a.callBoundInTransaction())).toBe("STRAY_STATEMENT");
  expect(await a.rows()).toEqual([]);
  await running;
});
