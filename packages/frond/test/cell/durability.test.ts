// The levels of durability: who waits for the bucket, who for the disk, and who for nothing. The bucket is in the hand of the
// test, and it is seen who is answered before it has confirmed anything.

import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { expect, onTestFinished, test } from "vitest";
import { frond } from "../../src/cell/app.ts";
import type { Address } from "../../src/types.ts";
import { Session } from "../../src/server/door/session.ts";
import { type Handed, Note, openHanded, Plain, Safe, Soft, stubOf } from "./levels.ts";
import { codeOf, failureOf, isSettled, openCells, SlowDisk, turns } from "./nodes.ts";

/** Still waits when everything is on the disk, and no longer when the bucket has it. Returns the outcome. */
async function waitsForBucket<T>(handed: Handed, answer: Promise<T>): Promise<T> {
  await turns();
  await handed.flushed();
  expect(await isSettled(answer)).toBe(false);
  await handed.confirm();
  return answer;
}

test("an answer of a cell at the level bucket is told when the bucket has it, and its errors", async () => {
  const handed = await openHanded();
  expect(await waitsForBucket(handed, handed.request("safe/a/put/x"))).toBe(null);
  const error = failureOf(handed.request("safe/a/putAndThrow"));
  expect((await waitsForBucket(handed, error)).message).toBe("after the commit");
  expect(await waitsForBucket(handed, stubOf(handed.service, "safe/a").put("y"))).toBe(undefined);
  // What is on the disk alone is not told to anybody else either; what the bucket has is told at once.
  void handed.request("safe/a/put/z");
  await turns();
  await handed.flushed();
  const all = ["x", "then an error", "y", "z"];
  expect(await waitsForBucket(handed, handed.request("safe/a/all"))).toEqual(all);
  expect(await handed.request("safe/a/all")).toEqual(all);
});

test("at the level disk nothing waits for the bucket, unless the node was started with that level", async () => {
  const disk = await openHanded();
  expect(await disk.request("plain/a/put/x")).toBe(null);
  expect(await disk.request("note/a/put/x")).toBe(null);
  const bucket = await openHanded({ durability: "bucket" });
  expect(await bucket.request("plain/a/put/x")).toBe(null);
  await waitsForBucket(bucket, bucket.request("note/a/put/x"));
});

test("without a bucket the disk is what the level bucket waits for", async () => {
  const disk = new SlowDisk();
  const { request, node } = await openHanded({ bucketLog: false, io: disk });
  disk.hold();
  const answer = request("safe/a/put/x");
  expect(await isSettled(answer)).toBe(false);
  disk.release();
  expect(await answer).toBe(null);
  expect(node.commitLog.confirmed).toBe(node.commitLog.durable);
});

test("a cell at the level disk that has called one at bucket waits for what it heard, with its errors too", async () => {
  const handed = await openHanded();
  const write = handed.request("safe/s/put/x");
  const look = handed.request("plain/a/look/safe/s");
  expect(await waitsForBucket(handed, look)).toEqual(["x"]);
  await write;
  void handed.request("safe/s/put/y");
  const error = failureOf(handed.request("plain/a/lookAndThrow/safe/s"));
  expect((await waitsForBucket(handed, error)).message).toBe("heard: x,y");
  // An error is heard as an answer is, and whoever tells it again from a field has heard it, too.
  expect(await waitsForBucket(handed, handed.request("plain/a/provoke/safe/s"))).toBe("after the commit");
  void handed.request("safe/s/put/z");
  void handed.request("plain/a/look/safe/s");
  await turns();
  expect(await waitsForBucket(handed, handed.request("plain/a/recall"))).toContain("z");
});

test("a cell at the level disk that was called by one at bucket waits for what it was told", async () => {
  const handed = await openHanded();
  const tell = handed.request("safe/s/putAndTell/soft/a");
  await turns();
  expect(await waitsForBucket(handed, handed.request("soft/a/recall"))).toBe("what was told");
  await tell;
  const again = handed.request("safe/s/putAndTell/plain/a");
  await turns();
  const error = failureOf(handed.request("plain/a/putAndThrow"));
  expect((await waitsForBucket(handed, error)).message).toBe("after the commit");
  await again;
});

test("a cell at the level memory tells at once, whatever becomes of the log, until it has heard of more", async () => {
  const disk = new SlowDisk();
  const handed = await openHanded({ io: disk });
  const { request } = handed;
  await request("soft/a/put/first");
  disk.hold();
  expect(await request("soft/a/put/x")).toBe(null);
  expect(await request("soft/a/all")).toEqual(["first", "x"]);
  expect((await failureOf(request("soft/a/putAndThrow"))).message).toBe("after the commit");
  const write = request("safe/s/put/y");
  const look = request("soft/a/look/safe/s");
  expect(await isSettled(look)).toBe(false);
  disk.release();
  expect(await waitsForBucket(handed, look)).toEqual(["y"]);
  await write;
});

test("the level of one call can be raised to bucket, for its error too, and never lowers that of the class", async () => {
  const handed = await openHanded();
  const { node, service } = handed;
  const raised = service(Plain, "a", { durability: "bucket" });
  await waitsForBucket(handed, raised.put("x"));
  const error = failureOf(raised.putAndThrow());
  expect((await waitsForBucket(handed, error)).message).toBe("after the commit");
  await waitsForBucket(handed, service(Soft, "a", { durability: "bucket" }).put("x"));
  await waitsForBucket(handed, service(Safe, "a", { durability: "memory" }).put("x"));
  // Nobody else waits for it.
  const write = raised.put("y");
  expect(await service(Plain, "a").all()).toEqual(["x", "then an error", "y"]);
  expect(await isSettled(write)).toBe(false);
  // Also when another instance has written it.
  await node.host.deactivate("plain/a" as Address);
  expect(await service(Plain, "a").all()).toHaveLength(3);
  expect(await waitsForBucket(handed, raised.all())).toHaveLength(3);
});

test("what a verb has asked for at a higher level, whoever hears from its cell waits for, also a service behind it", async () => {
  let outside: Promise<unknown> | undefined;
  class Asker extends Note {
    async ask(): Promise<void> {
      await this.get(Plain, "p", { durability: "bucket" }).put("asked");
    }
    useStub(): void {
      outside = handed.service(Plain, "q", { durability: "bucket" }).put("asked");
    }
  }
  const handed = await openHanded({}, { asker: Asker });
  await waitsForBucket(handed, handed.service(Asker, "a").ask());
  void handed.service(Asker, "b").useStub();
  await turns();
  await waitsForBucket(handed, outside as Promise<unknown>);
});

test("what another instance has written is not told before the bucket has it, by a constructor that throws neither", async () => {
  let refuses = false;
  class Picky extends Safe {
    constructor(ctx: Note["ctx"]) {
      super(ctx);
      if (refuses) throw new Error(`it has ${this.all().join()}`);
    }
    giveUp(): void {
      this.ctx.abort("enough");
    }
  }
  const handed = await openHanded({}, { picky: Picky });
  const { node, service } = handed;
  const address = "picky/a" as Address;
  void service(Picky, "a").put("x");
  await turns();
  await handed.flushed();
  // A cell can be closed while the bucket is away.
  expect(await node.host.deactivate(address)).toBe(true);
  const read = service(Picky, "a").all();
  const again = service(Picky, "a").all();
  expect([await isSettled(read), await isSettled(again)]).toEqual([false, false]);
  const end = failureOf(service(Picky, "a").giveUp());
  await turns();
  refuses = true;
  const refused = failureOf(service(Picky, "a").all());
  expect(await waitsForBucket(handed, refused)).toMatchObject({ code: "ACTIVATION_FAILED" });
  expect((await refused).message).toMatch(/it has x/);
  expect(await read).toEqual(["x"]);
  await end;
  refuses = false;
  expect(await service(Picky, "a").all()).toEqual(["x"]);
});

test("this.durable waits for the level of the class, or for a higher one that it is given", async () => {
  const handed = await openHanded();
  const { get, flushed } = handed;
  await waitsForBucket(handed, get(Safe, "a").putAndWait());
  await waitsForBucket(handed, get(Safe, "a").putAndWait("memory"));
  await get(Plain, "a").putAndWait();
  await waitsForBucket(handed, get(Plain, "a").putAndWait("bucket"));
  await waitsForBucket(handed, get(Soft, "a").putAndWait("bucket"));
  // What it has heard of from cells of lower levels too, though those wait for nothing themselves.
  await waitsForBucket(handed, get(Plain, "a").letPut("plain/b", "bucket"));
  await waitsForBucket(handed, get(Plain, "a").letPut("soft/b", "bucket"));
  await flushed();
  expect(await codeOf(get(Plain, "a").putAndWait("peers" as never))).toBe("BAD_OPTION");
  const disk = new SlowDisk();
  const slow = await openHanded({ io: disk });
  await slow.get(Soft, "a").put("first");
  disk.hold();
  await slow.get(Soft, "a").putAndWait();
  const written = slow.get(Soft, "a").putAndWait("disk");
  const heard = slow.get(Soft, "b").letPut("soft/a", "disk");
  expect(await isSettled(written)).toBe(false);
  expect(await isSettled(heard)).toBe(false);
  disk.release();
  await Promise.all([written, heard]);
});

test("storage.sync waits for the level of the class, at least for the disk", async () => {
  const disk = new SlowDisk();
  const handed = await openHanded({ io: disk });
  const { get } = handed;
  await waitsForBucket(handed, get(Safe, "a").putAndSync());
  await get(Plain, "a").putAndSync();
  disk.hold();
  const synced = get(Soft, "a").putAndSync();
  expect(await isSettled(synced)).toBe(false);
  disk.release();
  await synced;
});

test("ctx.fetch of a cell at bucket, and of one that has heard from it, leaves when the bucket has it", async () => {
  const seen: string[] = [];
  const server = createServer((request, response) => {
    seen.push(request.url ?? "");
    response.end("ok");
  }).listen(0, "127.0.0.1");
  onTestFinished(() => void server.close());
  await new Promise((resolve) => server.once("listening", resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const handed = await openHanded();
  const { get, flushed, confirm } = handed;
  const ask = get(Safe, "a").putAndAsk(`${url}/own`);
  const heard = get(Plain, "b").lookAndAsk("safe/a", `${url}/heard`);
  await turns();
  await flushed();
  await get(Plain, "c").putAndAsk(`${url}/apart`);
  // Of what is on the disk already, too.
  const late = get(Plain, "d").lookAndAsk("safe/a", `${url}/late`);
  await turns(20);
  expect(seen).toEqual(["/apart"]);
  await confirm();
  expect(await Promise.all([ask, heard, late])).toEqual(["ok", "ok", "ok"]);
  expect(seen.toSorted()).toEqual(["/apart", "/heard", "/late", "/own"]);
});

test("what an alarm has done is told when it is at the level of its cell", async () => {
  class Bell extends Safe {
    async ring(): Promise<void> {
      await this.ctx.storage.setAlarm(Date.now());
    }
    override alarm(): void {
      this.put("rung");
    }
  }
  const handed = await openHanded({}, { bell: Bell });
  const { node, get } = handed;
  await get(Bell, "a").ring();
  await expect.poll(() => get(Bell, "a").all()).toEqual(["rung"]);
  await node.alarms.settled();
  expect(await waitsForBucket(handed, handed.service(Bell, "a").all())).toEqual(["rung"]);
});

test("what the operator's commands answer is at the level of what they tell", async () => {
  const handed = await openHanded();
  const { control } = handed.node;
  await waitsForBucket(handed, control.call("safe/a", "put", ["x"]));
  await waitsForBucket(handed, control.sql("safe/a", "INSERT INTO t VALUES ('y')", [], true));
  await waitsForBucket(handed, control.delete("safe/a"));
  await control.call("plain/a", "put", ["x"]);
});

test("a node that stops waits for the disk, and tells what the bucket has got until then", async () => {
  const handed = await openHanded();
  const answer = handed.request("safe/a/put/x");
  await turns();
  await handed.node.stop();
  expect(await isSettled(answer)).toBe(false);
  handed.node.commitLog.confirm(handed.node.commitLog.durable);
  expect(await answer).toBe(null);
});

test("a cell that was closed for room waits for what it knew itself, and no longer when the bucket has it", async () => {
  const { node, get, flushed, confirm } = await openHanded({ maxOpenCells: 4, mostOpenCells: 8 });
  const session = new Session();
  const stub = (name: string) => node.host.stubs.getFor(session)(Safe, name);
  for (let i = 0; i < 40; i++) {
    await stub(`c${i}`).put("x");
    await flushed();
  }
  // Those that were closed for room still wait, each for its own.
  await get(Safe, "c0").all();
  const first = node.host.openCell("safe/c0" as Address);
  expect(first?.bucketLsn).toBeGreaterThan(0);
  expect(first?.bucketLsn).toBeLessThan(session.bucketLsn);
  await confirm();
  await node.host.deactivate("safe/c0" as Address);
  await get(Safe, "c0").all();
  expect(node.commitLog.covers(session.lsn, session.bucketLsn)).toBe(true);
});

test("a level that there is not is refused", async () => {
  class Wrong extends Note {
    static override durability = "peers" as never;
  }
  expect(() => frond({ cells: { wrong: Wrong } })).toThrow(
    /Wrong\.durability is "peers".*"memory", "disk" or "bucket"/,
  );
  const { get } = await openCells({ note: Note });
  expect(() => get(Note, "a", { durability: "peers" as never })).toThrow(/"memory", "disk" or "bucket"/);
});
