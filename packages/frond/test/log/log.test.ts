// The commit log of a run: what shares a batch, when a commit is acknowledged and when never, how files follow each other.

import fs from "node:fs";
import { describe, expect, test } from "vitest";
import { LOG_SYNCS_IN_FLIGHT } from "../../src/limits.ts";
import { listLogFiles } from "../../src/log/files.ts";
import { placeFile } from "../../src/types.ts";
import { commit, HandIo, openLog, recordsIn, turn } from "./hands.ts";

function fail(message: string): Error {
  return new Error(message);
}

describe("batches", () => {
  test("commits of one turn share a write and a sync", async () => {
    const io = new HandIo();
    const { log } = openLog({ io });
    for (let txid = 1; txid <= 5; txid++) commit(log, txid);
    expect(io.appends).toHaveLength(0);
    await turn();
    expect(io.appends).toHaveLength(1);
    expect(log.durable).toBe(0);
    io.syncs[0]?.();
    expect(log.durable).toBe(log.appended);
  });

  test("no more than LOG_SYNCS_IN_FLIGHT are under way; what comes meanwhile leaves together", async () => {
    const io = new HandIo();
    const { log } = openLog({ io });
    for (let txid = 1; txid <= 6; txid++) {
      commit(log, txid);
      await turn();
    }
    expect(io.appends).toHaveLength(LOG_SYNCS_IN_FLIGHT);
    io.syncs[0]?.();
    await turn();
    expect(io.appends).toHaveLength(LOG_SYNCS_IN_FLIGHT + 1);
    // Four commits waited and went as one batch.
    expect(io.appends[2]).toBeGreaterThan(3 * (io.appends[1] as number));
    io.syncs[1]?.();
    io.syncs[2]?.();
    expect(log.durable).toBe(log.appended);
  });

  test("a second sync begins only for a batch as large as the one under way; a smaller one leaves when that lands", async () => {
    const io = new HandIo();
    const { log } = openLog({ io });
    for (let txid = 1; txid <= 3; txid++) commit(log, txid);
    await turn();
    commit(log, 4);
    await turn();
    expect(io.appends).toHaveLength(1);
    io.syncs[0]?.();
    // Nothing else has to happen: the batch that waited leaves with the end of the sync.
    expect(io.appends).toHaveLength(2);
    commit(log, 5);
    await turn();
    expect(io.appends).toHaveLength(LOG_SYNCS_IN_FLIGHT + 1);
    io.syncs[1]?.();
    io.syncs[2]?.();
    expect(log.durable).toBe(log.appended);
  });

  test("nothing is written when there is nothing to write", async () => {
    const io = new HandIo();
    openLog({ io });
    await turn();
    expect(io.appends).toEqual([]);
  });
});

describe("acknowledgement", () => {
  test("is in order, though the second sync ends before the first", async () => {
    const io = new HandIo();
    const { log } = openLog({ io });
    const told: string[] = [];
    const one = commit(log, 1);
    log.wait(one.lsn, () => told.push("one"));
    await turn();
    const two = commit(log, 2);
    log.wait(two.lsn, () => told.push("two"));
    await turn();
    expect(io.syncs).toHaveLength(2);
    io.syncs[1]?.();
    await turn();
    expect(told).toEqual([]);
    expect(log.durable).toBe(0);
    io.syncs[0]?.();
    expect(told).toEqual(["one", "two"]);
    expect(log.durable).toBe(two.lsn);
  });

  test("comes to everybody who waits, wherever his commit is on its way", async () => {
    const io = new HandIo();
    const { log } = openLog({ io });
    const told: number[] = [];
    const lsns = [];
    for (let txid = 1; txid <= 4; txid++) {
      lsns.push(commit(log, txid).lsn);
      await turn();
    }
    // Two fly, two wait in the open batch; the last to ask is the first commit.
    for (const [i, lsn] of lsns.toReversed().entries()) log.wait(lsn, () => told.push(i));
    io.syncs[0]?.();
    expect(told).toEqual([3]);
    io.syncs[1]?.();
    expect(told).toEqual([3, 2]);
    await turn();
    io.syncs[2]?.();
    expect(told).toEqual([3, 2, 0, 1]);
  });

  test("is immediate for what is durable, and for nothing at all", async () => {
    const io = new HandIo();
    const { log } = openLog({ io });
    const told: string[] = [];
    log.wait(log.appended, () => told.push("nothing"));
    const { lsn } = commit(log, 1);
    await turn();
    io.syncs[0]?.();
    log.wait(lsn, () => told.push("durable"));
    expect(told).toEqual(["nothing", "durable"]);
    expect(() => log.wait((lsn + 1) as typeof lsn, () => {})).toThrow(/nobody waits for what was never appended/);
  });

  test("never comes after a failed sync, also not for a later batch whose sync succeeds", async () => {
    const io = new HandIo();
    const { log, failures } = openLog({ io });
    const told: string[] = [];
    log.wait(commit(log, 1).lsn, () => told.push("one"));
    await turn();
    log.wait(commit(log, 2).lsn, () => told.push("two"));
    await turn();
    log.wait(commit(log, 3).lsn, () => told.push("three"));
    io.syncs[0]?.(fail("EIO: i/o error"));
    io.syncs[1]?.();
    await turn();
    expect(told).toEqual([]);
    expect(log.durable).toBe(0);
    expect(failures.map((error) => error.code)).toEqual(["LOG_FAILED"]);
    expect(failures[0]?.message).toContain("EIO: i/o error");
    // The process is ending: nothing further is taken, and nothing is tried again.
    expect(() => commit(log, 4)).toThrow(/the node is ending/);
    await turn();
    expect(io.appends).toHaveLength(2);
  });

  test("of a batch that was on disk before another one failed stands", async () => {
    const io = new HandIo();
    const { log, failures } = openLog({ io });
    const told: string[] = [];
    log.wait(commit(log, 1).lsn, () => told.push("one"));
    await turn();
    log.wait(commit(log, 2).lsn, () => told.push("two"));
    await turn();
    io.syncs[1]?.(fail("EIO"));
    io.syncs[0]?.();
    expect(told).toEqual(["one"]);
    expect(failures).toHaveLength(1);
  });

  test("never comes when the folder of a new file cannot be synced", async () => {
    const io = new HandIo();
    io.syncFolder = (_folder, done) => done(fail("EIO: folder"));
    const { log, failures } = openLog({ io });
    log.wait(commit(log, 1).lsn, () => expect.unreachable());
    await turn();
    io.syncs[0]?.();
    await turn();
    expect(failures[0]?.message).toContain("EIO: folder");
    expect(log.durable).toBe(0);
  });
});

describe("files", () => {
  test("follow each other, and every place says where its record is", async () => {
    const { log, folder } = openLog({ fileBytes: 4096 });
    const places = [];
    for (let txid = 1; txid <= 40; txid++) {
      places.push(commit(log, txid).place);
      if (txid % 3 === 0) await turn();
    }
    await log.close();
    const records = recordsIn(folder);
    expect(records.map(({ place }) => place)).toEqual(places);
    expect(records.map(({ record }) => record.txid)).toEqual(places.map((_, i) => i + 1));
    expect(listLogFiles(folder).length).toBeGreaterThan(5);
  });

  test("a record larger than a file gets one of its own, and the log goes on", async () => {
    const { log, folder } = openLog({ fileBytes: 8192 });
    commit(log, 1);
    const large = commit(log, 2, 100);
    commit(log, 3);
    await log.close();
    expect(recordsIn(folder).map(({ record }) => record.txid)).toEqual([1, 2, 3]);
    const file = listLogFiles(folder).find(({ number }) => number === placeFile(large.place));
    expect(fs.statSync(file?.path ?? "").size).toBeGreaterThan(100 * 512);
  });

  test("a batch never spans two files, and a file is closed when its last batch is on disk", async () => {
    const io = new HandIo();
    const { log } = openLog({ io, fileBytes: 4096 });
    for (let txid = 1; txid <= 20; txid++) commit(log, txid);
    await turn();
    expect(io.closed).toBe(0);
    // Two syncs are under way, one for each of the first two files; the rest waits.
    io.syncs[1]?.();
    expect(io.closed).toBe(0);
    io.syncs[0]?.();
    expect(io.closed).toBe(2);
  });

  test("moving on is told, and the next file is allocated before it is needed", async () => {
    const { log, folder } = openLog({ fileBytes: 4096 });
    let moved = 0;
    log.onFile = () => void (moved += 1);
    for (let txid = 1; txid <= 12; txid++) {
      commit(log, txid);
      await log.flushed();
    }
    await log.close();
    expect(moved).toBe(listLogFiles(folder).length - 1);
    expect(fs.readdirSync(`${folder}/0000000001`).filter((name) => name.startsWith("spare"))).toEqual([]);
  });

  test("a file's last batches may be on their way while the next file is written", async () => {
    const { log, folder } = openLog({ fileBytes: 2048 });
    const lsns = [];
    for (let txid = 1; txid <= 60; txid++) lsns.push(commit(log, txid).lsn);
    await log.flushed();
    expect(log.durable).toBe(lsns.at(-1));
    await log.close();
    expect(recordsIn(folder)).toHaveLength(60);
  });
});
