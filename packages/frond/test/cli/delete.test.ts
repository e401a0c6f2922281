// `frond delete` as a process: on a running node, on a directory, and what is asked before.

import { PassThrough } from "node:stream";
import { expect, test } from "vitest";
import { confirm } from "../../src/cli/delete.ts";
import { Folder, Running, frond } from "./command.ts";

test("delete asks for --yes, and deletes on a running node and in a directory", async () => {
  const folder = new Folder();
  const run = (...args: string[]) => frond(folder, args);
  const node = new Running(folder, ["start", "app.ts", "--listen", "0"]);
  const url = await node.ready();
  for (const name of ["a", "b", "b"]) await fetch(`${url}/${name}`);

  const refused = await run("delete", "counter/a");
  expect([refused.code, refused.out]).toEqual([2, ""]);
  expect(refused.err).toMatch(/^error BAD_OPTION: .*counter\/a.*--yes/m);
  expect((await run("delete", "counter/a", "--json")).err).toContain("BAD_OPTION");
  expect((await run("cells")).out).toContain("counter/a");

  expect(await run("delete", "counter/a", "--yes")).toMatchObject({ code: 0, out: "counter/a is deleted\n" });
  expect((await run("cells")).out).not.toContain("counter/a");
  expect((await run("delete", "counter/a", "--yes")).err).toMatch(/^error CELL_MISSING: .*counter\/a/m);
  expect(await (await fetch(`${url}/a`)).text()).toBe("1");
  expect(await node.stop()).toBe(0);

  expect((await run("delete", "counter/b", "--yes", "--json")).out).toBe('{"deleted":"counter/b"}\n');
  expect((await run("cells")).out).not.toContain("counter/b");
  folder.remove();
});

test("a person is asked, and only a yes is one", async () => {
  const ask = async (answer: string, end = false) => {
    const input = new PassThrough();
    const output = new PassThrough();
    const answered = confirm("mailbox/al\u001bice", input, output);
    if (end) input.end(answer);
    else input.write(`${answer}\n`);
    const result = await answered;
    expect(String(output.read())).toContain("delete mailbox/al\\x1bice with everything in it?");
    return result;
  };
  for (const yes of ["y", "Y", "yes", " YES "]) expect(await ask(yes), yes).toBe(true);
  for (const no of ["", "n", "no", "yess", "mailbox/alice"]) expect(await ask(no), no).toBe(false);
  expect(await ask("", true)).toBe(false);
});
