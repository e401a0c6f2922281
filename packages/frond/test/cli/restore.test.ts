// `frond history` and `frond restore` as their users meet them, and the moments that they understand.

import { DatabaseSync } from "node:sqlite";
import { expect, test } from "vitest";
import { parseMoment, parseTime } from "../../src/cli/moments.ts";
import { Folder, frond, Running } from "./command.ts";

test("a cell's commits are listed, and any of them is brought back: told, into a file, into the cell", async () => {
  const folder = new Folder();
  const run = (...args: string[]) => frond(folder, args);
  const node = new Running(folder, ["start", "app.ts", "--listen", "0"]);
  const url = await node.ready();
  for (const n of ["1", "2", "3"]) expect(await (await fetch(`${url}/a`)).text()).toBe(n);
  const time = String.raw`\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}Z`;
  const { out } = await run("history", "counter/a");
  expect(out).toMatch(
    new RegExp(
      String.raw`^POSITION +TIME +PAGES +SIZE +WHAT\n +1-3 +${time} +\d+ +3\.0 KiB\n +1-2 .*\n +1-1 .* created\n$`,
    ),
  );
  const told = await run("restore", "counter/a", "--at", "1-2", "--dry-run");
  expect(told.out).toMatch(new RegExp(String.raw`^counter/a would be as it was at 1-2, ${time} \(3\.0 KiB\)\n\n`));
  expect(told.out).toMatch(/\nTABLE +ROWS +NOW\nentry +2 +3\n$/);
  const filed = await run("restore", "counter/a", "--at", "1-1", "--to", "then.db", "--json");
  expect(JSON.parse(filed.out)).toMatchObject({ address: "counter/a", file: folder.at("then.db"), epoch: 1, txid: 1 });
  const then = new DatabaseSync(folder.at("then.db"), { readOnly: true });
  expect(then.prepare("SELECT count(*) AS n FROM entry").get()).toEqual({ n: 1 });
  then.close();
  const back = await run("restore", "counter/a", "--at", "1-2");
  expect(back.out).toMatch(
    /^counter\/a is as it was at 1-2, .*\nwhat it held is at 1-3: frond restore counter\/a --at 1-3\n$/,
  );
  expect(await (await fetch(`${url}/a`)).text()).toBe("3");
  expect((await run("restore", "counter/a", "--at", "-7d")).err).toMatch(
    /^error CELL_MISSING: there was no cell counter\/a at 2/m,
  );
  expect(await node.stop()).toBe(0);
  const still = await run("history", "counter/a", "--since", "-1h", "--limit", "2", "--json");
  expect(JSON.parse(still.out)).toMatchObject([
    { epoch: 1, txid: 5, what: "changed" },
    { epoch: 1, txid: 4, what: "replaced" },
  ]);
  expect((await run("erase", "counter/a")).err).toMatch(/^error BAD_OPTION: .*cannot be taken back; say --yes/);
  const erased = await run("erase", "counter/a", "--yes");
  expect(erased.out).toMatch(
    /^counter\/a is erased; left: 5 commits in the log, until 2.*Z at the latest if a node runs/,
  );
  expect((await run("erase", "--status")).out).toMatch(
    /^CELL +ERASED +LEFT +GONE\ncounter\/a +2.* 5 commits in the log +by 2.*Z\n$/,
  );
  expect((await run("history", "counter/a")).err).toMatch(/error CELL_MISSING/);
  expect((await run("erase")).err).toMatch(/^error BAD_OPTION: .*KIND\/NAME, or --status/m);
  folder.remove();
});

test("a moment is a position, a time with a zone, a date, or how long ago, and nothing else", () => {
  const now = Date.UTC(2026, 10, 23, 6);
  expect(parseMoment("12-3456")).toEqual({ epoch: 12, txid: 3456 });
  for (const [text, time] of [
    ["-90s", now - 90_000],
    ["-30min", now - 1_800_000],
    ["-2h", now - 7_200_000],
    ["-7d", now - 604_800_000],
    ["2026-11-23", Date.UTC(2026, 10, 23)],
    ["2026-11-23T06:15Z", Date.UTC(2026, 10, 23, 6, 15)],
    ["2026-11-23 06:15:01.250Z", Date.UTC(2026, 10, 23, 6, 15, 1, 250)],
    ["2026-11-23T06:15:00+01:00", Date.UTC(2026, 10, 23, 5, 15)],
  ] as const) {
    expect([text, parseTime(text, now), parseMoment(text, now)]).toEqual([text, time, { atMs: time }]);
  }
  for (const text of [
    "",
    "now",
    "2h",
    "-2",
    "-2y",
    "2026-11-23T06:15",
    "2026-13-01",
    "2026-02-30T00:00Z",
    "1-",
    "1763878500",
  ]) {
    expect(() => parseMoment(text, now), text).toThrow(/is no time.*2026-11-23T06:15:00Z.*12-3456/);
  }
});
