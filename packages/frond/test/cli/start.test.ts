// `frond start` as a process: its lives and ends, where it listens, what keeps it from starting. Whatever ended it, the
// next life knows everything that was acknowledged.

import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { COUNTER_APP, Folder, Running, frond } from "./command.ts";

function folderWith(app?: string): Folder {
  const folder = new Folder(app);
  onTestFinished(() => folder.remove());
  return folder;
}

function start(folder: Folder, args: string[] = ["--listen", "0"], env: Record<string, string> = {}): Running {
  const running = new Running(folder, ["start", "app.ts", ...args], env);
  onTestFinished(() => void running.child.kill("SIGKILL"));
  return running;
}

const count = async (url: string): Promise<number> => (await fetch(url)).json() as Promise<number>;

describe("a life", () => {
  test("it says where it is, serves, stops gracefully with 0, and knows everything in its next life", async () => {
    const folder = folderWith();
    const first = start(folder);
    const url = await first.ready();
    expect(url).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/);
    expect(await count(`${url}/a`)).toBe(1);
    const slow = count(`${url}/slow`);
    // It is in work once the server has opened its connection and read it.
    await expect.poll(() => count(`${url}/b`)).toBeGreaterThan(0);
    expect(await first.stop("SIGINT")).toBe(0);
    expect(await slow).toBe(1);
    const lines = first.out
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line) as Record<string, unknown>);
    expect(lines.map((line) => line["msg"])).toEqual([
      `ready on ${url}`,
      "stopping: requests in work are finished",
      "stopped",
    ]);
    expect(lines[0]).toMatchObject({ level: 30, data: ".frond/data", durability: "disk" });
    const second = start(folder, ["--listen", "0", "--log-format", "text"]);
    expect(await count(`${await second.ready()}/a`)).toBe(2);
    expect(await second.stop()).toBe(0);
    expect(second.out).toMatch(/^\d\d:\d\d:\d\d info {2}ready on http/);
  });

  test("a second signal ends it at once, and what was acknowledged is there", async () => {
    const folder = folderWith(COUNTER_APP.replace("700", "60_000"));
    const first = start(folder);
    const url = await first.ready();
    expect(await count(`${url}/a`)).toBe(1);
    const held = fetch(`${url}/slow`);
    held.catch(() => {});
    await expect.poll(async () => (await frond(folder, ["status"])).code, { timeout: 20_000 }).toBe(0);
    first.child.kill("SIGTERM");
    await first.until(/stopping/);
    expect(await first.stop("SIGTERM")).toBe(143);
    await expect(held).rejects.toThrow("fetch failed");
    expect(await count(`${await start(folder).ready()}/a`)).toBe(2);
  });

  test("an error that nobody caught ends it with 70 and a line in the log; the next start recovers", async () => {
    const folder = folderWith();
    const first = start(folder);
    const url = await first.ready();
    expect(await count(`${url}/a`)).toBe(1);
    await fetch(`${url}/crash`).catch(() => {});
    expect(await first.exit()).toBe(70);
    const last = JSON.parse(first.out.trim().split("\n").at(-1)!) as { level: number; msg: string; err: object };
    expect(last).toMatchObject({ level: 60, msg: expect.stringContaining("an error was not caught") });
    expect(last.err).toMatchObject({ message: "nobody catches this" });
    expect(await count(`${await start(folder).ready()}/a`)).toBe(2);
  });

  test("a rejected promise that nobody awaited is logged, and the node goes on", async () => {
    const folder = folderWith();
    const first = start(folder);
    const url = await first.ready();
    await fetch(`${url}/reject`).catch(() => {});
    await first.until(/a promise was rejected and nobody awaited it/);
    expect(first.out).toContain("nobody awaits this");
    expect(await count(`${url}/a`)).toBe(1);
  });

  test("services start after the door and stop before the data is closed", async () => {
    const folder = folderWith(
      COUNTER_APP.replace(
        "export default frond({",
        `export default frond({
          async start({ get, log }) {
            log.info({}, "service began with " + (await get(Counter, "service").add(1)));
            setInterval(() => {}, 1000);
            return async () => log.info({}, "service ended with " + (await get(Counter, "service").add(1)));
          },`,
      ),
    );
    const node = start(folder);
    await node.ready();
    expect(await node.stop()).toBe(0);
    const said = node.out.matchAll(/"msg":"([^"]+)"/g).map((match) => match[1]!.replace(/http.*/, ""));
    expect([...said]).toEqual([
      "service began with 1",
      "ready on ",
      "stopping: requests in work are finished",
      "service ended with 2",
      "stopped",
    ]);
  });
});

describe("where it listens", () => {
  const free = async (): Promise<number> => {
    const server = createServer().listen(0, "127.0.0.1");
    await new Promise((resolve) => server.once("listening", resolve));
    const { port } = server.address() as AddressInfo;
    await new Promise((resolve) => server.close(resolve));
    return port;
  };

  test("PORT changes the port and nothing else, HOST the address, --listen wins", async () => {
    const folder = folderWith();
    const port = await free();
    const first = start(folder, [], { PORT: String(port) });
    expect(await first.ready()).toBe(`http://127.0.0.1:${port}`);
    await first.stop();
    const second = start(folder, [], { PORT: String(port), HOST: "127.0.0.2" });
    expect(await second.ready()).toBe(`http://127.0.0.2:${port}`);
    await second.stop();
    const third = start(folder, ["--listen", `127.0.0.3:${port}`], { PORT: "1", HOST: "127.0.0.2" });
    expect(await third.ready()).toBe(`http://127.0.0.3:${port}`);
  });

  test("a port in use is LISTEN_FAILED, exit code 1, and nothing is made on disk", async () => {
    const folder = folderWith();
    const first = start(folder);
    const { port } = new URL(await first.ready());
    const other = await frond(folder, ["start", "app.ts", "--data", "other", "--listen", port]);
    expect([other.code, other.err]).toEqual([1, expect.stringMatching(/^error LISTEN_FAILED: .*--listen/)]);
    expect(existsSync(folder.at("other"))).toBe(false);
  });

  test("proxies are believed when the command says so", async () => {
    const folder = folderWith();
    const headers = { "x-forwarded-for": "9.9.9.9", "x-forwarded-proto": "https", "x-forwarded-host": "shop.example" };
    const first = start(folder);
    const url = `${await first.ready()}/who`;
    expect(await (await fetch(url, { headers })).json()).toEqual([url, "127.0.0.1"]);
    await first.stop();
    const second = start(folder, ["--listen", "0", "--trust-proxy", "loopback"]);
    const believed = await fetch(`${await second.ready()}/who`, { headers });
    expect(await believed.json()).toEqual(["https://shop.example/who", "9.9.9.9"]);
  });
});

describe("what keeps it from starting", () => {
  test("a second node on the same data is refused, and the first goes on", async () => {
    const folder = folderWith();
    const first = start(folder);
    const url = await first.ready();
    const second = await frond(folder, ["start", "app.ts", "--listen", "0"]);
    expect([second.code, second.err]).toEqual([1, expect.stringMatching(/^error DATA_LOCKED: .*\.frond\/data/)]);
    expect(await count(`${url}/a`)).toBe(1);
    expect((await frond(folder, ["cells"])).out).toContain("counter/a");
  });

  test.each([
    [
      "no default export",
      "export const app = 1;",
      /NOT_AN_APP: app\.ts has no default export; write: export default frond/,
    ],
    ["a class", "export default class Shop {}", /NOT_AN_APP: .*the class Shop by default/],
    ["a router", "export default { fetch() {} };", /NOT_AN_APP: .*can stand in it as fetch/],
    ["bad syntax", "export default {;", /APP_FAILED: app\.ts could not be loaded:\n.*app\.ts:1\n/],
    [
      "a package.json of CommonJS",
      "import { frond } from 'frond';",
      /outside a module[^]*must say "type": "module"/,
      '{"type":"commonjs"}',
    ],
    [
      "another module that is missing",
      "import 'frond-not-there';",
      /Cannot find package 'frond-not-there' imported from .*app\.ts\n$/,
    ],
    ["a throw", "\nthrow new Error('no database');", /APP_FAILED: [^]*no database\n +at .*app\.ts:2/],
    [
      "a bad class",
      "import { frond } from 'frond'; export default frond({ cells: { a: class {} } });",
      /cells\.a is not a class that extends Cell/,
    ],
  ])("%s", async (_name, app, wanted, manifest = '{"type":"module"}') => {
    const folder = folderWith(app);
    folder.write("package.json", manifest);
    const { code, err, out } = await frond(folder, ["start", "app.ts", "--listen", "0"]);
    expect(err).toMatch(wanted);
    expect([code, out]).toEqual([1, ""]);
  });

  test("frond that is not installed says so, without frames of Node", async () => {
    const outside = mkdtempSync(path.join(tmpdir(), "frond-start-"));
    onTestFinished(() => rmSync(outside, { recursive: true }));
    const file = path.join(outside, "app.mjs");
    writeFileSync(file, "import { frond } from 'frond';");
    const { code, err } = await frond(folderWith(), ["start", file, "--listen", "0"]);
    expect([code, err]).toEqual([1, expect.stringMatching(/Cannot find package 'frond'.*\nfrond is not installed/)]);
    expect(err).not.toContain("node:internal");
  });

  test("a file where data should be", async () => {
    const folder = folderWith();
    for (const data of ["app.ts", "app.ts/data"]) {
      const { code, err } = await frond(folder, ["start", "app.ts", "--listen", "0", "--data", data]);
      expect([code, err]).toEqual([1, expect.stringMatching(/^error NO_DATA: .*a file in its place/)]);
    }
  });

  test("a service that fails; timers of the app do not keep the process", async () => {
    const folder = folderWith(
      "import { frond } from 'frond'; setInterval(() => {}, 1000);" +
        "export default frond({ cells: {}, start() { throw new Error('no mail port'); } });",
    );
    const { code, err } = await frond(folder, ["start", "app.ts", "--listen", "0"]);
    expect([code, err]).toEqual([1, "error THROWN: no mail port\n"]);
    expect((await frond(folder, ["status", "--json"])).code).toBe(0);
  });
});
