// A node's end and its next start: what verbs are told, and that cells are as the log has them, however it ended.

import { expect, test } from "vitest";
import { Cell } from "../../src/cell/cell.ts";
import { afterKill, codeOf, failureOf, isSettled, openCells, openIn, reopen, SlowDisk, turns } from "../cell/nodes.ts";

class Work extends Cell {
  static override migrations = ["CREATE TABLE t (v TEXT) STRICT"];
  put(v: string) {
    this.sql`INSERT INTO t VALUES (${v})`;
  }
  all() {
    return this.sql.all<{ v: string }>`SELECT v FROM t ORDER BY rowid`.map((row) => row.v);
  }
  async slowly(job: string) {
    this.put(`${job} begun`);
    await (jobs.get(job) as PromiseWithResolvers<void>).promise;
    this.put(`${job} done`);
    return this.all();
  }
  async reading(job: string) {
    await (jobs.get(job) as PromiseWithResolvers<void>).promise;
    return this.all();
  }
  async calling(job: string) {
    await (jobs.get(job) as PromiseWithResolvers<void>).promise;
    return this.get(Work, "another").all();
  }
}

const cells = { work: Work };
/** What each job waits for. */
const jobs = new Map<string, PromiseWithResolvers<void>>();

function begin(name: string): () => void {
  const made = Promise.withResolvers<void>();
  jobs.set(name, made);
  return made.resolve;
}

test("a graceful stop waits for verbs that run and takes what they wrote", async () => {
  const opened = await openCells(cells);
  const finish = begin("a");
  const running = opened.get(Work, "a").slowly("a");
  const stopped = opened.node.stop();
  expect(opened.node.state()).toEqual({ ready: false, refuse: "stopping" });
  expect(await isSettled(stopped)).toBe(false);
  finish();
  expect(await running).toEqual(["a begun", "a done"]);
  await stopped;
  const again = await openIn(opened.directory, cells);
  expect(again.node.recovered).toMatchObject({ unclean: false, reports: [] });
  expect(await again.get(Work, "a").all()).toEqual(["a begun", "a done"]);
});

test("a verb that outlasts the grace of a stop can write nothing more, before the log is closed and after", async () => {
  for (const when of ["before", "after"]) {
    const disk = new SlowDisk();
    const opened = await openCells(cells, { io: disk });
    const finish = begin("a");
    const write = failureOf(opened.get(Work, "a").slowly("a"));
    const read = opened.get(Work, "reads").reading("a");
    const call = failureOf(opened.get(Work, "calls").calling("a"));
    await turns();
    if (when === "before") disk.hold();
    void opened.get(Work, "b").put("on its way");
    const stopped = opened.node.stop(0);
    if (when === "before") await turns();
    else await stopped;
    finish();
    expect(await write).toMatchObject({ code: "STOPPING", retryable: true });
    expect(await call).toMatchObject({ code: "STOPPING" });
    if (when === "before") expect(await read).toEqual([]);
    else expect(await codeOf(read)).toBe("STOPPING");
    disk.release();
    await stopped;
    // From the files and from the log alone: they say the same.
    for (const boot of [undefined, "another boot"]) {
      const copy = await afterKill(opened, cells, boot === undefined ? {} : { boot });
      expect(await copy.get(Work, "a").all()).toEqual(["a begun"]);
      expect(await copy.get(Work, "b").all()).toEqual(["on its way"]);
    }
  }
});

test("a stopped node refuses calls with STOPPING", async () => {
  const opened = await openCells(cells);
  await opened.get(Work, "a").put("x");
  await opened.node.stop();
  expect(await codeOf(opened.get(Work, "a").all())).toBe("STOPPING");
  expect(await codeOf(opened.get(Work, "new").put("x"))).toBe("STOPPING");
  await opened.node.stop();
});

test("cells are the same after a clean stop, after a kill, and after a loss of all cell files' worth", async () => {
  const opened = await openCells(cells);
  const names = Array.from({ length: 30 }, (_, i) => `cell ${i}`);
  for (let round = 0; round < 4; round++) {
    for (const [i, name] of names.entries())
      if (i % (round + 1) === 0) await opened.get(Work, name).put(`round ${round}`);
  }
  await opened.node.commitLog.flushed();
  const expected = new Map<string, string[]>();
  for (const name of names) expected.set(name, await opened.get(Work, name).all());
  const check = async (node: Awaited<ReturnType<typeof openCells>>) => {
    for (const [name, values] of expected) {
      expect(await node.get(Work, name).all()).toEqual(values);
      const integrity = await node.node.control.sql(
        `work/${name.replace("/", "%2f")}`,
        "PRAGMA integrity_check",
        [],
        false,
      );
      expect(integrity.rows).toEqual([["ok"]]);
    }
    await node.get(Work, "cell 0").put("goes on");
    expect(await node.get(Work, "cell 0").all()).toEqual([...(expected.get("cell 0") as string[]), "goes on"]);
  };
  const killed = await afterKill(opened, cells);
  expect(killed.node.recovered.unclean).toBe(true);
  await check(killed);
  const rebooted = await afterKill(opened, cells, { boot: "another boot" });
  expect(rebooted.node.recovered.doubtfulThrough).toBe(1);
  await check(rebooted);
  const clean = await reopen(opened, cells);
  expect(clean.node.recovered.unclean).toBe(false);
  await check(clean);
  // Killed again, after the rebuilt files were written to.
  await rebooted.node.commitLog.flushed();
  const twice = await afterKill(rebooted, cells, { boot: "another boot" });
  expect(await twice.get(Work, "cell 0").all()).toContain("goes on");
});

test("services start with what they need, and are stopped before the node flushes", async () => {
  const events: string[] = [];
  const opened = await openCells(cells, {
    start: async ({ get, log, dataDirectory }) => {
      log.info({}, `serving ${dataDirectory.length > 0}`);
      await get(Work, "a").put("from the service");
      return async () => {
        await get(Work, "a").put("at the end");
        events.push("stopped");
      };
    },
  });
  await opened.node.startServices();
  expect(opened.lines).toContain("info serving true");
  await opened.node.stop();
  expect(events).toEqual(["stopped"]);
  const again = await openIn(opened.directory, cells);
  expect(await again.get(Work, "a").all()).toEqual(["from the service", "at the end"]);
});

test("an app without fetch answers 404", async () => {
  const { node } = await openCells(cells);
  expect((await node.handle(new Request("http://test/"), { remoteAddress: "" })).status).toBe(404);
});
