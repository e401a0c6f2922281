// The app whose node is killed: counters for what a level costs, and ledgers for what it keeps.

import { Cell, frond } from "frond";
import { Counter } from "./app.ts";

export class Ledger extends Cell {
  static override migrations = ["CREATE TABLE entry (n INTEGER PRIMARY KEY, token TEXT NOT NULL) STRICT"];

  add(token: string): number {
    return this.sql.one<{ n: number }>`INSERT INTO entry (token) VALUES (${token}) RETURNING n`.n;
  }

  tokens(): string[] {
    return this.sql.all<{ token: string }>`SELECT token FROM entry ORDER BY n`.map(({ token }) => token);
  }
}

export default frond({
  cells: { counter: Counter, ledger: Ledger },
  async fetch(request, { get }) {
    const [, kind = "", name = "", verb] = new URL(request.url).pathname.split("/");
    if (kind === "cells") {
      const counter = get(Counter, name);
      return new Response(String(verb === "incr" ? await counter.incr() : await counter.read()));
    }
    const ledger = get(Ledger, name);
    return Response.json(verb === undefined ? await ledger.tokens() : await ledger.add(verb));
  },
});
