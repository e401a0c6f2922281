// The app of largeWork.ts: one large cell beside counters. BENCH_MIGRATIONS says how many of its migrations this version has.

import { Cell, frond } from "frond";
import { Counter } from "./app.ts";

const MIGRATIONS = [
  "CREATE TABLE line (id INTEGER PRIMARY KEY, body TEXT NOT NULL) STRICT",
  // Few pages change, or none but one: an ordinary commit.
  `ALTER TABLE line ADD COLUMN seen INTEGER NOT NULL DEFAULT 0;
   CREATE INDEX line_body ON line (substr(body, 1, 64))`,
  // All pages change: through the bucket.
  "UPDATE line SET body = body || '.', seen = 1",
];

export class Archive extends Cell {
  static override migrations = MIGRATIONS.slice(0, Number(process.env["BENCH_MIGRATIONS"] ?? 1));
  static override pageSize = 4096;
  /** Adds lines of about a kilobyte. */
  fill(lines: number): void {
    this.sql`WITH RECURSIVE c (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < ${lines})
      INSERT INTO line (body) SELECT hex(randomblob(500)) FROM c`;
  }
  count(): number {
    return this.sql.one<{ n: number }>`SELECT max(id) AS n FROM line`.n;
  }
  drop(): void {
    this.sql`DELETE FROM line WHERE id <= (SELECT max(id) / 8 FROM line)`;
  }
  shrink(): void {
    this.vacuum();
  }
}

export default frond({
  cells: { archive: Archive, counter: Counter },
  async fetch(request, { get }) {
    const [, kind = "", name = "", verb] = new URL(request.url).pathname.split("/");
    if (kind === "archive") {
      const archive = get(Archive, name);
      if (verb === "fill") await archive.fill(4_000);
      if (verb === "drop") await archive.drop();
      if (verb === "shrink") await archive.shrink();
      return new Response(String(await archive.count()));
    }
    const counter = get(Counter, name);
    return new Response(String(verb === "incr" ? await counter.incr() : await counter.read()));
  },
});
