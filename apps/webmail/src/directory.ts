// The list of all mailboxes, for the page where one is picked. One cell, named DIRECTORY_NAME.
//
// Rule: it repeats what the mailboxes know, and notes only ever move it forward, so a note may come twice, late or in any
// order. A sender hears 250 after the mailbox *and* its note are durable: if a crash parts the two, the sender tries
// again, the mailbox answers as before and the note is written then. Notes of messages that arrive together travel
// together (delivery.ts), so a message waits for it no longer than for its mailbox.
// Planned: a query over all cells replaces it; until then it is what makes mailboxes findable.

import { Cell } from "frond";

/** The name of the one directory. */
export const DIRECTORY_NAME = "main";
/** Most mailboxes of one answer. */
export const MAX_ENTRIES = 200;

/** What the directory knows of a mailbox. */
export interface DirectoryEntry {
  readonly name: string;
  readonly messages: number;
}

/** How many mailboxes, and messages in them. */
export interface Totals {
  readonly mailboxes: number;
  readonly messages: number;
}

// The character after all others: what begins with a text lies between the text and the text plus this.
const LAST_CHARACTER = "\u{10ffff}";

export class Directory extends Cell {
  static override durability = "disk" as const;

  static override migrations = [
    `CREATE TABLE mailbox (name TEXT PRIMARY KEY, messages INTEGER NOT NULL) STRICT, WITHOUT ROWID;
     CREATE INDEX mailbox_size ON mailbox (messages);`,
  ];

  /** Notes how many messages mailboxes hold. Mailboxes only grow, so the larger number is the later one. */
  note(entries: readonly DirectoryEntry[]): void {
    for (const { name, messages } of entries) {
      this.sql`
        INSERT INTO mailbox (name, messages) VALUES (${name}, ${messages})
        ON CONFLICT (name) DO UPDATE SET messages = excluded.messages WHERE excluded.messages > messages`;
    }
  }

  /** The mailboxes with the most messages. */
  fullest(limit: number): DirectoryEntry[] {
    return this.sql.all<DirectoryEntry>`
      SELECT name, messages FROM mailbox ORDER BY messages DESC, name LIMIT ${Math.min(limit, MAX_ENTRIES)}`;
  }

  /** Mailboxes whose name begins with `prefix` and comes after `after`, by name. */
  find(prefix: string, after: string, limit: number): DirectoryEntry[] {
    return this.sql.all<DirectoryEntry>`
      SELECT name, messages FROM mailbox
      WHERE name >= ${prefix} AND name < ${prefix + LAST_CHARACTER} AND name > ${after}
      ORDER BY name LIMIT ${Math.min(limit, MAX_ENTRIES)}`;
  }

  /** Which of these mailboxes there are. */
  known(names: readonly string[]): string[] {
    return this.sql.all<{
      name: string;
    }>`SELECT name FROM mailbox WHERE name IN (SELECT value FROM json_each(${JSON.stringify(names)}))`.map(
      ({ name }) => name,
    );
  }

  /** How many mailboxes there are, and messages in all of them. */
  totals(): Totals {
    return this.totalsOf("");
  }

  /** The same of the mailboxes whose name begins with `prefix`. */
  totalsOf(prefix: string): Totals {
    return this.sql.one`
      SELECT count(*) AS mailboxes, coalesce(sum(messages), 0) AS messages FROM mailbox
      WHERE name >= ${prefix} AND name < ${prefix + LAST_CHARACTER}`;
  }
}
