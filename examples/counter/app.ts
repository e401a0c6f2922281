// A counter for every path: the smallest app there is.
//
//   npx frond dev examples/counter/app.ts
//   curl -X POST http://127.0.0.1:8080/visits

import { Cell, frond } from "frond";

export class Counter extends Cell {
  static override migrations = [
    `CREATE TABLE counter (n INTEGER NOT NULL) STRICT;
     INSERT INTO counter VALUES (0)`,
  ];
  read(): number {
    return this.sql.one<{ n: number }>`SELECT n FROM counter`.n;
  }
  add(by = 1): number {
    return this.sql.one<{ n: number }>`UPDATE counter SET n = n + ${by} RETURNING n`.n;
  }
}

export default frond({
  cells: { counter: Counter },
  async fetch(request, { get }) {
    const counter = get(Counter, decodeURI(new URL(request.url).pathname));
    return Response.json({ n: request.method === "POST" ? await counter.add() : await counter.read() });
  },
});
