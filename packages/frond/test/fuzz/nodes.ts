// A real node for targets that reach one: a cell class with tables, keys and verbs that do as they are told.

import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { frond } from "../../src/cell/app.ts";
import { Cell } from "../../src/cell/cell.ts";
import type { Get } from "../../src/cell/stub.ts";
import { type Node, openNode } from "../../src/server/node.ts";

export class Box extends Cell {
  static override readonly migrations = ["CREATE TABLE t (a INTEGER PRIMARY KEY, b TEXT, c BLOB) STRICT"];

  echo(...args: unknown[]): unknown {
    return args;
  }

  boom(...args: unknown[]): never {
    throw args[0];
  }

  fill(): void {
    this.sql`INSERT OR REPLACE INTO t VALUES (1, 'one', x'00ff'), (2, 'two', NULL)`;
  }

  put(key: string, value: unknown): void {
    this.ctx.storage.kv.put(key, value);
  }

  take(key: string): unknown {
    return this.ctx.storage.kv.get(key);
  }

  remove(key: string): boolean {
    return this.ctx.storage.kv.delete(key);
  }

  list(options: object): unknown {
    return [...this.ctx.storage.kv.list(options)];
  }
}

export interface OpenedNode {
  readonly node: Node;
  readonly get: Get;
  readonly directory: string;
  /** What made the node give up; empty while all is well. */
  readonly fatal: unknown[];
  close(): Promise<void>;
}

export async function openBoxes(): Promise<OpenedNode> {
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), "frond-fuzz-"));
  const fatal: unknown[] = [];
  const nothing = (): void => {};
  const services: { get?: Get } = {};
  const node = await openNode({
    app: frond({ cells: { box: Box }, start: ({ get }) => void (services.get = get) }),
    dataDirectory: directory,
    durability: "memory",
    log: { info: nothing, warn: nothing, error: nothing },
    logFileBytes: 1024 * 1024,
    onFatal: (error) => fatal.push(error),
  });
  await node.startServices();
  return {
    node,
    get: services.get as Get,
    directory,
    fatal,
    async close() {
      await node.stop(0);
      fs.rmSync(directory, { recursive: true, force: true });
    },
  };
}
