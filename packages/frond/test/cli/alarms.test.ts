// `frond alarms` as a process: over the control socket of a node that runs, and on a directory that none serves. The
// directory is prepared by a node whose clock is moved by hand, or a failed alarm would take two minutes.

import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { frond as app } from "../../src/cell/app.ts";
import { Cell } from "../../src/cell/cell.ts";
import { showWait } from "../../src/cli/alarms.ts";
import { FakeClock } from "../../src/clock.ts";
import { openNode } from "../../src/server/openNode.ts";
import { Session } from "../../src/server/door/session.ts";
import { Folder, frond, Running } from "./command.ts";

const SOURCE = `
import { Cell, frond } from "frond";
class Bell extends Cell {
  alarm() {}
  ring() {}
}
export default frond({ cells: { bell: Bell } });
`;

class Bell extends Cell {
  set(time: number) {
    return this.ctx.storage.setAlarm(time);
  }
  plan() {
    return this.schedule({ cron: "0 9 * * *", zone: "Europe/Berlin" }, "ring");
  }
  override alarm() {
    throw new Error("out of order\u001b[2J");
  }
  ring() {}
}

const YEAR_3000 = Date.UTC(3000, 0, 1);
let folder: Folder;

beforeAll(async () => {
  folder = new Folder(SOURCE);
  const clock = new FakeClock(Date.UTC(2999, 0, 1));
  const silent = { info() {}, warn() {}, error() {} };
  const node = await openNode({
    app: app({ cells: { bell: Bell } }),
    dataDirectory: folder.at(".frond/data"),
    durability: "disk",
    log: silent,
    clock,
  });
  const get = node.host.stubs.getFor(new Session());
  for (const [name, time] of Object.entries({ b: YEAR_3000 + 1, a: YEAR_3000, broken: clock.now() })) {
    await get(Bell, name).set(time);
  }
  for (let i = 0; i < 7; i++) {
    await node.alarms.runDue();
    clock.advance(70_000);
  }
  await get(Bell, "broken").plan();
  await get(Bell, "failed").set(clock.now());
  for (let i = 0; i < 7; i++) {
    await node.alarms.runDue();
    clock.advance(70_000);
  }
  await node.stop();
});

afterAll(() => folder.remove());

const run = (...args: string[]) => frond(folder, args);

function look(): void {
  test("alarms lists the cells by their next time, then those in which all have failed", async () => {
    const { out, code } = await run("alarms");
    expect(code).toBe(0);
    expect(out.split("\n").map((line) => line.split(/ {2,}/))).toEqual([
      ["ADDRESS", "DUE", "IN", "FAILED"],
      ["bell/broken", "2999-01-01 08:00:00Z", expect.stringMatching(/^\d+ d$/), "1"],
      ["bell/a", "3000-01-01 00:00:00Z", expect.stringMatching(/^\d+ d$/)],
      ["bell/b", "3000-01-01 00:00:00Z", expect.stringMatching(/^\d+ d$/)],
      ["bell/failed", "-", "-", "1"],
      [""],
    ]);
    expect(JSON.parse((await run("alarms", "--json")).out)).toMatchObject([
      { address: "bell/broken", failed: 1 },
      { address: "bell/a", dueMs: YEAR_3000, failed: 0 },
      { address: "bell/b", dueMs: YEAR_3000 + 1 },
      { address: "bell/failed", dueMs: 0, failed: 1 },
    ]);
  });

  test("--failed lists those in which some have failed; status counts them", async () => {
    const listed = JSON.parse((await run("alarms", "--failed", "--json")).out) as { address: string }[];
    expect(listed.map(({ address }) => address)).toEqual(["bell/broken", "bell/failed"]);
    expect((await run("status")).out).toMatch(/^alarms +2 failed; see: frond alarms --failed$/m);
    expect(JSON.parse((await run("status", "--json")).out)).toMatchObject({ failedAlarms: 2 });
  });

  test("with an address it shows each of them, and what failed cannot drive the terminal", async () => {
    const { out } = await run("alarms", "bell/broken");
    const lines = out.split("\n").map((line) => line.split(/ {2,}/));
    expect(lines[0]).toEqual(["ID", "VERB", "DUE", "IN", "TRIES", "CRON", "FAILED"]);
    expect(lines[1]).toEqual(["-", "alarm", expect.any(String), "7", "out of order\\x1b[2J"]);
    expect(lines[2]).toEqual(["1", "ring", "2999-01-01 08:00:00Z", expect.any(String), "0", "0 9 * * * Europe/Berlin"]);
    const failed = JSON.parse((await run("alarms", "bell/broken", "--failed", "--json")).out) as object[];
    expect(failed).toMatchObject([{ id: 0, verb: "alarm", tries: 7, failed: "out of order\u001b[2J" }]);
    const { err, code } = await run("alarms", "bell/nobody");
    expect([code, err]).toEqual([1, expect.stringContaining("error CELL_MISSING: there is no cell bell/nobody")]);
  });
}

describe("on a directory that no node serves", () => {
  look();
});

describe("while a node runs", () => {
  let node: Running;
  beforeAll(async () => {
    node = new Running(folder, ["start", "app.ts", "--listen", "0"]);
    await node.ready();
  });
  afterAll(() => node.stop());
  look();
});

describe("a wait", () => {
  test("is shown in one unit", () => {
    const shown = [0, 5_000, 119_000, 150_000, 3 * 3_600_000, 40 * 86_400_000].map((ms) => showWait(1_000 + ms, 1_000));
    expect(shown).toEqual(["overdue 0 s", "5 s", "119 s", "2 min", "3 h", "40 d"]);
    expect([showWait(0, 5), showWait(1_000, 11_000)]).toEqual(["-", "overdue 10 s"]);
  });
});
