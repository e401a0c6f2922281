// What the torture with a bucket judges and troubles with, by itself: how old a loss may be, and a network that fails.

import fs from "node:fs";
import net from "node:net";
import os from "node:os";
import path from "node:path";
import { once } from "node:events";
import { expect, onTestFinished, test } from "vitest";
import { openMemoryBucket } from "../../src/bucket/memory.ts";
import { logKey } from "../../src/bucket/objectKeys.ts";
import type { Write } from "../../src/core/invariants.ts";
import { FLUSH_MS } from "../../src/limits.ts";
import { Losses, SCHEDULING_MS } from "../../src/torture/bucketLosses.ts";
import { Random } from "../../src/torture/random.ts";
import { TcpProxy } from "../../src/torture/tcpProxy.ts";
import { noteUploads, oldestUnconfirmed } from "../../src/torture/uploadTimes.ts";
import type { RunId, Seq } from "../../src/types.ts";

const RUN = "00112233445566778899aabbccddeeff" as RunId;

function temporary(): string {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "frond-harness-"));
  onTestFinished(() => fs.rmSync(folder, { recursive: true, force: true }));
  return folder;
}

test("a loss may be as old as an interval and the longest upload, and an upload without an end counts until the fault", () => {
  const file = path.join(temporary(), "uploads");
  const notes = [
    { key: "log/a/1", began: 1_000 },
    { key: "log/a/1", began: 1_000, ended: 1_040 },
    { key: "log/a/2", began: 2_000 },
    { key: "log/a/2", began: 2_000, ended: 2_300 },
    { key: "log/a/3", began: 3_000 },
  ];
  fs.writeFileSync(file, notes.map((note) => `${JSON.stringify(note)}\n`).join(""));
  expect(oldestUnconfirmed(file, 3_100)).toBe(FLUSH_MS + 300);
  expect(oldestUnconfirmed(file, 3_400)).toBe(FLUSH_MS + 400);
  // Who waits for an upload that takes longer than an interval waits for that one, and then for his own.
  expect(oldestUnconfirmed(file, 5_000)).toBe(4_000);
  expect(oldestUnconfirmed(path.join(temporary(), "nothing"), 5_000)).toBe(FLUSH_MS);
});

test("what a bucket is asked to create for a log is noted, and nothing else", async () => {
  const file = path.join(temporary(), "uploads");
  const bucket = openMemoryBucket();
  noteUploads(bucket, file);
  expect(await bucket.create(logKey(RUN, 1 as Seq), Buffer.from("a"))).toBe("created");
  expect(await bucket.create(logKey(RUN, 1 as Seq), Buffer.from("a"))).toBe("exists");
  await bucket.create("pack/x", Buffer.from("b"));
  const lines = fs.readFileSync(file, "utf8").trim().split("\n");
  expect(lines.map((line) => Object.keys(JSON.parse(line) as object))).toEqual([
    ["key", "began"],
    ["key", "began", "ended"],
    ["key", "began"],
    ["key", "began", "ended"],
  ]);
});

test("a loss is counted, and one that is older than the bound is a finding", () => {
  const write: Omit<Write, "token"> = {
    cell: "disk/b1",
    rows: 1,
    level: "disk",
    outcome: "acknowledged",
    seq: 1,
    after: undefined,
  };
  const facts = {
    writes: [
      { ...write, token: "kept" },
      { ...write, token: "young" },
      { ...write, token: "old" },
    ],
    shown: [{ cell: "disk/b1", counter: 1, rows: [{ seq: 1, part: 1, token: "kept" }], wrong: [] }],
    times: new Map([
      ["kept", 0],
      ["young", 9_000],
      ["old", 7_500],
    ]),
    faultAt: 10_000,
    fault: "disk-lost" as const,
  };
  const losses = new Losses();
  expect(losses.count({ ...facts, boundMs: 1_100 })).toEqual([
    `old of disk/b1 at disk was lost 2500 ms after it was acknowledged; ${1_100 + SCHEDULING_MS} are allowed`,
  ]);
  expect(losses.all.map(({ ageMs, beyondMs }) => [ageMs, beyondMs])).toEqual([
    [1_000, -100],
    [2_500, 1_400],
  ]);
  expect(new Losses().count({ ...facts, boundMs: undefined })).toEqual([]);
});

/** A server that gives back what it gets, behind a proxy. */
async function echo(): Promise<{ proxy: TcpProxy; heard: Buffer[]; connect: () => net.Socket }> {
  const heard: Buffer[] = [];
  const server = net.createServer((socket) => {
    socket.on("data", (bytes) => {
      heard.push(bytes);
      socket.write(bytes);
    });
    socket.on("error", () => {});
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  const proxy = await TcpProxy.start(`http://127.0.0.1:${(server.address() as net.AddressInfo).port}`);
  onTestFinished(() => {
    proxy.close();
    server.close();
  });
  const connect = (): net.Socket => {
    const socket = net.connect(Number(new URL(proxy.endpoint).port), "127.0.0.1");
    socket.on("error", () => {});
    return socket;
  };
  return { proxy, heard, connect };
}

/** However it comes about; `once` would take a reset for a failure. */
function closed(socket: net.Socket): Promise<void> {
  return new Promise((resolve) => socket.once("close", () => resolve()));
}

test("a network that is cut resets what is connected and what connects, and then lets through again", async () => {
  const { proxy, connect } = await echo();
  const before = connect();
  before.write("a");
  expect(String((await once(before, "data"))[0])).toBe("a");
  const ended = closed(before);
  proxy.cut();
  await ended;
  const meanwhile = connect();
  await closed(meanwhile);
  proxy.restore(new Random(1));
  const after = connect();
  after.write("b");
  expect(String((await once(after, "data"))[0])).toBe("b");
  after.destroy();
});

test("what is sent into a silent network arrives when the silence ends, or never", async () => {
  const outcomes = new Set<string>();
  for (let seed = 1; outcomes.size < 2; seed++) {
    const { proxy, heard, connect } = await echo();
    const before = connect();
    before.write("a");
    await once(before, "data");
    proxy.silence();
    const meanwhile = connect();
    before.write("b");
    meanwhile.write("c");
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(Buffer.concat(heard).toString()).toBe("a");
    const over = [before, meanwhile].map((socket) =>
      Promise.race([
        new Promise((resolve) => socket.once("data", resolve)).then(() => "arrives"),
        closed(socket).then(() => "is reset"),
      ]),
    );
    proxy.restore(new Random(seed));
    for (const outcome of await Promise.all(over)) outcomes.add(outcome);
    for (const socket of [before, meanwhile]) socket.destroy();
  }
});
