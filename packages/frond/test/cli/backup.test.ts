// `frond backup` as its users meet it: beside a running node, again without one, and a node on the copy.

import { expect, test } from "vitest";
import { Folder, frond, Running } from "./command.ts";

test("a cluster is copied beside its node, again when that has stopped, and a node on a new disk serves the copy", async () => {
  const folder = new Folder();
  const run = (...args: string[]) => frond(folder, args);
  const node = new Running(folder, ["start", "app.ts", "--listen", "0"]);
  const url = await node.ready();
  for (const n of ["1", "2"]) expect(await (await fetch(`${url}/a`)).text()).toBe(n);
  const first = await run("backup", "--to", "dir:copy", "--verify");
  expect([first.code, first.out]).toEqual([
    0,
    expect.stringMatching(
      /^dir:.*\/copy is a copy of dir:.*\/bucket: \d+ objects, \d+ of them came now \(.*\)\nlooked /,
    ),
  ]);
  expect(await (await fetch(`${url}/a`)).text()).toBe("3");
  expect(await node.stop()).toBe(0);
  const second = await run("backup", "--to", "dir:copy", "--json", "--verify");
  expect(JSON.parse(second.out)).toMatchObject({ to: `dir:${folder.at("copy")}`, verified: { cells: 1, wrong: [] } });
  const third = await run("backup", "--from", `dir:${folder.at(".frond/data/bucket")}`, "--to", "dir:other", "--json");
  expect(JSON.parse(third.out)).toMatchObject({ passes: 1 });

  const copied = new Running(folder, ["start", "app.ts", "--listen", "0", "--data", "new", "--bucket", "dir:copy"]);
  expect(await (await fetch(`${await copied.ready()}/a`)).text()).toBe("4");
  expect(await copied.stop()).toBe(0);
  expect((await run("backup", "--to", "dir:copy")).err).toMatch(/error DATA_FOREIGN: .*a node has been started there/);
  folder.remove();
});

test("what makes no sense is refused before anything is copied", async () => {
  const folder = new Folder();
  for (const [args, wanted] of [
    [["--from", "dir:x"], /required option '--to/],
    [["--to", "somewhere"], /dir:PATH/],
    [["--from", "dir:x", "--to", "dir:./x"], /copied into itself/],
    [["--from", "dir:x", "--to", "dir:y"], /there is no folder .*x, which was to be copied/],
    [["--from", "dir:x", "--data", "y", "--to", "dir:z"], /give one/],
    [["--from", "dir:x", "--to", "dir:z", "--s3-region", "eu"], /--s3-.* belong to a bucket/],
    [["--to", "dir:z", "--from-s3-region", "eu"], /belong to --from/],
  ] as const) {
    const { code, err } = await frond(folder, ["backup", ...args]);
    expect([args, code, err]).toEqual([args, 2, expect.stringMatching(wanted)]);
  }
  folder.remove();
});
