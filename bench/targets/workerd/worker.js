// Rival: the same app as a Cloudflare Worker with a SQLite-backed Durable Object per cell.
//
// Rule: written as its documentation shows it. workerd's own output gate holds an answer until the object's commit was
// synced. The call is an RPC method; `stub.fetch` measured the same.

import { DurableObject } from "cloudflare:workers";

export class Counter extends DurableObject {
  constructor(ctx, env) {
    super(ctx, env);
    ctx.storage.sql.exec(
      "CREATE TABLE IF NOT EXISTS counter (id INTEGER PRIMARY KEY, n INTEGER NOT NULL); INSERT OR IGNORE INTO counter VALUES (1, 0)",
    );
  }

  incr() {
    return this.ctx.storage.sql.exec("UPDATE counter SET n = n + 1 WHERE id = 1 RETURNING n").one().n;
  }

  read() {
    return this.ctx.storage.sql.exec("SELECT n FROM counter WHERE id = 1").one().n;
  }
}

export default {
  async fetch(request, env) {
    const [, cells, name, verb] = new URL(request.url).pathname.split("/");
    if (cells !== "cells" || name === undefined) return new Response("no such path", { status: 404 });
    const counter = env.COUNTER.get(env.COUNTER.idFromName(name));
    if (request.method === "POST" && verb === "incr") return new Response(String(await counter.incr()));
    if (request.method === "GET" && verb === undefined) return new Response(String(await counter.read()));
    return new Response("GET /cells/NAME or POST /cells/NAME/incr", { status: 405 });
  },
};
