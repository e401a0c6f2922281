// Alarms and scheduled calls, on real nodes with a clock that the test moves.

import { describe, expect, test } from "vitest";
import { Cell } from "../../src/cell/cell.ts";
import type { AlarmInfo } from "../../src/cell/alarms.ts";
import type { When } from "../../src/cell/schedule.ts";
import { FakeClock } from "../../src/clock.ts";
import type { Address } from "../../src/types.ts";
import { afterKill, codeOf, commitsIn, failureOf, openCells, openIn, type Opened, reopen, turns } from "./nodes.ts";

const START = Date.UTC(2026, 2, 28, 12);

class Clerk extends Cell {
  static override migrations = ["CREATE TABLE seen (id INTEGER PRIMARY KEY, what TEXT NOT NULL) STRICT"];
  /** What the next runs do. */
  static behave: (cell: Clerk, info: AlarmInfo | undefined) => unknown = () => {};

  note(what: string) {
    this.sql`INSERT INTO seen (what) VALUES (${what})`;
  }
  seen() {
    return this.sql.all<{ what: string }>`SELECT what FROM seen ORDER BY id`.map((row) => row.what);
  }
  override alarm(info?: AlarmInfo) {
    this.note(`alarm ${info?.retryCount}${info?.isRetry === true ? " retry" : ""}`);
    return Clerk.behave(this, info);
  }
  set(time: number | Date) {
    return this.ctx.storage.setAlarm(time);
  }
  armed() {
    return this.ctx.storage.getAlarm();
  }
  disarm() {
    return this.ctx.storage.deleteAlarm();
  }
  setAndThrow(time: number) {
    void this.ctx.storage.setAlarm(time);
    throw new Error("no");
  }
  setInParts(kept: number, undone: number) {
    void this.ctx.storage.setAlarm(kept);
    try {
      this.transaction(() => {
        void this.ctx.storage.setAlarm(undone);
        this.schedule(undone, "note", "undone");
        throw new Error("undone");
      });
    } catch {
      // Only the part is taken back.
    }
  }
  plan(when: When, what: string) {
    return this.schedule(when, "note", what);
  }
  planInner(when: When, ...args: unknown[]) {
    return this.schedule(when, "_inner", ...args);
  }
  planAny(when: unknown, verb: string, ...args: unknown[]) {
    return (this.schedule as (...all: unknown[]) => number).call(this, when, verb, ...args);
  }
  cancel(id: number) {
    return this.unschedule(id);
  }
  planned() {
    return this.schedules();
  }
  wipe() {
    return this.ctx.storage.deleteAll();
  }
  _inner(...args: unknown[]) {
    this.note(`inner ${JSON.stringify(args)}`);
    return Clerk.behave(this, undefined);
  }
}

interface Office extends Opened {
  readonly clock: FakeClock;
}

async function open(startMs = START): Promise<Office> {
  Clerk.behave = () => {};
  const clock = new FakeClock(startMs);
  const opened = await openCells({ clerk: Clerk }, { clock });
  await opened.node.startServices();
  return { ...opened, clock };
}

/** Lets time pass, with everything that it sets off. */
async function pass(office: Office, ms: number): Promise<void> {
  office.clock.advance(ms);
  await turns();
  await office.node.alarms.settled();
}

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

  test("refusals of the runtime do not count as tries", async () => {
    const office = await open();
    const clerk = office.get(Clerk, "a");
    await clerk.set(START + 1_000);
    const { log } = office.node.host.committer;
    const admit = log.admit;
    const { FrondError } = await import("../../src/errors.ts");
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

describe("scheduled calls", () => {
  test("run at their times, each as an event of its own with its arguments, and are gone then", async () => {
    const office = await open();
    const clerk = office.get(Clerk, "a");
    const ids = [
      await clerk.plan(START + 2_000, "second"),
      await clerk.plan(new Date(START + 1_000), "first"),
      await clerk.planInner({ afterMs: 3_000 }, { at: new Date(5), list: [1n, "x"] }.list.map(String), 7),
    ];
    expect(new Set(ids).size).toBe(3);
    expect(await clerk.planned()).toMatchObject([
      { id: ids[0], when: START + 2_000, verb: "note", args: ["second"], tries: 0 },
      { id: ids[1], when: START + 1_000, verb: "note", args: ["first"] },
      { id: ids[2], when: START + 3_000, verb: "_inner", args: [["1", "x"], 7] },
    ]);
    await pass(office, 2_000);
    expect(await clerk.seen()).toEqual(["first", "second"]);
    await pass(office, 1_000);
    expect(await clerk.seen()).toEqual(["first", "second", 'inner [["1","x"],7]']);
    expect(await clerk.planned()).toEqual([]);
  });

  test("are cancelled by their ids, which name nothing else later", async () => {
    const office = await open();
    const clerk = office.get(Clerk, "a");
    const id = await clerk.plan(START + 1_000, "cancelled");
    expect(await clerk.cancel(id)).toBe(true);
    expect(await clerk.cancel(id)).toBe(false);
    expect(await clerk.plan(START + 1_000, "kept")).toBeGreaterThan(id);
    expect(await clerk.cancel(id)).toBe(false);
    await pass(office, 1_000);
    expect(await clerk.seen()).toEqual(["kept"]);
    for (const wrong of [0, -1, 1.5, "1" as never]) expect(await codeOf(clerk.cancel(wrong))).toBe("BAD_OPTION");
  });

  test("stand beside the alarm of the hook, and each of them is tried by itself", async () => {
    const office = await open();
    const clerk = office.get(Clerk, "a");
    await clerk.set(START + 1_500);
    await clerk.planInner(START + 1_000);
    Clerk.behave = (_, info) => {
      if (info === undefined) throw new Error("inner fails");
    };
    await pass(office, 1_000);
    await pass(office, 500);
    expect(await clerk.seen()).toEqual(["alarm 0"]);
    expect(await clerk.planned()).toMatchObject([{ tries: 1, when: START + 3_000 }]);
    for (let i = 0; i < 200; i++) await pass(office, 1_000);
    const [failed] = await clerk.planned();
    expect(failed).toMatchObject({ verb: "_inner", tries: 7, failed: "inner fails" });
    expect(await clerk.cancel(failed?.id as number)).toBe(true);
    expect(office.node.ledger.countFailedAlarms()).toBe(0);
  });

  test("name a method of the class; hooks, members of Cell, fields and what there is not are refused", async () => {
    const { get } = await openCells({ clerk: Clerk });
    const clerk = get(Clerk, "a");
    for (const verb of [
      "alarm",
      "fetch",
      "constructor",
      "sql",
      "transaction",
      "nothing",
      "#note",
      "",
      "__proto__",
      7 as never,
    ]) {
      expect(await codeOf(clerk.planAny(START, verb)), String(verb)).toBe("UNKNOWN_VERB");
    }
    class Typed extends Cell {
      one(_text: string, _more?: number) {}
      check() {
        this.schedule(1, "one", "text");
        this.schedule(1, "one", "text", 2);
        // @ts-expect-error -- another argument
        this.schedule(1, "one", 5);
        // @ts-expect-error -- no such verb
        this.schedule(1, "two");
      }
    }
    expect(await codeOf((await openCells({ typed: Typed })).get(Typed, "a").check())).toBe("UNKNOWN_VERB");
  });

  test("take what structured clones hold, up to a size", async () => {
    const { get } = await openCells({ clerk: Clerk });
    const clerk = get(Clerk, "a");
    await clerk.planInner(START, new Map([["a", new Date(5)]]));
    expect((await clerk.planned())[0]?.args).toEqual([new Map([["a", new Date(5)]])]);
    expect(await codeOf(clerk.planInner(START, "x".repeat(200_000)))).toBe("KEY_TOO_LARGE");
    class Own extends Cell {
      go() {
        return this.schedule(START, "take", () => {});
      }
      take(_: unknown) {}
    }
    expect(await codeOf((await openCells({ own: Own })).get(Own, "a").go())).toBe("NOT_CLONEABLE");
  });

  test("what is no time, and what never comes, is refused", async () => {
    const { get } = await openCells({ clerk: Clerk });
    const wrong = [
      Number.NaN,
      0,
      new Date("never"),
      "tomorrow",
      "* * * *",
      "99 * * * *",
      "0 0 30 2 *",
      "0 0 0 1 1 * 2020",
      "@reboot",
      "2026-04-01T00:00:00",
      "* ".repeat(500),
      { cron: "* * * * *", zone: "Nowhere/City" },
      { cron: 5 },
      { afterMs: -1 },
      { afterMs: "1" },
      { cron: "* * * * *", every: 1 },
      {},
      null,
      undefined,
      true,
    ];
    for (const when of wrong) {
      expect(await codeOf(get(Clerk, "a").planAny(when, "note", "x")), JSON.stringify(when)).toBe("BAD_OPTION");
    }
  });
});

describe("cron", () => {
  test("expressions are in UTC unless they name a zone, and follow it over the changes of the clock", async () => {
    // 2026: summer time begins in Berlin on 29 March at 01:00 UTC and ends on 25 October at 01:00 UTC.
    const office = await open(Date.UTC(2026, 2, 28, 12));
    const clerk = office.get(Clerk, "a");
    const at = async (): Promise<string[]> =>
      (await clerk.planned()).map(({ when }) => new Date(when).toISOString().slice(0, 16));
    await clerk.plan("0 9 * * *", "utc");
    await clerk.plan({ cron: "0 9 * * *", zone: "Europe/Berlin" }, "berlin");
    await clerk.plan({ cron: "30 2 * * *", zone: "Europe/Berlin" }, "skipped");
    // Still at 02:30 of the 28th there is no change; on the 29th 02:30 does not exist: the moment of the change.
    expect(await at()).toEqual(["2026-03-29T09:00", "2026-03-29T07:00", "2026-03-29T01:00"]);
    await pass(office, 13 * 3_600_000);
    expect(await clerk.seen()).toEqual(["skipped"]);
    expect(await at()).toEqual(["2026-03-29T09:00", "2026-03-29T07:00", "2026-03-30T00:30"]);

    const autumn = await open(Date.UTC(2026, 9, 24, 12));
    const twice = autumn.get(Clerk, "a");
    await twice.plan({ cron: "30 2 * * *", zone: "Europe/Berlin" }, "once");
    for (let hour = 0; hour < 24; hour++) await pass(autumn, 3_600_000);
    // 02:30 comes twice in that night, at 00:30 and 01:30 UTC.
    expect(await twice.seen()).toEqual(["once"]);
  });

  test("times that were missed are made up for once", async () => {
    const office = await open();
    const clerk = office.get(Clerk, "a");
    await clerk.plan("*/10 * * * *", "tick");
    await office.node.stop();
    const later = new FakeClock(START + 24 * 3_600_000 + 1);
    const next = await openIn(office.directory, { clerk: Clerk }, { clock: later });
    await next.node.startServices();
    const awake: Office = { ...next, clock: later };
    await pass(awake, 1);
    expect(await next.get(Clerk, "a").seen()).toEqual(["tick"]);
    await pass(awake, 10 * 60_000);
    expect(await next.get(Clerk, "a").seen()).toEqual(["tick", "tick"]);
  });

  test("a call that failed goes on with its next time, and is shown as failed until it succeeds", async () => {
    const office = await open();
    const clerk = office.get(Clerk, "a");
    Clerk.behave = () => {
      throw new Error("bad night");
    };
    await clerk.planInner("0 3 * * *");
    await pass(office, 15 * 3_600_000);
    for (let i = 0; i < 200; i++) await pass(office, 1_000);
    expect(await clerk.planned()).toMatchObject([{ tries: 0, failed: "bad night", when: Date.UTC(2026, 2, 30, 3) }]);
    expect(office.node.ledger.countFailedAlarms()).toBe(1);
    Clerk.behave = () => {};
    await pass(office, 24 * 3_600_000);
    expect(await clerk.seen()).toEqual(["inner []"]);
    expect((await clerk.planned())[0]?.failed).toBeUndefined();
    expect(office.node.ledger.countFailedAlarms()).toBe(0);
  });
});

describe("alarms of cells that sleep", () => {
  test("fire after a clean stop, after a kill, and after the catalog is lost", async () => {
    const office = await open();
    await office.get(Clerk, "a").set(START + 60_000);
    await office.get(Clerk, "b").plan(START + 60_000, "call");
    await office.node.commitLog.flushed();
    for (const again of [afterKill, reopen]) {
      const clock = new FakeClock(START + 59_000);
      const next: Office = { ...(await again(office, { clerk: Clerk }, { clock })), clock };
      await next.node.startServices();
      await pass(next, 500);
      expect(next.node.host.openCells).toBe(0);
      await pass(next, 500);
      expect(await next.get(Clerk, "a").seen()).toEqual(["alarm 0"]);
      expect(await next.get(Clerk, "b").seen()).toEqual(["call"]);
    }
  });

  test("wake a cell that was closed", async () => {
    Clerk.behave = () => {};
    const clock = new FakeClock(START);
    const opened = await openCells({ clerk: Clerk }, { clock, maxOpenCells: 2 });
    const office: Office = { ...opened, clock };
    await office.node.startServices();
    for (let i = 0; i < 40; i++) await office.get(Clerk, `n${i}`).set(START + 1_000 + i);
    expect(office.node.host.openCells).toBeLessThan(40);
    for (let i = 0; i < 60; i++) await pass(office, 100);
    for (let i = 0; i < 40; i++) expect(await office.get(Clerk, `n${i}`).seen()).toEqual(["alarm 0"]);
  });

  test("before services have started and after a stop none fires; runs that began are waited for", async () => {
    Clerk.behave = () => {};
    const clock = new FakeClock(START);
    const opened = await openCells({ clerk: Clerk }, { clock });
    await opened.get(Clerk, "a").set(START + 1);
    const office: Office = { ...opened, clock };
    await pass(office, 10);
    expect(await opened.get(Clerk, "a").seen()).toEqual([]);
    const end = Promise.withResolvers<void>();
    Clerk.behave = () => end.promise;
    await opened.node.startServices();
    clock.advance(1);
    await turns();
    await opened.get(Clerk, "b").set(START + 20);
    const stopped = opened.node.stop();
    clock.advance(60_000);
    await turns();
    end.resolve();
    await stopped;
    const next = await openIn(opened.directory, { clerk: Clerk }, { clock });
    expect(await next.get(Clerk, "a").seen()).toEqual(["alarm 0"]);
    expect(await next.get(Clerk, "a").armed()).toBeNull();
    expect(await next.get(Clerk, "b").seen()).toEqual([]);
    expect(await next.get(Clerk, "b").armed()).toBe(START + 20);
  });

  test("runDue runs what is due and nothing else, fire runs what is next", async () => {
    Clerk.behave = () => {};
    const clock = new FakeClock(START);
    const { node, get } = await openCells({ clerk: Clerk }, { clock });
    await get(Clerk, "a").set(START);
    await get(Clerk, "a").plan(START, "call");
    await get(Clerk, "b").set(START + 1_000);
    expect(await node.alarms.runDue()).toBe(2);
    expect(await node.alarms.runDue()).toBe(0);
    expect(await get(Clerk, "a").seen()).toEqual(["alarm 0", "call"]);
    expect(await node.alarms.fire("clerk/b" as Address)).toBe(true);
    expect(await get(Clerk, "b").seen()).toEqual(["alarm 0"]);
    expect(await node.alarms.fire("clerk/b" as Address)).toBe(false);
  });
});
