// A disk that is full: writes are refused before they begin, what was begun fits, reads of the log go on, and writes
// resume by themselves when there is space.

import fs from "node:fs";
import { describe, expect, test, vi } from "vitest";
import { type FrondError, isFrondError } from "../../src/errors.ts";
import type { CommitLog } from "../../src/log/log.ts";
import { commit, HandIo, openLog, recordsIn, turn } from "./hands.ts";

function noSpace(): Error {
  return Object.assign(new Error("ENOSPC: no space left on device"), { code: "ENOSPC" });
}

function refusal(work: () => void): FrondError | undefined {
  try {
    work();
    return undefined;
  } catch (error) {
    if (isFrondError(error)) return error;
    throw error;
  }
}

/** Ends every sync that is under way. */
async function syncAll(io: HandIo): Promise<void> {
  await turn();
  for (const done of io.syncs.splice(0)) done();
  await turn();
}

const FILE = 1024 * 1024;

/** Commits until one is refused, or `most`, one by one as a node does: admitted, then written. */
async function fill(log: CommitLog, io: HandIo, most = Infinity): Promise<{ taken: number; refused?: FrondError }> {
  for (let taken = 0; ; taken++) {
    const refused = refusal(() => log.admit());
    if (refused !== undefined) return { taken, refused };
    if (taken === most) return { taken };
    commit(log, taken + 1, 40);
    await syncAll(io);
  }
}

describe("the disk is full", () => {
  test("writes are refused, clearly and for now, while there is still room for those that have begun", async () => {
    const io = new HandIo();
    const { log, folder } = openLog({ io, fileBytes: FILE });
    await vi.waitUntil(() => io.allocated === 1);
    await turn();
    io.full = noSpace();
    const { taken, refused } = await fill(log, io);
    expect(taken).toBeGreaterThan(10);
    expect(refused).toMatchObject({ code: "DISK_FULL", retryable: true, overloaded: true });
    expect(refused?.message).toContain("ENOSPC");
    // Begun before the disk was found full.
    commit(log, taken + 1, 100);
    await syncAll(io);
    expect(log.durable).toBe(log.appended);
    expect(recordsIn(folder).at(-1)?.record.txid).toBe(taken + 1);
  });

  test("a record that does not fit is refused without a trace", async () => {
    const io = new HandIo();
    const { log, folder } = openLog({ io, fileBytes: FILE });
    await vi.waitUntil(() => io.allocated === 1);
    await turn();
    io.full = noSpace();
    commit(log, 1);
    await syncAll(io);
    expect(refusal(() => commit(log, 2, 4000))?.code).toBe("DISK_FULL");
    commit(log, 2);
    await syncAll(io);
    expect(recordsIn(folder).map(({ record }) => record.txid)).toEqual([1, 2]);
  });

  test("writes resume when space returns", async () => {
    const io = new HandIo();
    io.full = noSpace();
    const { log } = openLog({ io, fileBytes: FILE });
    await turn();
    expect(refusal(() => log.admit())?.code).toBe("DISK_FULL");
    io.full = undefined;
    await vi.waitUntil(() => refusal(() => log.admit()) === undefined, { timeout: 30_000 });
    commit(log, 1);
    await syncAll(io);
    expect(log.durable).toBe(log.appended);
  });

  test("a record that finds no room does not stop the others, and fits once there is space", async () => {
    const io = new HandIo();
    const { log } = openLog({ io, fileBytes: FILE });
    await vi.waitUntil(() => io.allocated === 1);
    await turn();
    commit(log, 1);
    await syncAll(io);
    await vi.waitUntil(() => io.allocated === 2);
    await turn();
    io.full = noSpace();
    expect(refusal(() => commit(log, 2, 4000))?.code).toBe("DISK_FULL");
    io.full = undefined;
    commit(log, 2, 4000);
    await syncAll(io);
    const { taken } = await fill(log, io, 60);
    expect(taken).toBe(60);
    expect(log.durable).toBe(log.appended);
  });

  test("no files are left behind by allocations that failed", async () => {
    const io = new HandIo();
    io.allocate = async (file) => {
      fs.writeFileSync(file, "half");
      throw noSpace();
    };
    const { folder } = openLog({ io });
    await turn();
    expect(fs.readdirSync(`${folder}/0000000001`)).toEqual([]);
  });
});

test("commits that wait for the disk are bounded: new ones are refused as overload", async () => {
  const io = new HandIo();
  const { log } = openLog({ io, fileBytes: 32 * 1024 * 1024 });
  let refused: FrondError | undefined;
  for (let txid = 1; refused === undefined && txid < 20; txid++) {
    refused = refusal(() => log.admit());
    if (refused === undefined) commit(log, txid, 40_000);
  }
  expect(refused).toMatchObject({ code: "OVERLOADED", retryable: true, overloaded: true });
  expect(log.backlogged).toBe(true);
  while (log.durable < log.appended) await syncAll(io);
  expect(refusal(() => log.admit())).toBeUndefined();
});
