// The tidy rules, on the project itself and on small broken trees.
//
// Rule: a rule that cannot fail is not a rule. Each one below is shown a tree that breaks it, and one that is close to
// breaking it and does not.

import { describe, expect, test } from "vitest";
import { ARROWS, LAYERS, roomOf } from "../tidy/layers.ts";
import { parseSemantics, testTitles } from "../tidy/texts.ts";
import { formatFinding, longFiles, tidy } from "../tidy/tidy.ts";
import { readTree } from "../tidy/tree.ts";

const ROOT = new URL("../..", import.meta.url).pathname.replace(/\/$/, "");
const SRC = "packages/frond/src/";

/** Findings of a tree in memory; each file gets an opening comment unless its text starts with `<bare>`. */
function findings(files: Record<string, string>): string[] {
  const open = ([path, text]: [string, string]): [string, string] => {
    if (text.startsWith("<bare>")) return [path, text.slice("<bare>".length)];
    return [path, path.endsWith(".ts") ? `// A file.\n${text}` : text];
  };
  return tidy(new Map(Object.entries(files).map(open))).map(formatFinding);
}

describe("the project", () => {
  const tree = readTree(ROOT);

  test("keeps every tidy rule", () => {
    expect(tree.size).toBeGreaterThan(20);
    expect(tidy(tree).map(formatFinding)).toEqual([]);
    const long = longFiles(tree);
    if (long.length > 0) {
      console.log(
        `${long.length} files above the goal: ${long.map(({ path, lines }) => `${path} ${lines}`).join(", ")}`,
      );
    }
  });

  test("gives each listed arrow a reason, between rooms of one layer", () => {
    for (const { from, to, why } of ARROWS) {
      expect(LAYERS[from], `${from} -> ${to}`).toBe(LAYERS[to]);
      expect(why.length).toBeGreaterThan(10);
    }
  });
});

describe("layers", () => {
  test("a lower room may not import a higher one, not even a type", () => {
    expect(findings({ [`${SRC}core/a.ts`]: `import type { B } from "../log/b.ts";` })).toEqual([
      `${SRC}core/a.ts:2  layers  layer 1 (core) imports layer 3 (log)`,
    ]);
    expect(findings({ [`${SRC}core/a.ts`]: `export type A = import("../log/b.ts").B;` })).toHaveLength(1);
    expect(findings({ [`${SRC}store/a.ts`]: `export const a = () => import("../cell/b.ts");` })).toHaveLength(1);
    expect(findings({ [`${SRC}store/a.ts`]: `export { b } from "../cell/b.ts";\nexport const a = 1;` })).toHaveLength(
      1,
    );
    expect(findings({ [`${SRC}log/a.ts`]: `import { b } from "../core/b.ts";\nimport { c } from "./c.ts";` })).toEqual(
      [],
    );
  });

  test("neighbours of one layer do not know each other unless the arrow is listed", () => {
    expect(findings({ [`${SRC}store/a.ts`]: `import { b } from "../log/b.ts";` })).toEqual([
      `${SRC}store/a.ts:2  layers  store imports its neighbour log of layer 3; no arrow is listed`,
    ]);
    expect(findings({ [`${SRC}address.ts`]: `import { b } from "./errors.ts";` })).toEqual([]);
    expect(findings({ [`${SRC}errors.ts`]: `import { b } from "./address.ts";` })).toHaveLength(1);
  });

  test("the simulator sees the protocol only", () => {
    expect(findings({ [`${SRC}sim/a.ts`]: `import { b } from "../store/b.ts";` })[0]).toContain("sim may import only");
    expect(findings({ [`${SRC}sim/a.ts`]: `import { b } from "../bucket/b.ts";` })).toEqual([]);
  });

  test("a room that stands in no layer is refused", () => {
    expect(findings({ [`${SRC}helpers/a.ts`]: "export const a = 1;" })[0]).toContain(`the room "helpers"`);
    expect(findings({ [`${SRC}log/a.ts`]: `import { b } from "../helpers/b.ts";` })[0]).toContain(`the room "helpers"`);
    expect(roomOf(`${SRC}log/deep/a.ts`)).toBe("log");
    expect(roomOf("apps/webmail/src/log/a.ts")).toBe(undefined);
  });

  test("frond does not import what is not published with it", () => {
    expect(findings({ [`${SRC}log/a.ts`]: `import { b } from "../../../../scripts/b.ts";` })[0]).toContain(
      "not published",
    );
    expect(findings({ [`${SRC}log/a.ts`]: `import { b } from "frond";` })[0]).toContain("by its own name");
  });

  test("files do not load each other in a circle", () => {
    const circle = {
      [`${SRC}log/a.ts`]: `import { b } from "./b.ts";`,
      [`${SRC}log/b.ts`]: `export { c } from "./c.ts";\nexport const b = 1;`,
      [`${SRC}log/c.ts`]: `import { a } from "./a.ts";`,
    };
    expect(findings(circle)).toEqual([`${SRC}log/a.ts:1  cycle  log/a.ts -> log/b.ts -> log/c.ts -> log/a.ts`]);
    expect(findings({ ...circle, [`${SRC}log/c.ts`]: "export const c = 1;" })).toEqual([]);
    expect(findings({ ...circle, [`${SRC}log/c.ts`]: `import type { A } from "./a.ts";` })).toEqual([]);
    expect(findings({ ...circle, [`${SRC}log/c.ts`]: `import { type A } from "./a.ts";` })).toHaveLength(1);
  });

  test("no file inside src is a barrel", () => {
    expect(findings({ [`${SRC}log/index.ts`]: "export const a = 1;" })[0]).toContain("barrel");
    expect(findings({ [`${SRC}log/all.ts`]: `export * from "./a.ts";\nexport { b } from "./b.ts";` })[0]).toContain(
      "barrel",
    );
    expect(findings({ [`${SRC}index.ts`]: `export { a } from "./log/a.ts";` })).toEqual([]);
  });
});

describe("code", () => {
  test.each([
    ["Date.now", "export const a = () => Date.now();"],
    ["new Date", "export const a = () => new Date();"],
    ["performance", "export const a = () => performance.now();"],
    ["Math.random", "export const a = () => Math.random();"],
    ["setTimeout", "export const a = () => setTimeout(() => undefined, 1);"],
    ["setInterval", "export const a = (f: () => void) => setInterval(f, 1);"],
    ["setImmediate", "export const a = (f: () => void) => setImmediate(f);"],
    ["queueMicrotask", "export const a = (f: () => void) => queueMicrotask(f);"],
    ["process", "export const a = process.pid;"],
    ["globalThis", "export const a = globalThis;"],
    ["shorthand", "export const a = { process };"],
    ["a module of Node", `import { readFileSync } from "node:fs";\nexport const a = readFileSync;`],
    ["a package", `import pino from "pino";\nexport const a = pino;`],
  ])("core/ may not use %s", (_name, text) => {
    const found = findings({ [`${SRC}core/a.ts`]: text });
    expect(found).toHaveLength(1);
    expect(found[0]).toContain("purity");
    expect(findings({ [`${SRC}log/a.ts`]: text })).toEqual([]);
  });

  test("core/ may use words that only look impure", () => {
    const text = `
      // Date.now() in a comment
      export interface Lease { readonly process: string; Date: number }
      export const a = (lease: Lease, d: Date) => [lease.process, { Date: 1 }, "Math.random()", d, Math.max(1, 2)];
      import { strict } from "node:assert";
      export const b = strict;`;
    expect(findings({ [`${SRC}core/a.ts`]: text })).toEqual([]);
  });

  test("a file opens with a comment", () => {
    expect(findings({ "scripts/a.ts": "<bare>export const a = 1;\n// late" })[0]).toContain("does not open");
    expect(findings({ "scripts/a.js": "<bare>#!/usr/bin/env node\n// A command.\nexport const a = 1;" })).toEqual([]);
    expect(findings({ "scripts/a.js": "<bare>#!/usr/bin/env node\nexport const a = 1;" })[0]).toContain(
      "does not open",
    );
  });

  test("a file has at most 500 lines", () => {
    expect(findings({ "bench/a.ts": "const a = 1;\n".repeat(499) })).toEqual([]);
    expect(findings({ "bench/a.ts": "const a = 1;\n".repeat(500) })[0]).toContain("501 lines");
  });

  test("no file is called utils", () => {
    expect(findings({ [`${SRC}log/utils.ts`]: "export const a = 1;" })[0]).toContain("named utils");
  });

  test.each([
    ["an enum", "export enum A { B }"],
    ["a parameter property", "export class A { constructor(readonly b: number) {} }"],
    ["a decorator", "export class A { @b c() {} }"],
    ["any", "export const a: Record<string, any> = {};"],
  ])("no file uses %s", (_name, text) => {
    const found = findings({ "apps/webmail/src/a.ts": text });
    expect(found).toHaveLength(1);
    expect(found[0]).toContain("syntax");
  });

  test("no comment switches the checker off or leaves work behind", () => {
    for (const word of ["ts-ignore", "ts-expect-error", "ts-nocheck"]) {
      expect(findings({ "bench/a.ts": `// @${word}\nconst a = 1;` })[0]).toContain("type checker");
    }
    expect(findings({ "bench/a.ts": `/* ${"TO"}DO later */` })[0]).toContain("unfinished");
    expect(findings({ "bench/a.ts": `export const a = "@${"ts"}-ignore";` })).toEqual([]);
  });

  test.each(["test.skip", "it.only", "describe.skip", "test.todo", "test.concurrent.skip", "test.fails"])(
    "a test file may not hold %s",
    (call) => {
      const found = findings({ "bench/test/a.test.ts": `${call}("a", () => undefined);` });
      expect(found).toHaveLength(1);
      expect(found[0]).toContain("every test runs");
    },
  );

  test("a test may depend on what the machine has", () => {
    expect(findings({ "bench/test/a.test.ts": `test.skipIf(true)("a", () => undefined); stream.skip(1);` })).toEqual(
      [],
    );
  });

  test("a URL to a .ts file would not survive publishing", () => {
    const text = `export const a = new URL("./worker.ts", import.meta.url);`;
    expect(findings({ [`${SRC}log/a.ts`]: text })[0]).toContain("published");
    expect(findings({ "bench/a.ts": text })).toEqual([]);
  });

  test("a file that is no TypeScript is reported", () => {
    expect(findings({ "bench/a.ts": "const = ;" })[0]).toContain("parse");
  });
});

describe("texts", () => {
  test("no text names a folder of one machine", () => {
    for (const folder of ["work", "home", "tmp", "root", "Users"]) {
      expect(findings({ "docs/a.md": `see /${folder}/frond/x` })[0]).toContain("a folder of one machine");
    }
    expect(findings({ "docs/a.md": "src/home/page, ./tmp/x, a.example/work/1, and /usr/bin" })).toEqual([]);
  });

  test("no text names a package server, nor does the lockfile", () => {
    expect(findings({ "docs/a.md": `see registry${"."}example.org` })[0]).toContain("package server");
    expect(findings({ "docs/a.md": "any registry. Or none" })).toEqual([]);
    const locked = (where: string): string => `{ "packages": { "a": { "resolved": "${where}" } } }`;
    expect(findings({ "package-lock.json": locked("https://a.example/a.tgz") })[0]).toContain("the lockfile");
    expect(findings({ "package-lock.json": locked("packages/frond") })).toEqual([]);
    const optional = (name: string): string =>
      JSON.stringify({ packages: { "node_modules/a": { optionalDependencies: { b: "1.0.0" } }, [name]: {} } });
    expect(findings({ "package-lock.json": optional("node_modules/c") })[0]).toContain("lacks b");
    expect(findings({ "package-lock.json": optional("x/node_modules/b") })).toEqual([]);
  });

  test("a dependency is one version, and a decision gives its reason", () => {
    const manifest = (version: string): string => JSON.stringify({ dependencies: { pino: version } });
    const because = { "docs/decisions/0002-libraries.md": "`pino` writes the log" };
    for (const range of ["^1.0.0", "1.x", "latest", "*", ">=1.0.0"]) {
      expect(findings({ "package.json": manifest(range), ...because })[0]).toContain("not one exact version");
    }
    const peer = (version: string): string => JSON.stringify({ peerDependencies: { pino: version } });
    expect(findings({ "package.json": peer("^1.0.0"), ...because })).toEqual([]);
    expect(findings({ "package.json": peer(">=1.0.0"), ...because })[0]).toContain("not one exact version");
    expect(findings({ "package.json": manifest("1.0.0") })[0]).toContain("gives the reason for pino");
    expect(findings({ "package.json": manifest("1.0.0"), ...because })).toEqual([]);
  });

  test("a rule of SEMANTICS.md names a test that exists", () => {
    const tests = { "packages/frond/test/a.test.ts": `test("a verb commits whole", () => undefined);` };
    const rules = (text: string): string[] => findings({ "docs/SEMANTICS.md": text, ...tests });
    const named = "— test: `a verb commits whole`";
    expect(rules(`**S1** Whole. ${named}\n\n**S2** Whole again. ${named}\n`)).toEqual([]);
    expect(rules("- **S1** Whole,\n  over lines. — test: `a verb commits\n  whole`\n")).toEqual([]);
    expect(rules("**S1** Whole. — tests: `a verb commits whole`, `gone`")[0]).toContain(`"gone"`);
    expect(rules("**S1** Whole.")[0]).toContain("S1 does not end with");
    expect(rules("**S1** Later. — planned")[0]).toContain("S1 does not end with");
    expect(rules(`**S1** A. ${named}\n\n**S2** B.\n\n## Next\n\n**S3** C. ${named}`)[0]).toContain("S2 does not end");
    expect(rules(`**S2** Whole. ${named}\n**S2** Twice. ${named}`)[0]).toContain("follows S2");
    expect(rules("Nothing yet.")).toEqual([]);
    expect(parseSemantics("**S7** A `b` c. — test: `d`, `e`")).toEqual([{ number: 7, tests: ["d", "e"], at: 0 }]);
  });

  test("titles are read from every form of a test", () => {
    const code = `test("a \\"b\\"", f); it('c', f); test.each([["x"], ["y"]])(\`d %s\`, f); test.skipIf(x)("e", f);
      test(
        "long one",
        async () => {},
      ); expect("not a title"); describe("nor this", f);`;
    expect(testTitles(code)).toEqual(['a "b"', "c", "d %s", "e", "long one"]);
  });
});
