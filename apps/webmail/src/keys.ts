// The secret that signs sessions. One cell, named KEYS_NAME: so it lies in the data directory, is as durable as the mail,
// and goes with it when the data moves.

import { randomBytes } from "node:crypto";
import { Cell } from "frond";

/** The name of the one cell of keys. */
export const KEYS_NAME = "main";

const SECRET_BYTES = 32;

export class Keys extends Cell {
  static override durability = "disk" as const;

  static override migrations = [`CREATE TABLE secret (bytes BLOB NOT NULL) STRICT;`];

  /** The secret, made when it is first asked for. */
  secret(): Uint8Array {
    const there = this.sql.first<{ bytes: Uint8Array }>`SELECT bytes FROM secret`;
    if (there !== undefined) return there.bytes;
    const bytes = new Uint8Array(randomBytes(SECRET_BYTES));
    this.sql`INSERT INTO secret VALUES (${bytes})`;
    return bytes;
  }
}
