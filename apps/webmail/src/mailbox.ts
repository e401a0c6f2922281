// One mailbox: the messages of one address, searchable. Its name is the address in lower case.
//
// Rule: a message is kept once, raw, byte for byte; beside it stand the decoded words that lists and search need. Files
// that came with a message are parts of the raw bytes and are taken out of them when asked for. Delivering the same
// bytes again changes nothing and answers as if they had been new: whoever did not hear the first answer may try again.
// Rejected: rows for HTML and files (each byte would be stored twice, and the log carries every byte), an FTS5 table with
// its own copy of the text (it reads the text of the message table), parsing here (a mail goes to many mailboxes).

import { Cell } from "frond";
import type { StoredMail } from "./message.ts";

/** What a list shows of a message. */
export interface MailLine {
  readonly id: number;
  readonly sender: string;
  readonly subject: string;
  /** ms since 1970; null if the message states no time. */
  readonly sent: number | null;
  readonly received: number;
  /** Size of the raw message in bytes. */
  readonly size: number;
  /** Names of the files, one per line. */
  readonly files: string;
  /** The beginning of the text, or where the search words stand, between the marks of {@link MARK}. */
  readonly extract: string;
}

/** A whole message as stored. */
export interface MailRow extends Omit<MailLine, "extract"> {
  readonly recipients: string;
  readonly raw: Uint8Array;
}

/** The answer to a delivery. */
export interface Delivered {
  readonly id: number;
  /** False if the mailbox had the message already. */
  readonly added: boolean;
  /** Messages in the mailbox now. */
  readonly messages: number;
}

/** The messages next to one, by arrival; null at either end. */
export interface Neighbours {
  readonly newer: number | null;
  readonly older: number | null;
}

/** Control characters around a found word: cleaned text holds none, so they cannot be forged. */
export const MARK = { open: "\u0002", close: "\u0003" } as const;
/** Most lines of one answer. */
export const MAX_LINES = 200;
/** Matches of a search that are counted: beyond that it is "more than". A bound on the work, not on what is found. */
export const MAX_COUNTED = 1000;

const EXTRACT_LENGTH = 160;
const SNIPPET_WORDS = 24;

export class Mailbox extends Cell {
  // Mail is acknowledged to its sender, who then forgets it: never below disk, whatever the node's default is.
  static override durability = "disk" as const;

  static override migrations = [
    // raw stands last: a list reads the columns before it without walking over its pages.
    `CREATE TABLE message (
       id INTEGER PRIMARY KEY,
       identity BLOB NOT NULL UNIQUE,
       received INTEGER NOT NULL,
       sent INTEGER,
       sender TEXT NOT NULL,
       recipients TEXT NOT NULL,
       subject TEXT NOT NULL,
       files TEXT NOT NULL,
       body TEXT NOT NULL,
       raw BLOB NOT NULL
     ) STRICT;
     CREATE VIRTUAL TABLE search USING fts5(
       subject, sender, recipients, files, body,
       content = 'message', content_rowid = 'id', columnsize = 0, tokenize = 'unicode61 remove_diacritics 2'
     );`,
  ];

  /** Stores a message, once. */
  deliver(mail: StoredMail): Delivered {
    const known = this.sql.first<{ id: number }>`SELECT id FROM message WHERE identity = ${mail.identity}`;
    if (known !== undefined) return { id: known.id, added: false, messages: this.count() };
    const { id } = this.sql.one<{ id: number }>`
      INSERT INTO message (identity, received, sent, sender, recipients, subject, files, body, raw)
      VALUES (${mail.identity}, ${Date.now()}, ${mail.sent}, ${mail.sender}, ${mail.recipients}, ${mail.subject},
              ${mail.files}, ${mail.body}, ${mail.raw})
      RETURNING id`;
    this.sql`
      INSERT INTO search (rowid, subject, sender, recipients, files, body)
      VALUES (${id}, ${mail.subject}, ${mail.sender}, ${mail.recipients}, ${mail.files}, ${mail.body})`;
    return { id, added: true, messages: this.count() };
  }

  /** Number of messages. */
  count(): number {
    return this.sql.one<{ n: number }>`SELECT count(*) AS n FROM message`.n;
  }

  /** Messages from the newest on, those before message `before` only. */
  list(before: number, limit: number): MailLine[] {
    return this.sql.all<MailLine>`
      SELECT id, sender, subject, sent, received, length(raw) AS size, files,
             substr(body, 1, ${EXTRACT_LENGTH}) AS extract
      FROM message WHERE id < ${before} ORDER BY id DESC LIMIT ${Math.min(limit, MAX_LINES)}`;
  }

  /** Like `list`, but only messages that a query finds (query.ts makes one from typed text). */
  search(query: string, before: number, limit: number): MailLine[] {
    return this.sql.all<MailLine>`
      SELECT message.id, message.sender, message.subject, sent, received, length(raw) AS size, message.files,
             snippet(search, -1, ${MARK.open}, ${MARK.close}, '…', ${SNIPPET_WORDS}) AS extract
      FROM search JOIN message ON message.id = search.rowid
      WHERE search MATCH ${query} AND search.rowid < ${before}
      ORDER BY search.rowid DESC LIMIT ${Math.min(limit, MAX_LINES)}`;
  }

  /** How many messages a query finds, counted up to MAX_COUNTED + 1. */
  matches(query: string): number {
    return this.sql.one<{ n: number }>`
      SELECT count(*) AS n FROM (SELECT 1 FROM search WHERE search MATCH ${query} LIMIT ${MAX_COUNTED + 1})`.n;
  }

  /** The messages that a list, or with `query` a search, shows before and after a message. */
  neighbours(id: number, query?: string): Neighbours {
    if (query === undefined) {
      return this.sql.one<Neighbours>`
        SELECT (SELECT min(id) FROM message WHERE id > ${id}) AS newer,
               (SELECT max(id) FROM message WHERE id < ${id}) AS older`;
    }
    return this.sql.one<Neighbours>`
      SELECT (SELECT rowid FROM search WHERE search MATCH ${query} AND rowid > ${id} ORDER BY rowid LIMIT 1) AS newer,
             (SELECT rowid FROM search WHERE search MATCH ${query} AND rowid < ${id} ORDER BY rowid DESC LIMIT 1) AS older`;
  }

  /** One message, or undefined if there is none of that number. */
  read(id: number): MailRow | undefined {
    return this.sql.first<MailRow>`
      SELECT id, sender, recipients, subject, sent, received, length(raw) AS size, files, raw
      FROM message WHERE id = ${id}`;
  }
}
