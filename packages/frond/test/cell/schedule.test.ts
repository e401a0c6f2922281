// Scheduled calls and cron expressions, on real nodes with a clock that the test moves.

import { describe, expect, expectTypeOf, test } from "vitest";
import { Cell } from "../../src/cell/cell.ts";
import { FakeClock } from "../../src/clock.ts";
import { Clerk, type Office, open, pass, START } from "./clerk.ts";
import { codeOf, openCells, openIn } from "./nodes.ts";

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
    await expect(clerk.planAny(START, "_iner")).rejects.toThrow("did you mean _inner?");
  });

  test("the types know the methods and their arguments", () => {
    type This<K extends string, A extends unknown[]> = ThisParameterType<typeof Cell.prototype.schedule<K, A>>;
    expectTypeOf<Clerk>().toExtend<This<"note", [string]>>();
    expectTypeOf<Clerk>().toExtend<This<"_inner", [number, string]>>();
    expectTypeOf<Clerk>().not.toExtend<This<"note", [number]>>();
    expectTypeOf<Clerk>().not.toExtend<This<"nothing", []>>();
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
      take(work: unknown) {
        return work;
      }
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
    const nowhere = get(Clerk, "a").planAny({ cron: "* * * * *", zone: "Nowhere/City" }, "note", "x");
    await expect(nowhere).rejects.toThrow(/^there is no time zone "Nowhere\/City"; zones have names/);
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
