// Cells of every level, and a node whose bucket is the hand of the test: nothing is confirmed but by `confirm`.

import type { FetchContext } from "../../src/cell/app.ts";
import { Cell } from "../../src/cell/cell.ts";
import type { Get } from "../../src/cell/stub.ts";
import type { NodeOptions } from "../../src/server/nodeOptions.ts";
import { type Opened, openCells } from "./nodes.ts";

/** A table of lines and a field, and ways to tell others of them. */
export class Note extends Cell {
  static override migrations = ["CREATE TABLE t (v TEXT) STRICT"];
  heard: unknown;

  put(v: string): void {
    this.sql`INSERT INTO t VALUES (${v})`;
  }
  all(): string[] {
    return this.sql.all<{ v: string }>`SELECT v FROM t ORDER BY rowid`.map((row) => row.v);
  }
  async putAndThrow(): Promise<void> {
    this.put("then an error");
    await Promise.resolve();
    throw new Error("after the commit");
  }
  recall(): unknown {
    return this.heard;
  }
  remember(what: unknown): void {
    this.heard = what;
  }
  /** Asks `kind/name` for what it holds. */
  async look(of: string): Promise<unknown> {
    this.heard = await stubOf(this.get.bind(this), of).all();
    return this.heard;
  }
  async lookAndThrow(of: string): Promise<never> {
    await this.look(of);
    throw new Error(`heard: ${String(this.heard)}`);
  }
  /** Writes, and tells another cell of it. */
  async putAndTell(to: string): Promise<void> {
    this.put("told");
    await Promise.resolve();
    await stubOf(this.get.bind(this), to).remember("what was told");
  }
  /** Lets another cell write and throw, and goes on. */
  async provoke(other: string): Promise<string> {
    return stubOf(this.get.bind(this), other)
      .putAndThrow()
      .then(
        () => "",
        (error: Error) => error.message,
      );
  }
  async putAndWait(level?: "memory" | "disk" | "bucket"): Promise<void> {
    this.put("waits");
    await this.durable(level);
  }
  /** Lets another cell write, and waits until that is at `level`. */
  async letPut(of: string, level: "memory" | "disk" | "bucket"): Promise<void> {
    await stubOf(this.get.bind(this), of).put("of another");
    await this.durable(level);
  }
  async putAndSync(): Promise<void> {
    this.put("syncs");
    await this.ctx.storage.sync();
  }
  async putAndAsk(url: string): Promise<string> {
    this.put("asks");
    return (await this.ctx.fetch(url)).text();
  }
  async lookAndAsk(of: string, url: string): Promise<string> {
    await this.look(of);
    return (await this.ctx.fetch(url)).text();
  }
}

export class Soft extends Note {
  static override durability = "memory" as const;
}
export class Plain extends Note {
  static override durability = "disk" as const;
}
export class Safe extends Note {
  static override durability = "bucket" as const;
}

export const LEVELS = { note: Note, soft: Soft, plain: Plain, safe: Safe };

type Named = { readonly [K in keyof typeof LEVELS]: (typeof LEVELS)[K] };

/** The stub of `kind/name`. */
export function stubOf(get: Get, of: string): ReturnType<typeof get<Note>> {
  const [kind = "", name = ""] = of.split("/");
  return get(LEVELS[kind as keyof Named], name);
}

/** A node with a bucket that is in the test's hand. */
export interface Handed extends Opened {
  /** The `get` of a service: every answer waits. */
  readonly service: Get;
  /** Calls `kind/name/verb/argument` as a request at the front door; resolves with its answer, rejects with its error. */
  request(path: string): Promise<unknown>;
  /** What was written so far is on the disk. */
  flushed(): Promise<void>;
  /** What was written so far is in the bucket. */
  confirm(): Promise<void>;
}

/** Opens a node; `cells` beside those above. */
export async function openHanded(
  options: Partial<NodeOptions> = {},
  cells: Parameters<typeof openCells>[0] = {},
): Promise<Handed> {
  let service: Get | undefined;
  const opened = await openCells(
    { ...LEVELS, ...cells },
    { bucketLog: true, fetch: front, start: (context) => void (service = context.get), ...options },
  );
  await opened.node.startServices();
  const { commitLog } = opened.node;
  const flushed = (): Promise<void> => commitLog.flushed();
  return {
    ...opened,
    service: service as unknown as Get,
    flushed,
    async confirm() {
      await flushed();
      commitLog.confirm(commitLog.durable);
    },
    async request(path) {
      const response = await opened.node.handle(new Request(`http://test/${path}`), { remoteAddress: "" });
      return response.json();
    },
  };
}

async function front(request: Request, { get }: FetchContext): Promise<Response> {
  const [kind, name, verb = "", ...args] = new URL(request.url).pathname.slice(1).split("/");
  const stub = stubOf(get, `${kind}/${name}`) as unknown as Record<string, (v: string) => unknown>;
  return Response.json((await stub[verb]?.(args.join("/"))) ?? null);
}
