// Nodes with a front door for the tests of calls from outside: real cells on a real directory behind real HTTP.

import { mkdtempSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { onTestFinished } from "vitest";
import type { App } from "../../src/cell/app.ts";
import { listenHttp } from "../../src/server/door/http.ts";
import type { HttpFront } from "../../src/server/door/http.ts";
import { createLogger } from "../../src/server/logger.ts";
import { openNode } from "../../src/server/openNode.ts";
import type { Node } from "../../src/server/node.ts";
import type { NodeOptions } from "../../src/server/nodeOptions.ts";

export interface ExposedNode {
  readonly node: Node;
  readonly front: HttpFront;
  readonly url: string;
  readonly port: number;
  /** Lines of the log so far, parsed. */
  readonly log: Record<string, unknown>[];
}

/** Serves an app with its exposed verbs on a free port, or on `port`, until the test ends. */
export async function serveExposed<X>(app: App<X>, options: Partial<NodeOptions> = {}, port = 0): Promise<ExposedNode> {
  const directory = mkdtempSync(path.join(os.tmpdir(), "frond-exposed-"));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  const log: Record<string, unknown>[] = [];
  const logger = createLogger({ level: "debug", format: "json", write: (line) => log.push(JSON.parse(line)) });
  const node = await openNode({ app, dataDirectory: directory, durability: "disk", log: logger, ...options });
  onTestFinished(() => node.stop(0));
  if (node.handleCall === undefined) throw new Error("this app exposes nothing");
  const front = await listenHttp({
    host: "127.0.0.1",
    port,
    handler: (request, info) => node.handle(request, info),
    calls: node.handleCall,
    upgrades: node.upgrades,
    log: logger,
    state: () => node.state(),
  });
  onTestFinished(() => front.stop(0));
  return { node, front, url: `http://127.0.0.1:${front.address.port}`, port: front.address.port, log };
}

export interface Answer {
  readonly status: number;
  readonly body: unknown;
  readonly headers: Headers;
}

/** Calls as a program without the client would: `path` stands behind /_frond/call/. */
export async function post(
  url: string,
  where: string,
  args: unknown,
  headers: Record<string, string> = {},
): Promise<Answer> {
  const answer = await fetch(`${url}/_frond/call/${where}`, {
    method: "POST",
    headers: { "content-type": "application/json", ...headers },
    body: typeof args === "string" ? args : JSON.stringify(args),
  });
  return { status: answer.status, body: await answer.json(), headers: answer.headers };
}
