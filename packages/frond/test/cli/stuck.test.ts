// Code that holds the event loop of a real node: what its callers hear, what its cell is afterwards, what others notice, and
// what becomes of a cell that does it again and again. Nothing that was acknowledged is ever lost.

import { existsSync, readFileSync } from "node:fs";
import { describe, expect, onTestFinished, test } from "vitest";
import { EXIT_STUCK } from "../../src/cli/exits.ts";
import { Folder, frond, Running } from "./command.ts";
import { STUCK_APP } from "./stuckApp.ts";

function folderWithApp(): Folder {
  const folder = new Folder(STUCK_APP);
  onTestFinished(() => folder.remove());
  return folder;
}

function start(folder: Folder, maxSyncMs = 600): Running {
  const running = new Running(folder, ["start", "app.ts", "--listen", "0", "--max-sync-ms", String(maxSyncMs)]);
  onTestFinished(() => void running.child.kill("SIGKILL"));
  return running;
}

interface Said {
  readonly status: number;
  readonly body: unknown;
}

async function ask(url: string, path: string, method = "GET"): Promise<Said> {
  const response = await fetch(`${url}/${path}`, { method, ...(method === "POST" && { body: "x" }) });
  return { status: response.status, body: await response.json() };
}

const INTERNAL = { status: 500, body: { error: { code: "INTERNAL" } } };
const TERMINATED = { status: 500, body: { code: "TERMINATED", retryable: false } };
const added = (sum: number): Said => ({ status: 200, body: { sum, fresh: true } });

describe("code that goes on for ever", () => {
  test("is ended: its call fails, its cell is as it was with a new instance, other cells do not notice", async () => {
    const folder = folderWithApp();
    const node = start(folder);
    const url = await node.ready();
    expect(await ask(url, "other/add/7")).toEqual(added(7));
    // Where it was called from decides how its caller hears of it.
    const ways: [string, string, string, object, number][] = [
      ["in the middle of reading a request", "loop", "GET", INTERNAL, 1],
      ["from a promise of the app", "loop", "POST", INTERNAL, 1],
      ["after an await, its first stretch committed", "later", "GET", TERMINATED, 2],
      ["again and again asking its cell", "statements", "GET", TERMINATED, 1],
      ["the same after an await, which commits nothing of it", "asks", "GET", TERMINATED, 1],
    ];
    for (const [i, [, verb, method, answer, sum]] of ways.entries()) {
      expect(await ask(url, `c${i}/add/1`)).toEqual(added(1));
      const waiting = ask(url, "other/wait/5");
      expect(await ask(url, `c${i}/${verb}`, method)).toMatchObject(answer);
      expect(await ask(url, `c${i}/sum`)).toEqual({ status: 200, body: sum });
      expect(await ask(url, `c${i}/add/1`)).toEqual(added(sum + 1));
      expect(await waiting).toEqual({ status: 200, body: "waited" });
      expect(await ask(url, "other/sum")).toEqual({ status: 200, body: 7 });
    }
    expect(await node.stop()).toBe(0);
    expect(node.out).not.toContain("a promise was rejected");
    expect(node.out).toMatch(/"address":"counter\/c0","verb":"loop","at":"[^"]+app\.ts:\d+:\d+"/);
    const next = start(folder);
    expect(await ask(await next.ready(), "c2/sum")).toEqual({ status: 200, body: 3 });
  });

  test("is ended in a cell that another cell has called, which hears of it", async () => {
    const node = start(folderWithApp());
    const url = await node.ready();
    for (const verb of ["loop", "later"]) {
      expect(await ask(url, `a/ask/${verb}`)).toMatchObject(TERMINATED);
      expect(await ask(url, `${verb}/add/1`)).toMatchObject({ status: 200 });
      expect(await ask(url, "a/add/1")).toMatchObject({ status: 200, body: { fresh: true } });
    }
  });

  test("is ended outside of cells, and in an alarm", async () => {
    const node = start(folderWithApp());
    const url = await node.ready();
    expect(await ask(url, "a/outside")).toMatchObject(INTERNAL);
    expect(await ask(url, "a/add/1")).toEqual(added(1));
    await ask(url, "a/arm");
    await node.until(/"verb":"alarm"[^\n]*was ended/);
    expect(await ask(url, "b/add/1")).toEqual(added(1));
  });

  test("takes along what waited in the same queue, which is told so, and nothing else", async () => {
    const node = start(folderWithApp());
    const url = await node.ready();
    // The first of them all opens its cell's slot, which is not done in the queue of whoever asks.
    for (const name of ["a", "b", "c"]) expect(await ask(url, `${name}/add/1`)).toEqual(added(1));
    const long = ask(url, "other/wait/5");
    const answers = ["a/loop/shared", "b/sum/shared", "c/sum/shared"].map((path) => ask(url, path));
    // All of them wait once this one, which came after them, is answered.
    expect(await long).toEqual({ status: 200, body: "waited" });
    expect(await ask(url, "x/free")).toEqual({ status: 200, body: "freed" });
    for (const answer of answers) expect(await answer).toMatchObject(INTERNAL);
    expect(node.out.match(/"code":"OUTCOME_UNKNOWN"/g)).toHaveLength(2);
    for (const name of ["a", "b", "c"]) expect(await ask(url, `${name}/add/1`)).toEqual(added(2));
    expect(await node.stop()).toBe(0);
  });

  test("parks its cell at the third time, until an operator releases it", async () => {
    const folder = folderWithApp();
    const node = start(folder);
    const url = await node.ready();
    expect(await ask(url, "a/add/1")).toEqual(added(1));
    for (let i = 0; i < 3; i++) expect(await ask(url, "a/statements")).toMatchObject(TERMINATED);
    const parked = { status: 500, body: { code: "CELL_PARKED", retryable: false } };
    expect(await ask(url, "a/sum")).toMatchObject(parked);
    expect(await ask(url, "b/add/1")).toEqual(added(1));
    const listed = await frond(folder, ["parked", "--json"]);
    expect(JSON.parse(listed.out)).toMatchObject([{ address: "counter/a", strikes: [{}, {}, {}] }]);
    expect((await frond(folder, ["parked"])).out).toMatch(/ADDRESS .*\ncounter\/a .*counter\/a\.statements held/);
    expect((await frond(folder, ["status"])).out).toContain("frond parked");
    expect(await node.stop()).toBe(0);

    // Of a directory that no node serves it is the same.
    expect(JSON.parse((await frond(folder, ["parked", "--json"])).out)).toEqual(JSON.parse(listed.out));
    const next = start(folder);
    expect(await ask(await next.ready(), "a/sum")).toMatchObject(parked);
    const released = await frond(folder, ["parked", "release", "counter/a"]);
    expect([released.code, released.out]).toEqual([0, "counter/a is released\n"]);
    expect(await ask(await next.ready(), "a/sum")).toEqual({ status: 200, body: 1 });
    const again = await frond(folder, ["parked", "release", "counter/a", "--json"]);
    expect([again.code, again.err]).toMatchObject([1, expect.stringContaining("CELL_MISSING")]);
    expect((await frond(folder, ["parked"])).out).toBe("no cell is parked\n");
  });

  test("a parked cell is deleted without its code, and its name begins anew without a strike", async () => {
    const folder = folderWithApp();
    let node = start(folder);
    let url = await node.ready();
    const park = async (name: string): Promise<void> => {
      expect(await ask(url, `${name}/add/1`)).toEqual(added(1));
      for (let i = 0; i < 3; i++) expect(await ask(url, `${name}/statements`)).toMatchObject(TERMINATED);
      expect(await ask(url, `${name}/sum`)).toMatchObject({ body: { code: "CELL_PARKED" } });
    };
    const isNew = async (): Promise<void> => {
      expect(await ask(url, "a/sum")).toEqual({ status: 200, body: 0 });
      expect(await ask(url, "a/statements")).toMatchObject(TERMINATED);
      expect(await ask(url, "a/sum")).toEqual({ status: 200, body: 0 });
    };
    await park("a");
    expect((await frond(folder, ["delete", "counter/a", "--yes"])).code).toBe(0);
    expect((await frond(folder, ["parked"])).out).toBe("no cell is parked\n");
    await isNew();
    expect((await frond(folder, ["delete", "counter/a", "--yes"])).err).toContain("CELL_MISSING");
    expect(await node.stop()).toBe(0);

    // Of a directory that no node serves it is the same; a strike from before does not count.
    node = start(folder);
    url = await node.ready();
    await park("b");
    expect(await node.stop()).toBe(0);
    expect((await frond(folder, ["delete", "counter/b", "--yes"])).code).toBe(0);
    expect(readFileSync(folder.at(".frond/data/strikes.json"), "utf8")).not.toContain("counter/b");
    node = start(folder);
    url = await node.ready();
    expect(await ask(url, "b/sum")).toEqual({ status: 200, body: 0 });
  });

  test("a cell that deletes itself keeps its strikes: else it would never be parked", async () => {
    const folder = folderWithApp();
    const url = await start(folder).ready();
    for (let i = 0; i < 3; i++) {
      expect(await ask(url, "a/add/1")).toMatchObject({ status: 200, body: { sum: 1 } });
      expect(await ask(url, "a/erase")).toMatchObject({ status: 200 });
      expect(await ask(url, "a/statements")).toMatchObject(TERMINATED);
    }
    expect(await ask(url, "a/sum")).toMatchObject({ body: { code: "CELL_PARKED" } });
  });
});

test("the present instance is parked, too, when an earlier one has left what holds the node", async () => {
  const node = start(folderWithApp());
  const url = await node.ready();
  for (let i = 0; i < 2; i++) expect(await ask(url, "a/statements")).toMatchObject(TERMINATED);
  expect(await ask(url, "a/leave/300")).toMatchObject({ body: "left" });
  expect(await ask(url, "a/abort")).toMatchObject({ body: { code: "ABORTED" } });
  expect(await ask(url, "a/add/1")).toEqual(added(1));
  await expect.poll(() => node.out, { timeout: 5000 }).toContain("a cell was parked");
  expect(await ask(url, "a/sum")).toMatchObject({ status: 500, body: { code: "CELL_PARKED" } });
});

test("a statement that goes on for ever ends the process with its code, and the third time parks its cell", async () => {
  const folder = folderWithApp();
  for (let life = 1; life <= 3; life++) {
    const node = start(folder);
    const url = await node.ready();
    expect(await ask(url, "other/add/1")).toEqual(added(life));
    const query = ask(url, "a/query").catch(() => "cut");
    expect(await node.exit()).toBe(EXIT_STUCK);
    expect(await query).toBe("cut");
    expect(node.out).toMatch(/"level":60,[^\n]*"address":"counter\/a"[^\n]*"sql":"WITH RECURSIVE/);
    expect(existsSync(folder.at(".frond/data/suspect.json"))).toBe(true);
  }
  const last = start(folder);
  const url = await last.ready();
  expect(await ask(url, "a/query")).toMatchObject({ status: 500, body: { code: "CELL_PARKED" } });
  expect(await ask(url, "other/sum")).toEqual({ status: 200, body: 3 });
  expect(existsSync(folder.at(".frond/data/suspect.json"))).toBe(false);
  const { cells } = JSON.parse(readFileSync(folder.at(".frond/data/strikes.json"), "utf8")) as { cells: object[] };
  expect(cells).toMatchObject([{ address: "counter/a", strikes: [{}, {}, {}] }]);
});

test("under frond dev the app is started again after that", async () => {
  const node = new Running(folderWithApp(), ["dev", "app.ts", "--listen", "0", "--max-sync-ms", "600"]);
  onTestFinished(() => void node.child.kill("SIGKILL"));
  const url = await node.ready();
  expect(await ask(url, "other/add/1")).toEqual(added(1));
  await ask(url, "a/query").catch(() => {});
  await node.until(/the app ended \(code 75\); it starts again/);
  expect(await ask(await node.ready(2), "other/sum")).toEqual({ status: 200, body: 1 });
  expect(await node.stop()).toBe(0);
});

test("with 0 nobody watches", async () => {
  const node = start(folderWithApp(), 0);
  const url = await node.ready();
  void ask(url, "a/loop").catch(() => {});
  // Longer than the shortest time that may be stated.
  await new Promise((resolve) => setTimeout(resolve, 1_000));
  expect(node.out).not.toContain("held");
  expect(await node.stop("SIGKILL")).toBeNull();
});

test("a time that means nothing is refused", async () => {
  const folder = folderWithApp();
  for (const value of ["1", "-5", "1.5", "soon"]) {
    const result = await frond(folder, ["start", "app.ts", `--max-sync-ms=${value}`]);
    expect([result.code, result.err]).toEqual([2, expect.stringContaining("whole number of ms from 250")]);
  }
});
