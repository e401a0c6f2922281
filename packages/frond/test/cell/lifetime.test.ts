// How long an invocation and an instance last: waitUntil, abort, and the options of a stub.

import { expect, test } from "vitest";
import { Cell } from "../../src/cell/cell.ts";
import { FakeClock } from "../../src/clock.ts";
import { codeOf, failureOf, isSettled, openCells, reopen, SlowDisk, turns } from "./nodes.ts";

const turn = () => new Promise<void>((resolve) => setImmediate(resolve));

class Work extends Cell {
  static override migrations = ["CREATE TABLE t (v TEXT) STRICT"];
  field = "new";
  put(v: string) {
    this.sql`INSERT INTO t VALUES (${v})`;
    this.field = v;
  }
  all() {
    return this.sql.all<{ v: string }>`SELECT v FROM t ORDER BY rowid`.map((row) => row.v);
  }
  read() {
    return this.field;
  }
  later() {
    this.ctx.waitUntil(this.#later());
    return "answered";
  }
  async #later() {
    await turn();
    await turn();
    this.put("later");
  }
  failLater() {
    this.ctx.waitUntil(turn().then(() => Promise.reject(new Error("left over"))));
  }
  abort(why?: string) {
    this.put("not committed");
    this.ctx.abort(why);
  }
  abortUnseen() {
    this.put("not committed");
    try {
      this.ctx.abort("unseen");
    } catch {
      // The code does not want to know.
    }
    return "went on";
  }
  async waitAndPut() {
    await turn();
    await turn();
    await turn();
    this.put("after the abort");
  }
  async waitAndTell() {
    await turn();
    await turn();
    await turn();
    return this.field;
  }
  async waitAndThrow() {
    throw new Error(await this.waitAndTell());
  }
  askTooLate() {
    const work = turn().then(() => Promise.reject(new Error("left over by a verb that had ended")));
    void Promise.resolve()
      .then(() => this.ctx.waitUntil(work))
      .catch(() => {});
  }
  async never() {
    await new Promise(() => {});
  }
}

const cells = { work: Work };

test("waitUntil keeps a verb open that was answered: its statements are its own, and the cell is not closed", async () => {
  const opened = await openCells(cells);
  const cell = opened.get(Work, "a");
  const answer = cell.later();
  expect(await answer).toBe("answered");
  const live = opened.node.host.openCell("work/a" as never);
  expect(live?.idle).toBe(false);
  await turns(10);
  expect(await cell.all()).toEqual(["later"]);
  await opened.node.commitLog.flushed();
  expect(live?.idle).toBe(true);
});

test("what waitUntil was given and fails goes to the log", async () => {
  const { get, lines } = await openCells(cells);
  await get(Work, "a").failLater();
  await turns(10);
  expect(lines).toContain("warn what a verb had left to waitUntil failed: left over");
});

test("a graceful stop waits for what waitUntil was given", async () => {
  const opened = await openCells(cells);
  await opened.get(Work, "a").later();
  const again = await reopen(opened, cells);
  expect(await again.get(Work, "a").all()).toEqual(["later"]);
});

test("abort gives the instance up: what is not committed is undone, and the next call finds a new one", async () => {
  const { get } = await openCells(cells);
  const cell = get(Work, "a");
  await cell.put("kept");
  const error = await failureOf(cell.abort("enough"));
  expect([error.code, error.message]).toEqual(["ABORTED", "work/a: enough"]);
  expect(await cell.read()).toBe("new");
  expect(await cell.all()).toEqual(["kept"]);
  expect(await codeOf(cell.abortUnseen())).toBe("ABORTED");
  expect(await cell.all()).toEqual(["kept"]);
});

test("other verbs of an aborted instance fail at their next statement, and write nothing", async () => {
  const { get } = await openCells(cells);
  const cell = get(Work, "a");
  const other = codeOf(cell.waitAndPut());
  await codeOf(cell.abort());
  expect(await other).toBe("ABORTED");
  expect(await cell.all()).toEqual([]);
});

test("what an aborted instance had in its fields is not told any more", async () => {
  const { get } = await openCells(cells);
  const cell = get(Work, "a");
  const others = [codeOf(cell.waitAndTell()), codeOf(cell.waitAndThrow())];
  await codeOf(cell.abort());
  expect(await Promise.all(others)).toEqual(["ABORTED", "ABORTED"]);
});

test("what waitUntil refuses is no rejection that nobody awaits", async () => {
  const { get, lines } = await openCells(cells);
  await get(Work, "a").askTooLate();
  await turns(10);
  expect(lines).toContain("warn what a verb had left to waitUntil failed: left over by a verb that had ended");
});

test("a call with timeoutMs fails with OUTCOME_UNKNOWN when its time has passed", async () => {
  const clock = new FakeClock();
  const { get } = await openCells(cells, { clock });
  const call = codeOf(get(Work, "a", { timeoutMs: 100 }).never());
  clock.advance(99);
  expect(await isSettled(call)).toBe(false);
  clock.advance(1);
  expect(await call).toBe("OUTCOME_UNKNOWN");
  expect(await get(Work, "a", { timeoutMs: 100 }).read()).toBe("new");
});

test("options of get that nobody knows are refused", async () => {
  const { get } = await openCells(cells);
  expect(() => get(Work, "a", { timeoutMs: 0 })).toThrow(/timeoutMs/);
  expect(() => get(Work, "a", { timeout: 5 } as never)).toThrow(/not timeout/);
});

class Fast extends Work {
  static override durability = "memory" as const;
}

test("the level of one call can be raised above that of its class", async () => {
  const disk = new SlowDisk();
  const { node } = await openCells(
    { fast: Fast },
    {
      io: disk,
      fetch: async (request, { get }) => {
        const raised = request.url.endsWith("raised");
        await get(Fast, "a", raised ? { durability: "disk" } : {}).put("x");
        return new Response("done");
      },
    },
  );
  const send = (path: string) => node.handle(new Request(`http://test/${path}`), { remoteAddress: "" });
  await send("raised");
  disk.hold();
  await send("plain");
  const raised = send("raised");
  expect(await isSettled(raised)).toBe(false);
  disk.release();
  expect(await (await raised).text()).toBe("done");
});
