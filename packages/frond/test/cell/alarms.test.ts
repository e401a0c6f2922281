// The alarm of a cell, and what becomes of one that throws, on real nodes with a clock that the test moves.

import { describe, expect, test } from "vitest";
import { Cell } from "../../src/cell/cell.ts";
import { FrondError } from "../../src/errors.ts";
import type { Address } from "../../src/types.ts";
import { Clerk, open, pass, START } from "./clerk.ts";
import { codeOf, commitsIn, failureOf, openCells, turns } from "./nodes.ts";

describe("the alarm of a cell", () => {
  test("an alarm fires once, at its time and not before", async () => {
    const office = await open();
    const clerk = office.get(Clerk, "a");
    await clerk.set(START + 5_000);
    expect(await clerk.armed()).toBe(START + 5_000);
    await pass(office, 4_999);
    expect(await clerk.seen()).toEqual([]);
    await pass(office, 1);
    expect(await clerk.seen()).toEqual(["alarm 0"]);
    expect(await clerk.armed()).toBeNull();
    await pass(office, 3_600_000);
    expect(await clerk.seen()).toEqual(["alarm 0"]);
  });

  test("setAlarm replaces the alarm, takes dates, fractions and what is past; deleteAlarm disarms it", async () => {
    const office = await open();
    const clerk = office.get(Clerk, "a");
    await clerk.set(START + 1_000);
    await clerk.set(new Date(START + 3_000));
    await pass(office, 2_000);
    expect(await clerk.seen()).toEqual([]);
    await clerk.set(START + 2_500.2);
    expect(await clerk.armed()).toBe(START + 2_501);
    await clerk.disarm();
    expect(await clerk.armed()).toBeNull();
    await pass(office, 60_000);
    expect(await clerk.seen()).toEqual([]);
    await clerk.set(START - 1);
    await pass(office, 1);
    expect(await clerk.seen()).toEqual(["alarm 0"]);
  });

  test("what is no time is refused, and so is an alarm without a method for it", async () => {
    class Deaf extends Cell {
      set(time: number) {
        return this.ctx.storage.setAlarm(time);
      }
      refused() {
        // Not thrown: rejected, as of everything asynchronous.
        return this.ctx.storage.setAlarm(Number.NaN).then(
          () => "set",
          (error: Error) => error.message,
        );
      }
    }
    const { get } = await openCells({ clerk: Clerk, deaf: Deaf });
    for (const time of [
      0,
      -1,
      Number.NaN,
      Infinity,
      9e15,
      new Date("never"),
      "2026-01-01" as never,
      undefined as never,
    ]) {
      expect(await codeOf(get(Clerk, "a").set(time))).toBe("BAD_OPTION");
    }
    expect((await failureOf(get(Deaf, "a").set(START))).message).toBe(
      "Deaf has no method alarm(), which setAlarm is for",
    );
    expect(await get(Deaf, "a").refused()).toContain("setAlarm takes a Date or a number of ms since 1970");
  });

  test("an alarm that is put off while its run waits for the cell does not run", async () => {
    const office = await open();
    const clerk = office.get(Clerk, "a");
    await clerk.set(START + 1_000);
    const blocked = clerk.blockAndSet(START + 9_000);
    await turns();
    office.clock.advance(1_000);
    await turns();
    Clerk.unblock();
    await blocked;
    await office.node.alarms.settled();
    expect(await clerk.seen()).toEqual([]);
    await pass(office, 8_000);
    expect(await clerk.seen()).toEqual(["alarm 0"]);
  });

  test("setting an alarm is part of the verb, and taken back with it or with a part of it", async () => {
    const office = await open();
    const clerk = office.get(Clerk, "a");
    await failureOf(clerk.setAndThrow(START + 1_000));
    expect(office.node.ledger.find("clerk/a" as Address)).toBeUndefined();
    await clerk.setInParts(START + 2_000, START + 1_000);
    expect(await clerk.armed()).toBe(START + 2_000);
    await failureOf(clerk.setAndThrow(START + 1_000));
    expect(await clerk.armed()).toBe(START + 2_000);
    expect(await clerk.planned()).toEqual([]);
    await pass(office, 1_999);
    expect(await clerk.seen()).toEqual([]);
    await pass(office, 1);
    expect(await clerk.seen()).toEqual(["alarm 0"]);
  });

  test("while the hook runs getAlarm gives null, and what it sets is a new alarm", async () => {
    const office = await open();
    const clerk = office.get(Clerk, "a");
    for (const sync of [true, false]) {
      const now = office.clock.now();
      const seen: unknown[] = [];
      Clerk.behave = (cell) => {
        const work = async (): Promise<void> => {
          seen.push(await cell.ctx.storage.getAlarm());
          // The very time of the alarm that runs.
          await cell.ctx.storage.setAlarm(now + 1_000);
          seen.push(await cell.ctx.storage.getAlarm());
          Clerk.behave = () => {};
        };
        if (!sync) return work();
        void cell.ctx.storage.getAlarm().then((armed) => seen.push(armed));
        void cell.ctx.storage.setAlarm(now + 1_000);
        void cell.ctx.storage.getAlarm().then((armed) => seen.push(armed));
        Clerk.behave = () => {};
        return undefined;
      };
      await clerk.set(now + 1_000);
      await pass(office, 1_000);
      expect(seen).toEqual([null, now + 1_000]);
      await pass(office, 10);
      expect(await clerk.seen()).toHaveLength(sync ? 2 : 4);
      expect(await clerk.armed()).toBeNull();
    }
  });

  test("a synchronous hook goes with its alarm in one record", async () => {
    const office = await open();
    await office.get(Clerk, "a").set(START + 1_000);
    await office.node.commitLog.flushed();
    const before = commitsIn(office.directory).length;
    await pass(office, 1_000);
    await office.node.commitLog.flushed();
    const records = commitsIn(office.directory).slice(before);
    expect(records).toHaveLength(1);
    expect(records[0]?.changes).toEqual([{ what: "alarm-cleared", address: "clerk/a", value: 0 }]);
  });

  test("deleteAll takes the alarms along, in an alarm too", async () => {
    const office = await open();
    const clerk = office.get(Clerk, "a");
    await clerk.set(START + 1_000);
    await clerk.plan(START + 1_000, "never");
    await clerk.wipe();
    await pass(office, 2_000);
    expect(await clerk.seen()).toEqual([]);
    for (const asynchronous of [false, true]) {
      Clerk.behave = asynchronous ? async (cell) => cell.wipe() : (cell) => void cell.wipe();
      await clerk.set(office.clock.now() + 1_000);
      await pass(office, 1_000);
      expect(office.node.ledger.find("clerk/a" as Address)).toMatchObject({ deleted: true, alarm: 0 });
    }
    await pass(office, 300_000);
    expect(office.lines).toEqual([]);
  });
});

describe("an alarm that throws", () => {
  test.each<[string, () => unknown]>([
    [
      "synchronously",
      () => {
        throw new Error("not today");
      },
    ],
    ["asynchronously", () => Promise.reject(new Error("not today"))],
  ])("is retried after 2 s, doubling, six times, then it has failed: %s", async (what, fail) => {
    const office = await open();
    const clerk = office.get(Clerk, "a");
    const runs: number[] = [];
    Clerk.behave = (_, info) => {
      runs.push(office.clock.now() - START);
      expect(info).toEqual({ retryCount: runs.length - 1, isRetry: runs.length > 1 });
      return fail();
    };
    await clerk.set(START + 1_000);
    for (let second = 0; second < 300; second++) await pass(office, 1_000);
    const waits = runs.slice(1).map((at, i) => at - (runs[i] as number));
    expect(waits).toEqual([2_000, 4_000, 8_000, 16_000, 32_000, 64_000]);
    expect(await clerk.armed()).toBeNull();
    expect(office.lines.filter((line) => line.startsWith("warn"))).toHaveLength(6);
    expect(office.lines.at(-1)).toBe("error an alarm failed after 6 retries; see `frond alarms --failed`: not today");
    expect(office.node.ledger.countFailedAlarms()).toBe(1);
    // A synchronous run that throws leaves nothing else.
    expect(await clerk.seen()).toHaveLength(what === "synchronously" ? 0 : 7);
    // Set anew, it is an alarm as any other.
    Clerk.behave = () => {};
    await clerk.set(office.clock.now() + 1_000);
    expect(office.node.ledger.countFailedAlarms()).toBe(0);
    await pass(office, 1_000);
    expect((await clerk.seen()).at(-1)).toBe("alarm 0");
  });

  test("what is set or cancelled between two tries counts, not the try", async () => {
    const office = await open();
    const clerk = office.get(Clerk, "a");
    Clerk.behave = () => {
      throw new Error("no");
    };
    await clerk.set(START + 1_000);
    await pass(office, 1_000);
    expect(await clerk.armed()).toBe(START + 3_000);
    await clerk.set(START + 9_000);
    Clerk.behave = () => {};
    await pass(office, 7_999);
    expect(await clerk.seen()).toEqual([]);
    await pass(office, 1);
    expect(await clerk.seen()).toEqual(["alarm 0"]);
  });

  test("what the runtime refuses inside a run does not count either", async () => {
    const office = await open();
    const clerk = office.get(Clerk, "a");
    const told: unknown[] = [];
    Clerk.behave = (_, info) => {
      told.push(info?.retryCount);
      if (told.length < 10) throw new FrondError("OVERLOADED", "another cell has too much to do");
    };
    await clerk.set(START + 1_000);
    for (let i = 0; i < 200; i++) await pass(office, 10_000);
    expect(told).toEqual(Array.from({ length: 10 }, () => 0));
    expect(await clerk.seen()).toEqual(["alarm 0"]);
  });

  test("refusals of the runtime do not count as tries", async () => {
    const office = await open();
    const clerk = office.get(Clerk, "a");
    await clerk.set(START + 1_000);
    const { log } = office.node.host.committer;
    const admit = log.admit;
    log.admit = () => {
      throw new FrondError("DISK_FULL", "no space");
    };
    for (let i = 0; i < 120; i++) await pass(office, 10_000);
    log.admit = admit;
    expect(await clerk.seen()).toEqual([]);
    await pass(office, 256_000);
    expect(await clerk.seen()).toEqual(["alarm 0"]);
  });
});
