// The app of the benches of the bucket: counters, pages of 64 KB, and cells that grow large.

import { randomBytes } from "node:crypto";
import { Cell, frond } from "frond";
import { Counter } from "./app.ts";

/** Bytes of text in a page: with its table a cell of 64 KB. */
const PAGE_BYTES = 60 * 1024;
const MEGABYTE = 1024 * 1024;
/** Words of random letters, and not many: as text, it compresses to about a half. */
const WORDS = Array.from({ length: 2_000 }, () => randomBytes(6).toString("base64url"));

export class Page extends Cell {
  static override migrations = ["CREATE TABLE page (id INTEGER PRIMARY KEY, text TEXT NOT NULL) STRICT"];
  put(): number {
    let text = "";
    while (text.length < PAGE_BYTES) text += ` ${WORDS[Math.floor(Math.random() * WORDS.length)]}`;
    this.sql`INSERT INTO page (text) VALUES (${text.slice(0, PAGE_BYTES)})`;
    return PAGE_BYTES;
  }
  size(): number {
    return this.sql.one<{ n: number }>`SELECT length(text) AS n FROM page`.n;
  }
}

export class Large extends Cell {
  static override migrations = ["CREATE TABLE part (id INTEGER PRIMARY KEY, bytes BLOB NOT NULL) STRICT"];
  static override pageSize = 4096;
  grow(): number {
    this.sql`INSERT INTO part (bytes) VALUES (${randomBytes(MEGABYTE)})`;
    return this.sql.one<{ n: number }>`SELECT count(*) AS n FROM part`.n;
  }
}

export default frond({
  cells: { counter: Counter, page: Page, large: Large },
  async fetch(request, { get }) {
    const [, kind = "", name = "", verb] = new URL(request.url).pathname.split("/");
    // No cell is needed for this: who gets an answer knows that the node serves.
    if (kind === "") return new Response("0");
    if (kind === "large") return new Response(String(await get(Large, name).grow()));
    if (kind === "page") {
      const page = get(Page, name);
      return new Response(String(request.method === "POST" ? await page.put() : await page.size()));
    }
    const counter = get(Counter, name);
    return new Response(String(verb === "incr" ? await counter.incr() : await counter.read()));
  },
});
