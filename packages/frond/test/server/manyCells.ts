// A node that makes ten thousand cells and asks each of them: run by a test under a small limit of descriptors. Prints what it
// found, as JSON.

import fs from "node:fs";
import { Cell, frond, type Get } from "../../src/index.ts";
import { openNode } from "../../src/server/openNode.ts";

const CELLS = 10_000;

class Counter extends Cell {
  static override migrations = ["CREATE TABLE c (n INTEGER NOT NULL) STRICT; INSERT INTO c VALUES (0)"];
  add(n: number): number {
    return this.sql.one<{ n: number }>`UPDATE c SET n = n + ${n} RETURNING n`.n;
  }
  read(): number {
    return this.sql.one<{ n: number }>`SELECT n FROM c`.n;
  }
}

let get!: Get;
const started = (context: { get: Get }): void => void (get = context.get);
const log = { info() {}, warn: console.error, error: console.error };
const app = frond({ cells: { counter: Counter }, start: started });
const node = await openNode({ app, dataDirectory: process.argv[2] as string, durability: "disk", log });
await node.startServices();

let mostDescriptors = 0;
const watch = setInterval(() => {
  mostDescriptors = Math.max(mostDescriptors, fs.readdirSync("/proc/self/fd").length);
}, 20);
let wrong = 0;
for (let i = 0; i < CELLS; i += 100) {
  const names = Array.from({ length: 100 }, (_, k) => i + k);
  const told = await Promise.all(names.map((n) => get(Counter, `c${n}`).add(n + 1)));
  wrong += told.filter((n, k) => n !== (names[k] as number) + 1).length;
}
for (let i = 0; i < CELLS; i++) if ((await get(Counter, `c${i}`).read()) !== i + 1) wrong += 1;
clearInterval(watch);
const limit = /^Max open files\s+(\d+)/m.exec(fs.readFileSync("/proc/self/limits", "utf8"))?.[1];
const found = { wrong, cells: node.ledger.count(), open: node.host.openCells, mostDescriptors, limit: Number(limit) };
await node.stop();
console.log(JSON.stringify(found));
