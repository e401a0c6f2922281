// The app of the special cases: large writes, a slow cell beside fast ones, and a socket that echoes.

import { Cell, type CellSocket, frond } from "frond";
import { Counter } from "./app.ts";

export class Heavy extends Cell {
  static override migrations = ["CREATE TABLE blob (id INTEGER PRIMARY KEY, bytes BLOB NOT NULL) STRICT"];
  static override pageSize = 4096;
  put(bytes: number): void {
    this.sql`INSERT INTO blob (bytes) VALUES (${new Uint8Array(bytes)})`;
  }
  count(): number {
    return this.sql.one<{ n: number }>`SELECT count(*) AS n FROM blob`.n;
  }
}

export class Slow extends Cell {
  /** Holds the event loop. */
  spin(ms: number): void {
    const end = performance.now() + ms;
    while (performance.now() < end);
  }
}

export class Echo extends Cell {
  override fetch(request: Request): Response {
    return this.accept(request);
  }
  override webSocketMessage(socket: CellSocket, message: string | ArrayBuffer): void {
    socket.send(message);
  }
}

export default frond({
  cells: { counter: Counter, heavy: Heavy, slow: Slow, echo: Echo },
  async fetch(request, { get }) {
    const [, kind = "", name = "", verb] = new URL(request.url).pathname.split("/");
    if (kind === "echo") return get(Echo, name).fetch(request);
    if (kind === "heavy" && request.method === "POST") await get(Heavy, name).put(64 * 1024);
    if (kind === "heavy") return new Response(String(await get(Heavy, name).count()));
    if (kind === "slow") {
      await get(Slow, name).spin(10);
      return new Response("0");
    }
    const counter = get(Counter, name);
    return new Response(String(verb === "incr" ? await counter.incr() : await counter.read()));
  },
});
