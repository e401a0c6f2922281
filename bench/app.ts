// The app of the bench on frond: one counter per cell, written as its documentation shows it.

import { Cell, frond } from "frond";

export class Counter extends Cell {
  static override migrations = [
    `CREATE TABLE counter (id INTEGER PRIMARY KEY, n INTEGER NOT NULL) STRICT;
     INSERT INTO counter VALUES (1, 0)`,
  ];

  incr(): number {
    return this.sql.one<{ n: number }>`UPDATE counter SET n = n + 1 WHERE id = 1 RETURNING n`.n;
  }

  read(): number {
    return this.sql.one<{ n: number }>`SELECT n FROM counter WHERE id = 1`.n;
  }
}

export default frond({
  cells: { counter: Counter },
  async fetch(request, { get }) {
    const [, cells, name, verb] = new URL(request.url).pathname.split("/");
    if (cells !== "cells" || name === undefined) return new Response("no such path", { status: 404 });
    if (request.method === "POST" && verb === "incr") return new Response(String(await get(Counter, name).incr()));
    if (request.method === "GET" && verb === undefined) return new Response(String(await get(Counter, name).read()));
    return new Response("GET /cells/NAME or POST /cells/NAME/incr", { status: 405 });
  },
});
