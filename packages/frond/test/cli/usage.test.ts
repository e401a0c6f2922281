// What people mistype and what they ask for help about: one line, the right word, exit code 2; help with examples.

import { afterAll, describe, expect, test } from "vitest";
import { nearest } from "../../src/nearest.ts";
import { DURABILITIES } from "../../src/cell/watermarks.ts";
import { listenFromEnvironment, parseListen } from "../../src/cli/options.ts";
import { Folder, frond } from "./command.ts";

const folder = new Folder();
afterAll(() => folder.remove());

describe("a wrong command line is exit code 2, one line, and the right word", () => {
  test.each<[string[], RegExp]>([
    [["strat", "app.ts"], /unknown command 'strat' \(Did you mean start\?\)/],
    [["start", "app.ts", "--durabilty", "disk"], /unknown option '--durabilty' \(Did you mean --durability\?\)/],
    [
      ["start", "app.ts", "--durability", "dsk"],
      /argument 'dsk' is invalid\. It can be memory, disk or bucket\. \(Did you mean disk\?\)/,
    ],
    [["start", "app.ts", "--log-level", "infos"], /It can be silent, .* or trace\. \(Did you mean info\?\)/],
    [["start", "app.ts", "--listen", "*:80"], /HOST:PORT.*0\.0\.0\.0/],
    [["start", "app.ts", "--trust-proxy", "10.0.0.0/99"], /10\.0\.0\.0\/99.*loopback/],
    [["start"], /missing required argument 'app'/],
    [["cells", "--jsn"], /\(Did you mean --json\?\)/],
    [["sql", "counter", "SELECT 1"], /BAD_ADDRESS: "counter" is not a path of KIND\/NAME pairs/],
    [["sql", "counter/a", "SELECT ?", "text"], /"text" is not JSON; did you mean the text '"text"'\?/],
    [["call", "counter/a", "add", "{n: 1}"], /is not JSON/],
  ])("frond %j", async (args, wanted) => {
    const { code, out, err } = await frond(folder, args);
    expect(err).toMatch(wanted);
    expect(err).toMatch(/^error BAD_(?:OPTION|ADDRESS): .*\n$/);
    expect([code, out]).toEqual([2, ""]);
  });

  test("with --json it is an object", async () => {
    const { code, err } = await frond(folder, ["cells", "--dat", "x", "--json"]);
    expect(code).toBe(2);
    expect(JSON.parse(err)).toMatchObject({
      error: { code: "BAD_OPTION", message: expect.stringContaining("--data") },
    });
  });

  test("an environment that means nothing is one too", async () => {
    const { code, err } = await frond(folder, ["start", "app.ts"], { PORT: "http" });
    expect([code, err]).toEqual([2, expect.stringMatching(/^error BAD_OPTION: .*PORT=http/)]);
  });
});

describe("help", () => {
  test.each(["dev", "start", "cells", "status", "version", "sql", "call", "export", "import"])(
    "frond %s --help",
    async (command) => {
      const { code, out, err } = await frond(folder, [command, "--help"]);
      expect([code, err]).toEqual([0, ""]);
      expect(out).toMatch(new RegExp(`^Usage: frond ${command} `));
    },
  );

  test.each([
    [["sql"], /^Usage: frond sql /],
    [["parked", "release"], /^Usage: frond parked release /],
    [[], /^Usage: frond \[options\] \[command\]\n[^]* help /],
  ])("frond help %s", async (words, usage) => {
    const { code, out, err } = await frond(folder, ["help", ...words]);
    expect([code, err]).toEqual([0, ""]);
    expect(out).toMatch(usage);
  });

  test("of a word that is no command says so", async () => {
    const { code, out, err } = await frond(folder, ["help", "parked", "relase"]);
    expect([code, out]).toEqual([2, ""]);
    expect(err).toBe('error BAD_OPTION: there is no command "relase" to explain; did you mean release?\n');
  });

  test("frond --help names every command and shows examples", async () => {
    const { code, out } = await frond(folder, ["--help"]);
    expect(code).toBe(0);
    for (const command of ["dev", "start", "cells", "status", "version", "sql", "call", "export"]) {
      expect(out).toMatch(new RegExp(`^  ${command} `, "m"));
    }
    expect(out).toContain("Examples:");
  });

  test("frond alone shows it and is a wrong command line", async () => {
    expect(await frond(folder, [])).toMatchObject({ code: 2, out: "", err: expect.stringMatching(/^Usage: frond/) });
  });

  test("start says where it listens and keeps data, and its exit codes", async () => {
    const { out } = await frond(folder, ["start", "--help"]);
    for (const word of [
      "127.0.0.1:8080",
      "PORT",
      "HOST",
      "FROND_DATA",
      ".frond/data",
      "SIGTERM",
      "Exit codes",
      "FROND_LOG",
    ]) {
      expect(out).toContain(word);
    }
  });
});

test.each([
  ["dsk", "disk"],
  ["mem", "memory"],
  ["DISK", "disk"],
  ["idsk", "disk"],
  ["bukcet", "bucket"],
  ["network", undefined],
  ["", undefined],
])("the word nearest to %j is %j", (word, wanted) => {
  expect(nearest(word, DURABILITIES)).toBe(wanted);
});

test("addresses to listen on", () => {
  expect(parseListen("3000")).toEqual({ host: "127.0.0.1", port: 3000 });
  expect(parseListen("0.0.0.0:80")).toEqual({ host: "0.0.0.0", port: 80 });
  expect(parseListen("[::1]:80")).toEqual({ host: "::1", port: 80 });
  expect(parseListen("my-host.example:80")).toEqual({ host: "my-host.example", port: 80 });
  for (const wrong of ["", ":80", "a:", "::1:80", "[::1]", "[nine]:80", "a b:80", "a:65536", "http://a:80", "-1"]) {
    expect(() => parseListen(wrong)).toThrow(`${JSON.stringify(wrong)} is not HOST:PORT`);
  }
  expect(listenFromEnvironment({})).toEqual({ host: "127.0.0.1", port: 8080 });
  expect(listenFromEnvironment({ PORT: "", HOST: "" })).toEqual({ host: "127.0.0.1", port: 8080 });
  expect(listenFromEnvironment({ PORT: "9", HOST: "::" })).toEqual({ host: "::", port: 9 });
  expect(() => listenFromEnvironment({ HOST: "a b" })).toThrow("HOST=a b");
});
