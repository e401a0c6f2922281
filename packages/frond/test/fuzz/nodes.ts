// A real node for targets that reach one: a cell class with tables, keys and verbs that do as they are told.

import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { frond } from "../../src/cell/app.ts";
import { Cell } from "../../src/cell/cell.ts";
import type { Get } from "../../src/cell/stub.ts";
import type { Node } from "../../src/server/node.ts";
import { openNode } from "../../src/server/openNode.ts";

export class Box extends Cell {
  static hiddenRuns = 0;
  static override readonly migrations = ["CREATE TABLE t (a INTEGER PRIMARY KEY, b TEXT, c BLOB) STRICT"];

  echo(...args: unknown[]): unknown {
    return args;
  }

  /** Not for anybody outside. */
  hidden(): void {
    Box.hiddenRuns += 1;
  }

  boom(...args: unknown[]): never {
    throw args[0];
  }

  fill(): void {
    this.sql`INSERT OR REPLACE INTO t VALUES (1, 'one', x'00ff'), (2, 'two', NULL)`;
  }

  /** Works off a list of operations on keys and values, and removes all of them again. */
  play(steps: readonly Step[]): Outcome[] {
    const { kv } = this.ctx.storage;
    const outcomes = steps.map((step): Outcome => {
      try {
        if (step.do === "put") return { value: kv.put(step.key as string, step.value) };
        if (step.do === "get") return { value: kv.get(step.key as string) };
        if (step.do === "delete") return { value: kv.delete(step.key as string) };
        return { value: [...kv.list(step.options as object)] };
      } catch (error) {
        return { code: (error as { code?: string }).code ?? String(error) };
      }
    });
    for (const [key] of kv.list()) kv.delete(key);
    return outcomes;
  }
}

/** One operation on keys and values; nothing about key and options is certain. */
export type Step =
  | { readonly do: "put"; readonly key: unknown; readonly value: unknown }
  | { readonly do: "get"; readonly key: unknown }
  | { readonly do: "delete"; readonly key: unknown }
  | { readonly do: "list"; readonly options: unknown };

/** What a step gave, or the code that it was refused with (the error itself where it has none). */
export type Outcome = { readonly value: unknown } | { readonly code: string };

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
    app: frond({
      cells: { box: Box },
      expose: { box: { echo: true, boom: true } },
      authorize: ({ name }) => name !== "forbidden",
      origins: ["https://app.example"],
      start: ({ get }) => void (services.get = get),
    }),
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
