// Alarms of cells that are not open: after a stop, a crash, a closed file; and when none may fire.

import { describe, expect, test } from "vitest";
import { FakeClock } from "../../src/clock.ts";
import type { Address } from "../../src/types.ts";
import { Clerk, type Office, open, pass, START } from "./clerk.ts";
import { afterKill, openCells, openIn, reopen, turns } from "./nodes.ts";

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
