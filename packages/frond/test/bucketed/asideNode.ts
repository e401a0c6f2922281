// A node in a process of its own, to be killed while a large cell is migrated: asideNode.ts DIRECTORY. It tells which processes work.

import { spawnSync } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import { frond } from "../../src/cell/app.ts";
import { openNode } from "../../src/server/openNode.ts";
import { Session } from "../../src/server/door/session.ts";
import { bucketIn, Endless } from "./asideCells.ts";

const [dataDirectory = ""] = process.argv.slice(2);
const nothing = (): void => {};
const node = await openNode({
  app: frond({ cells: { store: Endless } }),
  dataDirectory,
  durability: "disk",
  log: { info: nothing, warn: nothing, error: nothing },
  ...bucketIn(dataDirectory),
});
node.host.stubs.getFor(new Session())(Endless, "a").count().catch(nothing);
const look = setInterval(() => {
  if (!fs.readdirSync(path.join(dataDirectory, "tmp")).some((name) => name.endsWith(".db-wal"))) return;
  clearInterval(look);
  const children = spawnSync("pgrep", ["-P", String(process.pid)], { encoding: "utf8" }).stdout;
  process.send?.(children.trim().split("\n").map(Number));
}, 10);
