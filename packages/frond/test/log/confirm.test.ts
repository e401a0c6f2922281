// What the bucket has of a log: who waits for it, who is released by what, and what the uploader is told.

import { describe, expect, test } from "vitest";
import type { Lsn } from "../../src/types.ts";
import { commit, HandIo, openLog, turn } from "./hands.ts";

/** A log with three commits on the disk, each in a batch of its own. */
async function written() {
  const io = new HandIo();
  const opened = openLog({ io, bucket: true });
  const lsns: Lsn[] = [];
  for (let txid = 1; txid <= 3; txid++) {
    lsns.push(commit(opened.log, txid).lsn);
    await turn();
    io.syncs.shift()?.();
  }
  return { ...opened, io, lsns: lsns as [Lsn, Lsn, Lsn] };
}

describe("with a bucket", () => {
  test("who waits is released by a confirmation that covers it, in the order in which they came", async () => {
    const { log, lsns } = await written();
    const told: string[] = [];
    log.waitConfirmed(lsns[2], () => told.push("three"));
    log.waitConfirmed(lsns[0], () => told.push("one"));
    log.waitCovered(lsns[2], lsns[1], () => told.push("two"));
    expect([told, log.durable, log.confirmed]).toEqual([[], lsns[2], 0]);
    log.confirm(lsns[1]);
    expect(told).toEqual(["one", "two"]);
    expect([log.covers(lsns[2], lsns[1]), log.covers(lsns[0], lsns[2])]).toEqual([true, false]);
    log.confirm(lsns[2]);
    log.waitConfirmed(lsns[2], () => told.push("at once"));
    expect(told).toEqual(["one", "two", "three", "at once"]);
  });

  test("what is confirmed for one who also waits for the disk is told when both have it", async () => {
    const { log, lsns, io } = await written();
    const told: string[] = [];
    const { lsn } = commit(log, 4);
    log.waitCovered(lsn, lsns[0], () => told.push("both"));
    await turn();
    log.confirm(lsns[2]);
    expect(told).toEqual([]);
    io.syncs.shift()?.();
    expect(told).toEqual(["both"]);
  });

  test("it only rises, and never beyond the disk", async () => {
    const { log, lsns } = await written();
    log.confirm(lsns[1]);
    log.confirm(lsns[0]);
    expect(log.confirmed).toBe(lsns[1]);
    const { lsn } = commit(log, 4);
    expect(() => log.confirm(lsn)).toThrow(/was read from this disk/);
    expect(() => log.waitConfirmed((lsn + 1) as Lsn, () => {})).toThrow(/never appended/);
  });

  test("the uploader is told when somebody waits for more than anybody before", async () => {
    const { log, lsns } = await written();
    const wanted: Lsn[] = [];
    log.onWanted = () => wanted.push(log.wanted);
    log.waitConfirmed(lsns[1], () => {});
    log.waitConfirmed(lsns[0], () => {});
    log.waitConfirmed(lsns[1], () => {});
    log.waitCovered(lsns[2], 0 as Lsn, () => {});
    expect(wanted).toEqual([lsns[1]]);
    log.confirm(lsns[1]);
    log.waitConfirmed(lsns[2], () => {});
    expect(wanted).toEqual([lsns[1], lsns[2]]);
  });

  test("who is released may wait again, and is not forgotten", async () => {
    const { log, lsns } = await written();
    const told: string[] = [];
    log.waitConfirmed(lsns[0], () => log.waitConfirmed(lsns[2], () => told.push("again")));
    log.confirm(lsns[1]);
    expect(told).toEqual([]);
    log.confirm(lsns[2]);
    expect(told).toEqual(["again"]);
  });

  test("after a failure of the log nobody is told anything, after its close those who wait are", async () => {
    const { log, lsns, io, failures } = await written();
    log.waitConfirmed(lsns[1], () => expect.unreachable());
    commit(log, 4);
    await turn();
    io.syncs.shift()?.(new Error("EIO"));
    expect(failures).toHaveLength(1);
    log.confirm(lsns[2]);
    expect(log.confirmed).toBe(0);
    const other = await written();
    const told: string[] = [];
    other.log.waitConfirmed(other.lsns[1], () => told.push("late"));
    await other.log.close();
    other.log.confirm(other.lsns[2]);
    expect(told).toEqual(["late"]);
    expect(() => other.log.begin(1)).toThrow(/LOG_FAILED|the commit log/);
  });
});

test("without a bucket what is durable counts as confirmed", async () => {
  const io = new HandIo();
  const { log } = openLog({ io });
  const told: string[] = [];
  const { lsn } = commit(log, 1);
  log.waitConfirmed(lsn, () => told.push("confirmed"));
  log.waitCovered(lsn, lsn, () => told.push("both"));
  await turn();
  expect(told).toEqual([]);
  io.syncs[0]?.();
  expect(told).toEqual(["confirmed", "both"]);
  expect([log.confirmed, log.wanted]).toEqual([lsn, 0]);
  expect(() => log.confirm(lsn)).toThrow(/without a bucket/);
});
