// A cell that can be made large, in several versions of its class.

import { Cell } from "../../src/cell/cell.ts";

const TABLE = "CREATE TABLE thing (id INTEGER PRIMARY KEY, bytes BLOB NOT NULL) STRICT";
/** Changes every page that holds a thing. */
const MUCH = "UPDATE thing SET bytes = randomblob(length(bytes))";
const SLOW = `CREATE TABLE counted (n INTEGER) STRICT; INSERT INTO counted
  WITH RECURSIVE c (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 3000000) SELECT count(*) FROM c`;
const COUNTED = `CREATE TABLE counted (n INTEGER) STRICT; INSERT INTO counted
  WITH RECURSIVE c (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c) SELECT count(*) FROM c`;

/** Bytes of one thing. */
export const PART = 4 * 1024 * 1024;
export const LATER = Date.UTC(2999, 0, 1);

/** Options of a node whose bucket lies beside its data. */
export function bucketIn(directory: string, ttlMs = 6_000) {
  return { bucket: { url: `dir:${directory}-bucket` }, ttlMs };
}

export class Store extends Cell {
  static override pageSize = 4096;
  static override migrations = [TABLE];
  put(bytes: number): void {
    this.sql`INSERT INTO thing (bytes) VALUES (randomblob(${bytes}))`;
  }
  count(): number {
    return this.sql.one<{ n: number }>`SELECT count(*) AS n FROM thing`.n;
  }
  first(): string {
    return this.sql.one<{ h: string }>`SELECT hex(substr(bytes, 1, 8)) AS h FROM thing WHERE id = 1`.h;
  }
  later(): number {
    return this.schedule(new Date(LATER), "put", 1);
  }
  cancel(id: number): boolean {
    return this.unschedule(id);
  }
  async keep(text: string): Promise<string> {
    return (await this.files.put(text)).hash;
  }
  async kept(hash: string): Promise<string | undefined> {
    return (await this.files.get(hash))?.text();
  }
  drop(from: number): void {
    this.sql`DELETE FROM thing WHERE id >= ${from}`;
  }
  shrink(): void {
    this.vacuum();
  }
}

export class Much extends Store {
  static override migrations = [TABLE, MUCH];
}

export class Endless extends Store {
  static override migrations = [TABLE, COUNTED];
}

/** Changes little. */
export class Little extends Store {
  static override migrations = [TABLE, "ALTER TABLE thing ADD COLUMN note TEXT DEFAULT 'new'"];
}

/** Takes a moment. */
export class Slow extends Store {
  static override migrations = [TABLE, SLOW];
}
