// The commands that look into a node, as processes: the same answers whether a node runs or the directory is opened by
// the command itself, errors with their codes, nothing overwritten.

import { existsSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { VERSION } from "../../src/version.ts";
import { COUNTER_APP, Folder, Running, frond } from "./command.ts";

let folder: Folder;
let node: Running;
let url: string;

beforeAll(async () => {
  folder = new Folder();
  node = new Running(folder, ["start", "app.ts", "--listen", "0"]);
  url = await node.ready();
  for (const name of ["b", "a", "a"]) await fetch(`${url}/${name}`);
});

afterAll(async () => {
  await node.stop();
  folder.remove();
});

const run = (...args: string[]) => frond(folder, args);

describe("while a node runs", () => {
  test("cells lists addresses in order, with size and position", async () => {
    const { out, code } = await run("cells");
    expect(code).toBe(0);
    const [head, first, second] = out.split("\n");
    expect(head).toMatch(/^ADDRESS +SIZE +POSITION +CHANGED +OPEN$/);
    expect(first).toMatch(/^counter\/a +\d+\.\d KiB +1-2 +20\d\d-\d\d-\d\d \d\d:\d\d:\d\dZ +yes$/);
    expect(second).toMatch(/^counter\/b +\d+\.\d KiB +1-1 /);
    const listed = JSON.parse((await run("cells", "--json")).out) as object[];
    expect(listed).toMatchObject([{ address: "counter/a", epoch: 1, txid: 2, open: true }, { address: "counter/b" }]);
  });

  test("cells --busiest lists the open cells by the time they took", async () => {
    const { out, code } = await run("cells", "--busiest", "1");
    expect(code).toBe(0);
    expect(out).toMatch(/^ADDRESS +BUSY +EVENTS +RUNNING +WAITING\ncounter\/[ab] +\d+\.\d ms +\d+ +0 +0\n$/);
    const loads = JSON.parse((await run("cells", "--busiest", "9", "--json")).out) as {
      calls: number;
      busyMs: number;
    }[];
    expect(loads.map(({ calls }) => calls).toSorted()).toEqual([1, 2]);
    expect(loads[0]?.busyMs).toBeGreaterThanOrEqual(loads[1]?.busyMs as number);
    expect((await run("cells", "--busiest", "none")).code).toBe(2);
  });

  test("sql reads; it writes only with --write", async () => {
    const read = await run(
      "sql",
      "counter/a",
      "SELECT n, note, x'00ff' AS raw, 2.5 AS real FROM entry WHERE id = ?",
      "1",
    );
    expect(read.out).toBe("n  note  raw      real\n1  NULL  x'00ff'   2.5\n");
    const json = await run("sql", "counter/a", "SELECT x'00ff' AS raw, 9e999 AS inf", "--json");
    expect(JSON.parse(json.out)).toEqual({
      columns: ["raw", "inf"],
      rows: [[{ $blob: "AP8=" }, { $real: "Infinity" }]],
      changes: 0,
    });
    const insert = "INSERT INTO entry (n, note) VALUES (?, ?)";
    const refused = await run("sql", "counter/c", insert, "5", '"x"');
    expect([refused.code, refused.out]).toEqual([1, ""]);
    expect(refused.err).toMatch(/^error CELL_MISSING: .*counter\/c/m);
    expect((await run("sql", "counter/b", insert, "5", '"x"')).err).toMatch(/^error SQL_DENIED: .*--write/m);
    expect((await run("sql", "counter/b", insert, "5", '"x"', "--write")).out).toBe("1 row changed\n");
    expect((await run("sql", "counter/b", "SELECT note FROM entry WHERE n = 5")).out).toBe("note\nx\n");
    expect((await run("sql", "counter/b", "SELEC 1")).err).toMatch(/^error SQL_ERROR: .*SELEC/m);
  });

  test("text of a cell cannot drive the terminal", async () => {
    const { out } = await run("sql", "counter/a", "SELECT 'a' || char(27) || '[2J' || char(10) || 'b' AS t");
    expect(out).toBe("t\na\\x1b[2J\\x0ab\n");
  });

  test("call prints what the verb returns, and what it throws", async () => {
    expect(await run("call", "counter/d", "add", "5", '"from outside"')).toEqual({
      code: 0,
      out: "5\n",
      err: `data: ${folder.at(".frond/data")}\n`,
    });
    expect((await run("call", "counter/d", "bytes", '{"$blob":"AQI="}', "--json")).out).toBe('{"$blob":"AgE="}\n');
    expect(await run("call", "counter/d", "fail")).toEqual({
      code: 1,
      out: "",
      err: expect.stringMatching(/\nerror THROWN: TypeError: not like this\n$/),
    });
    const { err } = await run("call", "counter/d", "fail", "--json");
    expect(JSON.parse(err)).toMatchObject({ error: { code: "THROWN", remote: true, retryable: false } });
    expect((await run("call", "counter/d", "ad", "1")).err).toMatch(/^error UNKNOWN_VERB: .*add/m);
    expect((await run("call", "countr/d", "add", "1")).err).toMatch(/^error UNKNOWN_KIND: .*counter/m);
  });

  test("export writes a file that any tool opens, and replaces none unasked", async () => {
    const { out, code } = await run("export", "counter/a", "a.db");
    expect([code, out]).toEqual([0, expect.stringContaining("counter/a is in")]);
    const copy = new DatabaseSync(folder.at("a.db"), { readOnly: true });
    expect(copy.prepare("SELECT sum(n) AS sum FROM entry").get()).toEqual({ sum: 2 });
    expect(copy.prepare("PRAGMA integrity_check").get()).toEqual({ integrity_check: "ok" });
    copy.close();
    writeFileSync(folder.at("mine.db"), "precious");
    const refused = await run("export", "counter/a", "mine.db");
    expect([refused.code, refused.err]).toEqual([1, expect.stringMatching(/^error FILE_EXISTS: .*--force/)]);
    expect(readFileSync(folder.at("mine.db"), "utf8")).toBe("precious");
    writeFileSync(folder.at("mine.db-wal"), "old");
    expect((await run("export", "counter/a", "mine.db", "--force")).err).toMatch(/^error FILE_EXISTS: .*mine.db-wal/);
    expect(await run("export", "counter/a", "a.db", "--force", "--json")).toMatchObject({ code: 0, err: "" });
    expect((await run("export", "counter/none", "none.db")).err).toMatch(/^error CELL_MISSING/m);
    expect((await run("export", "counter/a", "no/such/folder.db")).err).toMatch(
      /^error BAD_OPTION: there is no folder .*no\/such; make it/,
    );
    expect(readdirSync(folder.path).filter((name) => name.includes("tmp") || name.startsWith("none"))).toEqual([]);
  });

  test("status and version tell of the node", async () => {
    expect((await run("status")).out).toMatch(
      /^ready +yes\nrunning +frond .*\nlisten +127\.0\.0\.1:\d+\n[^]*durability +disk\ncells +3\nopen +\d/,
    );
    const status = JSON.parse((await run("status", "--json")).out) as object;
    expect(status).toMatchObject({
      ready: true,
      pid: node.child.pid,
      reports: [],
      listen: url.slice("http://".length),
    });
    const version = JSON.parse((await run("version", "--json")).out) as object;
    expect(version).toMatchObject({ version: VERSION, node: process.version, running: { pid: node.child.pid } });
    expect((await run("--version")).out).toBe(`${VERSION}\n`);
  });

  test("another folder's commands find it by --data or FROND_DATA", async () => {
    const elsewhere = new Folder();
    const data = folder.at(".frond/data");
    const none = await frond(elsewhere, ["cells"]);
    expect([none.code, none.err]).toEqual([1, expect.stringMatching(/^error NO_DATA: .*--data/)]);
    expect((await frond(elsewhere, ["cells", "--data", data])).out).toContain("counter/a");
    expect((await frond(elsewhere, ["cells"], { FROND_DATA: data })).out).toContain("counter/a");
    const wrong = await frond(elsewhere, ["cells", "--data", elsewhere.path]);
    expect([wrong.code, wrong.err]).toEqual([1, expect.stringMatching(/^error NO_DATA: .*not a data directory/)]);
    const version = await frond(elsewhere, ["version"]);
    expect([version.code, version.out]).toEqual([0, expect.stringMatching(/running +no\n/)]);
    elsewhere.remove();
  });
});

describe("when no node runs", () => {
  test("cells, sql and export open the directory themselves; call says what to start", async () => {
    const still = new Folder();
    const first = new Running(still, ["start", "app.ts", "--listen", "0"]);
    await fetch(`${await first.ready()}/a`);
    // A killed node leaves its socket behind; that must not stop anybody.
    await first.stop("SIGKILL");
    expect(existsSync(still.at(".frond/data/control.sock"))).toBe(true);
    expect((await frond(still, ["cells"])).out).toMatch(/\ncounter\/a .*\n$/);
    expect((await frond(still, ["sql", "counter/a", "SELECT n FROM entry"])).out).toBe("n\n1\n");
    const write = ["sql", "counter/a", "UPDATE entry SET n = 41", "--write"];
    expect((await frond(still, write)).out).toBe("1 row changed\n");
    expect((await frond(still, ["export", "counter/a", "a.db"])).code).toBe(0);
    expect((await frond(still, ["status", "--json"])).out).toContain('"cells":1');
    const call = await frond(still, ["call", "counter/a", "add", "1"]);
    expect([call.code, call.err]).toEqual([
      1,
      expect.stringMatching(/^error NOT_RUNNING: .*frond start app.ts --data /m),
    ]);
    // What was written without a node is there for the next one.
    const second = new Running(still, ["start", "app.ts", "--listen", "0"]);
    expect(await (await fetch(`${await second.ready()}/a`)).text()).toBe("42");
    expect(await second.stop()).toBe(0);
    still.remove();
  });

  test("the default directory is the one with cells, and a directory without any says so", async () => {
    const both = new Folder("import { frond } from 'frond'; export default frond({ cells: {} });");
    const empty = new Running(both, ["start", "app.ts", "--listen", "0"]);
    await empty.ready();
    expect(await empty.stop()).toBe(0);
    const nothing = await frond(both, ["sql", "counter/a", "SELECT 1"]);
    expect(nothing.err).toBe(
      `data: ${both.at(".frond/data")}\nerror UNKNOWN_KIND: no app with cells has ever run on ${both.at(".frond/data")}\n`,
    );
    both.write("app.ts", COUNTER_APP);
    const used = new Running(both, ["start", "app.ts", "--listen", "0", "--data", ".frond/dev"]);
    await fetch(`${await used.ready()}/a`);
    expect(await used.stop()).toBe(0);
    const { out, err } = await frond(both, ["cells"]);
    expect([out, err]).toEqual([expect.stringContaining("counter/a"), `data: ${both.at(".frond/dev")}\n`]);
    expect((await frond(both, ["cells", "--json"])).err).toBe("");
    both.remove();
  });
});
