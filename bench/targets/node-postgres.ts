// Rival: `node:http`, a pool of connections, and PostgreSQL with a row per cell: what a team would take today.
//
// Rule: PostgreSQL keeps its defaults, which sync every commit and group what arrives together. Generous to it: a Unix
// socket instead of TCP, prepared statements, one statement per request, and both cores.

import { createServer } from "node:http";
import type { ServerResponse } from "node:http";
import pg from "pg";

const [port, socketDirectory, poolSize] = process.argv.slice(2) as [string, string, string];

const pool = new pg.Pool({ host: socketDirectory, user: "bench", database: "postgres", max: Number(poolSize) });
await pool.query("CREATE TABLE IF NOT EXISTS counter (name text PRIMARY KEY, n bigint NOT NULL)");

interface Row {
  readonly n: string;
}

async function increment(name: string): Promise<string> {
  const updated = await pool.query<Row>({
    name: "update",
    text: "UPDATE counter SET n = n + 1 WHERE name = $1 RETURNING n",
    values: [name],
  });
  if (updated.rows[0] !== undefined) return updated.rows[0].n;
  const inserted = await pool.query<Row>({
    name: "insert",
    text: "INSERT INTO counter (name, n) VALUES ($1, 1) ON CONFLICT (name) DO UPDATE SET n = counter.n + 1 RETURNING n",
    values: [name],
  });
  return (inserted.rows[0] as Row).n;
}

async function read(name: string): Promise<string> {
  const found = await pool.query<Row>({
    name: "select",
    text: "SELECT n FROM counter WHERE name = $1",
    values: [name],
  });
  return found.rows[0]?.n ?? "0";
}

function answer(response: ServerResponse, status: number, text: string): void {
  response.writeHead(status, { "content-type": "text/plain;charset=UTF-8", "content-length": Buffer.byteLength(text) });
  response.end(text);
}

createServer((request, response) => {
  request.resume();
  const [, cells, name, verb] = (request.url as string).split("/");
  const incr = request.method === "POST" && verb === "incr";
  if (cells !== "cells" || name === undefined) answer(response, 404, "no such path");
  else if (!incr && (request.method !== "GET" || verb !== undefined)) {
    answer(response, 405, "GET /cells/NAME or POST /cells/NAME/incr");
  } else {
    (incr ? increment(name) : read(name)).then(
      (count) => answer(response, 200, count),
      (error: unknown) => answer(response, 500, String(error)),
    );
  }
}).listen(Number(port), "127.0.0.1");
