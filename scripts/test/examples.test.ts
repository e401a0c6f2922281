// Every example of the documentation type-checks and runs, as its reader would run it: from a file, under plain Node.

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { examplesOf } from "../examples.ts";
import { ROOT, run } from "../run.ts";
import { readTree } from "../tidy/tree.ts";

describe("finding examples", () => {
  const fence = "```";

  test("documents and docstrings of reachable files give theirs, with their place", () => {
    const tree = new Map([
      ["README.md", `# A\n\n${fence}ts\nlet a = 1;\n${fence}\n\n${fence}sh\nls\n${fence}\n`],
      ["docs/a.md", `${fence}ts\nlet b = 1;\n${fence}\n`],
      ["bench/README.md", `${fence}ts\nlet no = 1;\n${fence}\n`],
      ["packages/frond/src/index.ts", `// Door.\nexport * from "./a.ts";\n`],
      [
        "packages/frond/src/a.ts",
        `// A.\n\n/**\n * Adds.\n * ${fence}ts\n * if (a) {\n *   b();\n * }\n * ${fence}\n */\nexport const a = 1;\n`,
      ],
      ["packages/frond/src/b.ts", `/**\n * ${fence}ts\n * let unreached = 1;\n * ${fence}\n */\nexport const b = 1;\n`],
    ]);
    expect(examplesOf(tree)).toEqual([
      { place: "README.md:4", code: "let a = 1;\n" },
      { place: "docs/a.md:2", code: "let b = 1;\n" },
      { place: "packages/frond/src/a.ts:6", code: "if (a) {\n  b();\n}\n" },
    ]);
  });
});

describe("the examples of the documentation", () => {
  const examples = examplesOf(readTree(ROOT));
  let folder = "";

  // Inside the checkout, so that "frond" resolves as it does for the applications beside it.
  beforeAll(() => {
    mkdirSync(`${ROOT}/.cache`, { recursive: true });
    folder = mkdtempSync(`${ROOT}/.cache/examples-`);
    examples.forEach(({ code }, index) => writeFileSync(`${folder}/${index}.ts`, code));
    // A module even if it has neither import nor export.
    writeFileSync(`${folder}/package.json`, JSON.stringify({ private: true, type: "module" }));
    const options = {
      extends: "../../tsconfig.json",
      compilerOptions: { moduleDetection: "force", noUnusedLocals: false },
    };
    writeFileSync(`${folder}/tsconfig.json`, JSON.stringify({ ...options, include: ["*.ts"] }));
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  test("there is at least the one that opens the README", () => {
    expect(examples.map(({ place }) => place.split(":")[0])).toContain("README.md");
  });

  test("all have true types", async () => {
    const { output } = await run("tsc", ["-p", folder]);
    const places = output.replaceAll(
      /^\S*?(\d+)\.ts\b/gm,
      (_whole, index: string) => `[${examples[Number(index)]?.place}]`,
    );
    expect(places).toBe("");
  });

  test.for(examples.map(({ place }, index) => ({ place, index })))("$place runs", async ({ index }) => {
    const { ok, output } = await run("node", ["--conditions=frond-source", `${folder}/${index}.ts`]);
    expect(output).toBe("");
    expect(ok).toBe(true);
  });
});

describe("the example of the README", () => {
  const tree = readTree(ROOT);
  const shown = (path: string): string | undefined => examplesOf(new Map([[path, tree.get(path) ?? ""]]))[0]?.code;

  test("is the file that the README tells to run, and what npm shows", () => {
    const file = tree.get("examples/mailbox/app.ts") ?? "";
    expect(shown("README.md")).toBe(file.slice(file.indexOf("import ")));
    expect(shown("packages/frond/README.md")).toBe(shown("README.md"));
  });

  test("stands below the title and exactly two commands", () => {
    const top = (tree.get("README.md") ?? "").split("\n## ")[0] ?? "";
    expect(top.startsWith("# frond\n\n```\nnpm ci")).toBe(true);
    const commands = [...top.matchAll(/^```\n([^]*?)^```$/gm)].map(([, command]) => command?.trim());
    expect(commands).toEqual(["npm ci && npm run demo", "npm ci && npm test"]);
  });
});
