// `frond/testing`: a node in a test, its clock, its crashes, and what it leaves behind.

import fs from "node:fs";
import os from "node:os";
import { Cell, frond, FrondError } from "frond";
import { connect } from "frond/client";
import { testNode } from "frond/testing";
import { expect, test } from "vitest";

const MINUTE = 60_000;

class Diary extends Cell {
  static override migrations = ["CREATE TABLE t (v TEXT, at INTEGER) STRICT"];
  opened = Date.now();
  field = 0;
  note(v: string) {
    this.sql`INSERT INTO t VALUES (${v}, ${Date.now()})`;
    this.field += 1;
  }
  all() {
    return this.sql.all<{ v: string; at: number }>`SELECT v, at FROM t ORDER BY rowid`.map(({ v, at }) => [v, at]);
  }
  count() {
    return this.field;
  }
  async remind(inMs: number) {
    await this.ctx.storage.setAlarm(Date.now() + inMs);
  }
  everyMinute() {
    this.schedule("* * * * *", "note", "tick");
  }
  override async alarm() {
    this.note("alarm");
    await Promise.resolve();
    this.note("alarm ends");
  }
  fail() {
    this.note("taken back");
    throw new Error("no");
  }
}

const app = frond({
  cells: { diary: Diary },
  fetch: async (request, { get }) => {
    await get(Diary, "web").note(new URL(request.url).pathname);
    return Response.json(await get(Diary, "web").count());
  },
});

const START = Date.UTC(2026, 0, 1);

test("a crash loses what was in memory and keeps what was told; stubs go on", async () => {
  await using node = await testNode(app);
  const diary = node.get(Diary, "a");
  await diary.note("kept");
  await node.crash();
  expect((await diary.all()).map(([v]) => v)).toEqual(["kept"]);
  expect(await diary.count()).toBe(0);
});

test("deactivate gives the next call a new instance, restart too", async () => {
  await using node = await testNode(app);
  const diary = node.get(Diary, "a");
  expect(await node.deactivate(Diary, "a")).toBe(false);
  await diary.note("one");
  expect(await diary.count()).toBe(1);
  expect(await node.deactivate(Diary, "a")).toBe(true);
  expect(await diary.count()).toBe(0);
  await diary.note("two");
  await node.restart();
  expect(await diary.count()).toBe(0);
  expect((await diary.all()).length).toBe(2);
});

test("fetch goes through the front door of the app", async () => {
  await using node = await testNode(app);
  expect(await (await node.fetch("/x", { method: "POST" })).json()).toBe(1);
  expect((await node.get(Diary, "web").all()).map(([v]) => v)).toEqual(["/x"]);
  const url = await node.listen();
  expect(await (await fetch(`${url}/y`)).json()).toBe(2);
});

test("listen answers calls from outside, over HTTP and over a WebSocket, of the node that there is", async () => {
  const exposing = frond({ cells: { diary: Diary }, expose: { diary: { note: true } }, authorize: () => true });
  await using node = await testNode(exposing);
  for (const [i, socket] of [false, true].entries()) {
    const client = connect<typeof exposing>(await node.listen(), { socket });
    await client.get("diary", "a").note(`${i}`);
    client.close();
    await node.crash();
  }
  expect((await node.get(Diary, "a").all()).map(([v]) => v)).toEqual(["0", "1"]);
});

test("advance lets alarms fire, each at its moment, and Date follows", async () => {
  await using node = await testNode(app, { clock: true });
  const diary = node.get(Diary, "a");
  expect([node.now(), Date.now(), new Date().getTime()]).toEqual([START, START, START]);
  await diary.remind(5 * MINUTE);
  await diary.everyMinute();
  await node.advance(3 * MINUTE);
  expect(await diary.all()).toEqual([1, 2, 3].map((n) => ["tick", START + n * MINUTE]));
  await node.advance(3 * MINUTE);
  expect((await diary.all()).filter(([v]) => v !== "tick")).toEqual([
    ["alarm", START + 5 * MINUTE],
    ["alarm ends", START + 5 * MINUTE],
  ]);
  expect((await diary.all()).length).toBe(8);
});

class Waiter extends Cell {
  static override migrations = ["CREATE TABLE t (v TEXT, at INTEGER) STRICT"];
  all() {
    return this.sql.all<{ v: string; at: number }>`SELECT v, at FROM t ORDER BY rowid`.map(({ v, at }) => [v, at]);
  }
  async plan(verb: "_waits" | "_never", inMs: number) {
    this.schedule({ afterMs: inMs }, verb);
    this.schedule({ afterMs: inMs + 5 * MINUTE }, "_note", "later");
  }
  _note(v: string) {
    this.sql`INSERT INTO t VALUES (${v}, ${Date.now()})`;
  }
  async _waits() {
    for (const minutes of [1, 2]) {
      this._note("waits");
      const code = await this.get(Waiter, "silent", { timeoutMs: minutes * MINUTE })
        .silence()
        .catch((error: unknown) => (error as FrondError).code);
      await this.durable();
      this._note(String(code));
    }
  }
  async _never() {
    this._note("never ends");
    await this.silence();
  }
  async silence() {
    await new Promise(() => {});
  }
}

test("advance goes through the waits of an alarm that itself waits for the clock", async () => {
  await using node = await testNode(frond({ cells: { waiter: Waiter } }), { clock: true });
  const waiter = node.get(Waiter, "a");
  await waiter.plan("_waits", MINUTE);
  await node.advance(10 * MINUTE);
  const expected = [
    ["waits", 1],
    ["OUTCOME_UNKNOWN", 2],
    ["waits", 2],
    ["OUTCOME_UNKNOWN", 4],
    ["later", 6],
  ] as const;
  expect(await waiter.all()).toEqual(expected.map(([what, minute]) => [what, START + minute * MINUTE]));
  expect(node.now()).toBe(START + 10 * MINUTE);
  const told = node.log.filter(({ message }) => message.includes("may wait for the clock"));
  expect(told.map(({ fields }) => fields)).toEqual([{ address: "waiter/a" }]);
});

test("advance ends though an alarm never does, and says which one", async () => {
  await using node = await testNode(frond({ cells: { waiter: Waiter } }), { clock: true });
  await node.get(Waiter, "a").plan("_never", MINUTE);
  await node.get(Waiter, "b").plan("_waits", 3 * MINUTE);
  await node.advance(20 * MINUTE);
  expect((await node.get(Waiter, "a").all())[0]).toEqual(["never ends", START + MINUTE]);
  expect((await node.get(Waiter, "b").all()).length).toBe(5);
  const told = node.log.filter(({ message }) => message.includes("may wait for the clock"));
  expect(told.map(({ fields }) => fields["address"])).toEqual(["waiter/a", "waiter/b"]);
});

test("alarms survive a crash, and the clock goes on", async () => {
  await using node = await testNode(app, { clock: Date.UTC(2030, 5, 1) });
  const diary = node.get(Diary, "a");
  await diary.remind(MINUTE);
  await node.crash();
  await node.advance(MINUTE);
  expect((await diary.all()).map(([v]) => v)).toEqual(["alarm", "alarm ends"]);
});

test("runAlarms runs what is due on a real clock", async () => {
  await using node = await testNode(app);
  const diary = node.get(Diary, "a");
  await diary.remind(-1_000);
  await node.runAlarms();
  expect((await diary.all()).map(([v]) => v)).toEqual(["alarm", "alarm ends"]);
  await expect(node.advance(1)).rejects.toThrow(/clock: true/);
});

test("the clock is given back at the end, and one node at a time has it", async () => {
  const node = await testNode(app, { clock: true });
  await expect(testNode(app, { clock: true })).rejects.toThrow(FrondError);
  expect(Date.now()).toBe(START);
  expect(new Date(5).getTime()).toBe(5);
  expect(new Date()).toBeInstanceOf(Date);
  expect(Date()).toContain("2026");
  await node.close();
  expect(Date.now()).toBeGreaterThan(START + MINUTE);
});

test("the log is seen, the warnings of dev included", async () => {
  await using node = await testNode(app);
  await node
    .get(Diary, "a")
    .fail()
    .catch(() => {});
  expect(node.log.find(({ level }) => level === "warn")?.message).toMatch(/its fields were not: field/);
});

test("close leaves nothing behind", async () => {
  const before = leftovers();
  const node = await testNode(app);
  await node.get(Diary, "a").note("x");
  await node.crash();
  expect(leftovers().length).toBeGreaterThan(before.length);
  await node.close();
  expect(leftovers()).toEqual(before);
});

function leftovers(): string[] {
  return fs.readdirSync(os.tmpdir()).filter((name) => name.startsWith("frond-test-"));
}

class Vault extends Cell {
  static override durability = "bucket" as const;
  static override migrations = ["CREATE TABLE t (v TEXT)"];
  put(v: string) {
    this.sql`INSERT INTO t VALUES (${v})`;
  }
  async attach(text: string) {
    const { hash } = await this.files.put(text);
    this.sql`INSERT INTO t VALUES (${hash})`;
    return hash;
  }
  async read(hash: string) {
    return (await this.files.get(hash))?.text();
  }
  all() {
    return this.sql.all<{ v: string }>`SELECT v FROM t ORDER BY rowid`.map(({ v }) => v);
  }
}

test("with a bucket the loss of the disk loses nothing that the bucket has acknowledged, files among it; a crash loses nothing", async () => {
  await using node = await testNode(frond({ cells: { vault: Vault, diary: Diary } }), { bucket: true });
  const vault = node.get(Vault, "a");
  await vault.put("kept");
  const hash = await vault.attach("a file");
  await node.loseDisk();
  expect(await vault.all()).toEqual(["kept", hash]);
  expect(await vault.read(hash)).toBe("a file");
  await node.get(Diary, "d").note("on the disk only, maybe");
  await node.crash();
  expect((await node.get(Diary, "d").all()).map(([v]) => v)).toEqual(["on the disk only, maybe"]);
  await node.get(Diary, "d").note("twice");
  await node.restart();
  await node.loseDisk();
  // A clean stop has brought everything into the bucket.
  expect((await node.get(Diary, "d").all()).map(([v]) => v)).toEqual(["on the disk only, maybe", "twice"]);
  expect(node.log.filter(({ level }) => level !== "info")).toEqual([]);
});

test("a node without a bucket says what loseDisk needs", async () => {
  await using node = await testNode(app);
  await expect(node.loseDisk()).rejects.toThrow("loseDisk needs testNode(app, { bucket: true })");
});
